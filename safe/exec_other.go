//go:build !linux

package safe

import (
	"context"
	"io"

	"github.com/vedette-hub/vedette"
)

// runChild refuses: only Linux ends a child with its parent.
func runChild(context.Context, Command, string, io.Writer, io.Writer) error {
	return vedette.Refused("programs are run on Linux only")
}
