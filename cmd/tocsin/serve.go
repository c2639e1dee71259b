package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tocsin/bus"
	"tocsin/cmd/tocsin/page"
	"tocsin/fetcher"
	"tocsin/matcher"
	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
	"tocsin/notifier/feed"
)

// stopWithin bounds an ordered stop: what is unfinished then is unacknowledged and comes back at the next start.
const stopWithin = 25 * time.Second

// routerWorkers are the alerts that are routed at the same time. Most of that time they wait for the disk, and what waits together is synced
// together, so that many are faster than a few.
const routerWorkers = 96

// itemsTogether are the items of one document that are stored at the same time, for the same reason.
const itemsTogether = 64

// instance is one running Tocsin: the rooms and what joins them.
type instance struct {
	cfg      config
	roles    roles
	log      *slog.Logger
	reg      *prometheus.Registry
	guard    *guard
	listen   net.Listener
	bus      *bus.Bus
	channels []notifier.Channel
	fetch    *fetcher.Fetcher
	match    *matcher.Matcher
	notify   *notifier.Notifier
	index    atomic.Pointer[matcher.Index]
	recent   *recent
	feed     *feed.Feed
	page     *page.Page
	leave    http.Handler // what links to leave a list lead to
	reload   *reloader
	ready    atomic.Bool
	began    time.Time
	out      std

	term          atomic.Pointer[bus.Term] // of planning, on a bus that others may be on; nil while another process plans
	others        *processes
	dead          deadWatch
	mismatchSince time.Time // of the ledger; only watchHealth uses it
	awake         time.Time // since when this process runs without standing still; the same
	remarks       atomic.Pointer[[]news.HealthRemark]
	noticed       atomic.Pointer[[]condition] // the same with all that is known of it, for the status page

	feedCount atomic.Int64
	clock     *clockWatch
	trace     *tracing // nil unless the environment names an endpoint
}

// stage is one part of the pipeline: it blocks until its context ends and all its work is put down.
type stage struct {
	name string
	run  func(ctx context.Context) error
}

// pipeline is the picture of the house: feeds -> ITEMS -> MATCHES -> ALERTS -> OUTBOX -> people.
func (in *instance) pipeline() []stage {
	s := []stage{{"reloader", in.reload.run}, {"clock watch", in.watchClock}}
	if in.roles.fetcher {
		s = append(s,
			stage{"fetcher", func(ctx context.Context) error {
				return in.bus.ConsumeDue(ctx, in.cfg.Fetcher.Workers, traced(in.trace, "poll feed", aboutFeed, in.fetch.Poll))
			}},
			stage{"reconciler", in.fetch.Run},
			stage{"network watch", in.watchNetwork})
		if in.cfg.Health.Canary > 0 {
			s = append(s, stage{"canary", in.injectCanaries})
		}
	}
	if in.roles.matcher {
		s = append(s, stage{"matcher", func(ctx context.Context) error {
			return in.bus.ConsumeItems(ctx, in.cfg.Matcher.Workers, noMeta(traced(in.trace, "match item", aboutItem, in.match.Handle)))
		}})
		if in.clustered() {
			s = append(s, stage{"watchlist follower", in.followWatchlists})
		}
	}
	if in.roles.notifier {
		s = append(s, in.planners()...)
		s = append(s,
			stage{"canaries' end", func(ctx context.Context) error {
				return in.bus.ConsumeDeliveries(ctx, news.CanaryChannel, 1, func(ctx context.Context, d news.Delivery, _ bus.Meta) error { return in.notify.HandleDelivery(ctx, d) })
			}},
			stage{"dead letter watch", in.followDead})
		for _, ch := range in.channels {
			s = append(s, stage{"channel " + ch.ID, func(ctx context.Context) error {
				return in.bus.ConsumeDeliveries(ctx, ch.ID, max(1, ch.Concurrency), noMeta(traced(in.trace, "deliver", aboutDelivery, in.notify.HandleDelivery)))
			}})
		}
	}
	if in.clustered() {
		s = append(s, stage{"other processes", in.tellOthers})
	}
	if in.roles.notifier && in.cfg.Health.Ping != nil {
		s = append(s, stage{"watchdog", in.pingWatchdog})
	}
	return append(append(s, stage{"health", in.watchHealth}), in.pageStages()...)
}

