package credential

import (
	"encoding/base32"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const words = "four words are easy"

func TestPasswords(t *testing.T) {
	phc, err := Hash(words)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Hash(words)
	if err != nil || again == phc || !strings.HasPrefix(phc, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("%s, %s, %v", phc, again, err)
	}
	// made by the reference implementation (argon2 -id -t 2 -k 65536 -p 1), its own test vector
	reference := "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	for _, c := range []struct {
		password, phc string
		ok, old       bool
	}{
		{words, phc, true, false},
		{words + " ", phc, false, false},
		{"", phc, false, false},
		{strings.Repeat("x", MaxPassword+1), phc, false, false},
		{"password", reference, true, true},
		{"passwort", reference, false, true},
		{words, "", false, false},
		{words, "$argon2i$" + phc[9:], false, false},
	} {
		if ok, old := Verify(c.password, c.phc); ok != c.ok || old != c.old {
			t.Errorf("%.30q, %.30s: %t, %t", c.password, c.phc, ok, old)
		}
	}
	if ok, _ := Verify("", dummy.String()); ok {
		t.Error("the dummy is somebody's")
	}
}

// TestNobodyTakesAsLong: an answer about nobody costs what one about somebody does.
func TestNobodyTakesAsLong(t *testing.T) {
	phc, err := Hash(words)
	if err != nil {
		t.Fatal(err)
	}
	quickest := func(phc string) time.Duration {
		best := time.Hour
		for range 5 {
			start := time.Now()
			Verify("not "+words, phc)
			best = min(best, time.Since(start))
		}
		return best
	}
	if nobody, somebody := quickest(""), quickest(phc); nobody < somebody/4 {
		t.Errorf("nobody in %v, somebody in %v", nobody, somebody)
	}
}

func TestParseRefuses(t *testing.T) {
	phc, err := Hash(words)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{"v=19", "v=16"}, {"m=19456", "m=0"}, {"m=19456", "m=019456"}, {"m=19456", "m=+19456"}, {"m=19456", "m=4000000000"}, {"m=19456", "m=7"}, {"t=2", "t=0"}, {"t=2", "t=17"}, {"p=1", "p=17"},
		{"p=1", "p=1,x=1"}, {",p=1", ""}, {"m=19456,t=2", "t=2,m=19456"}, {"$argon2id", "argon2id"}, {"argon2id", "argon2d"}, {"$v", "$\nv"},
	} {
		if bad := strings.Replace(phc, c[0], c[1], 1); bad == phc {
			t.Errorf("%s is not in %s", c[0], phc)
		} else if _, err := parse(bad); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
	for _, bad := range []string{"", "$", "$$$$$", phc + "$", phc + "=", phc + "\n", phc[:len(phc)-30], phc + strings.Repeat("A", 600)} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%.60q is read", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=8,t=1,p=1$$")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parse(text)
		if err != nil {
			return
		}
		if h.String() != text {
			t.Errorf("%q is written %q", text, h)
		}
		if h.memory > maxMemory || h.passes > maxPasses || h.lanes > maxLanes || h.passes == 0 || h.lanes == 0 || len(h.salt) < 8 || len(h.sum) < 16 {
			t.Errorf("%q asks for %+v", text, h)
		}
	})
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		name, password string
		fit            bool
	}{
		{"ana", words, true}, {"ana", "elf ganze ×××", true}, {"al", "alphabetically", true},
		{"ana", "eleven char", false}, {"ana", "Banana boat ride", false}, {"ana", "", false}, {"ana", "aaaaaaaaaaaaaaaa", false},
		{"ana", strings.Repeat("long ", 300), false}, {"ana", "broken \xff text here", false}, {"ana", "zero \x00 text here", false},
	} {
		if why := Fit(c.name, c.password); (why == "") != c.fit {
			t.Errorf("%s, %.20q: %q", c.name, c.password, why)
		}
	}
}

