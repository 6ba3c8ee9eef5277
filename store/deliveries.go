package store

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/vedette-hub/vedette"
)

// Publish puts what is owed for an approved publication into the outbox: its
// latest editions, each to the contacts of its constituent that are told of
// alerts. What was put there before is not put there again.
func (sc *Scoped) Publish(ctx context.Context, id string, roles []vedette.ContactRole) (owed int, err error) {
	if err := sc.may("publication publish"); err != nil {
		return 0, err
	}
	p, k, err := sc.publication(ctx, id)
	if err != nil {
		return 0, err
	}
	if p.State != vedette.PublicationApproved {
		return 0, vedette.Conflict("%s is a %s: approve it first", id, p.State)
	}
	cs, err := sc.Constituents(ctx)
	if err != nil {
		return 0, err
	}
	err = sc.s.update(ctx, func(t *tx) error {
		for _, c := range cs {
			var edition int64
			found, err := one(t, "select e.k from editions e join constituents c on c.k = e.constituent_k where e.publication_k = ? and c.id = ? and e.state = 'approved' order by e.version desc limit 1", []any{k, c.ID}, &edition)
			if err != nil {
				return err
			}
			for _, contact := range c.Contacts {
				if !found || !slices.Contains(roles, contact.Role) {
					continue
				}
				n, err := t.owe(edition, contact, "alert", t.Now())
				if err != nil {
					return err
				}
				owed += n
			}
		}
		return t.event(sc.did("publication publish", p.ID, map[string]string{"owed": itoa(int64(owed))}))
	})
	return owed, err
}

// owe puts one message into the outbox, once for each reason.
func (t *tx) owe(edition int64, c vedette.Contact, reason string, due time.Time) (int, error) {
	key, err := t.linkKey()
	if err != nil {
		return 0, err
	}
	k, err := t.reserve("deliveries", 1)
	if err != nil {
		return 0, err
	}
	hash := sha256.Sum256([]byte(linkToken(key, k)))
	n, err := t.exec("insert into deliveries(k, edition_k, contact, role, reason, token, state, due_at, tries, error, note) values (?,?,?,?,?,?,'queued',?,0,'','') on conflict (edition_k, contact, reason) do nothing",
		k, edition, c.Email, string(c.Role), reason, hash[:], us(due))
	return int(n), err
}

const linkKeyName = "link key"

// linkKey is the secret from which the tokens of links are made, so that a
// message can be written again and none of them is kept.
func (t *tx) linkKey() (string, error) {
	var key string
	found, err := one(t, "select value from meta where name = ?", []any{linkKeyName}, &key)
	if err != nil || found {
		return key, err
	}
	b := make([]byte, 32)
	if _, err := rand.Read(b); err != nil {
		return "", err
	}
	key = hex.EncodeToString(b)
	_, err = t.exec("insert into meta(name, value) values (?, ?)", linkKeyName, key)
	return key, err
}

func linkToken(key string, k int64) string {
	m := hmac.New(sha256.New, []byte(key))
	fmt.Fprint(m, k)
	return hex.EncodeToString(m.Sum(nil)[:20])
}

// Owed is one message of the outbox with what it says.
type Owed struct {
	Key     int64
	Contact string
	Number  string
	Version int
	Level   string
	Marking vedette.Marking
	Reason  string
	Tries   int
	Token   string // of its link
}

