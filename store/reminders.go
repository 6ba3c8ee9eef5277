package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// leastTime is how long a constituent has before the last reminder when the
// deadline was over before the alert was sent.
const leastTime = 24 * time.Hour

// startReminders gives the reminders of an edition their times, once.
func (t *tx) startReminders(edition int64, from time.Time) error {
	type row struct{ k, percent, deadline int64 }
	var rows []row
	if err := t.each("select r.k, r.percent, coalesce(e.deadline_at, 0) from reminders r join editions e on e.k = r.edition_k where r.edition_k = ? and r.due_at is null and r.state = 'waiting'", []any{edition}, func(scan func(...any) error) error {
		var r row
		err := scan(&r.k, &r.percent, &r.deadline)
		rows = append(rows, r)
		return err
	}); err != nil {
		return err
	}
	for _, r := range rows {
		until := at(r.deadline)
		if !until.After(from) {
			until = from.Add(leastTime)
		}
		due := from.Add(until.Sub(from) / 100 * time.Duration(r.percent))
		if _, err := t.exec("update reminders set due_at = ? where k = ?", us(due), r.k); err != nil {
			return err
		}
	}
	return nil
}

// reminder is a step of an edition whose time has come.
type reminder struct {
	k, edition, constituent, object int64
	id, weakness                    string // of the constituent, of the object
	reason                          string
	roles                           []vedette.ContactRole
	until                           vedette.CaseState
}

// Remind puts the steps that are due into the outbox, for the contacts that the
// constituent has now. A step is not taken when the case is as far as the step
// waits for, or when a decision covers it. One contact gets one message at a
// time, that of the last step: after a week without a hub nobody gets three.
func (y *System) Remind(ctx context.Context, now time.Time) (owed int, err error) {
	var due []reminder
	if err := (reader{y.s, ctx}).each("select r.k, r.edition_k, e.constituent_k, p.object_k, c.id, o.id, r.reason, r.roles, r.until_state from reminders r join editions e on e.k = r.edition_k join publications p on p.k = e.publication_k join constituents c on c.k = e.constituent_k join objects o on o.k = p.object_k where r.state = 'waiting' and r.due_at <= ? order by r.edition_k, r.percent desc, r.k desc", []any{us(now)}, func(scan func(...any) error) error {
		var r reminder
		var roles string
		err := scan(&r.k, &r.edition, &r.constituent, &r.object, &r.id, &r.weakness, &r.reason, &roles, &r.until)
		for _, role := range strings.Fields(roles) {
			r.roles = append(r.roles, vedette.ContactRole(role))
		}
		due = append(due, r)
		return err
	}); err != nil || len(due) == 0 {
		return 0, err
	}
	cs, err := y.AllConstituents(ctx)
	if err != nil {
		return 0, err
	}
	byID := map[string]vedette.Constituent{}
	for _, c := range cs {
		byID[c.ID] = c
	}
	told := map[string]bool{}
	for i, r := range due {
		if i > 0 && due[i-1].edition != r.edition {
			clear(told)
		}
		covered, err := y.covered(ctx, r)
		if err != nil {
			return owed, err
		}
		n := 0
		if err := y.s.update(ctx, func(t *tx) (err error) {
			n, err = t.remind(r, byID[r.id], covered, told)
			return err
		}); err != nil {
			return owed, err
		}
		owed += n
	}
	return owed, nil
}

// covered says which decision makes a reminder pointless, "" for none.
func (y *System) covered(ctx context.Context, r reminder) (string, error) {
	sc, err := y.s.As(ctx, vedette.Principal{Name: "line", Roles: []vedette.Role{vedette.Lead, vedette.Analyst}})
	if err != nil {
		return "", err
	}
	cs, _, err := sc.Cases(ctx, CaseFilter{Constituent: r.id, Weakness: r.weakness, Closed: true, Covered: true, Limit: 1})
	if errors.Is(err, vedette.ErrNotFound) {
		return "", nil
	}
	if err == nil && len(cs) > 0 && cs[0].Covered != nil {
		return "a decision covers it: " + string(cs[0].Covered.Kind), nil
	}
	return "", err
}

// remind takes one step; told is who has a message of this moment already.
func (t *tx) remind(r reminder, c vedette.Constituent, why string, told map[string]bool) (owed int, err error) {
	var state vedette.CaseState
	if _, err := one(t, "select state from cases where constituent_k = ? and object_k = ?", []any{r.constituent, r.object}, &state); err != nil {
		return 0, err
	}
	if o := over(state, r.until); o != "" {
		why = o
	}
	if c.ID == "" {
		why = "the constituent left"
	}
	if why != "" {
		_, err := t.exec("update reminders set state = 'stopped', note = ? where k = ? and state = 'waiting'", why, r.k)
		return 0, err
	}
	n, err := t.exec("update reminders set state = 'done' where k = ? and state = 'waiting'", r.k)
	if err != nil || n == 0 { // another process took it, or it was stopped meanwhile
		return 0, err
	}
	contacts := contactsOf(c, r.roles)
	for _, x := range contacts {
		var without int64 // the edition itself waits, failed or was stopped: a reminder of it says nothing
		if _, err := one(t, "select count(*) from deliveries where edition_k = ? and contact = ? and reason in ('alert', 'correction') and state in ('queued', 'failed', 'stopped')", []any{r.edition, x.Email}, &without); err != nil {
			return 0, err
		}
		if without > 0 || told[x.Email] {
			continue
		}
		n, err := t.owe(r.edition, x.Email, x.Role, r.reason, r.until, t.Now())
		if err != nil {
			return 0, err
		}
		told[x.Email] = true
		owed += n
	}
	if len(contacts) == 0 {
		_, err = t.exec("update reminders set note = ? where k = ?", "nobody is "+joinRoles(r.roles), r.k)
	}
	return owed, err
}
