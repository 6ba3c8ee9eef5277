package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
)

// decisionList is what people decided, the newest first.
var decisionList = &list[vedette.Decision]{
	act: "case decisions", path: "/decisions", title: "Decisions", one: "decision",
	empty:   "Nobody decided anything yet. A decision accepts a risk, or says that a finding is false or does not affect its constituent; it is made on the page of a case.",
	views:   []savedView{{"All", ""}, {"Waiting", "state=waiting"}, {"In force", "state=in+force"}, {"Ended", "state=ended"}},
	filters: []filter{{key: "state", label: "state", values: []string{"waiting", "in force", "ended"}}, {key: "weakness", label: "weakness"}},
	id:      func(d vedette.Decision) string { return d.ID },
	class: func(d vedette.Decision, now time.Time) string {
		switch decisionState(d, now) {
		case "waiting":
			return "unseen"
		case "ended":
			return "closed"
		}
		return ""
	},
	columns: []column[vedette.Decision]{
		{key: "decision", head: "Decision", text: func(d vedette.Decision) string { return title(string(d.Kind)) }, sub: func(d vedette.Decision) string { return d.Reason }, href: func(d vedette.Decision) string {
			if d.Constituent == "" {
				return cvePath(d.Weakness)
			}
			return casePath(vedette.CaseID(d.Constituent, d.Weakness)) + "#decisions"
		}},
		{key: "weakness", head: "Weakness", text: func(d vedette.Decision) string { return d.Weakness }},
		{key: "where", head: "Where", text: decisionWhere},
		{key: "until", head: "Until", text: func(d vedette.Decision) string { return strings.TrimPrefix(untilWords(d.Until), "until ") }},
		{key: "state", head: "State", text: func(d vedette.Decision) string {
			if d.Approver == "" {
				return "waiting"
			}
			return ""
		}, cell: func(d vedette.Decision, now time.Time) templ.Component { return decisionBadge(d, now) }},
		{key: "by", head: "By", text: func(d vedette.Decision) string { return d.By }},
		{key: "approver", head: "Approved by", text: func(d vedette.Decision) string { return d.Approver }},
		{key: "id", head: "Id", hidden: true, text: func(d vedette.Decision) string { return d.ID }},
	},
	rows: func(ctx context.Context, d face.Desk, q query) (out []vedette.Decision, next string, err error) {
		all, err := d.Rows().Decisions(ctx, q.get("weakness"), 10_000)
		if err != nil {
			return nil, "", err
		}
		if q.after != "" {
			all = all[slices.IndexFunc(all, func(x vedette.Decision) bool { return x.ID == q.after })+1:]
		}
		for _, x := range all {
			if s := q.get("state"); s != "" && s != decisionState(x, d.Rows().Now()) {
				continue
			}
			if len(out) == q.limit {
				return out, out[q.limit-1].ID, nil
			}
			out = append(out, x)
		}
		return out, "", nil
	},
	bulk: []bulk{{key: "approve", text: "Approve", hot: "y", act: "case approve", do: approveDecisions}},
}

// decisionState is whether a decision covers anything.
func decisionState(d vedette.Decision, now time.Time) string {
	switch {
	case !d.Ended.IsZero() || !d.Until.IsZero() && !now.Before(d.Until):
		return "ended"
	case d.Approver == "":
		return "waiting"
	}
	return "in force"
}

func decisionWhere(d vedette.Decision) string {
	switch {
	case d.Constituent == "":
		return "everywhere"
	case d.Asset != "":
		return d.Asset + ", " + d.Constituent
	}
	return d.Constituent
}

func approveDecisions(ctx context.Context, d face.Desk, ids []string, _ url.Values) (string, int64, error) {
	done, why := 0, ""
	for _, id := range ids {
		if _, err := d.Rows().ApproveDecision(ctx, id); err != nil {
			why = err.Error()
			continue
		}
		done++
	}
	told := title(count(done, "decision")) + " approved."
	if why != "" {
		told += " Not all: " + why + "."
	}
	return told, 0, d.Drain(ctx)
}

// approveDecision lets one decision cover what it is about, endDecision ends it.
func (p *Pages) approveDecision(r *face.Request) error {
	d, err := r.Desk.Rows().ApproveDecision(r.Context(), r.PathValue("id"))
	return p.decided(r, d, err, "Approved: it covers what it is about.")
}

func (p *Pages) endDecision(r *face.Request) error {
	reason := strings.TrimSpace(r.PostFormValue("reason"))
	if reason == "" {
		return vedette.Refused("ending a decision takes a reason")
	}
	d, err := r.Desk.Rows().EndDecision(r.Context(), r.PathValue("id"), reason)
	return p.decided(r, d, err, "Ended: what it covered counts again.")
}

func (p *Pages) decided(r *face.Request, d vedette.Decision, err error, told string) error {
	if err != nil {
		return err
	}
	if err := r.Desk.Drain(r.Context()); err != nil {
		return err
	}
	r.Session.Tell(r.Context(), told, 0)
	if c := r.PostFormValue("case"); c != "" {
		return r.Go(casePath(c) + "#decisions")
	}
	return r.Go("/decisions")
}

func (p *Pages) decisionRoutes() []face.Route {
	return slices.Concat(decisionList.routes(p), []face.Route{
		{Method: http.MethodPost, Path: "/decisions/{id}/approve", Act: "case approve", Serve: p.approveDecision},
		{Method: http.MethodPost, Path: "/decisions/{id}/end", Act: "case revoke", Serve: p.endDecision},
	})
}
