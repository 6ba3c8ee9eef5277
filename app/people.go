package app

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
)

type userAdd struct {
	Name        string   `arg:"" help:"User name."`
	Role        []string `help:"Role; may be given several times." required:"" placeholder:"ROLE"`
	Constituent []string `help:"Constituent the user is bound to." placeholder:"ID"`
	Org         []string `help:"Further organisation the user speaks for." placeholder:"ID"`
}

// Run adds the user.
func (c *userAdd) Run(r *run) error {
	p := vedette.Principal{Name: c.Name, Constituents: c.Constituent, Orgs: c.Org}
	for _, role := range c.Role {
		p.Roles = append(p.Roles, vedette.Role(role))
	}
	if err := r.sc.AddUser(r.ctx, p); err != nil {
		return err
	}
	return r.drain()
}

type userList struct{}

// Run lists persons.
func (userList) Run(r *run) error {
	us, err := r.sc.Users(r.ctx)
	if err != nil {
		return err
	}
	t := &table{columns: []string{"name", "roles", "constituents", "signs in by", "created", "disabled"}}
	for _, u := range us {
		t.add(u, u.Name, joinRoles(u.Roles), strings.Join(u.Constituents, " "), proofs(u), stamp(u.Created), stamp(u.Disabled))
	}
	return r.print(t)
}

// proofs says in words how a user signs in, and that he cannot just now.
func proofs(u store.User) string {
	var words []string
	if u.Password {
		words = append(words, "password")
	}
	if u.Codes {
		words = append(words, fmt.Sprintf("code (%d recovery)", u.Recovery))
	}
	if u.Passkeys > 0 {
		words = append(words, fmt.Sprintf("%d passkeys", u.Passkeys))
	}
	if !u.Locked.IsZero() {
		words = append(words, "locked until "+stamp(u.Locked))
	}
	return strings.Join(words, ", ")
}

func joinRoles(roles []vedette.Role) string {
	s := make([]string, len(roles))
	for i, r := range roles {
		s[i] = string(r)
	}
	return strings.Join(s, " ")
}

// stamp is a time for a column, "" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04Z")
}

type userDisable struct {
	Name string `arg:"" help:"User name."`
}

// Run takes the rights away.
func (c *userDisable) Run(r *run) error {
	if err := r.sc.DisableUser(r.ctx, c.Name); err != nil {
		return err
	}
	return r.drain()
}

type tokenAdd struct {
	Name        string   `arg:"" help:"Name of the token."`
	Role        string   `help:"api, ingest or probe-worker." default:"api" placeholder:"ROLE"`
	User        string   `help:"Whose rights an api token has." placeholder:"NAME"`
	Constituent []string `help:"Constituent the token is bound to." placeholder:"ID"`
	Days        int      `help:"Days until it expires." default:"365" placeholder:"N"`
	Out         string   `help:"Write the secret to this new file instead of stdout." placeholder:"FILE"`
}

// Help is shown by --help.
func (tokenAdd) Help() string {
	return "Examples:\n  vedette token add siem --user ana --constituent alpha --days 90 --out siem.token\n  vedette token add upload --role ingest --constituent alpha"
}

// Run prints the secret, once.
func (c *tokenAdd) Run(r *run) error {
	if c.Days < 1 || c.Days > 3650 {
		return fmt.Errorf("%w: --days is 1 to 3650", errUsage)
	}
	tok := store.Token{Name: c.Name, Role: vedette.Role(c.Role), User: c.User, Constituents: c.Constituent, Expires: r.store.Now().AddDate(0, 0, c.Days)}
	out := r.out
	if c.Out != "" {
		f, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return vedette.Conflict("%w", err)
		}
		defer f.Close()
		out = f
	}
	secret, err := r.sc.AddToken(r.ctx, tok)
	if err != nil {
		if c.Out != "" {
			os.Remove(c.Out) // the empty file just made
		}
		return err
	}
	if _, err := fmt.Fprintln(out, secret); err != nil {
		return err
	}
	return r.drain()
}

type tokenList struct{}

// Run lists tokens.
func (tokenList) Run(r *run) error {
	ts, err := r.sc.Tokens(r.ctx)
	if err != nil {
		return err
	}
	t := &table{columns: []string{"name", "role", "user", "constituents", "created", "expires", "revoked", "used"}}
	for _, k := range ts {
		t.add(k, k.Name, string(k.Role), k.User, strings.Join(k.Constituents, " "), stamp(k.Created), stamp(k.Expires), stamp(k.Revoked), stamp(k.Used))
	}
	return r.print(t)
}

type tokenRevoke struct {
	Name string `arg:"" help:"Name of the token."`
}

// Run ends the token.
func (c *tokenRevoke) Run(r *run) error {
	if err := r.sc.RevokeToken(r.ctx, c.Name); err != nil {
		return err
	}
	return r.drain()
}

type auditList struct {
	Principal string `help:"Only of whoever did it." placeholder:"NAME"`
	Verb      string `help:"Only of what was done, as 'user add'." placeholder:"VERB"`
	Subject   string `help:"Only of what it was done to." placeholder:"SUBJECT"`
	Below     int64  `help:"Go on below this event." placeholder:"ID"`
	Limit     int    `help:"How many, at most; ${default} otherwise." default:"50" placeholder:"N"`
}

// Run lists events, newest first.
func (c *auditList) Run(r *run) error {
	es, err := r.sc.Events(r.ctx, store.EventFilter{Principal: c.Principal, Verb: c.Verb, Subject: c.Subject, Below: c.Below, Limit: max(1, min(c.Limit, 10_000))})
	if err != nil {
		return err
	}
	t := &table{columns: []string{"id", "at", "principal", "verb", "subject", "constituent", "reason", "detail", "hash"},
		most: map[string]int{"subject": 40, "reason": 40, "detail": 70, "hash": 12}}
	for _, e := range es {
		t.add(e, fmt.Sprint(e.ID), stamp(e.At), e.Principal, e.Verb, e.Subject, e.Constituent, e.Reason, details(e.Detail), e.Hash)
	}
	return r.print(t)
}

// details says what counts first: neither zeros nor the hash of the document,
// which -o json has.
func details(m map[string]string) string {
	var parts []string
	for _, k := range sortedKeys(m) {
		if v := m[k]; v != "" && v != "0" && k != "document" {
			parts = append(parts, k+"="+v)
		}
	}
	return strings.Join(parts, " ")
}

type auditVerify struct{}

// Run answers whether the chain holds.
func (auditVerify) Run(r *run) error {
	n, fault, err := r.sc.VerifyAudit(r.ctx)
	if err != nil {
		return err
	}
	if r.Output != "table" {
		if err := r.json(map[string]any{"sealed": n, "ok": fault == nil, "fault": fault}); err != nil {
			return err
		}
	} else if fault == nil {
		fmt.Fprintf(r.out, "%d sealed events, the chain holds\n", n)
	} else {
		fmt.Fprintf(r.out, "the chain breaks at event %d: %s\n", fault.Event, fault.Reason)
	}
	if fault != nil {
		r.status = exitNo
	}
	return nil
}
