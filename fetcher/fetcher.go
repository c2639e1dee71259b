// Package fetcher turns a list of feeds into items. It owns the feed list, the time of the next poll, one polite conditional GET, the repair and
// parsing of bytes, and the identity of items. It promises that every entry that a feed showed us becomes an item once, that an edit becomes a
// revision, that what may have been missed is counted, and that no answer from outside stops the program or another feed. It leaves storing,
// waking and dialing to others: it receives functions for publish, state and arming, and a guarded HTTP client.
package fetcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tocsin/news"
)

// Options are what a Fetcher is made of. Client, UserAgent, Publish, LoadState, SaveState, Arm and Ensure are required.
type Options struct {
	Feeds []Feed
	// Client gives the guarded client for a feed: no redirects followed, no proxy, no cookies, no decompression. It is asked once for each
	// CAFile and Insecure; the zero Feed asks for the usual one.
	Client func(Feed) (*http.Client, error)
	// Denied tells whether an error of the client means that the guard refused the address. Default: its text holds "denied".
	Denied    func(error) bool
	UserAgent string // "Tocsin/<version> (+<contact>)"
	// Publish stores an item and returns after the ack. An error means that it is not stored; the poll is then repeated.
	Publish func(context.Context, news.Item) error
	// LoadState reads a feed's state; news.ErrNotFound for a new feed.
	LoadState func(ctx context.Context, feedID string) (data []byte, rev uint64, err error)
	// SaveState writes it by compare-and-set; news.ErrConflict when another worker was first.
	SaveState func(ctx context.Context, feedID string, data []byte, rev uint64) error
	// WebSub is set where hubs can reach this program.
	WebSub *WebSub
	// Arm sets the one wake-up of a feed, replacing the one before.
	Arm func(ctx context.Context, feedID string, at time.Time) error
	// Ensure sets a wake-up where none is set.
	Ensure func(ctx context.Context, feedID string, at time.Time) (created bool, err error)

	Workers       int           // polls at a time; default 64
	Together      int           // items of one document that are published at the same time; one by one when 0
	MinInterval   time.Duration // shortest distance of polls; default 1 min. Below that it shortens the adaptive distances in proportion
	HostGap       time.Duration // distance of starts for one host and port; default 1 s, negative for none
	HostConns     int           // requests at a time for one host and port; default 2
	MaxParseBytes int64         // bytes in parsing at one time, all feeds together; default 48 MiB
	StartRate     int           // polls started a second; default 50
	Now           func() time.Time
	Log           *slog.Logger
	Registerer    prometheus.Registerer
}

// Fetcher polls feeds. Its methods may be called at the same time.
type Fetcher struct {
	o        Options
	get      *getter
	hosts    *hosts
	parsing  *budget
	slots    chan struct{}
	starts   *pacer
	network  *network
	articles *articles
	metrics  *metrics
	changed  chan struct{}

	mu      sync.Mutex
	feeds   map[string]*Feed
	order   []string
	busy    map[string]bool
	views   map[string]*view
	clients map[clientKey]*http.Client
}

