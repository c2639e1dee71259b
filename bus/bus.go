// Package bus owns everything NATS: the server inside the program, the connection, streams, key-value buckets, publishing, consuming, and the
// schedules that poll feeds and repeat deliveries.
//
// It promises four things. A publish that returned nil is on disk. An input is acknowledged only after its handler returned nil, so after its
// outputs are on disk. One table (topics.go) says what exists on the server. A server that cannot keep the first promise is refused at start.
// What arrives is therefore at least once and with the same id each time; to make that once is left to the readers, who fold by id.
//
// It leaves to others what messages mean, when to poll, whom to tell, and how often a delivery is tried.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
)

// Options say where the bus is and what it must look like.
type Options struct {
	URL        string // of an external server, or several separated by commas; "" runs the server inside the program
	NKeyFile   string // external: file with the seed of the user's nkey; "" for none
	CAFile     string // external: certificates that the server's must descend from; "" for those of the system
	CertFile   string // external: certificate that this process shows to the server; "" for none. KeyFile must follow
	KeyFile    string // external: private key of CertFile
	SystemNKey string // external: like NKeyFile, for a user of the system account, who may ask each server whether it syncs; "" if there is none
	Role       string // external: which rights this process needs: fetcher, matcher, notifier or status; "" for those of all three

	Dir         string // embedded: data directory, made if need be
	Listen      string // embedded: "127.0.0.1:4222" opens a port for programs on this machine; "" opens none
	DiskReserve int64  // embedded: bytes of the disk that stay free; with less, publishes are refused. 0 is 64 MB, negative switches it off

	MaxStore   int64 // bytes that all messages may take on disk; 0 is 10 GB. Streams with limits get shares of 80 % of it
	Replicas   int   // external: copies of each message, 1 or 3; 0 is what the server says: 3 in a cluster, else 1
	Setup      bool  // external: make streams, consumers and buckets as the table has them; otherwise a difference is refused. Embedded: always
	FetchLimit int   // polls that may be under way at once, over all processes; 0 is 128

	// Channels are the configured channels, [a-z0-9_-]; each gets a consumer. Messages of channels that are not named become dead letters. nil
	// means "not stated": the consumers of channels stay as they are.
	Channels []string
	// Concurrency says how many deliveries of a channel may be under way at once, over all processes; 32 for those not named.
	Concurrency map[string]int

	restore    bool                  // the store must be empty, and nothing is made
	Grace      time.Duration         // how long handlers may go on after the context of Consume has ended; 0 is 10 s
	Log        *slog.Logger          // nil discards
	Registerer prometheus.Registerer // nil for none
}

const (
	defaultConcurrency = 32
	defaultFetchers    = 128
	defaultReserve     = 64 << 20
	defaultGrace       = 10 * time.Second

	pollEvery   = 15 * time.Second // state of streams and consumers
	doctorEvery = 5 * time.Second  // health of the embedded server
)

// Bus is an open connection to the bus. Its methods may be called from several goroutines at once.
type Bus struct {
	opts    Options
	layout  layout
	log     *slog.Logger
	metrics *metrics
	srv     *embedded // nil when the server is external
	link    link
	js      jetstream.JetStream
	sync    syncState
	done    []string // what setup made or changed
	unseen  []string // streams that this key may not read; they concern other roles
	timing  timing

	run     context.Context // ends when Close begins: consumers, readers and watchers stop
	stop    context.CancelFunc
	alive   context.Context // ends when Close runs out of time: publishes and handlers are cut off
	kill    context.CancelFunc
	loops   sync.WaitGroup // our own goroutines
	gate    gate           // Consume, Read and Watch calls
	publish gate           // publishes and state writes
	handles handles
	groups  groups
	closing sync.Once
	closed  error
}

// timing is what tests must be able to shorten.
type timing struct {
	publish time.Duration // for one publish with all its attempts
	attempt time.Duration // for one answer of the server
	nak     time.Duration // before the second delivery of a message whose handler failed
}

// Open starts the embedded server or connects to the external one, checks that it can keep the promises of this package, and makes or
// compares the table. All faults are returned at once, as Faults. It is bounded by ctx and by its own budgets.
func Open(ctx context.Context, o Options) (*Bus, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	b := &Bus{opts: o, log: o.Log, layout: layout{maxStore: o.MaxStore, replicas: 1, shared: o.URL != "" || o.Listen != "", fetchers: o.FetchLimit, channels: o.Channels, concurrency: o.Concurrency}}
	b.timing = timing{publish: publishBudget, attempt: attemptBudget, nak: firstNakWait}
	b.link.closed, b.link.denied = make(chan struct{}), map[string]string{}
	b.link.renew(ctx)
	b.run, b.stop = context.WithCancel(context.WithoutCancel(ctx))
	b.alive, b.kill = context.WithCancel(context.WithoutCancel(ctx))
	if err := b.open(ctx); err != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return nil, errors.Join(err, b.Close(ctx))
	}
	return b, nil
}

