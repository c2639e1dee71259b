package bus

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// What a kill does to the state of a consumer, measured with nats-server 2.15.2 (a process killed 25 times in a minute): messages that were
// being worked on at that moment may count as acknowledged afterwards, although they were not and still lie in their stream. In a WorkQueue they
// then lie below the consumer's floor for ever: a feed was never polled again. (nats-server #7680 tells of the like.) Hence two answers: resume
// sets the consumers of the embedded server back after a crash, and rescue looks for such messages while the bus is open, on any server.

// rewindBy is how many messages of a stream with limits are handed out again after a crash: several times what can be under way at once (the
// router works on 96 alerts), because those that take longest lie far behind the newest. Every id is deterministic, so working through them again
// changes nothing.
const rewindBy = 256

// resumeAll sets every consumer back after a crash. A start that fails on the way leaves the crash to the next one.
func (b *Bus) resumeAll(ctx context.Context) (faults Faults) {
	for _, spec := range b.layout.consumers() {
		if err := b.resume(ctx, spec); err != nil {
			faults.add("consumer "+spec.stream+"/"+spec.name, "it cannot be set back after the crash: "+cause(err), "start again")
		}
	}
	b.srv.crashed = len(faults) > 0
	return faults
}

// resume hands out again what may have been under way when the process before this one died. It also spares these messages their AckWait.
func (b *Bus) resume(ctx context.Context, spec consumerSpec) error {
	ctx, cancel := context.WithTimeout(ctx, setupBudget)
	defer cancel()
	c, err := b.js.Consumer(ctx, spec.stream, spec.name)
	if err != nil {
		return err
	}
	floor, next := c.CachedInfo().AckFloor.Stream, uint64(1)
	if !b.layout.work(spec.stream) && floor > rewindBy {
		next = floor - rewindBy + 1
	}
	if _, err := b.js.ResetConsumerToSequence(ctx, spec.stream, spec.name, next); err != nil {
		return err
	}
	b.log.Debug("consumer set back after a crash", "component", "bus", "reason", spec.name, "count", floor)
	return nil
}

// rescue finds messages of a WorkQueue that lie below the floor of their consumer for longer than AckWait, and plans them again through a schedule,
// which replaces them when it fires. One message of each consumer a round is enough: there are few, and rounds follow one another.
func (b *Bus) rescue(ctx context.Context, stuck map[string]uint64, age func(consumerSpec) time.Duration) {
	if b.opts.Role == RoleStatus {
		return // it only looks
	}
	for _, spec := range b.layout.consumers() {
		if !b.layout.work(spec.stream) || !b.roleReads(spec) || b.mayNotLook(spec.stream) || ctx.Err() != nil {
			continue
		}
		m, err := b.below(ctx, spec, age(spec))
		switch {
		case err != nil:
			b.log.Debug("consumer could not be examined", "component", "bus", "reason", spec.name, "err", err)
		case m == nil:
			delete(stuck, spec.name)
		case stuck[spec.name] != m.Sequence:
			stuck[spec.name] = m.Sequence // an acknowledgement may just be on its way: look again next time
		default:
			b.planAgain(ctx, spec, m)
		}
	}
}

// mayNotLook tells that this key was refused a look at the stream's messages: then another process has to rescue them.
func (b *Bus) mayNotLook(stream string) bool {
	return b.link.deniedPublish("$JS.API.DIRECT.GET."+stream) != ""
}

// forgotten is the age from which a message below the floor counts as forgotten.
func forgotten(spec consumerSpec) time.Duration { return 2 * spec.ackWait }

// below gives the oldest message of a consumer that lies under its floor for longer than age, or nil.
func (b *Bus) below(ctx context.Context, spec consumerSpec, age time.Duration) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := b.js.Stream(ctx, spec.stream)
	if err != nil {
		return nil, err
	}
	c, err := s.Consumer(ctx, spec.name)
	if err != nil {
		return nil, err
	}
	m, err := s.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(spec.filter))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil || m.Sequence > c.CachedInfo().AckFloor.Stream || time.Since(m.Time) < age {
		return nil, err
	}
	return m, nil
}

func (b *Bus) planAgain(ctx context.Context, spec consumerSpec, m *jetstream.RawStreamMsg) {
	err := b.replan(ctx, spec.stream, m)
	id := m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]
	if err != nil {
		b.log.Warn("message that its consumer had forgotten is not planned again yet", "component", "bus", "reason", spec.name, "item", id, "err", err)
		return
	}
	b.metrics.rescued.WithLabelValues(spec.name).Inc()
	b.log.Warn("message that its consumer had forgotten is planned again", "component", "bus", "reason", spec.name, "item", id)
}
