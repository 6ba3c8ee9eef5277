package face

import (
	"encoding/json"
	"net/http"
	"net/url"
)

// problem is RFC 9457 problem details.
type problem struct {
	Type     string `json:"type"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Instance string `json:"instance,omitempty"`
}

// Problem answers with problem details (RFC 9457 §3).
func Problem(r *Request, status int, detail string) {
	r.ResponseWriter.Header().Set("Content-Type", "application/problem+json")
	r.WriteHeader(status)
	enc := json.NewEncoder(r.ResponseWriter)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Instance: "urn:vedette:request:" + r.ID})
}

func escapeQuery(s string) string { return url.QueryEscape(s) }
