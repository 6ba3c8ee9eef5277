package web

import (
	"fmt"
	"net/url"
	"time"

	"github.com/vedette-hub/vedette"
)

func publicationPath(id string) string { return "/publications/" + url.PathEscape(id) }

// editionPage is a publication with the edition of a constituent beside.
func editionPage(id, constituent string) string {
	return publicationPath(id) + "?for=" + url.QueryEscape(constituent)
}

// The stages of an edition, as words and in order.
const (
	stageDraft     = "draft"
	stageApproved  = "approved, not sent"
	stageQueued    = "waiting to be sent"
	stageFailed    = "not delivered"
	stageSent      = "sent"
	stageAcked     = "acknowledged"
	stageWithdrawn = "withdrawn"
)

var stages = []string{stageDraft, stageApproved, stageQueued, stageFailed, stageSent, stageAcked, stageWithdrawn}

// progress is how far the edition of a constituent is.
type progress struct {
	Stage   string // "" without an edition
	Class   string
	Version int
	At      time.Time
	Note    string // "1 of 2 failed"
}

// progressOf is how far the newest edition of a constituent is.
func progressOf(constituent string, es []vedette.Edition, ds []vedette.Delivery) (p progress) {
	for _, e := range es { // by version
		if e.Constituent != constituent || e.Version < p.Version {
			continue
		}
		p = progress{Version: e.Version, At: e.Drafted}
		switch e.State {
		case vedette.PublicationDraft:
			p.Stage, p.Class = stageDraft, "s0 st-new"
		case vedette.PublicationWithdrawn:
			p.Stage, p.Class = stageWithdrawn, "s7"
		default:
			p.Stage, p.Class = stageApproved, "s4 st-work"
		}
	}
	if p.Stage != stageApproved {
		return p
	}
	n := map[vedette.DeliveryState]int{}
	var sent, acked time.Time
	for _, d := range ds {
		if d.Constituent != constituent || d.Version != p.Version || d.Reason != vedette.ReasonAlert && d.Reason != vedette.ReasonCorrection {
			continue
		}
		n[d.State]++
		if sent.IsZero() || !d.Sent.IsZero() && d.Sent.Before(sent) {
			sent = d.Sent
		}
		if !d.Acked.IsZero() && (acked.IsZero() || d.Acked.Before(acked)) {
			acked = d.Acked
		}
	}
	if bad := n[vedette.DeliveryFailed]; bad > 0 {
		p.Note = fmt.Sprintf("%d of %d failed", bad, bad+n[vedette.DeliverySent]+n[vedette.DeliveryAcknowledged]+n[vedette.DeliveryQueued])
	}
	switch {
	case n[vedette.DeliveryAcknowledged] > 0:
		p.Stage, p.Class, p.At = stageAcked, "s5 st-done", acked
	case n[vedette.DeliverySent] > 0:
		p.Stage, p.Class, p.At = stageSent, "sd st-done", sent
	case n[vedette.DeliveryQueued] > 0:
		p.Stage, p.Class = stageQueued, "s4 st-work"
	case n[vedette.DeliveryFailed] > 0:
		p.Stage, p.Class = stageFailed, "sx st-bad"
	}
	return p
}
