package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/compose"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/deliver"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/store"
)

// postman sends what the outbox owes: mails through the relay, the rest to
// webhooks.
type postman struct {
	store *store.Store
	sys   *store.System
	conf  config.Mail
	mail  *deliver.Mail // nil without a relay: mails wait
	rest  time.Time     // until then the relay is left alone
	hooks []config.Webhook
	open  func(config.Webhook) (deliver.Hook, error)
}

// newPostman makes the postman of a configuration.
func newPostman(s *store.Store, conf config.Config, lab bool) *postman {
	p := &postman{store: s, sys: s.System(), conf: conf.Mail, hooks: conf.Webhooks}
	d := safe.NewDialer(lab, conf.Mail.Relay)
	client := safe.Client(d.Public, hookTime, nil)
	p.open = func(h config.Webhook) (deliver.Hook, error) {
		if !lab && !strings.HasPrefix(h.URL, "https://") {
			return deliver.Hook{}, vedette.Refused("webhook %s: its address is not https", h.Name)
		}
		hook := deliver.Hook{URL: h.URL, Client: client}
		for _, ref := range [][2]string{{h.SecretFile, h.SecretEnv}, {h.OldSecretFile, h.OldSecretEnv}} {
			if ref[0] == "" && ref[1] == "" {
				continue
			}
			text, err := config.Secret(ref[0], ref[1])
			if err != nil {
				return hook, err
			}
			secret, err := deliver.ParseSecret(text)
			if err != nil {
				return hook, fmt.Errorf("%s%s: %w", ref[0], ref[1], err)
			}
			hook.Secrets = append(hook.Secrets, secret)
		}
		return hook, nil
	}
	if conf.Mail.Relay != "" {
		_, domain, _ := strings.Cut(conf.Mail.From, "@")
		p.mail = &deliver.Mail{Relay: conf.Mail.Relay, From: conf.Mail.From, HELO: domain, TLS: conf.Mail.TLS, Timeout: cmp.Or(time.Duration(conf.Mail.Timeout), 20*time.Second), Dial: d.Operator,
			User: conf.Mail.User, Password: func() ([]byte, error) { return config.Secret(conf.Mail.PasswordFile, conf.Mail.PasswordEnv) }}
	}
	return p
}

const (
	hookTime = 15 * time.Second // for one try of a webhook
	restTime = 30 * time.Second // how long a relay that does not work is left alone
	mailsNow = 50               // mails of one pass
	hooksNow = 500              // messages to webhooks of one pass
	hookSide = 8                // webhooks that are told side by side
)

// deliver takes the steps that are due and sends what is owed.
func (p *postman) deliver(ctx context.Context) error {
	if _, err := p.sys.Remind(ctx, p.sys.Now()); err != nil {
		return err
	}
	mails := make(chan error, 1)
	go func() { mails <- p.sendMails(ctx) }()
	return errors.Join(p.callHooks(ctx), <-mails)
}

