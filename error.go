package vedette

import (
	"errors"
	"fmt"
)

// The kinds of error that cross a package. Test with errors.Is; a face maps a
// kind to a status or an exit code in one place. Everything else is internal.
var (
	// ErrInvalid is bad input: the message names file, line or field and the reason.
	ErrInvalid = errors.New("invalid")
	// ErrNotFound is said of what is absent and of what the principal may not see: they look the same.
	ErrNotFound = errors.New("not found")
	// ErrAuth is a missing, wrong or expired credential.
	ErrAuth = errors.New("not authenticated")
	// ErrRefused is an act that scope, marking or role forbids.
	ErrRefused = errors.New("refused")
	// ErrConflict is a change against a newer state.
	ErrConflict = errors.New("conflict")
	// ErrUnavailable is a store or a remote that does not answer now; trying again may help.
	ErrUnavailable = errors.New("unavailable")
)

// Invalid returns an ErrInvalid with a formatted reason.
func Invalid(format string, a ...any) error { return kind(ErrInvalid, format, a...) }

// NotFound returns an ErrNotFound with a formatted reason.
func NotFound(format string, a ...any) error { return kind(ErrNotFound, format, a...) }

// Refused returns an ErrRefused with a formatted reason.
func Refused(format string, a ...any) error { return kind(ErrRefused, format, a...) }

// Conflict returns an ErrConflict with a formatted reason.
func Conflict(format string, a ...any) error { return kind(ErrConflict, format, a...) }

// Unavailable returns an ErrUnavailable with a formatted reason.
func Unavailable(format string, a ...any) error { return kind(ErrUnavailable, format, a...) }

// kinded is an error of one kind whose message stands alone.
type kinded struct {
	kind error
	err  error
}

func (e *kinded) Error() string   { return e.err.Error() }
func (e *kinded) Unwrap() []error { return []error{e.kind, e.err} }

func kind(k error, format string, a ...any) error {
	return &kinded{k, fmt.Errorf(format, a...)}
}
