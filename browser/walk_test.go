//go:build long

package browser

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// most are the clicks that a task may take from Today, signed in.
var most = map[string]struct {
	clicks int
	what   string
}{
	"O01": {1, "see whom an exploited vulnerability hits"},
	"O02": {4, "send tailored alerts to all of them"},
	"O03": {2, "triage a case: state and owner"},
	"O04": {4, "close many with a reason"},
	"O05": {2, "verify a fix now"},
	"O07": {0, "is this address, name or vulnerability known, and at whom"},
	"O10": {2, "the tailored report as PDF"},
	"O15": {1, "who acknowledged this alert"},
	"O21": {1, "why was this alert sent"},
	"O22": {1, "undo the last act"},
	"O23": {2, "a constituent acknowledges and gives a day, from the link of the mail"},
}

// tally is how many clicks the tasks took.
type tally map[string]int

// task counts the clicks of what is done from Today.
func (n tally) task(b *tab, name string, do func()) {
	b.t.Helper()
	b.clicks = 0
	do()
	n[name] = b.clicks
	if b.clicks > most[name].clicks {
		b.t.Errorf("%s, %s: %d clicks, more than %d", name, most[name].what, b.clicks, most[name].clicks)
	}
}

func (n tally) tell(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(most)) {
		took := "not tried"
		if c, ok := n[name]; ok {
			took = fmt.Sprintf("%d clicks", c)
		}
		t.Logf("%s, %s: %s of at most %d", name, most[name].what, took, most[name].clicks)
	}
}

// cve is the first that the demo's list says is exploited, repaired the version
// that its hosts lack.
const cve, repaired = "CVE-2026-90417", "5.2.3"

// TestDemo starts the demo once, and does in it what a person does: from the
// drafts to the last closed case without a terminal.
func TestDemo(t *testing.T) {
	needBrowser(t)
	h := demo(t)
	lead := h.signIn(t)
	n := tally{}
	t.Run("walk", func(t *testing.T) {
		lead.t = t
		h.walk(t, lead, n)
		n.tell(t)
	})
	t.Run("accessible", func(t *testing.T) {
		lead.t = t
		lookAtAll(t, h, lead)
	})
	lead.t = t
	for _, line := range lead.complaints() {
		if !strings.Contains(line, "Failed to load resource") {
			t.Errorf("the console: %s", line)
		}
	}
	for _, r := range h.reports() {
		t.Errorf("a report: %s", r)
	}
}

func (h *hub) walk(t *testing.T, b *tab, n tally) {
	within(t, 2*time.Minute, "drafts on Today, which refreshes itself", func() bool { return b.sees("link", "^/publications/P-") != nil })
	t.Logf("drafts stand on Today %s after the start", time.Since(h.began).Round(time.Second))

	n.task(b, "O01", func() {
		b.click("link", "^/cves/"+cve)
		b.says("Alder Transport Authority")
		b.says("vpn.alder.example")
	})
	b.click("link", "^vedette, Today")
	n.task(b, "O21", func() {
		b.click("link", "^/cves/"+cve)
		b.says("Who says it is exploited")
		b.says("below " + repaired)
	})
	b.click("link", "^vedette, Today")
	n.task(b, "O02", func() {
		b.click("link", "^/publications/P-")
		b.click("link", "[?&]for=birch")
		b.says("Birch Regional Hospitals")
		b.click("button", "^Approve and send")
		b.click("submit", "^Approve and send [0-9]+ messages")
	})
	b.says("approved")
	b.click("link", "^vedette, Today")
	n.task(b, "O15", func() {
		b.click("link", "^/publications/")
		b.says("Receipts")
	})
	b.click("link", "^vedette, Today")
	n.task(b, "O10", func() {
		b.click("link", "^/publications/")
		b.clicks++ // what downloads leaves the page
		if kind := eval[string](b, `fetch(document.querySelector('a[download][href*="form=pdf"]').href).then((r) => r.headers.get("Content-Type"))`); kind != "application/pdf" {
			t.Errorf("the PDF is %s", kind)
		}
	})
	h.mails(t, b, n)
	h.cases(b, n)
	h.repair(t, b, n)
}

