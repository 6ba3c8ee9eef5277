package store

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vedette-hub/vedette"
)

// WaitingParts are the parts that nobody handed in yet, in order, after a key.
func (y *System) WaitingParts(ctx context.Context, after int64, limit int) ([]int64, error) {
	var out []int64
	err := reader{y.s, ctx}.each("select k from parts where state = 'waiting' and k > ? order by k limit ?", []any{after, limit}, collect(&out))
	return out, err
}

// Assignment is a part with what decides about it now. A part that is no longer
// wanted is Stopped.
func (y *System) Assignment(ctx context.Context, part int64) (a vedette.Assignment, err error) {
	q := reader{y.s, ctx}
	var body, constituent, state string
	var survey int64
	found, err := one(q, "select p.body, p.survey_k, p.state, c.body from parts p join surveys s on s.k = p.survey_k join constituents c on c.k = s.constituent_k where p.k = ? and c.removed_at is null",
		[]any{part}, &body, &survey, &state, &constituent)
	if err != nil {
		return a, err
	}
	if !found {
		a.Stopped = "the survey or its constituent is gone"
		return a, nil
	}
	if err := json.Unmarshal([]byte(body), &a.Part); err != nil {
		return a, err
	}
	var c vedette.Constituent
	if err := json.Unmarshal([]byte(constituent), &c); err != nil {
		return a, err
	}
	a.Constituent = vedette.Constituent{ID: c.ID, Scope: c.Scope, Exclude: c.Exclude}
	if a.OptOuts, err = optOuts(q); err != nil {
		return a, err
	}
	if _, a.Lab, err = y.Lab(ctx); err != nil {
		return a, err
	}
	if a.Stopped, err = stoppedBy(q, survey); err == nil && a.Stopped == "" && state != string(vedette.SurveyWaiting) {
		a.Stopped = "the part is " + state
	}
	return a, err
}

// AllOptOuts are the opt-outs, for the rules of a plan.
func (y *System) AllOptOuts(ctx context.Context) ([]vedette.OptOut, error) {
	return optOuts(reader{y.s, ctx})
}

// Now is the time by the store's clock.
func (y *System) Now() time.Time { return y.s.Now() }

// Submit puts what a part saw into the inbox.
func (y *System) Submit(ctx context.Context, part int64, document []byte) error {
	return y.s.update(ctx, func(t *tx) error {
		_, err := t.exec("insert into observed(part_k, at, body) values (?,?,?)", part, us(t.Now()), document)
		return err
	})
}

// Observed is one document in the inbox.
type Observed struct {
	ID, Part int64
	At       time.Time
	Body     []byte
	Size     int64               // of the document; Body is empty when that is more than MaxObserved
	Asked    time.Time           // when its survey was asked for, zero when there is none
	State    vedette.SurveyState // of its part
	Ended    time.Time           // when its part ended
}

// MaxObserved is the size of the largest document that is taken out of the
// inbox, in bytes: who writes there is not asked before.
const MaxObserved = 64 << 20

// Inbox reads the oldest document of the inbox; false when it is empty. The
// time at which it came is not later than now, whatever its row says.
func (y *System) Inbox(ctx context.Context) (o Observed, ok bool, err error) {
	var when, asked, ended int64
	ok, err = one(reader{y.s, ctx}, `select o.id, o.part_k, o.at, length(o.body), case when length(o.body) <= ? then o.body end, coalesce(s.asked_at, 0), coalesce(p.state, ''), coalesce(p.ended_at, 0)
		from observed o left join parts p on p.k = o.part_k left join surveys s on s.k = p.survey_k order by o.id limit 1`, []any{MaxObserved}, &o.ID, &o.Part, &when, &o.Size, &o.Body, &asked, &o.State, &ended)
	o.At, o.Asked, o.Ended = at(min(when, us(y.s.Now()))), at(asked), at(ended)
	return o, ok, err
}

// Discard takes a document out of the inbox that comes too late to say anything.
func (y *System) Discard(ctx context.Context, o Observed) error {
	return y.s.update(ctx, func(t *tx) error {
		_, err := t.exec("delete from observed where id = ?", o.ID)
		return err
	})
}

// Ended is how a part went.
type Ended struct {
	Stopped  string // why it did not go on to its end
	Trouble  string // why its document was refused, or what did not work
	Worker   string
	Looks    int
	Sent     int64
	Refusals []vedette.Refusal
	More     []vedette.Part // what the plan adds for what the part found
}

// EndPart takes a document out of the inbox and keeps how its part went. The
// survey ends with its last part. A part that ended before counts once.
func (y *System) EndPart(ctx context.Context, o Observed, e Ended) error {
	return y.s.update(ctx, func(t *tx) error {
		if _, err := t.exec("delete from observed where id = ?", o.ID); err != nil {
			return err
		}
		return t.endPart(o.Part, e)
	})
}

