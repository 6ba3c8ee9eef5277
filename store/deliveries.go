package store

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/policy"
)

// Published is what publishing put into the outbox.
type Published struct {
	Owed   int      // messages
	Nobody []string // constituents with an edition and no contact to tell
}

// Publish puts what is owed for an approved publication into the outbox: the
// latest edition of each constituent to its contacts whom the steps of 0 percent
// name and to its webhooks, and the steps behind as reminders. Who got an older
// version of the edition gets this one as a correction; what still waited of
// the older one is stopped. What was put there before is not put there again.
func (sc *Scoped) Publish(ctx context.Context, id string, steps []vedette.Step, hooks map[string][]string) (out Published, err error) {
	if err := sc.may("publication publish"); err != nil {
		return out, err
	}
	p, k, err := sc.publication(ctx, id)
	if err != nil {
		return out, err
	}
	if p.State != vedette.PublicationApproved {
		return out, vedette.Conflict("%s is a %s: approve it first", id, p.State)
	}
	cs, err := sc.Constituents(ctx)
	if err != nil {
		return out, err
	}
	err = sc.s.update(ctx, func(t *tx) error {
		out = Published{}
		for _, c := range cs {
			e := editionAt{publication: k}
			found, err := one(t, "select e.k, e.constituent_k, e.version, coalesce(e.deadline_at, 0) from editions e join constituents c on c.k = e.constituent_k where e.publication_k = ? and c.id = ? and e.state = 'approved' order by e.version desc limit 1", []any{k, c.ID}, &e.k, &e.constituent, &e.version, &e.deadline)
			if err != nil {
				return err
			}
			if !found {
				continue
			}
			n, reached, err := t.publish(e, c, steps, hooks[c.ID])
			if err != nil {
				return err
			}
			out.Owed += n
			if reached == 0 {
				out.Nobody = append(out.Nobody, c.ID)
			}
		}
		return t.event(sc.did("publication publish", p.ID, map[string]string{"owed": itoa(int64(out.Owed))}))
	})
	return out, err
}

// editionAt is an edition by its keys.
type editionAt struct{ k, publication, constituent, version, deadline int64 }

// publish owes one edition. reached is how many have it or will.
func (t *tx) publish(e editionAt, c vedette.Constituent, steps []vedette.Step, hooks []string) (owed, reached int, err error) {
	older := []any{e.publication, e.constituent, e.version}
	const ofOlder = "edition_k in (select k from editions where publication_k = ? and constituent_k = ? and version < ?)"
	note := fmt.Sprintf("version %d replaces it", e.version)
	if _, err := t.exec("update deliveries set state = 'stopped', note = ? where state = 'queued' and "+ofOlder, append([]any{note}, older...)...); err != nil {
		return 0, 0, err
	}
	if _, err := t.exec("update reminders set state = 'stopped', note = ? where state = 'waiting' and "+ofOlder, append([]any{note}, older...)...); err != nil {
		return 0, 0, err
	}
	got := map[string]vedette.ContactRole{}
	if err := t.each("select contact, role from deliveries where "+arrived+" and "+ofOlder, older, func(scan func(...any) error) error {
		var contact string
		var role vedette.ContactRole
		err := scan(&contact, &role)
		got[contact] = role
		return err
	}); err != nil {
		return 0, 0, err
	}
	due := t.Now()
	owe := func(contact string, role vedette.ContactRole) error {
		reason := vedette.ReasonAlert
		if _, had := got[contact]; had {
			reason = vedette.ReasonCorrection
		}
		n, err := t.owe(e.k, contact, role, reason, "", due)
		owed, reached = owed+n, reached+1
		return err
	}
	to := map[string]bool{}
	tell := func(contact string, role vedette.ContactRole) error {
		if to[contact] {
			return nil
		}
		to[contact] = true
		return owe(contact, role)
	}
	for _, s := range steps {
		for _, x := range contactsOf(c, s.To) {
			if s.Percent == 0 {
				if err := tell(x.Email, x.Role); err != nil {
					return 0, 0, err
				}
			}
		}
	}
	for _, contact := range sortedStrings(got) {
		if got[contact] != vedette.Webhook { // those are told while the configuration has them
			if err := tell(contact, got[contact]); err != nil {
				return 0, 0, err
			}
		}
	}
	for _, h := range hooks {
		if err := tell(HookContact+h, vedette.Webhook); err != nil {
			return 0, 0, err
		}
	}
	if e.deadline == 0 {
		return owed, reached, nil
	}
	for _, s := range steps {
		if s.Percent == 0 {
			continue
		}
		k, err := t.reserve("reminders", 1)
		if err != nil {
			return 0, 0, err
		}
		if _, err := t.exec("insert into reminders(k, edition_k, reason, percent, roles, until_state, state, note) values (?,?,?,?,?,?,'waiting','') on conflict (edition_k, reason) do nothing",
			k, e.k, s.Reason, s.Percent, joinRoles(s.To), string(s.Until)); err != nil {
			return 0, 0, err
		}
	}
	return owed, reached, nil
}

