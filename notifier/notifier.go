// Package notifier takes matches in and gets alerts to people. It owns what becomes one alert and what an update (story.go), which route and
// channel carry it (route.go), the plan of deliveries (outbox.go), every attempt with its guard, retry and dead letter (sender.go), and the
// ledger that proves it (ledger.go).
//
// It promises: one match gives exactly one record in ALERTS, the same again after a redelivery; an alert that was accepted is delivered, dead,
// suppressed or pending, each visible; a duplicate can only come from an ambiguous attempt, carries the same id, and is counted.
//
// It leaves to others: storing and bringing back messages (package bus, through the functions in Options), speaking to an endpoint (the channel
// packages below), and telling what is worth an alert (package matcher).
package notifier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tocsin/news"
)

// Options are what a Notifier needs. Fields that may be nil or zero say so.
type Options struct {
	Config   Config
	Channels []Channel

	// Publish functions return nil only when the record is stored. They de-duplicate by the record's Key (Delivery: by id and replay).
	// PublishAlert may give news.ErrConflict: another process stored this revision for another match.
	PublishAlert    func(ctx context.Context, a news.Alert) error
	PublishDelivery func(ctx context.Context, d news.Delivery) error
	PublishLedger   func(ctx context.Context, l news.LedgerEntry) error
	PublishDead     func(ctx context.Context, d news.DeadLetter) error
	// ArmRetry brings d back to HandleDelivery at the given time. Arming again replaces the time.
	ArmRetry func(ctx context.Context, d news.Delivery, at time.Time) error
	// Queued tells which deliveries of a channel have a message in OUTBOX: due, in a sender's hands, or armed. May be nil: Rescue then does nothing.
	Queued func(ctx context.Context, channel string) (has func(id string) bool, err error)
	// LoadSent and SaveSent are the guard under "<channel>.<delivery id>": news.ErrNotFound when it was never written, news.ErrConflict when
	// rev is not the latest revision. rev 0 creates.
	LoadSent func(ctx context.Context, key string) (data []byte, rev uint64, err error)
	SaveSent func(ctx context.Context, key string, data []byte, rev uint64) (uint64, error)
	// Replay calls f for every stored alert since a time, in order.
	Replay func(ctx context.Context, since time.Time, f func(news.Alert) error) error
	// ReplayLedger calls f for every ledger entry since a time, in order, so that tocsin_ledger_entries counts from before this start. May be nil.
	ReplayLedger func(ctx context.Context, since time.Time, f func(news.LedgerEntry) error) error
	// LoadSilences and SaveSilences are the one value of bucket silences, as LoadSent and SaveSent without a key. May be nil: silences then come
	// from the configuration alone.
	LoadSilences func(ctx context.Context) (data []byte, rev uint64, err error)
	SaveSilences func(ctx context.Context, data []byte, rev uint64) (uint64, error)
	// Plans tells whether this process is the one that plans: TakeOver says what that means. Always when nil.
	Plans func() bool
	// Pause stops the channel's consumer until a time, while its circuit is open. May be nil: deliveries then come back one by one.
	Pause func(ctx context.Context, channel string, until time.Time) error

	FeedbackKey []byte // signs the links of feedback; no links when empty

	// AtOnce plans the deliveries of one alert at the same time, so that their writes wait for the disk together. The functions above must bear it.
	AtOnce bool
	// Alone says that no other process can send: what was in a sender's hands before this one began is in nobody's now, and does not wait for AckWait.
	Alone bool

	AckWait    time.Duration         // how long the bus waits before it brings an unacknowledged delivery back; 30 s when 0
	Now        func() time.Time      // time.Now when nil
	Log        *slog.Logger          // discarded when nil
	Registerer prometheus.Registerer // its own registry when nil
}

// Notifier turns matches into alerts, alerts into deliveries, and makes the deliveries. Its methods may be called from several goroutines.
type Notifier struct {
	o       Options
	began   time.Time
	root    *tree
	maxAge  time.Duration
	gates   map[string]*gate // by channel id
	stories *stories
	busy    busy

	canaryAt atomic.Int64 // Unix milliseconds; 0 before the first

	silences *silenceBook
	inhibits *inhibitions
	quiet    intervals
	holds    *holds
	feedback map[string]bool // ids of the verdicts that were counted

	fold   *Fold
	next   *Fold // takes the place of fold soon; nil but during TakeOver
	foldMu sync.Mutex
	behind bool // another process stored records that stories does not know; guarded by its turn
	m      *metrics
}

