package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tocsin/news"
)

const (
	kvOperation = "KV-Operation"
	kvDelete    = "DEL"
)

// State is one bucket: small values under keys, changed by compare-and-set. Keys may be any text.
type State struct {
	b      *Bus
	bucket string
}

// State gives access to a bucket of the table: watchlists, feedstate, sent, silences or health. Any other name gives errors on use.
func (b *Bus) State(bucket string) *State { return &State{b: b, bucket: bucket} }

func (s *State) check(key string) error {
	if !slices.ContainsFunc(buckets, func(b bucketSpec) bool { return b.name == s.bucket }) {
		return errors.New("there is no such bucket")
	}
	if key == "" {
		return errors.New("the key is empty")
	}
	return nil
}

func (s *State) subject(key string) string { return "$KV." + s.bucket + "." + escapeKey(key) }

// Get gives the value of key and its revision, for Put. news.ErrNotFound when there is none.
func (s *State) Get(ctx context.Context, key string) (value []byte, rev uint64, err error) {
	value, rev, live, err := s.last(ctx, key)
	if err == nil && !live {
		err = news.ErrNotFound
	}
	if err != nil {
		return nil, 0, fmt.Errorf("get %s of bucket %s: %w", key, s.bucket, err)
	}
	return value, rev, nil
}

// last gives the newest entry of key: rev is 0 when there is none at all, live is false when there is none or it says "deleted".
func (s *State) last(ctx context.Context, key string) (value []byte, rev uint64, live bool, err error) {
	if err := s.check(key); err != nil {
		return nil, 0, false, err
	}
	if err := s.b.publish.enter(); err != nil {
		return nil, 0, false, err
	}
	defer s.b.publish.leave()
	ctx, cancel := context.WithTimeoutCause(ctx, s.b.timing.publish, ErrUnavailable)
	defer cancel()
	for wait := firstRetryWait; ; wait = min(2*wait, maxRetryWait) {
		value, rev, live, err = s.look(ctx, key)
		if err == nil || apiCode(err) != 0 && apiStatus(err) < 500 || errors.Is(err, nats.ErrConnectionClosed) {
			return value, rev, live, err
		}
		select {
		case <-ctx.Done():
			return nil, 0, false, fmt.Errorf("%w: %s", context.Cause(ctx), cause(err))
		case <-time.After(wait):
		}
	}
}

func (s *State) look(ctx context.Context, key string) (value []byte, rev uint64, live bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.b.timing.attempt)
	defer cancel()
	stream, err := s.b.handles.stream(ctx, s.b.js, "KV_"+s.bucket)
	if err != nil {
		return nil, 0, false, err
	}
	m, err := stream.GetLastMsgForSubject(ctx, s.subject(key))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, 0, false, nil
	}
	if err != nil {
		return nil, 0, false, err
	}
	return m.Data, m.Sequence, m.Header.Get(kvOperation) == "", nil
}

// Put stores value if rev is still the revision of key; rev 0 means that key must not exist. It gives the new revision, on disk when it
// returns. news.ErrConflict when another worker was first; else the errors of Bus.PublishItem.
func (s *State) Put(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	newRev, err := s.put(ctx, key, value, rev)
	if err != nil {
		return 0, fmt.Errorf("put %s into bucket %s: %w", key, s.bucket, err)
	}
	return newRev, nil
}

func (s *State) put(ctx context.Context, key string, value []byte, rev uint64) (uint64, error) {
	newRev, again, err := s.set(ctx, key, value, rev)
	if !errors.Is(err, news.ErrConflict) {
		return newRev, err
	}
	now, nowRev, live, lookErr := s.last(ctx, key)
	switch {
	case lookErr != nil:
		return 0, err
	case again && live && nowRev > rev && bytes.Equal(now, value):
		return nowRev, nil // the first attempt was stored, only its answer was lost
	case rev == 0 && !live && nowRev > 0:
		newRev, _, err = s.set(ctx, key, value, nowRev) // over the marker of a deletion
		return newRev, err
	}
	return 0, err
}

func (s *State) set(ctx context.Context, key string, value []byte, rev uint64) (newRev uint64, again bool, err error) {
	m := nats.NewMsg(s.subject(key))
	m.Data = value
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(rev, 10))
	return s.write(ctx, key, m)
}

