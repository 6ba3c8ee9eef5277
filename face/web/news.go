package web

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// news is one or more events of a kind, in a sentence.
type news struct {
	At      time.Time
	Who     string
	Text    string
	Subject string // what it was done to, "" when it is many things
	Href    string
	Where   string // "at alpha", "at 7 constituents"
	Class   string // "hot", "ok"
}

// doing is what somebody did by the verb of the event, and to how it calls that:
// "lead approved publication P-1".
var doing = map[string][2]string{"import": {"took in", "document"}, "case open": {"opened", "case"}, "case close": {"closed", "case"}, "case reopen": {"reopened", "case"}, "case set": {"changed", "case"},
	"case undo": {"undid the change of", "case"}, "case decide": {"asked for", "decision"}, "case approve": {"approved", "decision"}, "case revoke": {"revoked", "decision"},
	"publication draft": {"drafted", "publication"}, "publication approve": {"approved", "publication"}, "publication publish": {"sent", "publication"}, "publication withdraw": {"withdrew", "publication"},
	"publication bounce": {"noted a bounce of", "publication"}, "publication redeliver": {"sent again", "publication"}, "acknowledge": {"acknowledged", "publication"},
	"survey run": {"began", "survey"}, "survey stop": {"stopped", "survey"}, "survey resume": {"lifted the stop of", "survey"}, "survey schedule set": {"scheduled", "survey"}, "finding retest": {"retested", "finding"},
	"constituent apply": {"applied the", "constituency"}, "sign in failed": {"failed to sign in", ""}, "sign in locked": {"was locked out", ""}, "user add": {"added", "user"}, "user disable": {"disabled", "user"},
	"user link": {"made a sign-in link for", "user"}, "token add": {"made", "token"}, "token revoke": {"revoked", "token"}, "feed enable": {"enabled", "feed"}, "feed disable": {"disabled", "feed"}, "purge": {"purged", "document"}}

// quiet are acts that tell nobody anything about today.
var quiet = []string{"sign in", "feed apply", "migrate"}

// newsOf are the newest events, those alike in one minute as one.
func newsOf(es []vedette.Event, most int) (out []news) {
	type like struct{ verb, who, minute string }
	var last like
	var alike []vedette.Event
	flush := func() {
		if len(alike) > 0 {
			out = append(out, newsFrom(alike))
		}
		alike = nil
	}
	for _, e := range es {
		if slices.Contains(quiet, e.Verb) {
			continue
		}
		this := like{e.Verb, e.Principal, e.At.UTC().Format("2006-01-02 15:04")}
		if len(alike) > 0 && this != last {
			if flush(); len(out) == most {
				return out
			}
		}
		last, alike = this, append(alike, e)
	}
	flush()
	return out
}

// newsFrom makes a sentence of events that are alike.
func newsFrom(es []vedette.Event) news {
	e := es[0]
	d, known := doing[e.Verb]
	if !known {
		d[0] = e.Verb
	}
	x := news{At: e.At, Who: e.Principal, Text: d[0], Subject: e.Subject}
	n := 0
	var whom []string
	for _, e := range es {
		var many int
		if _, err := fmt.Sscanf(e.Subject, "%d ", &many); err != nil { // "7 cases"
			many = 1
		}
		n += many
		if e.Constituent != "" {
			whom = append(whom, e.Constituent)
		}
	}
	switch {
	case n > 1:
		x.Text, x.Subject = strings.TrimSpace(fmt.Sprintf("%s %s", d[0], count(n, cmp.Or(d[1], "time")))), ""
	case d[1] == e.Subject:
		x.Text, x.Subject = d[0]+" "+d[1], ""
	default:
		x.Text, x.Href = strings.TrimSpace(d[0]+" "+d[1]), subjectPath(e.Subject)
	}
	if len(whom) > 0 && e.Subject != whom[0] {
		x.Where = "at " + few(whom, "constituent")
	}
	switch e.Verb {
	case "case reopen", "survey stop", "publication withdraw", "publication bounce", "sign in locked":
		x.Class = "hot"
	case "acknowledge", "case close":
		x.Class = "ok"
	}
	return x
}

// subjectPath is the page of what an event was done to, "" when it has none.
func subjectPath(id string) string {
	switch {
	case strings.HasPrefix(id, "C-"):
		return casePath(id)
	case strings.HasPrefix(id, "P-"):
		return publicationPath(id)
	case strings.HasPrefix(id, "S-"):
		return "/surveys/" + url.PathEscape(id)
	case strings.HasPrefix(id, "CVE-"):
		return cvePath(id)
	}
	return ""
}
