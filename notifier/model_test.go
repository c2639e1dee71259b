package notifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
)

// model is the bus in memory, as far as the notifier can tell: streams with de-duplication by key, a work queue with schedules, and a bucket with
// compare-and-set. A step may be made to fail before or after it took effect, which is what a crash looks like from outside.
type model struct {
	mu     sync.Mutex
	now    time.Time
	alerts []news.Alert
	ledger []news.LedgerEntry
	dead   []news.DeadLetter
	due    map[string]news.Delivery // by channel.id, and a number when a schedule fired
	fired  int
	alone  bool // processes know that no other one sends
	retry  map[string]armed
	sent   map[string]cell
	seen   map[string]bool // Msg-Ids
	paused map[string]time.Time
	steps  int
	crash  func(step int, name string) fate
}

type fate int

const (
	works fate = iota
	diesBefore
	diesAfter
)

type armed struct {
	d  news.Delivery
	at time.Time
}

type cell struct {
	data []byte
	rev  uint64
}

// crashed is the panic of a process that ends.
type crashed struct{ name string }

func newModel() *model {
	return &model{
		now: time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC), due: map[string]news.Delivery{}, retry: map[string]armed{}, sent: map[string]cell{},
		seen: map[string]bool{}, paused: map[string]time.Time{},
	}
}

// step runs one effect, or ends the process before or after it.
func (m *model) step(name string, f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.steps++
	fate := works
	if m.crash != nil {
		fate = m.crash(m.steps, name)
	}
	if fate == diesBefore {
		panic(crashed{"before " + name})
	}
	f()
	if fate == diesAfter {
		panic(crashed{"after " + name})
	}
}

// once is true for a Msg-Id that was not stored before.
func (m *model) once(stream, key string) bool {
	k := stream + " " + key
	if m.seen[k] {
		return false
	}
	m.seen[k] = true
	return true
}

func (m *model) clock() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *model) pass(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
}

