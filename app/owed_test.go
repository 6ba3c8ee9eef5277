package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime/quotedprintable"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/deliver"
	"github.com/vedette-hub/vedette/store/storetest"
)

const owedConstituency = `constituents:
  - id: alpha
    name: Agency Alpha
    contacts:
      - {role: POC, name: Alpha POC, email: poc@alpha.example}
      - {role: LCO, name: Alpha LCO, email: lco@alpha.example}
      - {role: management, name: Alpha head, email: head@alpha.example}
    scope: [{domain: alpha.example, subdomains: true, authorised_by: A. Officer, document: contract A}]
  - id: bravo
    name: Agency Bravo
    contacts: [{role: POC, name: Bravo POC, email: poc@bravo.example}]
    scope: [{domain: bravo.example, subdomains: true, authorised_by: B. Officer, document: contract B}]
  - id: charlie
    name: Agency Charlie
    contacts:
      - {role: POC, name: Charlie POC, email: poc@charlie.example}
      - {role: management, name: Charlie head, email: head@charlie.example}
    scope: [{domain: charlie.example, subdomains: true, authorised_by: C. Officer, document: contract C}]
  - id: delta
    name: Agency Delta
    contacts: [{role: POC, name: Delta POC, email: poc@delta.example}]
    scope: [{domain: delta.example, subdomains: true, authorised_by: D. Officer, document: contract D}]
`

// owedInventory is the affected gateway at constituents.
func owedInventory(hosts ...string) string {
	out := "asset,constituent,port,proto,vendor,product,version,internet_facing,seen\n"
	for _, h := range hosts {
		out += h + "," + strings.Split(h, ".")[1] + ",443,tcp,examplesoft,access_gateway,9.1.3,true,2026-03-01T08:00:00Z\n"
	}
	return out
}

// sink is a receiver of webhooks on loopback that checks what it gets.
type sink struct {
	*httptest.Server
	mu      sync.Mutex
	answer  func(n int) (status int, header string) // of the n-th request, from 0; status 0 hangs up
	n       int
	got     map[string]string // the event of each webhook-id that was taken
	repeats int
	secrets []string // that have to sign
	wrong   []string
}

