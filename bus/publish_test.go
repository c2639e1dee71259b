package bus_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"tocsin/bus"
	"tocsin/bus/bustest"
	"tocsin/news"
)

func TestIDsAreIdempotent(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open(channels("mail"))
		ctx := ctxOf(t)
		edited := item("i1")
		edited.Revision = "r2"
		replay, update := delivery("d1"), news.Alert{ID: "a1", Revision: 2, Watchlist: "w", Severity: news.SeverityHigh}
		replay.Replay = 1
		later := news.LedgerEntry{Event: news.EventAttempt, Delivery: "d1", Channel: "mail", Attempt: 2}
		for _, c := range []struct {
			name    string
			publish func() (bool, error)
			dup     bool
		}{
			{"item", func() (bool, error) { return b.PublishItem(ctx, item("i1")) }, false},
			{"item again", func() (bool, error) { return b.PublishItem(ctx, item("i1")) }, true},
			{"edited item", func() (bool, error) { return b.PublishItem(ctx, edited) }, false},
			{"match", func() (bool, error) { return b.PublishMatch(ctx, news.Match{ID: "m1", Watchlist: "w"}) }, false},
			{"match again", func() (bool, error) { return b.PublishMatch(ctx, news.Match{ID: "m1", Watchlist: "w"}) }, true},
			{"alert", func() (bool, error) {
				return b.PublishAlert(ctx, news.Alert{ID: "a1", Revision: 1, Watchlist: "w", Severity: news.SeverityHigh})
			}, false},
			{"alert update", func() (bool, error) { return b.PublishAlert(ctx, update) }, false},
			{"alert update again", func() (bool, error) { return b.PublishAlert(ctx, update) }, true},
			{"delivery", func() (bool, error) { return b.PublishDelivery(ctx, delivery("d1")) }, false},
			{"delivery again", func() (bool, error) { return b.PublishDelivery(ctx, delivery("d1")) }, true},
			{"delivery replayed", func() (bool, error) { return b.PublishDelivery(ctx, replay) }, false},
			{"ledger", func() (bool, error) {
				return b.PublishLedger(ctx, news.LedgerEntry{Event: news.EventAttempt, Delivery: "d1", Channel: "mail", Attempt: 1})
			}, false},
			{"ledger, next attempt", func() (bool, error) { return b.PublishLedger(ctx, later) }, false},
			{"ledger again", func() (bool, error) { return b.PublishLedger(ctx, later) }, true},
			{"dead", func() (bool, error) {
				return b.PublishDead(ctx, news.DeadLetter{Stage: "matcher", ID: "i1", Sequence: 7})
			}, false},
			{"dead again", func() (bool, error) {
				return b.PublishDead(ctx, news.DeadLetter{Stage: "matcher", ID: "i1", Sequence: 7})
			}, true},
		} {
			dup, err := c.publish()
			if err != nil || dup != c.dup {
				t.Errorf("%s: duplicate %v, want %v, error %v", c.name, dup, c.dup, err)
			}
		}
	})
}

func TestSubjectsAndHeaders(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open(channels("mail"))
		const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		ctx := bus.WithTrace(ctxOf(t), parent)
		strange := item("i1")
		strange.Lang, strange.Feed = "zh-Hant", "a.b*c >"
		if _, err := b.PublishItem(ctx, strange); err != nil {
			t.Fatal(err)
		}
		if _, err := b.PublishAlert(ctx, news.Alert{ID: "a", Revision: 1, Watchlist: "sahel"}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct{ stream, subject, id string }{
			{"ITEMS", "items.zh_ant", "i1.r1"},
			{"ALERTS", "alerts.none.sahel", "a.1"},
		} {
			s, err := b.JS().Stream(ctx, c.stream)
			if err != nil {
				t.Fatal(err)
			}
			m, err := s.GetMsg(ctx, 1)
			if err != nil {
				t.Fatal(err)
			}
			trace := strings.Split(m.Header.Get("traceparent"), "-")
			if len(trace) != 4 || trace[1] != "0af7651916cd43dd8448eb211c80319c" || trace[2] == "b7ad6b7169203331" {
				t.Errorf("traceparent %q does not go on with %q", m.Header.Get("traceparent"), parent)
			}
			if m.Header.Get("Tocsin-Schema") != fmt.Sprint(news.Schema) || m.Header.Get("Nats-Msg-Id") != c.id {
				t.Errorf("headers %v", m.Header)
			}
			if n := strings.Count(m.Subject, "."); n != 2 || c.stream == "ALERTS" && m.Subject != c.subject {
				t.Errorf("subject %q, want %q", m.Subject, c.subject)
			}
		}
	})
}

