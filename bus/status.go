package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const statusBudget = 5 * time.Second // people wait for it

// Status is the state of the bus at one moment.
type Status struct {
	Server      string           `json:"server"`        // version of nats-server
	URL         string           `json:"url,omitempty"` // without user and password; "" when the server is embedded
	Embedded    bool             `json:"embedded"`
	Dir         string           `json:"dir,omitempty"` // embedded: data directory
	Connected   bool             `json:"connected"`
	Replicas    int              `json:"replicas"`
	SyncKnown   bool             `json:"sync_known"`           // every server could be asked
	SyncAlways  bool             `json:"sync_always"`          // and said that it syncs each write
	StoreFull   string           `json:"store_full,omitempty"` // embedded: why nothing is stored at present
	StoredBytes uint64           `json:"stored_bytes"`
	MaxStore    int64            `json:"max_store"`
	Streams     []StreamStatus   `json:"streams"`
	Consumers   []ConsumerStatus `json:"consumers"`
}

// StreamStatus is the state of one stream or bucket. First and Last are zero when it is empty.
type StreamStatus struct {
	Name          string    `json:"name"`
	Messages      uint64    `json:"messages"`
	Bytes         uint64    `json:"bytes"`
	MaxBytes      int64     `json:"max_bytes,omitempty"` // 0: no limit of its own
	FirstSequence uint64    `json:"first_sequence"`
	LastSequence  uint64    `json:"last_sequence"`
	First         time.Time `json:"first,omitzero"`
	Last          time.Time `json:"last,omitzero"`
}

// ConsumerStatus is the state of one durable consumer.
type ConsumerStatus struct {
	Name          string    `json:"name"`
	Stream        string    `json:"stream"`
	Pending       uint64    `json:"pending"`     // not handed out yet
	AckPending    int       `json:"ack_pending"` // under way, or waiting for another try
	Redelivered   int       `json:"redelivered"`
	Waiting       int       `json:"waiting"` // requests for messages that wait: 0 for long means that nobody reads
	LastDelivered time.Time `json:"last_delivered,omitzero"`
	LastAcked     time.Time `json:"last_acked,omitzero"`
	PausedFor     int64     `json:"paused_for_seconds,omitempty"`
}

// Status asks the server for the state of all streams and consumers. It is meant for people and for polls every few seconds.
func (b *Bus) Status(ctx context.Context) (Status, error) {
	if err := b.publish.enter(); err != nil {
		return Status{}, fmt.Errorf("status of the bus: %w", err)
	}
	defer b.publish.leave()
	ctx, cancel := context.WithTimeout(ctx, statusBudget)
	defer cancel()
	known, always := b.sync.get()
	st := Status{
		Server: b.link.nc.ConnectedServerVersion(), Embedded: b.srv != nil, Connected: b.Connected(), Replicas: b.layout.replicas,
		SyncKnown: known, SyncAlways: always, MaxStore: b.opts.MaxStore,
	}
	if b.srv != nil {
		st.Dir = b.opts.Dir
		if f := b.srv.refused(); f != nil {
			st.StoreFull = f.Fact
		}
	} else {
		st.URL = redactURL(b.opts.URL)
	}
	var infos []inspection
	err := patiently(ctx, func(ctx context.Context) (err error) {
		infos, err = b.inspect(ctx)
		return err
	})
	if err != nil {
		return st, fmt.Errorf("status of the bus: %w", err)
	}
	for _, in := range infos {
		s := in.stream
		st.StoredBytes += s.State.Bytes
		row := StreamStatus{
			Name: s.Config.Name, Messages: s.State.Msgs, Bytes: s.State.Bytes, MaxBytes: max(s.Config.MaxBytes, 0),
			FirstSequence: s.State.FirstSeq, LastSequence: s.State.LastSeq,
		}
		if s.State.Msgs > 0 {
			row.First, row.Last = s.State.FirstTime, s.State.LastTime
		}
		st.Streams = append(st.Streams, row)
		for _, c := range in.consumers {
			st.Consumers = append(st.Consumers, consumerStatus(c))
		}
	}
	return st, nil
}

