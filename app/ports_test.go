package app

import (
	"errors"
	"testing"

	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/survey"
)

func TestPortsFitIntoAPart(t *testing.T) {
	for _, c := range []struct {
		ports string
		lab   bool
		fits  bool
	}{{survey.DefaultPorts, false, true}, {"tcp:1-4000", false, true}, {"tcp:1-65535", false, false}, {"tcp:1-65535", true, true}} {
		if err := fits(c.ports, config.Survey{Connects: 200}, c.lab); (err == nil) != c.fits || err != nil && !errors.Is(err, errUsage) {
			t.Errorf("%s, lab %t: %v", c.ports[:min(len(c.ports), 20)], c.lab, err)
		}
	}
}
