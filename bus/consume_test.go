package bus_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"tocsin/bus"
	"tocsin/bus/bustest"
	"tocsin/news"
)

var errNo = errors.New("no")

// hasten makes retries of a bus quick.
func hasten(b *bus.Bus) *bus.Bus {
	b.Hasten(15*time.Second, 5*time.Second, 20*time.Millisecond)
	return b
}

func TestEveryMessageIsHandledOnce(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		const n = 200
		var mu sync.Mutex
		seen := map[string]int{}
		var now, most atomic.Int32
		start(t, func(ctx context.Context) error {
			return b.ConsumeItems(ctx, 4, func(_ context.Context, it news.Item, m bus.Meta) error {
				most.Store(max(most.Load(), now.Add(1)))
				defer now.Add(-1)
				time.Sleep(time.Millisecond)
				mu.Lock()
				defer mu.Unlock()
				seen[it.ID]++
				if m.Stream != "ITEMS" || m.Sequence == 0 || m.Deliveries != 1 || m.Stored.IsZero() || m.Subject != "items.en.feed1" {
					t.Errorf("%+v", m)
				}
				return nil
			})
		})
		for i := range n {
			if _, err := b.PublishItem(ctxOf(t), item(fmt.Sprint(i))); err != nil {
				t.Fatal(err)
			}
		}
		settled(t, b, "matcher")
		mu.Lock()
		defer mu.Unlock()
		if len(seen) != n {
			t.Errorf("%d of %d handled", len(seen), n)
		}
		for id, k := range seen {
			if k != 1 {
				t.Errorf("%s handled %d times", id, k)
			}
		}
		if most.Load() > 4 || most.Load() < 2 {
			t.Errorf("%d handlers at once, want up to 4", most.Load())
		}
	})
}

