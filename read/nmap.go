package read

import (
	"bytes"
	"encoding/xml"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/cpe"
	"github.com/vedette-hub/vedette/format/nmapxml"
	"github.com/vedette-hub/vedette/safe"
)

// nmapReport is nmap's XML output. A report that was cut off, or whose run did
// not finish, is refused: what it lacks would look gone.
var nmapReport = Format{
	Name:   "nmap",
	About:  "nmap port and service scan, -oX",
	Spec:   "nmap.dtd, xmloutputversion 1.04 and 1.05",
	Syntax: "XML",
	Source: vedette.Source{
		Name: "nmap", About: "nmap scans", Redistribute: "internal",
		Marking: vedette.Marking{TLP: vedette.TLPAmberStrict}, Reliability: "A", Purpose: "assets",
	},
	Whole: true,
	Sniff: func(head []byte) bool { return kindOf(head) == '<' && bytes.Contains(head, []byte("<nmaprun")) },
	Parse: parseNmap,
	Say:   sayNmap,
}

// scannedHost is the record of one host: what it shows and what was looked at.
type scannedHost struct {
	Run  nmapxml.Run  `json:"run"`
	Host nmapxml.Host `json:"host"`
}

func parseNmap(r io.Reader, emit func(Record) error) (Document, error) {
	p := nmapParser{x: safe.NewXML(r, safe.Limits{}), emit: emit}
	for {
		t, err := p.x.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return p.doc, err
		}
		start, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		if err := p.element(start); err != nil {
			return p.doc, err
		}
	}
	switch {
	case !p.root:
		return p.doc, vedette.Invalid("byte %d: the XML ends without nmaprun", p.x.Offset())
	case !p.finished:
		return p.doc, vedette.Invalid("byte %d: no runstats: the scan did not finish", p.x.Offset())
	}
	return p.doc, nil
}

type nmapParser struct {
	x              *safe.XML
	emit           func(Record) error
	doc            Document
	run            nmapxml.Run
	root, finished bool
}

func (p *nmapParser) element(start xml.StartElement) error {
	name := start.Name.Local
	switch {
	case !p.root && name != "nmaprun":
		return vedette.Invalid("byte %d: the root element is %s, not nmaprun", p.x.Offset(), safe.Quote(name))
	case !p.root:
		p.root = true
		run, err := nmapxml.RunOf(start)
		if err != nil {
			return vedette.Invalid("byte %d: %w", p.x.Offset(), err)
		}
		p.run = run
		p.doc = Document{Title: "nmap scan", Time: unix(run.Start)}
		return nil
	case name == "scaninfo":
		var s nmapxml.ScanInfo
		if err := p.x.Decode(&s, &start); err != nil {
			return err
		}
		if _, err := nmapxml.Spans(s.Services); err != nil {
			return vedette.Invalid("byte %d: services of scaninfo: %w", p.x.Offset(), err)
		}
		p.run.Scans = append(p.run.Scans, s)
		return nil
	case name == "host":
		return p.host(start)
	case name == "runstats":
		return p.runstats(start)
	}
	return p.x.Skip()
}

func (p *nmapParser) runstats(start xml.StartElement) error {
	var s struct {
		Finished struct {
			Time int64  `xml:"time,attr"`
			Exit string `xml:"exit,attr"`
			Why  string `xml:"errormsg,attr"`
		} `xml:"finished"`
	}
	if err := p.x.Decode(&s, &start); err != nil {
		return err
	}
	if s.Finished.Exit != "" && s.Finished.Exit != "success" {
		return vedette.Invalid("byte %d: the scan ended with %s: %s", p.x.Offset(), safe.Quote(s.Finished.Exit), safe.Quote(s.Finished.Why))
	}
	if t := unix(s.Finished.Time); t.After(p.doc.Time) {
		p.doc.Time = t
	}
	p.finished = true
	return nil
}

