package deliver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

var day = time.Date(2026, 11, 10, 6, 0, 0, 0, time.UTC)

func letter(reason string, tlp vedette.TLP) Letter {
	return Letter{Reason: reason, Number: "TA-2026-001", Version: 2, Level: "High", Marking: vedette.Marking{TLP: tlp}, Deadline: day.AddDate(0, 0, 3), Made: day, Link: "https://hub.example/a/1234", From: "alerts@hub.example"}
}

// TestLetters: from AMBER up number, level and link; of a withdrawal number and
// link; a marking that nobody gave counts as strict.
func TestLetters(t *testing.T) {
	reasons := []string{vedette.ReasonCorrection, vedette.ReasonWithdrawal}
	for _, s := range Steps() {
		reasons = append(reasons, s.Reason)
	}
	texts := map[string]string{}
	for _, reason := range reasons {
		for tlp := vedette.TLPNone; tlp <= vedette.TLPRed; tlp++ {
			l := letter(reason, tlp)
			text := l.Subject() + "\n" + l.Text()
			open, back := tlp == vedette.TLPClear || tlp == vedette.TLPGreen, reason == vedette.ReasonWithdrawal
			if !strings.Contains(text, l.Number) || strings.Count(text, l.Link) != 1 || strings.Contains(l.Subject(), "\n") {
				t.Errorf("%s %s:\n%s", reason, tlp, text)
			}
			if got := strings.Contains(text, "Act until: Fri 13 Nov 2026"); got != (open && !back) {
				t.Errorf("%s %s: deadline %v", reason, tlp, got)
			}
			if got := strings.Contains(text, "High"); got == back {
				t.Errorf("%s %s: level %v", reason, tlp, got)
			}
			if back && (strings.Contains(text, "2,") || strings.Contains(text, "version")) {
				t.Errorf("a withdrawal tells more than number and link:\n%s", text)
			}
			for line := range strings.Lines(text) {
				if len(line) > 79 {
					t.Errorf("%s: a line of %d characters", reason, len(line))
				}
			}
			var e struct{ Data map[string]any }
			if err := json.Unmarshal(l.Event(), &e); err != nil || len(l.Event()) > 1000 || (e.Data["deadline"] != nil) != (open && !back) || (e.Data["level"] != nil) == back {
				t.Errorf("%s %s: %s, %v", reason, tlp, l.Event(), err)
			}
		}
		texts[letter(reason, vedette.TLPAmber).Text()] = reason
	}
	if len(texts) != 5 { // reminders and the deadline read alike
		t.Errorf("%d texts: %v", len(texts), texts)
	}
}

func TestSteps(t *testing.T) {
	steps := Steps()
	if len(steps) != 5 || steps[0].Percent != 0 || len(steps[0].To) != 2 || steps[4].To[0] != vedette.Management || steps[4].Until != vedette.CaseClosed {
		t.Errorf("%+v", steps)
	}
	for _, bad := range []string{"", "percent,reason,to\n1,a,POC\n", "x,alert,POC,\n", "-1,r,POC,\n", "50,,POC,\n", "50,r,,\n", "50,r,POC,gone\n", "50,r,POC,closed\n60,r,POC,closed\n", "50,withdrawal,POC,\n", "0,hello,POC,\n"} {
		if strings.Count(bad, "\n") < 2 && bad != "" || strings.HasPrefix(bad, "50") {
			bad = "percent,reason,to,until\n" + bad
		}
		if s, err := readSteps(strings.NewReader(bad)); !errors.Is(err, vedette.ErrInvalid) {
			t.Errorf("%q: %+v, %v", bad, s, err)
		}
	}
}

// TestSign holds a signature against the example of the specification.
func TestSign(t *testing.T) {
	s, err := ParseSecret([]byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Sign("msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`)); got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("%s", got)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", s, s, s, s); strings.Trim(text, "* ") != "" {
		t.Errorf("a secret prints: %s", text)
	}
	for _, bad := range []string{"", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!", "whsec_" + strings.Repeat("QUFB", 22)} {
		if _, err := ParseSecret([]byte(bad)); !errors.Is(err, vedette.ErrInvalid) || bad != "" && strings.Contains(err.Error(), strings.TrimPrefix(bad, "whsec_")) && len(bad) > 8 {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzSecret(f *testing.F) {
	f.Add("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := ParseSecret([]byte(text)); err == nil && (len(s.key) < 24 || len(s.key) > 64) {
			t.Errorf("%q has %d bytes", text, len(s.key))
		}
	})
}

// TestHook: what answers mean, over the client that goes out by the dialer alone.
func TestHook(t *testing.T) {
	asked, elsewhere := 0, 0
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere++ }))
	defer other.Close()
	status, after := 200, ""
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if status == 0 {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Retry-After", after)
		w.Header().Set("Location", other.URL)
		w.WriteHeader(status)
		_, _ = w.Write(make([]byte, 1<<20))
	}))
	defer s.Close()
	t.Setenv("HTTP_PROXY", other.URL)
	t.Setenv("http_proxy", other.URL)
	lab := safe.NewDialer(true)
	secret, err := ParseSecret([]byte("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
	if err != nil {
		t.Fatal(err)
	}
	send := func(d *safe.Dialer, url string) error {
		return Hook{URL: url, Secrets: []Secret{secret}, Client: safe.Client(d.Public, 5*time.Second, nil)}.Send(context.Background(), "msg_1", day, []byte("{}"))
	}
	for _, c := range []struct {
		status  int
		after   string
		ok      bool
		forGood bool
		unsure  bool
		wait    time.Duration
	}{
		{200, "", true, false, false, 0}, {204, "", true, false, false, 0}, {202, "", true, false, false, 0},
		{301, "", false, false, false, 0}, {307, "", false, false, false, 0}, {400, "", false, false, false, 0}, {500, "", false, false, false, 0},
		{410, "", false, true, false, 0}, {429, "120", false, false, false, 2 * time.Minute}, {503, "Tue, 10 Nov 2026 07:00:00 GMT", false, false, false, time.Hour},
		{503, "-5", false, false, false, 0}, {503, "soon", false, false, false, 0}, {503, "Tue, 10 Nov 2020 07:00:00 GMT", false, false, false, 0},
		{0, "", false, false, true, 0},
	} {
		status, after = c.status, c.after
		err := send(lab, s.URL)
		var no *Refusal
		if (err == nil) != c.ok || errors.Is(err, ErrForGood) != c.forGood || errors.Is(err, ErrUnsure) != c.unsure || errors.As(err, &no) && no.After != c.wait {
			t.Errorf("%+v: %v, %+v", c, err, no)
		}
		if err != nil && strings.Contains(err.Error(), "127.0.0.1") && c.status != 0 {
			t.Errorf("the error tells the address: %v", err)
		}
	}
	if elsewhere != 0 || asked != 14 {
		t.Errorf("%d requests, %d of them elsewhere", asked, elsewhere)
	}
	inside := safe.NewDialer(false)
	inside.Lookup = func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	was := asked
	for _, url := range []string{s.URL, strings.Replace(s.URL, "127.0.0.1", "hooks.example", 1), strings.Replace(s.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1), "http://169.254.169.254/latest", "http://0/", "http://127.1/", "http://[::1]:80/", "http://2130706433/", "ftp://hooks.example/", "http://[fe80::1%25lo]/"} {
		if err := send(inside, url); err == nil || !errors.Is(err, ErrForGood) && url != "ftp://hooks.example/" {
			t.Errorf("%s: %v", url, err)
		}
	}
	if asked != was || elsewhere != 0 {
		t.Errorf("%d requests to this machine", asked-was+elsewhere)
	}
}
