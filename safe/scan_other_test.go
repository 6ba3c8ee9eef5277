//go:build !linux

package safe

import "testing"

func fewFiles(t *testing.T) func() {
	t.Skip("how to leave few files is known on Linux alone")
	return nil
}
