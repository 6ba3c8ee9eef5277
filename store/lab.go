package store

import (
	"context"
	"strconv"
	"time"

	"github.com/vedette-hub/vedette"
)

const labStamp = "lab"

// StampLab marks a store that holds nothing yet as a lab. Made-up data goes
// into no other: it could not be told from real data any more.
func (y *System) StampLab(ctx context.Context) error {
	return y.s.update(ctx, func(t *tx) error {
		if _, err := t.reserve("ingest", 0); err != nil { // nobody takes anything in meanwhile
			return err
		}
		for _, table := range []string{"constituents", "assets", "intakes", "objects"} {
			var k int64
			found, err := one(t, "select k from "+table+" limit 1", nil, &k)
			if err != nil {
				return err
			}
			if found {
				return vedette.Refused("the store holds %s: only a new store becomes a lab", table)
			}
		}
		_, err := t.exec("insert into meta(name, value) values (?, ?) on conflict (name) do nothing", labStamp, strconv.FormatInt(us(t.Now()), 10))
		return err
	})
}

// Lab says whether the store is a lab, and since when.
func (y *System) Lab(ctx context.Context) (since time.Time, ok bool, err error) {
	var text string
	if ok, err = one(reader{y.s, ctx}, "select value from meta where name = ?", []any{labStamp}, &text); err != nil || !ok {
		return since, false, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return at(n), err == nil, err
}

// Bytes is how much the database takes, and how much of it are the documents of
// each source, compressed.
func (y *System) Bytes(ctx context.Context) (total int64, documents map[string]int64, err error) {
	q := reader{y.s, ctx}
	size := "select page_count * page_size from pragma_page_count(), pragma_page_size()"
	if y.s.d.numbered {
		size = "select pg_database_size(current_database())"
	}
	if _, err := one(q, size, nil, &total); err != nil {
		return 0, nil, err
	}
	documents = map[string]int64{}
	err = q.each("select s.name, sum(length(b.body)) from blocks b join intakes i on i.k = b.k >> 20 join sources s on s.k = i.source_k group by s.name", nil, func(scan func(...any) error) error {
		var name string
		var n int64
		err := scan(&name, &n)
		documents[name] = n
		return err
	})
	return total, documents, err
}

// Size counts the rows of the larger tables.
func (y *System) Size(ctx context.Context) (map[string]int, error) {
	out := map[string]int{}
	for _, table := range []string{"objects", "claims", "affected", "assets", "observations", "facts", "pairs", "findings", "evidence"} {
		var n int
		if _, err := one(reader{y.s, ctx}, "select count(*) from "+table, nil, &n); err != nil {
			return nil, err
		}
		out[table] = n
	}
	return out, nil
}
