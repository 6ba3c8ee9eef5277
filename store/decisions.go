package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/policy"
)

const decisionColumns = `d.k, d.id, d.kind, o.id, coalesce(c.id, ''), d.asset, d.from_t, coalesce(d.until_t, 0), d.reason, d.principal, d.approver, coalesce(d.approved_at, 0), coalesce(d.ended_at, 0)
	from decisions d join objects o on o.k = d.object_k left join constituents c on c.k = d.constituent_k`

func scanDecision(scan func(...any) error) (d vedette.Decision, k int64, err error) {
	var from, until, approved, ended int64
	err = scan(&k, &d.ID, &d.Kind, &d.Weakness, &d.Constituent, &d.Asset, &from, &until, &d.Reason, &d.By, &d.Approver, &approved, &ended)
	d.From, d.Until, d.Approved, d.Ended = at(from), at(until), at(approved), at(ended)
	return d, k, err
}

// seenDecision: a decision about a constituent is its own and the hub's; one
// about all of them is the hub's, and tells nobody else of the others. Who may
// not know of the weakness does not know of the decision.
func (sc *Scoped) seenDecision() string {
	where := sc.own("d.constituent_k") + " and exists (select 1 from heads h where h.k between d.object_k * 65536 and d.object_k * 65536 + 65535 and " + sc.seen("h.mark_k") + ")"
	if !sc.all {
		where += " and d.constituent_k > 0"
	}
	return where
}

// Decisions are those that the reader sees, of a weakness or ("") of all, the
// newest first.
func (sc *Scoped) Decisions(ctx context.Context, weakness string, limit int) ([]vedette.Decision, error) {
	where, args := sc.seenDecision(), []any{}
	if weakness != "" {
		k, _, err := sc.object(ctx, weakness)
		if err != nil {
			return nil, err
		}
		where, args = where+" and d.object_k = ?", append(args, k)
	}
	var out []vedette.Decision
	err := sc.reader(ctx).each("select "+decisionColumns+" where "+where+" order by d.k desc limit ?", append(args, limit), func(scan func(...any) error) error {
		d, _, err := scanDecision(scan)
		out = append(out, d)
		return err
	})
	return out, err
}

// Decide keeps a decision; it covers nothing until another person approved it.
func (sc *Scoped) Decide(ctx context.Context, d vedette.Decision) (vedette.Decision, error) {
	if err := sc.may("case decide"); err != nil {
		return d, err
	}
	if strings.TrimSpace(d.Reason) == "" {
		return d, vedette.Refused("a decision takes a reason")
	}
	if d.Kind == vedette.RiskAccepted && d.Until.IsZero() {
		return d, vedette.Refused("an accepted risk takes an end: until when is it accepted?")
	}
	if d.Constituent == "" && policy.Bound(sc.p) {
		return d, vedette.Refused("%s may decide for its own constituent only", sc.p.Name)
	}
	object, canonical, err := sc.object(ctx, d.Weakness)
	if err != nil {
		return d, err
	}
	d.Weakness, d.By = canonical, sc.p.Name
	err = sc.s.update(ctx, func(t *tx) error {
		c, err := t.constituentKey(d.Constituent)
		if err == nil && c > 0 && !sc.owns(c) {
			err = vedette.NotFound("constituent %s", d.Constituent)
		}
		if err != nil {
			return err
		}
		k, err := t.reserve("decisions", 1)
		if err != nil {
			return err
		}
		d.From = t.Now()
		d.ID = fmt.Sprintf("D-%010x", uint64(hash64(fmt.Sprintf("decision %s %s %d %d", d.Weakness, d.Constituent, us(d.From), k)))>>24)
		if _, err := t.exec("insert into decisions(k, id, kind, object_k, constituent_k, asset, from_t, until_t, reason, principal, approver) values (?,?,?,?,?,?,?,?,?,?,'')",
			k, d.ID, string(d.Kind), object, c, d.Asset, us(d.From), orNull(d.Until), d.Reason, d.By); err != nil {
			return err
		}
		e := sc.did("case decide", d.ID, map[string]string{"kind": string(d.Kind), "weakness": d.Weakness})
		e.Constituent, e.Reason = d.Constituent, d.Reason
		return t.event(e)
	})
	return d, err
}