// mails reads the mailboxes and acknowledges as somebody who got a mail.
func (h *hub) mails(t *testing.T, b *tab, n tally) {
	b.click("link", "^Lab$")
	within(t, patience, "mails in the mailboxes", func() bool { return b.sees("link", "^/a/") != nil })
	for _, who := range []string{"security@alder.example", "lco@birch.example"} {
		if b.sees("link", "mail to "+who) == nil {
			t.Errorf("no mail to %s", who)
		}
	}
	link := eval[string](b, `document.querySelector('a[href^="/a/"]').getAttribute("href")`)
	nobody := h.newTab(t)
	nobody.open(link)
	if text := nobody.text(); strings.Contains(text, "example") {
		t.Errorf("the page behind a mail's link says more than number and level: %s", text)
	}
	nobody.click("button", "^Acknowledge")
	nobody.says("Acknowledged on")
	b.click("link", "^vedette, Today")
	b.click("link", "^/publications/")
	b.says("Acknowledged")

	// the same link where somebody of the constituent is signed in
	b.be("birch")
	link = eval[string](b, `fetch("/demo").then((r) => r.text()).then((text) => [...new DOMParser().parseFromString(text, "text/html").querySelectorAll('a[href^="/a/"]')].find((a) => a.getAttribute("aria-label").includes("security@birch.example")).getAttribute("href"))`)
	b.open(link)
	n.task(b, "O23", func() {
		b.click("link", "^/publications/")
		eval[bool](b, `document.querySelector("#answer-date").value = "2031-12-01", true`)
		b.click("button", "^Acknowledge, with the day")
	})
	b.says("2031")
	b.be("lead")
}

// be signs in as somebody else, by the lab page.
func (b *tab) be(user string) {
	b.t.Helper()
	b.open("/demo")
	eval[bool](b, `(u) => { document.querySelector("#user").value = u; return true; }`, user)
	b.click("button", "^Switch$")
}

// cases closes all that stand on the page, with a reason, and takes it back.
func (h *hub) cases(b *tab, n tally) {
	before := 0
	b.click("link", "^vedette, Today")
	n.task(b, "O04", func() {
		b.click("link", "^All cases|^Cases$")
		before = eval[int](b, `document.querySelectorAll("main tbody tr").length`)
		b.click("field", "^Select all")
		b.click("button", "^Close")
		b.do(chromedp.KeyEvent("the scanner was wrong")) // the field has the focus
		b.click("submit", "^Close$")
	})
	if left := eval[int](b, `document.querySelectorAll("main tbody tr").length`); before == 0 || left != 0 {
		b.t.Errorf("of %d cases %d are left after closing all: %s", before, left, b.text())
	}
	n.task(b, "O22", func() { b.click("button", "^Undo") })
	if again := eval[int](b, `document.querySelectorAll("main tbody tr").length`); again != before {
		b.t.Errorf("%d cases after undoing, %d before", again, before)
	}
}

// repair upgrades what is affected, looks again, and sees the cases close.
func (h *hub) repair(t *testing.T, b *tab, n tally) {
	b.click("link", "^Lab$")
	hosts := 0
	for b.sees("button", "^Upgrade to "+repaired) != nil {
		if hosts++; hosts > 30 {
			t.Fatal("upgrading does not end")
		}
		b.click("button", "^Upgrade to "+repaired)
	}
	if hosts == 0 {
		t.Fatal("nothing is to be upgraded")
	}
	b.click("link", "^vedette, Today")
	n.task(b, "O05", func() {
		b.click("link", "^/cves/"+cve)
		b.click("button", "^Retest")
	})
	took := within(t, 2*time.Minute, "all cases of "+cve+" closed", func() bool {
		b.open("/cases?closed=yes&weakness=" + cve)
		states := eval[[]string](b, `[...document.querySelectorAll("main tbody tr")].map((r) => /closed/i.test(r.innerText) ? "" : r.innerText.replace(/\s+/g, " "))`)
		return len(states) > 0 && !slices.ContainsFunc(states, func(s string) bool { return s != "" })
	})
	t.Logf("%d hosts upgraded; the cases closed %s after the retest", hosts, took.Round(time.Second))
}
