package store

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
)

// publicRows are the tables as rows of public ids: what has to be equal after
// a rebuild and on the other engine. Keys of our own and tables that only
// intern values are left out.
var publicRows = map[string]string{
	"sources":        "select name, body from sources",
	"documents":      "select hash, size, coalesce(purged_at, 0) from documents",
	"intakes":        "select s.name, d.hash, f.text, " + markColumns + ", coalesce(c.id, ''), i.at, i.time, i.address, i.principal, i.bound, i.records, i.done, coalesce(i.purged_at, 0) from intakes i join sources s on s.k = i.source_k join documents d on d.k = i.document_k join terms f on f.k = i.format_k join markings m on m.k = i.mark_k left join constituents c on c.k = i.constituent_k",
	"blocks":         "select s.name, d.hash, b.k & 1048575, b.records, b.body from blocks b join intakes i on i.k = b.k >> 20 join sources s on s.k = i.source_k join documents d on d.k = i.document_k",
	"objects":        "select o.id, t.text, coalesce(r.id, '') from objects o join terms t on t.k = o.type_k left join objects r on r.k = o.same_k",
	"claims":         "select o.id, s.name, " + markColumns + ", c.own, c.hash, c.from_t, coalesce(c.closed_t, 0) from claims c join objects o on o.k = c.object_k join sources s on s.k = c.source_k join markings m on m.k = c.mark_k",
	"heads":          "select o.id, " + markColumns + ", t.text, h.name, h.modified, h.fields from heads h join objects o on o.k = h.object_k join terms t on t.k = h.type_k join markings m on m.k = h.mark_k",
	"vals":           "select v.h, o.id, " + markColumns + " from vals v join objects o on o.k = v.object_k join markings m on m.k = v.mark_k",
	"edges":          "select a.id, t.text, b.id, s.name, " + markColumns + " from edges e join objects a on a.k = e.src join objects b on b.k = e.dst join terms t on t.k = e.rel join claims c on c.k = e.claim_k join sources s on s.k = c.source_k join markings m on m.k = e.mark_k",
	"affected":       "select o.id, a.n, n.scheme, n.vendor, n.product, " + markColumns + ", a.body from affected a join objects o on o.k = a.object_k join names n on n.k = a.name_k join markings m on m.k = a.mark_k",
	"exploited":      "select o.id, x.n, s.name, " + markColumns + ", x.since, coalesce(x.ended, 0), x.status from exploited x join objects o on o.k = x.object_k join claims c on c.k = x.claim_k join sources s on s.k = c.source_k join markings m on m.k = x.mark_k",
	"aliases":        "select a.scheme, a.vendor, a.product, b.scheme, b.vendor, b.product, l.state, l.reason, " + markColumns + " from aliases l join names a on a.k = l.from_k join names b on b.k = l.to_k join markings m on m.k = l.mark_k",
	"epss":           "select e.cve, e.day, e.score, e.percentile, t.text, " + markColumns + " from epss e join terms t on t.k = e.model_k join markings m on m.k = e.mark_k",
	"constituents":   "select id, body, coalesce(removed_at, 0) from constituents",
	"assets":         "select a.id, t.text, coalesce(c.id, ''), a.first_t from assets a join terms t on t.k = a.kind_k left join constituents c on c.k = a.owner_k",
	"asset_users":    "select c.id, a.id from asset_users u join constituents c on c.k = u.constituent_k join assets a on a.k = u.asset_k",
	"observations":   "select " + observationColumns + ", o.exposed, coalesce(o.closed_t, 0), f.body, " + markColumns + observationJoins + " join facts f on f.k = o.fact_k join markings m on m.k = o.mark_k",
	"coverage":       "select coalesce(c.id, ''), t.text, v.at, v.ports, " + markColumns + ", length(v.assets) from coverage v left join constituents c on c.k = v.constituent_k join terms t on t.k = v.check_k join markings m on m.k = v.mark_k",
	"pairs":          "select w.id, f.body, p.rank, p.body, " + markColumns + " from pairs p join objects w on w.k = p.object_k join facts f on f.k = p.fact_k join markings m on m.k = p.mark_k",
	"findings":       "select f.k, w.id, coalesce(c.id, ''), coalesce(a.id, ''), f.port, coalesce(p.text, ''), coalesce(l.text, ''), f.first_t from findings f join objects w on w.k = f.object_k left join constituents c on c.k = f.constituent_k left join assets a on a.k = f.asset_k left join terms p on p.k = f.proto_k left join terms l on l.k = f.place_k",
	"evidence":       "select e.finding_k, e.rank, r.body, " + observationColumns + ", " + markColumns + observationJoins + " join evidence e on e.observation_k = o.k join pairs r on r.k = e.pair_k join markings m on m.k = e.mark_k",
	"events":         "select e.k, e.at, e.principal, e.token, e.verb, e.subject, coalesce(c.id, ''), e.reason, e.detail, s.hash from events e left join constituents c on c.k = e.constituent_k left join seals s on s.event_k = e.k",
	"users":          "select name, roles, constituents, orgs, created_at, coalesce(disabled_at, 0) from users",
	"surveys":        "select s.id, coalesce(c.id, ''), " + markColumns + ", s.kind, s.state, s.principal, s.asked_at, coalesce(s.ended_at, 0), s.note from surveys s left join constituents c on c.k = s.constituent_k join markings m on m.k = s.mark_k",
	"parts":          "select s.id, p.n, p.state, p.body, coalesce(p.ended_at, 0), p.worker, p.note, p.looks, p.sent from parts p join surveys s on s.k = p.survey_k",
	"observed":       "select s.id, p.n, o.at, o.body from observed o join parts p on p.k = o.part_k join surveys s on s.k = p.survey_k",
	"stops":          "select coalesce(s.id, ''), t.at, t.principal, t.reason, coalesce(t.lifted_at, 0) from stops t left join surveys s on s.k = t.survey_k",
	"refusals":       "select s.id, r.target, r.rule, r.why, r.at, r.n from refusals r join surveys s on s.k = r.survey_k",
	"optouts":        "select what, until_day, reason, principal, at from optouts",
	"schedules":      "select coalesce(c.id, ''), h.class, h.every_us, h.hours, h.next_at, h.principal from schedules h left join constituents c on c.k = h.constituent_k",
	"confirmed":      "select o.id, c.at from confirmed c join objects o on o.k = c.object_k",
	"cases":          "select s.id, o.id, c.id, s.state, s.to_check, s.opened_at, s.changed_at, coalesce(s.closed_at, 0), s.reopened, s.assignee, s.note, s.principal from cases s join objects o on o.k = s.object_k join constituents c on c.k = s.constituent_k",
	"case_ids":       "select i.id, s.id from case_ids i join cases s on s.k = i.case_k",
	"case_changes":   "select h.event_k, s.id, h.was, h.now_is from case_changes h join cases s on s.k = h.case_k",
	"publications":   "select p.id, p.kind, coalesce(o.id, ''), p.number, p.version, p.state, p.author, p.drafted_at, p.approver, coalesce(p.approved_at, 0), p.reason from publications p left join objects o on o.k = p.object_k",
	"editions":       "select p.id, c.id, e.version, e.state, e.level, " + markColumns + ", e.drafted_at, coalesce(e.deadline_at, 0), e.says, e.body from editions e join publications p on p.k = e.publication_k join constituents c on c.k = e.constituent_k join markings m on m.k = e.mark_k",
	"deliveries":     "select p.id, c.id, e.version, d.contact, d.role, d.reason, d.token, d.state, d.due_at, d.tries, d.error, d.note, d.unsure, d.made_at, d.until_state, coalesce(d.sent_at, 0), coalesce(d.acked_at, 0) from deliveries d join editions e on e.k = d.edition_k join publications p on p.k = e.publication_k join constituents c on c.k = e.constituent_k",
	"reminders":      "select p.id, c.id, e.version, r.reason, r.percent, r.roles, r.until_state, coalesce(r.due_at, 0), r.state, r.note from reminders r join editions e on e.k = r.edition_k join publications p on p.k = e.publication_k join constituents c on c.k = e.constituent_k",
	"delivery_tries": "select d.token, a.n, a.at, a.answer from delivery_tries a join deliveries d on d.k = a.delivery_k",
	"hooks":          "select name, url, coalesce(gone_at, 0) from hooks",
	"decisions":      "select d.id, d.kind, o.id, coalesce(c.id, ''), d.asset, d.from_t, coalesce(d.until_t, 0), d.reason, d.principal, d.approver, coalesce(d.approved_at, 0), coalesce(d.ended_at, 0) from decisions d join objects o on o.k = d.object_k left join constituents c on c.k = d.constituent_k",
	"passwords":      "select u.name, p.set_at from passwords p join users u on u.k = p.user_k",
	"totps":          "select u.name, t.made_at, coalesce(t.confirmed_at, 0), t.step from totps t join users u on u.k = t.user_k",
	"recoveries":     "select u.name, coalesce(r.used_at, 0) from recoveries r join users u on u.k = r.user_k",
	"passkeys":       "select u.name, p.id, p.name, p.sign_count from passkeys p join users u on u.k = p.user_k",
	"subjects":       "select u.name, s.issuer, s.subject, s.made_at from subjects s join users u on u.k = s.user_k",
	"feeds":          "select name, body, enabled from feeds",
	"fetches":        "select name, next_at, tried_at, succeeded_at, changed_at, whole_at, failed_at, failure, failures, bytes, records, refused, document, etag, modified from fetches",
	"tokens":         "select name, hash, user_name, role, constituents, created_at, coalesce(expires_at, 0), coalesce(revoked_at, 0) from tokens",
}