func newSink(t *testing.T) *sink {
	s := &sink{got: map[string]string{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// ServeHTTP verifies a message as the specification says, with none of our code but HMAC.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	n, _ := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
	id, signatures := r.Header.Get("webhook-id"), strings.Fields(r.Header.Get("webhook-signature"))
	if err != nil || r.Method != http.MethodPost || len(body) > 20<<10 || id == "" || r.Header.Get("Content-Type") != "application/json" || len(signatures) != len(s.secrets) {
		s.wrong = append(s.wrong, fmt.Sprintf("%s %v %d bytes", r.Method, r.Header, len(body)))
	}
	for i, text := range s.secrets {
		secret, err := deliver.ParseSecret([]byte(text))
		if err != nil || i >= len(signatures) || secret.Sign(id, time.Unix(n, 0), body) != signatures[i] {
			s.wrong = append(s.wrong, "signature "+strconv.Itoa(i))
		}
	}
	status, after := 200, ""
	if s.answer != nil {
		status, after = s.answer(s.n)
	}
	s.n++
	if status/100 == 2 || status == 0 {
		if was, known := s.got[id]; known {
			s.repeats++
			if was != string(body) {
				s.wrong = append(s.wrong, "a repeat of "+id+" differs")
			}
		}
		s.got[id] = string(body)
	}
	if status == 0 {
		panic(http.ErrAbortHandler)
	}
	if after != "" {
		w.Header().Set("Retry-After", after)
	}
	w.WriteHeader(status)
}

// events are the types of what was taken, sorted.
func (s *sink) events() (out []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, body := range s.got {
		var e struct {
			Type string         `json:"type"`
			Data map[string]any `json:"data"`
		}
		if json.Unmarshal([]byte(body), &e) != nil {
			return []string{body}
		}
		out = append(out, e.Type+" "+strings.Join(slices.Sorted(maps.Keys(e.Data)), ","))
	}
	slices.Sort(out)
	return out
}

const (
	secretNew = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
	secretOld = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz"
)

// owedWorld is a world with an approved alert for Alpha, Bravo and Charlie.
type owedWorld struct {
	*world
	mails *mailbox
	hook  *sink
	conf  config.Config
	hub   *hub
}

func newOwedWorld(t *testing.T, place string) *owedWorld {
	t.Helper()
	w := &owedWorld{world: newWorld(t, place), mails: newMailbox(t), hook: newSink(t)}
	w.do(&constituentApply{File: w.file("c.yaml", owedConstituency)})
	w.importText("inventory.csv", owedInventory("vpn.alpha.example", "vpn.bravo.example", "vpn.charlie.example"))
	w.importText("cve.json", worldCVE("CVE-2026-1001", "2026-02-02T00:00:00Z", "9.1.4"))
	w.importText("kev.json", worldKEV("2026-02-28T00:00:00Z", "CVE-2026-1001"))
	w.hook.secrets = []string{secretNew, secretOld}
	t.Setenv("OWED_OLD_SECRET", secretOld)
	w.conf = config.Config{Mail: config.Mail{Relay: w.mails.addr, From: "alerts@hub.example", TLS: "none", Base: "https://hub.example/", Timeout: config.Duration(3 * time.Second)},
		Webhooks: []config.Webhook{{Name: "charlie-soc", Constituent: "charlie", URL: w.hook.URL + "/in", SecretFile: w.file("secret", secretNew+"\n"), OldSecretEnv: "OWED_OLD_SECRET"}}}
	w.hub = &hub{store: w.store, sys: w.store.System(), line: NewLine(w.store), log: slog.New(slog.DiscardHandler)}
	w.hub.post = newPostman(w.store, w.conf, true)
	w.release()
	return w
}

// release approves and publishes what is drafted.
func (w *owedWorld) release() {
	w.t.Helper()
	sc := w.run(otherLead).sc
	ps, err := sc.Publications(context.Background(), "", 10)
	if err != nil || len(ps) != 1 {
		w.t.Fatalf("%+v, %v", ps, err)
	}
	if _, err := sc.Approve(context.Background(), ps[0].ID, "TA"); err != nil {
		w.t.Fatal(err)
	}
	for range 2 { // twice owes once
		if _, err := publish(context.Background(), sc, ps[0].ID, w.conf); err != nil {
			w.t.Fatal(err)
		}
	}
}

// pass lets time go by in steps of the size, sending in between.
func (w *owedWorld) pass(d, step time.Duration) {
	w.t.Helper()
	for end := w.clock.Add(d); w.clock.Before(end); w.clock = w.clock.Add(step) {
		if err := w.hub.post.deliver(context.Background()); err != nil && !errors.Is(err, errCrash) {
			w.t.Fatal(err)
		}
	}
}

var errCrash = errors.New("the machine stopped")

// crash lets the next record of a sent message be lost, with the process.
func (w *owedWorld) crash(n int) {
	w.world.hook = func(op, q string) error {
		if n > 0 && strings.HasPrefix(q, "update deliveries set state = case when state in ('queued', 'stopped') then 'sent'") {
			n--
			return errCrash
		}
		return nil
	}
}

var (
	mailTo      = regexp.MustCompile(`(?m)^To: <(.*)>`)
	mailSubject = regexp.MustCompile(`(?m)^Subject: (.*?)\r?$`)
	mailID      = regexp.MustCompile(`(?m)^Message-ID: (.*?)\r?$`)
)

// inboxes are the subjects that everybody has, each message once whatever was repeated.
func (w *owedWorld) inboxes() (out []string, repeats int) {
	w.t.Helper()
	seen := map[string]bool{}
	for _, m := range w.mails.all() {
		id := mailID.FindStringSubmatch(m)[1]
		if seen[id] {
			repeats++
			continue
		}
		seen[id] = true
		out = append(out, mailTo.FindStringSubmatch(m)[1]+" "+strings.TrimPrefix(mailSubject.FindStringSubmatch(m)[1], "[TA-2026-001] "))
	}
	slices.Sort(out)
	return out, repeats
}

func (w *owedWorld) delivery(contact, reason string, version int) (d vedette.Delivery) {
	w.t.Helper()
	ds, err := w.run(lea).sc.Deliveries(context.Background(), "TA-2026-001")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, x := range ds {
		if x.Contact == contact && x.Reason == reason && x.Version == version {
			return x
		}
	}
	return d
}

func same(t testing.TB, what string, got, want []string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got  %s\n want %s", what, strings.Join(got, "\n      "), strings.Join(want, "\n      "))
	}
}

// TestOwedOverThirtyDays (T24): a month with a relay that is down, greylists,
// refuses and loses answers, a webhook that fails, asks to wait and crashes, a
// constituent that is hit later, a correction and a withdrawal. Everybody ends
// with exactly what is owed to him.
func TestOwedOverThirtyDays(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newOwedWorld(t, place)
		ctx := context.Background()
		es, err := w.run(lea).sc.Editions(ctx, "TA-2026-001")
		if err != nil || len(es) != 3 || es[0].Deadline.Sub(w.clock) < 24*time.Hour {
			t.Fatalf("%+v, %v", es, err)
		}
		deadline := es[0].Deadline
		down, grey, lost := true, 2, 1
		w.mails.greet = func() string {
			if down {
				return "421 not today"
			}
			return "220 mailbox.example"
		}
		w.mails.rcpt = func(to string) string {
			switch {
			case to == "lco@alpha.example":
				return "550 no such user"
			case to == "poc@alpha.example" && grey > 0:
				grey--
				return "451 greylisted"
			}
			return "250 ok"
		}
		w.mails.data = func(to string) string {
			if to == "poc@bravo.example" && lost > 0 {
				lost--
				return "" // taken, and gone without a word
			}
			return "250 taken"
		}
		w.hook.answer = func(n int) (int, string) {
			return []int{500, 429, 0, 200}[min(n, 3)], []string{"", "7200", "", ""}[min(n, 3)]
		}
		w.crash(1)
		w.pass(6*time.Hour, time.Minute)
		if d := w.delivery("poc@alpha.example", "alert", 1); d.State != vedette.DeliveryQueued || d.Tries != 0 || !strings.Contains(d.Error, "421") {
			t.Errorf("a relay that is down costs a try: %+v", d)
		}
		if d := w.delivery("webhook:charlie-soc", "alert", 1); d.State != vedette.DeliverySent || d.Tries != 5 || w.hook.n != 5 || w.hook.repeats != 2 {
			t.Errorf("a webhook that failed, asked to wait two hours, lost an answer and met a crash: %+v, %d requests, %d repeats", d, w.hook.n, w.hook.repeats)
		}
		down = false
		w.crash(1)
		w.pass(3*time.Hour, time.Minute)
		if d := w.delivery("lco@alpha.example", "alert", 1); d.State != vedette.DeliveryFailed || !strings.Contains(d.Error, "no such user") || d.Tries != 1 {
			t.Errorf("refused for good: %+v", d)
		}
		got, repeats := w.inboxes()
		same(t, "after a day", got, []string{"poc@alpha.example Threat alert, level High", "poc@bravo.example Threat alert, level High", "poc@charlie.example Threat alert, level High"})
		if repeats != 2 { // the lost answer, and the crash
			t.Errorf("%d repeats", repeats)
		}
		w.press("poc@bravo.example")
		w.setCase("charlie", vedette.CaseClosed)
		w.pass(deadline.Sub(w.clock)+2*time.Hour, time.Hour)
		upTo := []string{"poc@alpha.example Threat alert, level High", "poc@bravo.example Threat alert, level High", "poc@charlie.example Threat alert, level High",
			"poc@alpha.example Reminder: threat alert, level High", "poc@alpha.example Reminder: threat alert, level High", "poc@alpha.example Reminder: threat alert, level High",
			"head@alpha.example For management: threat alert, level High"}
		got, _ = w.inboxes()
		same(t, "after the deadline", got, upTo)

		w.importText("later.csv", owedInventory("vpn.delta.example"))
		w.release()
		w.pass(48*time.Hour, time.Hour)
		upTo = append(upTo, "poc@delta.example Threat alert, level High", "poc@delta.example Reminder: threat alert, level High", "poc@delta.example Reminder: threat alert, level High", "poc@delta.example Reminder: threat alert, level High")
		got, _ = w.inboxes()
		same(t, "hit later", got, upTo)
		w.correctAndWithdraw(upTo)
	})
}

