// Package page is the status page for people: live alerts, stories, feeds, search, a box to try a text, silences, deliveries and the state of the
// pipeline, as plain HTML that works without script and goes on by itself with it. It promises that nothing comes from another host, that every
// text from outside is escaped and kept in its own direction, that a page answers from memory, and that nothing can be changed without the
// operator's token. It keeps the newest alerts and items in a small form; all else it asks by functions. What an action does is the caller's.
package page

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"tocsin/bus"
	"tocsin/fetcher"
	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
)

// Config is the part of the operator's file.
type Config struct {
	strict.Pos
	TokenFile strict.Text `yaml:"token_file"` // whoever signs in with it may mute, acknowledge and retry; without it the page only reads
}

// minToken is the shortest token in bytes.
const minToken = 16

// Token reads the token, "" when none is configured.
func (c *Config) Token() (string, error) {
	if c.TokenFile.Value == "" {
		return "", nil
	}
	s, err := notifier.FileRef(c.TokenFile).Read()
	if err != nil {
		return "", err
	}
	if len(s.Reveal()) < minToken {
		return "", strict.Fault{Pos: c.TokenFile.Pos, Fact: "the token of the status page is too short", Next: "write at least 16 random bytes"}
	}
	return s.Reveal(), nil
}

// Options are what a Page needs. A function that is nil belongs to a role that this process does not have: the page says so.
type Options struct {
	Version string
	Roles   string // as in --roles
	Began   time.Time
	Token   string // "": nothing can be changed
	Ready   func() bool

	Feeds    func(context.Context) ([]fetcher.FeedStatus, error)
	Bus      func(context.Context) (bus.Status, error)
	Lists    func() []List
	Channels func() []notifier.ChannelStatus
	Counts   func() map[string]notifier.Counts // of deliveries, by channel
	Held     func() map[string]int             // entries that wait, by route
	Silences func() []notifier.Silence
	Dead     func(context.Context) ([]DeadLetter, error)
	Explain  func(*news.Item) Explanation
	Ledger   func(ctx context.Context, id string, since time.Time) ([]news.LedgerEntry, error)
	Items    func(ctx context.Context, since time.Time, f func(*news.Item) error) error // stored items, oldest first
	Health   func() []Remark                                                            // what is wrong beside feeds, lists and stages; nil: the page judges canary and channels itself
	Canary   func() time.Time                                                           // when the newest test item came through; nil: the page looks at the alerts

	Do  Actions
	Now func() time.Time
	Log *slog.Logger
}

// Actions are what a person who signed in may do. A nil one is not offered.
type Actions struct {
	Feedback  func(ctx context.Context, alert *news.Alert, verdict, by string) error
	Silence   func(context.Context, notifier.Silence) (notifier.Silence, error)
	Expire    func(ctx context.Context, id string) error
	RetryDead func(ctx context.Context, number uint64) error
	DropDead  func(ctx context.Context, number uint64) error
	Poll      func(ctx context.Context, feed string) error
	Reload    func(context.Context) error
}

// List is one kind of lists: what is live, and what was refused.
type List struct {
	What, Revision, Summary, From string
	LiveSince                     time.Time
	OK                            bool
	Faults                        []string // of the refused load, each begins with file:line:column
	RefusedSince                  time.Time
	NotShared                     string
}

// DeadLetter is a dead letter with its number.
type DeadLetter struct {
	Number uint64
	news.DeadLetter
}

// Explanation is what a text would flag, what nearly did, and what stopped it.
type Explanation struct {
	Matches []news.Match
	Stopped []Stopped
	Failed  []Stopped // rules
}

// Stopped is a mention or a rule that did not count.
type Stopped struct{ Watchlist, Name, Text, Check, Why string }

// Remark is one thing that people must know about the program.
type Remark struct {
	Level string // bad, warn or good
	Text  string
	Link  string // page that tells more
}

// Page is an http.Handler for the paths that Owns names. Run keeps its pictures of feeds and bus fresh.
type Page struct {
	o        Options
	mux      *http.ServeMux
	shells   shells
	assets   assets
	book     *book
	items    *shelf
	hub      *hub
	doors    *doors
	watch    *watch
	feeds    *kept[[]fetcher.FeedStatus]
	bus      *kept[bus.Status]
	dead     *kept[[]DeadLetter]
	guard    *http.CrossOriginProtection
	searches chan struct{} // one place for each search of the whole store
}

