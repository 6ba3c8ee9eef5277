package store

import (
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/vedette-hub/vedette"
)

// A backup is a zstd stream of frames: a header, then for each table its name,
// its columns and its rows, then the end with the number of rows. The file
// ends with the SHA-256 of everything before it. It is the same for both engines.
const (
	backupMagic   = "VEDETTE-BACKUP-1\n"
	backupSumSize = sha256.Size
)

// backupTables are the tables in the order they are written. Full text is
// derived again on restore; the to-do table comes along so that nothing is owed twice.
// Sessions, sign-in links and counts of failures stay behind: whoever was in signs in again.
var backupTables = []string{"meta", "seqs", "terms", "markings", "sources", "documents", "blocks", "intakes", "objects", "claims", "heads", "vals", "edges",
	"names", "affected", "exploited", "aliases", "epss", "epss_now", "constituents", "assets", "asset_users", "facts", "fact_names", "observations", "coverage",
	"pairs", "findings", "evidence", "todo", "events", "seals", "counters", "users", "tokens", "passwords", "totps", "recoveries", "passkeys", "subjects",
	"surveys", "parts", "observed", "stops", "refusals", "optouts", "schedules", "confirmed", "mark_sets", "cases", "case_ids", "case_changes", "publications", "editions", "deliveries", "reminders", "delivery_tries", "hooks", "decisions", "feeds", "fetches"}

// BackupHeader says what a backup is of.
type BackupHeader struct {
	Engine     string   `json:"engine"`
	Created    string   `json:"created"`
	Migrations []string `json:"migrations"`
}

// Backup writes everything the store holds, as of one moment, while others
// go on writing. It returns the number of rows.
func (sc *Scoped) Backup(ctx context.Context, w io.Writer) (rows int64, err error) {
	if err := sc.may("backup"); err != nil {
		return 0, err
	}
	s := sc.s
	snapshot, err := s.read.BeginTx(ctx, s.d.snapshot())
	if err != nil {
		return 0, classify(err)
	}
	defer snapshot.Rollback() // it only read
	sum := sha256.New()
	out := io.MultiWriter(w, sum)
	if _, err := io.WriteString(out, backupMagic); err != nil {
		return 0, err
	}
	z, err := zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return 0, err
	}
	d := &dumper{w: bufio.NewWriterSize(z, 1<<20), tx: snapshot, ctx: ctx}
	if err := d.all(s); err != nil {
		return d.rows, err
	}
	if err := errors.Join(d.w.Flush(), z.Close()); err != nil {
		return d.rows, err
	}
	_, err = w.Write(sum.Sum(nil))
	return d.rows, err
}

type dumper struct {
	w    *bufio.Writer
	tx   *sql.Tx
	ctx  context.Context
	rows int64
}

func (d *dumper) all(s *Store) error {
	h := BackupHeader{Engine: s.d.name, Created: s.Now().Format("2006-01-02T15:04:05Z")}
	rows, err := d.tx.QueryContext(d.ctx, "select name from migrations order by name")
	if err := drain(rows, err, "migrations", func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		h.Migrations = append(h.Migrations, name)
		return err
	}); err != nil {
		return err
	}
	head, err := json.Marshal(h)
	if err != nil {
		return err
	}
	d.bytes('h', head)
	for _, t := range backupTables {
		if err := d.table(t); err != nil {
			return err
		}
	}
	d.w.WriteByte('e')
	d.number(uint64(d.rows))
	return nil
}

func (d *dumper) bytes(kind byte, b []byte) {
	d.w.WriteByte(kind) // errors of a bufio.Writer come back at Flush
	d.number(uint64(len(b)))
	d.w.Write(b)
}

func (d *dumper) number(n uint64) {
	var b [binary.MaxVarintLen64]byte
	d.w.Write(b[:binary.PutUvarint(b[:], n)])
}

