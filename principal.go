package vedette

import "slices"

// Role is what a principal is for. policy holds the table of what each may do.
type Role string

// The roles of design section 5. A token's role is one of the last three.
const (
	Viewer      Role = "viewer"       // of a constituent: reads what is its own
	Manager     Role = "manager"      // of a constituent: also writes what is its own
	Partner     Role = "partner"      // another team: reads what it is a recipient of
	Responder   Role = "responder"    // SOC or DFIR: reads intelligence, and the constituents bound to it
	Analyst     Role = "analyst"      // reads and writes intelligence and findings
	Assessor    Role = "assessor"     // an analyst limited to the constituents of his assessments
	Lead        Role = "lead"         // approves, sends, lowers markings, changes scope
	Admin       Role = "admin"        // runs the machine; reads no intelligence
	Auditor     Role = "auditor"      // reads the record of what was done
	API         Role = "api"          // token: its owner's rights, narrowed
	Ingest      Role = "ingest"       // token: hands in data of one constituent, reads nothing else
	ProbeWorker Role = "probe-worker" // token: runs leased probes
)

// Roles are all roles in the order of the table.
var Roles = []Role{Viewer, Manager, Partner, Responder, Analyst, Assessor, Lead, Admin, Auditor, API, Ingest, ProbeWorker}

// Person says whether a person can have the role; the others are of tokens.
func (r Role) Person() bool { return r != API && r != Ingest && r != ProbeWorker }

// Principal is who acts: a person, or a token that acts for one.
type Principal struct {
	Name         string   `json:"name"` // a person's user name, unique; audiences name persons by it
	Roles        []Role   `json:"roles"`
	Constituents []string `json:"constituents,omitempty"` // ids this principal is bound to; staff roles without a binding serve all
	Orgs         []string `json:"orgs,omitempty"`         // further organisations it speaks for, as a partner does
	Token        string   `json:"token,omitempty"`        // the token's name when one was used, for the record
}

// Has says whether the principal has any of the roles.
func (p Principal) Has(roles ...Role) bool {
	return slices.ContainsFunc(roles, func(r Role) bool { return slices.Contains(p.Roles, r) })
}

// Local is the owner of an embedded store's folder, at the command line.
func Local() Principal {
	return Principal{Name: "local", Roles: []Role{Lead, Analyst, Assessor, Admin}}
}
