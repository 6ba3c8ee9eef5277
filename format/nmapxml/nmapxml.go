// Package nmapxml holds the wire shape of nmap's XML output (nmap.org/book/app-nmap-dtd.html,
// nmap.dtd): the part that says what was looked at and what was seen.
package nmapxml

import (
	"cmp"
	"encoding/xml"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Run is the beginning of a report: the attributes of nmaprun and the scaninfo
// elements before the first host.
type Run struct {
	Scanner string     `json:"scanner,omitempty"`
	Args    string     `json:"args,omitempty"`
	Start   int64      `json:"start,omitempty"`
	Scans   []ScanInfo `json:"scans,omitempty"`
}

// ScanInfo says which ports were looked at.
type ScanInfo struct {
	Type     string `xml:"type,attr" json:"type,omitempty"`
	Protocol string `xml:"protocol,attr" json:"protocol"`
	Services string `xml:"services,attr" json:"services"`
}

// Host is one host element.
type Host struct {
	Start     int64      `xml:"starttime,attr" json:"start,omitempty"`
	End       int64      `xml:"endtime,attr" json:"end,omitempty"`
	TimedOut  bool       `xml:"timedout,attr" json:"timed_out,omitempty"` // given up: what it says is not all
	Status    State      `xml:"status" json:"status"`
	Addresses []Address  `xml:"address" json:"addresses"`
	Hostnames []Hostname `xml:"hostnames>hostname" json:"hostnames,omitempty"`
	Ports     []Port     `xml:"ports>port" json:"ports,omitempty"`
	Extra     []Extra    `xml:"ports>extraports" json:"extra,omitempty"`
	OS        []OSMatch  `xml:"os>osmatch" json:"os,omitempty"`
}

// State is "up", "down", "open", "filtered", ...
type State struct {
	State string `xml:"state,attr" json:"state"`
}

// Address is an address of the host: "ipv4", "ipv6" or "mac".
type Address struct {
	Addr string `xml:"addr,attr" json:"addr"`
	Type string `xml:"addrtype,attr" json:"type,omitempty"`
}

// Hostname is a name of the host: "user" as it was asked for, "PTR" as the DNS says.
type Hostname struct {
	Name string `xml:"name,attr" json:"name"`
	Type string `xml:"type,attr" json:"type,omitempty"`
}

// Port is one port listed by itself.
type Port struct {
	Protocol string  `xml:"protocol,attr" json:"protocol"`
	ID       int     `xml:"portid,attr" json:"id"`
	State    State   `xml:"state" json:"state"`
	Service  Service `xml:"service" json:"service,omitzero"`
}

// Service is what nmap believes answers.
type Service struct {
	Name    string   `xml:"name,attr" json:"name,omitempty"`
	Product string   `xml:"product,attr" json:"product,omitempty"`
	Version string   `xml:"version,attr" json:"version,omitempty"`
	Extra   string   `xml:"extrainfo,attr" json:"extra,omitempty"`
	OSType  string   `xml:"ostype,attr" json:"ostype,omitempty"`
	Tunnel  string   `xml:"tunnel,attr" json:"tunnel,omitempty"`
	Method  string   `xml:"method,attr" json:"method,omitempty"` // "table": by the port alone; "probed"
	CPEs    []string `xml:"cpe" json:"cpes,omitempty"`
}

// Extra is a number of ports in one state that are not listed one by one.
type Extra struct {
	State   string   `xml:"state,attr" json:"state"`
	Count   int      `xml:"count,attr" json:"count"`
	Reasons []Reason `xml:"extrareasons" json:"reasons,omitempty"`
}

// Reason names the ports of an Extra, in reports since nmap 7.92.
type Reason struct {
	Protocol string `xml:"proto,attr" json:"protocol,omitempty"`
	Ports    string `xml:"ports,attr" json:"ports,omitempty"`
}

// OSMatch is a guess at the operating system.
type OSMatch struct {
	Name     string    `xml:"name,attr" json:"name"`
	Accuracy int       `xml:"accuracy,attr" json:"accuracy"`
	Classes  []OSClass `xml:"osclass" json:"classes,omitempty"`
}

// OSClass is one class of a guess.
type OSClass struct {
	Vendor string   `xml:"vendor,attr" json:"vendor,omitempty"`
	Family string   `xml:"osfamily,attr" json:"family,omitempty"`
	Gen    string   `xml:"osgen,attr" json:"gen,omitempty"`
	CPEs   []string `xml:"cpe" json:"cpes,omitempty"`
}

// RunOf reads the attributes of the nmaprun element.
func RunOf(e xml.StartElement) (Run, error) {
	var r Run
	for _, a := range e.Attr {
		switch a.Name.Local {
		case "scanner":
			r.Scanner = a.Value
		case "args":
			r.Args = a.Value
		case "start":
			n, err := strconv.ParseInt(a.Value, 10, 64)
			if err != nil {
				return r, errors.New("start of nmaprun is not a number")
			}
			r.Start = n
		}
	}
	return r, nil
}

// Span is a range of ports, both ends included.
type Span struct{ From, To int }

// Spans reads "1,3-4,6"; overlapping and adjacent ones are joined.
func Spans(list string) ([]Span, error) {
	var out []Span
	for part := range strings.SplitSeq(list, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		a, b, dash := strings.Cut(part, "-")
		from, err := strconv.ParseUint(a, 10, 16)
		to := from
		if err == nil && dash {
			to, err = strconv.ParseUint(b, 10, 16)
		}
		if err != nil || to < from {
			return nil, errors.New("a list of ports is not like 1,3-4")
		}
		out = append(out, Span{int(from), int(to)})
	}
	return Join(out), nil
}

// Join sorts and joins spans.
func Join(spans []Span) []Span {
	slices.SortFunc(spans, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
	var out []Span
	for _, s := range spans {
		if n := len(out); n > 0 && s.From <= out[n-1].To+1 {
			out[n-1].To = max(out[n-1].To, s.To)
			continue
		}
		out = append(out, s)
	}
	return out
}

// Minus is what of a is not in b; both are joined.
func Minus(a, b []Span) []Span {
	var out []Span
	for _, s := range a {
		for _, t := range b {
			if t.To < s.From || t.From > s.To {
				continue
			}
			if t.From > s.From {
				out = append(out, Span{s.From, t.From - 1})
			}
			s.From = t.To + 1
		}
		if s.From <= s.To {
			out = append(out, s)
		}
	}
	return out
}

// Within is what of a is in b; both are joined.
func Within(a, b []Span) []Span { return Minus(a, Minus(a, b)) }

// Format writes spans as Spans reads them.
func Format(spans []Span) string {
	var b strings.Builder
	for i, s := range spans {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(s.From))
		if s.To > s.From {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(s.To))
		}
	}
	return b.String()
}
