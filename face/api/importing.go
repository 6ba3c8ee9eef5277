package api

import (
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
)

const (
	importMost = 1 << 30          // bytes of one file
	importTime = 15 * time.Minute // for it to come, and to be taken in
)

type importQuery struct {
	Name        string `query:"name" maxLength:"255" default:"upload" doc:"of the file: what it is told by"`
	Constituent string `query:"constituent" doc:"whom the file speaks of"`
	Source      string `query:"source" maxLength:"100" doc:"who says it; the format's own source when absent"`
	Format      string `query:"as" doc:"take it as this format instead of recognising it"`
	Marking     string `query:"marking" doc:"TLP; the source's default when absent"`
	Audience    string `query:"audience" doc:"who may read it, as org:ID|person:NAME"`
	AllowShrink bool   `query:"allow_shrink" doc:"let a full list leave out more than a tenth of what it had"`
}

// taken is what became of each document of a file.
type taken struct {
	Items []face.Imported `json:"items" doc:"the file, or each member of an archive"`
}

func (a *API) importing() operation {
	o := op("import", post, "/import", "import", "Take a file in: any format of import, .gz, .tar.gz and .zip too; the same bytes again change nothing", a.importFile)
	o.maxBody = importMost
	o.doc.RequestBody = &huma.RequestBody{Required: true, Description: "the file as it is", Content: map[string]*huma.MediaType{"application/octet-stream": {}}}
	return o
}

func (a *API) importFile(r *face.Request, in *importQuery) (taken, error) {
	until := time.Now().Add(importTime) // of the connection, not of the hub
	c := http.NewResponseController(r.ResponseWriter)
	if err := errors.Join(c.SetReadDeadline(until), c.SetWriteDeadline(until)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return taken{}, err
	}
	u := face.Upload{Name: in.Name, Constituent: in.Constituent, Source: in.Source, Format: in.Format, Shrink: in.AllowShrink}
	var err error
	if in.Marking != "" {
		if u.Marking.TLP, err = vedette.ParseTLP(in.Marking); err != nil {
			return taken{}, badParameter("marking", err.Error())
		}
	}
	if u.Marking.Audience, err = vedette.ParseAudience(in.Audience); err != nil {
		return taken{}, badParameter("audience", err.Error())
	}
	if u.Marking.TLP == vedette.TLPNone && u.Marking.Audience != "" {
		return taken{}, badParameter("audience", "it needs a marking")
	}
	items, err := r.Desk.Import(r.Context(), u, r.Body)
	return taken{items}, err
}
