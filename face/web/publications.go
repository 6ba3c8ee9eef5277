package web

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/policy"
	"github.com/vedette-hub/vedette/store"
)

// publicationRow is a publication with how far its messages are.
type publicationRow struct {
	vedette.Publication
	Title string
	store.Tally
}

var publicationStates = []string{string(vedette.PublicationDraft), string(vedette.PublicationApproved), string(vedette.PublicationWithdrawn)}

// publicationList is what was and will be told, the newest first.
var publicationList = &list[publicationRow]{
	act: "publication list", path: "/publications", title: "Publications", one: "publication",
	empty:   "Nothing was published yet. When an exploited vulnerability is found at a constituent, its alert is drafted by itself and waits here for review.",
	views:   []savedView{{"All", ""}, {"Drafts", "state=draft"}, {"Approved", "state=approved"}, {"Withdrawn", "state=withdrawn"}},
	filters: []filter{{key: "state", label: "state", values: publicationStates}, {key: "weakness", label: "weakness"}},
	id:      func(p publicationRow) string { return p.ID },
	class: func(p publicationRow, _ time.Time) string {
		switch {
		case p.State == vedette.PublicationWithdrawn:
			return "closed"
		case p.Drafts > 0:
			return "unseen"
		}
		return ""
	},
	so: func(rows []publicationRow, q query, more bool) string {
		waiting, failed := 0, 0
		for _, p := range rows {
			if p.Drafts > 0 {
				waiting++
			}
			failed += p.Failed
		}
		var out []string
		if waiting > 0 {
			out = append(out, title(count(waiting, "publication"))+" with drafts to review.")
		}
		if failed > 0 {
			out = append(out, title(count(failed, "message"))+" did not arrive.")
		}
		return strings.Join(out, " ")
	},
	columns: []column[publicationRow]{
		{key: "number", head: "Publication", text: func(p publicationRow) string { return cmp.Or(p.Number, "Draft, "+cmp.Or(p.Weakness, p.Kind)) }, sub: func(p publicationRow) string {
			if p.Number == "" || p.Weakness == "" {
				return cmp.Or(p.Title, kindText(p.Publication))
			}
			return strings.TrimSuffix(p.Weakness+" · "+p.Title, " · ")
		}, href: func(p publicationRow) string { return publicationPath(p.ID) }},
		{key: "kind", head: "Kind", hidden: true, text: func(p publicationRow) string { return p.Kind }},
		{key: "state", head: "State", text: stateText, cell: func(p publicationRow, _ time.Time) templ.Component { return pubStateOf(p) }},
		{key: "version", head: "Version", num: true, text: func(p publicationRow) string { return strconv.Itoa(p.Version) }},
		{key: "editions", head: "Editions", num: true, text: func(p publicationRow) string { return strconv.Itoa(p.Editions) }},
		{key: "acknowledged", head: "Acknowledged", text: ackText, href: func(p publicationRow) string { return publicationPath(p.ID) + "#receipts" }},
		{key: "failed", head: "Not delivered", num: true, text: func(p publicationRow) string { return number(p.Failed) }, href: func(p publicationRow) string { return publicationPath(p.ID) + "#receipts" }},
		{key: "drafted", head: "Drafted", text: func(p publicationRow) string { return stamp(p.Drafted) }, cell: func(p publicationRow, _ time.Time) templ.Component { return when(p.Drafted) }},
		{key: "approver", head: "Approved by", text: func(p publicationRow) string { return p.Approver }},
		{key: "id", head: "Id", hidden: true, text: func(p publicationRow) string { return p.ID }},
	},
	rows: publicationRows,
}

// kindText is what a publication is.
func kindText(p vedette.Publication) string {
	if p.Kind == "exposure" {
		return "Known exploited exposure"
	}
	return "Threat alert"
}

func stateText(p publicationRow) string {
	if p.Drafts > 0 && p.State == vedette.PublicationApproved {
		return "approved, a next version waits"
	}
	return string(p.State)
}

func ackText(p publicationRow) string {
	if p.Constituents == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d", p.Acknowledged, p.Constituents)
}

