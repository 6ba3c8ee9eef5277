package browser

import (
	"testing"
)

// TestSignIn: the demo starts, its link signs in, and a page is there. The walk, axe and the
// injections take minutes: `make browser`.
func TestSignIn(t *testing.T) {
	needBrowser(t)
	h := demo(t)
	b := h.signIn(t)
	b.open("/cases")
	b.says("Cases")
}
