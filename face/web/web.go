// Package web has the pages. So far it is the one behind the link of a mail: it
// shows a number, a level and a button, and never what an edition says.
package web

import (
	"context"
	"embed"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/vedette-hub/vedette"
)

// Receipt is what the link of a mail shows.
type Receipt struct {
	Number, Level string
	Version       int
	Acked         time.Time // zero until somebody acknowledged
}

// Receipts finds and acknowledges the messages of links.
type Receipts interface {
	Receipt(ctx context.Context, token string) (Receipt, error)
	Acknowledge(ctx context.Context, token string) (Receipt, error)
}

//go:embed *.tmpl vedette.css
var files embed.FS

// Handler serves the pages. Every answer carries the same headers; a form of
// another site is refused.
func Handler(rs Receipts, log *slog.Logger) (http.Handler, error) {
	t, err := template.New("").Funcs(template.FuncMap{"time": func(t time.Time) string { return t.UTC().Format("Mon 2 Jan 2006, 15:04Z") }}).ParseFS(files, "*.tmpl")
	if err != nil {
		return nil, err
	}
	p := pages{rs, log, t}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /a/{token}", p.link)
	mux.HandleFunc("POST /a/{token}", p.acknowledge)
	mux.HandleFunc("GET /vedette.css", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "vedette.css") })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	return headers(http.NewCrossOriginProtection().Handler(mux)), nil
}

// headers: nothing runs, nothing is loaded from elsewhere, nothing is kept or passed on.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		next.ServeHTTP(w, r)
	})
}

type pages struct {
	rs  Receipts
	log *slog.Logger
	t   *template.Template
}

// link shows the message of a link. It changes nothing: programs that look into
// mails follow links.
func (p pages) link(w http.ResponseWriter, r *http.Request) {
	rc, err := p.rs.Receipt(r.Context(), r.PathValue("token"))
	p.show(w, rc, err)
}

// acknowledge keeps that a person pressed the button.
func (p pages) acknowledge(w http.ResponseWriter, r *http.Request) {
	rc, err := p.rs.Acknowledge(r.Context(), r.PathValue("token"))
	p.show(w, rc, err)
}

func (p pages) show(w http.ResponseWriter, rc Receipt, err error) {
	name, code := "link.html.tmpl", http.StatusOK
	switch {
	case errors.Is(err, vedette.ErrNotFound):
		name, code = "gone.html.tmpl", http.StatusNotFound
	case err != nil:
		p.log.Error("link", "error", err)
		name, code = "broken.html.tmpl", http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	if err := p.t.ExecuteTemplate(w, name, rc); err != nil {
		p.log.Error("page", "name", name, "error", err)
	}
}