func publicationRows(ctx context.Context, d face.Desk, q query) (out []publicationRow, next string, err error) {
	const most = 10_000
	var all []vedette.Publication
	if w := q.get("weakness"); w != "" {
		all, err = d.Rows().PublicationsOf(ctx, w)
		all = slices.DeleteFunc(all, func(p vedette.Publication) bool {
			return q.on("state") && string(p.State) != q.get("state")
		})
	} else {
		all, err = d.Rows().Publications(ctx, vedette.PublicationState(q.get("state")), most)
	}
	if err != nil {
		return nil, "", err
	}
	if q.after != "" {
		i := slices.IndexFunc(all, func(p vedette.Publication) bool { return p.ID == q.after })
		all = all[i+1:]
	}
	if len(all) > q.limit {
		all = all[:q.limit]
		next = all[q.limit-1].ID
	}
	var ids, weaknesses []string
	for _, p := range all {
		ids, weaknesses = append(ids, p.ID), append(weaknesses, p.Weakness)
	}
	tallies, err := d.Rows().Tallies(ctx, ids)
	if err != nil {
		return nil, "", err
	}
	titles, err := d.Rows().Titles(ctx, weaknesses)
	if err != nil {
		return nil, "", err
	}
	for _, p := range all {
		out = append(out, publicationRow{p, titles[p.Weakness], tallies[p.ID]})
	}
	return out, next, nil
}

// alertView is a publication as a page.
type alertView struct {
	P         vedette.Publication
	Title     string
	Editions  []editionView // one for each constituent, the newest version
	Chosen    *face.Preview
	Versions  []vedette.Edition // of the chosen constituent, the newest first
	Faults    []vedette.Fault
	Owed      []face.Recipient // who gets a message when it is sent now
	Nobody    []string         // constituents that nobody can be told for
	Receipts  []vedette.Delivery
	Case      *vedette.Case // of the chosen constituent
	History   []milestone
	Drafts    int
	Now       time.Time
	Staff     bool
	Own       bool // the reader wrote the draft
	May       func(policy.Act) bool
	RepairsAt string
}

// editionView is the newest edition of a constituent, in the list at the left.
type editionView struct {
	vedette.Edition
	Name     string
	Progress progress
	Faults   int
	Stops    int
	Current  bool
}

// publication is the page of one publication.
func (p *Pages) publication(r *face.Request) error {
	a := alertView{Now: p.hub.Now(), Staff: !policy.Bound(r.P), May: func(act policy.Act) bool { return policy.May(r.P, act) }}
	if err := a.gather(r); err != nil {
		return err
	}
	v := view{Title: cmp.Or(a.P.Number, "Draft"), Sub: a.Title, So: a.so(), At: "/publications", Crumbs: []crumb{{"Publications", "/publications"}}, Meta: alertMeta(a), Actions: alertActions(a)}
	if a.Chosen != nil {
		v.Marking = a.Chosen.Marking.String()
	}
	v.Live = slices.ContainsFunc(a.Receipts, func(d vedette.Delivery) bool { return d.State == vedette.DeliveryQueued })
	return p.page(r, v, alertPage(a))
}

func (a *alertView) gather(r *face.Request) (err error) {
	ctx, rows := r.Context(), r.Desk.Rows()
	if a.P, err = rows.Publication(ctx, r.PathValue("id")); err != nil {
		return err
	}
	a.Own = a.P.Author == r.P.Name
	titles, err := rows.Titles(ctx, []string{a.P.Weakness})
	if err != nil {
		return err
	}
	a.Title = cmp.Or(titles[a.P.Weakness], a.P.Weakness, kindText(a.P))
	es, err := rows.Editions(ctx, a.P.ID)
	if err != nil {
		return err
	}
	if a.Receipts, err = rows.Deliveries(ctx, a.P.ID); err != nil {
		return err
	}
	if a.May("publication lint") {
		if a.Faults, err = r.Desk.Lint(ctx, a.P.ID); err != nil {
			return err
		}
	}
	if a.May("publication publish") && a.P.State != vedette.PublicationWithdrawn {
		who, err := r.Desk.Recipients(ctx, a.P.ID)
		if err != nil {
			return err
		}
		for _, x := range who {
			if x.Contact == "" {
				a.Nobody = append(a.Nobody, constituentName(x.Constituent, x.Name))
			} else {
				a.Owed = append(a.Owed, x)
			}
		}
	}
	if err := a.list(r, es); err != nil {
		return err
	}
	return a.choose(r, es)
}

