package bus

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tocsin/news"
)

// Names of streams and of consumers that the rest of the package refers to.
const (
	streamFetch   = "FETCH"
	streamItems   = "ITEMS"
	streamMatches = "MATCHES"
	streamAlerts  = "ALERTS"
	streamOutbox  = "OUTBOX"
	streamLedger  = "LEDGER"
	streamDead    = "DEAD"

	channelConsumer = "channel-" // and the name of the channel
	pinGroup        = "one"      // priority group of pinned consumers
)

// Stages name who works on a message: the closed list of the label stage and of DeadLetter.Stage.
const (
	StageFetcher  = "fetcher"
	StageMatcher  = "matcher"
	StageNotifier = "notifier"
	StageRouter   = "router"
	StageChannel  = "channel"
)

const (
	day     = 24 * time.Hour
	maxByte = 10 << 30 // default of Options.MaxStore

	// A pull that nobody answers ends after pullExpiry, and is repeated when two heartbeats, a fifth of it each, are missing. A pinned consumer loses its pin
	// when its client sends no pull for pinnedTTL, so its pulls are short.
	pullExpiry   = 10 * time.Second
	pinnedExpiry = time.Second
	pinnedTTL    = 3 * time.Second
)

// streamSpec is one row of the table of streams.
type streamSpec struct {
	name     string
	subjects []string
	work     bool          // WorkQueue: a message goes when it is acked; no age, count or byte limit, and schedules are allowed
	age      time.Duration // Limits: how long messages are kept
	share    int           // Limits: percent of Options.MaxStore
	window   time.Duration // in which the server knows a Nats-Msg-Id
	passing  bool          // Limits: the program's own test items go after passingAge
	s2       bool
	direct   bool
}

// consumerSpec is one row of the table of consumers.
type consumerSpec struct {
	stream, name, filter, stage string
	ackWait                     time.Duration
	maxAckPending               int
	pinned                      bool // one client at a time gets messages
	unacked                     bool // messages need no acknowledgement
	giveUp                      int  // after so many deliveries a failing message becomes a dead letter; 0: never
}

// bucketSpec is one row of the table of buckets.
type bucketSpec struct {
	name    string
	history int64
	age     time.Duration
}

// streams is the table. The shares of the Limits streams sum to 80 %: the rest is for FETCH, OUTBOX and the buckets, which have no limit.
var streams = []streamSpec{
	{name: streamFetch, subjects: []string{"fetch.schedule.*", "fetch.due.*"}, work: true, direct: true, window: 2 * time.Minute},
	{name: streamItems, subjects: []string{"items.*.*"}, age: 30 * day, share: 45, window: day, s2: true, direct: true, passing: true},
	{name: streamMatches, subjects: []string{"matches.*"}, age: 180 * day, share: 15, window: day, s2: true, passing: true},
	{name: streamAlerts, subjects: []string{"alerts.*.*"}, age: 365 * day, share: 5, window: day, s2: true, passing: true},
	{name: streamOutbox, subjects: []string{"outbox.due.*.*", "outbox.retry.*.*"}, work: true, direct: true, window: time.Hour},
	{name: streamLedger, subjects: []string{"ledger.*.*"}, age: 365 * day, share: 10, window: day, s2: true, passing: true},
	{name: streamDead, subjects: []string{"dead.*.*"}, age: 90 * day, share: 5, window: day},
}

var buckets = []bucketSpec{
	{name: "watchlists", history: jetstream.KeyValueMaxHistory},
	{name: "feedstate", history: 1},
	{name: "sent", history: 1, age: 30 * day},
	{name: "suppressed", history: 1}, // mail addresses that must not be written to
	{name: "silences", history: 8},
	{name: "health", history: 1, age: 30 * day}, // what processes tell of themselves, and troubles that people were told of
}

// consumers are the durable consumers but for those of the channels.
var consumers = []consumerSpec{
	{stream: streamFetch, name: "fetcher", filter: "fetch.due.>", stage: StageFetcher, ackWait: time.Minute, maxAckPending: 256},
	{stream: streamItems, name: "matcher", stage: StageMatcher, ackWait: 30 * time.Second, maxAckPending: 1000, giveUp: 5},
	{stream: streamMatches, name: "notifier", stage: StageNotifier, ackWait: 30 * time.Second, maxAckPending: 1000, pinned: true, giveUp: 5},
	{stream: streamAlerts, name: "router", stage: StageRouter, ackWait: 30 * time.Second, maxAckPending: 1000, pinned: true, giveUp: 5},
}

// specOf is the consumer of a stage other than StageChannel.
func specOf(stage string) consumerSpec {
	return consumers[slices.IndexFunc(consumers, func(c consumerSpec) bool { return c.stage == stage })]
}

// channelSpec is the consumer of one channel.
func channelSpec(channel string, concurrency int) consumerSpec {
	return consumerSpec{
		stream: streamOutbox, name: channelConsumer + channel, filter: "outbox.due." + channel + ".>", stage: StageChannel,
		ackWait: 30 * time.Second, maxAckPending: concurrency,
	}
}

// topic says where values of one type go and under which id.
type topic[T news.Wire] struct {
	stream  string
	subject func(*T) string
	id      func(*T) string
}

var items = topic[news.Item]{
	stream:  streamItems,
	subject: func(v *news.Item) string { return "items." + token(v.Lang) + "." + token(v.Feed) },
	id:      func(v *news.Item) string { return v.Key() },
}

