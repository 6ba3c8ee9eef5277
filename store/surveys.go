package store

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/policy"
)

// AddSurvey keeps a survey with its parts; what waits is worked by probes. No
// survey begins while a stop of all is in force.
func (sc *Scoped) AddSurvey(ctx context.Context, s vedette.Survey, parts []vedette.Part, detail map[string]string) (vedette.Survey, error) {
	act := policy.Act("survey run")
	if s.Kind == vedette.RetestSurvey {
		act = "finding retest"
	}
	if err := sc.may(act); err != nil {
		return s, err
	}
	s.By = sc.p.Name
	err := sc.s.update(ctx, func(t *tx) error {
		k, err := t.constituentKey(s.Constituent)
		if err == nil && !sc.owns(k) {
			err = vedette.NotFound("constituent %s", s.Constituent)
		}
		if err != nil {
			return err
		}
		if s, err = t.addSurvey(s, k, parts); err != nil {
			return err
		}
		e := sc.did(string(act), s.ID, detail)
		e.Constituent = s.Constituent
		return t.event(e)
	})
	return s, err
}

func (t *tx) addSurvey(s vedette.Survey, constituent int64, parts []vedette.Part) (vedette.Survey, error) {
	if why, err := stoppedBy(t, 0); err != nil || why != "" {
		if err == nil {
			err = vedette.Refused("%s; `vedette survey resume` lifts it", why)
		}
		return s, err
	}
	k, err := t.reserve("surveys", 1)
	if err != nil {
		return s, err
	}
	mark, err := t.mark(vedette.Marking{TLP: vedette.TLPAmberStrict, Originator: vedette.HubOriginator, Audience: vedette.ToOrgs(s.Constituent)})
	if err != nil {
		return s, err
	}
	s.Asked, s.Parts, s.State = t.Now(), len(parts), vedette.SurveyWaiting
	s.ID = surveyID(s.Constituent, s.Asked, k)
	var ended any
	if len(parts) == 0 {
		s.State, s.Ended, ended = vedette.SurveyDone, s.Asked, us(s.Asked)
	}
	if _, err := t.exec("insert into surveys(k, id, constituent_k, mark_k, kind, state, principal, asked_at, ended_at, note) values (?,?,?,?,?,?,?,?,?,?)",
		k, s.ID, constituent, mark, string(s.Kind), string(s.State), s.By, us(s.Asked), ended, s.Note); err != nil {
		return s, err
	}
	return s, t.addParts(k, s, 1, parts)
}

// surveyID is the public name of a survey. It tells nobody how many others there are.
func surveyID(constituent string, asked time.Time, k int64) string {
	return fmt.Sprintf("S-%010x", uint64(hash64(fmt.Sprintf("%s %d %d", constituent, us(asked), k)))>>24)
}

func (t *tx) addParts(survey int64, s vedette.Survey, first int, parts []vedette.Part) error {
	if len(parts) == 0 {
		return nil
	}
	k, err := t.reserve("parts", len(parts))
	if err != nil {
		return err
	}
	w := t.bulk("parts", "k, survey_k, n, state, body, worker, note, looks, sent", "")
	for i, p := range parts {
		p.Survey, p.Constituent, p.N = s.ID, s.Constituent, first+i
		body, err := json.Marshal(p)
		if err != nil {
			return err
		}
		if err := w.add(k+int64(i), survey, p.N, string(vedette.SurveyWaiting), string(body), "", "", 0, 0); err != nil {
			return err
		}
	}
	return w.flush()
}

// stoppedBy is why a survey may not go on, "" when it may: its own stop, or a
// stop of all that is not lifted. Survey 0 asks for stops of all alone.
func stoppedBy(q querier, survey int64) (string, error) {
	var who, reason string
	var when int64
	found, err := one(q, "select principal, reason, at from stops where survey_k in (0, ?) and lifted_at is null order by k limit 1", []any{survey}, &who, &reason, &when)
	if err != nil || !found {
		return "", err
	}
	return fmt.Sprintf("%s stopped it at %s: %s", who, at(when).Format(time.RFC3339), reason), nil
}

