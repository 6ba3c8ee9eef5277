// Package store is the only place with SQL. Its one text of each query runs on
// SQLite and PostgreSQL; As gives the queries of a principal, who meets only
// rows whose marking and constituent policy allows him.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the PostgreSQL driver
	"github.com/vedette-hub/vedette"
	_ "modernc.org/sqlite" // the SQLite driver
)

// Options are what the store needs of its surroundings.
type Options struct {
	// Say decodes the body of a claim; read's formats do.
	Say func(format string, body []byte) (vedette.Said, error)
	// Fold makes the head of an object from the statements of one marking, in order of their source's name.
	Fold func([]vedette.Statement) vedette.Head
	// Join makes one head of those that a reader may see, given newest first; nil takes the newest.
	Join func([]vedette.Head) vedette.Head
	// Names gives the normalised names under which a software may be known,
	// and Affected those of a range's product, the strongest first.
	Names    func(vedette.Software) []vedette.ProductName
	Affected func(vedette.Affected) []vedette.ProductName
	// ByCheck says how strong a verdict is when the check saw the software, and
	// Settle what becomes of a match beside the other software of its asset.
	ByCheck func(vedette.Verdict, string) vedette.Verdict
	Settle  func(vedette.Match, []vedette.Software) vedette.Match
	// Feeds are those that are shipped: off until somebody enables them.
	Feeds []vedette.Feed
	// Clock says until when a vulnerability is to be fixed where it was first
	// observed at a time (zero: it is not there) and is exposed or not (nil: nobody knows).
	Clock func(v vedette.Vulnerability, observed time.Time, exposed *bool) vedette.Clock
	// Now is the clock; nil is the machine's.
	Now func() time.Time
	// Hook sees every statement before it runs and may fail it: tests inject
	// faults and collect queries with it.
	Hook func(op, query string) error
	// Secret is the file of the key that seals what has to be read again, such
	// as the secrets of code generators; "" is secret.key beside an embedded
	// database, and none for PostgreSQL.
	Secret string
	// Batch is how many statements go into one transaction, 0 for 20,000.
	Batch int
}

// Store is one database. It is safe for many goroutines.
type Store struct {
	d     *dialect
	write *sql.DB // SQLite: one connection, the one writer
	read  *sql.DB
	opt   Options
	path  string // of the SQLite file, "" on PostgreSQL

	// prepared are statements of the one writing connection of SQLite, kept
	// from one transaction to the next; pgx keeps its own.
	prepared map[string]*sql.Stmt

	// hashers holds a token for each password that is hashed now.
	hashers chan struct{}

	mu       sync.Mutex
	terms    map[string]int64
	termText map[int64]string
	marks    map[vedette.Marking]int64
	markOf   map[int64]vedette.Marking
	names    map[vedette.ProductName]int64
	sets     map[int64][]int64 // of markings
}

// File is the name of the database in an embedded data folder.
const File = "vedette.db"

// Open opens the embedded store of a folder (a path) or a PostgreSQL database
// (a postgres:// URL) and brings its schema up to date.
func Open(ctx context.Context, where string, opt Options) (*Store, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.Batch == 0 {
		opt.Batch = 20_000
	}
	s := &Store{opt: opt, prepared: map[string]*sql.Stmt{}, hashers: make(chan struct{}, hashing)}
	s.forget()
	var err error
	if IsURL(where) {
		err = s.openPostgres(where)
	} else {
		err = s.openSQLite(where)
	}
	if err == nil {
		err = s.migrate(ctx)
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("store: %w", classify(err))
	}
	return s, nil
}

// IsURL says whether a place is a PostgreSQL URL rather than a folder.
func IsURL(where string) bool {
	return strings.HasPrefix(where, "postgres://") || strings.HasPrefix(where, "postgresql://")
}

