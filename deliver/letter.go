package deliver

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/vedette-hub/vedette"
)

// Letter is what a message says of an edition. From TLP:AMBER up that is number,
// level and link, and of a withdrawal number and link: a mail in clear is read by
// every machine on its way.
type Letter struct {
	Reason   string
	Number   string
	Version  int
	Level    string
	Marking  vedette.Marking
	Deadline time.Time // told below TLP:AMBER only; zero when no clock runs
	Made     time.Time // when the message came to be owed
	Link     string    // of this message, below the configured base address
	From     string    // whom answers reach
}

// open says whether the marking lets more than number, level and link into clear text.
func (l Letter) open() bool {
	return l.Marking.TLP == vedette.TLPClear || l.Marking.TLP == vedette.TLPGreen
}

// kinds are the subject, the first lines and the event of each reason.
var kinds = map[string]struct{ subject, text, event string }{
	vedette.ReasonAlert:      {"Threat alert", "An alert for your organisation waits at the hub.", "alert.published"},
	vedette.ReasonCorrection: {"Corrected threat alert", "A newer version of an alert that you have waits at the hub. It replaces\nwhat you have.", "alert.corrected"},
	vedette.ReasonWithdrawal: {"Withdrawn", "This publication is withdrawn. Please do not act on it any more.", "alert.withdrawn"},
	"escalation":             {"For management: threat alert", "Those of your organisation who act on alerts have this one. It needs the\nattention of its management.", "alert.escalated"},
}

func (l Letter) kind() (subject, text, event string) {
	k, ok := kinds[l.Reason]
	if !ok {
		k.subject, k.text, k.event = "Reminder: threat alert", "A reminder of an alert for your organisation that waits at the hub.", "alert.reminder"
	}
	return k.subject, k.text, k.event
}

// Subject is the subject of the mail.
func (l Letter) Subject() string {
	subject, _, _ := l.kind()
	if l.Reason == vedette.ReasonWithdrawal {
		return fmt.Sprintf("[%s] %s", l.Number, subject)
	}
	return fmt.Sprintf("[%s] %s, level %s", l.Number, subject, l.Level)
}

// Text is the mail in plain text.
func (l Letter) Text() string { return l.text("For its marking, its content is not in this mail.") }

// Above is what stands above the edition in a mail that is encrypted.
func (l Letter) Above() string {
	return l.text("Its content is below.") + "\n" + strings.Repeat("-", 72) + "\n\n"
}

func (l Letter) text(content string) string {
	_, text, _ := l.kind()
	var b strings.Builder
	if l.Reason == vedette.ReasonWithdrawal {
		fmt.Fprintf(&b, "%s\n\n%s\n\n%s\n", l.Number, text, l.Link)
		return l.signed(&b)
	}
	fmt.Fprintf(&b, "Threat alert %s, version %d\nLevel: %s\n", l.Number, l.Version, l.Level)
	if l.open() {
		fmt.Fprintf(&b, "Marking: %s\n", l.Marking)
		if !l.Deadline.IsZero() {
			fmt.Fprintf(&b, "Act until: %s\n", l.Deadline.UTC().Format("Mon 2 Jan 2006, 15:04Z"))
		}
	}
	fmt.Fprintf(&b, "\n%s\n%s\n\nAcknowledge, and say so to those who have to act:\n%s\n", text, content, l.Link)
	return l.signed(&b)
}

func (l Letter) signed(b *strings.Builder) string {
	fmt.Fprintf(b, "\nThis mail was written by a program. Answers reach the team:\n%s\n", l.From)
	return b.String()
}

// Event is the same for a program: the body of a webhook (Standard Webhooks,
// "payload structure"), below 1 kB. It is the same for every try.
func (l Letter) Event() []byte {
	_, _, event := l.kind()
	data := map[string]any{"number": l.Number, "link": l.Link}
	if l.Reason != vedette.ReasonWithdrawal {
		data["level"], data["version"] = l.Level, l.Version
		if l.open() {
			data["marking"] = l.Marking.String()
			if !l.Deadline.IsZero() {
				data["deadline"] = l.Deadline.UTC().Format(time.RFC3339)
			}
		}
	}
	body, err := json.Marshal(map[string]any{"type": event, "timestamp": l.Made.UTC().Format(time.RFC3339), "data": data})
	if err != nil {
		panic(err) // texts and numbers can be written
	}
	return body
}