const surveyColumns = `s.k, s.id, coalesce(c.id, ''), s.kind, s.state, s.principal, s.asked_at, coalesce(s.ended_at, 0), s.note,
	(select count(*) from parts p where p.survey_k = s.k), (select count(*) from parts p where p.survey_k = s.k and p.state <> 'waiting')
	from surveys s left join constituents c on c.k = s.constituent_k`

func scanSurvey(scan func(...any) error) (s vedette.Survey, k int64, err error) {
	var asked, ended int64
	err = scan(&k, &s.ID, &s.Constituent, &s.Kind, &s.State, &s.By, &asked, &ended, &s.Note, &s.Parts, &s.Done)
	s.Asked, s.Ended = at(asked), at(ended)
	if s.State == vedette.SurveyWaiting && s.Done > 0 {
		s.State = vedette.SurveyRunning
	}
	return s, k, err
}

// SurveyFilter narrows a list of surveys; its zero value is all.
type SurveyFilter struct {
	Constituent string
	Kind        vedette.SurveyKind
	State       vedette.SurveyState // SurveyRunning is whatever has not ended
	After       string              // the last of the page before
	Limit       int                 // 0 is 50
}

// Surveys lists surveys within the wall, newest first; next goes on, "" ends.
func (sc *Scoped) Surveys(ctx context.Context, f SurveyFilter) (out []vedette.Survey, next string, err error) {
	limit := cmp.Or(f.Limit, 50)
	where, args := sc.own("s.constituent_k")+" and "+sc.seen("s.mark_k"), []any{}
	and := func(cond string, arg any) { where, args = where+" and "+cond, append(args, arg) }
	if f.Constituent != "" {
		and("c.id = ?", f.Constituent)
	}
	if f.Kind != "" {
		and("s.kind = ?", string(f.Kind))
	}
	switch f.State {
	case "":
	case vedette.SurveyRunning:
		where += " and s.ended_at is null"
	default:
		and("s.state = ?", string(f.State))
	}
	if f.After != "" {
		k, _, err := sc.surveyKey(sc.reader(ctx), f.After)
		if err != nil {
			return nil, "", err
		}
		and("s.k < ?", k)
	}
	err = sc.reader(ctx).each("select "+surveyColumns+" where "+where+" order by s.k desc limit ?", append(args, limit+1), func(scan func(...any) error) error {
		s, _, err := scanSurvey(scan)
		out = append(out, s)
		return err
	})
	if len(out) > limit {
		out = out[:limit]
		next = out[limit-1].ID
	}
	return out, next, err
}

// Surveyed says whether a person ever began a survey of a constituent: then what
// authorises it was shown to somebody. A retest or what the hub began is none.
func (sc *Scoped) Surveyed(ctx context.Context, constituent string) (bool, error) {
	var n int
	return one(sc.reader(ctx), "select 1 from surveys s join constituents c on c.k = s.constituent_k where c.id = ? and s.kind = ? and "+sc.own("s.constituent_k")+" and "+sc.seen("s.mark_k")+" limit 1",
		[]any{constituent, string(vedette.FullSurvey)}, &n)
}

// SurveyView is one survey with what became of its parts.
type SurveyView struct {
	vedette.Survey
	Looks    int               `json:"looks"` // assets looked at
	Sent     int               `json:"sent"`  // connections and sockets opened
	Trouble  []string          `json:"trouble,omitempty"`
	Refusals []vedette.Refusal `json:"refusals,omitempty"`
}

