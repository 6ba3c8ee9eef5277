package api

import (
	"net/url"

	"github.com/vedette-hub/vedette"
	"github.com/vedette-hub/vedette/face"
	"github.com/vedette-hub/vedette/store"
)

func (a *API) listConstituents(r *face.Request, in *Paging) (page[vedette.Constituent], error) {
	cs, err := r.Desk.Rows().Constituents(r.Context())
	if err != nil {
		return page[vedette.Constituent]{}, err
	}
	return listed(a, r, *in, whole(cs, func(c vedette.Constituent) string { return c.ID }))
}

func (a *API) getConstituent(r *face.Request, in *ByID) (vedette.Constituent, error) {
	return r.Desk.Rows().Constituent(r.Context(), in.ID)
}

type assetQuery struct {
	Paging
	Constituent string `query:"constituent" doc:"that owns them"`
	Kind        string `query:"kind" enum:"name,address"`
	Text        string `query:"q" doc:"somewhere in the name or the address"`
	Nobodys     bool   `query:"nobodys" doc:"only those without an owner"`
}

func (a *API) listAssets(r *face.Request, in *assetQuery) (page[store.AssetRow], error) {
	return listed(a, r, in.Paging, func(after string, limit int) ([]store.AssetRow, string, error) {
		rows, err := r.Desk.Rows().Assets(r.Context(), store.AssetFilter{Constituent: in.Constituent, Kind: vedette.AssetKind(in.Kind), Text: in.Text, Nobodys: in.Nobodys, After: after, Limit: limit})
		if err != nil || len(rows) < limit || rows[limit-1].Shared {
			return rows, "", err
		}
		return rows, rows[limit-1].ID, nil
	})
}

func (a *API) getAsset(r *face.Request, in *ByID) (store.AssetView, error) {
	return r.Desk.Rows().Asset(r.Context(), in.ID)
}

type findingQuery struct {
	Paging
	Constituent string `query:"constituent"`
	Weakness    string `query:"weakness" doc:"CVE, CWE or check:NAME"`
	Asset       string `query:"asset"`
	Verdict     string `query:"verdict" enum:"confirmed,likely,possible,declared"`
	Presence    string `query:"presence" enum:"present,not observed,fixed,undetermined"`
	Exploited   bool   `query:"exploited"`
}

func (a *API) listFindings(r *face.Request, in *findingQuery) (page[vedette.Finding], error) {
	return listed(a, r, in.Paging, func(after string, limit int) ([]vedette.Finding, string, error) {
		f := store.FindingFilter{Constituent: in.Constituent, Weakness: in.Weakness, Asset: in.Asset, Verdict: vedette.Verdict(in.Verdict), Presence: vedette.Presence(in.Presence), Exploited: in.Exploited, Limit: limit}
		if after != "" {
			k, err := vedette.ParseFindingID(after)
			if err != nil {
				return nil, "", err
			}
			f.After = k
		}
		rows, next, err := r.Desk.Rows().Findings(r.Context(), f)
		if err != nil || next == 0 {
			return rows, "", err
		}
		return rows, vedette.FindingID(next), nil
	})
}

func (a *API) getFinding(r *face.Request, in *ByID) (vedette.Finding, error) {
	return r.Desk.Rows().Finding(r.Context(), in.ID)
}

func (a *API) retestFinding(r *face.Request, in *ByID) (page[vedette.Survey], error) {
	ss, err := r.Desk.Retest(r.Context(), []string{in.ID})
	if err == nil && len(ss) == 1 {
		at(r, "surveys/"+ss[0].ID)
	}
	return page[vedette.Survey]{Items: ss}, err
}

func escape(id string) string { return url.PathEscape(id) }
