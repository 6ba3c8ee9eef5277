package app

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/deliver"
	"github.com/vedette-hub/vedette/face/web"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/store"
)

// told are who gets an alert: the operational contacts.
var told = []vedette.ContactRole{vedette.POC, vedette.LCO}

// postman sends what the outbox owes.
type postman struct {
	sys  *store.System
	conf config.Mail
	mail deliver.Mail
}

// newPostman is nil when the configuration names no relay: what is owed waits.
func newPostman(sys *store.System, conf config.Mail, lab bool) *postman {
	if conf.Relay == "" {
		return nil
	}
	d := safe.NewDialer(lab, conf.Relay)
	_, domain, _ := strings.Cut(conf.From, "@")
	return &postman{sys, conf, deliver.Mail{Relay: conf.Relay, From: conf.From, HELO: domain, TLS: conf.TLS, Timeout: cmp.Or(time.Duration(conf.Timeout), 20*time.Second), Dial: d.Operator}}
}

// deliver sends what is due. One message that fails holds no other up, but for
// a relay that cannot be reached: then all wait.
func (p *postman) deliver(ctx context.Context, now time.Time) error {
	owed, err := p.sys.Owed(ctx, now, 100)
	if err != nil {
		return err
	}
	for _, o := range owed {
		err := p.mail.Send(ctx, p.letter(o, now))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := p.sys.Sent(ctx, o, err, errors.Is(err, deliver.ErrForGood)); err != nil {
			return err
		}
		var unreachable *net.OpError
		if errors.As(err, &unreachable) {
			return nil
		}
	}
	return nil
}

// letter is number, level and link: from AMBER up nothing else goes through mail in clear.
func (p *postman) letter(o store.Owed, now time.Time) deliver.Message {
	_, domain, _ := strings.Cut(p.conf.From, "@")
	text := fmt.Sprintf(`Threat alert %s, version %d
Level: %s

An alert for your organisation waits at the hub. For its marking, its content
is not in this mail.

Acknowledge, and say so to those who have to act:
%s/a/%s

This mail was written by a program. Answers reach the team at %s.
`, o.Number, o.Version, o.Level, strings.TrimSuffix(p.conf.Base, "/"), o.Token, p.conf.From)
	return deliver.Message{To: o.Contact, Subject: fmt.Sprintf("[%s] Threat alert, level %s", o.Number, o.Level), Text: text,
		ID: messageID(o, domain), Date: now}
}

// messageID is the same for every try, and tells nothing of the link.
func messageID(o store.Owed, domain string) string {
	h := sha256.Sum256([]byte("message " + o.Token))
	return hex.EncodeToString(h[:12]) + "@" + domain
}

// receipts are the links of mails, for the page behind them.
type receipts struct{ sys *store.System }

// Receipt finds the message of a link.
func (r receipts) Receipt(ctx context.Context, token string) (web.Receipt, error) {
	x, err := r.sys.Receipt(ctx, token)
	return receiptOf(x), err
}

// Acknowledge keeps that somebody has it.
func (r receipts) Acknowledge(ctx context.Context, token string) (web.Receipt, error) {
	x, err := r.sys.Acknowledge(ctx, token)
	return receiptOf(x), err
}

func receiptOf(r store.Receipt) web.Receipt {
	return web.Receipt{Number: r.Number, Level: r.Level, Version: r.Version, Acked: r.Acked}
}

// listen serves the pages until the context ends.
func (h *hub) listen(ctx context.Context, addr string) (net.Addr, error) {
	pages, err := web.Handler(receipts{h.sys}, h.log)
	if err != nil {
		return nil, err
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, vedette.Conflict("cannot listen on %s: %w", addr, err)
	}
	s := &http.Server{Handler: pages, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	go func() {
		if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			h.log.Error("pages", "error", err)
		}
	}()
	context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(end); err != nil {
			s.Close()
		}
	})
	return ln.Addr(), nil
}

type publicationPublish struct {
	ID string `arg:"" name:"id" help:"Publication, by id or number; it is approved."`
}

// Help is shown by --help.
func (publicationPublish) Help() string {
	return "Examples:\n  vedette publication publish TA-2026-001\n  vedette publication receipts TA-2026-001\n\nEach edition is owed to the POC and LCO of its constituent, once; `vedette serve` sends what is owed. A mail holds number, level and a link to acknowledge, and nothing of the content."
}

// Run puts what is owed into the outbox.
func (c *publicationPublish) Run(r *run) error {
	n, err := r.sc.Publish(r.ctx, c.ID, told)
	if err != nil {
		return err
	}
	r.note("%s owed", count(n, "mail"))
	if err := r.drain(); err != nil {
		return err
	}
	return (&publicationReceipts{ID: c.ID}).Run(r)
}

type publicationReceipts struct {
	ID string `arg:"" name:"id" help:"Publication, by id or number."`
}

// Run lists the deliveries.
func (c *publicationReceipts) Run(r *run) error {
	ds, err := r.sc.Deliveries(r.ctx, c.ID)
	if err != nil {
		return err
	}
	t := &table{columns: []string{"publication", "constituent", "version", "contact", "role", "state", "sent", "acknowledged", "error"}}
	for _, d := range ds {
		t.add(d, d.Publication, d.Constituent, fmt.Sprint(d.Version), d.Contact, string(d.Role), string(d.State), orDash(stamp(d.Sent)), orDash(stamp(d.Acked)), d.Error)
	}
	return r.print(t)
}
