package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestRead(t *testing.T) {
	c, err := Read(strings.NewReader("survey:\n  contact: csirt@hub.example\n  resolvers: [\"127.0.0.53:53\", \"[::1]:53\"]\n  ports: \"tcp:22,80-81 udp:53\"\n  connects: 2.5\n  timeout: 3s\n"))
	want := Config{Survey: Survey{Contact: "csirt@hub.example", Resolvers: []string{"127.0.0.53:53", "[::1]:53"}, Ports: "tcp:22,80-81 udp:53", Connects: 2.5, Timeout: Duration(3 * time.Second)}}
	if err != nil || !reflect.DeepEqual(c, want) {
		t.Fatalf("%+v, %v", c, err)
	}
	if c, err := Read(strings.NewReader(" \n")); err != nil || !reflect.DeepEqual(c, Config{}) {
		t.Errorf("an empty file: %+v, %v", c, err)
	}
}

func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"survey:\n  contcat: a@b.example\n":                "contcat",
		"survey:\n  contact: nobody\n":                     "survey.contact",
		"survey:\n  contact: \"a@b.example)\\r\\nX: y\"\n": "survey.contact",
		"survey:\n  resolvers: [localhost]\n":              "survey.resolvers[0]",
		"survey:\n  ports: \"tcp:0\"\n":                    "survey.ports",
		"survey:\n  ports: \"80\"\n":                       "survey.ports",
		"survey:\n  ports: \"tcp:90-80\"\n":                "survey.ports",
		"survey:\n  connects: -1\n":                        "survey.connects",
		"survey:\n  timeout: -1s\n":                        "negative",
		"survey: [":                                        "",
	} {
		if _, err := Read(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want a word of %q", text, err, want)
		}
	}
}

func TestMailAndWebhooks(t *testing.T) {
	const mail = "mail: {relay: \"mail.hub.example:587\", from: alerts@hub.example, base: \"https://hub.example\"}\n"
	good := mail + "webhooks:\n  - {name: alpha-soc, constituent: alpha, url: \"https://soc.alpha.example/in\", secret_env: A, old_secret_file: /b}\n"
	if c, err := Read(strings.NewReader(good)); err != nil || len(c.Webhooks) != 1 || c.Webhooks[0].OldSecretFile != "/b" {
		t.Fatalf("%+v, %v", c, err)
	}
	for change, want := range map[string]string{
		"name: alpha-soc|name: Alpha": "webhooks[0].name", "constituent: alpha,|": "webhooks[0].constituent", "https://soc|ftp://soc": "webhooks[0].url",
		"https://soc|https://user:pass@soc": "webhooks[0].url", "in\"|in#x\"": "webhooks[0].url", "secret_env: A, |": "webhooks[0].secret", "secret_env: A|secret_env: A, secret_file: /a": "webhooks[0].secret",
		"secret_env: A|secret: whsec_x": "secret", "old_secret_file: /b|old_secret_file: /b, old_secret_env: B": "old_secret", mail + "|": "mail.base", "https://hub.example|https://hub.example?x=1": "mail.base",
		"relay:|timeout: 3m, relay:": "mail.timeout", "relay:|tls: none, user: u, password_env: P, relay:": "mail.user", "relay:|user: u, relay:": "mail.password",
	} {
		from, to, _ := strings.Cut(change, "|")
		if _, err := Read(strings.NewReader(strings.Replace(good, from, to, 1))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want a word of %q", change, err, want)
		}
	}
}

func TestSecret(t *testing.T) {
	t.Setenv("CONFIG_TEST_SECRET", "hunter\n")
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(" in a file \r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := Secret("", "CONFIG_TEST_SECRET"); err != nil || string(b) != "hunter" {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := Secret(file, ""); err != nil || string(b) != " in a file" {
		t.Errorf("%q, %v", b, err)
	}
	for _, ref := range [][2]string{{"", "CONFIG_TEST_NOTHING"}, {file + ".not", ""}, {t.TempDir(), ""}, {"/dev/null", ""}, {"", ""}} {
		if b, err := Secret(ref[0], ref[1]); err == nil {
			t.Errorf("%v: %q", ref, b)
		}
	}
}

func TestKeysAreDescribed(t *testing.T) {
	for _, k := range (Config{}).Keys() {
		if k.About == "" || k.Type == "" {
			t.Errorf("%s is not described: %+v", k.Key, k)
		}
	}
}

func TestSystemResolvers(t *testing.T) {
	got := SystemResolvers(strings.NewReader("# x\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\noptions edns0\nnameserver ::1\nnameserver nonsense\n"))
	if want := []string{"192.0.2.1:53", "[fe80::1%eth0]:53", "[::1]:53"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("survey:\n  ports: \"tcp:1-2\"\n")
	f.Add("a: &a [*a]\n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := Read(strings.NewReader(text)); err == nil && CheckPorts(c.Survey.Ports) != nil {
			t.Error("ports that are none")
		}
	})
}
