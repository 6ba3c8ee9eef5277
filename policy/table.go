package policy

import (
	"slices"

	"github.com/vedette-hub/vedette"
)

// Act is something a command or a route does. Every one of them has a row in Table.
type Act string

// Row says which roles may do an act. Own means that constituent roles may do
// it to their own constituent only, which the store's walls enforce.
type Row struct {
	Act   Act
	Roles []vedette.Role
	Why   string
	// Whole acts concern the whole store: a principal bound to constituents,
	// a narrowed token of a lead included, may not do them.
	Whole bool
}

var (
	readers   = []vedette.Role{vedette.Viewer, vedette.Manager, vedette.Partner, vedette.Responder, vedette.Analyst, vedette.Assessor, vedette.Lead, vedette.Auditor}
	exposure  = []vedette.Role{vedette.Viewer, vedette.Manager, vedette.Responder, vedette.Analyst, vedette.Assessor, vedette.Lead}
	writers   = []vedette.Role{vedette.Manager, vedette.Ingest, vedette.Analyst, vedette.Assessor, vedette.Lead}
	surveyors = []vedette.Role{vedette.Analyst, vedette.Assessor, vedette.Lead}
	machine   = []vedette.Role{vedette.Admin}
	everyone  = vedette.Roles

	feedReaders = []vedette.Role{vedette.Analyst, vedette.Lead, vedette.Auditor, vedette.Admin}
	keepers     = []vedette.Role{vedette.Lead, vedette.Admin}
)

