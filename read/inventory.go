package read

import (
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/format/cpe"
	"github.com/vedette-hub/vedette/safe"
)

// inventory is a table of what runs where, as a constituent or its tool lists
// it: one row per software of an asset. Rows of one asset are one record, and
// the record is a look at the whole asset: software that a later table no
// longer lists is gone.
var inventory = Format{
	Name:   "inventory",
	About:  "CSV of software by asset: asset, product, version, ...",
	Spec:   "design section 6: columns asset (required) " + strings.Join(inventoryColumns[1:], ", "),
	Syntax: "CSV",
	Source: vedette.Source{
		Name: "inventory", About: "inventory of a constituent", Redistribute: "internal",
		Marking: vedette.Marking{TLP: vedette.TLPAmberStrict}, Reliability: "B", Purpose: "assets",
	},
	Sniff: func(head []byte) bool { return hasColumns(head, "asset") },
	Parse: parseInventory,
	Say:   sayInventory,
}

var inventoryColumns = []string{"asset", "constituent", "port", "proto", "service", "vendor", "product", "version", "cpe", "purl",
	"ecosystem", "distro", "package_version", "internet_facing", "seen"}

// listedAsset is the record of one asset.
type listedAsset struct {
	Asset       string       `json:"asset"`
	Constituent string       `json:"constituent,omitempty"`
	Rows        []listedItem `json:"rows,omitempty"`
	// Partial is set when a row of the asset was refused: what is missing proves nothing.
	Partial bool `json:"partial,omitempty"`
}

// listedItem is one row of an asset.
type listedItem struct {
	Port     int              `json:"port,omitempty"`
	Proto    string           `json:"proto,omitempty"`
	Service  string           `json:"service,omitempty"`
	Exposed  *bool            `json:"internet_facing,omitempty"`
	Seen     time.Time        `json:"seen,omitzero"`
	Software vedette.Software `json:"software"`
}

func parseInventory(r io.Reader, emit func(Record) error) (Document, error) {
	t, err := openTable(r, 0)
	if err != nil {
		return Document{}, err
	}
	if err := t.only(inventoryColumns...); err != nil {
		return Document{}, err
	}
	if err := t.require("asset"); err != nil {
		return Document{}, err
	}
	g := group[listedAsset]{at: map[string]int{}}
	var unknown bool // a row was refused before its asset was known
	for {
		where, row, err := t.next()
		if err == io.EOF {
			break
		}
		if bad := (rowError{}); errors.As(err, &bad) {
			unknown = true
			if err := emit(Record{Where: bad.where, Err: bad.err}); err != nil {
				return Document{}, err
			}
			continue
		}
		if err != nil {
			return Document{}, err
		}
		if err := inventoryRow(t, row, where, &g); err != nil {
			if err := emit(Record{Where: where, Err: err}); err != nil {
				return Document{}, err
			}
		}
	}
	for i := range g.all {
		g.all[i].Partial = g.all[i].Partial || unknown
		body, err := json.Marshal(g.all[i], json.Deterministic(true))
		if err != nil {
			return Document{}, err
		}
		if err := emit(Record{Where: "asset " + g.all[i].Asset, Body: body}); err != nil {
			return Document{}, err
		}
	}
	return Document{}, nil
}

// group collects values under keys, in the order of their first mention.
type group[T any] struct {
	all []T
	at  map[string]int
}

// of is the value of a key, made when it is new.
func (g *group[T]) of(key string) *T {
	i, ok := g.at[key]
	if !ok {
		i = len(g.all)
		g.at[key] = i
		g.all = append(g.all, *new(T))
	}
	return &g.all[i]
}

// inventoryRow adds one row to its asset.
func inventoryRow(t *table, row []string, where string, g *group[listedAsset]) error {
	a, err := vedette.ParseAsset(t.get(row, "asset"))
	if err != nil {
		return err
	}
	l := g.of(a.ID)
	l.Asset = a.ID
	if c := t.get(row, "constituent"); c != "" && l.Constituent != "" && c != l.Constituent {
		l.Partial = true
		return vedette.Invalid("%s: asset %s is listed for %s and for %s", where, a.ID, safe.Quote(l.Constituent), safe.Quote(c))
	} else if c != "" {
		l.Constituent = c
	}
	item, err := itemOf(t, row)
	if err != nil {
		l.Partial = true
		return vedette.Invalid("%s: %w", where, err)
	}
	if item.Software != (vedette.Software{}) || item.Service != "" {
		l.Rows = append(l.Rows, item)
	}
	return nil
}

