package probe

import (
	"bytes"
	"testing"
)

// TestMQTTIdentifier: a broker cuts off a client whose identifier another one
// brings, so that two looks at one broker may not share theirs.
func TestMQTTIdentifier(t *testing.T) {
	a, b := mqtt.hello(nil), mqtt.hello(nil)
	if bytes.Equal(a, b) {
		t.Errorf("%q twice", a)
	}
	if int(a[1]) != len(a)-2 || int(a[13]) != len(a)-14 {
		t.Errorf("the lengths of %q are not its own", a)
	}
}
