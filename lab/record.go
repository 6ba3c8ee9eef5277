package lab

import (
	"encoding/json"
	"strconv"

	"github.com/vedette-hub/vedette"
)

// The formats of read whose records a survey consists of.
const (
	Inventory = "inventory"
	Nmap      = "nmap"
)

// Formats are the formats of the records of a survey.
var Formats = []string{Inventory, Nmap}

// Survey gives the records of one constituent's assets on the day, in one of
// the formats. A body is valid until emit returns.
func (w *World) Survey(constituent int, format string, emit func(body []byte) error) error {
	var body []byte
	for i := w.first[constituent]; i < w.first[constituent+1]; i++ {
		h := &w.hosts[i]
		if h.scanned != (format == Nmap) {
			continue
		}
		if body = body[:0]; h.scanned {
			body = w.scan(body, h)
		} else {
			body = w.list(body, h, w.Constituents[constituent].ID)
		}
		if err := emit(body); err != nil {
			return err
		}
	}
	return nil
}

// list is the inventory's record of a host.
func (w *World) list(b []byte, h *host, constituent string) []byte {
	b = append(b, `{"asset":"`...)
	b = append(b, h.id...)
	b = append(b, `","constituent":"`...)
	b = append(b, constituent...)
	b = append(b, `","rows":[`...)
	first := true
	for _, s := range h.services {
		if s.gone {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, '{')
		if s.port != 0 {
			b = append(b, `"port":`...)
			b = strconv.AppendUint(b, uint64(s.port), 10)
			b = append(b, `,"proto":"tcp",`...)
		}
		switch h.exposed {
		case 1:
			b = append(b, `"internet_facing":true,`...)
		case 0:
			b = append(b, `"internet_facing":false,`...)
		}
		b = append(append(b, w.part(s, false)...), '}')
	}
	return append(b, "]}"...)
}

// scannedPorts is what a survey looks at: all of TCP.
const scannedPorts = "1-65535"

// scan is the scanner's record of a host.
func (w *World) scan(b []byte, h *host) []byte {
	at := strconv.FormatInt(w.Time().Unix(), 10)
	b = append(b, `{"run":{"scanner":"nmap","args":"nmap -sV -p-","start":`...)
	b = append(b, at...)
	b = append(b, `,"scans":[{"protocol":"tcp","services":"`+scannedPorts+`"}]},"host":{"end":`...)
	b = append(b, at...)
	b = append(b, `,"status":{"state":"up"},"addresses":[{"addr":"`...)
	b = append(b, h.id...)
	b = append(b, `","type":"ipv`...)
	if h.is4 {
		b = append(b, `4"}]`...)
	} else {
		b = append(b, `6"}]`...)
	}
	if h.name != "" {
		b = append(b, `,"hostnames":[{"name":"`...)
		b = append(append(b, h.name...), `","type":"user"}]`...)
	}
	b = append(b, `,"ports":[`...)
	first := true
	for _, s := range h.services {
		if s.gone {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, `{"protocol":"tcp","id":`...)
		b = strconv.AppendUint(b, uint64(s.port), 10)
		b = append(b, `,"state":{"state":"open"},`...)
		b = append(append(b, w.part(s, true)...), '}')
	}
	return append(b, `]}}`...)
}

// part is what tells the text of a service apart from others.
type part struct {
	product, version uint16
	form             form
	scanned          bool
}

// part is the text of what a service shows; thousands of hosts share it.
func (w *World) part(s service, scanned bool) []byte {
	k := part{s.product, s.version, s.form, scanned}
	text, ok := w.parts[k]
	if !ok {
		if scanned {
			text = w.products[s.product].banner(s)
		} else {
			text = w.products[s.product].row(s)
		}
		w.parts[k] = text
	}
	return text
}

// row is the software of an inventory's row, without braces.
func (p *Product) row(s service) []byte {
	sw := vedette.Software{Vendor: p.Vendor, Product: p.Product}
	switch s.form {
	case full:
		sw.Version = p.Versions[s.version]
		if p.CPE != "" {
			sw.CPE = p.CPE + ":" + sw.Version + ":*:*:*:*:*:*:*"
		}
	case named:
		sw.Version = p.Versions[s.version]
	case debian:
		d := p.Debian[s.version]
		sw = vedette.Software{Product: d.Source, Version: d.Version, Ecosystem: "Debian:" + d.Release}
	case unknown:
		sw = vedette.Software{}
	}
	return inner(struct {
		Service  string           `json:"service,omitempty"`
		Software vedette.Software `json:"software"`
	}{p.Service, sw})
}

// banner is the service as a scanner shows it, without braces.
func (p *Product) banner(s service) []byte {
	type shown struct {
		Name    string   `json:"name,omitempty"`
		Product string   `json:"product,omitempty"`
		Version string   `json:"version,omitempty"`
		Extra   string   `json:"extra,omitempty"`
		Method  string   `json:"method,omitempty"`
		CPEs    []string `json:"cpes,omitempty"`
	}
	v := shown{Name: p.Service, Product: p.Banner, Method: "probed"}
	if v.Name == "" {
		v.Name = "http"
	}
	if v.Product == "" {
		v.Product = p.Vendor + " " + p.Product
	}
	name := ""
	if len(p.CPE) > len("cpe:2.3:") {
		name = "cpe:/" + p.CPE[len("cpe:2.3:"):]
	}
	switch s.form {
	case full:
		v.Version = p.Versions[s.version]
		if name != "" {
			v.CPEs = []string{name + ":" + v.Version}
		}
	case named:
		v.Version = p.Versions[s.version]
	case debian:
		d := p.Debian[s.version]
		v.Version = d.Banner
		if d.Banner == d.Version || len(d.Banner) < 8 {
			v.Extra = "Debian"
		}
		if name != "" {
			v.CPEs = []string{name}
		}
	case bare:
		if name != "" {
			v.CPEs = []string{name}
		}
	case unknown:
		v = shown{Name: "unknown", Method: "table"}
	}
	return inner(struct {
		Service shown `json:"service"`
	}{v})
}

// inner is the JSON of an object without its braces.
func inner(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts and numbers only
	}
	return text[1 : len(text)-1]
}