func consumerStatus(c *jetstream.ConsumerInfo) ConsumerStatus {
	row := ConsumerStatus{Name: c.Name, Stream: c.Stream, Pending: c.NumPending, AckPending: c.NumAckPending, Redelivered: c.NumRedelivered, Waiting: c.NumWaiting}
	if c.Delivered.Last != nil {
		row.LastDelivered = *c.Delivered.Last
	}
	if c.AckFloor.Last != nil {
		row.LastAcked = *c.AckFloor.Last
	}
	if c.Paused {
		row.PausedFor = int64(c.PauseRemaining / time.Second)
	}
	return row
}

// inspection is a stream of the table with its consumers of the table.
type inspection struct {
	stream    *jetstream.StreamInfo
	consumers []*jetstream.ConsumerInfo
}

// inspect asks for everything of the table that concerns this process.
func (b *Bus) inspect(ctx context.Context) ([]inspection, error) {
	var out []inspection
	for _, want := range b.layout.streams() {
		if !b.concerns(want.Name) {
			continue
		}
		s, err := b.js.Stream(ctx, want.Name)
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", want.Name, err)
		}
		in := inspection{stream: s.CachedInfo()}
		for _, spec := range b.durables(ctx, s) {
			c, err := s.Consumer(ctx, spec)
			if errors.Is(err, jetstream.ErrConsumerNotFound) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("consumer %s: %w", spec, err)
			}
			in.consumers = append(in.consumers, c.CachedInfo())
		}
		out = append(out, in)
	}
	return out, nil
}

// durables names the consumers of the table on a stream that this process reads. When the channels are not stated, they are those that exist.
func (b *Bus) durables(ctx context.Context, s jetstream.Stream) (names []string) {
	name := s.CachedInfo().Config.Name
	for _, spec := range b.layout.consumers() {
		if spec.stream == name && b.roleReads(spec) {
			names = append(names, spec.name)
		}
	}
	if name == streamOutbox && b.layout.channels == nil {
		list := s.ConsumerNames(ctx)
		for n := range list.Name() {
			if strings.HasPrefix(n, channelConsumer) {
				names = append(names, n)
			}
		}
	}
	return names
}

// poll reads the state of consumers for the metrics.
func (b *Bus) poll(ctx context.Context) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	counted, stuck := map[string]uint64{}, map[string]uint64{}
	for {
		b.pollOnce(ctx, counted)
		b.rescue(ctx, stuck, forgotten)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (b *Bus) pollOnce(ctx context.Context, counted map[string]uint64) {
	ctx, cancel := context.WithTimeout(ctx, pollEvery)
	defer cancel()
	infos, err := b.inspect(ctx)
	if err != nil {
		if ctx.Err() == nil {
			b.log.Warn("state of the bus not read", "component", "bus", "err", err)
		}
		return
	}
	for _, in := range infos {
		for _, c := range in.consumers {
			b.metrics.pending.WithLabelValues(c.Name).Set(float64(c.NumPending))
			b.metrics.ackPending.WithLabelValues(c.Name).Set(float64(c.NumAckPending))
			b.metrics.dropped.WithLabelValues(c.Name).Add(0) // so that the first loss is an increase
			b.metrics.rescued.WithLabelValues(c.Name).Add(0)
			if lost := overrun(in.stream, c, counted[c.Name]); lost > 0 {
				counted[c.Name] = in.stream.State.FirstSeq - 1
				b.metrics.dropped.WithLabelValues(c.Name).Add(float64(lost))
				b.log.Error("stream dropped messages that nobody has read, give it more room", "component", "bus", "reason", c.Name, "count", lost)
			}
		}
	}
}

// overrun counts the messages that the limits of a stream removed before the consumer had finished with them, beyond those counted before.
func overrun(s *jetstream.StreamInfo, c *jetstream.ConsumerInfo, counted uint64) uint64 {
	if s.Config.Retention != jetstream.LimitsPolicy || s.State.FirstSeq == 0 {
		return 0
	}
	gone, settled := s.State.FirstSeq-1, max(c.AckFloor.Stream, counted)
	if gone <= settled {
		return 0
	}
	return gone - settled
}
