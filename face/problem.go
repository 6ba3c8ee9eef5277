package face

import (
	"encoding/json"
	"net/http"
	"net/url"
)

// Details are RFC 9457 problem details.
type Details struct {
	Type     string `json:"type" doc:"about:blank: the title says what the status means (RFC 9457 §4.2.1)"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty" doc:"what is wrong, in a sentence"`
	Instance string `json:"instance,omitempty" doc:"names the request in the log of the hub"`
	// Errors is an extension, as the example of RFC 9457 §3 has it.
	Errors []Field `json:"errors,omitempty" doc:"what is wrong with single fields of the request"`
}

// Field is one field of a request that is wrong: of its body by a pointer, or
// a parameter by its name.
type Field struct {
	Detail    string `json:"detail"`
	Pointer   string `json:"pointer,omitempty" doc:"JSON Pointer into the body, as a fragment (RFC 6901 §6)"`
	Parameter string `json:"parameter,omitempty" doc:"name of a parameter of the path, the query or the header"`
}

// Wrong is an error with a status of its own, which may say which fields of the
// request it is about.
type Wrong struct {
	Status int
	Detail string
	Fields []Field
}

// Error implements error.
func (w *Wrong) Error() string { return w.Detail }

// Problem answers with problem details (RFC 9457 §3).
func Problem(r *Request, status int, detail string, fields ...Field) {
	r.ResponseWriter.Header().Set("Content-Type", "application/problem+json")
	r.WriteHeader(status)
	enc := json.NewEncoder(r.ResponseWriter)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(Details{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Instance: "urn:vedette:request:" + r.ID, Errors: fields})
}

func escapeQuery(s string) string { return url.QueryEscape(s) }
