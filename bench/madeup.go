package main

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/vedette-hub/vedette/lab"
)

// dice gives numbers from a seed.
type dice struct{ state uint64 }

func (d *dice) next() uint64 {
	d.state += 0x9e3779b97f4a7c15
	z := (d.state ^ d.state>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (d *dice) under(n int) int { return int(d.next() % uint64(n)) }

func (d *dice) uuid() string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], d.next())
	binary.BigEndian.PutUint64(b[8:], d.next())
	return fmt.Sprintf("%x-%x-4%x-a%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:16])[:36]
}

var stock = strings.Fields(`the adversary may use a command shell to run code on remote systems after access with valid accounts has been
gained and files are moved by scheduled tasks that hide behind names of services which users trust in order to collect mail archives
from servers exposed to the internet before data leaves over an encrypted channel of common web protocols`)

func (d *dice) prose(bytes int) string {
	var s strings.Builder
	for s.Len() < bytes {
		s.WriteString(stock[d.under(len(stock))])
		s.WriteByte(' ')
	}
	return strings.TrimSpace(s.String())
}

// madeUpObjects are objects with the shape of ATT&CK: four of five are
// relationships, 1.4 KB each.
func madeUpObjects(seed uint64, n int) [][]byte {
	d := &dice{seed ^ 0xa77ac}
	kinds := []struct {
		typ   string
		share int
	}{{"attack-pattern", 20}, {"malware", 18}, {"x-data-component", 12}, {"course-of-action", 12}, {"intrusion-set", 5}, {"tool", 4}, {"campaign", 2}}
	var out [][]byte
	var ids []string
	for i := range n / 5 {
		x, kind := d.under(73), ""
		for _, k := range kinds {
			if kind = k.typ; x < k.share {
				break
			}
			x -= k.share
		}
		id := kind + "--" + d.uuid()
		ids = append(ids, id)
		out = append(out, fmt.Appendf(nil, `{"type":%q,"spec_version":"2.1","id":%q,"created":"2021-03-%02dT10:00:00.000Z","modified":"2024-%02d-11T10:00:00.000Z","name":"%s %d","aliases":["Alias %d","Other %d"],"description":%q,"external_references":[{"source_name":"made-up","external_id":"X%05d","url":"https://objects.example/X%05d"}],"object_marking_refs":["marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"]}`,
			kind, id, 1+i%28, 1+i%12, kind, i, i, i, d.prose(900), i, i))
	}
	for i := len(out); i < n; i++ {
		out = append(out, fmt.Appendf(nil, `{"type":"relationship","spec_version":"2.1","id":"relationship--%s","created":"2021-03-%02dT10:00:00.000Z","modified":"2024-%02d-11T10:00:00.000Z","relationship_type":"uses","source_ref":%q,"target_ref":%q,"description":%q,"external_references":[{"source_name":"a report","description":%q,"url":"https://reports.example/%d"}],"object_marking_refs":["marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"]}`,
			d.uuid(), 1+i%28, 1+i%12, ids[d.under(len(ids))], ids[d.under(len(ids))], d.prose(650), d.prose(120), i))
	}
	return out
}

// indicatorValue is what the indicator detects.
func indicatorValue(seed uint64, i int) string {
	d := &dice{seed ^ uint64(i)<<20}
	return fmt.Sprintf("%x.h%d.example", d.next(), i)
}

// madeUpIndicators are indicators of a domain name, 684 bytes each.
func madeUpIndicators(seed uint64, n int) [][]byte {
	d := &dice{seed ^ 0x1d1ca}
	out := make([][]byte, 0, n)
	for i := range n {
		v := indicatorValue(seed, i)
		out = append(out, fmt.Appendf(nil, `{"type":"indicator","spec_version":"2.1","id":"indicator--%s","created":"2026-01-%02dT10:00:00.000Z","modified":"2026-01-%02dT10:00:00.000Z","name":%q,"description":%q,"indicator_types":["malicious-activity"],"pattern":"[domain-name:value = '%s']","pattern_type":"stix","valid_from":"2026-01-%02dT10:00:00Z","object_marking_refs":["marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9"]}`,
			d.uuid(), 1+i%28, 1+i%28, v, d.prose(200), v, 1+i%28))
	}
	return out
}

// madeUpRecords are records of vulnerabilities of the products of the lab.
func madeUpRecords(seed uint64, n int) []byte {
	d := &dice{seed ^ 0xc5e}
	products := builtinNames()
	var out []byte
	for i := range n {
		p := products[d.under(len(products))]
		v := p.versions[d.under(len(p.versions))]
		out = fmt.Appendf(out, `{"_annotation":{"cve_id":"CVE-2025-%d","published":"2025-%02d-11T00:00:00","modified":"2025-%02d-12T00:00:00"},"cve":{"descriptions":[{"lang":"en","value":%q}],"configurations":[{"nodes":[{"cpeMatch":[{"criteria":"%s:*:*:*:*:*:*:*:*","vulnerable":true,"versionEndExcluding":%q}],"operator":"OR"}]}]}}`+"\n",
			10000+i, 1+i%12, 1+i%12, d.prose(300), p.cpe, v)
	}
	return out
}

type madeUpProduct struct {
	cpe      string
	versions []string
}

// builtinNames are the products an estate runs without files.
func builtinNames() []madeUpProduct {
	var out []madeUpProduct
	for _, p := range lab.Builtin() {
		out = append(out, madeUpProduct{p.CPE, p.Versions})
	}
	return out
}
