// Package vedette holds the nouns of the hub, and this file is the tour.
//
// vedette is what a CSIRT runs to protect many organisations, its constituents.
// It knows what they expose and what attackers do, joins the two, and says what
// threatens whom, with the reasons. One sentence runs through the program:
//
// Documents become claims, claims become knowledge, knowledge meets assets as
// findings, findings become cases, cases become publications, publications are
// delivered, delivery and repair are verified.
//
// The code goes the whole way, thin in places (docs/life-of-an-alert.md says
// where), and answers the question that all of it is for:
//
//	vedette cve show CVE-2026-90417
//
// # Read in this order
//
// The nouns come first, one file each in this folder. [Source], [Intake],
// [Statement] and [Claim] in claim.go are who says what; [Vulnerability] and
// its [Exploitation] assertions are what is said; [Asset], [Fact] and
// [Observation] in asset.go are what somebody exposes; [Finding] is where the
// two met, and [Match] why. [Constituent], [Marking] and [Principal] are whom we
// protect, who may read, and who is asking. The nouns import the standard
// library and nothing of ours, so they can be read alone.
//
// Then docs/life-of-an-alert.md follows one exploited vulnerability from a file
// to the answer, function by function. Then app/commands.go, the table of
// commands, and app/line.go, the stages in order. HACKING.md has the rules, and
// docs/decisions the reasons for those that are not obvious.
//
// # The rooms
//
// A package is a room with one job, and arch_test.go says which rooms know each
// other. There are five kinds.
//
// Formats know nothing of ours. format/cve, format/kev, format/nmapxml and their
// neighbours turn bytes into plain structs as a specification defines them.
//
// What comes in goes through two rooms. safe stands in front of every parser:
// size, depth, ratio, duplicate keys, broken text. read has one value of type
// Format for each kind of document, which recognises it, cuts it into records
// and says what a record states, in nouns. Neither touches the store.
//
// feed fetches what others publish, by http or from a folder, and collect is
// where fetching and reading meet: it keeps each document whole, reads it, and
// hands it in. Imports by hand take the same path.
//
// The third way in are our own eyes. probe has one value of type Check for each
// way to look at a name or a port; it reaches the network through safe's dialer,
// which asks the scope before every packet. What it saw becomes a document like
// any other (docs/decisions/0010-survey.md).
//
// What thinks are pure functions over nouns. product decides which names are of
// one product. knowledge merges what sources say of one object and keeps who
// said what. match judges one software by the affected ranges of one
// vulnerability and gives its reasons. triage finds the row of a decision table
// and keeps every input. scope finds whose an asset is, and its Rules decide
// what may be touched. survey plans what a run looks at.
//
// What goes out: compose turns what is known into publications, deliver brings
// what is owed, face/web has the pages, face/api the REST interface.
//
// Under them lie policy, which decides who may read and do what, store, which
// has all SQL, once, for SQLite and PostgreSQL, credential, the arithmetic of
// passwords and codes, job, which runs work later on
// some process, config, which reads what the operator decides, and lab, a small
// internet on loopback that says the truth about itself.
//
// app wires everything: it knows every room, and no room knows it. The rooms
// that think do not know the store and the store does not know them; app hands
// their functions over (StoreOptions in app/open.go). cmd/vedette only calls app.
//
// # The line
//
// A command that writes does it in short transactions, and each of them leaves
// rows in a to-do table where something changed that a stage cares about: a
// name, a vulnerability, a combination of software, an asset. Line.Drain takes
// them, urgent ones first, until nothing is left. A stage reads a batch, works
// and deletes exactly the rows it read, in one transaction, so a killed process
// loses nothing and does nothing twice. What a stage computes can be dropped and
// computed again; documents, claims and what people decided can not.
//
// Two facts about the world make this fast. Thousands of hosts show the same
// software, so what was seen is kept once, as a fact, and matched once. And what
// a source says today it said yesterday, so a record that is known by its hash
// writes nothing.
//
// # The walls
//
// A claim carries a [Marking]: a TLP and PAP value, an originator, and an
// [Audience], which is a conjunction of groups of readers. An object carries
// none: each principal sees the merge of the claims that he may see, in names,
// counts and search alike, and a document made of several parts has the join of
// their markings.
//
// There is one door. Store.As gives the queries of a principal; each of them
// renders the markings and constituents that policy allows into its SQL, and
// there is no other way to a row than Store.System, which arch_test.go keeps to
// app, bench and tests. What a principal may not see and what does not exist
// are answered alike.
//
// A constituent's exposure is AMBER+STRICT with that constituent as audience.
// Who uses an asset of another learns the fact that it is affected, and never
// the host, the port or the version.
//
// # Time, identity and repetition
//
// Time comes from the data or from one injected clock. Public ids are hashes of
// keys, so that a rebuild or the other engine gives the same. Importing the same
// again, or in another order, ends in the same state. Errors are of six kinds
// (error.go), are returned or logged but never both, and become an exit code in
// one place.
package vedette