func (m *model) options(t testing.TB, c Config, channels ...Channel) Options {
	t.Helper()
	return Options{
		Config: c, Channels: channels, Now: m.clock, AckWait: 30 * time.Second, Alone: m.alone,
		PublishAlert: func(_ context.Context, a news.Alert) error {
			m.step("alert", func() {
				if m.once("ALERTS", a.Key()) {
					m.alerts = append(m.alerts, a)
				}
			})
			return nil
		},
		PublishDelivery: func(_ context.Context, d news.Delivery) error {
			m.step("delivery", func() {
				if m.once("OUTBOX", fmt.Sprintf("%s.r%d", d.ID, d.Replay)) {
					m.due[sentKey(&d)] = d
				}
			})
			return nil
		},
		PublishLedger: func(ctx context.Context, l news.LedgerEntry) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			m.step("ledger "+l.Event, func() {
				if m.once("LEDGER", l.Key()) {
					m.ledger = append(m.ledger, l)
				}
			})
			return nil
		},
		PublishDead: func(ctx context.Context, d news.DeadLetter) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			m.step("dead", func() {
				if m.once("DEAD", d.Key()) {
					m.dead = append(m.dead, d)
				}
			})
			return nil
		},
		ArmRetry: func(ctx context.Context, d news.Delivery, at time.Time) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			m.step("arm", func() { m.retry[sentKey(&d)] = armed{d, at} })
			return nil
		},
		Queued: func(_ context.Context, channel string) (func(string) bool, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			ids := map[string]bool{}
			for _, d := range m.due {
				ids[d.Channel+d.ID] = true
			}
			for _, a := range m.retry {
				ids[a.d.Channel+a.d.ID] = true
			}
			return func(id string) bool { return ids[channel+id] }, nil
		},
		LoadSent: func(_ context.Context, key string) ([]byte, uint64, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			c, ok := m.sent[key]
			if !ok {
				return nil, 0, news.ErrNotFound
			}
			return c.data, c.rev, nil
		},
		SaveSent: func(ctx context.Context, key string, data []byte, rev uint64) (uint64, error) {
			err := ctx.Err()
			if err != nil {
				return 0, err
			}
			m.step("save "+stateOf(data), func() {
				if m.sent[key].rev != rev {
					err = news.ErrConflict
					return
				}
				m.sent[key] = cell{data, rev + 1}
			})
			return rev + 1, err
		},
		Replay: func(_ context.Context, _ time.Time, f func(news.Alert) error) error {
			for _, a := range m.alerts {
				if err := f(a); err != nil {
					return err
				}
			}
			return nil
		},
		ReplayLedger: func(_ context.Context, _ time.Time, f func(news.LedgerEntry) error) error {
			for _, l := range m.ledger {
				if err := f(l); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func stateOf(data []byte) string {
	var s sentState
	_ = json.Unmarshal(data, &s)
	return s.State
}

// start is a new process over the same bus.
func (m *model) start(t testing.TB, c Config, channels ...Channel) *Notifier {
	t.Helper()
	n, err := New(m.options(t, c, channels...))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n
}

// fire moves schedules whose time has come to the queue, beside what lies there already.
func (m *model) fire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for k, a := range m.retry {
		if !a.at.After(m.now) {
			m.fired++
			m.due[fmt.Sprint(k, " ", m.fired)] = a.d
			delete(m.retry, k)
		}
	}
}

// run handles what is due until nothing is due or armed any more, moving the clock; ends with an error after too many rounds.
func (m *model) run(t testing.TB, n *Notifier) {
	t.Helper()
	for round := 0; len(m.due)+len(m.retry) > 0; round++ {
		if round > 2000 {
			t.Fatalf("not at rest after %d rounds: due %v, armed %v", round, news.SortedKeys(m.due), news.SortedKeys(m.retry))
		}
		m.fire()
		for _, k := range news.SortedKeys(m.due) {
			d := m.due[k]
			err := n.HandleDelivery(t.Context(), d)
			var later *news.LaterError
			switch {
			case err == nil:
				delete(m.due, k)
			case errors.As(err, &later):
			default:
				t.Fatal(err)
			}
		}
		m.pass(m.idle())
	}
}

// idle is the time to the next thing that can happen.
func (m *model) idle() time.Duration {
	if len(m.due) > 0 {
		return 10 * time.Second
	}
	wait := 24 * time.Hour
	for _, a := range m.retry {
		wait = min(wait, max(a.at.Sub(m.now), 0))
	}
	return wait
}

func (m *model) events(event string) (out []news.LedgerEntry) {
	for _, l := range m.ledger {
		if l.Event == event {
			out = append(out, l)
		}
	}
	return out
}

// config reads YAML as an operator writes it.
func config(t testing.TB, yaml string) Config {
	t.Helper()
	var c Config
	if fs := strict.Decode("tocsin.yaml", []byte(yaml), 1<<20, &c); len(fs) > 0 {
		t.Fatal(fs)
	}
	return c
}

// endpoint is a channel whose answers are scripted; it keeps what it received.
type endpoint struct {
	mu      sync.Mutex
	answers []Result // one for each attempt; the last stays
	got     []news.Delivery
	calls   int
	hook    func()
}

func (e *endpoint) channel(id string, recipients ...string) Channel {
	if len(recipients) == 0 {
		recipients = []string{""}
	}
	return Channel{
		ID: id, Type: "test", Recipients: recipients,
		Render: func(a *news.Alert, d *news.Delivery) error {
			d.Subject, d.Body = subject(a), []byte(a.Key()+" "+a.Match.Item.Title)
			return nil
		},
		Short: func(d *news.Delivery) error {
			d.Body = []byte("short " + d.ID)
			return nil
		},
		Send: func(_ context.Context, d *news.Delivery) Result {
			e.mu.Lock()
			defer e.mu.Unlock()
			r := Result{Verdict: Delivered, Status: "ok"}
			if len(e.answers) > 0 {
				r = e.answers[min(e.calls, len(e.answers)-1)]
			}
			e.calls++
			if r.Verdict == Delivered || r.Ambiguous {
				e.got = append(e.got, *d)
			}
			if e.hook != nil {
				e.hook()
			}
			return r
		},
	}
}

// match is a match of one item; words change what it tells.
func match(item string, change ...func(*news.Match)) news.Match {
	seen := time.Date(2025, 3, 4, 5, 6, 0, 0, time.UTC)
	m := news.Match{
		Schema: news.Schema, Watchlist: "armed-groups", Title: "Armed groups", Severity: news.SeverityMedium, MatchedAt: seen,
		Item: news.Item{
			ID: item, Revision: "r1", Reason: news.ReasonNew, Feed: "feed", Outlet: "Daily", Lang: "en", URL: "https://news.example/" + item,
			Title: "BLA claims attack near Quetta", FirstSeen: seen, Published: seen.Add(-time.Minute),
		},
		Entities: []news.EntityHit{{ID: "bla", Name: "BLA"}},
		Mentions: []news.Mention{{Entity: "bla", Alias: "BLA", Field: "title", Start: 0, End: 3, Text: "BLA", Why: "alias in title"}},
	}
	for _, f := range change {
		f(&m)
	}
	m.ID = news.MatchID(m.Item.ID, m.Item.Revision, m.Watchlist, m.Revision)
	return m
}

// throughAlerts makes alerts of the matches and routes each new one.
func throughAlerts(t testing.TB, m *model, n *Notifier, matches ...news.Match) {
	t.Helper()
	from := len(m.alerts)
	for _, x := range matches {
		if err := n.HandleMatch(t.Context(), x); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range m.alerts[from:] {
		if err := n.HandleAlert(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
}

// balanced checks the identity from the model's own streams, not from the notifier's counters.
func balanced(t testing.TB, m *model, n *Notifier) {
	t.Helper()
	f := NewFold()
	for _, l := range m.ledger {
		if l.Event == news.EventFeedback {
			continue // about no delivery
		}
		f.Accept(l.Delivery, l.Channel, l.At)
		f.Add(l)
	}
	for ch, c := range f.Counts() {
		if c.Missing() != 0 {
			t.Errorf("channel %s: %+v: %d missing", ch, c, c.Missing())
		}
	}
	if n != nil {
		if got := n.Missing(); got != 0 {
			t.Errorf("%d deliveries without a ledger entry", got)
		}
	}
}

const oneRoute = "route: {channels: [desk]}\n"

func TestAMatchReachesThePerson(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := m.start(t, config(t, oneRoute), e.channel("desk"))
	throughAlerts(t, m, n, match("i1"))
	m.run(t, n)
	if len(e.got) != 1 || !strings.Contains(string(e.got[0].Body), "BLA claims attack") {
		t.Fatalf("received %v", e.got)
	}
	var events []string
	for _, l := range m.ledger {
		events = append(events, l.Event)
	}
	if want := []string{news.EventPlanned, news.EventDelivered}; !slices.Equal(events, want) {
		t.Fatalf("ledger %v, want %v", events, want)
	}
	balanced(t, m, n)
}