// New checks the options and returns a Notifier; call Restore once before it handles anything.
func New(o Options) (*Notifier, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	o.Channels = slices.Clone(o.Channels)
	ids := make([]string, len(o.Channels))
	for i, c := range o.Channels {
		ids[i] = c.ID
	}
	if err := o.Config.Check(ids).Err(); err != nil {
		return nil, fmt.Errorf("notifier configuration: %w", err)
	}
	root, err := compileRoute(o.Config.Route, nil)
	if err != nil {
		return nil, err
	}
	n := &Notifier{o: o, began: o.Now(), root: root, maxAge: o.Config.maxAge(), gates: map[string]*gate{}, fold: NewFold()}
	n.quiet, n.holds, n.feedback = o.Config.intervals(), newHolds(), map[string]bool{}
	if n.stories, err = newStories(&o.Config); err != nil {
		return nil, err
	}
	if n.silences, err = newSilenceBook(o.Config.Silences); err != nil {
		return nil, err
	}
	if n.inhibits, err = newInhibitions(o.Config.Inhibit); err != nil {
		return nil, err
	}
	for i := range o.Channels {
		c := &o.Channels[i]
		if n.maxAge+longest(c.schedule()) >= sentAge {
			return nil, fmt.Errorf("channel %s: max_alert_age %s and its retry schedule are together not less than %s: shorten one of them", c.ID, n.maxAge, sentAge)
		}
		if n.gates[c.ID] != nil {
			return nil, fmt.Errorf("channel %s stands twice: give each channel its own id", c.ID)
		}
		n.gates[c.ID] = newGate(c)
	}
	if n.m, err = newMetrics(o.Registerer, n); err != nil {
		return nil, err
	}
	for i := range o.Channels {
		n.useCustom(&o.Channels[i])
	}
	return n, nil
}

func (o *Options) complete() error {
	if o.PublishAlert == nil || o.PublishDelivery == nil || o.PublishLedger == nil || o.PublishDead == nil ||
		o.ArmRetry == nil || o.LoadSent == nil || o.SaveSent == nil {
		return errors.New("notifier: a publish, retry or sent function is missing")
	}
	for _, c := range o.Channels {
		if c.ID == "" || c.Render == nil || c.Send == nil || len(c.Recipients) == 0 {
			return fmt.Errorf("notifier: channel %q lacks its id, Render, Send or recipients", c.ID)
		}
	}
	if o.AckWait <= 0 {
		o.AckWait = 30 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	return nil
}

// Restore rebuilds the state of open alerts from ALERTS, and the counts of the ledger. Call it once, before the first Handle call.
func (n *Notifier) Restore(ctx context.Context) error { return n.restore(ctx, n.count) }

func (n *Notifier) restore(ctx context.Context, count func(news.LedgerEntry)) error {
	since := n.o.Now().Add(-Retention)
	if n.o.ReplayLedger != nil {
		err := n.o.ReplayLedger(ctx, since, func(l news.LedgerEntry) error {
			count(l)
			n.holds.learn(&l)
			return nil
		})
		if err != nil {
			return fmt.Errorf("rebuild ledger counts: %w", err)
		}
	}
	if n.o.Replay != nil {
		err := n.o.Replay(ctx, since, func(a news.Alert) error {
			n.stories.restore(&a)
			n.inhibits.see(&a)
			n.holds.offer(&a)
			return nil
		})
		if err != nil {
			return fmt.Errorf("rebuild alerts: %w", err)
		}
	}
	if err := n.rebuildHolds(ctx); err != nil {
		return err
	}
	if err := n.refreshSilences(ctx, 0); err != nil {
		return err
	}
	n.stories.sweep(n.o.Now())
	return nil
}

// HandleMatch makes one record in ALERTS of a match: the first of its alert, an update, or a fold. A match that has its record makes no other. The
// records are stored in the order in which they were decided: while one cannot be stored no further match is taken, so that what is decided always
// rests on what a restart will find.
func (n *Notifier) HandleMatch(ctx context.Context, m news.Match) error {
	if m.Item.Reason == news.ReasonCanary {
		return n.publishAlert(ctx, canaryAlert(&m, n.o.Now()))
	}
	s := n.stories
	s.turn.Lock()
	defer s.turn.Unlock()
	if err := n.catchUp(ctx); err != nil {
		return err
	}
	if err := n.storeWaiting(ctx); err != nil {
		return err
	}
	if !s.take(&m, n.o.Now()) {
		return nil
	}
	return n.storeWaiting(ctx)
}

// storeWaiting stores the record that was decided last, if it is not stored yet. The caller holds the turn.
func (n *Notifier) storeWaiting(ctx context.Context) error {
	a := n.stories.waiting
	if a == nil {
		return nil
	}
	if err := n.publishAlert(ctx, *a); err != nil {
		return n.overtaken(err)
	}
	n.m.alert(a)
	n.stories.stored()
	return nil
}

func (n *Notifier) publishAlert(ctx context.Context, a news.Alert) error {
	if err := n.o.PublishAlert(ctx, a); err != nil {
		return fmt.Errorf("publish alert %s: %w", a.ID, err)
	}
	return nil
}

// Channels tells the state of every channel, in the order of the configuration.
func (n *Notifier) Channels() []ChannelStatus {
	out := make([]ChannelStatus, len(n.o.Channels))
	for i, c := range n.o.Channels {
		out[i] = n.gates[c.ID].status()
	}
	return out
}