// Table is the whole policy: role x capability of reliability C4. Anonymous
// may do what Roles is nil for.
var Table = []Row{
	{"version", nil, "tells nothing of the content", false},
	{"page assets", nil, "style sheet, pictures, reports of browsers", false},
	{"health", nil, "says that the hub runs", false},
	{"api description", nil, "the shape of the interface: tells nothing of the content", false},
	{"sign in", nil, "a name and a password, or a link", false},
	{"explain", nil, "who we are and what we send, for those we look at; how accessible the pages are", false},
	{"account", everyone, "one's own sign-in, and how the pages look", false},
	{"help", everyone, "keys and words", false},
	{"link", nil, "number, level and a button, for whoever holds the link of a mail", false},
	{"search", readers, "each kind of thing as its own list is", false},
	{"today", everyone, "each part of it as its own list is", false},
	{"case undo", []vedette.Role{vedette.Manager, vedette.Analyst, vedette.Lead}, "one's own act, as far as nobody changed things since", false},
	{"import", writers, "a manager and an ingest token for their own constituent only", false},
	{"constituent apply", []vedette.Role{vedette.Lead}, "changes scope", true},
	{"constituent list", exposure, "narrowed to what the reader may see", false},
	{"constituent show", exposure, "narrowed to what the reader may see", false},
	{"asset list", exposure, "own, or shared as a fact", false},
	{"asset show", exposure, "own, or shared as a fact", false},
	{"finding list", exposure, "own, or shared as a fact", false},
	{"finding show", exposure, "own, or shared as a fact", false},
	{"finding add", []vedette.Role{vedette.Manager, vedette.Analyst, vedette.Assessor, vedette.Lead}, "a person's statement about an own asset", false},
	{"case decide", []vedette.Role{vedette.Manager, vedette.Analyst, vedette.Lead}, "covers nothing until somebody else approves it", false},
	{"case decisions", exposure, "own; those about everybody are the hub's", false},
	{"case approve", []vedette.Role{vedette.Lead}, "never one's own decision", true},
	{"case revoke", []vedette.Role{vedette.Lead}, "what was covered counts again", true},
	{"publication draft", []vedette.Role{vedette.Analyst, vedette.Lead}, "writes what a lead has to approve", true},
	{"publication list", exposure, "staff: all they may read; constituents: what was approved for them", false},
	{"publication show", exposure, "staff: all they may read; constituents: what was approved for them", false},
	{"publication lint", []vedette.Role{vedette.Analyst, vedette.Lead}, "", true},
	{"publication approve", []vedette.Role{vedette.Lead}, "never one's own text", true},
	{"publication publish", []vedette.Role{vedette.Lead}, "sends", true},
	{"publication receipts", exposure, "of the editions the reader sees", false},
	{"publication bounce", []vedette.Role{vedette.Analyst, vedette.Lead}, "says that a message came back", true},
	{"publication redeliver", []vedette.Role{vedette.Lead}, "sends", true},
	{"publication withdraw", []vedette.Role{vedette.Lead}, "", true},
	{"case list", exposure, "own, as far as its findings are seen", false},
	{"case show", exposure, "own, as far as its findings are seen", false},
	{"case set", []vedette.Role{vedette.Manager, vedette.Analyst, vedette.Lead}, "what people do about an own weakness", false},
	{"finding retest", []vedette.Role{vedette.Manager, vedette.Analyst, vedette.Assessor, vedette.Lead}, "a look at the places of an own finding, inside the scope", false},
	{"survey run", surveyors, "a look inside the scope that a lead applied", false},
	{"survey host", surveyors, "a look inside the scope that a lead applied", false},
	{"survey list", exposure, "narrowed to what the reader may see", false},
	{"survey show", exposure, "narrowed to what the reader may see", false},
	{"survey diff", exposure, "narrowed to what the reader may see", false},
	{"survey unknowns", surveyors, "answers over all constituents within the wall", false},
	{"survey stop", surveyors, "whoever may begin may end; all at once is not for the bound", false},
	{"survey resume", []vedette.Role{vedette.Lead}, "", true},
	{"survey optout add", surveyors, "touches fewer", true},
	{"survey optout list", surveyors, "names third parties", true},
	{"survey optout remove", []vedette.Role{vedette.Lead}, "touches more", true},
	{"survey schedule set", []vedette.Role{vedette.Lead}, "begins surveys that nobody watches", false},
	{"survey schedule list", surveyors, "narrowed to what the reader may see", false},
	{"demo", nil, "makes a world of its own", false},
	{"demo page", everyone, "the world outside of a demo: invented", false},
	{"serve", machine, "runs the hub, reads nothing", true},
	{"worker", nil, "the database role decides: it has no token and reads no content", false},
	{"job list", []vedette.Role{vedette.Analyst, vedette.Lead, vedette.Admin}, "ids only", true},
	{"job retry", []vedette.Role{vedette.Lead, vedette.Admin}, "", true},
	{"job cancel", []vedette.Role{vedette.Analyst, vedette.Lead, vedette.Admin}, "", true},
	{"config show", []vedette.Role{vedette.Lead, vedette.Admin}, "", true},
	{"config describe", nil, "tells nothing of the content", false},
	{"cve list", readers, "the merge of the claims the reader may see", false},
	{"cve show", readers, "the merge of the claims the reader may see", false},
	{"product list", []vedette.Role{vedette.Analyst, vedette.Lead, vedette.Assessor}, "names over all constituents bound to the reader", false},
	{"product propose", []vedette.Role{vedette.Analyst, vedette.Lead, vedette.Assessor}, "names over all constituents bound to the reader", false},
	{"product accept", []vedette.Role{vedette.Analyst, vedette.Lead}, "joins two names for everybody", true},
	{"product reject", []vedette.Role{vedette.Analyst, vedette.Lead}, "parts two names for everybody", true},
	{"feed list", feedReaders, "where knowledge comes from and how it fares", true},
	{"feed show", feedReaders, "where knowledge comes from and how it fares", true},
	{"feed apply", keepers, "decides who is heard; secrets and folders are the operator's configuration", true},
	{"feed enable", keepers, "begins to ask others, under our name", true},
	{"feed disable", keepers, "", true},
	{"feed run", keepers, "one fetch, now", true},
	{"source list", []vedette.Role{vedette.Analyst, vedette.Responder, vedette.Lead, vedette.Auditor, vedette.Admin}, "who says things, not what", true},
	{"audit list", everyone, "all for auditor and lead, own acts for the others", false},
	{"audit verify", []vedette.Role{vedette.Auditor, vedette.Lead, vedette.Admin}, "hashes only", true},
	{"user add", machine, "separation of duty: the machine's role gives rights, it has none of them", true},
	{"user list", []vedette.Role{vedette.Lead, vedette.Auditor, vedette.Admin}, "", true},
	{"user disable", machine, "", true},
	{"user password", machine, "one's own by the page, with the old one", true},
	{"user totp", machine, "one's own by the page", true},
	{"user link", machine, "whoever has the link is the user: on record", true},
	{"user sessions", machine, "one's own by the page", true},
	{"user passkeys", machine, "one's own by the page", true},
	{"user subject", machine, "whoever signs in elsewhere as the subject is the user", true},
	{"user unlock", machine, "", true},
	{"token add", machine, "", true},
	{"token list", []vedette.Role{vedette.Lead, vedette.Auditor, vedette.Admin}, "never the secret", true},
	{"token revoke", machine, "", true},
	{"rebuild", machine, "changes nothing that is not derived", true},
	{"purge", []vedette.Role{vedette.Lead}, "destroys content", true},
	{"backup", machine, "the file carries everything: guard it as the store", true},
	{"restore", machine, "", true},
	{"migrate", machine, "", true},
	{"verify", []vedette.Role{vedette.Admin, vedette.Auditor}, "hashes only", true},
	{"lab estate", machine, "only on a store stamped as a lab", true},
	{"lab serve", machine, "loopback only", true},
	{"lab init", machine, "only on a new store", true},
}

// May says whether the principal may do the act. An act without a row is
// forbidden to everybody.
func May(p vedette.Principal, act Act) bool {
	i := slices.IndexFunc(Table, func(r Row) bool { return r.Act == act })
	if i < 0 {
		return false
	}
	row := Table[i]
	if row.Whole && Bound(p) {
		return false
	}
	return row.Roles == nil || p.Has(row.Roles...)
}

// AllAudit says whether the principal reads the acts of all.
func AllAudit(p vedette.Principal) bool { return p.Has(vedette.Auditor, vedette.Lead) && !Bound(p) }

// Find is the row of an act.
func Find(act Act) (Row, bool) {
	i := slices.IndexFunc(Table, func(r Row) bool { return r.Act == act })
	if i < 0 {
		return Row{}, false
	}
	return Table[i], true
}