// A message whose handler was cut off by a crash comes back, and what the handler publishes for the second time is a duplicate.
func TestRedeliveryAfterServerCrash(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	const n = 60
	var mu sync.Mutex
	seen := map[string]bool{}
	start(t, func(ctx context.Context) error {
		return b.ConsumeItems(ctx, 4, func(ctx context.Context, it news.Item, _ bus.Meta) error {
			if _, err := b.PublishMatch(ctx, news.Match{ID: "m" + it.ID, Watchlist: "w"}); err != nil {
				return err
			}
			mu.Lock()
			seen[it.ID] = true
			mu.Unlock()
			return nil
		})
	})
	for i := range n {
		if i%20 == 10 {
			b.RestartServer(ctxOf(t))
		}
		if _, err := b.PublishItem(ctxOf(t), item(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	// What was lost on its way to the handler comes again after AckWait.
	within(t, 60*time.Second, "every item is handled", func() bool { mu.Lock(); defer mu.Unlock(); return len(seen) == n })
	if s := streamStatus(t, b, "ITEMS"); s.Messages != n {
		t.Errorf("%d items stored, want %d", s.Messages, n)
	}
	mu.Lock()
	defer mu.Unlock()
	if s := streamStatus(t, b, "MATCHES"); s.Messages != n {
		t.Errorf("%d matches stored for %d items", s.Messages, n)
	}
}

// The long form of the same: the message lies unacknowledged over a stop and a start of the whole bus.
func TestUnacknowledgedComesBack(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open(channels("mail"))
		if _, err := b.PublishDelivery(ctxOf(t), delivery("d1")); err != nil {
			t.Fatal(err)
		}
		m := fetchOne(t, b, "OUTBOX", "channel-mail")
		if err := m.NakWithDelay(time.Hour); err != nil { // as good as a process that vanished
			t.Fatal(err)
		}
		closeBus(t, b)
		again := open(channels("mail"))
		if c := consumerStatus(t, again, "channel-mail"); c.AckPending+int(c.Pending) != 1 {
			t.Errorf("the message is gone: %+v", c)
		}
	})
}

func fetchOne(t *testing.T, b *bus.Bus, stream, consumer string) jetstream.Msg {
	t.Helper()
	c, err := b.JS().Consumer(ctxOf(t), stream, consumer)
	if err != nil {
		t.Fatal(err)
	}
	batch, err := c.Fetch(1, jetstream.FetchMaxWait(5*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	for m := range batch.Messages() {
		return m
	}
	t.Fatal("no message")
	return nil
}

func TestUndecodableBecomesADeadLetter(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open(channels("mail"))
		ctx := ctxOf(t)
		for subject, body := range map[string]string{
			"items.en.x": "{broken", "matches.w": `{"schema":99}`, "alerts.none.w": "", "outbox.due.mail.d": "[]", "fetch.due.f": "",
		} {
			if _, err := b.JS().Publish(ctx, subject, []byte(body)); err != nil {
				t.Fatal(err)
			}
		}
		fail := func(what string) error { t.Errorf("the %s handler was called", what); return nil }
		start(t, func(ctx context.Context) error {
			return b.ConsumeItems(ctx, 1, func(context.Context, news.Item, bus.Meta) error { return fail("item") })
		})
		start(t, func(ctx context.Context) error {
			return b.ConsumeMatches(ctx, 1, func(context.Context, news.Match, bus.Meta) error { return fail("match") })
		})
		start(t, func(ctx context.Context) error {
			return b.ConsumeAlerts(ctx, 1, func(context.Context, news.Alert, bus.Meta) error { return fail("alert") })
		})
		start(t, func(ctx context.Context) error {
			return b.ConsumeDeliveries(ctx, "mail", 1, func(context.Context, news.Delivery, bus.Meta) error { return fail("delivery") })
		})
		start(t, func(ctx context.Context) error {
			return b.ConsumeDue(ctx, 1, func(context.Context, string) error { return fail("due") })
		})
		for _, c := range []string{"matcher", "notifier", "router", "channel-mail", "fetcher"} {
			settled(t, b, c)
		}
		var stages []string
		for _, d := range deadLetters(t, b) {
			stages = append(stages, d.Stage)
			if d.Reason != bus.DeadUndecodable || d.Error == "" || d.Sequence != 1 || d.Attempts != 1 || d.At.IsZero() || d.Subject == "" ||
				d.Stage == "channel" && d.Channel != "mail" || d.Stage == "matcher" && string(d.Payload) != "{broken" {
				t.Errorf("%+v", d)
			}
		}
		slices.Sort(stages)
		if got := strings.Join(stages, " "); got != "channel fetcher matcher notifier router" {
			t.Errorf("dead letters of %s", got)
		}
	})
}

// The dead letter comes first. While it cannot be stored the message stays.
func TestNoAckWithoutDeadLetter(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	b.Hasten(300*time.Millisecond, 100*time.Millisecond, 20*time.Millisecond)
	ctx := ctxOf(t)
	s, err := b.JS().Stream(ctx, "DEAD")
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	if err := b.JS().DeleteStream(ctx, "DEAD"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.JS().Publish(ctx, "items.en.x", []byte("broken")); err != nil {
		t.Fatal(err)
	}
	start(t, func(ctx context.Context) error {
		return b.ConsumeItems(ctx, 1, func(context.Context, news.Item, bus.Meta) error { return nil })
	})
	c, err := b.JS().Consumer(ctx, "ITEMS", "matcher")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "it was tried more than once", func() bool {
		info, err := c.Info(ctx)
		return err == nil && info.NumRedelivered > 0
	})
	if info, err := c.Info(ctx); err != nil || info.NumAckPending != 1 {
		t.Fatalf("the message was acknowledged: %+v %v", info, err)
	}
	if _, err := b.JS().CreateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	settled(t, b, "matcher")
	if d := deadLetters(t, b); len(d) != 1 {
		t.Errorf("%d dead letters", len(d))
	}
}

func TestPoisonIsGivenUpAtTheFifthDelivery(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := hasten(open())
		for _, id := range []string{"bad", "panics", "good"} {
			if _, err := b.PublishItem(ctxOf(t), item(id)); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		calls := map[string]int{}
		start(t, func(ctx context.Context) error {
			return b.ConsumeItems(ctx, 2, func(_ context.Context, it news.Item, m bus.Meta) error {
				mu.Lock()
				calls[it.ID]++
				mu.Unlock()
				switch it.ID {
				case "bad":
					return fmt.Errorf("cannot: %w", errNo)
				case "panics":
					panic("boom")
				}
				return nil
			})
		})
		settled(t, b, "matcher")
		mu.Lock()
		defer mu.Unlock()
		if calls["bad"] != 5 || calls["panics"] != 5 || calls["good"] != 1 {
			t.Errorf("calls: %v", calls)
		}
		letters := deadLetters(t, b)
		if len(letters) != 2 {
			t.Fatalf("%d dead letters: %+v", len(letters), letters)
		}
		for _, d := range letters {
			it, err := news.Decode[news.Item](d.Payload)
			if d.Stage != "matcher" || d.Reason != bus.DeadHandlerError || d.Attempts != 5 || err != nil || it.ID != d.ID {
				t.Errorf("%+v %v", d, err)
			}
			if d.ID == "bad" && d.Error != "cannot: no" || d.ID == "panics" && !strings.Contains(d.Error, "boom") {
				t.Errorf("error %q of %s", d.Error, d.ID)
			}
		}
	})
}

