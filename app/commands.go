package app

import (
	"fmt"
	"runtime/debug"
)

// Commands is the table of commands: noun, then verb. Each has a row in
// policy.Table of the same name.
type Commands struct {
	Globals `embed:""`

	Import      importCmd `cmd:"" help:"Take in files of any known format."`
	Constituent struct {
		Apply constituentApply `cmd:"" help:"Make the constituency what a file says, with a diff."`
		List  constituentList  `cmd:"" help:"List constituents; -o json gives the file back."`
		Show  constituentShow  `cmd:"" help:"Show one constituent."`
	} `cmd:"" help:"Who we protect."`
	CVE struct {
		List cveList `cmd:"" help:"List vulnerabilities, newest first."`
		Show cveShow `cmd:"" help:"Show the join: who says it is exploited, whom it touches, why, until when."`
	} `cmd:"" name:"cve" help:"Vulnerabilities."`
	Finding struct {
		List   findingList   `cmd:"" help:"List findings."`
		Show   findingShow   `cmd:"" help:"Show one finding with its evidence."`
		Add    findingAdd    `cmd:"" help:"State a finding by hand."`
		Retest findingRetest `cmd:"" help:"Look again at the places of one finding."`
	} `cmd:"" help:"Weaknesses on assets."`
	Case struct {
		List      caseList      `cmd:"" help:"List what there is to do, most urgent first."`
		Show      caseShow      `cmd:"" help:"Show one case: where it is, until when, what was done."`
		Set       caseSet       `cmd:"" help:"Change the state, the assignee or the note of cases."`
		Undo      caseUndo      `cmd:"" help:"Set back what a change of cases made."`
		Decide    caseDecide    `cmd:"" help:"Accept the risk of a case, or call it a false positive or not affected."`
		Decisions caseDecisions `cmd:"" help:"List decisions, newest first."`
		Approve   caseApprove   `cmd:"" help:"Approve a decision: from then on it covers what it is about."`
		Revoke    caseRevoke    `cmd:"" help:"End a decision: what it covered counts again."`
	} `cmd:"" help:"What is done about a weakness at a constituent."`
	Publication struct {
		Draft     publicationDraft     `cmd:"" help:"Draft the alert of an exploited vulnerability, an edition for each constituent it touches."`
		List      publicationList      `cmd:"" help:"List publications, newest first."`
		Show      publicationShow      `cmd:"" help:"Show the editions of a publication, or one of them as text, HTML or JSON."`
		Lint      publicationLint      `cmd:"" help:"Check the drafts of a publication; exit 1 when one must not go out."`
		Approve   publicationApprove   `cmd:"" help:"Approve a draft: it gets its number, and constituents may read their editions."`
		Publish   publicationPublish   `cmd:"" help:"Send an approved publication to the contacts of its constituents, each once."`
		Receipts  publicationReceipts  `cmd:"" help:"Show what was sent to whom, and who acknowledged."`
		Bounce    publicationBounce    `cmd:"" help:"Record that a mail of a publication came back."`
		Redeliver publicationRedeliver `cmd:"" help:"Owe again what failed."`
		Withdraw  publicationWithdraw  `cmd:"" help:"Take a publication back, with the reason; who got it is told."`
	} `cmd:"" help:"Alerts, with an edition for each constituent."`
	Asset struct {
		List assetList `cmd:"" help:"List names and addresses."`
		Show assetShow `cmd:"" help:"Show what is seen on one."`
	} `cmd:"" help:"Names and addresses that constituents expose."`
	Survey surveyCommands `cmd:"" help:"Looks at what constituents expose."`
	Demo   demoCmd        `cmd:"" help:"Show all of it: six invented organisations, live, on loopback."`
	Serve  serveCmd       `cmd:"" help:"Run the line, the schedules and the surveys."`
	Worker workerCmd      `cmd:"" help:"Work parts of surveys for a hub on PostgreSQL."`
	Job    struct {
		List   jobList   `cmd:"" help:"List jobs, newest first."`
		Retry  jobRetry  `cmd:"" help:"Let a job run again."`
		Cancel jobCancel `cmd:"" help:"End a job, waiting or running."`
	} `cmd:"" help:"The work that processes do beside commands."`
	Config struct {
		Show     configShow     `cmd:"" help:"Show every key with its value."`
		Describe configDescribe `cmd:"" help:"Tell what every key means."`
	} `cmd:"" help:"What the operator decides."`
	Product struct {
		List    productList    `cmd:"" help:"List product names that no source speaks of, by weight."`
		Propose productPropose `cmd:"" help:"Propose names that may be of one product, with reasons."`
		Accept  productAccept  `cmd:"" help:"Decide that two names are of one product."`
		Reject  productReject  `cmd:"" help:"Decide that two names are not of one product."`
	} `cmd:"" help:"Which names are of one product."`
	Feed   feedCommands `cmd:"" help:"Sources that are fetched by themselves."`
	Source struct {
		List sourceList `cmd:"" help:"List who says things, under which marking."`
	} `cmd:"" help:"Who says things."`
	User struct {
		Add      userAdd      `cmd:"" help:"Add a person, or change the rights of one."`
		List     userList     `cmd:"" help:"List persons."`
		Disable  userDisable  `cmd:"" help:"Take all rights of a person away."`
		Password userPassword `cmd:"" help:"Set a password, read from the terminal or stdin."`
		TOTP     userTOTP     `cmd:"" name:"totp" help:"Enrol a code generator: one-time codes as second proof."`
		Link     userLink     `cmd:"" help:"Print a link that signs a person in once."`
		Sessions userSessions `cmd:"" help:"List or end the sessions of a person."`
		Passkeys userPasskeys `cmd:"" help:"List the passkeys of a person, or take them away."`
		Subject  userSubject  `cmd:"" help:"Say who a person is at a provider of identities."`
		Unlock   userUnlock   `cmd:"" help:"Let a person try again who failed too often."`
	} `cmd:"" help:"Persons."`
	Token struct {
		Add    tokenAdd    `cmd:"" help:"Make a token; its secret is printed once."`
		List   tokenList   `cmd:"" help:"List tokens, without secrets."`
		Revoke tokenRevoke `cmd:"" help:"End a token."`
	} `cmd:"" help:"Credentials of programs."`
	Audit struct {
		List   auditList   `cmd:"" help:"List what was done, newest first."`
		Verify auditVerify `cmd:"" help:"Check the hash chain over what was done."`
	} `cmd:"" help:"The record of what was done."`
	Rebuild rebuildCmd `cmd:"" help:"Compute derived state again from documents and claims."`
	Purge   purgeCmd   `cmd:"" help:"Destroy content of a document, a source or an object."`
	Backup  backupCmd  `cmd:"" help:"Write everything to one file, while others go on."`
	Restore restoreCmd `cmd:"" help:"Fill a new store of either engine from a backup."`
	Verify  verifyCmd  `cmd:"" help:"Print one hash per table over public ids."`
	Migrate migrateCmd `cmd:"" help:"Bring the schema up to date; every command does."`
	Lab     struct {
		Init   labInit   `cmd:"" help:"Stamp a new store as a lab."`
		Serve  labServe  `cmd:"" help:"Run the lab's hosts, names and tripwire on loopback."`
		Estate labEstate `cmd:"" help:"Make an estate up and take it in."`
	} `cmd:"" help:"Made-up data, in a store of its own."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

type versionCmd struct{}

func (versionCmd) storeless() {}

// Run prints the version of the build.
func (versionCmd) Run(r *run) error {
	version, revision := build()
	if r.Output == "json" {
		return r.json(map[string]string{"version": version, "revision": revision})
	}
	_, err := fmt.Fprintln(r.out, "vedette", version, revision)
	return err
}

// build is what was built.
func build() (version, revision string) {
	version = "(unknown)"
	if b, ok := debug.ReadBuildInfo(); ok {
		version = b.Main.Version
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	return version, revision
}
