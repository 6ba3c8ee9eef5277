package web

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/policy"
)

var jobStates = []string{"available", "scheduled", "retryable", "running", "completed", "cancelled", "discarded"}

// jobList is what the hub does beside answering.
var jobList = &list[vedette.Job]{
	act: "job list", path: "/jobs", title: "Jobs", one: "job",
	empty:   "No job yet. The hub makes jobs while it serves: passes of the line, parts of surveys, feeds, mails.",
	views:   []savedView{{"All", ""}, {"Running", "state=running"}, {"Waiting", "state=available"}, {"To be tried again", "state=retryable"}, {"Given up", "state=discarded"}},
	filters: []filter{{key: "kind", label: "kind"}, {key: "state", label: "state", values: jobStates}},
	id:      func(j vedette.Job) string { return strconv.FormatInt(j.ID, 10) },
	class: func(j vedette.Job, _ time.Time) string {
		switch j.State {
		case "discarded":
			return "failed"
		case "completed", "cancelled":
			return "closed"
		}
		return ""
	},
	columns: []column[vedette.Job]{
		{key: "job", head: "Job", text: func(j vedette.Job) string { return jobWords(j.Kind) }, sub: func(j vedette.Job) string {
			return strings.TrimSuffix("job "+strconv.FormatInt(j.ID, 10)+", "+plainArgs.Replace(string(j.Args)), ", ")
		}},
		{key: "kind", head: "Kind", hidden: true, text: func(j vedette.Job) string { return j.Kind }},
		{key: "state", head: "State", text: func(j vedette.Job) string { return j.State }, cell: func(j vedette.Job, _ time.Time) templ.Component { return jobState(j.State) }},
		{key: "attempt", head: "Attempt", num: true, text: func(j vedette.Job) string { return fmt.Sprintf("%d of %d", j.Attempt, j.Max) }},
		{key: "created", head: "Made", text: func(j vedette.Job) string { return stamp(j.Created) }, cell: func(j vedette.Job, _ time.Time) templ.Component { return moment(j.Created) }},
		{key: "worker", head: "Worker", text: func(j vedette.Job) string { return j.Worker }},
		{key: "error", head: "Last failure", full: true, text: func(j vedette.Job) string { return j.Error }},
	},
	rows: func(ctx context.Context, d face.Desk, q query) (js []vedette.Job, next string, err error) {
		f := face.JobFilter{State: q.get("state"), Kind: q.get("kind"), Limit: q.limit + 1}
		if f.Below, err = below(q.after); err != nil {
			return nil, "", err
		}
		if js, err = d.Jobs(ctx, f); err == nil && len(js) > q.limit {
			js = js[:q.limit]
			next = strconv.FormatInt(js[q.limit-1].ID, 10)
		}
		return js, next, err
	},
	so: func(js []vedette.Job, q query, more bool) string {
		n := map[string]int{}
		for _, j := range js {
			n[j.State]++
		}
		if q.after != "" || q.get("state") != "" {
			return ""
		}
		waits := n["available"] + n["scheduled"] + n["retryable"]
		return fmt.Sprintf("%d running, %d waiting and %d given up among the newest %s.", n["running"], waits, n["discarded"], count(len(js), "job"))
	},
	live: func(js []vedette.Job) bool {
		return slices.ContainsFunc(js, func(j vedette.Job) bool { return j.State == "running" || j.State == "available" })
	},
	above: func(r *face.Request) (templ.Component, error) {
		const most = 100
		js, err := r.Desk.Jobs(r.Context(), face.JobFilter{State: "discarded", Limit: most})
		if err != nil || len(js) == 0 {
			return nil, err
		}
		return givenUp(len(js), len(js) == most, policy.May(r.P, "job retry")), nil
	},
	bulk: []bulk{
		{key: "retry", text: "Retry", hot: "e", act: "job retry", do: changeJobs("tried again", face.Desk.RetryJob)},
		{key: "cancel", text: "Cancel", act: "job cancel", do: changeJobs("cancelled", face.Desk.CancelJob)},
	},
}

var plainArgs = strings.NewReplacer("{", "", "}", "", `"`, "", ":", " ", ",", ", ")

// jobWords says what a job is for; a kind that is new stands for itself.
func jobWords(kind string) string {
	return cmp.Or(map[string]string{"hub": "Pass of the line", "post": "Mails and webhooks", "part": "Part of a survey", "feed": "Fetch of feeds"}[kind], kind)
}

// below reads the number of the last row of the page before; "" is none.
func below(after string) (int64, error) {
	if after == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(after, 10, 64)
	if err != nil || n < 1 {
		return 0, vedette.Invalid("after %q: the number of a row", after)
	}
	return n, nil
}

// changeJobs does one act on jobs; what one refuses does not keep the others.
func changeJobs(what string, change func(face.Desk, context.Context, int64) error) func(context.Context, face.Desk, []string, url.Values) (string, int64, error) {
	return func(ctx context.Context, d face.Desk, ids []string, _ url.Values) (string, int64, error) {
		done, not := 0, []string(nil)
		for _, id := range ids {
			n, err := strconv.ParseInt(id, 10, 64)
			if err != nil {
				return "", 0, vedette.Invalid("job %q: a number", id)
			}
			if err := change(d, ctx, n); err != nil {
				not = append(not, fmt.Sprintf("%d: %v", n, err))
				continue
			}
			done++
		}
		told := fmt.Sprintf("%s %s.", title(count(done, "job")), what)
		if len(not) > 0 {
			told += fmt.Sprintf(" %d not: %s", len(not), not[0])
		}
		return told, 0, nil
	}
}

func jobClass(state string) string {
	return map[string]string{"available": "s0 st-work", "scheduled": "s0", "retryable": "s9 st-new", "running": "s2 st-work", "completed": "s5 st-done", "cancelled": "s7", "discarded": "sx st-bad"}[state]
}