// What is not the message's fault never makes it a dead letter, nor does it bring the end nearer.
func TestFaultsOfTheBusAreExcused(t *testing.T) {
	t.Parallel()
	b := hasten(bustest.Open(t))
	if _, err := b.PublishItem(ctxOf(t), item("x")); err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int32
	start(t, func(ctx context.Context) error {
		return b.ConsumeItems(ctx, 1, func(context.Context, news.Item, bus.Meta) error {
			switch n := calls.Add(1); {
			case n <= 3:
				return fmt.Errorf("publish match: %w", bus.ErrStoreFull)
			case n <= 5:
				return fmt.Errorf("publish match: %w", bus.ErrUnavailable)
			case n <= 8:
				return news.Later(10*time.Millisecond, nil)
			case n <= 12:
				return errNo // four failures of its own
			}
			return nil
		})
	})
	eventually(t, "handled at last", func() bool { return calls.Load() == 13 })
	settled(t, b, "matcher")
	if d := deadLetters(t, b); len(d) != 0 {
		t.Errorf("%+v", d)
	}
}

func TestDeliveriesAndPollsAreNeverGivenUp(t *testing.T) {
	t.Parallel()
	b := hasten(bustest.Open(t, channels("mail")))
	if _, err := b.PublishDelivery(ctxOf(t), delivery("d")); err != nil {
		t.Fatal(err)
	}
	if err := b.ArmFetch(ctxOf(t), "feed1", time.Now()); err != nil {
		t.Fatal(err)
	}
	var sends, polls atomic.Int32
	fail := func(n *atomic.Int32) error {
		if n.Add(1) < 8 {
			return errNo
		}
		return nil
	}
	start(t, func(ctx context.Context) error {
		return b.ConsumeDeliveries(ctx, "mail", 1, func(context.Context, news.Delivery, bus.Meta) error { return fail(&sends) })
	})
	start(t, func(ctx context.Context) error {
		return b.ConsumeDue(ctx, 1, func(context.Context, string) error { return fail(&polls) })
	})
	eventually(t, "eight tries each", func() bool { return sends.Load() == 8 && polls.Load() == 8 })
	settled(t, b, "channel-mail")
	settled(t, b, "fetcher")
	if d := deadLetters(t, b); len(d) != 0 {
		t.Errorf("%+v", d)
	}
}

