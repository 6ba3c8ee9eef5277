//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package job

import (
	"errors"
	"os"

	"github.com/vedette-hub/vedette"
)

var errLocked = errors.New("locked")

// lockFile cannot promise here that one process works the jobs of a folder.
func lockFile(path string) (*os.File, error) {
	return nil, vedette.Invalid("job: %s: this system has no flock; work jobs over PostgreSQL", path)
}