func (s *Store) openSQLite(dir string) error {
	s.d = &sqlite
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	s.path = filepath.Join(dir, File)
	pragma := url.Values{"_pragma": {"journal_mode(WAL)", "synchronous(NORMAL)", "busy_timeout(60000)",
		"cache_size(-131072)", "wal_autocheckpoint(20000)", "secure_delete(1)", "temp_store(2)"}, "_txlock": {"immediate"}}
	var err error
	if s.write, err = sql.Open("sqlite", "file:"+s.path+"?"+pragma.Encode()); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if err := s.write.Ping(); err != nil { // creates the file before a reader asks for it
		return err
	}
	ro := url.Values{"_pragma": {"busy_timeout(60000)", "cache_size(-65536)", "query_only(1)", "temp_store(2)"}}
	if s.read, err = sql.Open("sqlite", "file:"+s.path+"?"+ro.Encode()); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(4)
	return os.Chmod(s.path, 0o600)
}

func (s *Store) openPostgres(u string) error {
	s.d = &postgres
	db, err := sql.Open("pgx", u)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(8)
	s.write, s.read = db, db
	return nil
}

// Close lets the database go.
func (s *Store) Close() error {
	var err error
	if s.write != nil {
		err = s.write.Close()
	}
	if s.read != nil && s.read != s.write {
		err = errors.Join(err, s.read.Close())
	}
	return err
}

// Engine is "sqlite" or "postgres".
func (s *Store) Engine() string { return s.d.name }

// Now is the time by the store's clock.
func (s *Store) Now() time.Time { return s.opt.Now().UTC().Truncate(time.Microsecond) }

// tx is one transaction; its statements are prepared once.
type tx struct {
	*Store
	ctx    context.Context
	tx     *sql.Tx
	stmts  map[string]*sql.Stmt
	local  map[any]int64    // keys interned in this transaction
	texts  map[int64]string // terms read in this transaction
	spare  map[string]spare // keys reserved and not given yet
	counts map[counted]int64
	cases  map[int64]bool // objects that make cases, once asked for
	after  []func()       // run once it is committed
}

// update runs f in a write transaction: all of it is kept, or nothing.
func (s *Store) update(ctx context.Context, f func(*tx) error) error {
	if err := s.hook("begin", ""); err != nil {
		return err
	}
	raw, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return classify(err)
	}
	t := &tx{Store: s, ctx: ctx, tx: raw, stmts: map[string]*sql.Stmt{}, local: map[any]int64{}, texts: map[int64]string{}, spare: map[string]spare{}, counts: map[counted]int64{}}
	err = f(t)
	if err == nil {
		err = t.writeCounts()
	}
	if err != nil {
		raw.Rollback()
		return classify(err)
	}
	if err := s.hook("commit", ""); err != nil {
		raw.Rollback()
		return err
	}
	if err := raw.Commit(); err != nil {
		return classify(err)
	}
	for _, g := range t.after {
		g()
	}
	s.keep(t)
	return nil
}

// maxPrepared bounds the statements that are kept.
const maxPrepared = 512

// kept is a statement prepared after an earlier transaction, nil when there is none.
func (s *Store) kept(q string) *sql.Stmt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.prepared[q]
}

// keep prepares what a transaction used for the next one. The connection may
// be another's meanwhile, who may need the lock: neither is waited for with the other.
func (s *Store) keep(t *tx) {
	if s.d.numbered {
		return
	}
	for q := range t.stmts {
		s.mu.Lock()
		have := s.prepared[q] != nil || len(s.prepared) >= maxPrepared
		s.mu.Unlock()
		if have {
			continue
		}
		st, err := s.write.PrepareContext(t.ctx, s.d.bind(q))
		if err != nil {
			return // what was done is done; it is prepared when it is needed next
		}
		s.mu.Lock()
		if s.prepared[q] == nil {
			s.prepared[q], st = st, nil
		}
		s.mu.Unlock()
		if st != nil {
			st.Close()
		}
	}
}

func (s *Store) hook(op, q string) error {
	if s.opt.Hook == nil {
		return nil
	}
	return s.opt.Hook(op, q)
}

func (t *tx) stmt(q string) (*sql.Stmt, error) {
	if st, ok := t.stmts[q]; ok {
		return st, nil
	}
	if kept := t.Store.kept(q); kept != nil {
		t.stmts[q] = t.tx.StmtContext(t.ctx, kept)
		return t.stmts[q], nil
	}
	st, err := t.tx.PrepareContext(t.ctx, t.d.bind(q))
	if err != nil {
		return nil, fmt.Errorf("%w in %s", err, q)
	}
	t.stmts[q] = st
	return st, nil
}