const (
	markColumns        = "m.tlp, m.pap, m.originator, m.audience"
	observationColumns = "coalesce(a.id, ''), coalesce(c.id, ''), t.text, o.port, coalesce(p.text, ''), coalesce(l.text, ''), o.from_t"
	observationJoins   = " from observations o join terms t on t.k = o.check_k left join assets a on a.k = o.asset_k left join constituents c on c.k = o.constituent_k left join terms p on p.k = o.proto_k left join terms l on l.k = o.place_k"
)

// TableHash is the content of one table, whatever its order and its keys.
type TableHash struct {
	Table string `json:"table"`
	Rows  int    `json:"rows"`
	Hash  string `json:"hash"`
}

// Verify hashes every table over public ids. Two stores that say the same of
// everything have equal hashes.
func (sc *Scoped) Verify(ctx context.Context) ([]TableHash, error) {
	if err := sc.may("verify"); err != nil {
		return nil, err
	}
	names := make([]string, 0, len(publicRows))
	for name := range publicRows {
		names = append(names, name)
	}
	slices.Sort(names)
	out := make([]TableHash, 0, len(names))
	for _, name := range names {
		h, err := hashRows(sc.reader(ctx), publicRows[name])
		if err != nil {
			return nil, fmt.Errorf("verify %s: %w", name, err)
		}
		h.Table = name
		out = append(out, h)
	}
	return out, nil
}

