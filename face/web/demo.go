package web

import (
	"context"
	"net/http"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
)

// Demo is the world outside of a hub that is shown: the machines of the
// constituents, their mailboxes, and a list of what is exploited.
type Demo interface {
	World() DemoWorld
	// Change upgrades, stops or starts a host.
	Change(host, act string) error
	// Publish adds another exploited vulnerability to the list that the hub's feed reads.
	Publish() (cve string, err error)
	// Be signs somebody of the demo in.
	Be(ctx context.Context, user, address string) (vedette.SignedIn, error)
}

// DemoWorld is what the lab page shows.
type DemoWorld struct {
	Users     []string
	Mails     []DemoMail // newest first
	Hosts     []DemoHost
	Exploited []string // published so far
	More      bool     // another may be published
	Touches   int      // of the tripwire
}

// DemoMail is one mail that somebody got.
type DemoMail struct {
	To, Subject, Text string
	Link              string // a path on this hub, "" when the mail has none
	At                time.Time
}

// DemoHost is one machine.
type DemoHost struct {
	Address, Name, Constituent string
	Runs                       []string // "443 access_gateway 5.2.1"
	Upgrade                    string   // to which version, "" when nothing is to be upgraded
	Stopped                    bool
}

// DemoRoutes are the routes of the lab page.
func (p *Pages) DemoRoutes(d Demo) []face.Route {
	const act = "demo page"
	p.demo = d != nil
	return []face.Route{
		{Method: http.MethodGet, Path: "/demo", Act: act, Serve: func(r *face.Request) error {
			v := view{Title: "Lab", At: "/demo", Live: true, So: "This is the world outside of the hub, and none of it is real: six organisations on loopback, their machines, their mailboxes, and a list of what is exploited."}
			return p.page(r, v, demoPage(d.World(), r.P.Name, p.hub.Now()))
		}},
		{Method: http.MethodPost, Path: "/demo/host", Act: act, Serve: func(r *face.Request) error {
			host, what := r.PostFormValue("host"), r.PostFormValue("act")
			if err := d.Change(host, what); err != nil {
				return err
			}
			told := map[string]string{"upgrade": "upgraded. A retest proves it", "stop": "stopped", "start": "started"}[what]
			r.Session.Tell(r.Context(), host+" is "+told+".", 0)
			return r.Go("/demo#hosts")
		}},
		{Method: http.MethodPost, Path: "/demo/publish", Act: act, Serve: func(r *face.Request) error {
			cve, err := d.Publish()
			if err != nil {
				return err
			}
			r.Session.Tell(r.Context(), cve+" is on the list of exploited vulnerabilities. The feed reads it every two seconds.", 0)
			return r.Go("/demo")
		}},
		{Method: http.MethodPost, Path: "/demo/be", Act: act, Serve: func(r *face.Request) error {
			in, err := d.Be(r.Context(), r.PostFormValue("user"), r.RemoteAddr)
			if err != nil {
				return err
			}
			return p.in(r, in, "/")
		}},
	}
}
