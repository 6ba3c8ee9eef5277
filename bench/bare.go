package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"
	_ "modernc.org/sqlite" // the bare layout on SQLite
)

// bare is the yardstick: the least a store of statements can write and still
// answer by id, value and relationship. One marking, no merge, no full text,
// no history; otherwise the same bytes kept, hashed and compressed.
type bare struct {
	ctx      context.Context
	db       *sql.DB
	numbered bool
	terms    map[string]int64
	next     map[string]int64
}

// bareObject is one record as the bare layout reads it.
type bareObject struct {
	id, typ, name     string
	created, modified int64
	off, len          int
	values            []string
	links             [][3]string // from, relation, to
}

const bareSchema = `create table terms(k {KEY}, text text not null unique);
create table documents(k {KEY}, hash {BYTES} not null unique, size bigint, n bigint, done bigint);
create table blocks(k {KEY}, body {BYTES} not null);
create table objects(k {KEY}, h bigint not null, id text not null, type_k bigint not null, name text, created bigint not null, modified bigint not null, by_k bigint, mark_k bigint, claim_k bigint not null);
create index objects_h on objects(h);
create index objects_type on objects(type_k, modified);
create table claims(k {KEY}, object_k bigint not null, source_k bigint not null, hash bigint not null, len bigint not null);
create unique index claims_object on claims(object_k, source_k, hash);
create table edges(src bigint, rel bigint, dst bigint, via bigint, primary key(src,rel,dst,via)) {WR};
create index edges_dst on edges(dst, rel, src);
create table vals(h bigint, object_k bigint, primary key(h, object_k)) {WR}`

