package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tocsin/news"
)

// sweepChannels moves the messages of channels that are no longer configured to DEAD, due ones and planned retries alike, and then deletes
// the channels' consumers. Nobody would read those messages. When the channels are not stated it does nothing.
func (b *Bus) sweepChannels(ctx context.Context) error {
	if b.layout.channels == nil {
		return nil
	}
	s, err := b.js.Stream(ctx, streamOutbox)
	if err != nil {
		return err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter("outbox.>"))
	if err != nil {
		return err
	}
	for _, subject := range news.SortedKeys(info.State.Subjects) {
		if t := strings.Split(subject, "."); len(t) == 4 && !slices.Contains(b.layout.channels, t[2]) {
			if err := b.sweepSubject(ctx, s, subject, t[2]); err != nil {
				return fmt.Errorf("%s: %w", subject, err)
			}
		}
	}
	list := s.ConsumerNames(ctx)
	for name := range list.Name() {
		if ch, ok := strings.CutPrefix(name, channelConsumer); ok && !slices.Contains(b.layout.channels, ch) {
			if err := s.DeleteConsumer(ctx, name); err != nil {
				return fmt.Errorf("delete consumer %s: %w", name, err)
			}
			b.done = append(b.done, "removed consumer "+streamOutbox+"/"+name+": its channel is no longer configured")
			b.log.Info("consumer of a removed channel deleted", "component", "bus", "channel", ch)
		}
	}
	return list.Err()
}

func (b *Bus) sweepSubject(ctx context.Context, s jetstream.Stream, subject, channel string) error {
	for {
		m, err := s.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		d := news.DeadLetter{
			Stage: StageChannel, ID: subject[strings.LastIndexByte(subject, '.')+1:], Channel: channel, Reason: DeadChannelRemoved,
			Error: "the channel is no longer configured", Subject: subject, Payload: m.Data, Sequence: m.Sequence, At: time.Now().UTC(),
		}
		if v, err := news.Decode[news.Delivery](m.Data); err == nil {
			d.ID, d.Channel, d.Summary, d.Attempts = v.ID, v.Channel, v.Subject, v.Attempt
		}
		if _, err := b.PublishDead(ctx, d); err != nil {
			return err
		}
		b.log.Warn("message of a removed channel became a dead letter", "component", "bus", "channel", channel, "delivery", d.ID)
		if err := s.DeleteMsg(ctx, m.Sequence); err != nil {
			return err
		}
	}
}
