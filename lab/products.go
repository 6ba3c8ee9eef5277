package lab

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/vedette-hub/vedette"
)

// Product is one product that the services of an estate run.
type Product struct {
	Vendor  string
	Product string
	CPE     string // "cpe:2.3:a:VENDOR:PRODUCT", "" when it is known by name alone
	Banner  string // as a scanner prints it, "" as Product
	Service string
	Port    int // 0 for software without a port of its own
	// Versions are in order, the oldest first; the last one is what a patched host runs.
	Versions []string
	Weight   float64
	Debian   []Package
	Records  int // how many vulnerabilities name it: what has many is patched more often
}

// Package is a Debian package of a product.
type Package struct {
	Source  string
	Release string // "11"
	Version string
	Banner  string // how the service shows it: "8.4p1 Debian 5+deb11u3"
}

// Builtin are common products, with versions around the borders of what was fixed in them.
func Builtin() []Product {
	p := func(vendor, name, banner, service string, port int, weight float64, versions string, debian ...Package) Product {
		return Product{vendor, name, "cpe:2.3:a:" + vendor + ":" + name, banner, service, port, strings.Fields(versions), weight, debian, 0}
	}
	return []Product{
		p("openbsd", "openssh", "OpenSSH", "ssh", 22, 130, "7.4 7.9 8.0 8.2 8.4 8.7 8.9 9.0 9.2 9.3 9.4 9.5 9.6 9.7 9.8 9.9",
			Package{"openssh", "11", "1:8.4p1-5+deb11u1", "8.4p1 Debian 5+deb11u1"}, Package{"openssh", "11", "1:8.4p1-5+deb11u3", "8.4p1 Debian 5+deb11u3"},
			Package{"openssh", "12", "1:9.2p1-2+deb12u2", "9.2p1 Debian 2+deb12u2"}, Package{"openssh", "12", "1:9.2p1-2+deb12u3", "9.2p1 Debian 2+deb12u3"}),
		p("f5", "nginx", "nginx", "http", 443, 90, "1.14.0 1.16.1 1.18.0 1.20.1 1.22.1 1.24.0 1.25.3 1.25.4 1.26.0 1.26.1 1.27.0 1.27.1",
			Package{"nginx", "12", "1.22.1-9+deb12u1", "1.22.1"}),
		p("apache", "http_server", "Apache httpd", "http", 80, 90, "2.4.29 2.4.37 2.4.41 2.4.46 2.4.49 2.4.50 2.4.51 2.4.54 2.4.57 2.4.58 2.4.59 2.4.60 2.4.61 2.4.62",
			Package{"apache2", "11", "2.4.56-1~deb11u2", "2.4.56"}, Package{"apache2", "12", "2.4.59-1~deb12u1", "2.4.59"}),
		p("microsoft", "internet_information_services", "Microsoft IIS httpd", "http", 80, 40, "7.5 8.0 8.5 10.0"),
		p("apache", "tomcat", "Apache Tomcat", "http", 8080, 25, "8.5.78 8.5.98 8.5.99 9.0.85 9.0.86 9.0.90 10.1.18 10.1.19 10.1.25 11.0.0"),
		p("openssl", "openssl", "OpenSSL", "", 0, 40, "1.0.2 1.1.1 3.0.7 3.0.12 3.0.13 3.1.4 3.1.5 3.2.0 3.2.1 3.3.0 3.3.1"),
		p("php", "php", "PHP", "", 0, 25, "7.4.3 8.0.30 8.1.27 8.1.28 8.1.29 8.2.18 8.2.19 8.2.20 8.3.6 8.3.7 8.3.8"),
		p("oracle", "mysql", "MySQL", "mysql", 3306, 25, "5.7.44 8.0.30 8.0.35 8.0.36 8.0.37 8.0.38 8.4.0 8.4.1"),
		p("mariadb", "mariadb", "MariaDB", "mysql", 3306, 20, "10.3.39 10.5.22 10.6.15 10.6.16 10.11.5 10.11.6 11.2.2"),
		p("postgresql", "postgresql", "PostgreSQL DB", "postgresql", 5432, 20, "11.22 12.17 12.18 13.13 13.14 14.10 14.11 15.5 15.6 16.1 16.2 16.3"),
		p("redis", "redis", "Redis key-value store", "redis", 6379, 12, "5.0.7 6.0.16 6.2.13 7.0.14 7.0.15 7.2.3 7.2.4 7.2.5"),
		p("exim", "exim", "Exim smtpd", "smtp", 25, 15, "4.92 4.94.2 4.96 4.96.1 4.96.2 4.97 4.97.1 4.98"),
		p("postfix", "postfix", "Postfix smtpd", "smtp", 25, 30, "3.4.13 3.5.6 3.6.4 3.7.9 3.8.4 3.8.5 3.9.0"),
		p("dovecot", "dovecot", "Dovecot imapd", "imap", 993, 20, "2.3.13 2.3.16 2.3.19 2.3.20 2.3.21"),
		p("isc", "bind", "ISC BIND", "domain", 53, 25, "9.11.4 9.16.27 9.16.45 9.16.48 9.18.19 9.18.24 9.18.27 9.18.28 9.20.0"),
		p("microsoft", "exchange_server", "Microsoft Exchange smtpd", "smtp", 25, 8, "15.0.1497 15.1.2507 15.2.1118 15.2.1258 15.2.1544"),
		p("vmware", "vcenter_server", "VMware vCenter", "https", 443, 5, "6.7 7.0 8.0"),
		p("vmware", "esxi", "VMware ESXi", "https", 443, 8, "6.5 6.7 7.0 8.0"),
		p("fortinet", "fortios", "FortiOS", "https", 10443, 10, "6.4.14 7.0.12 7.0.13 7.2.6 7.2.7 7.4.1 7.4.2 7.4.3"),
		p("ivanti", "connect_secure", "Ivanti Connect Secure", "https", 443, 3, "9.1 22.3 22.4 22.5 22.6 22.7"),
		p("paloaltonetworks", "pan-os", "PAN-OS", "https", 443, 6, "10.1.14 10.2.8 10.2.9 11.0.3 11.0.4 11.1.1 11.1.2 11.1.3"),
		p("citrix", "netscaler_application_delivery_controller", "NetScaler", "https", 443, 4, "12.1 13.0 13.1 14.1"),
		p("atlassian", "confluence_data_center", "Confluence", "http", 8090, 4, "7.19.16 7.19.17 8.3.3 8.5.1 8.5.4 8.5.5 8.7.2"),
		p("atlassian", "jira_data_center", "Jira", "http", 8081, 4, "8.20.30 9.4.14 9.11.3 9.12.0 9.15.2"),
		p("gitlab", "gitlab", "GitLab", "http", 443, 5, "16.1.6 16.5.6 16.7.2 16.8.1 16.9.2 16.10.1 16.11.2 17.0.1 17.1.1"),
		p("jenkins", "jenkins", "Jenkins", "http", 8080, 6, "2.387.3 2.414.2 2.426.2 2.426.3 2.440.1 2.441 2.442"),
		p("grafana", "grafana", "Grafana http", "http", 3000, 8, "8.5.27 9.4.17 9.5.16 10.0.11 10.1.7 10.2.4 10.3.3 10.4.1"),
		p("elastic", "kibana", "Elastic Kibana", "http", 5601, 4, "7.17.9 8.7.0 8.10.1 8.11.1 8.12.0 8.13.0"),
		p("elastic", "elasticsearch", "Elasticsearch REST API", "http", 9200, 5, "7.17.12 8.8.2 8.9.0 8.11.1 8.12.1 8.13.2"),
		p("nodejs", "node.js", "Node.js", "http", 3000, 10, "16.20.2 18.18.1 18.19.0 18.20.2 20.9.0 20.11.0 20.12.1 21.6.1 22.4.0"),
		p("wordpress", "wordpress", "WordPress", "", 0, 15, "5.8.8 6.1.4 6.2.3 6.3.2 6.4.1 6.4.2 6.4.3 6.5.2 6.5.5"),
		p("drupal", "drupal", "Drupal", "", 0, 6, "7.98 9.5.11 10.1.4 10.1.8 10.2.2"),
		p("samba", "samba", "Samba smbd", "microsoft-ds", 445, 15, "4.9.5 4.13.13 4.15.13 4.17.12 4.18.8 4.19.1 4.20.1"),
		p("squid-cache", "squid", "Squid http proxy", "http-proxy", 3128, 6, "4.10 5.7 6.3 6.4 6.5 6.6 6.8"),
		p("haproxy", "haproxy", "HAProxy http proxy", "http-proxy", 443, 8, "2.2.30 2.4.22 2.6.14 2.8.1 2.8.2 2.9.1"),
		p("proftpd", "proftpd", "ProFTPD", "ftp", 21, 6, "1.3.5 1.3.6 1.3.7 1.3.8"),
		p("openvpn", "openvpn", "OpenVPN", "openvpn", 1194, 8, "2.4.12 2.5.9 2.6.6 2.6.7 2.6.10 2.6.11"),
		p("zabbix", "zabbix", "Zabbix", "http", 10051, 5, "5.0.40 6.0.23 6.0.27 6.4.8 6.4.12 7.0.0"),
		p("roundcube", "webmail", "Roundcube", "", 0, 6, "1.4.14 1.4.15 1.5.4 1.5.5 1.6.3 1.6.4 1.6.5 1.6.7"),
		p("nextcloud", "nextcloud_server", "Nextcloud", "http", 443, 5, "25.0.13 26.0.10 27.1.5 28.0.4 28.0.5 29.0.1"),
	}
}