func TestSpanGoesAsItIs(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	const span = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	ctx := bus.WithSpan(ctxOf(t), span)
	for i, c := range []struct {
		ctx  context.Context
		want string
	}{{ctx, span}, {bus.WithTrace(ctx, strings.Replace(span, "0af", "0bf", 1)), "00-0bf"}, {bus.NewTrace(ctx), "00-"}} {
		if _, err := b.PublishItem(c.ctx, item(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		s, _ := b.JS().Stream(ctxOf(t), "ITEMS")
		m, err := s.GetMsg(ctxOf(t), uint64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		got := m.Header.Get("traceparent")
		if !strings.HasPrefix(got, c.want) || i > 0 && strings.Contains(got, "b7ad6b7169203331") || i == 2 && strings.Contains(got, "f7651916cd43dd8448eb211c80319c") {
			t.Errorf("%d: traceparent %q, want %q", i, got, c.want)
		}
	}
}

func TestOwnTraceForEachMessageWithoutOne(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	seen := map[string]bool{}
	for i := range 3 {
		if _, err := b.PublishItem(ctxOf(t), item(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		s, _ := b.JS().Stream(ctxOf(t), "ITEMS")
		m, err := s.GetMsg(ctxOf(t), uint64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		trace := m.Header.Get("traceparent")
		if !bus.ValidTrace(trace) || seen[trace[3:35]] {
			t.Errorf("traceparent %q", trace)
		}
		seen[trace[3:35]] = true
	}
}

func TestUnknownChannelIsRefused(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, channels("mail"))
	d := delivery("d1")
	d.Channel = "chat"
	for name, err := range map[string]error{
		"publish": func() error { _, err := b.PublishDelivery(ctxOf(t), d); return err }(),
		"retry":   b.ArmRetry(ctxOf(t), d, time.Now()),
		"consume": b.ConsumeDeliveries(ctxOf(t), "chat", 1, nil),
	} {
		if err == nil || !strings.Contains(err.Error(), `channel "chat" is not configured`) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A payload that would not fit into a dead letter is cut: the message must not stay in the way for ever.
func TestHugeDeadLetterIsCut(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	huge := news.DeadLetter{Stage: "matcher", ID: "x", Error: "bad", Payload: make([]byte, news.MaxWire)}
	if _, err := b.PublishDead(ctxOf(t), huge); err != nil {
		t.Fatal(err)
	}
	got := deadLetters(t, b)
	if len(got) != 1 || len(got[0].Payload) != news.MaxWire/2 || !strings.Contains(got[0].Error, "cut") {
		t.Errorf("%d dead letters, payload %d, error %q", len(got), len(got[0].Payload), got[0].Error)
	}
}

// The storage limit of the account is told as a full store, and what is stored later shows that it went away by itself.
func TestStorageLimitIsAFullStore(t *testing.T) {
	t.Parallel()
	acc := server.NewAccount("TOCSIN")
	srv := bustest.Server(t, func(o *server.Options) {
		o.Accounts = []*server.Account{acc}
		o.Users = []*server.User{{Username: "tocsin", Password: "secret", Account: acc}}
		o.SystemAccount = ""
	})
	got, err := srv.LookupAccount("TOCSIN")
	if err != nil {
		t.Fatal(err)
	}
	if err := got.EnableJetStream(map[string]server.JetStreamAccountLimits{"": {MaxMemory: -1, MaxStore: 3 << 20, MaxStreams: -1, MaxConsumers: -1}}, nil); err != nil {
		t.Fatal(err)
	}
	url := strings.Replace(srv.ClientURL(), "nats://", "nats://tocsin:secret@", 1)
	b, err := bustest.TryOpen(t, func(o *bus.Options) { o.URL, o.Setup, o.MaxStore = url, true, 2<<20 }, channels("mail"))
	if err != nil {
		t.Fatal(err)
	}
	d := delivery("d")
	d.Body = make([]byte, 200<<10)
	for i := 0; ; i++ {
		d.ID = fmt.Sprint("d", i)
		if _, err = b.PublishDelivery(ctxOf(t), d); err != nil {
			break
		}
		if i > 50 {
			t.Fatal("the limit is never reached")
		}
	}
	if !errors.Is(err, bus.ErrStoreFull) || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("error %q", err)
	}
	t.Log(err)
	s, _ := b.JS().Stream(ctxOf(t), "OUTBOX")
	if err := s.Purge(ctxOf(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PublishDelivery(ctxOf(t), d); err != nil {
		t.Errorf("after there is room again: %v", err)
	}
}

// Without an answer a publish goes on for its budget, and then says so.
func TestServerGone(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	b, err := bustest.TryOpen(t, func(o *bus.Options) { o.URL, o.Setup = srv.ClientURL(), true })
	if err != nil {
		t.Fatal(err)
	}
	b.Hasten(time.Second, 300*time.Millisecond, time.Second)
	srv.Shutdown()
	srv.WaitForShutdown()
	began := time.Now()
	_, err = b.PublishItem(ctxOf(t), item("x"))
	if d := time.Since(began); !errors.Is(err, bus.ErrUnavailable) || d < 900*time.Millisecond || d > 4*time.Second {
		t.Errorf("after %s: %v", d, err)
	}
	if b.Connected() {
		t.Error("it says that it is connected")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err = b.PublishItem(ctx, item("x")); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, bus.ErrUnavailable) {
		t.Errorf("the caller's own deadline gives %v", err)
	}
}

// A server that comes back within the budget is not noticed by the publisher, and nothing is stored twice.
func TestPublishOutlivesAServerRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv := bustest.Server(t, func(o *server.Options) { o.StoreDir = dir })
	b, err := bustest.TryOpen(t, func(o *bus.Options) { o.URL, o.Setup = srv.ClientURL(), true })
	if err != nil {
		t.Fatal(err)
	}
	port := srv.Addr().String()
	srv.Shutdown()
	srv.WaitForShutdown()
	done := make(chan error, 1)
	go func() { _, err := b.PublishItem(context.Background(), item("x")); done <- err }()
	time.Sleep(300 * time.Millisecond)
	bustest.Server(t, func(o *server.Options) {
		o.StoreDir = dir
		_, _ = fmt.Sscanf(port[strings.LastIndex(port, ":")+1:], "%d", &o.Port)
	})
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if s := streamStatus(t, b, "ITEMS"); s.Messages != 1 {
		t.Errorf("%+v", s)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewPedanticRegistry()
	b := bustest.Open(t, channels("mail"), func(o *bus.Options) { o.Registerer = reg })
	ctx := ctxOf(t)
	for i := range 3 {
		if _, err := b.PublishItem(ctx, item(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second is a duplicate and does not count
		if _, err := b.PublishDead(ctx, news.DeadLetter{Stage: "matcher", ID: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	b.PollOnce(ctx)
	want := `
# HELP tocsin_bus_connected 1 while the bus is connected to its server.
# TYPE tocsin_bus_connected gauge
tocsin_bus_connected 1
# HELP tocsin_bus_sync_always 1 when every server is known to sync each write to disk, 0 when it could not be asked.
# TYPE tocsin_bus_sync_always gauge
tocsin_bus_sync_always 1
# HELP tocsin_consumer_pending Messages that the consumer has not been given yet.
# TYPE tocsin_consumer_pending gauge
tocsin_consumer_pending{consumer="channel-mail"} 0
tocsin_consumer_pending{consumer="fetcher"} 0
tocsin_consumer_pending{consumer="matcher"} 3
tocsin_consumer_pending{consumer="notifier"} 0
tocsin_consumer_pending{consumer="router"} 0
# HELP tocsin_dead_letters_total Messages that could not be processed or delivered.
# TYPE tocsin_dead_letters_total counter
tocsin_dead_letters_total{stage="channel"} 0
tocsin_dead_letters_total{stage="fetcher"} 0
tocsin_dead_letters_total{stage="matcher"} 1
tocsin_dead_letters_total{stage="notifier"} 0
tocsin_dead_letters_total{stage="router"} 0
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "tocsin_bus_connected", "tocsin_bus_sync_always", "tocsin_consumer_pending", "tocsin_dead_letters_total"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "tocsin_bus_publish_seconds" {
			h := f.GetMetric()[0].GetHistogram()
			if h.GetSchema() == 0 && h.ZeroThreshold == nil || len(h.GetBucket()) < 10 {
				t.Errorf("the histogram is not both native and classic: %v", h)
			}
		}
	}
	closeBus(t, b)
	if families, err := reg.Gather(); err != nil || len(families) > 0 {
		t.Errorf("%d metrics are left after Close: %v", len(families), err)
	}
}

// Limits drop what nobody has read; that must not pass in silence.
func TestOverrunIsCounted(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	b := bustest.Open(t, func(o *bus.Options) { o.MaxStore, o.Registerer = 1<<20, reg })
	ctx := ctxOf(t)
	eventually(t, "the bus's own first look, which would count too", func() bool {
		n, err := testutil.GatherAndCount(reg, "tocsin_consumer_pending")
		return err == nil && n >= 4
	})
	it := item("x")
	for i := range 60 {
		it.ID, it.Body = fmt.Sprint("i", i), strings.Repeat(fmt.Sprintf("%06d ", i), 9000)
		if _, err := b.PublishItem(ctx, it); err != nil {
			t.Fatal(err)
		}
	}
	s := streamStatus(t, b, "ITEMS")
	if s.FirstSequence < 2 {
		t.Fatalf("nothing was dropped: %+v", s)
	}
	b.PollOnce(ctx)
	want := fmt.Sprintf("# HELP tocsin_consumer_dropped_total Messages that a stream's limits removed before the consumer had finished with them.\n"+
		"# TYPE tocsin_consumer_dropped_total counter\ntocsin_consumer_dropped_total{consumer=\"fetcher\"} 0\ntocsin_consumer_dropped_total{consumer=\"matcher\"} %d\n"+
		"tocsin_consumer_dropped_total{consumer=\"notifier\"} 0\ntocsin_consumer_dropped_total{consumer=\"router\"} 0\n", s.FirstSequence-1)
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "tocsin_consumer_dropped_total"); err != nil {
		t.Error(err)
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	want := jetstream.StreamConfig{Name: "S", MaxAge: 30 * 24 * time.Hour, Replicas: 3, Subjects: []string{"a.*"}}
	got := want
	got.Description, got.Metadata, got.Placement = "ours", map[string]string{"a": "b"}, &jetstream.Placement{Cluster: "c"}
	if d := bus.Differences(want, got); len(d) != 0 {
		t.Errorf("the operator's own fields count: %v", d)
	}
	got.MaxAge, got.Replicas, got.Subjects, got.Sealed = time.Hour, 1, []string{"b.*"}, true
	text, _ := json.Marshal(bus.Differences(want, got))
	for _, part := range []string{"max_age is 1h0m0s, the table has 720h0m0s", "num_replicas is 1, the table has 3", "subjects is [b.*], the table has [a.*]", "sealed is true, the table has absent"} {
		if !strings.Contains(string(text), part) {
			t.Errorf("%q is not in %s", part, text)
		}
	}
}
