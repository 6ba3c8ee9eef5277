package store

import (
	"context"
	"strings"

	"github.com/vedette-hub/vedette"
)

// CaseHistory is what happened to a case, newest first: what people and the line
// did to it, what was decided about it, and who acknowledged its alert. Who does
// not serve all constituents reads no reasons of others, and nothing of the
// other cases that an act was about.
func (sc *Scoped) CaseHistory(ctx context.Context, id string) ([]vedette.Event, error) {
	rows, err := sc.caseRows(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, vedette.NotFound("case %s", id)
	}
	c := rows[0]
	ds, err := sc.Decisions(ctx, c.Weakness, 1000)
	if err != nil {
		return nil, err
	}
	subjects, decided := []any{id}, map[string]bool{}
	for _, d := range ds {
		if d.Constituent == "" || d.Constituent == c.Constituent {
			subjects, decided[d.ID] = append(subjects, d.ID), true
		}
	}
	marks := "?" + strings.Repeat(",?", len(subjects)-1)
	q := "select " + eventColumns + " where events.subject in (" + marks + ")" +
		" or events.verb in ('case set', 'case undo', 'case open', 'case close', 'case reopen') and events.detail like ?" +
		" or events.verb = 'acknowledge' and events.constituent_k = ? and events.subject in (select number from publications where object_k = ? and number <> '')" +
		" order by events.k desc limit 500"
	var out []vedette.Event
	err = sc.reader(ctx).each(q, append(subjects, "%"+id+"%", c.constituent, c.object), func(scan func(...any) error) error {
		e, _, _, err := scanEvent(scan)
		if err == nil {
			out = append(out, sc.ofCase(e, id, decided[e.Subject]))
		}
		return err
	})
	return out, err
}

// ofCase is an event as it is about one case.
func (sc *Scoped) ofCase(e vedette.Event, id string, decision bool) vedette.Event {
	e.Hash, e.Token = "", ""
	detail := e.Detail
	e.Detail = map[string]string{}
	for _, k := range []string{"state", "assignee", "note", "kind"} {
		if v, ok := detail[k]; ok {
			e.Detail[k] = v
		}
	}
	if !decision && e.Verb != "acknowledge" {
		e.Subject = id // it may have been about many
	}
	if !sc.all && !decision && e.Principal != sc.p.Name && e.Principal != vedette.LineAuthor {
		e.Reason = ""
	}
	return e
}
