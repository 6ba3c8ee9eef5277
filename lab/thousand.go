package lab

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/vedette-hub/vedette"
)

// MaxThousand is how many hosts Thousand can make: those of one /16.
const MaxThousand = 1<<16 - 2

// Thousand is an internet of n hosts from 127.32.0.1 on, of one constituent,
// with two or three services each: the same for the same n everywhere.
func Thousand(n int) (*Internet, error) { return ThousandAt(32, n) }

// ThousandAt is Thousand from 127.BLOCK.0.1 on.
func ThousandAt(block, n int) (*Internet, error) {
	if n < 1 || n > MaxThousand || block < 1 || block > 254 {
		return nil, vedette.Invalid("%d hosts in 127.%d.0.0/16: from 1 to %d can be made, in 1 to 254", n, block, MaxThousand)
	}
	a := netip.AddrFrom4([4]byte{127, byte(block), 0, 0})
	network := a
	d := plan{Resolver: a.String() + ":5300"}
	zone := zonePlan{Origin: "elder.example", Records: []string{"@ IN NS ns1", "ns1 IN A " + a.String()}}
	for i := range n {
		a = a.Next()
		name := fmt.Sprintf("h%d.elder.example", i)
		d.Hosts = append(d.Hosts, Host{Address: a.String(), Names: []string{name}, Service: oneOfThousand(i)})
		zone.Records = append(zone.Records, "h"+strconv.Itoa(i)+" IN A "+a.String())
	}
	d.Zones = []zonePlan{zone}
	entry := vedette.ScopeEntry{AuthorisedBy: "Elder Counties", Document: "E-1", ValidUntil: "2035-12-31", Classes: []vedette.CheckClass{vedette.Passive, vedette.Active}}
	cidr, err := network.Prefix(bitsFor(n))
	if err != nil {
		return nil, err
	}
	entry.CIDR = cidr.String()
	d.Constituents = []vedette.Constituent{{ID: "elder", Name: "Elder Counties", Scope: []vedette.ScopeEntry{entry}}}
	if err := d.check(); err != nil {
		return nil, err
	}
	return newInternet(d), nil
}

// bitsFor is the length of the smallest network that holds n hosts after its first address.
func bitsFor(n int) int {
	bits := 32
	for 1<<(32-bits) < n+1 {
		bits--
	}
	return bits
}

// oneOfThousand are the services of the i-th host.
func oneOfThousand(i int) []Service {
	ssh := Service{Port: 22, Kind: "ssh", Software: Software{Vendor: "openbsd", Product: "openssh", Version: fmt.Sprintf("9.%dp1", i%8), Banner: "OpenSSH_{version}"}}
	web := Service{Port: 80, Kind: "http", Software: Software{Vendor: "f5", Product: "nginx", Version: fmt.Sprintf("1.%d.%d", 20+i%6, i%4), Banner: "nginx/{version}"}}
	more := []Service{
		{Port: 25, Kind: "smtp", Software: Software{Vendor: "exim", Product: "exim", Version: fmt.Sprintf("4.9%d", i%8), Banner: "Exim {version}"}},
		{Port: 6379, Kind: "redis", Software: Software{Vendor: "redis", Product: "redis", Version: fmt.Sprintf("6.%d.1", i%3), Banner: "{version}"}, Weak: []string{"check:redis-no-auth"}},
		{Port: 8080, Kind: "http", Software: Software{Vendor: "examplesoft", Product: "access_gateway", Version: fmt.Sprintf("5.%d.%d", i%3, i%5), Banner: "Examplesoft-Access-Gateway/{version}"}},
		{Port: 3306, Kind: "mysql", Software: Software{Vendor: "oracle", Product: "mysql", Version: fmt.Sprintf("8.0.%d", 20+i%17), Banner: "{version}"}},
	}
	if i%3 == 0 {
		return []Service{ssh, web}
	}
	return []Service{ssh, web, more[i%len(more)]}
}
