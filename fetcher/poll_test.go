package fetcher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/news"
)

func TestFullStoreRepeatsThePoll(t *testing.T) {
	s := newSite(t, rssOf("One|https://herald.example/1|g1", "Two|https://herald.example/2|g2"))
	s.headers = map[string]string{"ETag": `"a"`}
	r := newRig(t, nil, Feed{URL: s.URL})
	full := errors.New("disk full")
	r.publish = func(it news.Item) error {
		if it.Title == "Two" {
			return full
		}
		return nil
	}
	if err := r.tryPoll(0); !errors.Is(err, full) {
		t.Fatalf("got %v", err)
	}
	if r.saves != 0 || len(r.armed) != 0 {
		t.Errorf("%d saves, %d armed: validators must not be stored before the items are", r.saves, len(r.armed))
	}
	if n := r.counter("tocsin_items_total", "not_stored"); n != 1 {
		t.Errorf("counted %v times", n)
	}
	r.publish = nil
	r.poll(0)
	if got := strings.Join(r.titles(), ","); got != "One,One,Two" {
		t.Errorf("published %s", got)
	}
	if r.items[0].Key() != r.items[1].Key() {
		t.Error("the repetition has another key: the bus could not know it again")
	}
	if s.last().Header.Get("If-None-Match") != "" {
		t.Error("the repetition was conditional")
	}
}

func TestStoreFaultsAreErrors(t *testing.T) {
	s := newSite(t, oneItem(1))
	broken := errors.New("no store")
	r := newRig(t, nil, Feed{URL: s.URL})
	r.onSave = func() error { return broken }
	if err := r.tryPoll(0); !errors.Is(err, broken) || len(r.armed) != 0 {
		t.Errorf("save: %v, %d armed", err, len(r.armed))
	}
	r.onSave = nil
	r.states[r.id(0)], r.revs[r.id(0)] = []byte("{"), 1
	if err := r.tryPoll(0); err == nil {
		t.Error("a state that cannot be read was taken for a new feed")
	}
	r.states[r.id(0)] = []byte(`{"v":99,"seen":{}}`)
	if err := r.tryPoll(0); err == nil || !strings.Contains(err.Error(), "upgrade") {
		t.Errorf("a newer state: %v", err)
	}
}

func TestConflictMergesWhatBothSaw(t *testing.T) {
	s := newSite(t, oneItem(1))
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	var once sync.Once
	s.set(oneItem(2), nil)
	r.onSave = func() error {
		once.Do(func() {
			// Another worker stores that it saw item 3.
			other, _ := decodeState(r.states[r.id(0)])
			other.Seen.index()
			other.Seen.put(seenEntry{item: keyOf(r.id(0), "g3"), day: 1, content: 7})
			b, _ := other.encode()
			r.states[r.id(0)] = b
			r.revs[r.id(0)]++
		})
		return nil
	}
	r.poll(0)
	st := r.state(0)
	st.Seen.index()
	for _, id := range []string{"g1", "g2", "g3"} {
		if _, ok := st.Seen.byID[keyOf(r.id(0), id).short()]; !ok {
			t.Errorf("%s is not in the merged set", id)
		}
	}
}

func TestDueBeforeNextAsksNothing(t *testing.T) {
	s := newSite(t, oneItem(1))
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	next := r.armed[r.id(0)]
	delete(r.armed, r.id(0))
	if err := r.f.Poll(context.Background(), r.id(0)); err != nil {
		t.Fatal(err)
	}
	if len(s.requests()) != 1 || !r.armed[r.id(0)].Equal(next) {
		t.Errorf("%d requests, armed at %s", len(s.requests()), r.armed[r.id(0)])
	}
}