func (p *nmapParser) host(start xml.StartElement) error {
	var h nmapxml.Host
	at := p.x.Offset()
	if err := p.x.Decode(&h, &start); err != nil {
		return err
	}
	id, err := hostAddress(h)
	if err != nil {
		return vedette.Invalid("byte %d: %w", at, err)
	}
	body, err := json.Marshal(scannedHost{p.run, h})
	if err != nil {
		return vedette.Invalid("byte %d: host %s: %s", at, id, safe.Reason(err))
	}
	return p.emit(Record{Where: "host " + id, Body: body})
}

func unix(s int64) time.Time {
	if s <= 0 || s > 1<<40 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}

// hostAddress is the asset a host element speaks of.
func hostAddress(h nmapxml.Host) (string, error) {
	for _, a := range h.Addresses {
		if a.Type == "mac" {
			continue
		}
		asset, err := vedette.ParseAsset(a.Addr)
		if err == nil && asset.Kind == vedette.AddressAsset {
			return asset.ID, nil
		}
		return "", vedette.Invalid("%s is not an address", safe.Quote(a.Addr))
	}
	return "", vedette.Invalid("a host without an address")
}

func sayNmap(body []byte) (Said, error) {
	var s scannedHost
	if err := json.Unmarshal(body, &s); err != nil {
		return Said{}, refused(err)
	}
	id, err := hostAddress(s.Host)
	if err != nil {
		return Said{}, err
	}
	if s.Host.Status.State != "up" {
		return Said{}, nil // a host that did not answer was not looked at
	}
	at := unix(s.Host.End)
	for _, other := range []int64{s.Host.Start, s.Run.Start} {
		if at.IsZero() {
			at = unix(other)
		}
	}
	check := "nmap"
	if !probed(s) {
		check = "nmap-ports"
	}
	var said Said
	for _, p := range s.Host.Ports {
		if p.State.State != "open" {
			continue
		}
		if p.ID < 1 || p.ID > 65535 || p.Protocol != "tcp" && p.Protocol != "udp" {
			continue // sctp and ip protocols are no places of an asset here
		}
		said.Observations = append(said.Observations, vedette.Observation{
			Asset: id, Port: p.ID, Proto: p.Protocol, Check: check, At: at, Fact: serviceFact(p.Service),
		})
	}
	said.Observations = append(said.Observations, systemSeen(s.Host, id, check, at)...)
	said.Observations = append(said.Observations, namesSeen(s.Host, id, at)...)
	said.Coverage, err = lookedAt(s, id, check, at)
	return said, err
}

// probed says whether versions were looked for. A scan of ports alone sees the
// port and nothing of the software: it is another check, so that it does not
// close what a version scan saw.
func probed(s scannedHost) bool {
	for arg := range strings.FieldsSeq(s.Run.Args) {
		if strings.HasPrefix(arg, "-sV") || arg == "-A" || strings.HasPrefix(arg, "-sC") && strings.Contains(arg, "V") {
			return true
		}
	}
	for _, p := range s.Host.Ports {
		if p.Service.Method == "probed" {
			return true
		}
	}
	return false
}

// namesSeen are the names the scan was asked for: they resolved to the host.
func namesSeen(h nmapxml.Host, id string, at time.Time) []vedette.Observation {
	var out []vedette.Observation
	seen := map[string]bool{}
	for _, n := range h.Hostnames {
		a, err := vedette.ParseAsset(n.Name)
		if n.Type != "user" || err != nil || a.Kind != vedette.NameAsset || seen[a.ID] {
			continue
		}
		seen[a.ID] = true
		out = append(out, vedette.Observation{
			Asset: a.ID, Item: id, Check: "resolves", At: at, Fact: vedette.Fact{Address: id},
		})
	}
	return out
}