var matches = topic[news.Match]{
	stream:  streamMatches,
	subject: func(v *news.Match) string { return "matches." + token(v.Watchlist) },
	id:      func(v *news.Match) string { return v.ID },
}

var alerts = topic[news.Alert]{
	stream:  streamAlerts,
	subject: func(v *news.Alert) string { return "alerts." + token(v.Severity.String()) + "." + token(v.Watchlist) },
	id:      func(v *news.Alert) string { return v.Key() },
}

var deliveries = topic[news.Delivery]{
	stream:  streamOutbox,
	subject: func(v *news.Delivery) string { return "outbox.due." + token(v.Channel) + "." + token(v.ID) },
	id: func(v *news.Delivery) string {
		if v.Replay > 0 {
			return v.ID + ".r" + strconv.Itoa(v.Replay)
		}
		return v.ID
	},
}

var ledger = topic[news.LedgerEntry]{
	stream:  streamLedger,
	subject: func(v *news.LedgerEntry) string { return "ledger." + token(v.Event) + "." + token(v.Channel) },
	id:      func(v *news.LedgerEntry) string { return v.Key() },
}

var dead = topic[news.DeadLetter]{
	stream:  streamDead,
	subject: func(v *news.DeadLetter) string { return "dead." + token(v.Stage) + "." + token(v.ID) },
	id:      func(v *news.DeadLetter) string { return v.Key() },
}

// layout is the table for one configuration: what must exist on the server.
type layout struct {
	maxStore    int64
	replicas    int
	shared      bool // several processes may be on this bus
	fetchers    int
	channels    []string // nil: not stated, leave the OUTBOX consumers as they are
	concurrency map[string]int
}

// streams gives the wanted configuration of every stream, the buckets' included, with the server's defaults written out.
func (l layout) streams() []jetstream.StreamConfig {
	var out []jetstream.StreamConfig
	for _, s := range streams {
		out = append(out, l.stream(s))
	}
	for _, b := range buckets {
		out = append(out, l.bucket(b))
	}
	return out
}

func (l layout) stream(s streamSpec) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name: s.name, Subjects: s.subjects, Storage: jetstream.FileStorage, Replicas: l.replicas, Duplicates: s.window, AllowDirect: s.direct,
		AllowAtomicPublish: true,
		MaxMsgs:            -1, MaxBytes: -1, MaxMsgsPerSubject: -1, MaxMsgSize: -1, MaxConsumers: -1,
	}
	// With copies a restarted server (2.15.2) cuts its store back to the last snapshot, and may compress the block to which it then appends: that
	// block can no longer be read, on any server to which it happened.
	if s.s2 && l.replicas == 1 {
		c.Compression = jetstream.S2Compression
	}
	if s.work {
		c.Retention, c.AllowMsgSchedules, c.AllowMsgTTL, c.AllowRollup = jetstream.WorkQueuePolicy, true, true, true
	} else {
		c.MaxAge, c.MaxBytes, c.AllowMsgTTL = s.age, l.maxStore/100*int64(s.share), s.passing
	}
	return c
}

// bucket is the stream behind a bucket, as nats.go would create it.
func (l layout) bucket(b bucketSpec) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: "KV_" + b.name, Subjects: []string{"$KV." + b.name + ".>"}, Storage: jetstream.FileStorage, Replicas: l.replicas,
		MaxMsgsPerSubject: b.history, MaxAge: b.age, Duplicates: 2 * time.Minute, Discard: jetstream.DiscardNew,
		AllowRollup: true, DenyDelete: true, AllowDirect: true, AllowAtomicPublish: true, MaxMsgs: -1, MaxBytes: -1, MaxMsgSize: -1, MaxConsumers: -1,
	}
}

// work tells whether a stream is a WorkQueue.
func (l layout) work(stream string) bool {
	return slices.ContainsFunc(streams, func(s streamSpec) bool { return s.name == stream && s.work })
}

// consumers gives every durable consumer.
func (l layout) consumers() []consumerSpec {
	var out []consumerSpec
	for _, c := range consumers {
		if c.stream == streamFetch {
			c.maxAckPending = 2 * l.fetchers
		}
		out = append(out, c)
	}
	for _, ch := range l.channels {
		out = append(out, channelSpec(ch, l.concurrencyOf(ch)))
	}
	return out
}

func (l layout) concurrencyOf(channel string) int {
	if n := l.concurrency[channel]; n > 0 {
		return n
	}
	return defaultConcurrency
}

func (c consumerSpec) config() jetstream.ConsumerConfig {
	out := jetstream.ConsumerConfig{
		Name: c.name, Durable: c.name, FilterSubject: c.filter, AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.ackWait,
		MaxDeliver: -1, MaxAckPending: c.maxAckPending, MaxWaiting: 512,
	}
	if c.unacked {
		out.AckPolicy, out.AckWait, out.MaxAckPending, out.DeliverPolicy = jetstream.AckNonePolicy, 0, 0, jetstream.DeliverNewPolicy
	}
	if c.pinned {
		out.PriorityPolicy, out.PriorityGroups, out.PinnedTTL = jetstream.PriorityPolicyPinned, []string{pinGroup}, pinnedTTL
	}
	return out
}

// channel is the channel that the consumer serves, "" when it serves none.
func (c consumerSpec) channel() string {
	name, _ := strings.CutPrefix(c.name, channelConsumer)
	if c.stage != StageChannel {
		return ""
	}
	return name
}

// expiry is how long one pull waits.
func (c consumerSpec) expiry() time.Duration {
	if c.pinned {
		return pinnedExpiry
	}
	return pullExpiry
}
