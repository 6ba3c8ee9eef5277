package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"

	"github.com/vedette-hub/vedette"
)

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
	if k := kindOf(err); k != nil {
		return fmt.Errorf("%w: %w", k, err)
	}
	return err
}

// kindOf reads the codes of the engines; nil is an error of our own making.
func kindOf(err error) error {
	var pg *pgconn.PgError
	var connect *pgconn.ConnectError
	var lite *sqlite.Error
	var wire net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return nil // the caller's own wish
	case errors.As(err, &connect):
		return vedette.ErrUnavailable
	case errors.As(err, &pg):
		return kindOfPostgres(pg.Code)
	case errors.As(err, &lite):
		return kindOfSQLite(lite.Code())
	case errors.As(err, &wire), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.DeadlineExceeded),
		strings.HasSuffix(err.Error(), "conn closed"), strings.HasSuffix(err.Error(), "closed pool"), strings.HasSuffix(err.Error(), "database is closed"):
		return vedette.ErrUnavailable
	}
	return nil
}

// kindOfPostgres reads the SQLSTATE (PostgreSQL manual, appendix A).
func kindOfPostgres(code string) error {
	switch {
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "53"), strings.HasPrefix(code, "57"):
		return vedette.ErrUnavailable // connection, resources, an operator
	case strings.HasPrefix(code, "22"):
		return vedette.ErrInvalid // what a column cannot hold
	case code == "23505":
		return vedette.ErrConflict // an equal job
	case code == "42501":
		return vedette.ErrRefused // privilege
	}
	return nil
}

// kindOfSQLite reads the extended result code (sqlite.org/rescode.html).
func kindOfSQLite(code int) error {
	if code == 2067 { // unique
		return vedette.ErrConflict
	}
	switch code & 0xff {
	case 5, 6, 8, 10, 13, 14: // busy, locked, read only, input and output, full, cannot open
		return vedette.ErrUnavailable
	}
	return nil
}
