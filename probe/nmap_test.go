//go:build linux

package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// fakeNmap writes a program that stands for nmap. In the script $log is a file
// that it may write to, of which the path is returned.
func fakeNmap(t testing.TB, script string) (path, log string) {
	t.Helper()
	dir := t.TempDir()
	path, log = filepath.Join(dir, "nmap"), filepath.Join(dir, "log")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nlog="+log+"\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path, log
}

// nmapSays is an answer of nmap about a port.
func nmapSays(addr string, port int, service string) string {
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE nmaprun>
<?xml-stylesheet href="file:///usr/bin/../share/nmap/nmap.xsl" type="text/xsl"?>
<nmaprun scanner="nmap" args="nmap -sV" start="1790000000" xmloutputversion="1.05"><scaninfo type="connect" protocol="tcp" numservices="1" services="%d"/>
<host starttime="1790000000" endtime="1790000001"><status state="up" reason="user-set" reason_ttl="0"/><address addr="%s" addrtype="ipv4"/><hostnames></hostnames>
<ports><port protocol="tcp" portid="%d"><state state="open" reason="syn-ack" reason_ttl="0"/>%s</port></ports></host>
<runstats><finished time="1790000001" exit="success"/><hosts up="1" down="0" total="1"/></runstats></nmaprun>
`, port, addr, port, service)
}

const nmapGopher = `<service name="gopher" product="Exampled" version="2.1" extrainfo="Debian" method="probed" conf="10"><cpe>cpe:/a:example:exampled:2.1</cpe></service>`

// cat is a script that prints a text.
func cat(text string) string { return "cat <<'END'\n" + text + "\nEND" }

var nmapAt = netip.MustParseAddrPort("127.9.8.7:7007")

func askNmap(t testing.TB, ctx context.Context, path string) ([]vedette.Observation, error) {
	env := world(t)
	env.Nmap = path
	var saw []vedette.Observation
	s := Subject{Asset: vedette.Asset{ID: "127.9.8.7", Kind: vedette.AddressAsset}, Addr: nmapAt.Addr(), Port: nmapAt.Port(), Proto: "tcp", Unnamed: true}
	if !Nmap.For(s) {
		t.Fatal("nmap is not asked")
	}
	err := Nmap.Run(ctx, env, s, func(o vedette.Observation) { saw = append(saw, o) })
	return saw, err
}

// TestNmapIsCalled: the arguments, one by one, and what it makes of the answer.
func TestNmapIsCalled(t *testing.T) {
	path, log := fakeNmap(t, `for a in "$@"; do printf '%s\n' "$a"; done >$log; env >>$log; ls -A >>$log; pwd >>$log
`+cat(nmapSays("127.9.8.7", 7007, nmapGopher)))
	saw, err := askNmap(t, t.Context(), path)
	if err != nil || len(saw) != 1 {
		t.Fatalf("%v, %v", saw, err)
	}
	f := saw[0].Fact
	want := vedette.Software{Vendor: "example", Product: "exampled", Version: "2.1", CPE: "cpe:2.3:a:example:exampled:2.1:*:*:*:*:*:*:*", Distro: "debian"}
	if f.Service != "gopher" || f.Banner != "Exampled 2.1 Debian" || len(f.Software) != 1 || f.Software[0] != want {
		t.Errorf("%+v", f)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Fields(string(text))
	argv := strings.Fields("-sT -sV -Pn -n --open --max-rate 1000000 --host-timeout 110s -oX - -p 7007 127.9.8.7")
	if len(got) < len(argv) || !slices.Equal(got[:len(argv)], argv) {
		t.Fatalf("arguments %q, want %q", got, argv)
	}
	for _, rest := range got[len(argv):] {
		if name, _, _ := strings.Cut(rest, "="); name != "PATH" && name != "PWD" && name != "SHLVL" && name != "_" && name != "OLDPWD" && !strings.Contains(rest, "/vedette-child-") {
			t.Errorf("nmap sees %q", rest)
		}
	}
	six := nmapArgs(netip.MustParseAddrPort("[2001:db8::1%-oN]:22"), 0.05, time.Minute)
	if got := strings.Join(six, " "); got != "-sT -sV -Pn -n --open --max-rate 0.1 --host-timeout 60s -oX - -p 22 -6 2001:db8::1" {
		t.Error(got)
	}
}

// TestNmapSaysNothingNew: the name of a service that we identified ourselves.
func TestNmapSaysNothingNew(t *testing.T) {
	path, _ := fakeNmap(t, cat(nmapSays("127.9.8.7", 7007, `<service name="gopher" method="probed"/>`)))
	for service, want := range map[string]int{"": 1, "gopher": 0} {
		env := world(t)
		env.Nmap = path
		n := 0
		s := Subject{Asset: vedette.Asset{ID: "127.9.8.7", Kind: vedette.AddressAsset}, Addr: nmapAt.Addr(), Port: nmapAt.Port(), Proto: "tcp", Service: service, Unnamed: true}
		if err := Nmap.Run(t.Context(), env, s, func(vedette.Observation) { n++ }); err != nil || n != want {
			t.Errorf("%q: %d observations, %v", service, n, err)
		}
	}
}

// TestNmapNeverWithout: names, datagrams, what we know ourselves and whatever
// the configuration does not name an nmap for are not handed to it.
func TestNmapNeverWithout(t *testing.T) {
	address, name := vedette.Asset{ID: "127.9.8.7", Kind: vedette.AddressAsset}, vedette.Asset{ID: "-oN.example", Kind: vedette.NameAsset}
	for _, s := range []Subject{
		{}, {Asset: name}, {Asset: address, Addr: nmapAt.Addr(), Port: 80, Proto: "tcp"},
		{Asset: name, Addr: nmapAt.Addr(), Port: 80, Proto: "tcp", Unnamed: true},
		{Asset: address, Addr: nmapAt.Addr(), Port: 53, Proto: "udp", Unnamed: true},
	} {
		if Nmap.For(s) {
			t.Errorf("%+v", s)
		}
	}
}

// TestNmapHostile: T18, an nmap that is not what it should be proves nothing.
func TestNmapHostile(t *testing.T) {
	whole := nmapSays("127.9.8.7", 7007, nmapGopher)
	for name, c := range map[string]struct{ script, want string }{
		"nothing":          {"exit 0", "did not finish"},
		"fails":            {"echo 'no \033[31mroot' >&2; exit 1", "exit status 1: no ?[31mroot"},
		"garbage":          {"head -c 100000 /dev/zero", "answer of nmap"},
		"noise":            {cat("Starting Nmap 7.93"), ""},
		"half":             {cat(whole[:len(whole)/2]), "answer of nmap"},
		"no end":           {cat(strings.Replace(whole, `exit="success"`, `exit="error" errormsg="&#8238;"`, 1)), "ended with"},
		"other root":       {cat("<html></html>"), `begins with "html"`},
		"entities":         {cat(strings.Replace(whole, "<!DOCTYPE nmaprun>", `<!DOCTYPE nmaprun [<!ENTITY x SYSTEM "file:///etc/passwd">]>`, 1)), "answer of nmap"},
		"other address":    {cat(nmapSays("192.0.2.9", 7007, nmapGopher)), `speaks of "192.0.2.9"`},
		"no address":       {cat(nmapSays("&#10;", 7007, nmapGopher)), "speaks of"},
		"other port":       {cat(nmapSays("127.9.8.7", 7008, nmapGopher)), `speaks of "tcp" 7008`},
		"huge port":        {cat(strings.Replace(whole, `portid="7007"`, `portid="99999999999999999999"`, 1)), ""},
		"other protocol":   {cat(strings.Replace(whole, `<port protocol="tcp"`, `<port protocol="sctp"`, 1)), "speaks of"},
		"more hosts":       {cat(strings.Replace(whole, "<runstats>", `<host><address addr="192.0.2.9" addrtype="ipv4"/></host><runstats>`, 1)), "speaks of"},
		"closed":           {cat(strings.Replace(whole, `state="open"`, `state="filtered"`, 1)), "did not find the port open"},
		"no host":          {cat(whole[:strings.Index(whole, "<host ")] + whole[strings.Index(whole, "<runstats>"):]), "did not find the port open"},
		"gave up":          {cat(strings.Replace(whole, "<host ", `<host timedout="true" `, 1)), "gave the host up"},
		"down":             {cat(strings.Replace(whole, `up="1"`, `up="0"`, 1)), "0 hosts up"},
		"deep":             {"printf '<nmaprun>'; yes '<a>' | head -100000", "answer of nmap"},
		"endless":          {"exec yes '<nmaprun>'", ""},
		"killed by itself": {"kill -9 $$", "signal: killed"},
	} {
		t.Run(name, func(t *testing.T) {
			path, _ := fakeNmap(t, c.script)
			began := time.Now()
			saw, err := askNmap(t, t.Context(), path)
			if err == nil || len(saw) != 0 || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %v, want %q", saw, err, c.want)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\033\n\x00") {
				t.Errorf("%q", err)
			}
			if time.Since(began) > 30*time.Second {
				t.Errorf("took %s", time.Since(began))
			}
		})
	}
}

// TestNmapSays: what is a fact, and what is none.
func TestNmapSays(t *testing.T) {
	for service, want := range map[string]string{
		`<service name="http" method="table" conf="3"/>`:                                                                                                           "nothing",
		`<service name="http" product="nginx" version="1.2" method="table"/>`:                                                                                      "nothing",
		`<service name="unknown" method="probed"/>`:                                                                                                                "unknown false []",
		`<service name="x" tunnel="ssl" product="A B" version="9.6.0 or later" method="probed"/>`:                                                                  "x true [{ A B    }]",
		`<service name="x" product="A" version="3.X - 4.X" method="probed"/>`:                                                                                      "x false [{ A    }]",
		`<service name="x" product="&#27;[2J&#8238;A" version="&#27;1" method="probed"><cpe>cpe:/a:&#27;</cpe></service>`:                                          "refused",
		`<service name="x" product="A" version="1.0" method="probed"><cpe>cpe:/o:linux:linux_kernel</cpe></service>`:                                               "x false [{ A 1.0   }]",
		`<service name="ssh" product="OpenSSH" version="9.2p1 Debian 2+deb12u3" method="probed"><cpe>cpe:/a:openbsd:openssh:9.2p1</cpe></service>`:                 "ssh false [{openbsd openssh 9.2p1 cpe:2.3:a:openbsd:openssh:9.2p1:*:*:*:*:*:*:* debian:12 9.2p1-2+deb12u3}]",
		`<service name="ssh" product="OpenSSH" version="8.2p1 Ubuntu 4ubuntu0.5" extrainfo="Ubuntu Linux; protocol 2.0" method="probed"/>`:                         "ssh false [{ OpenSSH 8.2p1  ubuntu 8.2p1-4ubuntu0.5}]",
		`<service name="x" product="A" version="1.0" method="probed"><cpe>cpe:/a::a:1</cpe><cpe>nonsense</cpe><cpe>cpe:/h:maker:box:1.0</cpe></service>`:           "x false [{maker box 1.0 cpe:2.3:h:maker:box:1.0:*:*:*:*:*:*:*  }]",
		`<service name="x" product="` + strings.Repeat("long ", 300) + `" version="` + strings.Repeat("1.", 300) + `" method="probed"><cpe>cpe:/a</cpe></service>`: "long",
	} {
		f, ok, err := readNmap([]byte(nmapSays("127.9.8.7", 7007, service)), nmapAt)
		if err == nil {
			fit(t, f)
		}
		got := "nothing"
		if ok {
			var list []string
			for _, sw := range f.Software {
				list = append(list, fmt.Sprintf("{%s %s %s %s %s %s}", sw.Vendor, sw.Product, sw.Version, sw.CPE, sw.Distro, sw.PackageVersion))
			}
			got = fmt.Sprint(f.Service, " ", f.TLS, " ", list)
		}
		if err != nil {
			got = "refused"
		}
		if got != want && !(want == "long" && len(got) < 1000) {
			t.Errorf("%s\n  %s, %v, want\n  %s", service, got, err, want)
		}
	}
}