func openBare(ctx context.Context, e engine, where string) (*bare, error) {
	b := &bare{ctx: ctx, terms: map[string]int64{}, next: map[string]int64{}}
	r := strings.NewReplacer("{KEY}", "integer primary key", "{BYTES}", "blob", "{WR}", "without rowid")
	var err error
	if e == "sqlite" {
		b.db, err = sql.Open("sqlite", "file:"+filepath.Join(where, "bare.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=cache_size(-131072)&_pragma=wal_autocheckpoint(50000)&_txlock=immediate")
	} else {
		b.numbered = true
		r = strings.NewReplacer("{KEY}", "bigint primary key", "{BYTES}", "bytea", "{WR}", "")
		b.db, err = sql.Open("pgx", where)
	}
	if err != nil {
		return nil, err
	}
	b.db.SetMaxOpenConns(1)
	for _, q := range strings.Split(r.Replace(bareSchema), ";\n") {
		if _, err := b.db.ExecContext(ctx, q); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// load takes a document in, in batches of 20,000 records. decode reads the
// header fields of a record.
func (b *bare) load(doc []byte, records [][]byte, decode func([]byte) (bareObject, error)) error {
	hash := sha256.Sum256(doc)
	tx, err := b.db.BeginTx(b.ctx, nil)
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(b.ctx, b.bind("insert into documents(k, hash, size, n, done) values (1, ?, ?, ?, 0)"), hash[:], len(doc), len(records)); err != nil {
		return err
	}
	z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	w := b.rows(tx, "blocks", "k, body", "")
	for n := 0; n*65536 < len(doc); n++ {
		if err := w.add(int64(1<<20+n), z.EncodeAll(doc[n*65536:min(len(doc), (n+1)*65536)], nil)); err != nil {
			return err
		}
	}
	if err := w.flush(); err != nil {
		return err
	}
	off := 0
	for part := range slices.Chunk(records, 20_000) {
		if tx == nil {
			if tx, err = b.db.BeginTx(b.ctx, nil); err != nil {
				return err
			}
		}
		if off, err = b.batch(tx, part, off, decode); err != nil {
			return err
		}
		if err := tx.Commit(); err != nil {
			return err
		}
		tx = nil
	}
	if _, err := b.db.ExecContext(b.ctx, "update documents set done = 1"); err != nil {
		return err
	}
	if !b.numbered {
		_, err = b.db.ExecContext(b.ctx, "pragma wal_checkpoint(truncate)")
	}
	return err
}

func (b *bare) batch(tx *sql.Tx, records [][]byte, off int, decode func([]byte) (bareObject, error)) (int, error) {
	objects := make([]bareObject, 0, len(records))
	hashes := make([]int64, 0, len(records))
	keys := map[string]int64{}
	for _, r := range records {
		o, err := decode(r)
		if err != nil {
			return off, err
		}
		o.off, o.len = off, len(r)
		off += len(r) + 1
		objects = append(objects, o)
		hashes = append(hashes, int64(xxhash.Sum64(r)))
		keys[o.id] = 0
		for _, l := range o.links {
			keys[l[0]], keys[l[2]] = 0, 0
		}
	}
	if err := b.find(tx, keys); err != nil {
		return off, err
	}
	return off, b.write(tx, objects, hashes, keys)
}

// find looks known ids up by hash.
func (b *bare) find(tx *sql.Tx, keys map[string]int64) error {
	hs := make([]int64, 0, len(keys))
	for id := range keys {
		hs = append(hs, int64(xxhash.Sum64String(id)))
	}
	slices.Sort(hs)
	for part := range slices.Chunk(hs, 256) {
		rows, err := tx.QueryContext(b.ctx, "select k, id from objects where h in ("+list(part)+")")
		if err != nil {
			return err
		}
		for rows.Next() {
			var k int64
			var id string
			if err := rows.Scan(&k, &id); err != nil {
				return err
			}
			if _, ok := keys[id]; ok {
				keys[id] = k
			}
		}
		if err := rows.Close(); err != nil {
			return err
		}
	}
	return nil
}

func list(ks []int64) string {
	var s strings.Builder
	for i, k := range ks {
		if i > 0 {
			s.WriteByte(',')
		}
		s.WriteString(strconv.FormatInt(k, 10))
	}
	return s.String()
}

func (b *bare) write(tx *sql.Tx, objects []bareObject, hashes []int64, keys map[string]int64) error {
	claims := b.rows(tx, "claims", "k, object_k, source_k, hash, len", "")
	rows := b.rows(tx, "objects", "k, h, id, type_k, name, created, modified, by_k, mark_k, claim_k",
		" on conflict (k) do update set type_k = excluded.type_k, name = excluded.name, created = excluded.created, modified = excluded.modified, claim_k = excluded.claim_k")
	edges := b.rows(tx, "edges", "src, rel, dst, via", " on conflict do nothing")
	vals := b.rows(tx, "vals", "h, object_k", " on conflict do nothing")
	own := map[string]bool{}
	var es [][4]int64
	var vs [][2]int64
	for i := range objects {
		o := &objects[i]
		own[o.id] = true
		k, claim := b.key(keys, o.id), int64(1)<<32|int64(o.off)
		if err := claims.add(claim, k, int64(1), hashes[i], o.len); err != nil {
			return err
		}
		typ, err := b.term(tx, o.typ)
		if err != nil {
			return err
		}
		if err := rows.add(k, int64(xxhash.Sum64String(o.id)), o.id, typ, o.name, o.created, o.modified, 0, 1, claim); err != nil {
			return err
		}
		for _, v := range o.values {
			vs = append(vs, [2]int64{int64(xxhash.Sum64String(strings.ToLower(v))), k})
		}
		for _, l := range o.links {
			rel, err := b.term(tx, l[1])
			if err != nil {
				return err
			}
			es = append(es, [4]int64{b.key(keys, l[0]), rel, b.key(keys, l[2]), k})
		}
	}
	for id, k := range keys { // stubs of what is referred to and has not come yet
		if !own[id] && k > b.next["known"] {
			if err := rows.add(k, int64(xxhash.Sum64String(id)), id, int64(0), "", int64(0), int64(0), 0, 1, int64(0)); err != nil {
				return err
			}
		}
	}
	b.next["known"] = b.next["objects"]
	slices.SortFunc(es, func(x, y [4]int64) int { return slices.Compare(x[:], y[:]) })
	slices.SortFunc(vs, func(x, y [2]int64) int { return cmp.Compare(x[0], y[0]) })
	for _, e := range es {
		if err := edges.add(e[0], e[1], e[2], e[3]); err != nil {
			return err
		}
	}
	for _, v := range vs {
		if err := vals.add(v[0], v[1]); err != nil {
			return err
		}
	}
	for _, w := range []*bareRows{claims, rows, edges, vals} {
		if err := w.flush(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bare) key(keys map[string]int64, id string) int64 {
	if keys[id] == 0 {
		b.next["objects"]++
		keys[id] = b.next["objects"]
	}
	return keys[id]
}

func (b *bare) term(tx *sql.Tx, text string) (int64, error) {
	if k, ok := b.terms[text]; ok {
		return k, nil
	}
	k := int64(len(b.terms) + 1)
	b.terms[text] = k
	_, err := tx.ExecContext(b.ctx, b.bind("insert into terms(k, text) values (?, ?)"), k, text)
	return k, err
}

func (b *bare) bind(q string) string {
	if !b.numbered {
		return q
	}
	parts := strings.Split(q, "?")
	var s strings.Builder
	for i, p := range parts {
		if i > 0 {
			s.WriteString("$" + strconv.Itoa(i))
		}
		s.WriteString(p)
	}
	return s.String()
}

// bareRows writes a hundred rows to a statement.
type bareRows struct {
	b     *bare
	tx    *sql.Tx
	head  string
	row   string
	tail  string
	full  *sql.Stmt
	width int
	args  []any
}

func (b *bare) rows(tx *sql.Tx, table, columns, tail string) *bareRows {
	n := strings.Count(columns, ",") + 1
	return &bareRows{b: b, tx: tx, head: "insert into " + table + "(" + columns + ") values ", row: "(" + strings.Repeat("?, ", n-1) + "?)", tail: tail, width: n}
}

func (w *bareRows) text(n int) string {
	return w.b.bind(w.head + strings.Repeat(w.row+", ", n-1) + w.row + w.tail)
}

func (w *bareRows) add(values ...any) error {
	w.args = append(w.args, values...)
	if len(w.args) < 100*w.width {
		return nil
	}
	if w.full == nil {
		st, err := w.tx.PrepareContext(w.b.ctx, w.text(100))
		if err != nil {
			return err
		}
		w.full = st
	}
	_, err := w.full.ExecContext(w.b.ctx, w.args...)
	w.args = w.args[:0]
	return err
}

func (w *bareRows) flush() error {
	if len(w.args) == 0 {
		return nil
	}
	_, err := w.tx.ExecContext(w.b.ctx, w.text(len(w.args)/w.width), w.args...)
	w.args = nil
	return err
}

// keyOf is a 64-bit key of bytes, for generators.
func keyOf(b []byte) uint64 { h := sha256.Sum256(b); return binary.BigEndian.Uint64(h[:]) }