// Catalogue collects products from what vulnerabilities affect, so that an
// estate runs versions near the borders of real ranges.
type Catalogue struct {
	at  map[string]int
	all []found
}

type found struct {
	Product
	seen    map[string]bool
	entries int
}

// maxRecords leaves browsers, kernels and desktops out: an estate is what is
// reachable, and one old browser would be a thousand findings.
const maxRecords = 25

// maxVersions is how many versions of one product an estate runs.
const maxVersions = 24

// Add takes the products and the borders of their ranges from a vulnerability.
func (c *Catalogue) Add(v vedette.Vulnerability) {
	if c.at == nil {
		c.at = map[string]int{}
	}
	for _, a := range v.Affected {
		if a.Scheme != "cpe" && a.Scheme != "cna" || !words(a.Vendor) || !words(a.Product) {
			continue
		}
		key, prefix := strings.ToLower(a.Vendor+"\x00"+a.Product+"\x00"+a.Scheme), ""
		if a.Scheme == "cpe" {
			if prefix = cpePrefix(a.CPE); prefix == "" {
				continue
			}
		}
		i, ok := c.at[key]
		if !ok {
			i = len(c.all)
			c.at[key] = i
			c.all = append(c.all, found{Product: Product{Vendor: a.Vendor, Product: a.Product, CPE: prefix}, seen: map[string]bool{}})
		}
		c.all[i].entries++
		for _, r := range a.Ranges {
			for _, border := range []string{r.Exact, r.From, r.To, r.Fixed} {
				if dotted(border) {
					c.all[i].seen[border] = true
					c.all[i].seen[before(border)] = true
				}
			}
		}
	}
}