// exec runs a statement and returns how many rows it changed.
func (t *tx) exec(q string, args ...any) (int64, error) {
	if err := t.hook("exec", q); err != nil {
		return 0, err
	}
	if t.d.numbered { // pgx keeps the plan with the connection, a statement of ours would end with the transaction
		return t.run(q, args)
	}
	st, err := t.stmt(q)
	if err != nil {
		return 0, err
	}
	r, err := st.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, fmt.Errorf("%w in %.200s", err, q)
	}
	return r.RowsAffected()
}

// once runs a statement whose text is not worth preparing.
func (t *tx) once(q string, args ...any) (int64, error) {
	if err := t.hook("exec", q); err != nil {
		return 0, err
	}
	if len(args) == 0 {
		args = t.d.unplanned
	}
	return t.run(q, args)
}

func (t *tx) run(q string, args []any) (int64, error) {
	r, err := t.tx.ExecContext(t.ctx, t.d.bind(q), args...)
	if err != nil {
		return 0, fmt.Errorf("%w in %.200s", err, q)
	}
	return r.RowsAffected()
}

// each calls f for each row of a query; f reads the row with the scan it gets.
func (t *tx) each(q string, args []any, f func(scan func(...any) error) error) error {
	if err := t.hook("query", q); err != nil {
		return err
	}
	if len(args) == 0 { // its text will not come again
		args = t.d.unplanned
	}
	if t.d.numbered || len(args) == 0 || strings.Contains(q, " in (") {
		rows, err := t.tx.QueryContext(t.ctx, t.d.bind(q), args...)
		return drain(rows, err, q, f)
	}
	st, err := t.stmt(q)
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(t.ctx, args...)
	return drain(rows, err, q, f)
}

// each is a query outside of a transaction, over the readers.
func (s *Store) each(ctx context.Context, q string, args []any, f func(scan func(...any) error) error) error {
	if err := s.hook("query", q); err != nil {
		return err
	}
	rows, err := s.read.QueryContext(ctx, s.d.bind(q), args...)
	return drain(rows, err, q, f)
}

func drain(rows *sql.Rows, err error, q string, f func(scan func(...any) error) error) error {
	if err != nil {
		return classify(fmt.Errorf("%w in %.200s", err, q))
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return classify(rows.Err())
}

// querier is a place to ask: a transaction, or the readers.
type querier interface {
	each(q string, args []any, f func(scan func(...any) error) error) error
}

// reader is the readers as a querier.
type reader struct {
	*Store
	ctx context.Context
}

func (r reader) each(q string, args []any, f func(scan func(...any) error) error) error {
	return r.Store.each(r.ctx, q, args, f)
}

// one reads the first row of a query into dest; false when there is none.
func one(q querier, query string, args []any, dest ...any) (bool, error) {
	found := false
	err := q.each(query, args, func(scan func(...any) error) error {
		if found {
			return nil
		}
		found = true
		return scan(dest...)
	})
	return found, err
}

// classify gives an engine's error its kind.
func classify(err error) error {
	if err == nil {
		return nil
	}
	for _, k := range []error{vedette.ErrInvalid, vedette.ErrNotFound, vedette.ErrAuth, vedette.ErrRefused, vedette.ErrConflict, vedette.ErrUnavailable} {
		if errors.Is(err, k) {
			return err
		}
	}
	var pg *pgconn.PgError
	var net *pgconn.ConnectError
	text := err.Error()
	if errors.As(err, &net) || (errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "57") || strings.HasPrefix(pg.Code, "53"))) ||
		strings.Contains(text, "SQLITE_BUSY") || strings.Contains(text, "disk I/O") || strings.Contains(text, "database or disk is full") || strings.Contains(text, "unable to open") {
		return fmt.Errorf("%w: %w", vedette.ErrUnavailable, err)
	}
	return err
}

// us is a time as the store keeps it; the zero time is 0.
func us(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// orNull is us for a column that is null instead of 0.
func orNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// at is the reverse of us.
func at(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func boolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
