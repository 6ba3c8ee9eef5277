package browser

import (
	"testing"
)

// TestDemo starts the demo once, and does in it what a person does.
func TestDemo(t *testing.T) {
	needBrowser(t)
	h := demo(t)
	b := h.signIn(t)
	b.open("/cases")
	b.says("Cases")
}