// list makes the list of editions, those with something to do first.
func (a *alertView) list(r *face.Request, es []vedette.Edition) error {
	cs, err := r.Desk.Rows().Constituents(r.Context())
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, c := range cs {
		names[c.ID] = c.Name
	}
	for i, e := range es { // by constituent and version
		if i+1 < len(es) && es[i+1].Constituent == e.Constituent {
			continue
		}
		v := editionView{Edition: e, Name: constituentName(e.Constituent, names[e.Constituent]), Progress: progressOf(e.Constituent, es, a.Receipts)}
		for _, f := range a.Faults {
			if f.Constituent == e.Constituent {
				v.Faults++
				if f.Stop {
					v.Stops++
				}
			}
		}
		if e.State == vedette.PublicationDraft {
			a.Drafts++
		}
		a.Editions = append(a.Editions, v)
	}
	slices.SortStableFunc(a.Editions, func(x, y editionView) int {
		return cmp.Or(cmp.Compare(y.Stops, x.Stops), cmp.Compare(slices.Index(stages, x.Progress.Stage), slices.Index(stages, y.Progress.Stage)), cmp.Compare(x.Name, y.Name))
	})
	return nil
}

// choose reads the edition that is shown.
func (a *alertView) choose(r *face.Request, es []vedette.Edition) error {
	if len(a.Editions) == 0 {
		return nil
	}
	whom := r.URL.Query().Get("for")
	i := slices.IndexFunc(a.Editions, func(e editionView) bool { return e.Constituent == whom })
	if i < 0 {
		if whom != "" {
			return vedette.NotFound("no edition for %s", whom)
		}
		i = 0
	}
	a.Editions[i].Current = true
	e := a.Editions[i]
	version, err := strconv.Atoi(cmp.Or(r.URL.Query().Get("version"), "0"))
	if err != nil {
		return vedette.Invalid("version: a number")
	}
	preview, err := r.Desk.Preview(r.Context(), a.P.ID, e.Constituent, version)
	if err != nil {
		return err
	}
	a.Chosen = &preview
	for _, x := range slices.Backward(es) {
		if x.Constituent == e.Constituent {
			a.Versions = append(a.Versions, x)
		}
	}
	if a.P.Weakness == "" {
		a.History = alertHistory(*a)
		return nil
	}
	if c, err := r.Desk.Rows().Case(r.Context(), vedette.CaseID(e.Constituent, a.P.Weakness)); err == nil {
		a.Case = &c
	}
	a.History = alertHistory(*a)
	return nil
}

// so says how far it is.
func (a alertView) so() string {
	n := map[string]int{}
	for _, e := range a.Editions {
		n[e.Progress.Stage]++
	}
	var parts []string
	for _, s := range stages {
		if n[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[s], s))
		}
	}
	if a.P.State == vedette.PublicationWithdrawn {
		return "Withdrawn: " + a.P.Reason
	}
	if !a.Staff && len(a.Editions) == 1 {
		return a.soForOne()
	}
	out := []string{title(count(len(a.Editions), "edition")) + ": " + strings.Join(parts, ", ") + "."}
	stops := 0
	for _, f := range a.Faults {
		if f.Stop {
			stops++
		}
	}
	if stops > 0 {
		out = append(out, title(count(stops, "fault"))+" to mend before approval.")
	}
	if len(a.Nobody) > 0 {
		out = append(out, "Nobody can be told at "+strings.Join(a.Nobody, ", ")+".")
	}
	return strings.Join(out, " ")
}

// soForOne is for the constituent itself.
func (a alertView) soForOne() string {
	e := a.Editions[0]
	text := kindText(a.P) + " for " + e.Name
	if !e.Deadline.IsZero() {
		text += ": fix by " + moments(e.Deadline)
	}
	text += "."
	if a.Case != nil {
		switch a.Case.State {
		case vedette.CaseNew, vedette.CaseTriaged, vedette.CaseNotified:
			text += " Nobody of you acknowledged it yet."
		case vedette.CaseClosed:
			text += " It is closed."
		case vedette.CaseReportedFixed:
			text += " You reported it fixed; a look has to prove it."
		default:
			text += " You acknowledged it."
		}
	}
	return text
}

