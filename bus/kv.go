package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
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
	live, err := s.keys(ctx)
	if err != nil {
		return nil, fmt.Errorf("list bucket %s: %w", s.bucket, err)
	}
	var keys []string
	for k, v := range live {
		if v {
			keys = append(keys, unescapeKey(k))
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// keys reads the whole bucket with direct requests. A consumer would do, but making one every few seconds is work for the whole cluster, and the right
// to make one lets a key have messages delivered to subjects of others.
func (s *State) keys(ctx context.Context) (live map[string]bool, err error) {
	if err := s.check("any"); err != nil {
		return nil, err
	}
	if err := s.b.publish.enter(); err != nil {
		return nil, err
	}
	defer s.b.publish.leave()
	ctx, cancel := context.WithTimeoutCause(ctx, s.b.timing.publish, ErrUnavailable)
	defer cancel()
	live = map[string]bool{}
	next, wait := uint64(1), firstRetryWait
	for next > 0 {
		n, err := s.page(ctx, next, live)
		switch {
		case err == nil:
			next, wait = n, firstRetryWait
			continue
		case errors.Is(err, nats.ErrConnectionClosed):
			return nil, ErrClosed
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %s", context.Cause(ctx), cause(err))
		case <-time.After(wait):
			wait = min(2*wait, maxRetryWait)
		}
	}
	return live, nil
}

// keysAtOnce is how many entries of a bucket one request asks for.
const keysAtOnce = 256

// page notes the entries from sequence next on, and gives the sequence after the last of them, 0 when there are no more.
func (s *State) page(ctx context.Context, next uint64, live map[string]bool) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.b.timing.attempt)
	defer cancel()
	defer context.AfterFunc(s.b.link.era(), cancel)() // who was asked before a reconnect does not answer
	prefix, nc := "$KV."+s.bucket+".", s.b.link.nc
	inbox := nc.NewRespInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return 0, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	ask := fmt.Sprintf(`{"seq":%d,"next_by_subj":%q,"batch":%d}`, next, prefix+">", keysAtOnce)
	if err := nc.PublishRequest("$JS.API.DIRECT.GET.KV_"+s.bucket, inbox, []byte(ask)); err != nil {
		return 0, err
	}
	for n := 0; ; n++ {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return 0, err
		}
		switch status := m.Header.Get("Status"); {
		case status == "404", status == "204" && n < keysAtOnce:
			return 0, nil
		case status == "204":
			return next, nil
		case status != "":
			return 0, fmt.Errorf("the server answers %s %s", status, m.Header.Get("Description"))
		}
		seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("an entry without its number: %w", err)
		}
		next = seq + 1
		live[strings.TrimPrefix(m.Header.Get(jetstream.SubjectHeader), prefix)] = m.Header.Get(kvOperation) == ""
	}
}

// stopError carries an error of the caller's function through code that would otherwise begin again.
type stopError struct{ err error }

func (e *stopError) Error() string { return e.err.Error() }

func (e *stopError) Unwrap() error { return e.err }
