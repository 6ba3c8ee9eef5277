package store

import (
	"context"
	"math"
	"time"

	"github.com/vedette-hub/vedette"
)

// A new EPSS point is kept when the score moved by a hundredth since the last
// kept one, or the model changed: scores of two models are not comparable.
const epssStep = 10_000 // in millionths

// series keeps the batch's points.
func (b *batch) series() error {
	var points []vedette.Point
	for i := range b.buf {
		points = append(points, b.buf[i].said.Points...)
	}
	if len(points) == 0 {
		return nil
	}
	now, err := b.epssNow(points) // of what this marking says: no reader learns from a gap what a stricter one holds
	if err != nil {
		return err
	}
	kept := b.bulk("epss", "cve, day, score, percentile, model_k, mark_k", " on conflict do nothing")
	last := b.bulk("epss_now", "cve, day, score, percentile, model_k, mark_k",
		" on conflict (cve, mark_k) do update set day = excluded.day, score = excluded.score, percentile = excluded.percentile, model_k = excluded.model_k, mark_k = excluded.mark_k")
	for _, p := range points {
		cve, ok := vedette.CVENumber(p.CVE)
		if !ok {
			return vedette.Invalid("EPSS point of %q, which is no CVE id", p.CVE)
		}
		model, err := b.term(p.Model)
		if err != nil {
			return err
		}
		row := epssRow{day: p.Day.Unix() / 86400, score: millionths(p.Score), percentile: millionths(p.Percentile), model: model}
		old, known := now[cve]
		moved := !known || old.model != row.model || row.score-old.score >= epssStep || old.score-row.score >= epssStep
		if known && row.day < old.day {
			b.lateSeries = true // the series is computed again in the order of days
		}
		if known && row.day <= old.day || !moved {
			b.Unchanged++
			continue
		}
		if known {
			b.Changed++
		} else {
			b.New++
		}
		now[cve] = row
		for _, w := range []*bulk{kept, last} {
			if err := w.add(cve, row.day, row.score, row.percentile, row.model, b.markK); err != nil {
				return err
			}
		}
	}
	if err := kept.flush(); err != nil {
		return err
	}
	return last.flush()
}

type epssRow struct{ day, score, percentile, model int64 }

func millionths(f float64) int64 { return int64(math.Round(f * 1_000_000)) }

// epssNow loads the last kept points between the batch's smallest and largest CVE.
func (b *batch) epssNow(points []vedette.Point) (map[int64]epssRow, error) {
	var lo, hi int64 = math.MaxInt64, 0
	for _, p := range points {
		n, _ := vedette.CVENumber(p.CVE)
		lo, hi = min(lo, n), max(hi, n)
	}
	now := map[int64]epssRow{}
	err := b.each("select cve, day, score, percentile, model_k from epss_now where cve between ? and ? and mark_k = ?", []any{lo, hi, b.markK}, func(scan func(...any) error) error {
		var cve int64
		var r epssRow
		err := scan(&cve, &r.day, &r.score, &r.percentile, &r.model)
		now[cve] = r
		return err
	})
	return now, err
}

// EPSS is the series of a CVE, oldest first: the points at which it moved. Of
// two that the principal may see for one day, the one for more readers counts.
func (sc *Scoped) EPSS(ctx context.Context, cve string) ([]vedette.Point, error) {
	n, ok := vedette.CVENumber(cve)
	if !ok {
		return nil, nil
	}
	var out []vedette.Point
	var rows []epssRow
	if err := sc.s.each(ctx, "select e.day, e.score, e.percentile, e.model_k from epss e join markings m on m.k = e.mark_k where e.cve = ? and "+sc.seen("e.mark_k")+" order by e.day, m.tlp, m.audience, m.originator, m.pap", []any{n}, func(scan func(...any) error) error {
		var r epssRow
		err := scan(&r.day, &r.score, &r.percentile, &r.model)
		if n := len(rows); n == 0 || rows[n-1].day != r.day {
			rows = append(rows, r)
		}
		return err
	}); err != nil {
		return nil, err
	}
	for _, r := range rows {
		model, err := sc.s.text(sc.reader(ctx), r.model)
		if err != nil {
			return nil, err
		}
		out = append(out, vedette.Point{CVE: cve, Day: time.Unix(r.day*86400, 0).UTC(), Score: float64(r.score) / 1e6, Percentile: float64(r.percentile) / 1e6, Model: model})
	}
	return out, nil
}