// Survey is one survey; absent and forbidden look the same.
func (sc *Scoped) Survey(ctx context.Context, id string) (v SurveyView, err error) {
	q := sc.reader(ctx)
	var k int64
	if err := q.each("select "+surveyColumns+" where s.id = ? and "+sc.own("s.constituent_k")+" and "+sc.seen("s.mark_k"), []any{id}, func(scan func(...any) error) (err error) {
		v.Survey, k, err = scanSurvey(scan)
		return err
	}); err != nil {
		return v, err
	}
	if k == 0 {
		return v, vedette.NotFound("survey %s", id)
	}
	if _, err := one(q, "select coalesce(sum(looks), 0), coalesce(sum(sent), 0) from parts where survey_k = ?", []any{k}, &v.Looks, &v.Sent); err != nil {
		return v, err
	}
	if err := q.each("select n, note from parts where survey_k = ? and note <> '' order by n", []any{k}, func(scan func(...any) error) error {
		var n int
		var note string
		err := scan(&n, &note)
		v.Trouble = append(v.Trouble, "part "+strconv.Itoa(n)+": "+note)
		return err
	}); err != nil {
		return v, err
	}
	err = q.each("select target, rule, why, at, n from refusals where survey_k = ? order by target, rule", []any{k}, func(scan func(...any) error) error {
		var r vedette.Refusal
		var t int64
		err := scan(&r.Target, &r.Rule, &r.Why, &t, &r.Count)
		r.At = at(t)
		v.Refusals = append(v.Refusals, r)
		return err
	})
	return v, err
}

// PartView is what became of one part of a survey.
type PartView struct {
	vedette.Part
	State  vedette.SurveyState `json:"state"`
	Ended  time.Time           `json:"ended,omitzero"`
	Worker string              `json:"worker,omitempty"`
	Note   string              `json:"note,omitempty"` // why it failed or stopped
	Looks  int                 `json:"looks"`
	Sent   int                 `json:"sent"`
}

// Parts are parts of a survey: those that went wrong first, then those that
// ended last, then those that wait.
func (sc *Scoped) Parts(ctx context.Context, survey string, limit int) ([]PartView, error) {
	k, _, err := sc.surveyKey(sc.reader(ctx), survey)
	if err != nil {
		return nil, err
	}
	var out []PartView
	err = sc.reader(ctx).each("select body, state, coalesce(ended_at, 0), worker, note, looks, sent from parts where survey_k = ? order by case state when 'failed' then 0 when 'stopped' then 1 else 2 end, coalesce(ended_at, 0) desc, n limit ?", []any{k, limit}, func(scan func(...any) error) error {
		var p PartView
		var body string
		var ended int64
		if err := scan(&body, &p.State, &ended, &p.Worker, &p.Note, &p.Looks, &p.Sent); err != nil {
			return err
		}
		p.Ended = at(ended)
		out = append(out, p)
		return json.Unmarshal([]byte(body), &out[len(out)-1].Part)
	})
	return out, err
}

// surveyKey finds a survey within the wall.
func (sc *Scoped) surveyKey(q querier, id string) (k int64, constituent string, err error) {
	found, err := one(q, "select s.k, coalesce(c.id, '') from surveys s left join constituents c on c.k = s.constituent_k where s.id = ? and "+sc.own("s.constituent_k")+" and "+sc.seen("s.mark_k"), []any{id}, &k, &constituent)
	if err == nil && !found {
		err = vedette.NotFound("survey %s", id)
	}
	return k, constituent, err
}

// StopSurvey stops one survey, or all of them when id is "": those that run
// within seconds, and no other begins until the stop of all is lifted.
func (sc *Scoped) StopSurvey(ctx context.Context, id, reason string) error {
	if err := sc.may("survey stop"); err != nil {
		return err
	}
	var k int64
	subject, constituent := "all", ""
	if id != "" {
		var err error
		if k, constituent, err = sc.surveyKey(sc.reader(ctx), id); err != nil {
			return err
		}
		subject = id
	} else if policy.Bound(sc.p) {
		return vedette.Refused("%s may stop surveys of its own constituent, one by one", sc.p.Name)
	}
	return sc.s.update(ctx, func(t *tx) error {
		stop, err := t.reserve("stops", 1)
		if err != nil {
			return err
		}
		if _, err := t.exec("insert into stops(k, survey_k, at, principal, reason) values (?,?,?,?,?)", stop, k, us(t.Now()), sc.p.Name, reason); err != nil {
			return err
		}
		if err := t.endStopped(k); err != nil {
			return err
		}
		e := sc.did("survey stop", subject, nil)
		e.Constituent, e.Reason = constituent, reason
		return t.event(e)
	})
}