// Owed are the messages that are due, the longest first.
func (y *System) Owed(ctx context.Context, now time.Time, limit int) ([]Owed, error) {
	q := reader{y.s, ctx}
	var key string
	if _, err := one(q, "select value from meta where name = ?", []any{linkKeyName}, &key); err != nil {
		return nil, err
	}
	var out []Owed
	var marks []int64
	if err := q.each("select d.k, d.contact, p.number, e.version, e.level, e.mark_k, d.reason, d.tries from deliveries d join editions e on e.k = d.edition_k join publications p on p.k = e.publication_k where d.state = 'queued' and d.due_at <= ? and e.state = 'approved' order by d.due_at, d.k limit ?", []any{us(now), limit}, func(scan func(...any) error) error {
		var o Owed
		var mark int64
		err := scan(&o.Key, &o.Contact, &o.Number, &o.Version, &o.Level, &mark, &o.Reason, &o.Tries)
		o.Token = linkToken(key, o.Key)
		out, marks = append(out, o), append(marks, mark)
		return err
	}); err != nil {
		return nil, err
	}
	for i, k := range marks {
		var err error
		if out[i].Marking, err = y.s.marking(q, k); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// maxTries is how often a message is tried before a person has to act.
const maxTries = 8

// Sent keeps what became of a message: nil is sent; an error is tried again
// later and later, unless it is for good.
func (y *System) Sent(ctx context.Context, o Owed, failure error, forGood bool) error {
	return y.s.update(ctx, func(t *tx) error {
		now := t.Now()
		if failure == nil {
			if _, err := t.exec("update deliveries set state = 'sent', sent_at = ?, tries = tries + 1, error = '' where k = ? and state = 'queued'", us(now), o.Key); err != nil {
				return err
			}
			_, err := t.exec("update cases set state = 'notified', changed_at = ?, principal = 'line' where state in ('new', 'triaged') and "+ofDelivery, us(now), o.Key, o.Key)
			return err
		}
		state, due := vedette.DeliveryQueued, now.Add(time.Minute<<min(o.Tries, 10))
		if forGood || o.Tries+1 >= maxTries {
			state = vedette.DeliveryFailed
		}
		_, err := t.exec("update deliveries set state = ?, due_at = ?, tries = tries + 1, error = ? where k = ? and state = 'queued'", string(state), us(due), clipText(failure.Error(), 300), o.Key)
		return err
	})
}

// ofDelivery is the case that a delivery tells of.
const ofDelivery = "constituent_k = (select e.constituent_k from deliveries d join editions e on e.k = d.edition_k where d.k = ?) and object_k = (select p.object_k from deliveries d join editions e on e.k = d.edition_k join publications p on p.k = e.publication_k where d.k = ?)"

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

func (y *System) receipt(q querier, token string) (r Receipt, k int64, err error) {
	hash := sha256.Sum256([]byte(token))
	var acked int64
	found, err := one(q, "select d.k, p.number, e.level, e.version, coalesce(d.acked_at, 0) from deliveries d join editions e on e.k = d.edition_k join publications p on p.k = e.publication_k where d.token = ? and d.state <> 'queued'", []any{hash[:]}, &k, &r.Number, &r.Level, &r.Version, &acked)
	if err == nil && !found {
		err = vedette.NotFound("no message has this link")
	}
	r.Acked = at(acked)
	return r, k, err
}

// Acknowledge keeps that the contact of a link acknowledged: once, and the case follows.
func (y *System) Acknowledge(ctx context.Context, token string) (r Receipt, err error) {
	err = y.s.update(ctx, func(t *tx) error {
		var k int64
		if r, k, err = y.receipt(t, token); err != nil || !r.Acked.IsZero() {
			return err
		}
		r.Acked = t.Now()
		if _, err := t.exec("update deliveries set state = 'acknowledged', acked_at = ? where k = ?", us(r.Acked), k); err != nil {
			return err
		}
		if _, err := t.exec("update cases set state = 'acknowledged', changed_at = ?, principal = 'link' where state in ('new', 'triaged', 'notified') and "+ofDelivery, us(r.Acked), k, k); err != nil {
			return err
		}
		var constituent string
		if _, err := one(t, "select c.id from deliveries d join editions e on e.k = d.edition_k join constituents c on c.k = e.constituent_k where d.k = ?", []any{k}, &constituent); err != nil {
			return err
		}
		return t.event(vedette.Event{Principal: "link", Verb: "acknowledge", Subject: r.Number, Constituent: constituent})
	})
	return r, err
}

// Deliveries are those of the editions that the reader sees.
func (sc *Scoped) Deliveries(ctx context.Context, id string) ([]vedette.Delivery, error) {
	p, k, err := sc.publication(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []vedette.Delivery
	err = sc.reader(ctx).each("select c.id, e.version, d.contact, d.role, d.reason, d.state, d.due_at, d.tries, d.error, coalesce(d.sent_at, 0), coalesce(d.acked_at, 0) from deliveries d join editions e on e.k = d.edition_k join constituents c on c.k = e.constituent_k where e.publication_k = ? and "+sc.seenEdition()+" order by c.id, e.version, d.contact, d.k", []any{k}, func(scan func(...any) error) error {
		d := vedette.Delivery{Publication: p.Number}
		var due, sent, acked int64
		err := scan(&d.Constituent, &d.Version, &d.Contact, &d.Role, &d.Reason, &d.State, &due, &d.Tries, &d.Error, &sent, &acked)
		d.Due, d.Sent, d.Acked = at(due), at(sent), at(acked)
		out = append(out, d)
		return err
	})
	return out, err
}
