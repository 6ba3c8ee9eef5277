package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/config"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/face/api"
	"github.com/vedette-hub/vedette/face/web"
	"github.com/vedette-hub/vedette/job"
	"github.com/vedette-hub/vedette/probe"
	"github.com/vedette-hub/vedette/safe"
	"github.com/vedette-hub/vedette/store"
)

// counter is the hub as the faces meet it. It implements face.Hub.
type counter struct {
	store *store.Store
	sys   *store.System
	line  *Line
	conf  config.Config
	jobs  *job.Jobs
	lab   bool
}

var _ face.Hub = (*counter)(nil)

// Desk implements face.Hub.
func (c *counter) Desk(ctx context.Context, p vedette.Principal) (face.Desk, error) {
	sc, err := c.store.As(ctx, p)
	if err != nil {
		return nil, err
	}
	return &desk{c.store, sc, c.line, c.conf, c.jobs}, nil
}

// Token implements face.Hub.
func (c *counter) Token(ctx context.Context, secret string) (vedette.Principal, error) {
	return c.store.Authenticate(ctx, secret)
}

// Lab implements face.Hub.
func (c *counter) Lab() bool { return c.lab }

// About implements face.Hub.
func (c *counter) About() face.About {
	s := c.conf.Survey
	pace := safe.Pace{Connects: s.Connects, Requests: s.Requests, PerNetwork: s.PerNetwork, Constituent: s.PerConstituent}.Within(c.lab)
	a := face.About{Team: c.conf.Team.Name, Contact: c.conf.Team.Contact, Scanner: s.Contact, Addresses: s.Addresses, Agent: agent(s.Contact), Base: c.conf.Mail.Base,
		Pace: fmt.Sprintf("at most %g connections and %g web requests a second to one address, %g connections a second to one network (/24 or /48), %g to all of one organisation", pace.Connects, pace.Requests, pace.PerNetwork, pace.Constituent)}
	for _, k := range probe.All {
		a.Checks = append(a.Checks, face.Check{Name: k.Name, What: k.About, Class: k.Class})
	}
	return a
}

// Ready implements face.Hub.
func (c *counter) Ready(ctx context.Context) error {
	_, _, err := c.sys.Lab(ctx)
	return err
}

// Now implements face.Hub.
func (c *counter) Now() time.Time { return c.store.Now() }

// Receipt implements face.Hub.
func (c *counter) Receipt(ctx context.Context, link string) (face.Receipt, error) {
	r, err := c.sys.Receipt(ctx, link)
	return receiptOf(r), err
}

// Acknowledge implements face.Hub.
func (c *counter) Acknowledge(ctx context.Context, link string) (face.Receipt, error) {
	r, err := c.sys.Acknowledge(ctx, link)
	return receiptOf(r), err
}

func receiptOf(r store.Receipt) face.Receipt {
	return face.Receipt{Number: r.Number, Level: r.Level, Version: r.Version, Acked: r.Acked}
}

// counter of a running hub.
func (h *hub) counter(conf config.Config) *counter {
	line := NewLine(h.store)
	line.alerts = func() (config.Alerts, error) { return conf.Alerts, nil }
	return &counter{h.store, h.sys, line, conf, h.jobs, h.lab}
}

// faces are all routes of the hub with what serves them; a demo adds its own.
func (h *hub) faces(conf config.Config, demo ...web.Demo) (http.Handler, error) {
	s, err := h.server(h.counter(conf), conf, demo...)
	if err != nil {
		return nil, err
	}
	return s.Handler()
}

// server is the table of all routes with what answers them.
func (h *hub) server(c face.Hub, conf config.Config, demo ...web.Demo) (*face.Server, error) {
	pages := web.New(c, h.store, h.log)
	sessions := face.NewSessions(h.store.Sessions(), h.store, strings.HasPrefix(conf.Mail.Base, "https://"), h.store.Now)
	rest, err := h.rest(c, conf)
	if err != nil {
		return nil, err
	}
	routes := append(pages.Routes(), rest.Routes()...)
	for _, d := range demo {
		routes = append(routes, pages.DemoRoutes(d)...)
	}
	return &face.Server{Hub: c, Sessions: sessions, Routes: routes, Log: h.log, Fail: pages.Fail}, nil
}

// rest is the REST interface of the hub.
func (h *hub) rest(c face.Hub, conf config.Config) (*api.API, error) {
	key, err := h.store.CursorKey(context.Background())
	if err != nil {
		return nil, err
	}
	version, _ := build()
	return api.New(c, api.Config{Version: version, Answers: h.store.Answers(), CursorKey: key, Calls: conf.API.Calls, Closing: h.quit})
}

// listen serves the faces until the context ends.
func (h *hub) listen(ctx context.Context, addr string, faces http.Handler) (net.Addr, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, vedette.Conflict("cannot listen on %s: %w", addr, err)
	}
	h.answer(ctx, ln, faces)
	return ln.Addr(), nil
}

// answer serves the faces on a listener until the context ends.
func (h *hub) answer(ctx context.Context, ln net.Listener, faces http.Handler) {
	s := &http.Server{Handler: faces, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
	go func() {
		if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			h.log.Error("pages", "error", err)
		}
	}()
	context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := s.Shutdown(end); err != nil {
			s.Close()
		}
	})
}