func TestLaterComesBackAfterItsDelay(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		if _, err := b.PublishItem(ctxOf(t), item("x")); err != nil {
			t.Fatal(err)
		}
		times := make(chan time.Time, 2)
		start(t, func(ctx context.Context) error {
			return b.ConsumeItems(ctx, 1, func(_ context.Context, _ news.Item, m bus.Meta) error {
				times <- time.Now()
				if m.Deliveries == 1 {
					return fmt.Errorf("wrapped: %w", news.Later(700*time.Millisecond, errNo))
				}
				return nil
			})
		})
		first := <-times
		if d := (<-times).Sub(first); d < 650*time.Millisecond || d > 3*time.Second {
			t.Errorf("it came back after %s", d)
		}
		settled(t, b, "matcher")
	})
}

// A handler may take longer than AckWait: the message stays its own.
func TestSlowHandlerKeepsItsMessage(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	ctx := ctxOf(t)
	c, err := b.JS().Consumer(ctx, "ITEMS", "matcher")
	if err != nil {
		t.Fatal(err)
	}
	cfg := c.CachedInfo().Config
	cfg.AckWait = 12 * time.Second // the bus still reports every 10 s, a third of the table's 30 s
	if _, err := b.JS().UpdateConsumer(ctx, "ITEMS", cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PublishItem(ctx, item("x")); err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int32
	start(t, func(ctx context.Context) error {
		return b.ConsumeItems(ctx, 2, func(context.Context, news.Item, bus.Meta) error {
			calls.Add(1)
			time.Sleep(15 * time.Second)
			return nil
		})
	})
	time.Sleep(16 * time.Second)
	settled(t, b, "matcher")
	if calls.Load() != 1 {
		t.Errorf("delivered %d times", calls.Load())
	}
}

func TestTraceGoesThroughTheHandler(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		if _, err := b.PublishItem(bus.WithTrace(ctxOf(t), parent), item("x")); err != nil {
			t.Fatal(err)
		}
		start(t, func(ctx context.Context) error {
			return b.ConsumeItems(ctx, 1, func(ctx context.Context, it news.Item, _ bus.Meta) error {
				_, err := b.PublishMatch(ctx, news.Match{ID: "m", Watchlist: "w"})
				return err
			})
		})
		settled(t, b, "matcher")
		s, err := b.JS().Stream(ctxOf(t), "MATCHES")
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.GetMsg(ctxOf(t), 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Header.Get("traceparent"); !strings.HasPrefix(got, "00-0af7651916cd43dd8448eb211c80319c-") {
			t.Errorf("traceparent %q", got)
		}
	})
}