// TestNmapStops: the end of a look, or of its authorisation, ends nmap with all
// that it began.
func TestNmapStops(t *testing.T) {
	script := "sleep 1000 & echo $! >$log; wait"
	wait := func(log string) int {
		for range 1000 {
			if text, err := os.ReadFile(log); err == nil && strings.HasSuffix(string(text), "\n") {
				pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
				return pid
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Error("nmap does not begin")
		return 0
	}
	ended := func(pid int) {
		t.Helper()
		for range 500 {
			stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
			if err != nil || strings.Contains(string(stat), ") Z ") || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("process %d goes on", pid)
	}
	path, log := fakeNmap(t, script)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { wait(log); cancel() }()
	if saw, err := askNmap(t, ctx, path); !errors.Is(err, context.Canceled) || len(saw) > 0 {
		t.Errorf("cancelled: %v, %v", saw, err)
	}
	ended(wait(log))

	path, log = fakeNmap(t, script)
	env := scoped(t, vedette.ScopeEntry{CIDR: "127.1.0.0/16", Document: "test", Classes: []vedette.CheckClass{vedette.Active}}, "")
	env.Nmap = path
	s := Subject{Asset: vedette.Asset{ID: "127.9.8.7", Kind: vedette.AddressAsset}, Addr: nmapAt.Addr(), Port: nmapAt.Port(), Proto: "tcp", Unnamed: true}
	if err := Nmap.Run(t.Context(), env, s, func(vedette.Observation) { t.Error("saw") }); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("outside: %v", err)
	}
	if _, err := os.Stat(log); err == nil {
		t.Error("nmap ran at an address outside")
	}
}

// TestNmapStopsWithItsScope: an authorisation that ends while nmap runs ends nmap.
func TestNmapStopsWithItsScope(t *testing.T) {
	path, log := fakeNmap(t, "echo $$ >$log; exec sleep 1000")
	env := world(t)
	env.Nmap = path
	decide := func(vedette.Target) error {
		if _, err := os.Stat(log); err == nil { // it runs
			return vedette.Refused("no more")
		}
		return nil
	}
	refused := 0
	env.Net = safe.NewDialer(true).Scope(decide, func(vedette.Target, error) { refused++ }, safe.NewBrakes(safe.DefaultPace))
	s := Subject{Asset: vedette.Asset{ID: "127.9.8.7", Kind: vedette.AddressAsset}, Addr: nmapAt.Addr(), Port: nmapAt.Port(), Proto: "tcp", Unnamed: true}
	began := time.Now()
	err := Nmap.Run(t.Context(), env, s, func(vedette.Observation) { t.Error("saw") })
	if !errors.Is(err, vedette.ErrRefused) || refused == 0 || time.Since(began) > 20*time.Second {
		t.Errorf("%v, %d refused, after %s", err, refused, time.Since(began))
	}
}

// TestLookAsksNmap: it is asked where nothing of ours finds software, and covers
// what it looked at and nothing else.
func TestLookAsksNmap(t *testing.T) {
	odd := netip.MustParseAddrPort(serve(t, func(c net.Conn) { io.WriteString(c, "strange\r\n"); time.Sleep(time.Second) }).String())
	known := netip.MustParseAddrPort(serve(t, speakSSH).String())
	path, log := fakeNmap(t, `echo "$@" >>$log`+"\n"+cat(nmapSays("127.0.0.1", int(odd.Port()), nmapGopher)))
	part := vedette.Part{Class: vedette.Active, Places: []vedette.Place{{Asset: "127.0.0.1", Port: int(odd.Port()), Proto: "tcp"}, {Asset: "127.0.0.1", Port: int(known.Port()), Proto: "tcp"}}}
	for _, with := range []string{"", path, "/nowhere/nmap"} {
		env := world(t)
		env.Nmap = with
		var looks []vedette.Look
		if err := Look(t.Context(), env, part, func(l vedette.Look) error { looks = append(looks, l); return nil }); err != nil || len(looks) != 1 {
			t.Fatalf("%v, %v", looks, err)
		}
		var saw, covered []string
		for _, o := range looks[0].Observations {
			if o.Check == "nmap" {
				saw = append(saw, fmt.Sprint(o.Port, o.Fact.Software[0].Product))
			}
		}
		for _, c := range looks[0].Coverage {
			if c.Check == "nmap" {
				covered = append(covered, c.Ports)
			}
		}
		switch with {
		case "":
			if saw != nil || covered != nil {
				t.Errorf("without nmap: %v, %v", saw, covered)
			}
		case path:
			text, err := os.ReadFile(log)
			if err != nil || strings.Count(string(text), "\n") != 1 || !strings.Contains(string(text), "-p "+strconv.Itoa(int(odd.Port()))+" 127.0.0.1\n") {
				t.Errorf("nmap was asked %q, %v", text, err)
			}
			ports := []uint16{odd.Port(), known.Port()}
			slices.Sort(ports)
			if len(saw) != 1 || len(covered) != 1 || covered[0] != "tcp:"+formatPorts(ports) {
				t.Errorf("with nmap: %v, %v", saw, covered)
			}
		default:
			if saw != nil || len(covered) != 1 || strings.Contains(covered[0], strconv.Itoa(int(odd.Port()))) || len(looks[0].Missed) != 1 {
				t.Errorf("nmap does not run: %v, %v, %v", saw, covered, looks[0].Missed)
			}
		}
	}
}

// TestRealNmap: the arguments are those that a real nmap takes, and its answer is read.
func TestRealNmap(t *testing.T) {
	path, err := exec.LookPath("nmap")
	if err != nil {
		t.Skip("nmap is not installed")
	}
	a := serve(t, func(c net.Conn) {
		io.WriteString(c, "220 ftp.test.example FTP server (Version 6.4/OpenBSD) ready.\r\n")
		time.Sleep(time.Second)
	})
	ap := netip.MustParseAddrPort(a.String())
	env := world(t)
	env.Nmap = path
	s := at(a)
	s.Unnamed = true
	var saw []vedette.Observation
	if err := Nmap.Run(t.Context(), env, s, func(o vedette.Observation) { saw = append(saw, o) }); err != nil {
		t.Fatal(err)
	}
	if len(saw) != 1 || saw[0].Fact.Service != "ftp" || env.Net.Sent() != 1 {
		t.Errorf("%s: %+v", ap, saw)
	}
	s.Port = 1 // where nobody listens
	if err := Nmap.Run(t.Context(), env, s, func(o vedette.Observation) { t.Errorf("%+v", o) }); err == nil || !strings.Contains(err.Error(), "not find the port open") {
		t.Errorf("a closed port: %v", err)
	}
}

func FuzzNmap(f *testing.F) {
	f.Add([]byte(nmapSays("127.9.8.7", 7007, nmapGopher)))
	f.Add([]byte(`<nmaprun><host><address addr="127.9.8.7"/></host></nmaprun>`))
	f.Add([]byte(`<nmaprun start="x"><runstats><finished exit="success"/></runstats>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		fact, ok, err := readNmap(b, nmapAt)
		if ok && err != nil {
			t.Errorf("a fact of a refused answer: %+v, %v", fact, err)
		}
		fit(t, fact)
	})
}