// New makes the page. It fails when a function that every process has is missing, or when a template is broken.
func New(o Options) (*Page, error) {
	if o.Ready == nil || o.Bus == nil || o.Lists == nil || o.Log == nil {
		return nil, errors.New("page: Ready, Bus, Lists and Log are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Page{
		o: o, book: newBook(maxAlerts), items: newShelf(maxItems), hub: newHub(maxClients), doors: newDoors(o.Token, o.Now), watch: newWatch(),
		searches: make(chan struct{}, 1), guard: http.NewCrossOriginProtection(),
	}
	p.bus = newKept(o.Bus, busAge, o.Now)
	if o.Feeds != nil {
		p.feeds = newKept(o.Feeds, feedAge, o.Now)
	}
	if o.Dead != nil {
		p.dead = newKept(o.Dead, busAge, o.Now)
	}
	var err error
	if p.assets, err = readAssets(); err != nil {
		return nil, err
	}
	if p.shells, err = readShells(p); err != nil {
		return nil, err
	}
	p.mux = p.routes()
	return p, nil
}

// How much is kept, and how old a picture may be.
const (
	maxAlerts  = 10_000
	maxItems   = 10_000
	maxClients = 64
	busAge     = 5 * time.Second
	feedAge    = 15 * time.Second
)

func (p *Page) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", p.serveAlerts)
	mux.HandleFunc("GET /alerts/{id}", p.serveAlert)
	mux.HandleFunc("GET /stories", p.serveStories)
	mux.HandleFunc("GET /feeds", p.serveFeeds)
	mux.HandleFunc("GET /feeds/{id}", p.serveFeed)
	mux.HandleFunc("GET /search", p.serveSearch)
	mux.HandleFunc("GET /try", p.serveTry)
	mux.HandleFunc("POST /try", p.serveTry)
	mux.HandleFunc("GET /silences", p.serveSilences)
	mux.HandleFunc("GET /delivery", p.serveDelivery)
	mux.HandleFunc("GET /system", p.serveSystem)
	mux.HandleFunc("GET /events", p.serveEvents)
	mux.HandleFunc("GET /page/{name}", p.serveAsset)
	mux.HandleFunc("GET /signin", p.serveSignIn)
	mux.HandleFunc("POST /signin", p.takeSignIn)
	mux.HandleFunc("POST /signout", p.takeSignOut)
	mux.HandleFunc("POST /act/{what}", p.serveAct)
	return mux
}

// Owns tells whether a request is for the page. Its own writes are guarded by Origin, session and form token instead of a header.
func (p *Page) Owns(r *http.Request) bool {
	_, pattern := p.mux.Handler(r)
	return pattern != ""
}

// policy lets the page load its own style, script and picture, and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// ServeHTTP answers the requests that Owns names.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if err := p.guard.Check(r); err != nil {
		p.refuse(w, r, "This was sent by another page: "+err.Error()+".")
		return
	}
	p.mux.ServeHTTP(w, r)
}

// Alert takes one stored alert record; seq is its place in the stream, by which clients resume.
func (p *Page) Alert(a *news.Alert, seq uint64) {
	if a.Match.Item.Reason == news.ReasonCanary {
		p.watch.canary(a.At)
		return
	}
	if r := p.book.add(a, seq); r != nil && a.Kind != news.KindFold && p.o.Now().Sub(a.At) < liveAge {
		p.hub.alert(seq)
	}
}

// liveAge is the age at which a record is history, and told to nobody who looks.
const liveAge = 10 * time.Minute

// Item takes one stored item for the search.
func (p *Page) Item(it *news.Item) {
	if it.Reason != news.ReasonCanary {
		p.items.add(it)
	}
}

// Entry takes one ledger entry: what became of an alert.
func (p *Page) Entry(l *news.LedgerEntry) {
	for _, ref := range l.Alerts {
		if seq, ok := p.book.note(ref, l); ok && p.o.Now().Sub(l.At) < liveAge {
			p.hub.fate(seq)
		}
	}
}

// Run watches over the pipeline and tells the clients, until ctx ends. It ends their streams, so that the server can stop.
func (p *Page) Run(ctx context.Context) error {
	defer p.hub.close()
	t := time.NewTicker(busAge)
	defer t.Stop()
	for {
		p.look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}
