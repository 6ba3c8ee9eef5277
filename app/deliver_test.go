package app

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// mailbox is an SMTP server (RFC 5321) on loopback that keeps what it takes.
type mailbox struct {
	mu    sync.Mutex
	mails []string
	// answer, when set, is the reply to the data of the n-th mail, from 0; "" hangs up.
	answer func(n int) string
	// greet and rcpt, when set, are the replies to a connection and to a
	// recipient; data to a mail for one, "" hangs up, "hang" says nothing.
	greet func() string
	rcpt  func(to string) string
	data  func(to string) string
	n     int
	addr  string
}

func newMailbox(t *testing.T) *mailbox {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	m := &mailbox{addr: ln.Addr().String()}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go m.talk(c)
		}
	}()
	return m
}

func (m *mailbox) talk(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	greeting := "220 mailbox.example ESMTP"
	if m.greet != nil {
		m.mu.Lock()
		greeting = m.greet()
		m.mu.Unlock()
	}
	fmt.Fprint(c, greeting+"\r\n")
	to := ""
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		switch verb := strings.ToUpper(strings.TrimSpace(line)); {
		case strings.HasPrefix(verb, "EHLO"):
			fmt.Fprint(c, "250-mailbox.example\r\n250 8BITMIME\r\n")
		case strings.HasPrefix(verb, "RCPT TO:") && m.rcpt != nil:
			to = strings.Trim(strings.TrimSpace(line)[len("RCPT TO:"):], "<>")
			m.mu.Lock()
			reply := m.rcpt(to)
			m.mu.Unlock()
			if reply == "hang" {
				_, _ = in.ReadString(0) // until the other side gives up
				return
			}
			fmt.Fprintf(c, "%s\r\n", reply)
		case verb == "DATA":
			fmt.Fprint(c, "354 go on\r\n")
			var b strings.Builder
			for {
				l, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if l == ".\r\n" {
					break
				}
				b.WriteString(l)
			}
			if !m.take(c, to, b.String()) {
				return
			}
		case verb == "QUIT":
			fmt.Fprint(c, "221 bye\r\n")
			return
		default:
			fmt.Fprint(c, "250 ok\r\n")
		}
	}
}

func (m *mailbox) take(c net.Conn, to, mail string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	reply := "250 taken"
	if m.data != nil {
		reply = m.data(to)
	}
	if m.answer != nil {
		reply = m.answer(m.n)
	}
	m.n++
	if reply == "" {
		m.mails = append(m.mails, mail) // taken, and the answer got lost
		return false
	}
	if strings.HasPrefix(reply, "250") {
		m.mails = append(m.mails, mail)
	}
	fmt.Fprintf(c, "%s\r\n", reply)
	return true
}

func (m *mailbox) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.mails)
}

const mailConstituency = `constituents:
  - id: alpha
    name: Agency Alpha
    contacts:
      - {role: POC, name: Alpha POC, email: poc@alpha.example}
      - {role: LCO, name: Alpha LCO, email: lco@alpha.example}
      - {role: management, name: Alpha head, email: head@alpha.example}
    scope:
      - {domain: alpha.example, subdomains: true, authorised_by: A. Officer, document: contract A}
  - id: bravo
    name: Agency Bravo
    contacts: [{role: POC, name: Bravo POC, email: poc@bravo.example}]
    scope:
      - {domain: bravo.example, subdomains: true, authorised_by: B. Officer, document: contract B}
`

// mailWorld is a world with an approved alert for Alpha.
func mailWorld(t *testing.T, place string) (*world, *mailbox, *hub) {
	t.Helper()
	w := newWorld(t, place)
	w.do(&constituentApply{File: w.file("c.yaml", mailConstituency)})
	w.importText("inventory.csv", "asset,constituent,port,proto,vendor,product,version,internet_facing,seen\nvpn.alpha.example,alpha,443,tcp,examplesoft,access_gateway,9.1.3,true,2026-02-20T08:00:00Z\n")
	w.importText("cve.json", worldCVE("CVE-2026-1001", "2026-02-02T00:00:00Z", "9.1.4"))
	w.importText("kev.json", worldKEV("2026-02-20T00:00:00Z", "CVE-2026-1001"))
	ps, err := w.run(lea).sc.Publications(context.Background(), "", 10)
	if err != nil || len(ps) != 1 {
		t.Fatalf("%+v, %v", ps, err)
	}
	w.do(&publicationApprove{ID: ps[0].ID, Series: "TA"})
	m := newMailbox(t)
	h := &hub{store: w.store, sys: w.store.System(), line: NewLine(w.store), log: slog.New(slog.DiscardHandler)}
	h.post = newPostman(w.store, config.Config{Mail: config.Mail{Relay: m.addr, From: "alerts@hub.example", TLS: "none", Base: "https://hub.example"}}, true)
	return w, m, h
}

var link = regexp.MustCompile(`https://hub\.example(/a/[0-9a-f]{40})`)