// Two processes read matches; only one gets them, and when it goes the other takes over.
func TestPinnedConsumerHasOneReaderAtATime(t *testing.T) {
	t.Parallel()
	url := bustest.Server(t).ClientURL()
	var buses []*bus.Bus
	var counts [2]atomic.Int32
	for i := range 2 {
		b, err := bustest.TryOpen(t, func(o *bus.Options) { o.URL, o.Setup = url, true })
		if err != nil {
			t.Fatal(err)
		}
		buses = append(buses, b)
		start(t, func(ctx context.Context) error {
			return b.ConsumeMatches(ctx, 1, func(context.Context, news.Match, bus.Meta) error {
				counts[i].Add(1)
				return nil
			})
		})
	}
	publish := func(from, to int, b *bus.Bus) {
		for i := from; i < to; i++ {
			if _, err := b.PublishMatch(ctxOf(t), news.Match{ID: fmt.Sprint(i), Watchlist: "w"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	publish(0, 50, buses[0])
	settled(t, buses[0], "notifier")
	first := 0
	if counts[1].Load() > counts[0].Load() {
		first = 1
	}
	if counts[first].Load() != 50 || counts[1-first].Load() != 0 {
		t.Errorf("%d and %d: both got matches", counts[0].Load(), counts[1].Load())
	}
	closeBus(t, buses[first])
	began := time.Now()
	publish(50, 60, buses[1-first])
	settled(t, buses[1-first], "notifier")
	if counts[1-first].Load() != 10 {
		t.Errorf("the second got %d of 10", counts[1-first].Load())
	}
	t.Logf("takeover after %s", time.Since(began))
}

// One channel that is down does not hold up another, and a paused one waits.
func TestChannelsAreApartAndPause(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open(channels("mail", "chat"))
		ctx := ctxOf(t)
		until := time.Now().Add(2 * time.Second)
		if err := b.PauseChannel(ctx, "mail", until); err != nil {
			t.Fatal(err)
		}
		mail, chat := make(chan time.Time, 1), make(chan time.Time, 1)
		start(t, func(ctx context.Context) error {
			return b.ConsumeDeliveries(ctx, "mail", 1, func(context.Context, news.Delivery, bus.Meta) error { mail <- time.Now(); return nil })
		})
		start(t, func(ctx context.Context) error {
			return b.ConsumeDeliveries(ctx, "chat", 1, func(context.Context, news.Delivery, bus.Meta) error { chat <- time.Now(); return nil })
		})
		d := delivery("d2")
		d.Channel = "chat"
		for _, d := range []news.Delivery{delivery("d1"), d} {
			if _, err := b.PublishDelivery(ctx, d); err != nil {
				t.Fatal(err)
			}
		}
		if at := <-chat; at.After(until) {
			t.Errorf("chat waited until %s after the end of mail's pause", at.Sub(until))
		}
		if at := <-mail; at.Before(until.Add(-50 * time.Millisecond)) {
			t.Errorf("mail was sent %s before the end of its pause", until.Sub(at))
		}
		if err := b.PauseChannel(ctx, "mail", time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := b.PauseChannel(ctx, "mail", time.Time{}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.PublishDelivery(ctx, delivery("d3")); err != nil {
			t.Fatal(err)
		}
		<-mail
		if err := b.PauseChannel(ctx, "fax", time.Time{}); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("pause of an unknown channel: %v", err)
		}
	})
}

func TestRemovedChannel(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open(channels("mail", "chat"))
		ctx := ctxOf(t)
		for i := range 3 {
			d := delivery(fmt.Sprint("c", i))
			d.Channel, d.Subject, d.Attempt = "chat", "headline", i
			if _, err := b.PublishDelivery(ctx, d); err != nil {
				t.Fatal(err)
			}
		}
		waiting := delivery("c9")
		waiting.Channel = "chat"
		if err := b.ArmRetry(ctx, waiting, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := b.PublishDelivery(ctx, delivery("m1")); err != nil {
			t.Fatal(err)
		}
		closeBus(t, b)

		unstated := open()
		if s := streamStatus(t, unstated, "OUTBOX"); s.Messages != 5 {
			t.Errorf("without a word about channels messages went: %+v", s)
		}
		closeBus(t, unstated)

		b = open(channels("mail"))
		if s := streamStatus(t, b, "OUTBOX"); s.Messages != 1 {
			t.Errorf("%+v", s)
		}
		letters := deadLetters(t, b)
		if len(letters) != 4 {
			t.Fatalf("%d dead letters", len(letters))
		}
		for _, d := range letters {
			v, err := news.Decode[news.Delivery](d.Payload)
			if err != nil || d.Reason != bus.DeadChannelRemoved || d.Stage != "channel" || d.Channel != "chat" || v.ID != d.ID {
				t.Errorf("%+v %v", d, err)
			}
		}
		if _, err := b.JS().Consumer(ctx, "OUTBOX", "channel-chat"); !errors.Is(err, jetstream.ErrConsumerNotFound) {
			t.Errorf("the consumer is still there: %v", err)
		}
		c := consumerStatus(t, b, "channel-mail")
		if c.Pending != 1 {
			t.Errorf("%+v", c)
		}
	})
}

// A consumer that stands beyond the end of its stream would never get what takes those numbers now.
func TestConsumerAheadOfItsStreamIsSetBack(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		ctx := ctxOf(t)
		handled := make(chan string, 100)
		consume := func(b *bus.Bus) func() {
			return start(t, func(ctx context.Context) error {
				return b.ConsumeItems(ctx, 1, func(_ context.Context, it news.Item, _ bus.Meta) error { handled <- it.ID; return nil })
			})
		}
		stop := consume(b)
		for i := range 5 {
			if _, err := b.PublishItem(ctx, item(fmt.Sprint("old", i))); err != nil {
				t.Fatal(err)
			}
		}
		settled(t, b, "matcher")
		stop()
		loseTheStream(t, b, "ITEMS")
		closeBus(t, b)
		for len(handled) > 0 {
			<-handled
		}
		b = open()
		consume(b)
		if _, err := b.PublishItem(ctx, item("new")); err != nil {
			t.Fatal(err)
		}
		select {
		case id := <-handled:
			if id != "new" {
				t.Errorf("%s came again", id)
			}
		case <-time.After(5 * time.Second):
			t.Error("the new item never comes")
		}
	})
}

