package fetcher

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"tocsin/news"
)

// reconciled looks once after all feeds, as Run does every five minutes.
func (r *rig) reconciled(t *testing.T, ok func() bool) {
	t.Helper()
	if err := r.f.reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !ok() {
		t.Errorf("armed %v at %s", r.armed, r.clock)
	}
}

func TestAClockThatIsSetBackDelaysNobody(t *testing.T) {
	s := newSite(t, oneItem(1))
	r := newRig(t, nil, Feed{URL: s.URL + "/a"}, Feed{URL: s.URL + "/b"})
	r.poll(0)
	r.poll(1)
	r.advance(-300 * day) // the clock was wrong before
	r.reconciled(t, func() bool { return r.armed[r.id(0)].Sub(r.clock) < time.Minute })
	planned := r.armed[r.id(0)]
	r.reconciled(t, func() bool { return r.armed[r.id(0)].Equal(planned) })
	s.set(oneItem(2), nil)
	r.poll(0)
	if len(s.requests()) != 3 || len(r.items) != 3 {
		t.Errorf("%d requests, published %v", len(s.requests()), r.titles())
	}
	if at := r.armed[r.id(0)].Sub(r.clock); at > 2*time.Hour || at < time.Minute {
		t.Errorf("next in %s", at)
	}
}

func TestAClockThatIsSetBackKeepsRetryAfter(t *testing.T) {
	s := newSite(t, "")
	s.handle(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7200")
		w.WriteHeader(503)
	})
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	r.advance(-300 * day)
	if err := r.f.Poll(context.Background(), r.id(0)); err != nil {
		t.Fatal(err)
	}
	if n := len(s.requests()); n != 1 {
		t.Errorf("%d requests", n)
	}
	if at := r.armed[r.id(0)].Sub(r.clock); at != 2*time.Hour {
		t.Errorf("armed in %s", at)
	}
	r.poll(0)
	if n := len(s.requests()); n != 2 {
		t.Errorf("%d requests after the wait", n)
	}
}

func TestAClockThatIsSetBackForgetsNothing(t *testing.T) {
	s := newSite(t, rssOf("One|https://h.example/1|g1", "Two|https://h.example/2|g2"))
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	r.advance(-2 * day)
	s.set(rssOf("Two|https://h.example/2|g2"), nil)
	r.poll(0)
	s.set(rssOf("One|https://h.example/1|g1", "Two|https://h.example/2|g2"), nil)
	r.poll(0)
	if len(r.items) != 2 {
		t.Errorf("published %v", r.titles())
	}
}

// Many feeds must not be slower than their publishers wish because of the limit that keeps a start from being a burst.
func TestTheRateOfStartsGrowsWithTheList(t *testing.T) {
	var feeds []Feed
	for i := range 600 {
		feeds = append(feeds, Feed{URL: fmt.Sprintf("https://h%d.example/rss", i), Interval: time.Minute})
	}
	r := newRig(t, func(o *Options) { o.StartRate = 5 }, feeds...)
	for i := range feeds {
		st := &state{Listed: listedMark(&feeds[i]), Interval: time.Minute, LastTry: r.clock, Next: r.clock.Add(time.Minute)}
		st.Version = stateVersion
		b, err := st.encode()
		if err != nil {
			t.Fatal(err)
		}
		id := news.FeedID(feeds[i].URL)
		r.states[id], r.revs[id] = b, 1
	}
	r.reconciled(t, func() bool { return len(r.armed) == 600 })
	if gap := r.f.starts.gap.Round(time.Millisecond); gap != time.Second/20 {
		t.Errorf("one start every %s: 600 feeds a minute need 10 a second, and twice that is the limit", gap)
	}
}

func TestFeedsThatSkipTheSameHoursAreNotAskedAtTheSameSecond(t *testing.T) {
	at := map[time.Time]int{}
	for i := range 200 {
		p := plan{id: fmt.Sprint(i), now: noon, min: time.Minute, state: &state{EverVal: true, SkipHours: 1<<13 | 1<<14}}
		next, _ := p.next()
		if h := next.Hour(); h == 13 || h == 14 || next.Before(noon.Add(3*time.Hour)) || next.After(noon.Add(3*time.Hour+6*time.Minute)) {
			t.Fatalf("next at %s", next)
		}
		at[next]++
	}
	for when, n := range at {
		if n > 5 {
			t.Errorf("%d feeds at %s", n, when)
		}
	}
}