// correctAndWithdraw is the second half of the month.
func (w *owedWorld) correctAndWithdraw(upTo []string) {
	t := w.t
	w.importText("more.csv", owedInventory("vpn.alpha.example", "vpn2.alpha.example"))
	w.do(&publicationDraft{CVE: "CVE-2026-1001"})
	w.release()
	w.pass(24*time.Hour, time.Hour)
	got, _ := w.inboxes()
	upTo = append(upTo, "poc@alpha.example Corrected threat alert, level High", "head@alpha.example Corrected threat alert, level High")
	got = slices.DeleteFunc(got, func(s string) bool { return strings.Contains(s, "Reminder") })
	same(t, "corrected", got, slices.DeleteFunc(slices.Clone(upTo), func(s string) bool { return strings.Contains(s, "Reminder") }))
	w.do(&publicationWithdraw{ID: "TA-2026-001", Reason: "vpn.alpha.example was none"})
	w.pass(20*24*time.Hour, 6*time.Hour)
	for _, who := range []string{"poc@alpha", "head@alpha", "poc@bravo", "poc@charlie", "poc@delta"} {
		upTo = append(upTo, who+".example Withdrawn")
	}
	got, _ = w.inboxes()
	got = slices.DeleteFunc(got, func(s string) bool { return strings.Contains(s, "Reminder") })
	same(t, "withdrawn", got, slices.DeleteFunc(upTo, func(s string) bool { return strings.Contains(s, "Reminder") }))
	same(t, "webhook", w.hook.events(), []string{"alert.published level,link,number,version", "alert.withdrawn link,number"})
	if len(w.hook.wrong) > 0 {
		t.Errorf("the receiver of webhooks: %q", w.hook.wrong)
	}
	if w.clock.Sub(worldStart) < 25*24*time.Hour {
		t.Errorf("only %s went by", w.clock.Sub(worldStart))
	}
	for _, m := range w.mails.all() {
		for _, secret := range []string{"vpn", "CVE-2026-1001", "9.1.3", "Gateway", "Agency", "Act until", "was none"} {
			if strings.Contains(m, secret) {
				t.Errorf("a mail in clear tells %q:\n%s", secret, m)
			}
		}
		if strings.Contains(m, "] Withdrawn") && (strings.Contains(m, "evel") || strings.Contains(m, "ersion 1")) {
			t.Errorf("a withdrawal tells more than number and link:\n%s", m)
		}
	}
}

