package web

import (
	"net/http"

	"github.com/vedette-hub/vedette/face"
)

// receipt shows the message of a link. It changes nothing: programs that look
// into mails follow links.
func (p *Pages) receipt(r *face.Request) error {
	rc, err := p.hub.Receipt(r.Context(), r.PathValue("token"))
	if err != nil {
		return err
	}
	return write(r, http.StatusOK, plainPage(rc.Number, p.hub.Lab()), receiptPage(rc))
}

// acknowledge keeps that a person pressed the button.
func (p *Pages) acknowledge(r *face.Request) error {
	rc, err := p.hub.Acknowledge(r.Context(), r.PathValue("token"))
	if err != nil {
		return err
	}
	return write(r, http.StatusOK, plainPage(rc.Number, p.hub.Lab()), receiptPage(rc))
}

// health says that the process runs.
func health(r *face.Request) error {
	_, err := r.ResponseWriter.Write([]byte("ok\n"))
	return err
}

// ready says that the store answers too.
func (p *Pages) ready(r *face.Request) error {
	if err := p.hub.Ready(r.Context()); err != nil {
		return err
	}
	return health(r)
}

// violation keeps what a browser says of our content security policy: a report
// is an injection that escaping missed, or a page of ours that breaks its own rule.
func (p *Pages) violation(r *face.Request) error {
	b := make([]byte, 4096)
	n, _ := r.Body.Read(b)
	p.log.Warn("content security policy", "report", string(b[:n]))
	r.WriteHeader(http.StatusNoContent)
	return nil
}
