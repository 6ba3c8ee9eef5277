package app

import (
	"bytes"
	"compress/zlib"
	"context"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/compose"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/store"
	"github.com/vedette-hub/vedette/store/storetest"
)

// everywhere is a record that concerns products that every estate runs, in every version.
const everywhere = `{"dataType":"CVE_RECORD","dataVersion":"5.1","cveMetadata":{"cveId":"CVE-2026-1001","assignerOrgId":"11111111-1111-4111-8111-111111111111","state":"PUBLISHED","datePublished":"2026-02-01T00:00:00Z","dateUpdated":"2026-02-02T00:00:00Z"},"containers":{"cna":{"providerMetadata":{"orgId":"11111111-1111-4111-8111-111111111111","shortName":"examplesoft","dateUpdated":"2026-02-02T00:00:00Z"},"title":"Code execution before login","descriptions":[{"lang":"en","value":"Runs code."}],"affected":[{"vendor":"f5","product":"nginx","defaultStatus":"unaffected","versions":[{"version":"0","status":"affected","lessThan":"99.0","versionType":"semver"}]},{"vendor":"openbsd","product":"openssh","defaultStatus":"unaffected","versions":[{"version":"0","status":"affected","lessThan":"99.0","versionType":"semver"}]},{"vendor":"apache","product":"http_server","defaultStatus":"unaffected","versions":[{"version":"0","status":"affected","lessThan":"99.0","versionType":"semver"}]},{"vendor":"microsoft","product":"internet_information_services","defaultStatus":"unaffected","versions":[{"version":"0","status":"affected","lessThan":"99.0","versionType":"semver"}]},{"vendor":"postfix","product":"postfix","defaultStatus":"unaffected","versions":[{"version":"0","status":"affected","lessThan":"99.0","versionType":"semver"}]},{"vendor":"apache","product":"tomcat","defaultStatus":"unaffected","versions":[{"version":"0","status":"affected","lessThan":"99.0","versionType":"semver"}]},{"vendor":"openssl","product":"openssl","defaultStatus":"unaffected","versions":[{"version":"0","status":"affected","lessThan":"99.0","versionType":"semver"}]},{"vendor":"dovecot","product":"dovecot","defaultStatus":"unaffected","versions":[{"version":"0","status":"affected","lessThan":"99.0","versionType":"semver"}]}],"references":[{"url":"https://advisories.examplesoft.example/1"}]}}}` + "\n"

// TestEditionsOfTheEstate: one exploited CVE makes an edition for each of 95
// constituents, and no byte of any form of it, nor of the mails, names another
// constituent, or anything that only another one has.
func TestEditionsOfTheEstate(t *testing.T) {
	storetest.Each(t, func(t *testing.T, place string) {
		w := newWorld(t, place)
		w.do(&labInit{Bare: true})
		w.do(&labEstate{Seed: 3, Constituents: 95, Assets: 1000, Services: 6000, Scores: 10})
		w.importText("cve.json", everywhere)
		w.importText("kev.json", worldKEV("2026-02-20T00:00:00Z", "CVE-2026-1001"))
		ctx := context.Background()
		lea := wallsPeople["lead"]
		sc := w.run(lea).sc
		ps, err := sc.Publications(ctx, vedette.PublicationDraft, 100)
		if err != nil || len(ps) != 1 || ps[0].Editions != 95 {
			t.Fatalf("%+v, %v", ps, err)
		}
		owned := w.owned(t)
		d := &desk{store: w.store, sc: sc, line: NewLine(w.store)}
		for id := range owned {
			for _, form := range compose.Forms {
				var b bytes.Buffer
				if err := d.Edition(ctx, &b, ps[0].ID, id, 0, string(form)); err != nil {
					t.Fatal(err)
				}
				text := b.String()
				if form == compose.PDF {
					text = inflated(t, b.Bytes())
				}
				named := namedIn(text, owned)
				if !slices.Contains(named, id) {
					t.Errorf("%s as %s names none of its own: %.200s", id, form, text)
				}
				if len(named) > 1 {
					t.Errorf("%s as %s names %q", id, form, named)
				}
			}
		}
		w.mailsOf(t, ps[0], owned)
	})
}

