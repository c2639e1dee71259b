package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"tocsin/news"
)

// A schedule is a message that the server publishes again, on its target subject, at a time. It fires 0 to 250 ms late by design, at once when
// its time has passed, and it survives restarts. A later one on the same subject replaces it. Its firing leaves an earlier message of the target
// alone: both are handed out, and whoever handles the second finds the work of the first.
//
// The server could replace the earlier message (Nats-Schedule-Rollup), but 2.15.2 loses both when that one is acknowledged at the same moment: it
// counts the messages of the subject, lets the acknowledgement remove one, then removes as many as it had counted too many. Measured with
// acknowledgements within half a second of the firing: 4 of 8,000 lost, 0 of 4,000 without. The same removal lets the floor of a consumer jump over
// messages that are being worked on.

// ArmFetch has the feed polled at the given time, in place of what was planned for it before. The feed's handler in ConsumeDue calls it before
// it returns. Errors as in PublishItem.
func (b *Bus) ArmFetch(ctx context.Context, feedID string, at time.Time) error {
	_, _, err := b.send(ctx, streamFetch, b.fetchSchedule(ctx, feedID, at))
	if err != nil {
		return fmt.Errorf("plan poll of feed %s: %w", feedID, err)
	}
	return nil
}

// EnsureFetch has the feed polled at the given time if nothing is planned for it: no schedule waits, no poll is due, none is under way. It
// never makes a second chain of polls and may be called at any time by any number of processes. created tells whether there was nothing.
func (b *Bus) EnsureFetch(ctx context.Context, feedID string, at time.Time) (created bool, err error) {
	m := b.fetchSchedule(ctx, feedID, at)
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "0")
	m.Header.Set(jetstream.ExpectedLastSubjSeqSubjHeader, "fetch.*."+token(feedID)) // the due message stays until its poll is done
	_, _, err = b.send(ctx, streamFetch, m)
	if isConflict(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("ensure poll of feed %s: %w", feedID, err)
	}
	return true, nil
}

// CancelFetch forgets what is planned for the feed, and a poll that is due. A poll under way is not stopped; if its handler arms the next one,
// the feed lives on. It needs the right to purge, which only an administrator's key has on an external server.
func (b *Bus) CancelFetch(ctx context.Context, feedID string) error {
	if err := b.publish.enter(); err != nil {
		return fmt.Errorf("cancel poll of feed %s: %w", feedID, err)
	}
	defer b.publish.leave()
	ctx, cancel := context.WithTimeout(ctx, publishBudget)
	defer cancel()
	err := patiently(ctx, func(ctx context.Context) error {
		s, err := b.handles.stream(ctx, b.js, streamFetch)
		if err == nil {
			err = s.Purge(ctx, jetstream.WithPurgeSubject("fetch.*."+token(feedID)))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("cancel poll of feed %s: %w", feedID, err)
	}
	return nil
}

// fetchSchedule carries the feed id and nothing else, because the server copies it verbatim. Each poll begins a new trace.
func (b *Bus) fetchSchedule(ctx context.Context, feedID string, at time.Time) *nats.Msg {
	t := token(feedID)
	m := schedule("fetch.schedule."+t, "fetch.due."+t, at)
	m.Data = []byte(feedID)
	b.stamp(NewTrace(ctx), m)
	return m
}

// ArmRetry has the delivery due again at the given time, with the content given here, in place of an earlier retry of it. The handler of the
// delivery calls it before it returns nil. Errors as in PublishDelivery.
func (b *Bus) ArmRetry(ctx context.Context, d news.Delivery, at time.Time) error {
	if err := b.knownChannel(d.Channel); err != nil {
		return err
	}
	data, err := news.Encode(d)
	if err != nil {
		return err
	}
	m := schedule("outbox.retry."+token(d.Channel)+"."+token(d.ID), deliveries.subject(&d), at)
	m.Data = data
	b.stamp(ctx, m)
	if _, _, err := b.send(ctx, streamOutbox, m); err != nil {
		return fmt.Errorf("plan retry of delivery %s: %w", d.ID, err)
	}
	return nil
}

// replan has a message that its consumer forgot fire again at once. That firing takes its place: nobody is going to acknowledge it.
func (b *Bus) replan(ctx context.Context, stream string, forgotten *jetstream.RawStreamMsg) error {
	t := strings.Split(forgotten.Subject, ".")
	t[1] = map[string]string{streamFetch: "schedule", streamOutbox: "retry"}[stream]
	m := schedule(strings.Join(t, "."), forgotten.Subject, time.Now())
	m.Header.Set(jetstream.ScheduleRollupHeader, jetstream.MsgRollupSubject)
	m.Data = forgotten.Data
	b.stamp(ctx, m)
	_, _, err := b.send(ctx, stream, m)
	return err
}

// schedule is a message for subject that fires on target. nats.WithScheduleAt would cut the time to whole seconds.
func schedule(subject, target string, at time.Time) *nats.Msg {
	m := nats.NewMsg(subject)
	m.Header.Set(jetstream.ScheduleHeader, "@at "+at.UTC().Format(time.RFC3339Nano))
	m.Header.Set(jetstream.ScheduleTargetHeader, target)
	return m
}

// Queued tells which deliveries of the channel have a message in OUTBOX: due, in the hands of a handler, or armed. All are seen at one moment.
func (b *Bus) Queued(ctx context.Context, channel string) (has func(id string) bool, err error) {
	if err := b.publish.enter(); err != nil {
		return nil, fmt.Errorf("list deliveries of channel %s: %w", channel, err)
	}
	defer b.publish.leave()
	ctx, cancel := context.WithTimeout(ctx, publishBudget)
	defer cancel()
	ids := map[string]bool{}
	err = patiently(ctx, func(ctx context.Context) error {
		s, err := b.handles.stream(ctx, b.js, streamOutbox)
		if err != nil {
			return err
		}
		info, err := s.Info(ctx, jetstream.WithSubjectFilter("outbox.*."+token(channel)+".*"))
		if err != nil {
			return err
		}
		for subject := range info.State.Subjects {
			ids[subject[strings.LastIndexByte(subject, '.')+1:]] = true
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list deliveries of channel %s: %w", channel, err)
	}
	return func(id string) bool { return ids[token(id)] }, nil
}

// PauseChannel stops the deliveries of a channel until the given time; a time that has passed lets them go on at once. What is under way is
// not stopped.
func (b *Bus) PauseChannel(ctx context.Context, channel string, until time.Time) error {
	if err := b.publish.enter(); err != nil {
		return fmt.Errorf("pause channel %s: %w", channel, err)
	}
	defer b.publish.leave()
	ctx, cancel := context.WithTimeout(ctx, publishBudget)
	defer cancel()
	name := channelConsumer + token(channel)
	err := patiently(ctx, func(ctx context.Context) (err error) {
		if time.Until(until) <= 0 {
			_, err = b.js.ResumeConsumer(ctx, streamOutbox, name)
		} else {
			_, err = b.js.PauseConsumer(ctx, streamOutbox, name, until)
		}
		return err
	})
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("pause channel %s: %w", channel, news.ErrNotFound)
	}
	if err != nil {
		return fmt.Errorf("pause channel %s: %w", channel, err)
	}
	return nil
}
