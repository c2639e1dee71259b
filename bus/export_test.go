package bus

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

var (
	Token       = token
	ValidToken  = validToken
	EscapeKey   = escapeKey
	UnescapeKey = unescapeKey
	ValidTrace  = validTrace
	VersionLess = versionLess
	RedactURL   = redactURL
	Differences = differences
)

// JS is the connection's JetStream, to do what the package itself would not.
func (b *Bus) JS() jetstream.JetStream { return b.js }

// Conn is the connection.
func (b *Bus) Conn() *nats.Conn { return b.link.nc }

// Hasten shortens what a test would otherwise wait for.
func (b *Bus) Hasten(publish, attempt, nak time.Duration) {
	b.timing = timing{publish, attempt, nak}
}

// RestartServer restarts the embedded server in place.
func (b *Bus) RestartServer(ctx context.Context) { b.srv.restart(ctx, "test") }

// KickDoctor has the embedded server looked at now.
func (b *Bus) KickDoctor() { b.srv.kick() }

// PollOnce reads the state for the metrics now. It counts what was dropped anew each time.
func (b *Bus) PollOnce(ctx context.Context) { b.pollOnce(ctx, map[string]uint64{}) }

// TableStreams are the streams and buckets as the table wants them.
func (b *Bus) TableStreams() []jetstream.StreamConfig { return b.layout.streams() }

// Rescue looks twice for messages that a consumer forgot, whatever their age.
func (b *Bus) Rescue(ctx context.Context) {
	stuck := map[string]uint64{}
	for range 2 {
		b.rescue(ctx, stuck, func(consumerSpec) time.Duration { return 0 })
	}
}

// PublishAlone keeps b from storing messages together.
func PublishAlone(b *Bus) {
	for _, s := range b.layout.streams() {
		b.groups.of(s.Name).off = time.Now().Add(time.Hour)
	}
}