// hashRows adds the hashes of rows: the sum does not depend on their order,
// and unlike an exclusive or it counts repeats.
func hashRows(q querier, query string) (TableHash, error) {
	var sum [4]uint64
	n := 0
	var values []any
	err := q.each(query, nil, func(scan func(...any) error) error {
		if values == nil {
			values = make([]any, columnsOf(query))
		}
		into := make([]any, len(values))
		for i := range values {
			into[i] = &values[i]
		}
		if err := scan(into...); err != nil {
			return err
		}
		h := hashRow(values)
		for i := range sum {
			sum[i] += binary.LittleEndian.Uint64(h[8*i:])
		}
		n++
		return nil
	})
	var out [32]byte
	for i, s := range sum {
		binary.LittleEndian.PutUint64(out[8*i:], s)
	}
	return TableHash{Rows: n, Hash: hex.EncodeToString(out[:])}, err
}

// hashRow hashes values by type-free text, each behind its length.
func hashRow(values []any) [32]byte {
	h := sha256.New()
	for _, v := range values {
		var b []byte
		switch v := v.(type) {
		case []byte:
			b = v
		case string:
			b = []byte(v)
		default:
			b = fmt.Append(nil, v)
		}
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	return [32]byte(h.Sum(nil))
}

// columnsOf counts the columns of one of our own queries: commas outside of
// parentheses before its first " from ".
func columnsOf(q string) int {
	n, depth := 1, 0
	for i := 0; i < len(q); i++ {
		switch q[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				n++
			}
		case ' ':
			if depth == 0 && i+6 <= len(q) && q[i:i+6] == " from " {
				return n
			}
		}
	}
	return n
}