// systemSeen is the operating system, where nmap knows one exact fingerprint.
// A Linux kernel is left out: the fingerprint fits many versions, and
// distributions patch theirs.
func systemSeen(h nmapxml.Host, id, check string, at time.Time) []vedette.Observation {
	var f vedette.Fact
	var exact []nmapxml.OSMatch
	for _, m := range h.OS {
		if m.Accuracy == 100 {
			exact = append(exact, m)
		}
	}
	if len(exact) != 1 {
		return nil
	}
	for _, m := range exact {
		for _, c := range m.Classes {
			for _, s := range c.CPEs {
				n, ok := parseCPE(s)
				if !ok || n[cpe.Part] != "o" || n[cpe.Product] == "linux_kernel" {
					continue
				}
				sw := vedette.Software{Vendor: n[cpe.Vendor].Text(), Product: n[cpe.Product].Text(), CPE: n.String()}
				if v := n[cpe.Version]; !v.IsAny() {
					sw.Version = v.Text()
				}
				f.Software = addSoftware(f.Software, sw)
			}
		}
	}
	if len(f.Software) == 0 {
		return nil
	}
	return []vedette.Observation{{Asset: id, Item: "os", Check: check, At: at, Fact: f}}
}

func addSoftware(list []vedette.Software, s vedette.Software) []vedette.Software {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}

// lookedAt is, per protocol, what of the scanned ports answered: a port without
// an answer ("filtered") may hide what was there before.
func lookedAt(s scannedHost, id, check string, at time.Time) ([]vedette.Coverage, error) {
	var out []vedette.Coverage
	for _, scan := range s.Run.Scans {
		if scan.Protocol != "tcp" && scan.Protocol != "udp" {
			continue
		}
		asked, err := nmapxml.Spans(scan.Services)
		if err != nil {
			return nil, refused(err)
		}
		answered, err := answeredPorts(s.Host, scan.Protocol, asked)
		if err != nil {
			return nil, refused(err)
		}
		if len(answered) > 0 {
			out = append(out, vedette.Coverage{Check: check, At: at, Asset: id, Ports: scan.Protocol + ":" + nmapxml.Format(answered)})
		}
	}
	return out, nil
}

func answeredPorts(h nmapxml.Host, proto string, asked []nmapxml.Span) ([]nmapxml.Span, error) {
	var open, silent []nmapxml.Span
	for _, p := range h.Ports {
		if p.Protocol != proto {
			continue
		}
		one := nmapxml.Span{From: p.ID, To: p.ID}
		if p.State.State == "open" || p.State.State == "closed" {
			open = append(open, one)
		} else {
			silent = append(silent, one)
		}
	}
	for _, e := range h.Extra {
		if e.State == "closed" || e.State == "open" {
			continue
		}
		named := false
		for _, r := range e.Reasons {
			if r.Ports == "" || r.Protocol != "" && r.Protocol != proto {
				named = named || r.Ports != ""
				continue
			}
			spans, err := nmapxml.Spans(r.Ports)
			if err != nil {
				return nil, err
			}
			named = true
			silent = append(silent, spans...)
		}
		if !named { // which ports were silent is not said: only the listed ones are sure
			return nmapxml.Within(asked, nmapxml.Join(open)), nil
		}
	}
	return nmapxml.Minus(asked, nmapxml.Join(silent)), nil
}

// serviceFact is what a service showed.
func serviceFact(s nmapxml.Service) vedette.Fact {
	f := vedette.Fact{Service: strings.ToLower(s.Name), TLS: s.Tunnel == "ssl"}
	if f.Service == "https" && s.Method == "table" {
		f.TLS = false // by the port number alone
	}
	var parts []string
	for _, p := range []string{s.Product, s.Version, s.Extra} {
		if p = strings.TrimSpace(p); p != "" {
			parts = append(parts, p)
		}
	}
	f.Banner = printable(clip(strings.Join(parts, " "), maxBanner))
	f.Software = serviceSoftware(s)
	return f
}

// printable replaces what a terminal would act on.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '?'
		}
		return r
	}, s)
}