// press presses the button of the first mail to somebody, after looking at it in
// all the ways in which programs look at mails.
func (w *owedWorld) press(to string) {
	w.t.Helper()
	pages, err := w.hub.faces(w.conf)
	if err != nil {
		w.t.Fatal(err)
	}
	i := slices.IndexFunc(w.mails.all(), func(m string) bool { return strings.Contains(m, "To: <"+to+">") })
	path := link.FindStringSubmatch(w.mails.all()[i])[1]
	before := w.hashes()
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions, "PROPFIND", http.MethodPut, http.MethodDelete, http.MethodPatch} {
		for _, h := range []http.Header{nil, {"Purpose": {"prefetch"}}, {"Sec-Purpose": {"prefetch"}}, {"User-Agent": {"link scanner"}}, {"X-Http-Method-Override": {"POST"}}, {"X-Method-Override": {"POST"}}, {"Accept": {"*/*"}, "Sec-Fetch-Site": {"none"}, "Cookie": {"a=b"}}} {
			visit(pages, method, path, h)
			visit(pages, method, path+"?_method=POST&acknowledge=1", h)
		}
	}
	sameHashes(w.t, w.hashes(), before, "a look at the link")
	if got := visit(pages, http.MethodPost, path, http.Header{"Sec-Fetch-Site": {"same-origin"}}); got.Code != 200 {
		w.t.Fatalf("the button: %d %s", got.Code, got.Body)
	}
}