func (s *State) write(ctx context.Context, key string, m *nats.Msg) (newRev uint64, again bool, err error) {
	if err := s.check(key); err != nil {
		return 0, false, err
	}
	ack, again, err := s.b.send(ctx, "KV_"+s.bucket, m)
	if isConflict(err) {
		return 0, again, news.ErrConflict
	}
	if err != nil {
		return 0, again, err
	}
	return ack.Sequence, again, nil
}

// isConflict knows the answer of a single server and that of a replicated stream.
func isConflict(err error) bool {
	code := apiCode(err)
	return code == jetstream.JSErrCodeStreamWrongLastSequence || code == jetstream.JSErrCodeStreamWrongLastSequenceConstant
}

// Delete removes key, whatever its revision. A key that does not exist is no error.
func (s *State) Delete(ctx context.Context, key string) error {
	m := nats.NewMsg(s.subject(key))
	m.Header.Set(kvOperation, kvDelete)
	if _, _, err := s.write(ctx, key, m); err != nil {
		return fmt.Errorf("delete %s of bucket %s: %w", key, s.bucket, err)
	}
	return nil
}

// Keys lists the keys that have a value, sorted.
func (s *State) Keys(ctx context.Context) ([]string, error) {
	if err := s.b.publish.enter(); err != nil {
		return nil, fmt.Errorf("list bucket %s: %w", s.bucket, err)
	}
	defer s.b.publish.leave()
	ctx, cancel := context.WithTimeout(ctx, s.b.timing.publish)
	defer cancel()
	var keys []string
	err := patiently(ctx, func(ctx context.Context) error {
		kv, err := s.b.handles.bucket(ctx, s.b.js, s.bucket)
		if err == nil {
			keys, err = kv.Keys(ctx)
		}
		return err
	})
	if errors.Is(err, jetstream.ErrNoKeysFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list bucket %s: %w", s.bucket, err)
	}
	for i, k := range keys {
		keys[i] = unescapeKey(k)
	}
	slices.Sort(keys)
	return keys, nil
}

// Watch calls f with every value of the bucket, then with each change as it comes, until ctx ends (then it gives nil) or f returns an error, which
// Watch returns. A nil value means that the key was deleted. After a restart of the server values may come again; revisions tell.
func (s *State) Watch(ctx context.Context, f func(key string, value []byte, rev uint64) error) error {
	outer := ctx
	ctx, leave, err := s.b.enter(ctx)
	if err != nil {
		return fmt.Errorf("watch bucket %s: %w", s.bucket, err)
	}
	defer leave()
	for {
		err := s.watch(ctx, f)
		if outer.Err() != nil {
			return nil
		}
		if ctx.Err() != nil {
			return ErrClosed
		}
		if stop := (*stopError)(nil); errors.As(err, &stop) {
			return stop.err
		}
		if !errors.Is(err, errRenewed) {
			s.b.log.Warn("watch of a bucket broke off, starting again", "component", "bus", "reason", s.bucket, "err", err)
			sleep(ctx, resubscribe)
		}
	}
}

// watch reads with one subscription. A reconnect ends it: its own heartbeats would need 20 s to see that the server has forgotten it (measured).
func (s *State) watch(ctx context.Context, f func(key string, value []byte, rev uint64) error) error {
	era := s.b.link.era()
	kv, err := s.b.handles.bucket(ctx, s.b.js, s.bucket)
	if err != nil {
		return err
	}
	w, err := kv.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = w.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-era.Done():
			return errRenewed
		case e, ok := <-w.Updates():
			if !ok {
				return errors.New("the subscription ended")
			}
			if e == nil {
				continue // the initial values are through
			}
			value := e.Value()
			if e.Operation() != jetstream.KeyValuePut {
				value = nil
			} else if value == nil {
				value = []byte{}
			}
			if err := f(unescapeKey(e.Key()), value, e.Revision()); err != nil {
				return &stopError{err}
			}
		}
	}
}

// stopError carries an error of the caller's function through code that would otherwise begin again.
type stopError struct{ err error }

func (e *stopError) Error() string { return e.err.Error() }

func (e *stopError) Unwrap() error { return e.err }
