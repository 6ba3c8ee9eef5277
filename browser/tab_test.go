package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// cleanups run after all tests.
var cleanups []func()

func TestMain(m *testing.M) {
	code := m.Run()
	for _, f := range cleanups {
		f()
	}
	os.Exit(code)
}

// browser is one Chromium for all tests. It resolves no name but loopback's, so
// that nothing a page says can lead anywhere.
var browser = sync.OnceValues(func() (context.Context, error) {
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(os.Getenv("VEDETTE_TEST_BROWSER")),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"), chromedp.Flag("no-proxy-server", true))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // Chromium refuses to sandbox itself as root
	}
	actx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, cancelBrowser := chromedp.NewContext(actx)
	cleanups = append(cleanups, cancel, cancelBrowser)
	return ctx, chromedp.Do(ctx)
})

// needBrowser skips a test where no browser is.
func needBrowser(t *testing.T) context.Context {
	t.Helper()
	if os.Getenv("VEDETTE_TEST_BROWSER") == "" {
		t.Skip("VEDETTE_TEST_BROWSER is not set: no Chromium to look with")
	}
	ctx, err := browser()
	if err != nil {
		t.Fatalf("the browser of VEDETTE_TEST_BROWSER: %v", err)
	}
	return ctx
}

// tab is one page of the browser, with cookies of its own.
type tab struct {
	t      *testing.T
	h      *hub
	ctx    context.Context
	clicks int // since task began

	mu      sync.Mutex
	console []string // errors and warnings
}

// newTab opens a page of nobody who is signed in.
func (h *hub) newTab(t *testing.T) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(needBrowser(t), chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil { // the first call binds the tab's life to its context
		t.Fatal(err)
	}
	b := &tab{t: t, h: h, ctx: ctx}
	b.do(chromedp.EmulateViewport(1440, 900))
	go func() {
		for m, err := range chromedp.Console(ctx) {
			if err != nil {
				return
			}
			if m.Type != chromedp.ConsoleError && m.Type != chromedp.ConsoleWarning && m.Type != chromedp.ConsoleException {
				continue
			}
			b.mu.Lock()
			b.console = append(b.console, m.String())
			b.mu.Unlock()
		}
	}()
	return b
}

// signIn opens a page and uses the hub's link.
func (h *hub) signIn(t *testing.T) *tab {
	t.Helper()
	b := h.newTab(t)
	b.open(h.link)
	b.click("button", "^Sign in$")
	return b
}

// complaints are what the console said so far.
func (b *tab) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.console...)
}

// do runs steps, each in bounded time.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%v (at %s)", err, b.at())
	}
}

// eval is the value of an expression in the page.
func eval[T any](b *tab, js string, args ...any) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](call(js, args), chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%.200s: %v", js, err)
	}
	return v
}

// call makes an expression: of a function when there are arguments.
func call(js string, args []any) string {
	if len(args) == 0 {
		return js
	}
	var texts []string
	for _, a := range args {
		text, err := json.Marshal(a)
		if err != nil {
			panic(err)
		}
		texts = append(texts, string(text))
	}
	return "(" + js + ")(" + strings.Join(texts, ",") + ")"
}

// at is the path of the page.
func (b *tab) at() string {
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Second)
	defer cancel()
	at, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil {
		return fmt.Sprint(err)
	}
	return strings.TrimPrefix(at, b.h.base)
}

// open goes to a path by the address bar.
func (b *tab) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.h.base + path))
}

// size sets how wide and high the window is, and how many dots a pixel has.
func (b *tab) size(w, h int64, scale float64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(w, h, chromedp.EmulateScale(scale)))
}

// theme is what the reader's system prefers: light or dark.
func (b *tab) theme(name string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}}); err != nil {
		b.t.Fatal(err)
	}
}

// find is a script that finds what a person sees: links, buttons and fields by
// their names. It answers where the first one is, scrolled into view.
const find = `async (what, name) => {
	const kinds = {link: "a[href]", submit: "button:not([type=button]):not([popovertarget])", button: "button, summary, input[type=submit]", field: "input:not([type=hidden]), select, textarea", any: "a[href], button, summary, input, select, textarea"};
	const wanted = new RegExp(name, "i");
	const shown = (e) => e.checkVisibility({visibilityProperty: true, opacityProperty: true}) && !e.disabled;
	const named = (e) => (e.getAttribute("aria-label") ?? (e.labels?.length ? e.labels[0].textContent : e.textContent)).replace(/\s+/g, " ").trim();
	const e = [...document.querySelectorAll(kinds[what])].find((e) => shown(e) && (wanted.test(named(e)) || what === "link" && wanted.test(e.getAttribute("href"))));
	if (!e) return null;
	e.scrollIntoView({block: "center"});
	await new Promise((done) => setTimeout(done, 50));
	const r = e.getClientRects()[0];
	return {x: r.x + r.width / 2, y: r.y + r.height / 2, name: named(e), leads: e.tagName === "A" || e.type === "submit" && !!e.form && !e.hasAttribute("popovertarget")};
}`

type place struct {
	X, Y  float64
	Name  string
	Leads bool // to another page
}

// sees says where a link, a button or a field is; nil when there is none. The
// name is a regular expression, for a link also of its address.
func (b *tab) sees(what, name string) *place {
	b.t.Helper()
	return eval[*place](b, find, what, name)
}

// click presses the mouse on something and waits for the page it leads to.
func (b *tab) click(what, name string) {
	b.t.Helper()
	p := b.sees(what, name)
	if p == nil {
		b.t.Fatalf("%s: no %s %q; there are %s", b.at(), what, name, eval[string](b, `[...document.querySelectorAll("main a[href], main button, main summary")].map((e) => (e.getAttribute("aria-label") ?? e.textContent).replace(/\s+/g, " ").trim() + " <" + (e.getAttribute("href") ?? e.tagName) + ">").join(", ")`))
	}
	b.clicks++
	press := chromedp.MouseClickXY(p.X, p.Y)
	if !p.Leads {
		b.do(press)
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.WaitEvent(page.LoadEventFired, func(page.EventLoadEventFired) bool { return true }, press)); err != nil {
		b.t.Fatalf("%s: %s %q leads nowhere: %v", b.at(), what, p.Name, err)
	}
}

// text is what the page says.
func (b *tab) text() string {
	b.t.Helper()
	return eval[string](b, `document.querySelector("main").innerText`)
}

// says fails unless the page says something.
func (b *tab) says(want string) {
	b.t.Helper()
	if text := b.text(); !strings.Contains(strings.ToLower(text), strings.ToLower(want)) {
		b.t.Errorf("%s does not say %q:\n%s", b.at(), want, text)
	}
}