func (b *Bus) open(ctx context.Context) error {
	var err error
	if b.metrics, err = newMetrics(b.opts.Registerer, b.Connected); err != nil {
		return err
	}
	if b.opts.URL == "" {
		err = b.openEmbedded(ctx)
	} else {
		err = b.connectExternal(ctx)
	}
	if err != nil {
		return err
	}
	if b.js, err = jetstream.New(b.link.nc); err != nil {
		return fmt.Errorf("open jetstream: %w", err)
	}
	if err := b.establish(ctx); err != nil {
		return err
	}
	if b.opts.restore {
		return nil
	}
	b.loops.Go(func() { b.poll(b.run) })
	if b.srv != nil {
		b.warnSmallDisk(ctx)
		b.loops.Go(func() { b.srv.doctor(b.run, doctorEvery) })
	}
	return nil
}

func (b *Bus) openEmbedded(ctx context.Context) error {
	srv, err := newEmbedded(b.opts)
	if err != nil {
		return err
	}
	b.srv = srv
	srv.onFull = func(full bool) {
		b.metrics.storeFull.Set(boolFloat(full))
		b.link.renew(b.alive) // a stream that met a write error never answers: who waits for it may stop
	}
	srv.onBoot = b.metrics.restarts.Inc
	if err := srv.start(ctx); err != nil {
		return err
	}
	return b.connectEmbedded()
}

// warnSmallDisk tells when the disk is full before the store's own limits are reached.
func (b *Bus) warnSmallDisk(ctx context.Context) {
	info, err := withBudget(ctx, b.js.AccountInfo)
	free, ok := freeDisk(b.opts.Dir)
	if err == nil && ok && free+int64(info.Store) < b.opts.MaxStore {
		b.log.Warn("disk is smaller than the store may grow, free some space or lower bus.max_store", "component", "bus", "file", b.opts.Dir,
			"reason", fmt.Sprintf("%d MB are free, the store may take %d MB more", free>>20, (b.opts.MaxStore-int64(info.Store))>>20))
	}
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	set := func(p *int64, v int64) {
		if *p == 0 {
			*p = v
		}
	}
	set(&o.MaxStore, maxByte)
	set(&o.DiskReserve, defaultReserve)
	set((*int64)(&o.Grace), int64(defaultGrace))
	if o.FetchLimit <= 0 {
		o.FetchLimit = defaultFetchers
	}
	return o
}

func (o Options) check() error {
	var faults Faults
	for _, ch := range o.Channels {
		if !validToken(ch) {
			faults.add("channel "+ch, "the name cannot be part of a subject", "use 1 to 64 of a-z, 0-9, _ and -")
		}
	}
	if o.URL == "" && o.Dir == "" {
		faults.add("data_dir", "it is empty", "name a directory for the embedded server, or set bus.url")
	}
	if o.URL == "" && o.Replicas > 1 {
		faults.add("bus.replicas", "the embedded server is alone", "remove it, or set bus.url to a cluster of three")
	}
	if o.Replicas != 0 && o.Replicas != 1 && o.Replicas != 3 {
		faults.add("bus.replicas", fmt.Sprintf("%d copies are not safe", o.Replicas), "use 3 in a cluster, 1 on a single server")
	}
	if o.MaxStore < 1<<20 {
		faults.add("bus.max_store", fmt.Sprintf("%d bytes are too few", o.MaxStore), "give it at least 1 MB; 10 GB is the default")
	}
	if !knownRole(o.Role) {
		faults.add("bus.role", fmt.Sprintf("%q is no role", o.Role), "use fetcher, matcher, notifier or status, or leave it empty")
	}
	return faults.err()
}

// Connected tells whether the connection to the server stands at this moment.
func (b *Bus) Connected() bool { return b.link.nc != nil && b.link.nc.IsConnected() }

func (b *Bus) stopping() bool { return b.run.Err() != nil }

// Close ends the bus in order: consumers stop and their handlers finish, publishes under way get their answer, the connection drains, the
// embedded server shuts down, and last the data directory is free. When ctx ends first, what is still under way is cut off with an error;
// its messages are not acknowledged and come back. Close may be called more than once.
func (b *Bus) Close(ctx context.Context) error {
	b.closing.Do(func() { b.closed = b.shutdown(ctx) })
	return b.closed
}

func (b *Bus) shutdown(ctx context.Context) error {
	defer b.kill()
	b.stop()
	defer context.AfterFunc(ctx, b.kill)() // out of time: cut off, so that the waits below end
	errs := []error{
		b.gate.close(ctx, "handlers"),
		b.publish.close(ctx, "publishes"),
		b.disconnect(ctx),
	}
	b.loops.Wait()
	if b.srv != nil {
		errs = append(errs, b.srv.stop()) // out of time or not: a server that is left running would keep the directory
	}
	if b.metrics != nil {
		b.metrics.unregister()
	}
	return errors.Join(errs...)
}

// disconnect drains the connection: what was sent arrives, what has arrived is handled.
func (b *Bus) disconnect(ctx context.Context) error {
	nc := b.link.nc
	if nc == nil {
		return nil
	}
	if err := nc.Drain(); err != nil { // not connected: nothing to drain
		nc.Close()
	}
	select {
	case <-b.link.closed:
		return nil
	case <-ctx.Done():
		nc.Close()
		return fmt.Errorf("drain the connection: %w", ctx.Err())
	}
}
