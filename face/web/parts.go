package web

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/vedette-hub/vedette"
)

func rfc(t time.Time) string   { return t.UTC().Format(time.RFC3339) }
func clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }

// stamp is a time in full, in UTC.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04Z")
}

// day is a date for people: the year where it is not plain.
func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("Mon 2 Jan 2006")
}

// title begins a word of ours with a capital.
func title(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[n:]
}

func count(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "ss"):
		return fmt.Sprintf("%d %ses", n, what)
	case strings.HasSuffix(what, "ty") || strings.HasSuffix(what, "ry"):
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(what, "y"))
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func markClass(label string) string {
	switch {
	case strings.HasPrefix(label, "PAP:"):
		return "pap"
	case strings.HasPrefix(label, "TLP:AMBER"):
		return "tlp tlp-amber"
	case label == "TLP:GREEN":
		return "tlp tlp-green"
	case label == "TLP:CLEAR":
		return "tlp tlp-clear"
	}
	return "tlp tlp-red"
}

func caseClass(s vedette.CaseState) string {
	return map[vedette.CaseState]string{vedette.CaseNew: "s0 st-new", vedette.CaseTriaged: "s1 st-work", vedette.CaseNotified: "s2 st-work",
		vedette.CaseAcknowledged: "s3 st-work", vedette.CaseReportedFixed: "s4 st-work", vedette.CaseClosed: "s5 st-done"}[s]
}

func decisionClass(k vedette.DecisionKind) string {
	if k == vedette.FalsePositive || k == vedette.NotAffectedBy {
		return "s7"
	}
	return "s6"
}

func presenceClass(p vedette.Presence) string {
	return map[vedette.Presence]string{vedette.Present: "s4 st-new", vedette.NotObserved: "s8", vedette.Fixed: "s5 st-done", vedette.PresenceUndetermined: "sq"}[p]
}

func verdictClass(v vedette.Verdict) string {
	return map[vedette.Verdict]string{vedette.Confirmed: "c3", vedette.Likely: "c2", vedette.Possible: "c1", vedette.DeclaredOnly: "c1",
		vedette.FixedByBackport: "cb", vedette.NotAffected: "cn", vedette.Undetermined: "cu"}[v]
}

func pubClass(s vedette.PublicationState) string {
	return map[vedette.PublicationState]string{vedette.PublicationDraft: "s0 st-new", vedette.PublicationApproved: "s4 st-work", vedette.PublicationWithdrawn: "s7"}[s]
}

func deliveryClass(s vedette.DeliveryState) string {
	return map[vedette.DeliveryState]string{vedette.DeliveryQueued: "sq", vedette.DeliverySent: "sd st-done", vedette.DeliveryFailed: "sx st-bad", vedette.DeliveryAcknowledged: "s5 st-done"}[s]
}

func surveyClass(s vedette.SurveyState) string {
	return map[vedette.SurveyState]string{vedette.SurveyWaiting: "s0 st-work", vedette.SurveyRunning: "s2 st-work", vedette.SurveyDone: "s5 st-done", vedette.SurveyStopped: "s7", vedette.SurveyFailed: "sx st-bad"}[s]
}

func levelClass(l string) string { return "sev-" + strings.ToLower(l) }

// rulingClass and rulingText: 3DF is red and solid, the rest is calmer (DESIGN, decision).
func rulingClass(r *vedette.Ruling) string {
	switch {
	case r.Days == 0:
		return "dec-fsu"
	case r.Forensic:
		return "dec-3df"
	case r.Days <= 3:
		return "dec-3d"
	case r.Days <= 14:
		return "dec-14d"
	}
	return "dec-60d"
}

func rulingText(r *vedette.Ruling) string {
	if r.Days == 0 {
		return "FSU"
	}
	text := fmt.Sprintf("%dD", r.Days)
	if r.Forensic {
		text += "F"
	}
	return text
}

func dueClass(at, now time.Time, closed bool) string {
	switch {
	case closed:
		return ""
	case now.After(at):
		return "late"
	case at.Sub(now) < 24*time.Hour:
		return "soon"
	}
	return ""
}

// dueText is how long there is, or how late it is.
func dueText(at, now time.Time, closed bool) string {
	d := at.Sub(now)
	switch {
	case closed || d >= 24*time.Hour:
		return at.UTC().Format("Mon 2 Jan")
	case d <= -24*time.Hour:
		return fmt.Sprintf("%s late", count(int(-d/(24*time.Hour)), "day"))
	case d <= -time.Hour:
		return fmt.Sprintf("%d h late", int(-d/time.Hour))
	case d <= 0:
		return fmt.Sprintf("%d min late", int(-d/time.Minute))
	case d < time.Hour:
		return fmt.Sprintf("in %d min", int(d/time.Minute))
	}
	return fmt.Sprintf("in %d h", int(d/time.Hour))
}

// ago is how long something is past, in one unit.
func ago(t, now time.Time) string {
	d := now.Sub(t)
	switch {
	case t.IsZero():
		return ""
	case d < time.Minute:
		return fmt.Sprintf("%d s ago", max(0, int(d/time.Second)))
	case d < time.Hour:
		return fmt.Sprintf("%d min ago", int(d/time.Minute))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h ago", int(d/time.Hour))
	}
	return count(int(d/(24*time.Hour)), "day") + " ago"
}

// place is an asset with its port, as people write it.
func place(asset string, port int) string {
	switch {
	case asset == "":
		return "declared"
	case port == 0:
		return asset
	case strings.Contains(asset, ":"):
		return fmt.Sprintf("[%s]:%d", asset, port)
	}
	return fmt.Sprintf("%s:%d", asset, port)
}

// software is what runs, in one line.
func software(s vedette.Software) string {
	version := s.PackageVersion
	if version == "" {
		version = s.Version
	}
	return strings.Join(strings.Fields(s.Vendor+" "+s.Product+" "+version), " ")
}

// figureView is one number of a page, with the rows behind it.
type figureView struct {
	N                   int
	Text                string // in place of N
	Of                  string // "of 412"
	Label, Detail, Href string
	Class, DetailClass  string // "t-crit" where it is so
}

// yesNo is what is known of a thing that may be unknown.
func yesNo(b *bool) string {
	switch {
	case b == nil:
		return "unknown"
	case *b:
		return "yes"
	}
	return "no"
}