// cpePrefix is the beginning of a plain CPE name of an application or a system.
func cpePrefix(s string) string {
	parts := strings.Split(s, ":")
	if len(parts) != 13 || strings.Contains(s, `\`) || parts[2] == "h" {
		return ""
	}
	return strings.Join(parts[:5], ":")
}

// words says whether a name is one a table can hold as it is.
func words(s string) bool {
	if s == "" || len(s) > 60 || strings.EqualFold(s, "n/a") || s == "*" {
		return false
	}
	return !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' })
}

// dotted says whether a version is plain numbers with dots.
func dotted(v string) bool {
	if v == "" || v == "0" || len(v) > 20 || v[0] == '.' || v[len(v)-1] == '.' || strings.Contains(v, "..") {
		return false
	}
	return strings.Trim(v, "0123456789.") == "" && strings.Count(v, ".") <= 4
}

// before is a version a little older: the last number that is not 0, less one.
func before(v string) string {
	parts := strings.Split(v, ".")
	for i := len(parts) - 1; i >= 0; i-- {
		if n, err := strconv.Atoi(parts[i]); err == nil && n > 0 {
			parts[i] = strconv.Itoa(n - 1)
			return strings.Join(parts, ".")
		}
	}
	return v
}

// compareDotted orders plain versions.
func compareDotted(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(x), len(y)) {
		var m, n int
		if i < len(x) {
			m, _ = strconv.Atoi(x[i]) // dotted says that these are numbers
		}
		if i < len(y) {
			n, _ = strconv.Atoi(y[i])
		}
		if m != n {
			return cmp.Compare(m, n)
		}
	}
	return cmp.Compare(a, b)
}

// Products are the built-in products, with the versions that records name, and
// the n others that most records are about.
func (c *Catalogue) Products(n int) []Product {
	out := Builtin()
	known := map[string]bool{}
	for i := range out {
		p := &out[i]
		key := p.Vendor + "\x00" + p.Product + "\x00cpe"
		known[key] = true
		if j, ok := c.at[key]; ok {
			for _, v := range p.Versions {
				c.all[j].seen[v] = true
			}
			p.CPE, p.Versions, p.Records = c.all[j].CPE, c.all[j].versions(), c.all[j].entries
		}
	}
	var more []found
	for key, i := range c.at {
		if f := c.all[i]; !known[key] && len(f.seen) > 0 && f.entries <= maxRecords {
			more = append(more, f)
		}
	}
	slices.SortFunc(more, func(a, b found) int {
		return cmp.Or(-cmp.Compare(a.entries, b.entries), cmp.Compare(a.Vendor, b.Vendor), cmp.Compare(a.Product.Product, b.Product.Product), cmp.Compare(a.CPE, b.CPE))
	})
	for _, f := range more[:min(n, len(more))] {
		p := f.Product
		p.Versions, p.Records = f.versions(), f.entries
		p.Weight = 0.15 * math.Sqrt(math.Min(float64(f.entries), 25))
		if !strings.HasPrefix(p.CPE, "cpe:2.3:o") && (f.entries+len(p.Versions))%3 != 0 {
			p.Service, p.Port = "http", 8000+(len(p.Product)*37+len(p.Vendor)*101)%1900
		}
		out = append(out, p)
	}
	return out
}

// versions are the borders in order, older ones thinned out, and one version after all of them.
func (f found) versions() []string {
	all := make([]string, 0, len(f.seen)+1)
	for v := range f.seen {
		all = append(all, v)
	}
	slices.SortFunc(all, compareDotted)
	var out []string
	recent := max(0, len(all)-maxVersions/2)
	for i, v := range all {
		if older := maxVersions / 2; i >= recent || i*older/recent != (i-1)*older/recent || i == 0 || recent <= older {
			out = append(out, v)
		}
	}
	last := strings.Split(all[len(all)-1], ".")
	n, _ := strconv.Atoi(last[len(last)-1]) // dotted says that it is a number
	last[len(last)-1] = strconv.Itoa(n + 1)
	return append(out, strings.Join(last, "."))
}