func itemOf(t *table, row []string) (listedItem, error) {
	get := func(name string) string { return t.get(row, name) }
	item := listedItem{Service: strings.ToLower(get("service")), Proto: strings.ToLower(get("proto"))}
	s := vedette.Software{
		Vendor: get("vendor"), Product: get("product"), Version: get("version"), CPE: get("cpe"), PURL: get("purl"),
		Ecosystem: get("ecosystem"), Distro: strings.ToLower(get("distro")), PackageVersion: get("package_version"),
	}
	if s.CPE != "" {
		n, ok := parseCPE(s.CPE)
		if !ok {
			return item, vedette.Invalid("cpe %s is not a CPE name", safe.Quote(s.CPE))
		}
		s.CPE = n.String()
		fillFromCPE(&s, n)
	}
	if s.PURL != "" {
		if err := fillFromPURL(&s); err != nil {
			return item, err
		}
	}
	if s != (vedette.Software{}) && s.Product == "" {
		return item, vedette.Invalid("software without product, cpe or purl")
	}
	item.Software = s
	var err error
	if item.Exposed, err = yesNo(get("internet_facing")); err != nil {
		return item, err
	}
	if item.Seen, err = seenAt(get("seen")); err != nil {
		return item, err
	}
	if p := get("port"); p != "" {
		if item.Port, err = strconv.Atoi(p); err != nil || item.Port < 1 || item.Port > 65535 {
			return item, vedette.Invalid("port %s is not 1-65535", safe.Quote(p))
		}
		if item.Proto == "" {
			item.Proto = "tcp"
		}
	}
	if item.Port == 0 && item.Proto != "" || item.Port != 0 && item.Proto != "tcp" && item.Proto != "udp" {
		return item, vedette.Invalid("proto %s: it is tcp or udp, with a port", safe.Quote(item.Proto))
	}
	return item, nil
}

// fillFromCPE takes from a CPE name what the row left out.
func fillFromCPE(s *vedette.Software, n cpe.Name) {
	if s.Vendor == "" {
		s.Vendor = n[cpe.Vendor].Text()
	}
	if s.Product == "" {
		s.Product = n[cpe.Product].Text()
	}
	if v, u := n[cpe.Version], n[cpe.Update]; s.Version == "" && !v.IsAny() {
		s.Version = v.Text()
		if v != cpe.NA && !u.IsAny() && u != cpe.NA {
			s.Version += " " + u.Text()
		}
	}
}

func yesNo(s string) (*bool, error) {
	var b bool
	switch strings.ToLower(s) {
	case "":
		return nil, nil
	case "yes", "true", "1", "y":
		b = true
	case "no", "false", "0", "n":
	default:
		return nil, vedette.Invalid("internet_facing %s is not yes or no", safe.Quote(s))
	}
	return &b, nil
}

func seenAt(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, vedette.Invalid("seen %s is not a date or an RFC 3339 time", safe.Quote(s))
}

// sayInventory says an asset's rows. Times are zero where the table has no
// "seen": the intake's time counts then.
func sayInventory(body []byte) (Said, error) {
	var l listedAsset
	if err := json.Unmarshal(body, &l); err != nil {
		return Said{}, refused(err)
	}
	if l.Asset == "" {
		return Said{}, vedette.Invalid("no asset")
	}
	var said Said
	var last time.Time
	undated := len(l.Rows) == 0
	at := map[[2]string]int{}
	for _, r := range l.Rows {
		o := vedette.Observation{
			Asset: l.Asset, Port: r.Port, Proto: r.Proto, Item: itemKey(r.Software), Check: "inventory", At: r.Seen,
			Fact: vedette.Fact{Service: r.Service}, Exposed: r.Exposed, Constituent: l.Constituent,
		}
		if r.Software != (vedette.Software{}) {
			o.Fact.Software = []vedette.Software{r.Software}
		}
		undated = undated || r.Seen.IsZero()
		if r.Seen.After(last) {
			last = r.Seen
		}
		// the same product twice at one place is one item with both versions
		place := [2]string{strconv.Itoa(r.Port) + r.Proto, o.Item}
		if i, ok := at[place]; ok {
			merge(&said.Observations[i], o)
			continue
		}
		at[place] = len(said.Observations)
		said.Observations = append(said.Observations, o)
	}
	if undated {
		last = time.Time{}
	}
	if !l.Partial {
		said.Coverage = []vedette.Coverage{{Check: "inventory", At: last, Asset: l.Asset}}
	}
	return said, nil
}

// merge adds the software of a second row of the same item.
func merge(o *vedette.Observation, p vedette.Observation) {
	for _, s := range p.Fact.Software {
		known := false
		for _, have := range o.Fact.Software {
			known = known || have == s
		}
		if !known {
			o.Fact.Software = append(o.Fact.Software, s)
		}
	}
	if p.At.After(o.At) {
		o.At = p.At
	}
	if o.Exposed == nil || p.Exposed != nil && *p.Exposed {
		o.Exposed = p.Exposed
	}
	if o.Fact.Service == "" {
		o.Fact.Service = p.Fact.Service
	}
}

// itemKey tells one product of an asset from the others, whatever its version.
func itemKey(s vedette.Software) string {
	key := strings.ToLower(s.Product)
	if s.Vendor != "" {
		key = strings.ToLower(s.Vendor) + "/" + key
	}
	return key
}