func (d *dumper) table(name string) error {
	rows, err := d.tx.QueryContext(d.ctx, "select * from "+name)
	if err != nil {
		return classify(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	d.bytes('t', []byte(name+" "+strings.Join(columns, ",")))
	values := make([]any, len(columns))
	into := make([]any, len(columns))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		d.w.WriteByte('r')
		for _, v := range values {
			switch v := v.(type) {
			case nil:
				d.w.WriteByte('n')
			case int64:
				d.w.WriteByte('i')
				var b [binary.MaxVarintLen64]byte
				d.w.Write(b[:binary.PutVarint(b[:], v)])
			case string:
				d.bytes('s', []byte(v))
			case []byte:
				d.bytes('b', v)
			default:
				return fmt.Errorf("backup: column of type %T in %s", v, name)
			}
		}
		d.rows++
	}
	return classify(rows.Err())
}

// Restore fills a new, empty store from a backup. The backup is read twice: a
// truncated or altered one is refused before anything is written. It is one
// transaction: a store is restored or empty.
func (sc *Scoped) Restore(ctx context.Context, r io.ReadSeeker) (rows int64, err error) {
	if err := sc.may("restore"); err != nil {
		return 0, err
	}
	s := sc.s
	size, err := checkBackup(r)
	if err != nil {
		return 0, err
	}
	if _, err := r.Seek(int64(len(backupMagic)), io.SeekStart); err != nil {
		return 0, err
	}
	z, err := zstd.NewReader(io.LimitReader(r, size-int64(len(backupMagic))-backupSumSize), zstd.WithDecoderMaxMemory(256<<20), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return 0, err
	}
	defer z.Close()
	l := &loader{r: bufio.NewReaderSize(z, 1<<20)}
	err = s.update(ctx, func(t *tx) error {
		var held int
		if _, err := one(t, "select (select count(*) from events) + (select count(*) from sources) + (select count(*) from constituents)", nil, &held); err != nil {
			return err
		}
		if held > 0 {
			return vedette.Conflict("the store holds data: a backup is restored into a new one")
		}
		l.t = t
		if err := l.all(); err != nil {
			return err
		}
		if err := t.d.resetSerials(t); err != nil {
			return err
		}
		return t.reindex()
	})
	s.forget()
	return l.rows, err
}

// checkBackup reads the whole file and compares its sum.
func checkBackup(r io.ReadSeeker) (size int64, err error) {
	if size, err = r.Seek(0, io.SeekEnd); err != nil {
		return 0, err
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return 0, err
	}
	if size < int64(len(backupMagic))+backupSumSize {
		return 0, vedette.Invalid("this is no backup of vedette: it has %d bytes", size)
	}
	magic := make([]byte, len(backupMagic))
	if _, err := io.ReadFull(r, magic); err != nil {
		return 0, err
	}
	if string(magic) != backupMagic {
		return 0, vedette.Invalid("this is no backup of vedette")
	}
	sum := sha256.New()
	sum.Write(magic)
	if _, err := io.CopyN(sum, r, size-int64(len(magic))-backupSumSize); err != nil {
		return 0, err
	}
	want := make([]byte, backupSumSize)
	if _, err := io.ReadFull(r, want); err != nil {
		return 0, err
	}
	if !slices.Equal(sum.Sum(nil), want) {
		return 0, vedette.Invalid("the backup is truncated or was altered: its checksum does not hold")
	}
	return size, nil
}

type loader struct {
	t    *tx
	r    *bufio.Reader
	rows int64
}

// maxCell bounds one value of a backup.
const maxCell = 256 << 20

func (l *loader) all() error {
	var table *bulk
	flush := func() error {
		if table == nil {
			return nil
		}
		return table.flush()
	}
	for {
		kind, err := l.r.ReadByte()
		if err != nil {
			return vedette.Invalid("the backup ends in the middle: %w", err)
		}
		switch kind {
		case 'h':
			err = l.header()
		case 't':
			if err = flush(); err == nil {
				table, err = l.table()
			}
		case 'r':
			if table == nil {
				return vedette.Invalid("the backup has a row before its table")
			}
			err = l.row(table)
		case 'e':
			if err := flush(); err != nil {
				return err
			}
			n, err := binary.ReadUvarint(l.r)
			if err == nil && n != uint64(l.rows) {
				err = vedette.Invalid("the backup has %d rows but ends saying %d", l.rows, n)
			}
			return err
		default:
			return vedette.Invalid("the backup has a frame of kind %q", kind)
		}
		if err != nil {
			return err
		}
	}
}

func (l *loader) header() error {
	b, err := l.bytes()
	if err != nil {
		return err
	}
	var h BackupHeader
	if err := json.Unmarshal(b, &h); err != nil {
		return vedette.Invalid("the backup's header: %w", err)
	}
	for _, m := range h.Migrations {
		var done int
		if ok, err := one(l.t, "select done from migrations where name = ?", []any{m}, &done); err != nil || !ok {
			return orElse(err, vedette.Conflict("the backup is of a newer vedette: it has the migration %s", m))
		}
	}
	return nil
}

func (l *loader) table() (*bulk, error) {
	b, err := l.bytes()
	if err != nil {
		return nil, err
	}
	name, columns, _ := strings.Cut(string(b), " ")
	if !slices.Contains(backupTables, name) {
		return nil, vedette.Invalid("the backup has a table %q", name)
	}
	for _, c := range strings.Split(columns, ",") {
		if strings.Trim(c, "abcdefghijklmnopqrstuvwxyz_") != "" || c == "" {
			return nil, vedette.Invalid("the backup has a column %q", c)
		}
	}
	if name == "seqs" { // opening the store may have begun some
		if _, err := l.t.exec("delete from seqs"); err != nil {
			return nil, err
		}
	}
	return l.t.bulk(name, columns, ""), nil
}

func (l *loader) row(table *bulk) error {
	values := make([]any, table.width)
	for i := range values {
		kind, err := l.r.ReadByte()
		if err != nil {
			return err
		}
		switch kind {
		case 'n':
		case 'i':
			values[i], err = binary.ReadVarint(l.r)
		case 's':
			var b []byte
			b, err = l.bytes()
			values[i] = string(b)
		case 'b':
			values[i], err = l.bytes()
		default:
			err = vedette.Invalid("the backup has a value of kind %q", kind)
		}
		if err != nil {
			return err
		}
	}
	l.rows++
	return table.add(values...)
}

func (l *loader) bytes() ([]byte, error) {
	n, err := binary.ReadUvarint(l.r)
	if err != nil {
		return nil, err
	}
	if n > maxCell {
		return nil, vedette.Invalid("the backup has a value of %d bytes", n)
	}
	b := make([]byte, n)
	_, err = io.ReadFull(l.r, b)
	return b, err
}

// reindex writes the full text of every head again.
func (t *tx) reindex() error { return t.eachObject("heads", t.retext) }