// open builds every room. It fails before anything runs when the configuration, the port, the data directory or the bus is unusable.
func open(ctx context.Context, cfg config, r roles, log *slog.Logger, out std) (in *instance, err error) {
	in = &instance{cfg: cfg, roles: r, log: log, out: out, recent: newRecent(500), began: time.Now(), reg: prometheus.NewRegistry()}
	in.others, in.dead.by = newProcesses(), map[string]*deadCount{}
	in.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo())
	allow, err := parseNetworks(cfg.networks())
	if err != nil {
		return nil, usage(err)
	}
	in.guard = newGuard(allow)
	lists, broken := in.readFirst()
	feeds, faults := loadFeeds(&cfg)
	if err := faults.Err(); err != nil {
		return nil, usage(errors.Join(broken, fmt.Errorf("feed lists are refused:\n%w", err)))
	}
	in.warn(append(lists.warnings, faults...))
	if err = in.buildDoors(); err != nil {
		return nil, usage(err)
	}
	if in.listen, err = listen(ctx, cfg.HTTP.Listen.Value); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			in.abandon()
		}
	}()
	if in.trace, err = openTracing(ctx); err != nil {
		return in, err
	}
	if in.bus, err = bus.Open(ctx, in.busOptions()); err != nil {
		return in, fmt.Errorf("open the bus: %w", err)
	}
	if err = in.buildRooms(feeds); err != nil {
		return in, err
	}
	in.feedCount.Store(int64(len(feeds)))
	in.registerHealth()
	in.buildReloader(feeds)
	in.registerSeriesLimit()
	in.clock = newClockWatch(in.reg)
	if err = in.openWatchlists(ctx, lists, broken); err != nil {
		return in, err
	}
	if in.shared() {
		return in, nil // whoever comes to plan reads it then
	}
	return in, in.notify.Restore(ctx)
}

func (in *instance) abandon() {
	_ = in.listen.Close() // nothing was served on it yet
	if in.bus != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := in.bus.Close(ctx); err != nil {
			in.log.Error("bus did not close", "err", err)
		}
	}
}

func (in *instance) warn(faults strict.Faults) {
	for _, f := range faults {
		in.log.Warn("list accepted with a remark", "file", f.File, "line", f.Line, "reason", f.Fact)
	}
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("http.listen %s: %w: stop the program that holds it, or choose another port in tocsin.yaml", addr, err)
	}
	return l, nil
}

func (in *instance) busOptions() bus.Options {
	c := &in.cfg
	var channels []string // not stated by those who leave them alone
	at := map[string]int{}
	if !c.mute {
		channels = append(c.channelIDs(), news.CanaryChannel)
		for _, ch := range in.channels {
			at[ch.ID] = max(1, ch.Concurrency)
		}
	}
	return bus.Options{
		URL: c.Bus.URL.Value, NKeyFile: c.path(c.Bus.NKeyFile.Value), CAFile: c.path(c.Bus.CAFile.Value), CertFile: c.path(c.Bus.CertFile.Value),
		KeyFile: c.path(c.Bus.KeyFile.Value), SystemNKey: c.path(c.Bus.SystemNKeyFile.Value), Role: in.roles.single(),
		Dir: c.path(c.DataDir), Listen: c.Bus.Listen.Value, MaxStore: int64(c.Bus.MaxStore),
		Replicas: c.Bus.Replicas, Setup: c.Bus.Setup, Channels: channels, Concurrency: at,
		Log: in.log, Registerer: in.reg,
	}
}

