package store

import (
	"context"
	"slices"
	"time"

	"github.com/vedette-hub/vedette"
)

// Owed is one message of the outbox with what it says.
type Owed struct {
	Key         int64
	Edition     int64
	Constituent string
	Contact     string // mail address, or HookContact and a name
	Number      string
	Version     int
	Level       string
	Marking     vedette.Marking
	Reason      string
	Deadline    time.Time // zero when no clock runs
	Made        time.Time // when it came to be owed
	Due         time.Time
	Tries       int
	Token       string // of its link
	unsure      int64
}

// Owed are the messages that are due, the longest first: mails, or those to
// webhooks.
func (y *System) Owed(ctx context.Context, now time.Time, hooks bool, limit int) ([]Owed, error) {
	q := reader{y.s, ctx}
	var key string
	if _, err := one(q, "select value from meta where name = ?", []any{linkKeyName}, &key); err != nil {
		return nil, err
	}
	not := "not "
	if hooks {
		not = ""
	}
	var out []Owed
	var marks []int64
	if err := q.each("select d.k, d.edition_k, c.id, d.contact, p.number, e.version, e.level, e.mark_k, d.reason, coalesce(e.deadline_at, 0), d.made_at, d.due_at, d.tries, d.unsure from deliveries d join editions e on e.k = d.edition_k join publications p on p.k = e.publication_k join constituents c on c.k = e.constituent_k where d.state = 'queued' and d.due_at <= ? and d.contact "+not+"like 'webhook:%' order by d.due_at, d.k limit ?", []any{us(now), limit}, func(scan func(...any) error) error {
		var o Owed
		var mark, deadline, made, due int64
		err := scan(&o.Key, &o.Edition, &o.Constituent, &o.Contact, &o.Number, &o.Version, &o.Level, &mark, &o.Reason, &deadline, &made, &due, &o.Tries, &o.unsure)
		o.Token, o.Deadline, o.Made, o.Due = linkToken(key, o.Key), at(deadline), at(made), at(due)
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

// claimed is for how long a message belongs to who began to send it: longer
// than any try takes. After a crash it is tried again behind that.
const claimed = 5 * time.Minute

// Begin claims a message before it is sent; false when it is no longer wanted
// or another process has it. From here on it may have arrived, until Sent says
// otherwise.
func (y *System) Begin(ctx context.Context, o Owed) (ok bool, err error) {
	err = y.s.update(ctx, func(t *tx) error {
		why, err := t.unwanted(o.Key)
		if err != nil {
			return err
		}
		if why != "" {
			_, err := t.exec("update deliveries set state = 'stopped', note = ? where k = ? and state = 'queued'", why, o.Key)
			return err
		}
		n, err := t.exec("update deliveries set tries = tries + 1, unsure = 1, due_at = ? where k = ? and state = 'queued' and tries = ? and due_at = ?", us(t.Now().Add(claimed)), o.Key, o.Tries, us(o.Due))
		if ok = n == 1; err != nil || !ok {
			return err
		}
		_, err = t.exec("insert into delivery_tries(delivery_k, n, at, answer) values (?, (select coalesce(max(n), 0) + 1 from delivery_tries where delivery_k = ?), ?, '')", o.Key, o.Key, us(t.Now()))
		return err
	})
	return ok, err
}

// unwanted says why a message that waits is not to be sent any more.
func (t *tx) unwanted(k int64) (why string, err error) {
	var removed int64
	var reason string
	var until, state vedette.CaseState
	if _, err := one(t, "select coalesce(c.removed_at, 0), d.reason, d.until_state, coalesce(s.state, '') from deliveries d join editions e on e.k = d.edition_k join publications p on p.k = e.publication_k join constituents c on c.k = e.constituent_k left join cases s on s.constituent_k = e.constituent_k and s.object_k = p.object_k where d.k = ?", []any{k}, &removed, &reason, &until, &state); err != nil {
		return "", err
	}
	if removed > 0 && reason != vedette.ReasonWithdrawal {
		return "the constituent left", nil
	}
	return over(state, until), nil
}

// over says why a step that is taken until a state is not taken any more; "" is
// that it is.
func over(state, until vedette.CaseState) string {
	switch {
	case until == "":
		return ""
	case state == "":
		return "there is no case"
	case slices.Index(vedette.CaseStates, state) >= slices.Index(vedette.CaseStates, until):
		return "the case is " + string(state)
	}
	return ""
}

// Outcome is what became of a try.
type Outcome struct {
	Failure string        // "" is that the message was taken
	ForGood bool          // no further try changes it
	Unsure  bool          // it may have arrived all the same
	NotSent bool          // the way there does not work: it is no try of the message
	After   time.Duration // not before, as the receiver asked
	Note    string
}

// waits are the times between tries of a message, four days in all (RFC 5321
// §4.5.4.1 wants no fewer); then a person has to act.
var waits = []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 12 * time.Hour, 24 * time.Hour, 24 * time.Hour, 24 * time.Hour}

// maxAfter is how long a receiver may ask to wait.
const maxAfter = 24 * time.Hour

// wait is how long after a failed try the next comes: with up to a fifth more,
// which differs by message, so that a thousand do not come back at once.
func wait(o Owed, after time.Duration) (time.Duration, bool) {
	if o.Tries >= len(waits) {
		return 0, false
	}
	w := waits[o.Tries]
	w += time.Duration(uint64(hash64(o.Contact+o.Reason+itoa(int64(o.Tries)))) % uint64(w/5))
	return max(w, min(after, maxAfter)), true
}

// Sent keeps what became of a try that Begin began. The reminders of an edition
// count their time from the first message of it that was sent or failed for good.
func (y *System) Sent(ctx context.Context, o Owed, x Outcome) error {
	return y.s.update(ctx, func(t *tx) error {
		if x.NotSent {
			return t.notSent(o, x)
		}
		now := t.Now()
		answer := "taken"
		if x.Failure != "" {
			answer = clipText(x.Failure, 300)
		}
		if _, err := t.exec("update delivery_tries set answer = ? where delivery_k = ? and n = (select max(n) from delivery_tries where delivery_k = ?)", answer, o.Key, o.Key); err != nil {
			return err
		}
		if x.Failure == "" {
			if _, err := t.exec("update deliveries set state = case when state in ('queued', 'stopped') then 'sent' else state end, sent_at = ?, error = '', note = ?, unsure = 0 where k = ?", us(now), x.Note, o.Key); err != nil {
				return err
			}
			return t.notified(o, now)
		}
		next, more := wait(o, x.After)
		if x.ForGood || !more {
			if _, err := t.exec("update deliveries set state = case when state = 'queued' then 'failed' else state end, error = ?, unsure = ? where k = ?", answer, max(o.unsure, boolInt(x.Unsure)), o.Key); err != nil {
				return err
			}
			return t.startReminders(o.Edition, now)
		}
		_, err := t.exec("update deliveries set due_at = ?, error = ?, unsure = ? where k = ?", us(now.Add(next)), answer, max(o.unsure, boolInt(x.Unsure)), o.Key)
		return err
	})
}

// notSent gives a message back as it was: what is wrong is not of its own.
func (t *tx) notSent(o Owed, x Outcome) error {
	if _, err := t.exec("delete from delivery_tries where delivery_k = ? and n = (select max(n) from delivery_tries where delivery_k = ?)", o.Key, o.Key); err != nil {
		return err
	}
	_, err := t.exec("update deliveries set tries = ?, due_at = ?, error = ?, unsure = ? where k = ?", o.Tries, us(o.Due.Add(min(x.After, maxAfter))), clipText(x.Failure, 300), o.unsure, o.Key)
	return err
}

// notified moves the case that an edition tells of, and begins its reminders.
func (t *tx) notified(o Owed, now time.Time) error {
	if o.Reason != vedette.ReasonAlert && o.Reason != vedette.ReasonCorrection {
		return nil
	}
	if _, err := t.exec("update cases set state = 'notified', changed_at = ?, principal = 'line' where state in ('new', 'triaged') and "+ofDelivery, us(now), o.Key, o.Key); err != nil {
		return err
	}
	return t.startReminders(o.Edition, now)
}

// ofDelivery is the case that a delivery tells of, or, of the exposure of a
// constituent (which is about no weakness in particular), all that were open then
// and are of what somebody exploits.
const ofDelivery = "constituent_k = (select e.constituent_k from deliveries d join editions e on e.k = d.edition_k where d.k = ?) and exists (select 1 from deliveries d join editions e on e.k = d.edition_k join publications p on p.k = e.publication_k where d.k = ? and (p.object_k = cases.object_k or p.object_k = 0 and cases.opened_at <= e.drafted_at and cases.object_k in (select x.object_k from exploited x where " + stands + ")))"

// HookGone keeps that a webhook said it is gone (410, RFC 9110 §15.5.11): until
// its address changes, or a person has something delivered to it again.
func (y *System) HookGone(ctx context.Context, name, url string) error {
	return y.s.update(ctx, func(t *tx) error {
		k, err := t.reserve("hooks", 1)
		if err != nil {
			return err
		}
		_, err = t.exec("insert into hooks(k, name, url, gone_at) values (?,?,?,?) on conflict (name) do update set url = excluded.url, gone_at = excluded.gone_at", k, name, url, us(t.Now()))
		return err
	})
}

// HooksGone are the addresses of webhooks that said they are gone, by name.
func (y *System) HooksGone(ctx context.Context) (map[string]string, error) {
	out := map[string]string{}
	err := reader{y.s, ctx}.each("select name, url from hooks where gone_at is not null", nil, func(scan func(...any) error) error {
		var name, url string
		err := scan(&name, &url)
		out[name] = url
		return err
	})
	return out, err
}