// FailPart ends a part that was tried too often.
func (y *System) FailPart(ctx context.Context, part int64, why string) error {
	return y.s.update(ctx, func(t *tx) error { return t.endPart(part, Ended{Trouble: why, Stopped: why}) })
}

func (t *tx) endPart(part int64, e Ended) error {
	var survey, mark int64
	var s vedette.Survey
	var state string
	found, err := one(t, "select s.k, s.id, coalesce(c.id, ''), s.mark_k, p.state from parts p join surveys s on s.k = p.survey_k left join constituents c on c.k = s.constituent_k where p.k = ?", []any{part}, &survey, &s.ID, &s.Constituent, &mark, &state)
	if err != nil || !found {
		return err
	}
	if state != string(vedette.SurveyDone) {
		to := vedette.SurveyDone
		switch {
		case e.Trouble != "":
			to = vedette.SurveyFailed
		case e.Stopped != "":
			to = vedette.SurveyStopped
		}
		note := cmp.Or(e.Trouble, e.Stopped)
		if _, err := t.exec("update parts set state = ?, ended_at = ?, worker = ?, note = ?, looks = ?, sent = ? where k = ?", string(to), us(t.Now()), clipText(e.Worker, 200), clipText(note, 500), e.Looks, e.Sent, part); err != nil {
			return err
		}
	}
	for _, r := range e.Refusals {
		if _, err := t.exec("insert into refusals(survey_k, target, rule, why, at, n) values (?,?,?,?,?,?) on conflict (survey_k, target, rule) do update set n = refusals.n + excluded.n",
			survey, clipText(r.Target, 500), clipText(r.Rule, 100), clipText(r.Why, 500), us(r.At), max(1, r.Count)); err != nil {
			return err
		}
	}
	if len(e.More) > 0 {
		var last int
		if _, err := one(t, "select coalesce(max(n), 0) from parts where survey_k = ?", []any{survey}, &last); err != nil {
			return err
		}
		if err := t.addParts(survey, s, last+1, e.More); err != nil {
			return err
		}
	}
	return t.endSurvey(survey)
}

// endSurvey ends a survey when none of its parts waits.
func (t *tx) endSurvey(survey int64) error {
	var waiting, failed int
	if _, err := one(t, "select coalesce(sum(case when state = 'waiting' then 1 else 0 end), 0), coalesce(sum(case when state in ('failed', 'stopped') then 1 else 0 end), 0) from parts where survey_k = ?", []any{survey}, &waiting, &failed); err != nil || waiting > 0 {
		return err
	}
	state := vedette.SurveyDone
	if failed > 0 {
		state = vedette.SurveyStopped
	}
	_, err := t.exec("update surveys set state = ?, ended_at = ? where k = ? and ended_at is null", string(state), us(t.Now()), survey)
	return err
}

// clipText makes a text from outside fit for a column of both engines: whole
// characters, at most n bytes of them, and no NUL.
func clipText(s string, n int) string {
	s = clean(strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// PlannedNames are the names that the parts of a survey look at already.
func (y *System) PlannedNames(ctx context.Context, part int64) (map[string]bool, error) {
	out := map[string]bool{}
	err := reader{y.s, ctx}.each("select body from parts where survey_k = (select survey_k from parts where k = ?)", []any{part}, func(scan func(...any) error) error {
		var body string
		if err := scan(&body); err != nil {
			return err
		}
		var p vedette.Part
		err := json.Unmarshal([]byte(body), &p)
		for _, n := range p.Names {
			out[n] = true
		}
		return err
	})
	return out, err
}

// DueSchedules are the schedules whose time has come.
func (y *System) DueSchedules(ctx context.Context, now time.Time) ([]vedette.Schedule, error) {
	return schedules(reader{y.s, ctx}, "h.next_at <= "+itoa(us(now)))
}

// Scheduled begins a survey of a schedule and sets when the next is due; it is
// false when another process did.
func (y *System) Scheduled(ctx context.Context, h vedette.Schedule, next time.Time, s vedette.Survey, parts []vedette.Part) (ok bool, err error) {
	err = y.s.update(ctx, func(t *tx) error {
		k, err := t.constituentKey(h.Constituent)
		if err != nil {
			return err
		}
		n, err := t.exec("update schedules set next_at = ? where constituent_k = ? and class = ? and next_at = ?", us(next), k, string(h.Class), us(h.Next))
		if ok = n == 1; err != nil || !ok {
			return err
		}
		s.By = h.By
		if s, err = t.addSurvey(s, k, parts); err != nil {
			return err
		}
		return t.event(vedette.Event{Principal: h.By, Verb: "survey run", Subject: s.ID, Constituent: h.Constituent, Reason: "schedule"})
	})
	return ok, err
}