// TestCodes are the test values of RFC 6238 appendix B for SHA-1, the last six digits.
func TestCodes(t *testing.T) {
	secret := []byte("12345678901234567890")
	for at, code := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		now := time.Unix(at, 0)
		if got := Code(secret, at/30); got != code {
			t.Errorf("at %d: %s, not %s", at, got, code)
		}
		step := Step(secret, code[:3]+" "+code[3:], now, 0)
		if step != at/30 {
			t.Errorf("at %d: step %d", at, step)
		}
		for shift, ok := range map[time.Duration]bool{-61 * time.Second: false, -30 * time.Second: true, 30 * time.Second: true, 61 * time.Second: false} {
			if got := Step(secret, code, now.Add(shift), 0); (got == at/30) != ok && at > 120 {
				t.Errorf("at %d, a clock off by %v: step %d", at, shift, got)
			}
		}
		if Step(secret, code, now, step) != 0 || Step(secret, code, now, step+1) != 0 {
			t.Errorf("the code of %d is used twice", at)
		}
	}
	for _, bad := range []string{"", "0", "12345", "2870820", "٢٨٧٠٨٢", "287082\n"} {
		if Step(secret, bad, time.Unix(59, 0), 0) != 0 {
			t.Errorf("%q is a code", bad)
		}
	}
}

func TestEnrolment(t *testing.T) {
	secret, err := NewSecret()
	if err != nil || len(secret) != 20 {
		t.Fatal(secret, err)
	}
	u, err := url.Parse(Enrolment("the hub", "ana", secret))
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/the hub:ana" || strings.Contains(u.String(), "+") {
		t.Fatal(u, err)
	}
	q := u.Query()
	back, err := base32.StdEncoding.DecodeString(q.Get("secret"))
	if err != nil || string(back) != string(secret) || q.Get("issuer") != "the hub" || q.Get("period") != "30" || q.Get("digits") != "6" || q.Get("algorithm") != "SHA1" {
		t.Errorf("%s: %v", u, err)
	}
}

func TestRecovery(t *testing.T) {
	code, err := NewRecovery()
	if err != nil || len(code) != 19 {
		t.Fatal(code, err)
	}
	want, ok := RecoveryHash(code)
	for _, same := range []string{strings.ToLower(code), strings.ReplaceAll(code, "-", ""), " " + strings.ReplaceAll(code, "-", " ")} {
		if got, ok := RecoveryHash(same); !ok || string(got) != string(want) {
			t.Errorf("%q is not %q", same, code)
		}
	}
	for _, bad := range []string{"", "123456", code + "A", code[:18], "1111-1111-1111-1111"} {
		if _, is := RecoveryHash(bad); is || !ok {
			t.Errorf("%q is a recovery code", bad)
		}
	}
}

func TestSeal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret.key")
	if _, err := LoadKey(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	k, err := MakeKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	again, err := MakeKey(path) // is there: the same
	if err != nil || again.id != k.id {
		t.Error("made twice", err)
	}
	sealed, err := k.Seal("totp ana", []byte("secret"))
	if err != nil || strings.Contains(string(sealed), "secret") {
		t.Fatal(err)
	}
	if got, err := again.Open("totp ana", sealed); err != nil || string(got) != "secret" {
		t.Errorf("%q, %v", got, err)
	}
	other, err := MakeKey(filepath.Join(t.TempDir(), "other.key"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		bad := append([]byte{}, sealed...)
		bad[i] ^= 1
		if _, err := k.Open("totp ana", bad); !errors.Is(err, ErrOtherKey) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	if _, err := other.Open("totp ana", sealed); !errors.Is(err, ErrOtherKey) {
		t.Errorf("another key: %v", err)
	}
	if _, err := k.Open("totp bob", sealed); !errors.Is(err, ErrOtherKey) {
		t.Errorf("another place: %v", err)
	}
	if _, err := k.Open("totp ana", nil); !errors.Is(err, ErrOtherKey) {
		t.Errorf("nothing: %v", err)
	}
	if err := os.WriteFile(path, []byte("0011"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadKey(path); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a short key: %v", err)
	}
}
