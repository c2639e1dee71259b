package bus_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/bus"
	"tocsin/news"
)

// polls collects what ConsumeDue hands out.
type polls struct {
	mu  sync.Mutex
	ids []string
	at  map[string]time.Time
}

func collectPolls(t *testing.T, b *bus.Bus) *polls {
	p := &polls{at: map[string]time.Time{}}
	start(t, func(ctx context.Context) error {
		return b.ConsumeDue(ctx, 4, func(_ context.Context, id string) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.ids, p.at[id] = append(p.ids, id), time.Now()
			return nil
		})
	})
	return p
}

func (p *polls) got() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := slices.Clone(p.ids)
	slices.Sort(out)
	return out
}

func (p *polls) when(id string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at[id]
}

func TestSchedules(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		ctx := ctxOf(t)
		arm := func(id string, at time.Time) {
			t.Helper()
			if err := b.ArmFetch(ctx, id, at); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		exact := began.Add(1630 * time.Millisecond)
		arm("exact", exact)
		arm("past", began.Add(-time.Hour))
		arm("replaced", began.Add(500*time.Millisecond))
		arm("replaced", began.Add(1200*time.Millisecond))
		arm("cancelled", began.Add(500*time.Millisecond))
		if err := b.CancelFetch(ctx, "cancelled"); err != nil {
			t.Fatal(err)
		}
		if err := b.CancelFetch(ctx, "never was"); err != nil {
			t.Error(err)
		}
		arm("Odd.id with blanks", began)
		p := collectPolls(t, b)
		eventually(t, "four polls", func() bool { return len(p.got()) >= 4 })
		time.Sleep(400 * time.Millisecond)
		if got := fmt.Sprint(p.got()); got != "[Odd.id with blanks exact past replaced]" {
			t.Errorf("polls: %s", got)
		}
		if d := p.when("exact").Sub(exact); d < 0 || d > 900*time.Millisecond {
			t.Errorf("the exact one came %s late", d)
		}
		if d := p.when("past").Sub(began); d > 1500*time.Millisecond {
			t.Errorf("the overdue one took %s", d)
		}
		if d := p.when("replaced").Sub(began); d < 1200*time.Millisecond {
			t.Errorf("the replaced one fired after %s", d)
		}
		settled(t, b, "fetcher")
		if s := streamStatus(t, b, "FETCH"); s.Messages != 0 {
			t.Errorf("%d messages are left", s.Messages)
		}
	})
}

func TestSchedulesSurviveARestart(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		ctx := ctxOf(t)
		for _, id := range []string{"overdue", "future", "cancelled"} {
			at := time.Now().Add(200 * time.Millisecond)
			if id == "future" {
				at = time.Now().Add(2500 * time.Millisecond)
			}
			if err := b.ArmFetch(ctx, id, at); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.CancelFetch(ctx, "cancelled"); err != nil {
			t.Fatal(err)
		}
		closeBus(t, b)
		time.Sleep(500 * time.Millisecond)
		b = open()
		p := collectPolls(t, b)
		eventually(t, "two polls", func() bool { return len(p.got()) >= 2 })
		time.Sleep(300 * time.Millisecond)
		if got := fmt.Sprint(p.got()); got != "[future overdue]" {
			t.Errorf("polls: %s", got)
		}
	})
}

func TestEnsureFetchNeverDoubles(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		ctx := ctxOf(t)
		ensure := func(want bool, at time.Duration, when string) {
			t.Helper()
			created, err := b.EnsureFetch(ctx, "f", time.Now().Add(at))
			if err != nil || created != want {
				t.Errorf("%s: created %v, want %v, error %v", when, created, want, err)
			}
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		made := 0
		for range 10 {
			wg.Go(func() {
				created, err := b.EnsureFetch(ctx, "f", time.Now().Add(700*time.Millisecond))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				if created {
					made++
				}
			})
		}
		wg.Wait()
		if made != 1 {
			t.Errorf("created %d times at once", made)
		}
		ensure(false, time.Second, "a schedule waits")
		eventually(t, "the poll is due", func() bool { return consumerStatus(t, b, "fetcher").Pending == 1 })
		ensure(false, 0, "a poll is due")

		inside, release := make(chan struct{}), make(chan struct{})
		calls := 0
		stop := start(t, func(ctx context.Context) error {
			return b.ConsumeDue(ctx, 2, func(ctx context.Context, id string) error {
				calls++
				if calls == 1 {
					close(inside)
					<-release
					return b.ArmFetch(ctx, id, time.Now().Add(time.Hour))
				}
				return nil
			})
		})
		<-inside
		ensure(false, 0, "a poll is under way")
		close(release)
		settled(t, b, "fetcher")
		ensure(false, 0, "the next poll is planned")
		stop()
		if calls != 1 {
			t.Errorf("polled %d times", calls)
		}
		if s := streamStatus(t, b, "FETCH"); s.Messages != 1 {
			t.Errorf("%d messages for one feed", s.Messages)
		}
		if err := b.CancelFetch(ctx, "f"); err != nil {
			t.Fatal(err)
		}
		ensure(true, time.Hour, "nothing is planned")
	})
}

