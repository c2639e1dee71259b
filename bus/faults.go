package bus

import (
	"errors"
	"slices"
	"strings"
)

// ErrStoreFull is in the chain of errors of publishes and state writes while the store has no room: the disk is full or nearly so, or the
// storage limit of the account is reached. Nothing was stored. It goes away by itself when there is room again.
var ErrStoreFull = errors.New("store is full")

// ErrUnavailable is in the chain of errors of publishes and state writes that got no answer from the server within their budget. The message
// may or may not be on disk; publishing it again under the same id is safe.
var ErrUnavailable = errors.New("the server does not answer")

// ErrClosed is returned by every function of a Bus after Close has begun its work. Nothing was stored.
var ErrClosed = errors.New("bus is closed")

// ErrLocked is in the chain of the error of Open when another process (or another Bus) holds the data directory.
var ErrLocked = errors.New("data directory is in use")

// Fault is an error for people: where, what is the case, what to do next.
type Fault struct {
	Place string // directory, URL, stream or consumer
	Fact  string
	Next  string
	Err   error // cause or sentinel, for errors.Is; may be nil
}

// Error is the fault in one line: "place: fact: next step".
func (f *Fault) Error() string { return f.Place + ": " + f.Fact + ": " + f.Next }

// Unwrap gives the cause.
func (f *Fault) Unwrap() error { return f.Err }

// Faults are all faults found at once, sorted by place. It is never empty when it is returned as an error.
type Faults []*Fault

// Error writes one fault a line.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the faults, for errors.Is and errors.As.
func (fs Faults) Unwrap() []error {
	out := make([]error, len(fs))
	for i, f := range fs {
		out[i] = f
	}
	return out
}

func (fs *Faults) add(place, fact, next string) {
	*fs = append(*fs, &Fault{Place: place, Fact: fact, Next: next})
}

// err is nil without faults, else the sorted list.
func (fs Faults) err() error {
	if len(fs) == 0 {
		return nil
	}
	slices.SortStableFunc(fs, func(a, b *Fault) int { return strings.Compare(a.Place, b.Place) })
	return fs
}

func fault(place, fact, next string, err error) error {
	return &Fault{Place: place, Fact: fact, Next: next, Err: err}
}
