package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/policy"
)

// event records who did what, in the transaction of the change.
func (t *tx) event(e vedette.Event) error {
	_, err := t.recorded(e)
	return err
}

// recorded is event with the number of the record.
func (t *tx) recorded(e vedette.Event) (int64, error) {
	constituent, err := t.constituentKey(e.Constituent)
	if err != nil {
		return 0, err
	}
	if e.Detail == nil {
		e.Detail = map[string]string{}
	}
	detail, err := json.Marshal(e.Detail) // keys in order: the text is hashed
	if err != nil {
		return 0, err
	}
	k, err := t.reserve("events", 1)
	if err != nil {
		return 0, err
	}
	if _, err := t.exec("insert into events(k, at, principal, token, verb, subject, constituent_k, reason, detail) values (?,?,?,?,?,?,?,?,?)",
		k, us(t.Now()), e.Principal, e.Token, e.Verb, e.Subject, constituent, e.Reason, string(detail)); err != nil {
		return 0, err
	}
	return k, t.todo(StageSeal, false, 0)
}

// sealed is the hash of an event on top of the chain. Every field is preceded
// by its length, so no two events have one encoding.
func sealed(previous []byte, e vedette.Event, detail string) []byte {
	h := sha256.New()
	h.Write(previous)
	for _, f := range []string{fmt.Sprint(e.ID), fmt.Sprint(us(e.At)), e.Principal, e.Token, e.Verb, e.Subject, e.Constituent, e.Reason, detail} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(f)))
		h.Write(n[:])
		h.Write([]byte(f))
	}
	return h.Sum(nil)
}

const eventColumns = `events.k, events.at, events.principal, events.token, events.verb, events.subject, coalesce(constituents.id, ''), events.reason, events.detail, seals.hash
	from events left join constituents on constituents.k = events.constituent_k left join seals on seals.event_k = events.k`

func scanEvent(scan func(...any) error) (e vedette.Event, detail string, hash []byte, err error) {
	var t int64
	if err = scan(&e.ID, &t, &e.Principal, &e.Token, &e.Verb, &e.Subject, &e.Constituent, &e.Reason, &detail, &hash); err != nil {
		return e, "", nil, err
	}
	e.At, e.Hash = at(t), hex.EncodeToString(hash)
	return e, detail, hash, json.Unmarshal([]byte(detail), &e.Detail)
}

// seal chains the events that are not sealed yet, in the order of their keys.
// Keys are given under a lock that is held until the commit, so none appears
// below a sealed one.
func (s *Store) seal(ctx context.Context) error {
	return s.update(ctx, func(t *tx) error {
		if _, err := t.reserve("events", 0); err != nil {
			return err
		}
		var previous []byte
		var last int64
		if _, err := one(t, "select event_k, hash from seals order by event_k desc limit 1", nil, &last, &previous); err != nil {
			return err
		}
		w := t.bulk("seals", "event_k, hash", "")
		if err := t.each("select "+eventColumns+" where events.k > ? order by events.k", []any{last}, func(scan func(...any) error) error {
			e, detail, _, err := scanEvent(scan)
			if err != nil {
				return err
			}
			previous = sealed(previous, e, detail)
			w.args, w.rows = append(w.args, e.ID, previous), w.rows+1
			return nil
		}); err != nil {
			return err
		}
		return w.rest()
	})
}

// AuditFault is the first place where the chain does not hold.
type AuditFault struct {
	Event  int64
	Reason string
}

// VerifyAudit recomputes the chain of events and returns how many are sealed
// and where the chain first breaks, if it does.
func (sc *Scoped) VerifyAudit(ctx context.Context) (sealedEvents int, fault *AuditFault, err error) {
	if err := sc.may("audit verify"); err != nil {
		return 0, nil, err
	}
	var previous []byte
	open := false
	var expect int64 = 1
	err = sc.s.each(ctx, "select "+eventColumns+" order by events.k", nil, func(scan func(...any) error) error {
		e, detail, hash, err := scanEvent(scan)
		if err != nil || fault != nil {
			return err
		}
		switch {
		case e.ID != expect:
			fault = &AuditFault{e.ID, fmt.Sprintf("event %d is missing", expect)}
		case len(hash) == 0:
			open = true
		case open:
			fault = &AuditFault{e.ID, "sealed above an event that is not"}
		default:
			if previous = sealed(previous, e, detail); hex.EncodeToString(previous) != e.Hash {
				fault = &AuditFault{e.ID, "the event is not what was sealed"}
			}
			sealedEvents++
		}
		expect = e.ID + 1
		return nil
	})
	if err == nil && fault == nil {
		var seals int
		if _, err = one(reader{sc.s, ctx}, "select count(*) from seals", nil, &seals); err == nil && seals != sealedEvents {
			fault = &AuditFault{expect, "events were removed from the end of the chain"}
		}
	}
	return sealedEvents, fault, err
}

// EventFilter narrows the record; its zero value is all of it.
type EventFilter struct {
	Principal, Verb, Subject, Constituent string
	Below                                 int64 // only older ones than this event
	Limit                                 int   // 0 is 50
}

// Events are the newest events that the principal may read.
func (sc *Scoped) Events(ctx context.Context, f EventFilter) ([]vedette.Event, error) {
	if f.Below <= 0 {
		f.Below = 1<<63 - 1
	}
	q, args := "select "+eventColumns+" where events.k < ?", []any{f.Below}
	if !policy.AllAudit(sc.p) { // who is bound to constituents reads his own acts, whatever his role
		q += " and events.principal = ?"
		args = append(args, sc.p.Name)
	}
	for _, c := range []struct{ column, value string }{{"events.principal", f.Principal}, {"events.verb", f.Verb}, {"events.subject", f.Subject}, {"constituents.id", f.Constituent}} {
		if c.value != "" {
			q += " and " + c.column + " = ?"
			args = append(args, c.value)
		}
	}
	var out []vedette.Event
	err := sc.s.each(ctx, q+" order by events.k desc limit ?", append(args, cmp.Or(f.Limit, 50)), func(scan func(...any) error) error {
		e, _, _, err := scanEvent(scan)
		out = append(out, e)
		return err
	})
	return out, err
}

// EventsAfter are the events behind a key that the principal may read, the
// oldest first: keys are given under a lock that is held until the commit, so
// none appears behind one that was read.
func (sc *Scoped) EventsAfter(ctx context.Context, after int64, limit int) ([]vedette.Event, error) {
	q, args := "select "+eventColumns+" where events.k > ?", []any{after}
	if !policy.AllAudit(sc.p) {
		q, args = q+" and events.principal = ?", append(args, sc.p.Name)
	}
	var out []vedette.Event
	err := sc.reader(ctx).each(q+" order by events.k limit ?", append(args, limit), func(scan func(...any) error) error {
		e, _, _, err := scanEvent(scan)
		out = append(out, e)
		return err
	})
	return out, err
}

// LastEvent is the key of the newest event that the principal may read, 0 when there is none.
func (sc *Scoped) LastEvent(ctx context.Context) (int64, error) {
	q, args := "select coalesce(max(k), 0) from events", []any{}
	if !policy.AllAudit(sc.p) {
		q, args = q+" where principal = ?", append(args, sc.p.Name)
	}
	var k int64
	_, err := one(sc.reader(ctx), q, args, &k)
	return k, err
}