// TestAnAlertIsSentAndAcknowledged: one mail to each who is told, with number,
// level and link and nothing else; looking at the link changes nothing; the
// button acknowledges, once, and the case follows.
func TestAnAlertIsSentAndAcknowledged(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w, m, h := mailWorld(t, place)
		ctx := context.Background()
		w.do(&publicationPublish{ID: "TA-2026-001"})
		w.do(&publicationPublish{ID: "TA-2026-001"}) // owed once
		for range 3 {
			if err := h.post.deliver(ctx); err != nil {
				t.Fatal(err)
			}
		}
		mails := m.all()
		if len(mails) != 2 {
			t.Fatalf("%d mails, not one to POC and one to LCO: %v", len(mails), mails)
		}
		for _, text := range mails {
			if !strings.Contains(text, "TA-2026-001") || !strings.Contains(text, "Level: High") || link.FindString(text) == "" || strings.Contains(text, "head@") {
				t.Errorf("the mail is\n%s", text)
			}
			for _, secret := range []string{"vpn.alpha.example", "CVE-2026-1001", "9.1.3", "Gateway", "bravo"} {
				if strings.Contains(text, secret) {
					t.Errorf("a mail in clear tells %q", secret)
				}
			}
		}
		state := func() vedette.CaseState {
			t.Helper()
			cs, _, err := w.run(lea).sc.Cases(ctx, store.CaseFilter{Closed: true})
			if err != nil || len(cs) != 1 {
				t.Fatalf("%+v, %v", cs, err)
			}
			return cs[0].State
		}
		if s := state(); s != vedette.CaseNotified {
			t.Errorf("sent, the case is %s", s)
		}
		pages, err := h.faces(config.Config{})
		if err != nil {
			t.Fatal(err)
		}
		path := link.FindStringSubmatch(mails[0])[1]
		get := visit(pages, http.MethodGet, path, nil)
		if get.Code != 200 || !strings.Contains(get.Body.String(), "TA-2026-001") || !strings.Contains(get.Body.String(), "<button") || strings.Contains(get.Body.String(), "alpha") || state() != vedette.CaseNotified {
			t.Errorf("looking at the link: %d %s, the case is %s", get.Code, get.Body, state())
		}
		if csp := get.Header().Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || get.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("headers %v", get.Header())
		}
		if cross := visit(pages, http.MethodPost, path, http.Header{"Sec-Fetch-Site": {"cross-site"}}); cross.Code != http.StatusForbidden || state() != vedette.CaseNotified {
			t.Errorf("a form of another site: %d, the case is %s", cross.Code, state())
		}
		if post := visit(pages, http.MethodPost, path, http.Header{"Sec-Fetch-Site": {"same-origin"}}); post.Code != 200 || !strings.Contains(post.Body.String(), "Acknowledged on") || state() != vedette.CaseAcknowledged {
			t.Errorf("the button: %d %s, the case is %s", post.Code, post.Body, state())
		}
		if bad := visit(pages, http.MethodGet, "/a/"+strings.Repeat("0", 40), nil); bad.Code != http.StatusNotFound {
			t.Errorf("a link of nobody: %d", bad.Code)
		}
		before := w.hashes("events", "seals")
		w.do(rebuildCmd{})
		sameHashes(t, w.hashes("events", "seals"), before, "a rebuild makes nothing owed")
	})
}

func visit(h http.Handler, method, path string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://hub.example"+path, nil)
	for k, v := range header {
		r.Header[k] = v
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestDeliveryAsOwed: what the relay refuses for now is tried again later, what
// it refuses for good fails and says why, and a lost answer makes a repeat that
// carries the same id.
func TestDeliveryAsOwed(t *testing.T) {
	w, m, h := mailWorld(t, t.TempDir())
	ctx := context.Background()
	w.do(&publicationPublish{ID: "TA-2026-001"})
	replies := []string{"451 not now", "550 mailbox full", "", "250 taken"}
	m.answer = func(n int) string { return replies[min(n, len(replies)-1)] }
	deliver := func() map[string]vedette.Delivery {
		t.Helper()
		if err := h.post.deliver(ctx); err != nil {
			t.Fatal(err)
		}
		ds, err := w.run(lea).sc.Deliveries(ctx, "TA-2026-001")
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]vedette.Delivery{}
		for _, d := range ds {
			out[string(d.Role)] = d
		}
		return out
	}
	ds := deliver()
	if ds["POC"].State != vedette.DeliveryQueued || ds["POC"].Tries != 1 || !strings.Contains(ds["POC"].Error, "451") || ds["LCO"].State != vedette.DeliveryFailed || !strings.Contains(ds["LCO"].Error, "550") {
		t.Errorf("%+v", ds)
	}
	if ds = deliver(); ds["POC"].Tries != 1 {
		t.Errorf("tried again at once: %+v", ds)
	}
	w.clock = w.clock.Add(2 * time.Minute)
	if ds = deliver(); ds["POC"].State != vedette.DeliveryQueued || ds["POC"].Tries != 2 {
		t.Errorf("the answer was lost: %+v", ds)
	}
	w.clock = w.clock.Add(7 * time.Minute)
	if ds = deliver(); ds["POC"].State != vedette.DeliverySent {
		t.Errorf("%+v", ds)
	}
	id := regexp.MustCompile(`Message-ID: (\S+)`)
	if mails := m.all(); len(mails) != 2 || id.FindString(mails[0]) == "" || id.FindString(mails[0]) != id.FindString(mails[1]) {
		t.Errorf("a repeat is not known by its id: %v", mails)
	}
}