// owned are the words that only one constituent has: its id and name, its
// assets, its contacts.
func (w *world) owned(t *testing.T) map[string][]string {
	t.Helper()
	ctx := context.Background()
	sc := w.run(vedette.Local()).sc
	cs, err := sc.Constituents(ctx)
	if err != nil || len(cs) != 95 {
		t.Fatal(len(cs), err)
	}
	out, times := map[string][]string{}, map[string]int{}
	for _, c := range cs {
		words := []string{c.ID, c.Name}
		for _, x := range c.Contacts {
			words = append(words, x.Email)
		}
		as, err := sc.Assets(ctx, store.AssetFilter{Constituent: c.ID, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range as {
			if a.Owner == c.ID {
				words = append(words, a.ID)
			}
		}
		slices.Sort(words)
		out[c.ID] = slices.Compact(words)
		for _, x := range out[c.ID] {
			times[x]++
		}
	}
	for id := range out {
		out[id] = slices.DeleteFunc(out[id], func(x string) bool { return x == "" || times[x] > 1 })
	}
	return out
}

var token = regexp.MustCompile(`[0-9A-Za-z][0-9A-Za-z.:@_-]*[0-9A-Za-z]`)

// namedIn are the constituents of which a text has a word that is theirs alone.
func namedIn(text string, owned map[string][]string) (ids []string) {
	tokens := map[string]bool{}
	for _, x := range token.FindAllString(text, -1) {
		tokens[x] = true
		host, _, _ := strings.Cut(x, ":") // with a port
		tokens[host] = true
	}
	for id, words := range owned {
		if slices.ContainsFunc(words, func(x string) bool {
			if !strings.Contains(x, " ") {
				return tokens[x]
			}
			for i, rest := 0, text; ; rest = rest[i+len(x):] {
				if i = strings.Index(rest, x); i < 0 {
					return false
				}
				if end := i + len(x); end == len(rest) || !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-", rune(rest[end])) {
					return true
				}
			}
		}) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

var pdfStream = regexp.MustCompile(`(?s)stream\n(.*?)\nendstream`)

// inflated is all text of a PDF: its bytes, and its streams without compression
// and without the high bytes of UTF-16.
func inflated(t *testing.T, doc []byte) string {
	t.Helper()
	var b strings.Builder
	b.Write(doc)
	for _, m := range pdfStream.FindAllSubmatch(doc, -1) {
		z, err := zlib.NewReader(bytes.NewReader(m[1]))
		if err != nil {
			continue // a font
		}
		text, _ := io.ReadAll(z)
		b.WriteString(strings.NewReplacer("\x00", "", "\\", "").Replace(string(text)))
		b.WriteByte('\n')
	}
	return b.String()
}

// mailsOf approves, sends, and looks at every mail and at the page behind its link.
func (w *world) mailsOf(t *testing.T, p vedette.Publication, owned map[string][]string) {
	t.Helper()
	ctx := context.Background()
	w.asWho(wallsPeople["lead"], &publicationApprove{ID: p.ID, Series: "TA"})
	w.asWho(wallsPeople["lead"], &publicationPublish{ID: p.ID})
	m := newMailbox(t)
	h, err := newHub(ctx, w.store, config.Survey{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	post := newPostman(w.store, config.Config{Mail: config.Mail{Relay: m.addr, From: "alerts@hub.example", TLS: "none", Base: "https://hub.example"}}, true)
	for range 20 {
		if err := post.deliver(ctx); err != nil {
			t.Fatal(err)
		}
	}
	mails := m.all()
	if len(mails) < 95 {
		t.Fatalf("%d mails for 95 constituents", len(mails))
	}
	faces, err := h.faces(config.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range mails {
		_, body, ok := strings.Cut(text, "\r\n\r\n")
		if !ok {
			_, body, _ = strings.Cut(text, "\n\n")
		}
		if named := namedIn(body, owned); len(named) > 0 {
			t.Errorf("a mail names %q: %s", named, text)
		}
		path := link.FindStringSubmatch(text)
		if path == nil {
			t.Fatalf("no link in %s", text)
		}
		got := visit(faces, http.MethodGet, path[1], nil)
		if named := namedIn(got.Body.String(), owned); got.Code != http.StatusOK || len(named) > 0 {
			t.Errorf("the page behind a link: %d, names %q", got.Code, named)
		}
	}
}
