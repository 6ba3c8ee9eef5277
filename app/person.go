package app

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/collect"
	"github.com/vedette-hub/vedette/read"
)

// state takes a person's statement in as a small document of the source
// person:NAME, and lets the line work.
func (r *run) state(p read.Person, marking vedette.Marking) error {
	p.By = r.p.Name
	if p.At.IsZero() {
		p.At = r.store.Now()
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	own, err := r.owner()
	if err != nil {
		return err
	}
	doc, err := collect.Spool(bytes.NewReader(append(text, '\n')))
	if err != nil {
		return err
	}
	src := &importCmd{Source: "person:" + r.p.Name}
	order := collect.Order{Desk: storeDesk{r.sc, own}, Format: "person", Source: src.source(marking), Marking: marking, Constituent: p.Constituent, Now: r.store.Now}
	res, err := order.Document(r.ctx, p.Statement+" by "+r.p.Name, doc)
	if err != nil {
		return err
	}
	if len(res.Refused) > 0 {
		return vedette.Invalid("%s", res.Refused[0].Why)
	}
	return r.drain()
}

type findingAdd struct {
	Weakness    string    `arg:"" help:"CVE-YYYY-NNNN, CWE-N or check:NAME."`
	Asset       string    `arg:"" help:"Name or address."`
	Constituent string    `help:"Whose asset it is, when no scope says so." placeholder:"ID"`
	Port        int       `help:"Port." placeholder:"N"`
	Proto       string    `help:"tcp or udp." default:"tcp" enum:"tcp,udp"`
	Path        string    `help:"Path on the asset." placeholder:"PATH"`
	Verdict     string    `help:"confirmed, likely or possible." default:"confirmed" enum:"confirmed,likely,possible"`
	Title       string    `help:"What it is, in a line." placeholder:"TEXT"`
	Reason      string    `help:"Why you believe it." required:"" placeholder:"TEXT"`
	Exposed     *bool     `help:"Reachable from public networks." negatable:""`
	At          time.Time `help:"When it was seen; now by default." placeholder:"TIME"`
}

// Help is shown by --help.
func (findingAdd) Help() string {
	return "Example:\n  vedette finding add check:default-password vpn.alpha.example --port 8443 --title 'Default password' --reason 'logged in with the owner on the phone'"
}

// Run states the finding.
func (c *findingAdd) Run(r *run) error {
	asset, err := vedette.ParseAsset(c.Asset)
	if err != nil {
		return err
	}
	if len(r.p.Constituents) == 1 && c.Constituent == "" {
		c.Constituent = r.p.Constituents[0]
	}
	p := read.Person{Statement: "finding", Weakness: c.Weakness, Title: c.Title, Constituent: c.Constituent, Asset: asset.ID, Port: c.Port, Path: c.Path,
		Verdict: vedette.Verdict(c.Verdict), Reason: c.Reason, Exposed: c.Exposed, At: c.At}
	if c.Port > 0 {
		p.Proto = c.Proto
	}
	id, _, err := read.WeaknessID(c.Weakness)
	if err != nil {
		return err
	}
	if err := r.state(p, vedette.Marking{}); err != nil {
		return err
	}
	return (&findingList{Weakness: id, Asset: asset.ID, Limit: 10}).Run(r.again())
}

// again is the run with what the principal may see now: a statement may have
// brought a marking that was not there before.
func (r *run) again() *run {
	if sc, err := r.store.As(r.ctx, r.p); err == nil {
		r.sc = sc
	}
	return r
}
