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
}

var (
	readers  = []vedette.Role{vedette.Viewer, vedette.Manager, vedette.Partner, vedette.Responder, vedette.Analyst, vedette.Assessor, vedette.Lead, vedette.Auditor}
	exposure = []vedette.Role{vedette.Viewer, vedette.Manager, vedette.Responder, vedette.Analyst, vedette.Assessor, vedette.Lead}
	writers  = []vedette.Role{vedette.Manager, vedette.Ingest, vedette.Analyst, vedette.Assessor, vedette.Lead}
	machine  = []vedette.Role{vedette.Admin}
	everyone = vedette.Roles
)

// Table is the whole policy: role x capability of reliability C4. Anonymous
// may do what Roles is nil for.
var Table = []Row{
	{"version", nil, "tells nothing of the content"},
	{"import", writers, "a manager and an ingest token for their own constituent only"},
	{"constituent apply", []vedette.Role{vedette.Lead}, "changes scope"},
	{"constituent list", exposure, "narrowed to what the reader may see"},
	{"constituent show", exposure, "narrowed to what the reader may see"},
	{"asset list", exposure, "own, or shared as a fact"},
	{"asset show", exposure, "own, or shared as a fact"},
	{"finding list", exposure, "own, or shared as a fact"},
	{"finding show", exposure, "own, or shared as a fact"},
	{"finding add", []vedette.Role{vedette.Manager, vedette.Analyst, vedette.Assessor, vedette.Lead}, "a person's statement about an own asset"},
	{"cve list", readers, "the merge of the claims the reader may see"},
	{"cve show", readers, "the merge of the claims the reader may see"},
	{"intel list", readers, "the merge of the claims the reader may see"},
	{"intel show", readers, "the merge of the claims the reader may see"},
	{"product list", []vedette.Role{vedette.Analyst, vedette.Lead, vedette.Assessor}, "names over all constituents bound to the reader"},
	{"product accept", []vedette.Role{vedette.Analyst, vedette.Lead}, "joins two names for everybody"},
	{"product reject", []vedette.Role{vedette.Analyst, vedette.Lead}, "parts two names for everybody"},
	{"source list", []vedette.Role{vedette.Analyst, vedette.Responder, vedette.Lead, vedette.Auditor, vedette.Admin}, "who says things, not what"},
	{"source set", []vedette.Role{vedette.Lead}, "sets default markings"},
	{"audit list", everyone, "all for auditor and lead, own acts for the others"},
	{"audit verify", []vedette.Role{vedette.Auditor, vedette.Lead, vedette.Admin}, "hashes only"},
	{"user add", machine, "separation of duty: the machine's role gives rights, it has none of them"},
	{"user list", []vedette.Role{vedette.Lead, vedette.Auditor, vedette.Admin}, ""},
	{"user disable", machine, ""},
	{"token add", machine, ""},
	{"token list", []vedette.Role{vedette.Lead, vedette.Auditor, vedette.Admin}, "never the secret"},
	{"token revoke", machine, ""},
	{"rebuild", machine, "changes nothing that is not derived"},
	{"purge", []vedette.Role{vedette.Lead}, "destroys content"},
	{"backup", machine, "the file carries everything: guard it as the store"},
	{"restore", machine, ""},
	{"migrate", machine, ""},
	{"verify", []vedette.Role{vedette.Admin, vedette.Auditor}, "hashes only"},
	{"lab estate", machine, "only on a store stamped as a lab"},
	{"lab init", machine, "only on a new store"},
	{"doctor", machine, "the machine, not the content"},
}

// May says whether the principal may do the act. An act without a row is
// forbidden to everybody.
func May(p vedette.Principal, act Act) bool {
	i := slices.IndexFunc(Table, func(r Row) bool { return r.Act == act })
	if i < 0 {
		return false
	}
	return Table[i].Roles == nil || p.Has(Table[i].Roles...)
}

// AllAudit says whether the principal reads the acts of all.
func AllAudit(p vedette.Principal) bool { return p.Has(vedette.Auditor, vedette.Lead) }
