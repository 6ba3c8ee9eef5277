package api

import (
	"fmt"
	"strings"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/store"
)

type cveQuery struct {
	Paging
	Exploited bool `query:"exploited" doc:"only those that somebody says are exploited"`
	Touching  bool `query:"touching" doc:"only those that are exploited and have an open case"`
}

func (a *API) listCVEs(r *face.Request, in *cveQuery) (page[store.VulnerabilityRow], error) {
	return listed(a, r, in.Paging, func(after string, limit int) ([]store.VulnerabilityRow, string, error) {
		f := store.VulnerabilityFilter{Exploited: in.Exploited, Touching: in.Touching, Limit: limit}
		if after != "" {
			if _, err := fmt.Sscanf(after, "%t.%d.%d.%d", &f.After.Rest, &f.After.Touching, &f.After.Since, &f.After.K); err != nil {
				return nil, "", err
			}
		}
		rows, at, more, err := r.Desk.Rows().Vulnerabilities(r.Context(), f)
		if err != nil || !more {
			return rows, "", err
		}
		return rows, fmt.Sprintf("%t.%d.%d.%d", at.Rest, at.Touching, at.Since, at.K), nil
	})
}

func (a *API) getCVE(r *face.Request, in *ByID) (*vedette.Join, error) {
	return r.Desk.Join(r.Context(), strings.TrimSpace(in.ID))
}

type searchQuery struct {
	Words string `query:"q" required:"true" minLength:"1" maxLength:"1000" doc:"words, or an exact id or alias"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"how many, at most; the list does not go on"`
}

func (a *API) search(r *face.Request, in *searchQuery) (page[store.ObjectRow], error) {
	rows, err := r.Desk.Rows().Search(r.Context(), in.Words, in.Limit)
	return page[store.ObjectRow]{Items: rows}, err
}

func (a *API) listSources(r *face.Request, in *Paging) (page[store.SourceRow], error) {
	rows, err := r.Desk.Rows().Sources(r.Context())
	if err != nil {
		return page[store.SourceRow]{}, err
	}
	return listed(a, r, *in, whole(rows, func(s store.SourceRow) string { return s.Name }))
}
