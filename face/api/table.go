package api

import (
	"net/http"
	"reflect"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vedette-hub/vedette/face"
)

const (
	get   = http.MethodGet
	post  = http.MethodPost
	patch = http.MethodPatch
)

// table is every operation.
func (a *API) table() []operation {
	return slices.Concat(a.exposed(), a.decided(), a.known(), a.published(), a.operated(), a.people(), []operation{a.importing()})
}

func (a *API) exposed() []operation {
	return []operation{
		op("constituent list", get, "/constituents", "list-constituents", "Constituents, by id", a.listConstituents),
		op("constituent show", get, "/constituents/{id}", "get-constituent", "A constituent: profile, scope, contacts", a.getConstituent),
		op("asset list", get, "/assets", "list-assets", "Names and addresses that were seen, by id", a.listAssets),
		op("asset show", get, "/assets/{id}", "get-asset", "An asset with what is and was seen on it", a.getAsset),
		op("finding list", get, "/findings", "list-findings", "Findings: one weakness on one asset of one constituent", a.listFindings),
		op("finding show", get, "/findings/{id}", "get-finding", "A finding with its evidence", a.getFinding),
		op("finding retest", post, "/findings/{id}/retest", "retest-finding", "Look again at the place of a finding, in a survey", a.retestFinding).status(http.StatusAccepted),
	}
}

func (a *API) decided() []operation {
	return []operation{
		op("case list", get, "/cases", "list-cases", "Cases, the nearest deadline first: open ones that no decision covers, unless asked otherwise", a.listCases),
		op("case show", get, "/cases/{id}", "get-case", "A case with its places", a.getCase),
		op("case set", patch, "/cases/{id}", "change-case", "Change state, assignee or note (JSON Merge Patch, RFC 7396)", a.changeCase),
		op("case set", post, "/cases/bulk", "change-cases", "Change many cases as one act; each has its own outcome", a.changeCases),
		op("case undo", post, "/cases/undo", "undo-change", "Take a change of cases back, as far as nobody changed them since", a.undoChange),
		op("case decisions", get, "/decisions", "list-decisions", "Decisions, the newest first", a.listDecisions),
		op("case decisions", get, "/decisions/{id}", "get-decision", "A decision", a.getDecision),
		op("case decide", post, "/decisions", "decide", "Accept a risk, or say false positive or not affected; it covers nothing until another person approves it", a.decide).status(http.StatusCreated),
		op("case approve", post, "/decisions/{id}/approve", "approve-decision", "Let a decision of somebody else cover what it is about", a.approveDecision),
		op("case revoke", post, "/decisions/{id}/revoke", "revoke-decision", "End a decision: what it covered counts again", a.revokeDecision),
	}
}

func (a *API) known() []operation {
	return []operation{
		op("cve list", get, "/cves", "list-cves", "Vulnerabilities: exploited ones that touch somebody first, then exploited ones, then by their last change", a.listCVEs),
		op("cve show", get, "/cves/{id}", "get-cve", "The join: what a vulnerability means to those we protect", a.getCVE),
		op("search", get, "/search", "search", "Objects by words, or by an exact id or alias", a.search),
		op("source list", get, "/sources", "list-sources", "Who says things, by name", a.listSources),
	}
}

func (a *API) published() []operation {
	return []operation{
		op("publication list", get, "/publications", "list-publications", "Publications, the newest first", a.listPublications),
		op("publication show", get, "/publications/{id}", "get-publication", "A publication with its editions", a.getPublication),
		op("publication show", get, "/publications/{id}/editions/{constituent}", "get-edition", "The edition of a constituent as Markdown, HTML, JSON or PDF", a.getEdition),
		op("publication draft", post, "/publications", "draft-publication", "Draft the alert of a vulnerability, for all with an open case when none is named", a.draftPublication).status(http.StatusCreated),
		op("publication lint", get, "/publications/{id}/lint", "lint-publication", "What a check of the drafts finds", a.lintPublication),
		op("publication approve", post, "/publications/{id}/approve", "approve-publication", "Give a draft its number; never one's own text", a.approvePublication),
		op("publication publish", post, "/publications/{id}/publish", "publish-publication", "Put what is owed into the outbox", a.publishPublication).status(http.StatusAccepted),
		op("publication withdraw", post, "/publications/{id}/withdraw", "withdraw-publication", "Take a publication back; who got it is told", a.withdrawPublication),
		op("publication receipts", get, "/publications/{id}/receipts", "list-receipts", "What went to whom, and who acknowledged", a.listReceipts),
	}
}