// endStopped ends the surveys that a stop covers; what their running parts saw
// until they notice is still taken in.
func (t *tx) endStopped(survey int64) error {
	which := "survey_k = " + itoa(survey)
	if survey == 0 {
		which = "survey_k in (select k from surveys where ended_at is null)"
	}
	if _, err := t.once("update parts set state = 'stopped', ended_at = ? where state = 'waiting' and "+which, us(t.Now())); err != nil {
		return err
	}
	if survey == 0 {
		_, err := t.exec("update surveys set state = 'stopped', ended_at = ? where ended_at is null", us(t.Now()))
		return err
	}
	_, err := t.exec("update surveys set state = 'stopped', ended_at = ? where k = ? and ended_at is null", us(t.Now()), survey)
	return err
}

// ResumeSurveys lifts the stop of all. What was stopped stays ended: a person
// or a schedule asks for a new survey.
func (sc *Scoped) ResumeSurveys(ctx context.Context, reason string) error {
	if err := sc.may("survey resume"); err != nil {
		return err
	}
	return sc.s.update(ctx, func(t *tx) error {
		n, err := t.exec("update stops set lifted_at = ? where survey_k = 0 and lifted_at is null", us(t.Now()))
		if err != nil {
			return err
		}
		if n == 0 {
			return vedette.NotFound("no stop of all surveys is in force")
		}
		e := sc.did("survey resume", "all", nil)
		e.Reason = reason
		return t.event(e)
	})
}

// Stop is that nothing may be surveyed: who said so, when and why.
type Stop struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}

// Stopped is the stop of all surveys that is in force, nil when there is none.
func (sc *Scoped) Stopped(ctx context.Context) (*Stop, error) {
	if err := sc.may("survey stop"); err != nil {
		return nil, err
	}
	var s Stop
	var when int64
	found, err := one(sc.reader(ctx), "select principal, at, reason from stops where survey_k = 0 and lifted_at is null order by k limit 1", nil, &s.By, &when, &s.Reason)
	if err != nil || !found {
		return nil, err
	}
	s.At = at(when)
	return &s, nil
}

// OptOuts are what owners asked us not to touch.
func (sc *Scoped) OptOuts(ctx context.Context) ([]vedette.OptOut, error) {
	if err := sc.may("survey optout list"); err != nil {
		return nil, err
	}
	return optOuts(sc.reader(ctx))
}

func optOuts(q querier) ([]vedette.OptOut, error) {
	var out []vedette.OptOut
	err := q.each("select what, until_day, reason, principal from optouts order by what", nil, func(scan func(...any) error) error {
		var o vedette.OptOut
		err := scan(&o.What, &o.Until, &o.Reason, &o.By)
		out = append(out, o)
		return err
	})
	return out, err
}

// SetOptOut keeps an opt-out, or takes it away when its reason is "".
func (sc *Scoped) SetOptOut(ctx context.Context, o vedette.OptOut) error {
	verb := policy.Act("survey optout add")
	if o.Reason == "" {
		verb = "survey optout remove"
	}
	if err := sc.may(verb); err != nil {
		return err
	}
	return sc.s.update(ctx, func(t *tx) error {
		n, err := t.exec("delete from optouts where what = ?", o.What)
		if err != nil {
			return err
		}
		if o.Reason == "" && n == 0 {
			return vedette.NotFound("no opt-out of %s", o.What)
		}
		if o.Reason != "" {
			if _, err := t.exec("insert into optouts(what, until_day, reason, principal, at) values (?,?,?,?,?)", o.What, o.Until, o.Reason, sc.p.Name, us(t.Now())); err != nil {
				return err
			}
		}
		e := sc.did(string(verb), o.What, map[string]string{"until": o.Until})
		e.Reason = o.Reason
		return t.event(e)
	})
}

