package store

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/vedette-hub/vedette"
)

// Receipt is what the link of a message shows: never what the edition says.
type Receipt struct {
	Number  string
	Level   string
	Version int
	Acked   time.Time
}

// Receipt finds the message of a link.
func (y *System) Receipt(ctx context.Context, token string) (r Receipt, err error) {
	r, _, err = y.receipt(reader{y.s, ctx}, token)
	return r, err
}

// receipt finds a message that left: one whose answer got lost may be there, and
// its link has to work.
func (y *System) receipt(q querier, token string) (r Receipt, k int64, err error) {
	hash := sha256.Sum256([]byte(token))
	var acked int64
	found, err := one(q, "select d.k, p.number, e.level, e.version, coalesce(d.acked_at, 0) from deliveries d join editions e on e.k = d.edition_k join publications p on p.k = e.publication_k where d.token = ? and (d.tries > 0 or d.sent_at is not null)", []any{hash[:]}, &k, &r.Number, &r.Level, &r.Version, &acked)
	if err == nil && !found {
		err = vedette.NotFound("no message has this link")
	}
	r.Acked = at(acked)
	return r, k, err
}

// Acknowledge keeps that the contact of a link acknowledged: once, and the case
// follows, which ends the reminders. A withdrawal is acknowledged for itself.
func (y *System) Acknowledge(ctx context.Context, token string) (r Receipt, err error) {
	err = y.s.update(ctx, func(t *tx) error {
		var k int64
		if r, k, err = y.receipt(t, token); err != nil || !r.Acked.IsZero() {
			return err
		}
		r.Acked = t.Now()
		var constituent, reason string
		if _, err := one(t, "select case when c.removed_at is null then c.id else '' end, d.reason from deliveries d join editions e on e.k = d.edition_k join constituents c on c.k = e.constituent_k where d.k = ?", []any{k}, &constituent, &reason); err != nil {
			return err
		}
		if _, err := t.exec("update deliveries set state = 'acknowledged', acked_at = ? where k = ?", us(r.Acked), k); err != nil {
			return err
		}
		if reason != vedette.ReasonWithdrawal {
			if _, err := t.exec("update cases set state = 'acknowledged', changed_at = ?, principal = 'link' where state in ('new', 'triaged', 'notified') and "+ofDelivery, us(r.Acked), k, k); err != nil {
				return err
			}
		}
		return t.event(vedette.Event{Principal: "link", Verb: "acknowledge", Subject: r.Number, Constituent: constituent})
	})
	return r, err
}
