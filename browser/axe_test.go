//go:build long

package browser

import (
	"os"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// axe is axe-core as npm brought it.
func axe(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Skip("axe-core is not there: make assets brings it")
	}
	return string(b)
}

// screen is one way to look at a page.
type screen struct {
	name  string
	w, h  int64
	scale float64
	theme string
}

// screens: a desk, a telephone, and a desk at 200 % zoom, each in both themes.
var screens = []screen{
	{"wide light", 1440, 900, 1, "light"}, {"wide dark", 1440, 900, 1, "dark"},
	{"390 px light", 390, 844, 1, "light"}, {"390 px dark", 390, 844, 1, "dark"},
	{"200 % light", 720, 450, 2, "light"}, {"200 % dark", 720, 450, 2, "dark"},
}

// violations are what axe finds serious or critical, one line each with the
// first places.
const violations = `async () => {
	const r = await axe.run(document, {resultTypes: ["violations"], rules: {"target-size": {enabled: true}}});
	const out = r.violations.filter((v) => v.impact === "serious" || v.impact === "critical").map((v) => v.id + " (" + v.impact + "), " + v.nodes.length + " places: " + v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160) + (n.any[0]?.message ? " [" + n.any[0].message.slice(0, 140) + "]" : "")).join(" | "));
	if (document.documentElement.scrollWidth > innerWidth + 1) {
		const wide = [...document.querySelectorAll("body *")].find((e) => e.getBoundingClientRect().right > innerWidth + 1);
		out.push("the page is wider than the window: " + document.documentElement.scrollWidth + " of " + innerWidth + ", " + wide?.outerHTML.slice(0, 120));
	}
	return out;
}`

// inject has a script run at the beginning of every page from now on; the
// content security policy does not hold for it.
func (b *tab) inject(script string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script}); err != nil {
		b.t.Fatal(err)
	}
}

// accessible looks at the page on every screen.
func (b *tab) accessible(on []screen) {
	b.t.Helper()
	at := b.at()
	for _, s := range on {
		b.size(s.w, s.h, s.scale)
		b.theme(s.theme)
		for _, v := range eval[[]string](b, "("+violations+")()") {
			b.t.Errorf("%s, %s: %s", at, s.name, v)
		}
	}
	b.size(1440, 900, 1)
	b.theme("light")
}

// watchFocus records what the keyboard reaches; it answers how many controls
// there are. Radio buttons of one name are one stop.
const watchFocus = `() => {
	const all = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")].filter((e) => !e.disabled && e.tabIndex >= 0 && e.checkVisibility({visibilityProperty: true}));
	const groups = new Set();
	window.wanted = all.filter((e) => e.type !== "radio" || !groups.has(e.name) && groups.add(e.name));
	window.reached = [];
	document.addEventListener("focusin", (e) => {
		const s = getComputedStyle(e.target), r = e.target.getBoundingClientRect();
		const ring = s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 1 || s.boxShadow !== "none";
		window.reached.push({e: e.target, ring, seen: r.width > 0 && r.height > 0 && r.bottom > 0 && r.top < innerHeight && r.right > 0 && r.left < innerWidth});
	});
	document.activeElement?.blur();
	window.getSelection().removeAllRanges();
	return window.wanted.length;
}`

// focusFaults is what is wrong with what was reached.
const focusFaults = `() => {
	const say = (e) => e.outerHTML.slice(0, 120);
	const name = (e) => e.type === "radio" ? document.querySelector("input[type=radio][name='" + e.name + "']") : e;
	const met = new Set(reached.map((r) => name(r.e)));
	const out = wanted.filter((e) => !met.has(e)).map((e) => "not reached: " + say(e));
	for (const r of reached) {
		if (!r.ring) out.push("no visible focus: " + say(r.e));
		if (!r.seen) out.push("focused out of sight: " + say(r.e));
	}
	if (!document.querySelector("[autofocus]") && !reached[0]?.e.classList.contains("skip")) out.push("the first stop is not the skip link but " + (reached.length ? say(reached[0].e) : "nothing"));
	if (reached.filter((r) => r.e === reached[0].e).length < 2) out.push("the keyboard does not come round: after " + reached.length + " stops it is at " + say(document.activeElement));
	return [...new Set(out)];
}`

// byKeyboard tabs through the page, and through the skip link.
func (b *tab) byKeyboard() {
	b.t.Helper()
	at := b.at()
	b.open(at) // the focus starts at the top
	n := eval[int](b, "("+watchFocus+")()")
	tab := chromedp.KeyEvent(kb.Tab)
	for done := 0; done < n+30; done += 10 {
		b.do(tab, tab, tab, tab, tab, tab, tab, tab, tab, tab)
		if eval[bool](b, `reached.filter((r) => r.e === reached[0].e).length > 1`) {
			break
		}
	}
	for _, fault := range eval[[]string](b, "("+focusFaults+")()") {
		b.t.Errorf("%s, by keyboard: %s", at, fault)
	}
	b.open(at)
	b.do(tab)
	eval[bool](b, `document.querySelector("[autofocus]") ? (document.querySelector(".skip").focus(), true) : false`)
	b.do(chromedp.KeyEvent(kb.Enter))
	if got := eval[string](b, `document.activeElement.id`); got != "main" {
		b.t.Errorf("%s: the skip link leads to %q", at, got)
	}
}

// lookAtAll checks every page that the demo shows: as the lead, as the viewer of
// one constituent, and as nobody.
func lookAtAll(t *testing.T, h *hub, lead *tab) {
	source := axe(t)
	lead.inject(source)
	s := newSite(1, true)
	n := 0
	done := map[string]bool{}
	s.walk(lead, []string{"/", "/cases"}, func(at, pattern string) {
		n++
		if done[pattern] { // the same with a filter, another tab
			lead.accessible(screens[3:4])
			return
		}
		done[pattern] = true
		lead.accessible(screens)
		lead.byKeyboard()
	})
	t.Logf("%d pages", n)
	nobody := h.newTab(t)
	nobody.inject(source)
	open := newSite(1, true)
	open.walk(nobody, []string{"/login", "/explain"}, func(string, string) {
		nobody.accessible(screens)
		nobody.byKeyboard()
	})
	for at := range open.count {
		s.count[at]++
	}
	s.complete(t)
}