// loseTheStream makes the stream anew and puts its consumer where it stood, as after a loss of the stream's end.
func loseTheStream(t *testing.T, b *bus.Bus, stream string) {
	t.Helper()
	ctx := ctxOf(t)
	s, err := b.JS().Stream(ctx, stream)
	if err != nil {
		t.Fatal(err)
	}
	cfg, last := s.CachedInfo().Config, s.CachedInfo().State.LastSeq
	c, err := s.Consumer(ctx, "matcher")
	if err != nil {
		t.Fatal(err)
	}
	ccfg := c.CachedInfo().Config
	if err := b.JS().DeleteStream(ctx, stream); err != nil {
		t.Fatal(err)
	}
	if s, err = b.JS().CreateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	if _, err = s.CreateConsumer(ctx, ccfg); err != nil {
		t.Fatal(err)
	}
	if _, err = b.JS().ResetConsumerToSequence(ctx, stream, "matcher", last+1); err != nil {
		t.Fatal(err)
	}
	if c, err = s.Consumer(ctx, "matcher"); err != nil || c.CachedInfo().Delivered.Stream <= s.CachedInfo().State.LastSeq {
		t.Fatalf("the consumer is not ahead: %+v %v", c.CachedInfo(), err)
	}
}

// The subscription is made again when its consumer vanishes and returns.
func TestSubscriptionIsMadeAgain(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t)
	ctx := ctxOf(t)
	got := make(chan string, 10)
	start(t, func(ctx context.Context) error {
		return b.ConsumeItems(ctx, 1, func(_ context.Context, it news.Item, _ bus.Meta) error { got <- it.ID; return nil })
	})
	c, err := b.JS().Consumer(ctx, "ITEMS", "matcher")
	if err != nil {
		t.Fatal(err)
	}
	cfg := c.CachedInfo().Config
	time.Sleep(200 * time.Millisecond) // a pull is waiting
	if err := b.JS().DeleteConsumer(ctx, "ITEMS", "matcher"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	if _, err := b.JS().CreateConsumer(ctx, "ITEMS", cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := b.PublishItem(ctx, item("x")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-got:
	case <-time.After(15 * time.Second):
		t.Error("no message after the consumer came back")
	}
}

func TestHandlerSeesTheEndOfGrace(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, func(o *bus.Options) { o.Grace = 200 * time.Millisecond })
	if _, err := b.PublishItem(ctxOf(t), item("x")); err != nil {
		t.Fatal(err)
	}
	inside, ended := make(chan time.Time, 1), make(chan time.Time, 1)
	stop := start(t, func(ctx context.Context) error {
		return b.ConsumeItems(ctx, 1, func(ctx context.Context, _ news.Item, _ bus.Meta) error {
			inside <- time.Now()
			<-ctx.Done()
			ended <- time.Now()
			return ctx.Err()
		})
	})
	<-inside
	began := time.Now()
	stop()
	if d := (<-ended).Sub(began); d < 150*time.Millisecond || d > 2*time.Second {
		t.Errorf("the handler's context ended after %s", d)
	}
}
