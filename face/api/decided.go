package api

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/store"
)

type caseQuery struct {
	Paging
	Constituent string    `query:"constituent"`
	Weakness    string    `query:"weakness"`
	State       string    `query:"state" enum:"new,triaged,notified,acknowledged,reported fixed,closed"`
	Assignee    string    `query:"assignee" doc:"of whom; nobody for those without one"`
	ToCheck     bool      `query:"to_check" doc:"only those that a person has to look at first"`
	Due         time.Time `query:"due" doc:"only those due before"`
	Text        string    `query:"q" doc:"words of the weakness, or an exact id, alias or asset"`
	Product     string    `query:"product" doc:"product, or vendor/product"`
	Closed      bool      `query:"closed" doc:"closed ones too"`
	Covered     bool      `query:"covered" doc:"those that a decision covers too"`
}

func (a *API) listCases(r *face.Request, in *caseQuery) (page[vedette.Case], error) {
	return listed(a, r, in.Paging, func(after string, limit int) ([]vedette.Case, string, error) {
		f := store.CaseFilter{Constituent: in.Constituent, Weakness: in.Weakness, State: vedette.CaseState(in.State), ToCheck: in.ToCheck, Due: in.Due, Text: in.Text, Product: in.Product, Closed: in.Closed, Covered: in.Covered, After: after, Limit: limit}
		switch in.Assignee {
		case "":
		case "nobody":
			f.Assignee = ptr("")
		default:
			f.Assignee = &in.Assignee
		}
		return r.Desk.Cases(r.Context(), f)
	})
}

// caseInFull is a case with its places.
type caseInFull struct {
	vedette.Case
	Places []vedette.Finding `json:"places"`
}

func caseOf(r *face.Request, id string) (caseInFull, error) {
	c, fs, err := r.Desk.Case(r.Context(), id)
	return caseInFull{c, fs}, err
}

func (a *API) getCase(r *face.Request, in *ByID) (caseInFull, error) { return caseOf(r, in.ID) }

// patched is a member of a JSON Merge Patch (RFC 7396): absent leaves it as it
// is, null empties it.
type patched struct {
	set   bool
	value string
}

// UnmarshalJSON reads a text or null.
func (p *patched) UnmarshalJSON(b []byte) error {
	p.set, p.value = true, ""
	if string(b) == "null" {
		return nil
	}
	return json.Unmarshal(b, &p.value)
}

// Schema implements huma.SchemaProvider.
func (patched) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: "string", Nullable: true, MaxLength: ptr(10_000)}
}

func (p patched) pointer() *string {
	if !p.set {
		return nil
	}
	return &p.value
}

// CaseChange is what a person changes of cases.
type CaseChange struct {
	State    string  `json:"state,omitempty" enum:"new,triaged,notified,acknowledged,reported fixed,closed"`
	Assignee patched `json:"assignee,omitempty" doc:"user name; null or empty is nobody"`
	Note     patched `json:"note,omitempty"`
	Reason   string  `json:"reason,omitempty" maxLength:"10000" doc:"why; closing what is still there takes one"`
}

func (c CaseChange) change() (ch store.CaseChange, err error) {
	ch = store.CaseChange{Assignee: c.Assignee.pointer(), Note: c.Note.pointer(), Reason: strings.TrimSpace(c.Reason)}
	if s := vedette.CaseState(c.State); s != "" {
		ch.State = &s
	}
	if ch.State == nil && ch.Assignee == nil && ch.Note == nil {
		return ch, badField("#", "nothing to change: state, assignee or note")
	}
	return ch, nil
}

type changeCaseIn struct {
	ByID
	IfMatch
	Body CaseChange `contentType:"application/merge-patch+json"`
}

// IfMatch is the precondition of a write of one thing.
type IfMatch struct {
	Tag string `header:"If-Match" doc:"ETag of what was read; 412 when it was changed since"`
}

func (a *API) changeCase(r *face.Request, in *changeCaseIn) (caseInFull, error) {
	was, err := caseOf(r, in.ID)
	if err == nil {
		err = unchanged(r, was)
	}
	if err != nil {
		return was, err
	}
	ch, err := in.Body.change()
	if err != nil {
		return was, err
	}
	if in.Tag != "" {
		ch.Was = &was.Case
	}
	out, err := r.Desk.SetCases(r.Context(), []string{in.ID}, ch)
	if err == nil && len(out.Refused) > 0 {
		err = vedette.Conflict("%s", out.Refused[0])
	}
	if err != nil {
		return was, err
	}
	return caseOf(r, in.ID)
}

type changeCasesIn struct {
	Body struct {
		IDs []string `json:"ids" minItems:"1" maxItems:"1000"`
		CaseChange
	}
}

// outcomes are what became of each case of a change.
type outcomes struct {
	Items []outcome `json:"items"`
	Done  int       `json:"done" doc:"how many were changed"`
	Undo  int64     `json:"undo,omitempty" doc:"the event that undo-change takes back"`
}

type outcome struct {
	ID     string `json:"id"`
	Status string `json:"status" enum:"ok,refused" doc:"ok is as asked, whether or not it was so before"`
	Why    string `json:"why,omitempty"`
}