// SetSchedule keeps how often a constituent is surveyed; Every 0 takes the schedule away.
func (sc *Scoped) SetSchedule(ctx context.Context, s vedette.Schedule) error {
	if err := sc.may("survey schedule set"); err != nil {
		return err
	}
	return sc.s.update(ctx, func(t *tx) error {
		k, err := t.constituentKey(s.Constituent)
		if err == nil && !sc.owns(k) {
			err = vedette.NotFound("constituent %s", s.Constituent)
		}
		if err != nil {
			return err
		}
		n, err := t.exec("delete from schedules where constituent_k = ? and class = ?", k, string(s.Class))
		if err != nil {
			return err
		}
		if s.Every == 0 && n == 0 {
			return vedette.NotFound("no schedule of %s checks of %s", s.Class, s.Constituent)
		}
		if s.Every > 0 {
			if _, err := t.exec("insert into schedules(constituent_k, class, every_us, hours, next_at, principal) values (?,?,?,?,?,?)",
				k, string(s.Class), s.Every.Microseconds(), s.Hours, us(s.Next), sc.p.Name); err != nil {
				return err
			}
		}
		e := sc.did("survey schedule set", string(s.Class), map[string]string{"every": s.Every.String(), "hours": s.Hours})
		e.Constituent = s.Constituent
		return t.event(e)
	})
}

// Schedules lists the schedules within the wall.
func (sc *Scoped) Schedules(ctx context.Context) ([]vedette.Schedule, error) {
	return schedules(sc.reader(ctx), sc.own("h.constituent_k"))
}

func schedules(q querier, where string) ([]vedette.Schedule, error) {
	var out []vedette.Schedule
	err := q.each("select c.id, h.class, h.every_us, h.hours, h.next_at, h.principal from schedules h join constituents c on c.k = h.constituent_k where c.removed_at is null and "+where+" order by c.id, h.class", nil, func(scan func(...any) error) error {
		var s vedette.Schedule
		var every, next int64
		err := scan(&s.Constituent, &s.Class, &every, &s.Hours, &next, &s.By)
		s.Every, s.Next = time.Duration(every)*time.Microsecond, at(next)
		out = append(out, s)
		return err
	})
	return out, err
}

// Exposed is what is known of a constituent's own assets: what a plan starts from.
type Exposed struct {
	Assets []string        // names and addresses it owns
	Open   []vedette.Place // ports seen open by the service check and not closed since
}

// Exposed reads what is known of a constituent within the wall.
func (sc *Scoped) Exposed(ctx context.Context, constituent string) (x Exposed, err error) {
	q := sc.reader(ctx)
	k, err := sc.constituentKey(q, constituent)
	if err != nil {
		return x, err
	}
	if err := q.each("select a.id from assets a where a.owner_k = ? and "+sc.ownAsset("a")+" order by a.id", []any{k}, func(scan func(...any) error) error {
		var id string
		err := scan(&id)
		x.Assets = append(x.Assets, id)
		return err
	}); err != nil {
		return x, err
	}
	err = q.each("select distinct a.id, o.port, coalesce(p.text, '') from assets a join observations o on o.asset_k = a.k left join terms p on p.k = o.proto_k join terms t on t.k = o.check_k where a.owner_k = ? and o.closed_t is null and o.port > 0 and t.text = 'service' and "+
		sc.seen("o.mark_k")+" and "+sc.own("o.constituent_k")+" order by 1, 2", []any{k}, func(scan func(...any) error) error {
		var p vedette.Place
		err := scan(&p.Asset, &p.Port, &p.Proto)
		x.Open = append(x.Open, p)
		return err
	})
	return x, err
}

// Record keeps that somebody did something outside of the store.
func (sc *Scoped) Record(ctx context.Context, verb, subject string) error {
	if err := sc.may(policy.Act(verb)); err != nil {
		return err
	}
	return sc.s.update(ctx, func(t *tx) error { return t.event(sc.did(verb, subject, nil)) })
}