func (w *owedWorld) setCase(constituent string, state vedette.CaseState) {
	w.t.Helper()
	w.do(&caseSet{IDs: []string{vedette.CaseID(constituent, "CVE-2026-1001")}, State: string(state), Reason: "for the test"})
}

// TestReminders: acknowledged, closed, covered and withdrawn end them; a hub
// that was away for long sends the last one alone; management is told once.
func TestReminders(t *testing.T) {
	for name, c := range map[string]struct {
		then func(w *owedWorld)
		want []string // beside the alerts, of Alpha
	}{
		"nothing": {func(w *owedWorld) { w.pass(20*24*time.Hour, 3*time.Hour) },
			[]string{"head@alpha.example For management", "lco@alpha.example Reminder", "lco@alpha.example Reminder", "lco@alpha.example Reminder", "poc@alpha.example Reminder", "poc@alpha.example Reminder", "poc@alpha.example Reminder"}},
		"one acknowledges": {func(w *owedWorld) { w.press("lco@alpha.example"); w.pass(20*24*time.Hour, 3*time.Hour) },
			[]string{"head@alpha.example For management"}},
		"the hub was away": {func(w *owedWorld) { w.clock = w.clock.Add(60 * 24 * time.Hour); w.pass(time.Hour, time.Minute) },
			[]string{"head@alpha.example For management", "lco@alpha.example Reminder", "poc@alpha.example Reminder"}},
		"closed": {func(w *owedWorld) { w.setCase("alpha", vedette.CaseClosed); w.pass(20*24*time.Hour, 3*time.Hour) }, nil},
		"withdrawn": {func(w *owedWorld) {
			w.do(&publicationWithdraw{ID: "TA-2026-001", Reason: "r"})
			w.pass(20*24*time.Hour, 3*time.Hour)
		}, []string{"lco@alpha.example Withdrawn", "poc@alpha.example Withdrawn"}},
		"accepted": {func(w *owedWorld) {
			d, err := w.run(lea).sc.Decide(context.Background(), vedette.Decision{Kind: vedette.RiskAccepted, Weakness: "CVE-2026-1001", Constituent: "alpha", Reason: "r", Until: w.clock.AddDate(1, 0, 0)})
			if err == nil {
				_, err = w.run(otherLead).sc.ApproveDecision(context.Background(), d.ID)
			}
			if err != nil {
				w.t.Fatal(err)
			}
			w.pass(20*24*time.Hour, 3*time.Hour)
		}, nil},
		"the POC left, and somebody came": {func(w *owedWorld) {
			w.do(&constituentApply{File: w.file("c.yaml", strings.ReplaceAll(owedConstituency, "poc@alpha", "new@alpha"))})
			w.clock = w.clock.Add(60 * 24 * time.Hour)
			w.pass(time.Hour, time.Minute)
		}, []string{"head@alpha.example For management", "lco@alpha.example Reminder", "new@alpha.example Reminder"}},
		"the constituent left": {func(w *owedWorld) {
			w.do(&constituentApply{File: w.file("c.yaml", "constituents:"+owedConstituency[strings.Index(owedConstituency, "\n  - id: bravo"):]), Whole: true})
			w.pass(20*24*time.Hour, 3*time.Hour)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newOwedWorld(t, t.TempDir())
			w.pass(time.Minute, time.Minute)
			c.then(w)
			got, _ := w.inboxes()
			got = slices.DeleteFunc(got, func(s string) bool {
				return !strings.Contains(s, "@alpha") || strings.Contains(s, "example Threat alert")
			})
			for i := range got {
				got[i], _, _ = strings.Cut(got[i], ": threat alert")
			}
			same(t, name, got, c.want)
		})
	}
}

