// Package face is what every HTTP face shares: the table of routes, who acts,
// and what the hub does for them beside giving rows. A route without a row in
// the policy does not start; what a principal may not do is as absent as what
// does not exist.
package face

import (
	"context"
	"io"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/store"
)

// Desk is where one principal works: rows through the walls, and the acts that
// take more than rows. Every act that changes something is finished when it
// returns: the line has run.
type Desk interface {
	// Rows are the queries of the principal.
	Rows() *store.Scoped
	// Join is what a vulnerability means to those the principal may see.
	Join(ctx context.Context, id string) (*vedette.Join, error)
	// Cases are cases with their clocks, the nearest deadline first; next goes on, "" ends.
	Cases(ctx context.Context, f store.CaseFilter) (cases []vedette.Case, next string, err error)
	// Case is one case with its clock and its places.
	Case(ctx context.Context, id string) (vedette.Case, []vedette.Finding, error)
	// SetCases changes cases, and says how to undo it.
	SetCases(ctx context.Context, ids []string, ch store.CaseChange) (Outcome, error)
	// Undo takes an act back as far as nobody changed things since.
	Undo(ctx context.Context, event int64) (Outcome, error)
	// Retest looks again at the places of findings; a survey for each constituent.
	Retest(ctx context.Context, findings []string) ([]vedette.Survey, error)
	// Survey looks at a whole constituent inside its scope.
	Survey(ctx context.Context, constituent string, class vedette.CheckClass) (vedette.Survey, error)
	// Plan is what Survey would look at, and what it would leave out.
	Plan(ctx context.Context, constituent string, class vedette.CheckClass) (Plan, error)
	// SetSchedule keeps how often a constituent is surveyed; Every 0 ends that.
	SetSchedule(ctx context.Context, s vedette.Schedule) error
	// OptOut keeps something from being touched, whatever a scope says.
	OptOut(ctx context.Context, o vedette.OptOut) error
	// Draft writes the alert of an exploited vulnerability; for all with an open case when none is named.
	Draft(ctx context.Context, cve string, constituents []string) (vedette.Publication, error)
	// Lint checks the drafts of a publication.
	Lint(ctx context.Context, publication string) ([]vedette.Fault, error)
	// Approve gives a publication its number; what Lint stops is refused.
	Approve(ctx context.Context, publication string) (vedette.Publication, error)
	// Publish puts what is owed into the outbox.
	Publish(ctx context.Context, publication string) (store.Published, error)
	// Withdraw takes a publication back.
	Withdraw(ctx context.Context, publication, reason string) error
	// Preview is the edition of a constituent as a part of a page, and what it was
	// made of; version 0 is the last.
	Preview(ctx context.Context, publication, constituent string, version int) (Preview, error)
	// Recipients are who gets a message when the publication is sent as it stands,
	// its drafts taken as approved; who has the version already gets none.
	Recipients(ctx context.Context, publication string) ([]Recipient, error)
	// Edition writes the edition of a constituent; version 0 is the last.
	Edition(ctx context.Context, w io.Writer, publication, constituent string, version int, form string) error
	// Jobs are the jobs of the hub, newest first.
	Jobs(ctx context.Context, f JobFilter) ([]vedette.Job, error)
	// RetryJob lets a job run again, CancelJob ends it.
	RetryJob(ctx context.Context, id int64) error
	CancelJob(ctx context.Context, id int64) error
	// Whose is the constituent whose scope names a name or an address, "" for none
	// within the wall, and those that use it.
	Whose(ctx context.Context, asset string) (owner string, users []string, err error)
	// Import takes a file in, with its members; each has its outcome.
	Import(ctx context.Context, u Upload, file io.Reader) ([]Imported, error)
	// Drain runs the line after a change that was made through Rows.
	Drain(ctx context.Context) error
}

// Outcome is what a change of many did.
type Outcome struct {
	Done    int             `json:"done"`
	Refused []store.NotDone `json:"refused,omitempty"` // each with the reason
	Undo    int64           `json:"undo,omitempty"`    // the event that Undo takes back, 0 when there is none
}

// Upload says how a file is taken in.
type Upload struct {
	Name        string // of the file, for the record
	Constituent string // whom it speaks of, "" when it says itself
	Source      string // who says it, "" for the format's own
	Format      string // "" recognises it by its first bytes
	Marking     vedette.Marking
	Shrink      bool // a full list may leave out more than a tenth of what it had
}

// Imported is what became of one document.
type Imported struct {
	File   string `json:"file"`
	Format string `json:"format"`
	vedette.Counts
	Known   bool       `json:"known,omitempty"` // the same bytes came from the source before
	Refused []NotTaken `json:"refused"`
}

// NotTaken is a record or a document that was refused, and why.
type NotTaken struct {
	Where string `json:"where"`
	Why   string `json:"why"`
}

// JobFilter narrows a list of jobs; its zero value is all.
type JobFilter struct {
	State, Kind string
	Below       int64 // only older ones than this job
	Limit       int   // 0 is 100
}

// Plan is what a survey would do.
type Plan struct {
	Names, Addresses, Parts int
	Left                    []Left
}

// Left is what a survey would leave out, and why.
type Left struct{ What, Why string }

// About is what the hub says of itself to everybody.
type About struct {
	Team, Contact string   // who publishes, and where questions go; "" when nobody said
	Scanner       string   // whom those we look at ask: a mail address or a URL
	Addresses     []string // that surveys come from, as the operator says them
	Agent         string   // User-Agent of surveys
	Pace          string   // how fast surveys are at most, in words
	Checks        []Check
	// Base is the address of the pages, "https://hub.example"; "" when nobody said.
	Base string
}

// Check is what one check of surveys does, and how far it goes.
type Check struct {
	Name, What string
	Class      vedette.CheckClass
}

// Preview is an edition to look at.
type Preview struct {
	vedette.Edition
	Kind, Title, Reader string
	// HTML is the text of the edition: all of it comes from Markdown in which
	// what is from outside was escaped.
	HTML string
	// Inputs are what is known of the vulnerability of an alert, as the reader of
	// the page may know it, and whether the edition tells it.
	Inputs []Input
}

// Input is what one source says.
type Input struct {
	Source, Says, Admiralty string
	Marking                 vedette.Marking
	Shown                   bool // in the edition
}

// Recipient is who is owed a message. Without a contact nobody can be told.
type Recipient struct {
	Constituent, Name string
	Contact           string
	Role              vedette.ContactRole
	Reason            string
}

// Receipt is what the link of a mail shows.
type Receipt struct {
	Number, Level string
	Version       int
	Acked         time.Time // zero until somebody acknowledged
}

// Hub is what the faces ask of the program: who acts, and a desk for him.
type Hub interface {
	Desk(ctx context.Context, p vedette.Principal) (Desk, error)
	// Token is whom the secret of a token stands for.
	Token(ctx context.Context, secret string) (vedette.Principal, error)
	// Lab says that the store is one of a lab: every page says so.
	Lab() bool
	// About is what everybody may know of the hub.
	About() About
	// Receipt and Acknowledge are for the holder of a link in a mail.
	Receipt(ctx context.Context, link string) (Receipt, error)
	Acknowledge(ctx context.Context, link string) (Receipt, error)
	// Ready is nil when the store answers.
	Ready(ctx context.Context) error
	// Now is the time of the hub.
	Now() time.Time
}