// serviceSoftware is the product nmap names, with its CPE name, and what
// further CPE names of applications it gives.
func serviceSoftware(s nmapxml.Service) []vedette.Software {
	main := vedette.Software{Product: printable(clip(strings.TrimSpace(s.Product), 200))}
	main.Version, main.Distro, main.PackageVersion = packaged(strings.TrimSpace(s.Version), s.Extra)
	var out []vedette.Software
	named := false
	for _, c := range s.CPEs {
		n, ok := parseCPE(c)
		if !ok || n[cpe.Part] == "o" && (n[cpe.Version].IsAny() || main.Product != "") {
			continue
		}
		sw := vedette.Software{Vendor: n[cpe.Vendor].Text(), Product: n[cpe.Product].Text()}
		if v := n[cpe.Version]; !v.IsAny() {
			sw.Version = v.Text()
			if u := n[cpe.Update]; !u.IsAny() && u != cpe.NA {
				sw.Version += " " + u.Text()
			}
		}
		if !named { // the first is of the product itself
			named = true
			if main.Version != "" {
				sw.Version = main.Version
				n[cpe.Version], n[cpe.Update] = cpe.Literal(main.Version), cpe.Any
			}
			sw.Distro, sw.PackageVersion = main.Distro, main.PackageVersion
			if epoch, ok := epochs[sw.Product]; ok && sw.PackageVersion != "" {
				sw.PackageVersion = epoch + sw.PackageVersion
			}
		}
		sw.CPE = n.String()
		out = addSoftware(out, sw)
	}
	if !named && main.Product != "" {
		out = append([]vedette.Software{main}, out...)
	}
	return out
}

// epochs are those of Debian packages whose banner shows the package revision.
var epochs = map[string]string{"openssh": "1:", "mariadb": "1:"}

var (
	// OpenSSH shows "8.4p1 Debian 5+deb11u3" and "8.2p1 Ubuntu 4ubuntu0.5".
	revision = regexp.MustCompile(`^(\S+) (Debian|Ubuntu|Raspbian)[- ](\d[\w.+~]*)$`)
	release  = regexp.MustCompile(`(?:\+|~)deb(\d{1,2})u\d+|~bpo(\d{1,2})\+`)
	// MariaDB shows "5.5.5-10.5.15-MariaDB-0+deb11u1"; 5.5.5 is a courtesy to old clients.
	mariadb  = regexp.MustCompile(`^(?:5\.5\.5-)?(\d+\.\d+\.\d+)-MariaDB(?:-([\w.+~]+))?`)
	distro   = regexp.MustCompile(`(?i)\b(Debian|Ubuntu|Raspbian|CentOS|Red Hat|Fedora|SUSE|openSUSE|Amazon|Alpine|FreeBSD)\b`)
	backport = regexp.MustCompile(`(\d[\w.+~:]*-[\w.+~]*deb(\d{1,2})u\d+)`)
)

// packaged tells the upstream version from what the packaging adds to it.
func packaged(version, extra string) (upstream, family, pkg string) {
	if m := revision.FindStringSubmatch(version); m != nil {
		family = strings.ToLower(m[2])
		if r := release.FindStringSubmatch(m[3]); r != nil {
			family += ":" + r[1] + r[2]
		}
		return m[1], family, m[1] + "-" + m[3]
	}
	if m := mariadb.FindStringSubmatch(version); m != nil {
		if r := release.FindStringSubmatch(m[2]); r != nil {
			return m[1], "debian:" + r[1] + r[2], m[1] + "-" + m[2]
		}
		return m[1], "", ""
	}
	if m := backport.FindStringSubmatch(version); m != nil {
		upstream, _, _ = strings.Cut(m[1], "-")
		return upstream, "debian:" + m[2], m[1]
	}
	for _, s := range []string{version, extra} {
		if m := distro.FindStringSubmatch(s); m != nil {
			family = strings.ReplaceAll(strings.ToLower(m[1]), " ", "")
			if r := release.FindStringSubmatch(s); r != nil {
				family += ":" + r[1] + r[2]
			}
			if s == version {
				version, _, _ = strings.Cut(version, " ")
			}
			break
		}
	}
	return version, family, ""
}