// TestWebhooks: gone disables until its address changes or a person says so; a
// secret that cannot be read makes it wait; another's, a private address, no
// https and a redirect are refused.
func TestWebhooks(t *testing.T) {
	w := newOwedWorld(t, t.TempDir())
	status := 410
	w.hook.answer = func(int) (int, string) { return status, "" }
	const to = "webhook:charlie-soc"
	w.pass(time.Hour, time.Minute)
	if d := w.delivery(to, "alert", 1); d.State != vedette.DeliveryFailed || w.hook.n != 1 || !strings.Contains(d.Error, "410") {
		t.Errorf("gone: %+v, %d requests", d, w.hook.n)
	}
	w.do(&publicationWithdraw{ID: "TA-2026-001", Reason: "r"})
	w.pass(time.Hour, time.Minute)
	if w.hook.n != 1 || w.delivery(to, "withdrawal", 1).Contact != "" {
		t.Errorf("who is gone got nothing, and gets no withdrawal: %d requests, %+v", w.hook.n, w.delivery(to, "withdrawal", 1))
	}

	w = newOwedWorld(t, t.TempDir())
	w.hook.answer = func(int) (int, string) { return status, "" }
	w.pass(time.Minute, time.Minute)
	status = 204
	w.pass(24*time.Hour, time.Hour)
	if w.hook.n != 1 {
		t.Errorf("gone, and asked %d times", w.hook.n)
	}
	w.do(&publicationRedeliver{ID: "TA-2026-001", Contact: to})
	w.pass(time.Minute, time.Minute)
	if d := w.delivery(to, "alert", 1); d.State != vedette.DeliverySent || w.hook.n != 2 {
		t.Errorf("asked again: %+v", d)
	}
	w.do(&publicationRedeliver{ID: "TA-2026-001", Contact: to}) // sent, and once more
	w.pass(time.Minute, time.Minute)
	if w.hook.n != 3 || len(w.hook.got) != 1 {
		t.Errorf("once more: %d requests, %v", w.hook.n, w.hook.got)
	}
	if out := w.do(&publicationReceipts{ID: "TA-2026-001", Log: true}); strings.Count(out, to) != 3 || !strings.Contains(out, "410") {
		t.Errorf("the log: %s", out)
	}

	secret := filepath.Join(t.TempDir(), "secret")
	for _, c := range []struct {
		what   string
		change func(*config.Webhook)
		state  vedette.DeliveryState
		says   string
	}{
		{"no secret", func(h *config.Webhook) { h.SecretFile = secret }, vedette.DeliveryQueued, "secret"},
		{"a private address", func(h *config.Webhook) { h.URL = "http://10.0.0.1/" }, vedette.DeliveryFailed, "loopback only"},
		{"a name that is none", func(h *config.Webhook) { h.URL = "http://0x7f.1/" }, vedette.DeliveryFailed, "neither an address nor a name"},
		{"another's", func(h *config.Webhook) { h.Constituent = "bravo" }, vedette.DeliveryFailed, "no such webhook of charlie"},
	} {
		w := newOwedWorld(t, t.TempDir())
		c.change(&w.conf.Webhooks[0])
		w.hub.post = newPostman(w.store, w.conf, true)
		w.pass(time.Minute, time.Minute)
		if d := w.delivery(to, "alert", 1); d.State != c.state || !strings.Contains(d.Error, c.says) || w.hook.n != 0 {
			t.Errorf("%s: %+v, %d requests", c.what, d, w.hook.n)
		}
		if c.state == vedette.DeliveryQueued { // it is repaired
			if err := os.WriteFile(secret, []byte(secretNew), 0o600); err != nil {
				t.Fatal(err)
			}
			w.pass(10*time.Minute, time.Minute)
			if d := w.delivery(to, "alert", 1); d.State != vedette.DeliverySent || d.Tries != 1 {
				t.Errorf("%s, repaired: %+v", c.what, d)
			}
		}
		if out := w.run(vedette.Local()).out.(*bytes.Buffer).String(); strings.Contains(out, secretNew) {
			t.Errorf("a secret is printed: %s", out)
		}
	}
	if _, err := newPostman(w.store, w.conf, false).open(w.conf.Webhooks[0]); !errors.Is(err, vedette.ErrRefused) {
		t.Errorf("http outside of a lab: %v", err)
	}
}