// ApproveDecision lets a decision cover what it is about. Nobody approves his own.
func (sc *Scoped) ApproveDecision(ctx context.Context, id string) (vedette.Decision, error) {
	return sc.changeDecision(ctx, "case approve", id, "", func(t *tx, d vedette.Decision, k int64) error {
		if d.By == sc.p.Name {
			return vedette.Refused("%s decided %s: another lead approves it", sc.p.Name, id)
		}
		if d.Approver != "" || !d.Ended.IsZero() {
			return vedette.Conflict("%s is approved or ended already", id)
		}
		_, err := t.exec("update decisions set approver = ?, approved_at = ? where k = ? and approver = ''", sc.p.Name, us(t.Now()), k)
		return err
	})
}

// EndDecision ends a decision by hand: what it covered counts again from now on.
func (sc *Scoped) EndDecision(ctx context.Context, id, reason string) (vedette.Decision, error) {
	return sc.changeDecision(ctx, "case revoke", id, reason, func(t *tx, d vedette.Decision, k int64) error {
		if !d.Ended.IsZero() {
			return vedette.Conflict("%s ended already", id)
		}
		_, err := t.exec("update decisions set ended_at = ? where k = ?", us(t.Now()), k)
		return err
	})
}

func (sc *Scoped) changeDecision(ctx context.Context, act policy.Act, id, reason string, change func(*tx, vedette.Decision, int64) error) (d vedette.Decision, err error) {
	if err := sc.may(act); err != nil {
		return d, err
	}
	find := func(q querier) (d vedette.Decision, k int64, err error) {
		err = q.each("select "+decisionColumns+" where d.id = ? and "+sc.seenDecision(), []any{id}, func(scan func(...any) error) (err error) {
			d, k, err = scanDecision(scan)
			return err
		})
		if err == nil && k == 0 {
			err = vedette.NotFound("decision %s", id)
		}
		return d, k, err
	}
	err = sc.s.update(ctx, func(t *tx) error {
		was, k, err := find(t)
		if err != nil {
			return err
		}
		if err := change(t, was, k); err != nil {
			return err
		}
		if d, _, err = find(t); err != nil {
			return err
		}
		var object int64
		if _, err := one(t, "select object_k from decisions where k = ?", []any{k}, &object); err != nil {
			return err
		}
		if err := t.redraft([]int64{object}); err != nil {
			return err
		}
		e := sc.did(string(act), id, nil)
		e.Constituent, e.Reason = d.Constituent, reason
		return t.event(e)
	})
	return d, err
}

// decisionsAbout are those in force that may cover cases, by their weakness:
// the cases' own and those about everybody.
func decisionsAbout(q querier, objects, cons []int64, now int64) (map[string][]vedette.Decision, error) {
	out := map[string][]vedette.Decision{}
	for part := range slices.Chunk(objects, 400) {
		if err := q.each("select "+decisionColumns+" where d.object_k in "+ints(part)+" and d.constituent_k in "+ints(append([]int64{0}, cons...))+" and d.approver <> '' order by d.k", nil, func(scan func(...any) error) error {
			d, _, err := scanDecision(scan)
			if err == nil && d.InForce(at(now)) {
				out[d.Weakness] = append(out[d.Weakness], d)
			}
			return err
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// coveredBy is the decision in force that covers every finding of a case that
// is not fixed, nil when one of them is not covered.
func coveredBy(rows []findingRow, ds []vedette.Decision, now int64) *vedette.Decision {
	var first *vedette.Decision
	for _, r := range rows {
		if r.Presence == vedette.Fixed {
			continue
		}
		covered := false
		for i := range ds {
			if d := &ds[i]; d.InForce(at(now)) && d.Covers(r.Finding) {
				covered = true
				if first == nil {
					first = d
				}
				break
			}
		}
		if !covered {
			return nil
		}
	}
	return first
}