// The next poll is armed before the due message is acknowledged. When the schedule fires first, there is still one chain.
func TestArmBeforeAckKeepsOneChain(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open()
		if err := b.ArmFetch(ctxOf(t), "f", time.Now()); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		calls := 0
		start(t, func(ctx context.Context) error {
			return b.ConsumeDue(ctx, 2, func(ctx context.Context, id string) error {
				mu.Lock()
				calls++
				n := calls
				mu.Unlock()
				if n < 4 {
					if err := b.ArmFetch(ctx, id, time.Now()); err != nil {
						return err
					}
					time.Sleep(500 * time.Millisecond) // it fires meanwhile
				}
				return nil
			})
		})
		eventually(t, "four polls", func() bool { mu.Lock(); defer mu.Unlock(); return calls >= 4 })
		settled(t, b, "fetcher")
		time.Sleep(300 * time.Millisecond)
		if s := streamStatus(t, b, "FETCH"); s.Messages != 0 || calls != 4 {
			t.Errorf("%d polls, %d messages left", calls, s.Messages)
		}
	})
}

func TestRetryIsDeliveredWithItsNewContent(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open(channels("mail"))
		if _, err := b.PublishDelivery(ctxOf(t), delivery("d1")); err != nil {
			t.Fatal(err)
		}
		type try struct {
			d  news.Delivery
			m  bus.Meta
			at time.Time
		}
		tries := make(chan try, 10)
		start(t, func(ctx context.Context) error {
			return b.ConsumeDeliveries(ctx, "mail", 2, func(ctx context.Context, d news.Delivery, m bus.Meta) error {
				tries <- try{d, m, time.Now()}
				if d.Attempt < 2 {
					d.Attempt++
					return b.ArmRetry(ctx, d, time.Now().Add(600*time.Millisecond))
				}
				return nil
			})
		})
		var last time.Time
		for i := range 3 {
			select {
			case x := <-tries:
				if x.d.Attempt != i || x.m.Deliveries != 1 || string(x.d.Body) != "body d1" {
					t.Errorf("try %d: attempt %d, delivery %d", i, x.d.Attempt, x.m.Deliveries)
				}
				if d := x.at.Sub(last); i > 0 && (d < 600*time.Millisecond || d > 2*time.Second) {
					t.Errorf("try %d came after %s", i, d)
				}
				last = x.at
			case <-time.After(5 * time.Second):
				t.Fatalf("try %d never came", i)
			}
		}
		settled(t, b, "channel-mail")
		if s := streamStatus(t, b, "OUTBOX"); s.Messages != 0 || len(tries) != 0 {
			t.Errorf("%d messages and %d tries are left", s.Messages, len(tries))
		}
	})
}

// A firing that took away the earlier message of its subject would meet the acknowledgement of that one, and the server then loses both.
func TestAFiringTakesNothingAway(t *testing.T) {
	both(t, func(t *testing.T, open opener) {
		b := open(channels("mail"))
		ctx := ctxOf(t)
		if _, err := b.PublishDelivery(ctx, delivery("d1")); err != nil {
			t.Fatal(err)
		}
		var calls atomic.Int32
		release := make(chan struct{})
		start(t, func(ctx context.Context) error {
			return b.ConsumeDeliveries(ctx, "mail", 2, func(ctx context.Context, d news.Delivery, _ bus.Meta) error {
				n := calls.Add(1)
				if n == 1 {
					if err := b.ArmRetry(ctx, d, time.Now()); err != nil {
						return err
					}
				}
				<-release
				return nil
			})
		})
		eventually(t, "the retry, while the first is under way", func() bool { return calls.Load() == 2 })
		queued(t, b, "d1", true)
		if s := streamStatus(t, b, "OUTBOX"); s.Messages != 2 {
			t.Errorf("%d messages, want the first and its retry", s.Messages)
		}
		close(release)
		settled(t, b, "channel-mail")
		if s := streamStatus(t, b, "OUTBOX"); s.Messages != 0 || calls.Load() != 2 {
			t.Errorf("%d messages are left after %d calls", s.Messages, calls.Load())
		}
		queued(t, b, "d1", false)
		if err := b.ArmRetry(ctx, delivery("d1"), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		queued(t, b, "d1", true)
		queued(t, b, "d2", false)
	})
}

func queued(t *testing.T, b *bus.Bus, id string, want bool) {
	t.Helper()
	has, err := b.Queued(ctxOf(t), "mail")
	if err != nil {
		t.Fatal(err)
	}
	if has(id) != want {
		t.Errorf("%s has a message: %v, want %v", id, !want, want)
	}
}
