package api

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
)

type publicationQuery struct {
	Paging
	State string `query:"state" enum:"draft,approved,withdrawn"`
}

func (a *API) listPublications(r *face.Request, in *publicationQuery) (page[vedette.Publication], error) {
	ps, err := r.Desk.Rows().Publications(r.Context(), vedette.PublicationState(in.State), allOf)
	if err != nil {
		return page[vedette.Publication]{}, err
	}
	return listed(a, r, in.Paging, whole(ps, func(p vedette.Publication) string { return p.ID }))
}

// publicationInFull is a publication with the editions that the reader sees.
type publicationInFull struct {
	vedette.Publication
	Editions []vedette.Edition `json:"editions"`
}

func publicationOf(r *face.Request, id string) (publicationInFull, error) {
	var out publicationInFull
	var err error
	if out.Publication, err = r.Desk.Rows().Publication(r.Context(), id); err != nil {
		return out, err
	}
	out.Editions, err = r.Desk.Rows().Editions(r.Context(), out.ID)
	return out, err
}

func (a *API) getPublication(r *face.Request, in *ByID) (publicationInFull, error) {
	return publicationOf(r, in.ID)
}

type editionIn struct {
	ByID
	Constituent string `path:"constituent" maxLength:"100"`
	Version     int    `query:"version" minimum:"0" doc:"the last when absent"`
	Form        string `query:"form" enum:"md,html,json,pdf" default:"md"`
}

// kinds are the media types of an edition.
var kinds = map[string]string{"md": "text/markdown; charset=utf-8", "html": "text/html; charset=utf-8", "json": "application/json", "pdf": "application/pdf"}

func (a *API) getEdition(r *face.Request, in *editionIn) ([]byte, error) {
	var b bytes.Buffer
	if err := r.Desk.Edition(r.Context(), &b, in.ID, in.Constituent, in.Version, in.Form); err != nil {
		return nil, err
	}
	h := r.ResponseWriter.Header()
	h.Set("Content-Type", kinds[in.Form])
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox") // a document, and no page of ours
	return b.Bytes(), nil
}

type draftIn struct {
	Body struct {
		CVE          string   `json:"cve" minLength:"1" maxLength:"100"`
		Constituents []string `json:"constituents,omitempty" maxItems:"1000" doc:"all with an open case when absent"`
	}
}

func (a *API) draftPublication(r *face.Request, in *draftIn) (publicationInFull, error) {
	p, err := r.Desk.Draft(r.Context(), in.Body.CVE, in.Body.Constituents)
	if err != nil {
		return publicationInFull{}, err
	}
	at(r, "publications/"+p.ID)
	return publicationOf(r, p.ID)
}

// faults are what a check found.
type faults struct {
	Items []vedette.Fault `json:"items"`
	Stops bool            `json:"stops" doc:"one of them stops the approval"`
}

func (a *API) lintPublication(r *face.Request, in *ByID) (faults, error) {
	fs, err := r.Desk.Lint(r.Context(), in.ID)
	out := faults{Items: fs}
	for _, f := range fs {
		out.Stops = out.Stops || f.Stop
	}
	return out, err
}

// ChangePublicationIn names a publication, as it was read.
type ChangePublicationIn struct {
	ByID
	IfMatch
}

// samePublication is that a publication is what the caller read.
func samePublication(r *face.Request, in *ChangePublicationIn) error {
	if in.Tag == "" {
		return nil
	}
	p, err := publicationOf(r, in.ID)
	if err != nil {
		return err
	}
	return unchanged(r, p)
}

func (a *API) approvePublication(r *face.Request, in *ChangePublicationIn) (publicationInFull, error) {
	if err := samePublication(r, in); err != nil {
		return publicationInFull{}, err
	}
	p, err := r.Desk.Approve(r.Context(), in.ID)
	if err != nil {
		return publicationInFull{}, err
	}
	return publicationOf(r, p.ID)
}

// sent is what publishing put into the outbox.
type sent struct {
	Owed   int      `json:"owed" doc:"messages that were put into the outbox now"`
	Nobody []string `json:"nobody" doc:"constituents with an edition and no contact to tell"`
}

func (a *API) publishPublication(r *face.Request, in *ChangePublicationIn) (sent, error) {
	if err := samePublication(r, in); err != nil {
		return sent{}, err
	}
	out, err := r.Desk.Publish(r.Context(), in.ID)
	if err == nil {
		at(r, "publications/"+escape(in.ID)+"/receipts")
	}
	return sent{out.Owed, out.Nobody}, err
}

type withdrawIn struct {
	ChangePublicationIn
	Body why
}

func (a *API) withdrawPublication(r *face.Request, in *withdrawIn) (publicationInFull, error) {
	if err := samePublication(r, &in.ChangePublicationIn); err != nil {
		return publicationInFull{}, err
	}
	if err := r.Desk.Withdraw(r.Context(), in.ID, in.Body.Reason); err != nil {
		return publicationInFull{}, err
	}
	return publicationOf(r, in.ID)
}

type receiptsIn struct {
	ByID
	Paging
}

func (a *API) listReceipts(r *face.Request, in *receiptsIn) (page[vedette.Delivery], error) {
	ds, err := r.Desk.Rows().Deliveries(r.Context(), in.ID)
	if err != nil {
		return page[vedette.Delivery]{}, err
	}
	return listed(a, r, in.Paging, whole(ds, deliveryKey))
}

// deliveryKey tells the deliveries of a publication apart.
func deliveryKey(d vedette.Delivery) string {
	return strings.Join([]string{d.Constituent, strconv.Itoa(d.Version), d.Contact, d.Reason}, "\x00")
}
