// Package job runs work later, on some process, at least once. It is a thin
// layer over River that hides its two drivers and repairs what they lack:
// decision note 0009 lists the repairs.
//
// A job may run twice: its process died after the work and before the record
// of it, or it was thought dead and was not. So every Run is idempotent, works
// in short batches, and heeds its context. Arguments hold ids only; the store
// holds the rest.
package job

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"time"

	"github.com/vedette-hub/vedette"
)

// Kind says what one sort of job is and how it runs. Every process of a hub
// declares the same kinds, whichever queues it works: the process that leads
// enqueues the periodic jobs of all and rescues the stuck jobs of all, and
// would discard those of a kind it does not know.
type Kind struct {
	Name     string        // at least 2 of a-z 0-9 _ . : / -
	Queue    string        // "" is DefaultQueue
	Priority int           // 1 first to 4 last; 0 is 1
	Attempts int           // how often it may fail before it is discarded; 0 is 8
	Timeout  time.Duration // after it the context ends; 0 is Config.Timeout
	// Every makes it periodic, and Unique. It also runs whenever another
	// process takes the lead: the schedule lives in the leader's memory and is
	// not caught up, so Run looks itself at what is due.
	Every time.Duration
	// Unique refuses a job while one with equal arguments waits or runs.
	Unique bool
	// Run does it. Besides nil and an error, which is tried again later and
	// later, it may return Drop or Again.
	Run func(context.Context, Task) error
}

// DefaultQueue is the queue of kinds that name none.
const DefaultQueue = "default"

// Task is what Run sees of its job.
type Task struct {
	ID      int64
	Attempt int             // 1 at the first
	Last    int             // the attempt after which an error discards it
	Args    json.RawMessage // a JSON object
}

type dropped struct{ reason string }

func (d dropped) Error() string { return d.reason }

// Drop ends the job for good, as Cancelled, with a reason: what it should do
// is pointless or forbidden.
func Drop(reason string) error { return dropped{reason} }

type postponed struct{ in time.Duration }

func (p postponed) Error() string { return "again in " + p.in.String() }

// Again runs the job once more after a while (0 is at once), and does not
// count as an attempt.
func Again(in time.Duration) error { return postponed{max(0, in)} }

// New is a job to add.
type New struct {
	Kind string
	Args any       // marshals to a JSON object; nil is the empty one
	At   time.Time // not before; zero is now
}

// Added is what became of a New.
type Added struct {
	ID    int64
	Fresh bool // false: an equal job of a Unique kind was there already, and ID is its
}

var (
	kindName  = regexp.MustCompile(`^[a-z0-9][a-z0-9_.:/-]{1,99}$`)
	queueName = regexp.MustCompile(`^[a-z0-9]+([_-][a-z0-9]+)*$`)
	// argName keeps names of arguments free of what the library that compares
	// arguments takes for a path.
	argName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
)

func (k Kind) check() error {
	switch {
	case !kindName.MatchString(k.Name):
		return vedette.Invalid("job: a kind has no name like %q", k.Name)
	case k.Queue != "" && !queueName.MatchString(k.Queue):
		return vedette.Invalid("job: kind %s: a queue has no name like %q", k.Name, k.Queue)
	case k.Priority < 0 || k.Priority > 4:
		return vedette.Invalid("job: kind %s: priority %d is not 1 to 4", k.Name, k.Priority)
	case k.Attempts < 0 || k.Attempts > 1000:
		return vedette.Invalid("job: kind %s: %d attempts are not 1 to 1000", k.Name, k.Attempts)
	case k.Timeout < 0 || k.Every < 0:
		return vedette.Invalid("job: kind %s: a negative duration", k.Name)
	case k.Run == nil:
		return vedette.Invalid("job: kind %s does nothing", k.Name)
	}
	return nil
}

// encode writes arguments in one way, so that equal ones are equal bytes on
// both engines.
func encode(v any) (json.RawMessage, error) {
	if v == nil {
		return json.RawMessage("{}"), nil
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&m); err != nil || m == nil {
		return nil, errors.New("arguments are a JSON object")
	}
	for name := range m {
		if !argName.MatchString(name) {
			return nil, errors.New("an argument has no name like " + name)
		}
	}
	return json.Marshal(m)
}
