package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// hub tells clients what happened. It never waits for one: who is too slow is sent away and comes back with the number of the last event it has.
type hub struct {
	mu      sync.Mutex
	clients map[*client]bool
	limit   int
	closed  bool
}

// client is one open stream of events: what it was not told yet.
type client struct {
	mu     sync.Mutex
	alerts []uint64
	fates  map[uint64]bool
	health bool
	behind bool // too much to tell one by one
	wake   chan struct{}
	gone   chan struct{} // closed when the hub ends
}

// maxBehind is how many alerts a client may be behind; beyond it the page is loaded anew.
const maxBehind = 200

func newHub(limit int) *hub { return &hub{clients: map[*client]bool{}, limit: limit} }

// join gives nil when there are too many clients, or the hub has ended.
func (h *hub) join() *client {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || len(h.clients) >= h.limit {
		return nil
	}
	c := &client{fates: map[uint64]bool{}, health: true, wake: make(chan struct{}, 1), gone: make(chan struct{})}
	h.clients[c] = true
	c.wake <- struct{}{}
	return c
}

func (h *hub) leave(c *client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.clients, c)
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for c := range h.clients {
		close(c.gone)
	}
	h.clients = map[*client]bool{}
}

func (h *hub) size() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.clients)
}

func (h *hub) each(f func(*client)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.clients {
		c.mu.Lock()
		f(c)
		c.mu.Unlock()
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

func (h *hub) alert(seq uint64) {
	h.each(func(c *client) {
		if len(c.alerts) >= maxBehind {
			c.behind = true
			return
		}
		c.alerts = append(c.alerts, seq)
	})
}

func (h *hub) fate(seq uint64) {
	h.each(func(c *client) {
		if len(c.fates) < maxBehind {
			c.fates[seq] = true
		}
	})
}

func (h *hub) health() { h.each(func(c *client) { c.health = true }) }

// take gives what is to be told, and forgets it.
func (c *client) take() (alerts []uint64, fates map[uint64]bool, health, behind bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	alerts, fates, health, behind = c.alerts, c.fates, c.health, c.behind
	c.alerts, c.fates, c.health = nil, map[uint64]bool{}, false
	return alerts, fates, health, behind
}

const (
	beatEvery  = 15 * time.Second       // comments keep the way open through proxies
	gather     = 150 * time.Millisecond // what comes within it is told together
	writeLimit = 10 * time.Second
	retryAfter = 3 // seconds
)

// stream writes events to one client.
type stream struct {
	p    *Page
	w    http.ResponseWriter
	rc   *http.ResponseController
	f    filter
	last uint64 // newest alert that was told
	err  error
}

// serveEvents is the stream of events (HTML standard, server-sent events). Last-Event-ID, or ?after= the first time, says what is known already.
func (p *Page) serveEvents(w http.ResponseWriter, r *http.Request) {
	f, err := readFilter(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c := p.hub.join()
	if c == nil {
		w.Header().Set("Retry-After", strconv.Itoa(10*retryAfter))
		http.Error(w, "too many pages are open: this one is not live", http.StatusServiceUnavailable)
		return
	}
	defer p.hub.leave(c)
	s := &stream{p: p, w: w, rc: http.NewResponseController(w), f: f}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("X-Accel-Buffering", "no")
	s.write("retry: %d\n\n", 1000*retryAfter)
	s.resume(c, r)
	s.run(r, c)
}

// resume tells what the client missed. A number that this instance never gave out comes from another life: the page is loaded anew.
func (s *stream) resume(c *client, r *http.Request) {
	known := r.Header.Get("Last-Event-ID")
	if known == "" {
		known = r.URL.Query().Get("after")
	}
	last, err := strconv.ParseUint(known, 10, 64)
	if err != nil {
		s.last = s.p.book.last()
		return
	}
	s.last = last
	missed, ok := s.p.book.after(s.f, last, maxBehind)
	if !ok || last > s.p.book.last() && s.p.book.last() > 0 {
		s.write("event: reload\ndata: behind\n\n")
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alerts = append(missed, c.alerts...)
}

func (s *stream) run(r *http.Request, c *client) {
	beat := time.NewTicker(beatEvery)
	defer beat.Stop()
	for s.err == nil {
		select {
		case <-r.Context().Done():
			return
		case <-c.gone:
			return
		case <-beat.C:
			s.write(": %d\n\n", s.p.o.Now().Unix())
		case <-c.wake:
			select {
			case <-time.After(gather):
			case <-r.Context().Done():
				return
			}
			s.tell(c)
		}
	}
}

func (s *stream) tell(c *client) {
	alerts, fates, health, behind := c.take()
	if behind {
		s.write("event: reload\ndata: behind\n\n")
		return
	}
	for _, seq := range alerts {
		e, ok := s.p.book.at(s.f, seq)
		if !ok || seq <= s.last {
			continue
		}
		s.last = seq
		delete(fates, seq)
		s.event("alert", seq, s.p.cardOf(&e, nil))
	}
	for seq := range fates {
		if e, ok := s.p.book.at(s.f, seq); ok {
			s.event("fate", 0, s.p.cardOf(&e, nil))
		}
	}
	if health {
		s.event("health", 0, s.p.health())
	}
}

// event writes one event: data is JSON that holds the number and the HTML made from v.
func (s *stream) event(name string, id uint64, v any) {
	var html bytes.Buffer
	if err := s.p.shells.part(&html, name, v); err != nil {
		s.p.o.Log.Error("part of the status page failed", "reason", name, "err", err)
		return
	}
	data := map[string]any{"html": html.String()}
	if c, ok := v.(*card); ok {
		data["seq"], data["say"] = c.Seq, c.Say()
	}
	b, err := json.Marshal(data)
	if err != nil {
		return // strings and numbers
	}
	if id > 0 {
		s.write("id: %d\nevent: %s\ndata: %s\n\n", id, name, b)
		return
	}
	s.write("event: %s\ndata: %s\n\n", name, b)
}

func (s *stream) write(format string, args ...any) {
	if s.err != nil {
		return
	}
	_ = s.rc.SetWriteDeadline(time.Now().Add(writeLimit)) // a recorder in a test has none
	if _, s.err = fmt.Fprintf(s.w, format, args...); s.err == nil {
		s.err = s.rc.Flush()
	}
}
