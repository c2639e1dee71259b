package bus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	setupBudget  = 30 * time.Second // for one stream or consumer; a cluster elects a leader first
	setupAttempt = 10 * time.Second // for one answer
)

// Setup opens the bus at an external server with Options.Setup, closes it again, and tells what was made or changed, in the order of the work. A second
// call changes nothing. Errors as those of Open.
func Setup(ctx context.Context, o Options) (done []string, err error) {
	o.Setup = true
	b, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return b.done, b.Close(ctx)
}

// establish checks the server and makes the table true, or finds out that it is not.
func (b *Bus) establish(ctx context.Context) error {
	if b.srv != nil {
		b.sync.set(true, true)
		b.metrics.syncAlways.Set(1)
		if b.opts.restore {
			return b.empty(ctx).err()
		}
		return b.setup(ctx)
	}
	if !b.opts.Setup && !b.opts.restore {
		if err := b.checkRights(ctx); err != nil {
			return err // what is asked without a right is answered by nobody
		}
	}
	faults := b.checkServer(ctx)
	if err := faults.err(); err != nil && b.layout.replicas == 0 {
		return err // too old, or no JetStream: the rest would only be noise
	}
	faults = append(faults, b.checkSync(ctx)...)
	if b.opts.restore {
		return append(faults, b.empty(ctx)...).err()
	}
	if b.opts.Setup {
		if err := faults.err(); err != nil {
			return err // change nothing on a server that is refused
		}
		return b.setup(ctx)
	}
	return append(faults, b.compare(ctx)...).err()
}

// setup makes streams, consumers and buckets as the table has them.
func (b *Bus) setup(ctx context.Context) error {
	faults, noRoom := b.setupStreams(ctx)
	if noRoom && b.srv != nil {
		faults = b.shrink(ctx)
	}
	if err := faults.err(); err != nil {
		return err
	}
	for _, want := range append(b.layout.consumers(), b.layout.elected()...) {
		if err := patiently(ctx, func(ctx context.Context) error { return b.setupConsumer(ctx, want) }); err != nil {
			faults.add("consumer "+want.stream+"/"+want.name, cause(err), setupNext(err))
		}
	}
	if b.srv != nil && b.srv.crashed {
		faults = append(faults, b.resumeAll(ctx)...)
	}
	if err := b.sweepChannels(ctx); err != nil {
		faults.add("stream "+streamOutbox, "messages of removed channels could not be moved to "+streamDead+": "+cause(err), "start again")
	}
	return faults.err()
}

func (b *Bus) setupStreams(ctx context.Context) (faults Faults, noRoom bool) {
	for _, want := range b.layout.streams() {
		if err := patiently(ctx, func(ctx context.Context) error { return b.setupStream(ctx, want) }); err != nil {
			faults.add("stream "+want.Name, cause(err), setupNext(err))
			noRoom = noRoom || apiCode(err) == codeStorageExceeded
		}
	}
	return faults, noRoom
}

// shrink makes the streams smaller after Options.MaxStore was lowered. The server refuses any change of a stream while all of them together
// reserve more than its limit, so it gets a higher limit for that moment.
func (b *Bus) shrink(ctx context.Context) (faults Faults) {
	ctx, cancel := context.WithTimeout(ctx, setupBudget)
	defer cancel()
	for _, limit := range []int64{math.MaxInt64 / 2, b.opts.MaxStore} {
		before := b.link.nc.Stats().Reconnects
		b.srv.limit(ctx, limit)
		// The client may not have noticed yet that its connection ended, and what it sends there nobody answers.
		for (b.link.nc.Stats().Reconnects == before || !b.Connected()) && ctx.Err() == nil {
			sleep(ctx, embeddedRetry)
		}
		faults, _ = b.setupStreams(ctx)
		if len(faults) > 0 {
			return faults
		}
	}
	return nil
}

func setupNext(err error) string {
	switch code := apiCode(err); {
	case code == codeStorageExceeded:
		return "lower bus.max_store, or give the account or the server more storage"
	case errors.Is(err, context.DeadlineExceeded):
		return "the server did not answer: does this key hold the rights of an administrator?"
	case code != 0:
		return "the server refuses the change: make it by hand, or move the stream's messages away and delete it"
	}
	return "look at the log of the server"
}

