package config

import (
	"bytes"
	"os"

	"github.com/vedette-hub/vedette"
)

// maxSecret bounds a secret, in bytes.
const maxSecret = 64 << 10

// Secret reads a secret from a file or from a variable of the environment: the
// configuration refers to secrets and never holds them. White space at the end
// is not part of it. An error names the reference, never what it holds.
func Secret(file, env string) ([]byte, error) {
	text := []byte(os.Getenv(env))
	if file != "" {
		info, err := os.Stat(file)
		if err != nil {
			return nil, vedette.NotFound("secret: %w", err)
		}
		if info.Size() > maxSecret {
			return nil, vedette.Invalid("secret: %s has %d bytes", file, info.Size())
		}
		if text, err = os.ReadFile(file); err != nil {
			return nil, vedette.NotFound("secret: %w", err)
		}
	}
	if text = bytes.TrimRight(text, " \t\r\n"); len(text) == 0 {
		return nil, vedette.NotFound("secret: %s%s is empty", file, env)
	}
	return text, nil
}

// oneOf refuses a secret that is referred to in both ways, or in none though it is needed.
func oneOf(key, file, env string, needed bool) error {
	if file != "" && env != "" || needed && file == "" && env == "" {
		return vedette.Invalid("%s: one of %[1]s_file and %[1]s_env is needed", key)
	}
	return nil
}
