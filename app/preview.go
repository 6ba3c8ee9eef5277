package app

import (
	"context"
	"errors"
	"slices"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/compose"
	"github.com/vedette-hub/vedette/deliver"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/store"
)

// Preview implements face.Desk.
func (d *desk) Preview(ctx context.Context, id, constituent string, version int) (v face.Preview, err error) {
	p, e, a, err := d.edition(ctx, id, constituent, version)
	if err != nil {
		return v, err
	}
	part, err := a.Part()
	if err != nil {
		return v, err
	}
	v = face.Preview{Edition: e, Kind: part.Kind, Title: part.Title, Reader: part.Reader, HTML: part.HTML}
	alert, ok := a.(compose.Alert)
	if !ok {
		return v, nil
	}
	j, err := d.line.join(ctx, d.sc, p.Weakness)
	if errors.Is(err, vedette.ErrNotFound) {
		return v, nil // what the edition was made of is gone, or above the reader now
	}
	if err != nil {
		return v, err
	}
	v.Inputs = inputs(j, alert)
	return v, nil
}

// inputs are the statements of a join, and whether an edition has each.
func inputs(j *vedette.Join, a compose.Alert) (out []face.Input) {
	for _, s := range j.Sources {
		shown := slices.ContainsFunc(a.Sources, func(x compose.Source) bool { return x.Name == s.Name && x.Says == s.Says && x.Marking == s.Marking })
		out = append(out, face.Input{Source: s.Name, Says: s.Says, Admiralty: s.Reliability, Marking: s.Mark, Shown: shown})
	}
	return out
}

// Recipients implements face.Desk.
func (d *desk) Recipients(ctx context.Context, id string) (out []face.Recipient, err error) {
	es, err := d.sc.Editions(ctx, id)
	if err != nil {
		return nil, err
	}
	ds, err := d.sc.Deliveries(ctx, id)
	if err != nil {
		return nil, err
	}
	cs, err := d.sc.Constituents(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range cs {
		version := 0
		for _, e := range es {
			if e.Constituent == c.ID && e.State != vedette.PublicationWithdrawn {
				version = max(version, e.Version)
			}
		}
		if version > 0 {
			out = append(out, d.recipients(c, version, ds)...)
		}
	}
	return out, nil
}

// recipients are those of one edition: the contacts that the steps of 0 percent
// name, who has an older version, and webhooks (see store.Publish).
func (d *desk) recipients(c vedette.Constituent, version int, ds []vedette.Delivery) (out []face.Recipient) {
	reached, older := map[string]bool{}, map[string]vedette.ContactRole{}
	var order []string
	for _, x := range ds {
		switch {
		case x.Constituent != c.ID || x.Reason != vedette.ReasonAlert && x.Reason != vedette.ReasonCorrection:
		case x.Version == version:
			reached[x.Contact] = true
		case x.State == vedette.DeliverySent || x.State == vedette.DeliveryAcknowledged:
			if _, known := older[x.Contact]; !known {
				order = append(order, x.Contact)
			}
			older[x.Contact] = x.Role
		}
	}
	anybody := len(reached) > 0
	tell := func(contact string, role vedette.ContactRole) {
		anybody = true
		if reached[contact] {
			return
		}
		reached[contact] = true
		r := face.Recipient{Constituent: c.ID, Name: c.Name, Contact: contact, Role: role, Reason: vedette.ReasonAlert}
		if _, had := older[contact]; had {
			r.Reason = vedette.ReasonCorrection
		}
		out = append(out, r)
	}
	for _, s := range deliver.Steps() {
		for _, x := range c.Contacts {
			if s.Percent == 0 && slices.Contains(s.To, x.Role) {
				tell(x.Email, x.Role)
			}
		}
	}
	for _, contact := range order {
		if older[contact] != vedette.Webhook {
			tell(contact, older[contact])
		}
	}
	for _, h := range d.conf.Webhooks {
		if h.Constituent == c.ID {
			tell(store.HookContact+h.Name, vedette.Webhook)
		}
	}
	if !anybody {
		out = append(out, face.Recipient{Constituent: c.ID, Name: c.Name})
	}
	return out
}