// patiently tries again while a cluster is electing leaders or waiting for its servers, within the setup's budget. A leader that goes takes
// what it was asked with it, so an attempt without an answer is repeated too.
func patiently(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, setupBudget)
	defer cancel()
	for wait := firstRetryWait; ; wait = min(2*wait, maxRetryWait) {
		try, stop := context.WithTimeout(ctx, setupAttempt)
		err := f(try)
		stop()
		if err == nil || !electing(err) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		sleep(ctx, wait)
		if ctx.Err() != nil {
			return err
		}
	}
}

// electing tells whether an error of the server's API may go away by itself.
func electing(err error) bool {
	code := apiCode(err)
	return code == codeNoPeers || code == codeUnavailable || code == codeNotLeader || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, nats.ErrReconnectBufExceeded)
}

func (b *Bus) setupStream(ctx context.Context, want jetstream.StreamConfig) error {
	s, err := b.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if _, err = b.js.CreateStream(ctx, want); err == nil {
			b.done = append(b.done, "made stream "+want.Name)
		}
		return err
	}
	if err != nil {
		return err
	}
	got := s.CachedInfo().Config
	diff := differences(want, got)
	if len(diff) == 0 {
		return nil
	}
	want.Placement, want.Description, want.Metadata = got.Placement, got.Description, got.Metadata
	if _, err = b.js.UpdateStream(ctx, want); err == nil {
		b.done = append(b.done, "changed stream "+want.Name+": "+strings.Join(diff, "; "))
		b.log.Info("stream changed to the table", "component", "bus", "reason", want.Name, "status", fmt.Sprint(diff))
	}
	return err
}

// setupConsumer compares first and creates only what is absent: a refused create could destroy an existing consumer (nats-server #8491).
func (b *Bus) setupConsumer(ctx context.Context, spec consumerSpec) error {
	want := spec.config()
	c, err := b.js.Consumer(ctx, spec.stream, spec.name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		if _, err = b.js.CreateConsumer(ctx, spec.stream, want); err == nil {
			b.done = append(b.done, "made consumer "+spec.stream+"/"+spec.name)
		}
		return err
	}
	if err != nil {
		return err
	}
	got := c.CachedInfo().Config
	if diff := differences(want, got); len(diff) > 0 {
		want.Metadata, want.Description, want.PauseUntil = got.Metadata, got.Description, got.PauseUntil
		if _, err := b.js.UpdateConsumer(ctx, spec.stream, want); err != nil {
			return err
		}
		b.done = append(b.done, "changed consumer "+spec.stream+"/"+spec.name+": "+strings.Join(diff, "; "))
		b.log.Info("consumer changed to the table", "component", "bus", "reason", spec.name, "status", fmt.Sprint(diff))
	}
	return b.rewind(ctx, spec)
}

// ahead tells whether a consumer stands beyond the last message of its stream, and where it would have to stand. That happens when the
// stream lost its end and the consumer's state did not; without help it would never get the messages that take those numbers now.
func (b *Bus) ahead(ctx context.Context, spec consumerSpec) (next uint64, ahead bool, err error) {
	s, err := b.js.Stream(ctx, spec.stream)
	if err != nil {
		return 0, false, err
	}
	c, err := s.Consumer(ctx, spec.name)
	if err != nil {
		return 0, false, err
	}
	last, info := s.CachedInfo().State.LastSeq, c.CachedInfo()
	if info.Delivered.Stream <= last && info.AckFloor.Stream <= last {
		return 0, false, nil
	}
	return min(info.AckFloor.Stream, last) + 1, true, nil
}

// rewind puts a consumer that is ahead of its stream back to where its work ends. What is then delivered again has the same ids.
func (b *Bus) rewind(ctx context.Context, spec consumerSpec) error {
	next, ahead, err := b.ahead(ctx, spec)
	if err != nil || !ahead {
		return err
	}
	b.log.Warn("consumer stood beyond the end of its stream, set back", "component", "bus", "reason", spec.name, "count", next)
	if _, err = b.js.ResetConsumerToSequence(ctx, spec.stream, spec.name, next); err == nil {
		b.done = append(b.done, fmt.Sprintf("set consumer %s/%s back to %d: its stream has lost its end", spec.stream, spec.name, next))
	}
	return err
}
