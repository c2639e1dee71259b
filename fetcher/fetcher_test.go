package fetcher

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tocsin/news"
)

// rig is a Fetcher with a store in memory and a clock that tests move.
type rig struct {
	t   *testing.T
	f   *Fetcher
	reg *prometheus.Registry

	mu      sync.Mutex
	clock   time.Time
	items   []news.Item
	states  map[string][]byte
	revs    map[string]uint64
	armed   map[string]time.Time
	publish func(news.Item) error // instead of storing; nil = store
	onSave  func() error
	saves   int
	feeds   []Feed
	options func(*Options)
}

// published counts what was stored so far.
func (r *rig) published() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.items)
}

func newRig(t *testing.T, options func(*Options), feeds ...Feed) *rig {
	t.Helper()
	r := &rig{
		t: t, clock: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC), states: map[string][]byte{}, revs: map[string]uint64{},
		armed: map[string]time.Time{}, feeds: feeds, options: options,
	}
	r.restart()
	return r
}

func plainClient(Feed) (*http.Client, error) {
	return &http.Client{Transport: &http.Transport{DisableCompression: true}}, nil
}

// worldClient takes every host to one of the given servers, by host and port; anything else does not resolve.
func worldClient(world map[string]*site) func(*Options) {
	return func(o *Options) {
		o.Client = func(Feed) (*http.Client, error) {
			return &http.Client{Transport: &http.Transport{
				DisableCompression: true,
				TLSClientConfig:    &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // a test server's own certificate
				DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					s := world[addr]
					if s == nil {
						return nil, &net.DNSError{Err: "no such host", Name: addr, IsNotFound: true}
					}
					c, err := (&net.Dialer{}).DialContext(ctx, network, s.Listener.Addr().String())
					if err != nil {
						return nil, err
					}
					return publicConn{c}, nil
				},
			}}, nil
		}
	}
}

// publicConn says that it ends at a public address.
type publicConn struct{ net.Conn }

func (publicConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(203, 0, 113, 9), Port: 80} }

// restart makes a new Fetcher over the same store.
func (r *rig) restart() {
	r.t.Helper()
	r.reg = prometheus.NewRegistry()
	o := Options{
		Feeds: r.feeds,
		Client: func(Feed) (*http.Client, error) {
			return &http.Client{Transport: &http.Transport{DisableCompression: true}}, nil
		},
		UserAgent: "Tocsin/test (+https://example.org/contact)",
		Publish:   r.store,
		LoadState: r.load, SaveState: r.save,
		Arm: func(_ context.Context, id string, at time.Time) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.armed[id] = at
			return nil
		},
		Ensure: func(_ context.Context, id string, at time.Time) (bool, error) {
			r.mu.Lock()
			defer r.mu.Unlock()
			if _, ok := r.armed[id]; ok {
				return false, nil
			}
			r.armed[id] = at
			return true, nil
		},
		HostGap: -1, HostConns: 8, StartRate: 10000, Now: r.now, Registerer: r.reg, Log: slog.New(slog.DiscardHandler),
	}
	if r.options != nil {
		r.options(&o)
	}
	f, err := New(o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.f = f
}

func (r *rig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.clock
}

func (r *rig) advance(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clock = r.clock.Add(d)
}

func (r *rig) store(_ context.Context, it news.Item) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.publish != nil {
		if err := r.publish(it); err != nil {
			return err
		}
	}
	if _, err := news.Encode(it); err != nil {
		return err
	}
	r.items = append(r.items, it)
	return nil
}

func (r *rig) load(_ context.Context, id string) ([]byte, uint64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b, ok := r.states[id]
	if !ok {
		return nil, 0, news.ErrNotFound
	}
	return b, r.revs[id], nil
}

func (r *rig) save(_ context.Context, id string, data []byte, rev uint64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.onSave != nil {
		if err := r.onSave(); err != nil {
			return err
		}
	}
	if r.revs[id] != rev {
		return news.ErrConflict
	}
	r.saves++
	r.states[id], r.revs[id] = data, rev+1
	return nil
}

// poll moves the clock to the feed's wake-up and polls it.
func (r *rig) poll(i int) {
	r.t.Helper()
	if err := r.tryPoll(i); err != nil {
		r.t.Fatalf("poll: %v", err)
	}
}

func (r *rig) tryPoll(i int) error {
	id := r.id(i)
	r.mu.Lock()
	if at := r.armed[id]; at.After(r.clock) {
		r.clock = at
	}
	r.mu.Unlock()
	return r.f.Poll(context.Background(), id)
}

func (r *rig) id(i int) string { return news.FeedID(r.feeds[i].first()) }

func (r *rig) state(i int) *state {
	r.t.Helper()
	st, err := decodeState(r.states[r.id(i)])
	if err != nil {
		r.t.Fatal(err)
	}
	return st
}