func outcomesOf(ids []string, o face.Outcome) outcomes {
	out := outcomes{Items: []outcome{}, Done: o.Done, Undo: o.Undo}
	why := map[string]string{}
	for _, x := range o.Refused {
		why[x.ID] = x.Why
		if !slices.Contains(ids, x.ID) {
			ids = append(ids, x.ID)
		}
	}
	for _, id := range ids {
		x := outcome{ID: id, Status: "ok"}
		if w, refused := why[id]; refused {
			x.Status, x.Why = "refused", w
		}
		out.Items = append(out.Items, x)
	}
	return out
}

func (a *API) changeCases(r *face.Request, in *changeCasesIn) (outcomes, error) {
	ch, err := in.Body.change()
	if err != nil {
		return outcomes{}, err
	}
	out, err := r.Desk.SetCases(r.Context(), in.Body.IDs, ch)
	return outcomesOf(in.Body.IDs, out), err
}

type undoIn struct {
	Body struct {
		Event int64 `json:"event" minimum:"1" doc:"as undo of the change said it"`
	}
}

func (a *API) undoChange(r *face.Request, in *undoIn) (outcomes, error) {
	out, err := r.Desk.Undo(r.Context(), in.Body.Event)
	return outcomesOf(nil, out), err
}

type decisionQuery struct {
	Paging
	Weakness string `query:"weakness"`
}

// allOf bounds a list that is read as a whole.
const allOf = 100_000

func (a *API) listDecisions(r *face.Request, in *decisionQuery) (page[vedette.Decision], error) {
	ds, err := r.Desk.Rows().Decisions(r.Context(), in.Weakness, allOf)
	if err != nil {
		return page[vedette.Decision]{}, err
	}
	return listed(a, r, in.Paging, whole(ds, func(d vedette.Decision) string { return d.ID }))
}

func (a *API) getDecision(r *face.Request, in *ByID) (vedette.Decision, error) {
	ds, err := r.Desk.Rows().Decisions(r.Context(), "", allOf)
	i := slices.IndexFunc(ds, func(d vedette.Decision) bool { return d.ID == in.ID })
	if err != nil || i < 0 {
		return vedette.Decision{}, orAbsent(err, "decision", in.ID)
	}
	return ds[i], nil
}

// orAbsent is an error, or that there is no such thing.
func orAbsent(err error, noun, id string) error {
	if err != nil {
		return err
	}
	return vedette.NotFound("%s %s", noun, id)
}

type decideIn struct {
	Body struct {
		Kind        string `json:"kind" enum:"risk accepted,false positive,not affected"`
		Weakness    string `json:"weakness" minLength:"1" maxLength:"300"`
		Constituent string `json:"constituent,omitempty" maxLength:"100" doc:"absent is everywhere, the next constituents too"`
		Asset       string `json:"asset,omitempty" maxLength:"300" doc:"absent is every asset"`
		Until       string `json:"until,omitempty" format:"date" doc:"the last day; an accepted risk takes one"`
		Reason      string `json:"reason" minLength:"1" maxLength:"10000"`
	}
}

func (a *API) decide(r *face.Request, in *decideIn) (vedette.Decision, error) {
	b := in.Body
	d := vedette.Decision{Kind: vedette.DecisionKind(b.Kind), Weakness: b.Weakness, Constituent: b.Constituent, Reason: b.Reason}
	if b.Asset != "" {
		asset, err := vedette.ParseAsset(b.Asset)
		if err != nil {
			return d, badField("#/asset", err.Error())
		}
		d.Asset = asset.ID
	}
	if b.Until != "" {
		last, err := time.Parse(time.DateOnly, b.Until)
		if err != nil || !last.After(a.hub.Now()) {
			return d, badField("#/until", "not a day to come, YYYY-MM-DD")
		}
		d.Until = last.AddDate(0, 0, 1)
	}
	d, err := r.Desk.Rows().Decide(r.Context(), d)
	if err == nil {
		at(r, "decisions/"+d.ID)
	}
	return finished(r, d, err)
}

// ChangeDecisionIn names a decision, as it was read.
type ChangeDecisionIn struct {
	ByID
	IfMatch
}

func (a *API) approveDecision(r *face.Request, in *ChangeDecisionIn) (vedette.Decision, error) {
	if err := a.sameDecision(r, in); err != nil {
		return vedette.Decision{}, err
	}
	d, err := r.Desk.Rows().ApproveDecision(r.Context(), in.ID)
	return finished(r, d, err)
}

func (a *API) sameDecision(r *face.Request, in *ChangeDecisionIn) error {
	if in.Tag == "" {
		return nil
	}
	d, err := a.getDecision(r, &in.ByID)
	if err != nil {
		return err
	}
	return unchanged(r, d)
}

// why is why something is done.
type why struct {
	Reason string `json:"reason" minLength:"1" maxLength:"10000" doc:"why; it is recorded"`
}

type revokeDecisionIn struct {
	ChangeDecisionIn
	Body why
}

func (a *API) revokeDecision(r *face.Request, in *revokeDecisionIn) (vedette.Decision, error) {
	if err := a.sameDecision(r, &in.ChangeDecisionIn); err != nil {
		return vedette.Decision{}, err
	}
	d, err := r.Desk.Rows().EndDecision(r.Context(), in.ID, in.Body.Reason)
	return finished(r, d, err)
}