func alertHistory(a alertView) (out []milestone) {
	add := func(at time.Time, text, href, class string) {
		if !at.IsZero() {
			out = append(out, milestone{at, text, href, class})
		}
	}
	for _, e := range a.Versions {
		add(e.Drafted, fmt.Sprintf("Version %d for %s, %s", e.Version, e.Constituent, e.State), editionPage(a.P.ID, e.Constituent)+"&version="+strconv.Itoa(e.Version), "")
	}
	add(a.P.Approved, fmt.Sprintf("Version %d approved as %s by %s", a.P.Version, a.P.Number, a.P.Approver), "", "me")
	sent, n := time.Time{}, 0
	for _, d := range a.Receipts {
		if !d.Sent.IsZero() && (sent.IsZero() || d.Sent.Before(sent)) {
			sent = d.Sent
		}
		if !d.Sent.IsZero() {
			n++
		}
		if !d.Acked.IsZero() {
			add(d.Acked, "Acknowledged by "+d.Contact, "#receipts", "ok")
		}
	}
	add(sent, title(count(n, "message"))+" sent, the first", "#receipts", "me")
	slices.SortStableFunc(out, func(x, y milestone) int { return y.At.Compare(x.At) })
	return out
}

// budget is how much of what is known is in an edition, by its label.
type budgetLine struct {
	TLP      vedette.TLP
	Shown    int
	Withheld []face.Input
}

func budget(p face.Preview) (out []budgetLine) {
	for t := vedette.TLPClear; t <= vedette.TLPRed; t++ {
		l := budgetLine{TLP: t}
		for _, in := range p.Inputs {
			switch {
			case in.Marking.TLP != t:
			case in.Shown:
				l.Shown++
			default:
				l.Withheld = append(l.Withheld, in)
			}
		}
		if l.Shown+len(l.Withheld) > 0 {
			out = append(out, l)
		}
	}
	return out
}

// repair is what mends a fault.
func repair(f vedette.Fault) string {
	switch f.Where {
	case "text":
		return "Have the source's text changed or left out, then draft again."
	case "hosts":
		return "Withdraw it, or look again at the hosts and draft again."
	case "mitigation":
		return "Wait for the vendor, or import an advisory, then draft again."
	case "sources":
		return "A second source of reliability A or B would pass; approve it knowingly otherwise."
	}
	return "Draft again."
}

