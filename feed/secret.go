package feed

import (
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/safe"
)

// Secrets finds what a configuration only refers to. What a feed may refer to
// is for the operator of the machine to decide: files of one folder, and
// variables of one prefix.
type Secrets struct {
	Dir string // of the files; none may be referred to when empty
	Env func(string) (string, bool)
}

// SecretPrefix begins the names of environment variables that a feed may refer to.
const SecretPrefix = "VEDETTE_SECRET_"

var reference = regexp.MustCompile(`\$\{(env|file):([A-Za-z0-9_][A-Za-z0-9_.-]{0,99})\}`)

// CheckSecret says whether a header's value refers to exactly one secret, and
// holds none itself: "${env:VEDETTE_SECRET_X}" or "Bearer ${file:partner.token}".
func CheckSecret(value string) error {
	at := reference.FindAllStringSubmatchIndex(value, -1)
	if len(at) != 1 {
		return vedette.Invalid("refer to one secret as ${file:NAME} or ${env:%sNAME}: none stands in the configuration itself", SecretPrefix)
	}
	m := reference.FindStringSubmatch(value)
	if m[1] == "env" && !strings.HasPrefix(m[2], SecretPrefix) {
		return vedette.Invalid("the variable %s does not begin with %s", m[2], SecretPrefix)
	}
	if rest := reference.ReplaceAllString(value, ""); len(rest) > 20 || strings.ContainsFunc(rest, func(c rune) bool { return c < ' ' || c > '~' }) {
		return vedette.Invalid("beside the reference only a word like Bearer may stand")
	}
	return nil
}

// maxSecret bounds a secret, in bytes.
const maxSecret = 8 << 10

// Fill puts the secret of a value in its place. Errors tell its name, never its content.
func (s Secrets) Fill(value string) (string, error) {
	m := reference.FindStringSubmatch(value)
	if m == nil {
		return value, nil
	}
	var text string
	var err error
	if m[1] == "env" {
		text, err = s.env(m[2])
	} else {
		text, err = s.file(m[2])
	}
	if err != nil {
		return "", err
	}
	if text == "" || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c > '~' }) {
		return "", vedette.Invalid("the secret %s is empty or more than a line of plain text", m[2])
	}
	return strings.Replace(value, m[0], text, 1), nil
}

func (s Secrets) env(name string) (string, error) {
	text, ok := "", false
	if s.Env != nil && strings.HasPrefix(name, SecretPrefix) {
		text, ok = s.Env(name)
	}
	if !ok {
		return "", vedette.Invalid("the environment has no %s", name)
	}
	return strings.TrimSpace(text), nil
}

func (s Secrets) file(name string) (string, error) {
	if s.Dir == "" {
		return "", vedette.Invalid("the file %s is referred to, and the configuration names no folder feeds.secrets", name)
	}
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return "", vedette.Invalid("feeds.secrets: %s", safe.Reason(err))
	}
	defer root.Close()
	f, err := root.Open(name)
	if err != nil {
		return "", vedette.Invalid("feeds.secrets: %s", safe.Reason(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret))
	if err != nil {
		return "", vedette.Invalid("feeds.secrets: %s", safe.Reason(err))
	}
	return strings.TrimSpace(string(b)), nil
}