func (in *instance) buildRooms(feeds []fetcher.Feed) error {
	var err error
	if in.fetch, err = fetcher.New(in.fetcherOptions(feeds)); err != nil {
		return fmt.Errorf("fetcher: %w", err)
	}
	in.match, err = matcher.New(matcher.Options{Publish: discardDup(in.bus.PublishMatch), Log: in.log.With("component", "matcher"), Registerer: in.reg})
	if err != nil {
		return fmt.Errorf("matcher: %w", err)
	}
	o := in.notifierOptions()
	if in.cfg.Notifier.Feedback != nil {
		if o.FeedbackKey, err = feedbackKey(in.cfg.path(in.cfg.DataDir)); err != nil {
			return err
		}
	}
	if in.notify, err = notifier.New(o); err != nil {
		return usage(fmt.Errorf("notifier: %w", err))
	}
	return in.buildPage()
}

func (in *instance) fetcherOptions(feeds []fetcher.Feed) fetcher.Options {
	state := in.bus.State("feedstate")
	return fetcher.Options{
		Feeds: feeds,
		Client: func(f fetcher.Feed) (*http.Client, error) {
			return in.guard.feedClient(&in.cfg, f)
		},
		UserAgent: userAgent(in.cfg.Fetcher.Contact),
		WebSub:    in.cfg.Fetcher.WebSub.room(&in.cfg),
		Publish:   tracedItem(in.trace, discardDup(in.bus.PublishItem)),
		LoadState: state.Get,
		SaveState: func(ctx context.Context, id string, data []byte, rev uint64) error {
			_, err := state.Put(ctx, id, data, rev)
			return err
		},
		Arm: in.bus.ArmFetch, Ensure: in.bus.EnsureFetch,
		Workers: in.cfg.Fetcher.Workers, Together: itemsTogether, MinInterval: in.cfg.Fetcher.MinInterval, HostGap: in.cfg.hostGap(),
		Log: in.log.With("component", "fetcher"), Registerer: in.reg,
	}
}

func (in *instance) notifierOptions() notifier.Options {
	sent, silences := in.bus.State("sent"), in.bus.State("silences")
	return notifier.Options{
		Config: in.cfg.Notifier, Channels: in.channels,
		PublishAlert: in.storeAlert, PublishDelivery: discardDup(in.bus.PublishDelivery),
		PublishLedger: in.writeLedger, PublishDead: discardDup(in.bus.PublishDead), Plans: in.plans,
		ArmRetry: in.bus.ArmRetry, Queued: in.bus.Queued, LoadSent: sent.Get, SaveSent: sent.Put,
		Replay: func(ctx context.Context, since time.Time, f func(news.Alert) error) error {
			return in.bus.ReadAlerts(ctx, since, false, func(a news.Alert, _ bus.Meta) error { return f(a) })
		},
		ReplayLedger: func(ctx context.Context, since time.Time, f func(news.LedgerEntry) error) error {
			return in.bus.ReadLedger(ctx, since, false, func(l news.LedgerEntry, _ bus.Meta) error { return f(l) })
		},
		LoadSilences: func(ctx context.Context) ([]byte, uint64, error) { return silences.Get(ctx, "all") },
		SaveSilences: func(ctx context.Context, data []byte, rev uint64) (uint64, error) {
			return silences.Put(ctx, "all", data, rev)
		},
		Pause: in.bus.PauseChannel, AtOnce: true,
		Alone: !in.shared(), // the data directory is locked, and no port leads to it
		Log:   in.log.With("component", "notifier"), Registerer: in.reg,
	}
}

// noMeta drops where a message was read from.
func noMeta[T any](h func(context.Context, T) error) func(context.Context, T, bus.Meta) error {
	return func(ctx context.Context, v T, _ bus.Meta) error { return h(ctx, v) }
}

// discardDup drops the word whether the server knew the message already: ids are deterministic, so both answers mean that it is stored.
func discardDup[T any](publish func(context.Context, T) (bool, error)) func(context.Context, T) error {
	return func(ctx context.Context, v T) error {
		_, err := publish(ctx, v)
		return err
	}
}