func (r *rig) titles() []string {
	var out []string
	for _, it := range r.items {
		out = append(out, it.Title)
	}
	return out
}

func (r *rig) status(i int) FeedStatus {
	r.t.Helper()
	all, err := r.f.Status(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return all[i]
}

// counter sums the samples of a metric whose labels hold all given values.
func (r *rig) counter(name string, labels ...string) float64 {
	r.t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	sum := 0.0
	for _, mf := range families {
		if mf.GetName() != name {
			continue
		}
	next:
		for _, m := range mf.GetMetric() {
			for _, want := range labels {
				found := false
				for _, l := range m.GetLabel() {
					found = found || l.GetValue() == want
				}
				if !found {
					continue next
				}
			}
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sum
}

// site is a server whose answer tests change, and which keeps the requests.
type site struct {
	*httptest.Server
	mu      sync.Mutex
	answer  http.HandlerFunc
	seen    []*http.Request
	headers map[string]string
	body    string
	quiet   bool // keeps no requests
}

func newSite(t *testing.T, body string) *site { return newSiteFor(t, body) }

func newSiteFor(t testing.TB, body string) *site {
	t.Helper()
	s := &site{body: body}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		s.mu.Lock()
		if !s.quiet {
			s.seen = append(s.seen, q)
		}
		answer, headers, body := s.answer, s.headers, s.body
		s.mu.Unlock()
		if answer != nil {
			answer(w, q)
			return
		}
		for k, v := range headers {
			w.Header().Set(k, v)
		}
		fmt.Fprint(w, body)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) set(body string, headers map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body, s.headers, s.answer = body, headers, nil
}

func (s *site) handle(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = h
}

func (s *site) requests() []*http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*http.Request(nil), s.seen...)
}

func (s *site) last() *http.Request {
	all := s.requests()
	return all[len(all)-1]
}

// rssOf writes a feed of items "title|link|guid|date|description"; empty parts are left out.
func rssOf(items ...string) string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\"?>\n<rss version=\"2.0\"><channel><title>Border Herald</title><link>https://herald.example/</link><language>en-gb</language>\n")
	for _, it := range items {
		p := append(strings.Split(it, "|"), "", "", "", "", "")
		b.WriteString("<item>")
		for i, name := range []string{"title", "link", "guid", "pubDate", "description"} {
			if p[i] != "" {
				attr := ""
				if name == "guid" {
					attr = ` isPermaLink="false"`
				}
				fmt.Fprintf(&b, "<%s%s>%s</%s>", name, attr, p[i], name)
			}
		}
		b.WriteString("</item>\n")
	}
	b.WriteString("</channel></rss>")
	return b.String()
}

func sortedTitles(r *rig) []string {
	t := r.titles()
	sort.Strings(t)
	return t
}

func TestPollPublishesNewsOnceAndArmsTheNext(t *testing.T) {
	s := newSite(t, rssOf("Bridge reopens at Torkham|https://herald.example/1|g1|Sun, 22 Nov 2026 09:00:00 GMT|Lorries pass again.", "Rail talks in Termez|https://herald.example/2|g2"))
	s.headers = map[string]string{"ETag": `W/"odd, quote"`, "Last-Modified": "not a date at all"}
	r := newRig(t, nil, Feed{URL: s.URL + "/rss", Outlet: "Border Herald", Country: "PK", Tier: 2})
	r.poll(0)
	if got := strings.Join(sortedTitles(r), "; "); got != "Bridge reopens at Torkham; Rail talks in Termez" {
		t.Fatalf("published %s", got)
	}
	it := r.items[0]
	if !it.Backfill || it.Outlet != "Border Herald" || it.Country != "PK" || it.Tier != 2 || it.Lang != "en" || it.ID != news.ItemID(r.id(0), "g1") || it.Summary != "Lorries pass again." {
		t.Errorf("item = %+v", it)
	}
	if !r.armed[r.id(0)].After(r.clock) {
		t.Errorf("armed at %s, now %s", r.armed[r.id(0)], r.clock)
	}
	s.handle(func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("If-None-Match") != `W/"odd, quote"` || q.Header.Get("If-Modified-Since") != "not a date at all" {
			t.Errorf("validators sent: %q %q", q.Header.Get("If-None-Match"), q.Header.Get("If-Modified-Since"))
		}
		w.WriteHeader(304)
	})
	r.restart()
	r.poll(0)
	s.set(rssOf("Rail talks in Termez|https://herald.example/2|g2", "Third|https://herald.example/3|g3"), nil)
	r.poll(0)
	if len(r.items) != 3 || r.items[2].Title != "Third" || r.items[2].Backfill {
		t.Fatalf("after the third poll: %v", r.titles())
	}
	if st := r.status(0); st.State != StateLive || st.Kind != "rss2.0" || st.Items != 3 {
		t.Errorf("status = %+v", st)
	}
}