// edition is an edition as a file.
func (p *Pages) edition(r *face.Request) error {
	form := cmp.Or(r.URL.Query().Get("form"), "html")
	media := map[string]string{"html": "text/html; charset=utf-8", "md": "text/markdown; charset=utf-8", "json": "application/json", "pdf": "application/pdf"}[form]
	if media == "" {
		return vedette.Invalid("form %q: it is one of md, html, json, pdf", form)
	}
	version, err := strconv.Atoi(cmp.Or(r.URL.Query().Get("version"), "0"))
	if err != nil {
		return vedette.Invalid("version: a number")
	}
	a, err := r.Desk.Rows().Publication(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := r.Desk.Edition(r.Context(), &b, a.ID, r.PathValue("constituent"), version, form); err != nil {
		return err
	}
	name := cmp.Or(a.Number, a.ID) + "-" + r.PathValue("constituent") + "." + form
	r.ResponseWriter.Header().Set("Content-Type", media)
	r.ResponseWriter.Header().Set("Content-Disposition", `attachment; filename="`+strings.Map(fileRune, name)+`"`)
	_, err = b.WriteTo(r.ResponseWriter)
	return err
}

func fileRune(r rune) rune {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == '_' {
		return r
	}
	return '_'
}

// approve gives a publication its number, and sends it when asked.
func (p *Pages) approve(r *face.Request) error {
	a, err := r.Desk.Approve(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	told := a.Number + " is approved."
	if r.PostFormValue("send") != "" {
		if !policy.May(r.P, "publication publish") {
			return vedette.Refused("%s may not send", r.P.Name)
		}
		out, err := r.Desk.Publish(r.Context(), a.ID)
		if err != nil {
			return err
		}
		told += " " + publishedText(out)
	}
	r.Session.Tell(r.Context(), told, 0)
	return r.Go(publicationPath(a.ID))
}

// publish sends what is owed.
func (p *Pages) publish(r *face.Request) error {
	out, err := r.Desk.Publish(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	r.Session.Tell(r.Context(), publishedText(out), 0)
	return r.Go(publicationPath(r.PathValue("id")) + "#receipts")
}

func publishedText(out store.Published) string {
	text := "Nothing new is owed."
	if out.Owed > 0 {
		text = title(count(out.Owed, "message")) + " on the way."
	}
	if len(out.Nobody) > 0 {
		text += " Nobody to tell at " + strings.Join(out.Nobody, ", ") + "."
	}
	return text
}

// withdraw takes a publication back.
func (p *Pages) withdraw(r *face.Request) error {
	if err := r.Desk.Withdraw(r.Context(), r.PathValue("id"), strings.TrimSpace(r.PostFormValue("reason"))); err != nil {
		return err
	}
	r.Session.Tell(r.Context(), "Withdrawn; who got it is told.", 0)
	return r.Go(publicationPath(r.PathValue("id")))
}

// redraft writes the drafts anew from what is known now.
func (p *Pages) redraft(r *face.Request) error {
	a, err := r.Desk.Rows().Publication(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	b, err := r.Desk.Draft(r.Context(), a.Weakness, nil)
	if err != nil {
		return err
	}
	told := "Drafted again from what is known now."
	if b.Drafted.Equal(a.Drafted) && b.Editions == a.Editions {
		told = "Nothing changed since the last draft."
	}
	r.Session.Tell(r.Context(), told, 0)
	return r.Go(publicationPath(a.ID))
}

// redeliver sends again what failed; bounced keeps that a message came back.
func (p *Pages) redeliver(r *face.Request) error {
	n, err := r.Desk.Rows().Redeliver(r.Context(), r.PathValue("id"), r.PostFormValue("contact"))
	if err != nil {
		return err
	}
	return p.again(r, title(count(n, "message"))+" owed again.")
}

func (p *Pages) bounced(r *face.Request) error {
	n, err := r.Desk.Rows().Bounce(r.Context(), r.PathValue("id"), r.PostFormValue("contact"), strings.TrimSpace(r.PostFormValue("reason")))
	if err != nil {
		return err
	}
	return p.again(r, title(count(n, "message"))+" came back.")
}

func (p *Pages) again(r *face.Request, told string) error {
	if err := r.Desk.Drain(r.Context()); err != nil {
		return err
	}
	r.Session.Tell(r.Context(), told, 0)
	return r.Go(publicationPath(r.PathValue("id")) + "#receipts")
}

// answer is what the constituent says to its alert: that it has it, and until
// when it fixes it, or that it is fixed.
func (p *Pages) answer(r *face.Request) error {
	a, err := r.Desk.Rows().Publication(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	whom := r.PostFormValue("for")
	if err := answerCase(r, vedette.CaseID(whom, a.Weakness)); err != nil {
		return err
	}
	return r.Go(editionPage(a.ID, whom))
}

// publicationRoutes are those of what is told.
func (p *Pages) publicationRoutes() []face.Route {
	get, post := http.MethodGet, http.MethodPost
	return slices.Concat(publicationList.routes(p), []face.Route{
		{Method: get, Path: "/publications/{id}", Act: "publication show", Serve: p.publication},
		{Method: get, Path: "/publications/{id}/editions/{constituent}", Act: "publication show", Serve: p.edition},
		{Method: post, Path: "/publications/{id}/approve", Act: "publication approve", Serve: p.approve},
		{Method: post, Path: "/publications/{id}/publish", Act: "publication publish", Serve: p.publish},
		{Method: post, Path: "/publications/{id}/withdraw", Act: "publication withdraw", Serve: p.withdraw},
		{Method: post, Path: "/publications/{id}/draft", Act: "publication draft", Serve: p.redraft},
		{Method: post, Path: "/publications/{id}/redeliver", Act: "publication redeliver", Serve: p.redeliver},
		{Method: post, Path: "/publications/{id}/bounce", Act: "publication bounce", Serve: p.bounced},
		{Method: post, Path: "/publications/{id}/answer", Act: "case set", Serve: p.answer},
	})
}

// editionFile is the address of an edition as a file.
func editionFile(p vedette.Publication, e vedette.Edition, form string) string {
	return publicationPath(p.ID) + "/editions/" + url.PathEscape(e.Constituent) + "?form=" + url.QueryEscape(form) + "&version=" + strconv.Itoa(e.Version)
}