func (a *API) operated() []operation {
	return []operation{
		op("survey list", get, "/surveys", "list-surveys", "Surveys, the newest first", a.listSurveys),
		op("survey show", get, "/surveys/{id}", "get-survey", "How a survey goes: what was refused, what did not work", a.getSurvey),
		op("survey run", post, "/surveys", "run-survey", "Look at a constituent inside its scope", a.runSurvey).status(http.StatusAccepted),
		op("survey stop", post, "/surveys/{id}/stop", "stop-survey", "Stop a survey within seconds", a.stopSurvey),
		op("survey stop", post, "/surveys/stop", "stop-surveys", "Stop all surveys; none begins until they are resumed", a.stopSurveys),
		op("survey resume", post, "/surveys/resume", "resume-surveys", "Lift the stop of all surveys", a.resumeSurveys),
		op("survey diff", get, "/surveys/diff", "list-changes", "What appeared, changed and vanished", a.listChanges),
		op("feed list", get, "/feeds", "list-feeds", "Feeds with their health, by name", a.listFeeds),
		op("feed show", get, "/feeds/{name}", "get-feed", "A feed with its health", a.getFeed),
		op("feed enable", post, "/feeds/{name}/enable", "enable-feed", "Fetch a feed from now on", a.enableFeed),
		op("feed disable", post, "/feeds/{name}/disable", "disable-feed", "Fetch a feed no longer", a.disableFeed),
		op("job list", get, "/jobs", "list-jobs", "Jobs, the newest first", a.listJobs),
		op("job retry", post, "/jobs/{id}/retry", "retry-job", "Let a job run again", a.retryJob),
		op("job cancel", post, "/jobs/{id}/cancel", "cancel-job", "End a job, waiting or running", a.cancelJob),
	}
}

func (a *API) people() []operation {
	adding := op("token add", post, "/tokens", "add-token", "Make a token; its secret is shown this once", a.addToken).status(http.StatusCreated)
	adding.secret = true
	return []operation{
		op("audit list", get, "/events", "list-events", "The record of what was done, the newest first", a.listEvents),
		op("user list", get, "/users", "list-users", "Persons, by name", a.listUsers),
		op("user list", get, "/users/{name}", "get-user", "A person", a.getUser),
		op("user add", post, "/users", "add-user", "Add a person, or give a known one other rights", a.addUser).status(http.StatusCreated),
		op("user disable", post, "/users/{name}/disable", "disable-user", "Take all rights away, with sessions and tokens", a.disableUser),
		op("token list", get, "/tokens", "list-tokens", "Tokens, by name, never their secrets", a.listTokens),
		op("token list", get, "/tokens/{name}", "get-token", "A token, never its secret", a.getToken),
		adding,
		op("token revoke", post, "/tokens/{name}/revoke", "revoke-token", "End a token at once", a.revokeToken),
		{act: "audit list", raw: a.stream, doc: huma.Operation{Method: get, Path: "/events", OperationID: "stream-events", Summary: "The record as it grows (text/event-stream); Last-Event-ID goes on behind an event",
			Parameters: []*huma.Param{{Name: "Last-Event-ID", In: "header", Schema: &huma.Schema{Type: "string"}, Description: "the last event that was received"}},
			Responses:  map[string]*huma.Response{"200": {Description: "events", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: "string"}}}}}}},
	}
}

// description is the frame of the OpenAPI document.
func description(version string) *huma.OpenAPI {
	return &huma.OpenAPI{OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "vedette", Version: version, License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			Description: "The hub of a CSIRT. What the caller may not see is answered as what does not exist. Times are RFC 3339 in UTC, errors RFC 9457 problems."},
		Components: &huma.Components{Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"token":   {Type: "http", Scheme: "bearer", Description: "a token of `vedette token add`"},
				"session": {Type: "apiKey", In: "cookie", Name: "vedette", Description: "the session of the pages; __Host-vedette over TLS"},
			}},
		Security: []map[string][]string{{"token": {}}, {"session": {}}},
	}
}

var idempotencyKey = &huma.Param{Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: "string", MaxLength: ptr(maxKey)},
	Description: "the same call with the same key is done once and gets the same answer, for 24 hours"}

func ptr[T any](v T) *T { return &v }

// problemOf is how every error of the interface looks.
func problemOf(r huma.Registry) *huma.Response {
	return &huma.Response{Description: "what went wrong (RFC 9457)", Content: map[string]*huma.MediaType{
		"application/problem+json": {Schema: r.Schema(reflect.TypeFor[face.Details](), true, "")}}}
}

// ByID is the path of one thing.
type ByID struct {
	ID string `path:"id" maxLength:"300"`
}

// ByName is the path of one thing that has a name.
type ByName struct {
	Name string `path:"name" maxLength:"100"`
}

// finished runs the line after a change that was made through rows.
func finished[T any](r *face.Request, v T, err error) (T, error) {
	if err == nil {
		err = r.Desk.Drain(r.Context())
	}
	return v, err
}

// at says where something that was made is.
func at(r *face.Request, path string) { r.ResponseWriter.Header().Set("Location", "/api/v1/"+path) }