// HookContact begins the contact of a delivery to a webhook; its name follows.
const HookContact = "webhook:"

// arrived are the deliveries that came to somebody, as far as anybody knows: an
// answer that got lost may have been a yes.
const arrived = "(state in ('sent', 'acknowledged') or unsure = 1)"

func contactsOf(c vedette.Constituent, roles []vedette.ContactRole) (out []vedette.Contact) {
	for _, x := range c.Contacts {
		if slices.Contains(roles, x.Role) {
			out = append(out, x)
		}
	}
	return out
}

func joinRoles(roles []vedette.ContactRole) string {
	var out []string
	for _, r := range roles {
		out = append(out, string(r))
	}
	return strings.Join(out, " ")
}

func sortedStrings[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// owe puts one message into the outbox, once for each reason.
func (t *tx) owe(edition int64, contact string, role vedette.ContactRole, reason string, until vedette.CaseState, due time.Time) (int, error) {
	key, err := t.linkKey()
	if err != nil {
		return 0, err
	}
	k, err := t.reserve("deliveries", 1)
	if err != nil {
		return 0, err
	}
	hash := sha256.Sum256([]byte(linkToken(key, k)))
	n, err := t.exec("insert into deliveries(k, edition_k, contact, role, reason, token, state, due_at, tries, error, note, unsure, made_at, until_state) values (?,?,?,?,?,?,'queued',?,0,'','',0,?,?) on conflict (edition_k, contact, reason) do nothing",
		k, edition, contact, string(role), reason, hash[:], us(due), us(t.Now()), string(until))
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

// takeBack stops what waits of a withdrawn publication, and owes the withdrawal
// to who got an edition of it: to each contact of each constituent once.
func (t *tx) takeBack(publication int64) error {
	const of = "edition_k in (select k from editions where publication_k = ?)"
	if _, err := t.exec("update deliveries set state = 'stopped', note = 'withdrawn' where state = 'queued' and "+of, publication); err != nil {
		return err
	}
	if _, err := t.exec("update reminders set state = 'stopped', note = 'withdrawn' where state = 'waiting' and "+of, publication); err != nil {
		return err
	}
	type whom struct {
		constituent int64
		contact     string
	}
	type what struct {
		edition int64
		role    vedette.ContactRole
	}
	last := map[whom]what{}
	var order []whom
	if err := t.each("select d.edition_k, e.constituent_k, d.contact, d.role from deliveries d join editions e on e.k = d.edition_k where e.publication_k = ? and "+arrivedOf("d")+" order by e.version, d.k", []any{publication}, func(scan func(...any) error) error {
		var w whom
		var x what
		err := scan(&x.edition, &w.constituent, &w.contact, &x.role)
		if _, known := last[w]; !known {
			order = append(order, w)
		}
		last[w] = x
		return err
	}); err != nil {
		return err
	}
	for _, w := range order {
		if _, err := t.owe(last[w].edition, w.contact, last[w].role, vedette.ReasonWithdrawal, "", t.Now()); err != nil {
			return err
		}
	}
	return nil
}

func arrivedOf(alias string) string {
	return strings.NewReplacer("state", alias+".state", "unsure", alias+".unsure").Replace(arrived)
}

// Deliveries are those of the editions that the reader sees.
func (sc *Scoped) Deliveries(ctx context.Context, id string) ([]vedette.Delivery, error) {
	_, k, err := sc.publication(ctx, id)
	if err != nil {
		return nil, err
	}
	return sc.deliveries(ctx, "e.publication_k = ?", []any{k}, "c.id, e.version, d.contact, d.k", -1)
}

// Unsent are the deliveries that failed for good, and those that wait after a
// try that failed, oldest first: what a person has to look at.
func (sc *Scoped) Unsent(ctx context.Context, limit int) ([]vedette.Delivery, error) {
	return sc.deliveries(ctx, "d.state in ('failed', 'queued') and (d.state = 'failed' or d.error <> '')", nil, "d.k", limit)
}

func (sc *Scoped) deliveries(ctx context.Context, where string, args []any, order string, limit int) ([]vedette.Delivery, error) {
	var out []vedette.Delivery
	q := "select p.number, c.id, e.version, d.contact, d.role, d.reason, d.state, d.due_at, d.tries, d.error, d.note, coalesce(d.sent_at, 0), coalesce(d.acked_at, 0) from deliveries d join editions e on e.k = d.edition_k join publications p on p.k = e.publication_k join constituents c on c.k = e.constituent_k where " + where + " and " + sc.seenEdition() + " order by " + order
	if limit >= 0 {
		q, args = q+" limit ?", append(args, limit)
	}
	err := sc.reader(ctx).each(q, args, func(scan func(...any) error) error {
		var d vedette.Delivery
		var due, sent, acked int64
		err := scan(&d.Publication, &d.Constituent, &d.Version, &d.Contact, &d.Role, &d.Reason, &d.State, &due, &d.Tries, &d.Error, &d.Note, &sent, &acked)
		d.Due, d.Sent, d.Acked = at(due), at(sent), at(acked)
		out = append(out, d)
		return err
	})
	return out, err
}

// Tally is how far the deliveries of a publication are, of the editions that the
// reader sees: first messages and corrections, and no reminders.
type Tally struct {
	Owed, Sent, Failed int // Sent counts those that were acknowledged too
	Constituents       int // that are owed one
	Acknowledged       int // constituents of which somebody pressed the button
	Drafts             int // editions that wait for approval
}

// Tallies are those of publications by their ids; one without any is left out.
func (sc *Scoped) Tallies(ctx context.Context, ids []string) (map[string]Tally, error) {
	out := map[string]Tally{}
	if len(ids) == 0 {
		return out, nil
	}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	q, of := sc.reader(ctx), sc.seenEdition()+" and p.id in (?"+strings.Repeat(",?", len(ids)-1)+") group by p.id"
	if err := q.each(`select p.id, count(*), sum(case when d.state in ('sent', 'acknowledged') then 1 else 0 end), sum(case when d.state = 'failed' then 1 else 0 end),
		count(distinct e.constituent_k), count(distinct case when d.state = 'acknowledged' then e.constituent_k end)
		from publications p join editions e on e.publication_k = p.k join deliveries d on d.edition_k = e.k
		where d.reason in ('alert', 'correction') and d.state <> 'stopped' and `+of, args, func(scan func(...any) error) error {
		var id string
		var t Tally
		err := scan(&id, &t.Owed, &t.Sent, &t.Failed, &t.Constituents, &t.Acknowledged)
		out[id] = t
		return err
	}); err != nil {
		return nil, err
	}
	return out, q.each("select p.id, count(*) from publications p join editions e on e.publication_k = p.k where e.state = 'draft' and "+of, args, func(scan func(...any) error) error {
		var id string
		var n int
		err := scan(&id, &n)
		t := out[id]
		t.Drafts = n
		out[id] = t
		return err
	})
}

// Tries are the tries of the deliveries of a publication that the reader
// sees, in order.
func (sc *Scoped) Tries(ctx context.Context, id string) ([]vedette.Try, error) {
	_, k, err := sc.publication(ctx, id)
	if err != nil {
		return nil, err
	}
	var out []vedette.Try
	err = sc.reader(ctx).each("select c.id, e.version, d.contact, d.reason, a.n, a.at, a.answer from delivery_tries a join deliveries d on d.k = a.delivery_k join editions e on e.k = d.edition_k join constituents c on c.k = e.constituent_k where e.publication_k = ? and "+sc.seenEdition()+" order by a.at, d.k, a.n", []any{k}, func(scan func(...any) error) error {
		var a vedette.Try
		var when int64
		err := scan(&a.Constituent, &a.Version, &a.Contact, &a.Reason, &a.N, &when, &a.Answer)
		a.At = at(when)
		out = append(out, a)
		return err
	})
	return out, err
}

// Bounce records by hand that a message came back: the mailbox of the hub got
// the report of a mail server (RFC 3464), and a person read it.
func (sc *Scoped) Bounce(ctx context.Context, id, contact, reason string) (n int, err error) {
	return sc.redo(ctx, "publication bounce", id, contact, reason, func(t *tx, d found) (bool, error) {
		if d.state != vedette.DeliverySent {
			return false, nil
		}
		_, err := t.exec("update deliveries set state = 'failed', unsure = 0, error = ? where k = ?", clipText("bounced: "+reason, 300), d.k)
		return err == nil, err
	})
}

// Redeliver owes again what failed, now: of a publication, or of one contact of
// it. A contact whose messages were all taken gets the last of them once more.
// A webhook that said it is gone is asked again. The message keeps its id.
func (sc *Scoped) Redeliver(ctx context.Context, id, contact string) (n int, err error) {
	return sc.redo(ctx, "publication redeliver", id, contact, "", func(t *tx, d found) (bool, error) {
		if d.state != vedette.DeliveryFailed && !(contact != "" && d.last && d.state == vedette.DeliverySent) || !d.current {
			return false, nil
		}
		if _, err := t.exec("update deliveries set state = 'queued', tries = 0, due_at = ?, error = '' where k = ?", us(t.Now()), d.k); err != nil {
			return false, err
		}
		name, hook := strings.CutPrefix(d.contact, HookContact)
		if !hook {
			return true, nil
		}
		_, err := t.exec("delete from hooks where name = ?", name)
		return err == nil, err
	})
}

// found is a delivery that a person may act on.
type found struct {
	k       int64
	contact string
	state   vedette.DeliveryState
	current bool // of the version that counts, and not taken back; a withdrawal always is
	last    bool // the contact got nothing after it
}

// redo changes deliveries of a publication for a person, each as change says.
func (sc *Scoped) redo(ctx context.Context, act policy.Act, id, contact, reason string, change func(*tx, found) (bool, error)) (n int, err error) {
	if err := sc.may(act); err != nil {
		return 0, err
	}
	p, k, err := sc.publication(ctx, id)
	if err != nil {
		return 0, err
	}
	where, args := "e.publication_k = ?", []any{k}
	if contact != "" {
		where, args = where+" and lower(d.contact) = ?", append(args, strings.ToLower(contact))
	}
	err = sc.s.update(ctx, func(t *tx) error {
		n = 0
		var ds []found
		if err := t.each("select d.k, d.contact, d.state, case when d.reason = 'withdrawal' or e.state = 'approved' and not exists (select 1 from editions n join deliveries x on x.edition_k = n.k where n.publication_k = e.publication_k and n.constituent_k = e.constituent_k and n.version > e.version) then 1 else 0 end, case when not exists (select 1 from deliveries x join editions n on n.k = x.edition_k where n.publication_k = e.publication_k and n.constituent_k = e.constituent_k and x.contact = d.contact and x.k > d.k and x.state <> 'stopped') then 1 else 0 end from deliveries d join editions e on e.k = d.edition_k where "+where+" and "+sc.seenEdition()+" order by d.k", args, func(scan func(...any) error) error {
			var d found
			var current, last int64
			err := scan(&d.k, &d.contact, &d.state, &current, &last)
			d.current, d.last = current == 1, last == 1
			ds = append(ds, d)
			return err
		}); err != nil {
			return err
		}
		for _, d := range ds {
			did, err := change(t, d)
			if err != nil {
				return err
			}
			if did {
				n++
			}
		}
		if n == 0 {
			return vedette.NotFound("a message of %s to %s of which this can be said", id, orAnybody(contact))
		}
		e := sc.did(string(act), p.ID, map[string]string{"messages": itoa(int64(n)), "contact": contact})
		e.Reason = reason
		return t.event(e)
	})
	return n, err
}

func orAnybody(contact string) string {
	if contact == "" {
		return "anybody"
	}
	return contact
}
