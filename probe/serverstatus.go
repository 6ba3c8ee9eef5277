package probe

import (
	"bytes"
	"context"
	"net/http"
	"strings"

	"github.com/vedette-hub/vedette"
)

// HTTPServerStatus asks for the status page of Apache httpd (mod_status, its
// machine-readable form): it shows who asks for what to everybody.
var HTTPServerStatus = Check{
	Name:  "http-server-status",
	About: "the status page of Apache httpd that everybody can read",
	Spec:  "Apache httpd 2.4, mod_status",
	Class: vedette.Active,
	For:   isWeb,
	Run:   runServerStatus,
}

func isServerStatus(p *page) bool {
	return p.status == http.StatusOK && bytes.Contains(p.body, []byte("\nScoreboard: ")) && bytes.Contains(p.body, []byte("\nBusyWorkers: "))
}

func runServerStatus(ctx context.Context, env *Env, s Subject, emit Emit) error {
	w := newSite(env, s)
	defer w.close()
	p, err := w.proof(ctx, "/server-status?auto", isServerStatus, controlPath+"?auto")
	if err != nil || p == nil {
		return err
	}
	f := vedette.Fact{Service: "http", TLS: s.TLS, Reports: []vedette.Report{{
		Weakness: "check:apache-server-status", Verdict: vedette.Confirmed, Note: "/server-status is served to everybody"}}}
	for line := range strings.Lines(string(p.body)) {
		if version, ok := strings.CutPrefix(line, "ServerVersion: "); ok {
			f.Software = env.Identify.Match("http_header.server", strings.TrimSpace(version))
		}
	}
	emit(vedette.Observation{Path: "/server-status", Fact: f})
	return nil
}