func TestRemovedAndPausedFeedsEnd(t *testing.T) {
	s := newSite(t, oneItem(1))
	r := newRig(t, nil, Feed{URL: s.URL + "/a"}, Feed{URL: s.URL + "/b", Paused: true})
	r.f.SetFeeds(r.feeds[1:])
	for i := range 2 {
		if err := r.f.Poll(context.Background(), r.id(i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.requests()) != 0 || len(r.armed) != 0 {
		t.Errorf("%d requests, %d armed", len(s.requests()), len(r.armed))
	}
	if st := r.status(0); st.State != StatePaused {
		t.Errorf("state %s", st.State)
	}
}

func TestOnePollOfAFeedAtATime(t *testing.T) {
	s := newSite(t, "")
	in, out := make(chan bool), make(chan bool)
	s.handle(func(w http.ResponseWriter, _ *http.Request) {
		in <- true
		<-out
		fmt.Fprint(w, oneItem(1))
	})
	r := newRig(t, nil, Feed{URL: s.URL})
	done := make(chan error)
	go func() { done <- r.f.Poll(context.Background(), r.id(0)) }()
	<-in
	var later *news.LaterError
	if err := r.f.Poll(context.Background(), r.id(0)); !errors.As(err, &later) || later.After <= 0 {
		t.Errorf("a second poll at the same time: %v", err)
	}
	out <- true
	if err := <-done; err != nil || len(s.requests()) != 1 {
		t.Errorf("%v, %d requests", err, len(s.requests()))
	}
}

func TestBusyHostSendsPollsAway(t *testing.T) {
	s := newSite(t, oneItem(1))
	var feeds []Feed
	for i := range 5 {
		feeds = append(feeds, Feed{URL: fmt.Sprintf("%s/%d", s.URL, i)})
	}
	r := newRig(t, func(o *Options) { o.HostGap, o.Now = 10*time.Second, time.Now }, feeds...)
	var away []time.Duration
	for i := range feeds {
		var later *news.LaterError
		if err := r.f.Poll(context.Background(), r.id(i)); errors.As(err, &later) {
			away = append(away, later.After)
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if len(s.requests()) != 1 || len(away) != 4 {
		t.Fatalf("%d requests, %d sent away", len(s.requests()), len(away))
	}
	for i := 1; i < len(away); i++ {
		if d := away[i] - away[i-1]; d < 9*time.Second {
			t.Errorf("places in the line: %v", away)
		}
	}
	if r.saves != 1 {
		t.Errorf("%d saves: a poll that was sent away is no poll", r.saves)
	}
}

func TestHostSlotsAreFreedAndGapKept(t *testing.T) {
	h := newHosts(2, 30*time.Millisecond, time.Now)
	start := time.Now()
	var wg sync.WaitGroup
	var mu sync.Mutex
	used, most := 0, 0
	for range 6 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			done, err := h.acquire(context.Background(), "h:80", false)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			used++
			most = max(most, used)
			mu.Unlock()
			time.Sleep(20 * time.Millisecond)
			mu.Lock()
			used--
			mu.Unlock()
			done()
		}()
	}
	wg.Wait()
	if most > 2 || time.Since(start) < 150*time.Millisecond {
		t.Errorf("%d at a time, all done in %s", most, time.Since(start))
	}
}

func TestReconcilerArmsWhatHasNoWakeUp(t *testing.T) {
	s := newSite(t, oneItem(1))
	r := newRig(t, func(o *Options) { o.StartRate = 10 }, Feed{URL: s.URL + "/a"}, Feed{URL: s.URL + "/b"}, Feed{URL: s.URL + "/c", Paused: true})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.f.Run(ctx) }()
	armed := func(i int) time.Time {
		for range 200 {
			r.mu.Lock()
			at := r.armed[r.id(i)]
			r.mu.Unlock()
			if !at.IsZero() {
				return at
			}
			time.Sleep(5 * time.Millisecond)
		}
		t.Fatalf("feed %d was not armed", i)
		return time.Time{}
	}
	if a, b := armed(0), armed(1); !a.Equal(r.clock) || b.Sub(a) != 100*time.Millisecond {
		t.Errorf("new feeds armed at %s and %s: one at once, more spread", a, b)
	}
	r.mu.Lock()
	if _, ok := r.armed[r.id(2)]; ok {
		t.Error("a paused feed was armed")
	}
	r.mu.Unlock()
	r.poll(0)
	r.mu.Lock()
	delete(r.armed, r.id(0))
	r.mu.Unlock()
	r.f.SetFeeds(r.feeds)
	if at := armed(0); !at.After(r.now()) {
		t.Errorf("a known feed was armed at %s: never now", at)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestListEditKeepsIdentity(t *testing.T) {
	s := newSite(t, oneItem(1))
	r := newRig(t, nil, Feed{URL: s.URL + "/old"})
	s.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(410) })
	r.poll(0)
	s.set(oneItem(1), nil)
	id := r.id(0)
	r.feeds[0] = Feed{URL: s.URL + "/new", Was: s.URL + "/old"}
	r.f.SetFeeds(r.feeds)
	if r.id(0) != id {
		t.Fatal("the id changed")
	}
	r.poll(0)
	if len(r.items) != 1 || r.items[0].Feed != id {
		t.Errorf("a list edit did not end 410: %d items", len(r.items))
	}
}

func TestNewRefusesMissingOptions(t *testing.T) {
	_, err := New(Options{})
	for _, name := range []string{"Client", "Publish", "LoadState", "SaveState", "Arm", "Ensure", "UserAgent"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in %v", name, err)
		}
	}
}

func TestCheckLooksOnceWithoutState(t *testing.T) {
	s := newSite(t, rssOf("One|https://herald.example/1|g1|Sun, 22 Nov 2026 09:00:00 GMT"))
	o := Options{Client: plainClient, UserAgent: "Tocsin/test (+https://example.org)", HostGap: -1}
	c := Check(context.Background(), o, Feed{URL: s.URL + "/rss"})
	if c.Fault != nil || c.Kind != "rss2.0" || c.Title != "Border Herald" || len(c.Items) != 1 || c.Status != 200 || c.Lang != "en" {
		t.Errorf("check = %+v", c)
	}
	s.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) })
	if c = Check(context.Background(), o, Feed{URL: s.URL + "/rss"}); c.Fault == nil || c.Fault.Reason != Reason4xx {
		t.Errorf("fault = %v", c.Fault)
	}
}