// TestBounce: a report of a mail server that a person read makes a message
// failed; a corrected contact gets what it lacks, and the reminders.
func TestBounce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newOwedWorld(t, place)
		w.pass(time.Minute, time.Minute)
		w.do(&publicationBounce{ID: "TA-2026-001", Contact: "POC@alpha.example", Reason: "550 gone"})
		if d := w.delivery("poc@alpha.example", "alert", 1); d.State != vedette.DeliveryFailed || d.Error != "bounced: 550 gone" {
			t.Errorf("%+v", d)
		}
		if err := (&publicationBounce{ID: "TA-2026-001", Contact: "poc@alpha.example", Reason: "r"}).Run(w.run(vedette.Local())); !errors.Is(err, vedette.ErrNotFound) {
			t.Errorf("twice: %v", err)
		}
		if out := w.do(&publicationReceipts{}); strings.Count(out, "bounced: 550 gone") != 1 || strings.Contains(out, "bravo") {
			t.Errorf("what needs a person: %s", out)
		}
		w.do(&constituentApply{File: w.file("c.yaml", strings.ReplaceAll(owedConstituency, "poc@alpha", "desk@alpha"))})
		if _, err := publish(context.Background(), w.run(otherLead).sc, "TA-2026-001", w.conf); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Hour, time.Minute)
		if d := w.delivery("desk@alpha.example", "alert", 1); d.State != vedette.DeliverySent {
			t.Errorf("the corrected contact: %+v", d)
		}
		got, _ := w.inboxes()
		if len(got) != 5 {
			t.Errorf("%v", got)
		}
	})
}

// TestTheFirstLoadFloodsNobody: a list of years is imported, one draft lists it,
// and nobody published anything: nothing is owed.
func TestTheFirstLoadFloodsNobody(t *testing.T) {
	w := newWorld(t, t.TempDir())
	w.do(&constituentApply{File: w.file("c.yaml", owedConstituency)})
	w.importText("inventory.csv", owedInventory("vpn.alpha.example", "vpn.bravo.example", "vpn.charlie.example", "vpn.delta.example"))
	var cves, ids []string
	for i := range 60 {
		ids = append(ids, fmt.Sprintf("CVE-2025-%d", 1000+i))
		cves = append(cves, worldCVE(ids[i], "2026-02-02T00:00:00Z", "9.1.4"))
	}
	w.importText("cves.jsonl", strings.Join(cves, ""))
	w.importText("kev.json", strings.ReplaceAll(worldKEV("2026-02-20T00:00:00Z", ids...), "2026-02-18", "2025-02-18"))
	m := newMailbox(t)
	h := &hub{store: w.store, sys: w.store.System()}
	h.post = newPostman(w.store, config.Config{Mail: config.Mail{Relay: m.addr, From: "alerts@hub.example", TLS: "none", Base: "https://hub.example"}}, true)
	for range 40 {
		if err := h.send(context.Background()); err != nil {
			t.Fatal(err)
		}
		w.clock = w.clock.Add(24 * time.Hour)
	}
	ps, err := w.run(lea).sc.Publications(context.Background(), "", 100)
	if err != nil || len(ps) != 1 || ps[0].Kind != kindExposure || len(m.all()) != 0 {
		t.Errorf("%d publications, %d mails, %v", len(ps), len(m.all()), err)
	}
	for _, table := range []string{"deliveries", "reminders"} {
		hs, err := w.run(vedette.Local()).sc.Verify(context.Background())
		for _, x := range hs {
			if x.Table == table && x.Rows != 0 || err != nil {
				t.Errorf("%d rows of %s, %v", x.Rows, table, err)
			}
		}
	}
}