// sendMails sends the mails that are due. One that fails holds no other up, but
// for a relay that does not work: then all wait, and none counts a try.
func (p *postman) sendMails(ctx context.Context) error {
	now := p.sys.Now()
	if p.mail == nil || now.Before(p.rest) {
		return nil
	}
	owed, err := p.sys.Owed(ctx, now, false, mailsNow)
	if err != nil {
		return err
	}
	for _, o := range owed {
		ok, err := p.sys.Begin(ctx, o)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		msg, note := p.message(ctx, o)
		x := outcome(p.mail.Send(ctx, msg))
		x.Note = note
		if err := p.sys.Sent(context.WithoutCancel(ctx), o, x); err != nil {
			return err
		}
		if x.NotSent {
			p.rest = p.sys.Now().Add(restTime)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// outcome is what an error of deliver means to the outbox.
func outcome(err error) store.Outcome {
	if err == nil {
		return store.Outcome{}
	}
	x := store.Outcome{Failure: err.Error(), ForGood: errors.Is(err, deliver.ErrForGood), Unsure: errors.Is(err, deliver.ErrUnsure), NotSent: errors.Is(err, deliver.ErrWay)}
	var no *deliver.Refusal
	if errors.As(err, &no) {
		x.After = no.After
	}
	return x
}

// letter is what a message says in clear.
func (p *postman) letter(o store.Owed) deliver.Letter {
	return deliver.Letter{Reason: o.Reason, Number: o.Number, Version: o.Version, Level: o.Level, Marking: o.Marking, Deadline: o.Deadline, Made: o.Made,
		Link: strings.TrimSuffix(p.conf.Base, "/") + "/a/" + o.Token, From: p.conf.From}
}

// message is the mail of a message of the outbox: with the whole edition for a
// contact whose key works, and else note says why it is the link alone.
func (p *postman) message(ctx context.Context, o store.Owed) (m deliver.Message, note string) {
	_, domain, _ := strings.Cut(p.conf.From, "@")
	l := p.letter(o)
	m = deliver.Message{To: o.Contact, Subject: l.Subject(), Text: l.Text(), ID: messageID(o) + "@" + domain, Date: p.sys.Now()}
	var err error
	if m.Sealed, err = p.seal(ctx, o, l); err != nil {
		note = "the link alone: " + err.Error()
	}
	return m, note
}

// seal encrypts the edition to the contact of a message; nil when the contact
// has no key. RED goes to persons, and a mailbox is none.
func (p *postman) seal(ctx context.Context, o store.Owed, l deliver.Letter) (*deliver.Sealed, error) {
	sc, err := p.store.As(ctx, recipient(o.Constituent)) // its walls, as when the edition was made
	if err != nil || o.Reason == vedette.ReasonWithdrawal {
		return nil, err
	}
	c, err := sc.Constituent(ctx, o.Constituent)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(c.Contacts, func(x vedette.Contact) bool { return x.Email == o.Contact && x.OpenPGP+x.SMIME != "" })
	if i < 0 {
		return nil, nil
	}
	if o.Marking.TLP == vedette.TLPRed {
		return nil, vedette.Refused("TLP:RED goes into no mailbox")
	}
	text, err := editionText(ctx, sc, o)
	if err != nil {
		return nil, err
	}
	return deliver.Seal(l.Above()+text, c.Contacts[i], p.sys.Now())
}

// editionText is the edition of a message as text.
func editionText(ctx context.Context, sc *store.Scoped, o store.Owed) (string, error) {
	p, err := sc.Publication(ctx, o.Number)
	if err != nil {
		return "", err
	}
	es, err := sc.Editions(ctx, p.ID)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(es, func(e vedette.Edition) bool { return e.Constituent == o.Constituent && e.Version == o.Version })
	if i < 0 {
		return "", vedette.NotFound("version %d of %s for %s", o.Version, o.Number, o.Constituent)
	}
	a, err := editionOf(p, es[i], es, nil)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = a.Write(&b, compose.Markdown)
	return b.String(), err
}

// messageID is the same for every try, and tells nothing of the link.
func messageID(o store.Owed) string {
	h := sha256.Sum256([]byte("message " + o.Token))
	return hex.EncodeToString(h[:12])
}

// callHooks tells the webhooks what is due, several side by side and each in
// order; one that fails is left alone until the next pass.
func (p *postman) callHooks(ctx context.Context) error {
	owed, err := p.sys.Owed(ctx, p.sys.Now(), true, hooksNow)
	if err != nil || len(owed) == 0 {
		return err
	}
	gone, err := p.sys.HooksGone(ctx)
	if err != nil {
		return err
	}
	by := map[string][]store.Owed{}
	for _, o := range owed {
		name := strings.TrimPrefix(o.Contact, store.HookContact)
		by[name] = append(by[name], o)
	}
	side := make(chan struct{}, hookSide)
	done := make(chan error, len(by))
	for name, os := range by {
		side <- struct{}{}
		go func() {
			defer func() { <-side }()
			done <- p.callHook(ctx, name, gone[name], os)
		}()
	}
	for range by {
		err = errors.Join(err, <-done)
	}
	return err
}

// callHook tells one webhook; gone is its address when it said that it is gone.
func (p *postman) callHook(ctx context.Context, name, gone string, owed []store.Owed) error {
	i := slices.IndexFunc(p.hooks, func(h config.Webhook) bool { return h.Name == name })
	for _, o := range owed {
		ok, err := p.sys.Begin(ctx, o)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		var x store.Outcome
		switch {
		case i < 0 || p.hooks[i].Constituent != o.Constituent:
			x = store.Outcome{Failure: "the configuration has no such webhook of " + o.Constituent, ForGood: true}
		case gone == p.hooks[i].URL:
			x = store.Outcome{Failure: "it said that it is gone (410)", ForGood: true}
		default:
			if x, err = p.post(ctx, p.hooks[i], o); err != nil {
				return err
			}
		}
		if err := p.sys.Sent(context.WithoutCancel(ctx), o, x); err != nil {
			return err
		}
		if x.Failure != "" && !x.ForGood || ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

// post posts one message.
func (p *postman) post(ctx context.Context, h config.Webhook, o store.Owed) (store.Outcome, error) {
	hook, err := p.open(h)
	if err != nil { // the operator's to repair: the message waits
		return store.Outcome{Failure: err.Error(), NotSent: true, After: 5 * time.Minute}, nil
	}
	err = hook.Send(ctx, "msg_"+messageID(o), p.sys.Now(), p.letter(o).Event())
	var no *deliver.Refusal
	if errors.As(err, &no) && no.Status == http.StatusGone {
		if err := p.sys.HookGone(context.WithoutCancel(ctx), h.Name, h.URL); err != nil {
			return store.Outcome{}, err
		}
	}
	return outcome(err), nil
}

type publicationPublish struct {
	ID string `arg:"" name:"id" help:"Publication, by id or number; it is approved."`
}

// Help is shown by --help.
func (publicationPublish) Help() string {
	return "Examples:\n  vedette publication publish TA-2026-001\n  vedette publication receipts TA-2026-001\n\nEach edition is owed to the POC and LCO of its constituent and to its webhooks, once; `vedette serve` sends what is owed. Who got an older version gets the new one as a correction; whose edition did not change gets nothing. From TLP:AMBER up a mail holds number, level and a link to acknowledge, and nothing of the content.\n\nReminders go to POC and LCO after 50, 80 and 100 percent of the time to the deadline until the case is acknowledged; its management is told at 100 percent while the case is not closed."
}

// Run puts what is owed into the outbox.
func (c *publicationPublish) Run(r *run) error {
	conf, err := r.config()
	if err != nil {
		return err
	}
	out, err := publish(r.ctx, r.sc, c.ID, conf)
	if err != nil {
		return err
	}
	r.note("%s owed", count(out.Owed, "message"))
	for _, id := range out.Nobody {
		r.note("%s has an edition, and no contact to send it to", id)
	}
	if err := r.drain(); err != nil {
		return err
	}
	return (&publicationReceipts{ID: c.ID}).Run(r)
}

// publish owes an approved publication to contacts and webhooks.
func publish(ctx context.Context, sc *store.Scoped, id string, conf config.Config) (store.Published, error) {
	hooks := map[string][]string{}
	for _, h := range conf.Webhooks {
		hooks[h.Constituent] = append(hooks[h.Constituent], h.Name)
	}
	return sc.Publish(ctx, id, deliver.Steps(), hooks)
}

type publicationReceipts struct {
	ID  string `arg:"" name:"id" optional:"" help:"Publication, by id or number; without one, what failed or waits after a failure."`
	Log bool   `help:"Every try, with the answer."`
}

// Help is shown by --help.
func (publicationReceipts) Help() string {
	return "Examples:\n  vedette publication receipts TA-2026-001\n  vedette publication receipts TA-2026-001 --log\n  vedette publication receipts\n\nqueued waits, sent was taken by the relay or the webhook, failed needs a person, stopped is not wanted any more, acknowledged was pressed by somebody."
}

// Run lists the deliveries.
func (c *publicationReceipts) Run(r *run) error {
	if c.Log && c.ID != "" {
		return c.log(r)
	}
	ds, err := r.sc.Unsent(r.ctx, 1000)
	if c.ID != "" {
		ds, err = r.sc.Deliveries(r.ctx, c.ID)
	}
	if err != nil {
		return err
	}
	t := &table{columns: []string{"publication", "constituent", "version", "contact", "role", "reason", "state", "sent", "acknowledged", "error"}}
	for _, d := range ds {
		t.add(d, d.Publication, d.Constituent, fmt.Sprint(d.Version), d.Contact, string(d.Role), d.Reason, string(d.State), orDash(stamp(d.Sent)), orDash(stamp(d.Acked)), plain(cmp.Or(d.Error, d.Note)))
	}
	return r.print(t)
}

func (c *publicationReceipts) log(r *run) error {
	as, err := r.sc.Tries(r.ctx, c.ID)
	if err != nil {
		return err
	}
	t := &table{columns: []string{"at", "constituent", "version", "contact", "reason", "try", "answer"}}
	for _, a := range as {
		t.add(a, stamp(a.At), a.Constituent, fmt.Sprint(a.Version), a.Contact, a.Reason, fmt.Sprint(a.N), plain(cmp.Or(a.Answer, "none was kept")))
	}
	return r.print(t)
}

type publicationBounce struct {
	ID      string `arg:"" name:"id" help:"Publication, by id or number."`
	Contact string `help:"The address whose mail came back." required:"" placeholder:"ADDR"`
	Reason  string `help:"What the report says." required:"" placeholder:"TEXT"`
}

// Help is shown by --help.
func (publicationBounce) Help() string {
	return "Examples:\n  vedette publication bounce TA-2026-001 --contact poc@alpha.example --reason '550 no such user'\n\nReports of mail servers come into the mailbox of mail.from: whoever reads one says so here. Correct the contact, apply the constituency and publish again: the new address is owed what it does not have."
}

// Run records a bounce.
func (c *publicationBounce) Run(r *run) error {
	n, err := r.sc.Bounce(r.ctx, c.ID, c.Contact, c.Reason)
	if err != nil {
		return err
	}
	r.note("%s came back", count(n, "message"))
	return r.drain()
}

type publicationRedeliver struct {
	ID      string `arg:"" name:"id" help:"Publication, by id or number."`
	Contact string `help:"Only to this address or webhook:NAME, and when nothing failed the last message once more." placeholder:"ADDR"`
}

// Help is shown by --help.
func (publicationRedeliver) Help() string {
	return "Examples:\n  vedette publication redeliver TA-2026-001\n  vedette publication redeliver TA-2026-001 --contact webhook:alpha-soc\n\nWhat failed is owed again, with the same id, so that a receiver knows a repeat. A webhook that said it is gone is asked again."
}

// Run owes again.
func (c *publicationRedeliver) Run(r *run) error {
	n, err := r.sc.Redeliver(r.ctx, c.ID, c.Contact)
	if err != nil {
		return err
	}
	r.note("%s owed again", count(n, "message"))
	return r.drain()
}