// New makes a Fetcher. It does nothing until Poll or Run is called.
func New(o Options) (*Fetcher, error) {
	var errs []error
	for name, missing := range map[string]bool{
		"Client": o.Client == nil, "Publish": o.Publish == nil, "LoadState": o.LoadState == nil, "SaveState": o.SaveState == nil,
		"Arm": o.Arm == nil, "Ensure": o.Ensure == nil, "UserAgent": o.UserAgent == "",
	} {
		if missing {
			errs = append(errs, fmt.Errorf("fetcher options: %s is missing", name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	o.defaults()
	f := newFetcher(o)
	var err error
	if f.metrics, err = newMetrics(o.Registerer, f.snapshot, f.NetworkDown); err != nil {
		return nil, err
	}
	f.SetFeeds(o.Feeds)
	return f, nil
}

func newFetcher(o Options) *Fetcher {
	h := newHosts(o.HostConns, o.HostGap, o.Now)
	return &Fetcher{
		o:        o,
		get:      &getter{userAgent: o.UserAgent, hosts: h, denied: o.Denied, now: o.Now, large: newBudget(48 << 20)},
		hosts:    h,
		parsing:  newBudget(o.MaxParseBytes),
		slots:    make(chan struct{}, o.Workers),
		starts:   newPacer(o.StartRate),
		network:  newNetwork(o.Now),
		articles: newArticles(),
		changed:  make(chan struct{}, 1),
		busy:     map[string]bool{},
		views:    map[string]*view{},
		clients:  map[clientKey]*http.Client{},
	}
}

func (o *Options) defaults() {
	setIfZero(&o.Workers, 64)
	setIfZero(&o.MinInterval, time.Minute)
	setIfZero(&o.HostGap, time.Second)
	setIfZero(&o.HostConns, 2)
	setIfZero(&o.MaxParseBytes, 48<<20)
	setIfZero(&o.StartRate, 50)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	if o.Denied == nil {
		o.Denied = func(err error) bool { return strings.Contains(err.Error(), "denied") }
	}
}

// SetFeeds replaces the feed list. Feeds that left it end by themselves at their next wake-up; new ones are armed by Run at once.
func (f *Fetcher) SetFeeds(feeds []Feed) {
	f.mu.Lock()
	m := make(map[string]*Feed, len(feeds))
	order := make([]string, 0, len(feeds))
	for i := range feeds {
		fd := feeds[i]
		setIfZero(&fd.ID, news.FeedID(fd.first()))
		if m[fd.ID] == nil {
			order = append(order, fd.ID)
		}
		m[fd.ID] = &fd
	}
	for id := range f.views {
		if m[id] == nil {
			delete(f.views, id)
		}
	}
	f.feeds, f.order = m, order
	f.clients = map[clientKey]*http.Client{}
	f.mu.Unlock()
	f.metrics.budget(order)
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

func (f *Fetcher) list() []*Feed {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]*Feed, 0, len(f.order))
	for _, id := range f.order {
		out = append(out, f.feeds[id])
	}
	return out
}

// begin gives the feed if it is listed and nobody polls it now.
func (f *Fetcher) begin(id string) (fd *Feed, busy bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fd = f.feeds[id]; fd == nil || f.busy[id] {
		return fd, fd != nil
	}
	f.busy[id] = true
	return fd, false
}

func (f *Fetcher) end(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.busy, id)
}

func (f *Fetcher) client(fd *Feed) (*http.Client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := clientKey{fd.CAFile, fd.Insecure}
	if c := f.clients[key]; c != nil {
		return c, nil
	}
	given, err := f.o.Client(*fd)
	if err != nil {
		return nil, err
	}
	f.clients[key] = polite(given)
	return f.clients[key], nil
}

// clientKey is what makes feeds need clients of their own.
type clientKey struct {
	caFile   string
	insecure bool
}

// polite makes sure that redirects come to our own loop, whatever client was handed in: Go's would send validators and headers to every target.
func polite(given *http.Client) *http.Client {
	c := *given
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.Jar, c.Timeout = nil, 0
	return &c
}

const reconcileEvery = 5 * time.Minute

// Run keeps every listed feed armed: at start, after each change of the list, and every 5 min, in any replica. It also reads the articles of feeds
// with full_text. It returns when ctx ends.
func (f *Fetcher) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for range articleReader {
		wg.Go(func() { f.readArticles(ctx) })
	}
	t := time.NewTicker(reconcileEvery)
	defer t.Stop()
	for {
		if err := f.reconcile(ctx); err != nil && ctx.Err() == nil {
			f.o.Log.Warn("feeds not armed, trying again", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		case <-f.changed:
		}
	}
}

// Resume polls a dead or waiting feed now: it clears 410 and back-off, but never a Retry-After.
func (f *Fetcher) Resume(ctx context.Context, feedID string) error {
	f.mu.Lock()
	fd := f.feeds[feedID]
	f.mu.Unlock()
	if fd == nil {
		return fmt.Errorf("feed %s: %w", feedID, news.ErrNotFound)
	}
	st, rev, err := f.load(ctx, fd)
	if err != nil {
		return err
	}
	now := f.o.Now()
	st.Gone, st.NotFoundInRow, st.KindChanged, st.Next = false, 0, false, now
	if st.RetryUntil.After(now) {
		st.Next = st.RetryUntil
	}
	if rev > 0 {
		if err := f.save(ctx, fd, st, rev); err != nil {
			return err
		}
	}
	if err := f.o.Arm(ctx, feedID, st.Next); err != nil {
		return fmt.Errorf("arm feed %s: %w", feedID, err)
	}
	return nil
}