// TestSealedMail: a contact whose key works gets its whole edition, that it
// alone can read; one whose key does not gets the link, and the receipt says why.
func TestSealedMail(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		key := func(days uint32) (e *openpgp.Entity, public string) {
			e, err := openpgp.NewEntity("Alpha POC", "", "poc@alpha.example", &packet.Config{Time: func() time.Time { return worldStart.Add(-time.Hour) }, KeyLifetimeSecs: days * 86400})
			if err != nil {
				t.Fatal(err)
			}
			var b bytes.Buffer
			a, err := armor.Encode(&b, openpgp.PublicKeyType, nil)
			if err = errors.Join(err, e.Serialize(a), a.Close()); err != nil {
				t.Fatal(err)
			}
			return e, strings.ReplaceAll(strings.TrimSpace(b.String()), "\n", "\n          ")
		}
		own, good := key(30)
		_, short := key(1)
		w := newOwedWorld(t, place)
		with := strings.NewReplacer("email: poc@alpha.example}", "email: poc@alpha.example, openpgp: KEY}", "email: lco@alpha.example}", "email: lco@alpha.example, openpgp: OLD}").Replace(owedConstituency)
		with = strings.NewReplacer("{role: POC, name: Alpha POC, email: poc@alpha.example, openpgp: KEY}", "role: POC\n        name: Alpha POC\n        email: poc@alpha.example\n        openpgp: |\n          "+good+"\n",
			"{role: LCO, name: Alpha LCO, email: lco@alpha.example, openpgp: OLD}", "role: LCO\n        name: Alpha LCO\n        email: lco@alpha.example\n        openpgp: |\n          "+short+"\n").Replace(with)
		w.clock = w.clock.Add(30 * time.Hour)
		r := w.run(vedette.Local())
		r.Quiet = false
		if err := (&constituentApply{File: w.file("c.yaml", with)}).Run(r); err != nil {
			t.Fatal(err)
		}
		if said := r.errs.(*bytes.Buffer).String(); strings.Count(said, "mails will hold the link alone") != 1 || !strings.Contains(said, "lco@alpha.example") {
			t.Errorf("apply says of keys: %s", said)
		}
		w.pass(time.Minute, time.Minute)
		opened := 0
		for _, m := range w.mails.all() {
			sealed := strings.Contains(m, "multipart/encrypted")
			if sealed != strings.Contains(m, "To: <poc@alpha.example>") || strings.Contains(m, "vpn.") {
				t.Errorf("sealed %v:\n%s", sealed, m)
			}
			if !sealed {
				continue
			}
			block, err := armor.Decode(strings.NewReader(m[strings.Index(m, "-----BEGIN"):]))
			if err != nil {
				t.Fatal(err)
			}
			md, err := openpgp.ReadMessage(block.Body, openpgp.EntityList{own}, nil, &packet.Config{Time: func() time.Time { return w.clock }})
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(quotedprintable.NewReader(md.UnverifiedBody))
			if err != nil || !strings.Contains(string(text), "vpn.alpha.example") || !strings.Contains(string(text), "CVE-2026-1001") || !strings.Contains(string(text), "TA-2026-001") || !link.Match(text) || strings.Contains(string(text), "bravo") {
				t.Errorf("%v:\n%s", err, text)
			}
			opened++
		}
		if opened != 1 {
			t.Errorf("%d sealed mails", opened)
		}
		if d := w.delivery("lco@alpha.example", "alert", 1); d.State != vedette.DeliverySent || !strings.Contains(d.Note, "the link alone: OpenPGP key: expired") {
			t.Errorf("%+v", d)
		}
		if d := w.delivery("poc@alpha.example", "alert", 1); d.State != vedette.DeliverySent || d.Note != "" {
			t.Errorf("%+v", d)
		}
		if err := (&constituentApply{File: w.file("c.yaml", strings.ReplaceAll(with, "PUBLIC KEY", "PRIVATE KEY"))}).Run(w.run(vedette.Local())); !errors.Is(err, vedette.ErrInvalid) {
			t.Errorf("a private key: %v", err)
		}
	})
}
