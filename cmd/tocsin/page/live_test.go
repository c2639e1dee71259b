package page

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"tocsin/bus"
	"tocsin/news"
)

// listener is one open stream of events.
type listener struct {
	t      testing.TB
	events chan event
	status int
	close  func()
}

type event struct{ name, id, data string }

// listen opens the stream as a browser does.
func listen(t testing.TB, url, last string) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{t: t, events: make(chan event, 1000), status: resp.StatusCode, close: cancel}
	t.Cleanup(cancel)
	go func() {
		defer close(l.events)
		defer resp.Body.Close()
		var e event
		sc := bufio.NewScanner(resp.Body)
		sc.Buffer(nil, 1<<20)
		for sc.Scan() {
			name, value, _ := strings.Cut(sc.Text(), ": ")
			switch name {
			case "event":
				e.name = value
			case "id":
				e.id = value
			case "data":
				e.data = value
			case "":
				if value != "" {
					l.events <- event{name: "comment", data: value}
				} else if e.name != "" {
					l.events <- e
				}
				e = event{}
			}
		}
	}()
	return l
}

// next waits for an event of a name.
func (l *listener) next(name string) event {
	l.t.Helper()
	for {
		select {
		case e, ok := <-l.events:
			if !ok {
				l.t.Fatalf("the stream ended before %s", name)
			}
			if e.name == name {
				return e
			}
		case <-time.After(30 * time.Second):
			l.t.Fatalf("no %s for 30 s", name)
		}
	}
}

func liveWorld(t testing.TB) (*world, string) {
	w := newWorld(t, nil)
	srv := httptest.NewServer(w)
	t.Cleanup(srv.Close)
	t.Cleanup(srv.CloseClientConnections)
	return w, srv.URL
}

// TestEventsResume tells alerts as they come, and after a break exactly those that were missed, in their order.
func TestEventsResume(t *testing.T) {
	w, url := liveWorld(t)
	w.Alert(alertOf(1, "TTP one", "TTP"), 10)
	l := listen(t, url+"/events?after=10", "")
	l.next("health")
	w.Alert(alertOf(2, "TTP two", "TTP"), 11)
	e := l.next("alert")
	var data struct {
		HTML, Say string
		Seq       uint64
	}
	if err := json.Unmarshal([]byte(e.data), &data); err != nil {
		t.Fatal(err)
	}
	if e.id != "11" || data.Seq != 11 || !strings.Contains(data.HTML, "<mark>TTP</mark> two") || data.Say != "New alert, high: TTP two" {
		t.Errorf("event %s: %+v", e.id, data)
	}
	l.close()
	for n := 3; n <= 6; n++ {
		w.Alert(alertOf(n, fmt.Sprintf("TTP %d", n), "TTP"), uint64(9+n))
	}
	l = listen(t, url+"/events?after=10", "11")
	for n := 12; n <= 15; n++ {
		if e := l.next("alert"); e.id != strconv.Itoa(n) {
			t.Errorf("resumed with %s, want %d", e.id, n)
		}
	}
	w.Alert(alertOf(6, "TTP 6", "TTP"), 15) // known
	w.Alert(alertOf(7, "TTP 7", "TTP"), 16)
	if e := l.next("alert"); e.id != "16" {
		t.Errorf("after resuming comes %s, want 16", e.id)
	}
	w.Entry(&news.LedgerEntry{Event: news.EventDelivered, Channel: "desk", At: time.Now(), Alerts: []news.AlertRef{{ID: "alert7", Revision: 1}}})
	if e := l.next("fate"); !strings.Contains(e.data, "desk delivered") || e.id != "" {
		t.Errorf("the delivery is told as %+v", e)
	}
}

// TestEventsFilter tells a page only what its filter takes.
func TestEventsFilter(t *testing.T) {
	w, url := liveWorld(t)
	l := listen(t, url+"/events?after=0&list=borders", "")
	l.next("health")
	w.Alert(alertOf(1, "TTP one", "TTP"), 1)
	b := alertOf(2, "Torkham two", "Torkham")
	b.Watchlist = "borders"
	w.Alert(b, 2)
	if e := l.next("alert"); e.id != "2" {
		t.Errorf("the page of borders is told of record %s", e.id)
	}
	if l := listen(t, url+"/events?least=terrible", ""); l.status != http.StatusBadRequest {
		t.Errorf("an unknown severity gives %d", l.status)
	}
}

// TestEventsAreBounded turns away too many clients, has one that is far behind begin again, and lets all go at the end.
func TestEventsAreBounded(t *testing.T) {
	w, url := liveWorld(t)
	w.hub.limit = 2
	a, b := listen(t, url+"/events", ""), listen(t, url+"/events", "")
	a.next("health")
	b.next("health")
	if c := listen(t, url+"/events", ""); c.status != http.StatusServiceUnavailable {
		t.Errorf("the third client gets %d", c.status)
	}
	b.close()
	waitUntil(t, "the place of the second", func() bool { return w.hub.size() == 1 })
	for n := range maxBehind + 2 {
		w.Alert(alertOf(n+1, "TTP", "TTP"), uint64(n+1))
	}
	d := listen(t, url+"/events?after=0", "1")
	d.next("reload")
	a.close()
	d.close()
	waitUntil(t, "all to leave", func() bool { return w.hub.size() == 0 })
	e := listen(t, url+"/events", "")
	e.next("health")
	w.hub.close()
	for range e.events { // ends
	}
	if f := listen(t, url+"/events", ""); f.status != http.StatusServiceUnavailable {
		t.Errorf("after the end a client gets %d", f.status)
	}
}

func waitUntil(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still waiting for %s", what)
		}
	}
}

// TestRolesThatStop shows a stage that nobody does, one that hangs, and that work in peace is neither.
func TestRolesThatStop(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	w := newWorld(t, func(o *Options) { o.Now = func() time.Time { return now } })
	acked := now
	matcher := bus.ConsumerStatus{Name: "matcher", Waiting: 1}
	fetcher := bus.ConsumerStatus{Name: "fetcher", Waiting: 1}
	look := func(d time.Duration) {
		for end := now.Add(d); now.Before(end); now = now.Add(busAge) {
			w.watch.look([]bus.ConsumerStatus{fetcher, matcher}, now)
		}
	}
	state := func(name string) string {
		for _, s := range w.watch.stages(now) {
			if s.Name == name {
				return s.State
			}
		}
		return "unknown"
	}
	look(time.Minute)
	if s := state("matcher"); s != stageWorks {
		t.Fatalf("an idle matcher is %s", s)
	}
	matcher.Waiting = 0 // the process is killed
	look(40 * time.Second)
	if state("matcher") != stageGone || state("fetcher") != stageWorks {
		t.Errorf("40 s after its end the matcher is %s, the fetcher %s", state("matcher"), state("fetcher"))
	}
	if _, body, _ := w.get(t, "/"); !strings.Contains(body, "nobody does the work of matcher") || !strings.Contains(body, `class="health bad"`) {
		t.Error("the first page does not say that the matcher is gone")
	}
	matcher.Waiting = 1
	look(busAge)
	if s := state("matcher"); s != stageWorks {
		t.Errorf("back again the matcher is %s", s)
	}
	matcher.Pending, matcher.AckPending, matcher.LastDelivered = 500, 2, now
	for range 30 { // a backlog that is worked on
		acked = acked.Add(time.Hour)
		matcher.LastAcked = acked
		look(busAge)
	}
	if s := state("matcher"); s != stageWorks {
		t.Errorf("with a backlog the matcher is %s", s)
	}
	look(stuckAfter + 2*busAge)
	if s := state("matcher"); s != stageStuck {
		t.Errorf("the matcher that does nothing is %s", s)
	}
}

// TestCanaryThatStops shows on the page that the test item of the program does not come through any more.
func TestCanaryThatStops(t *testing.T) {
	now := time.Now()
	w := newWorld(t, func(o *Options) { o.Now = func() time.Time { return now } })
	a := alertOf(1, "Tocsin canary", "Tocsin")
	a.Match.Item.Reason, a.At = news.ReasonCanary, now
	w.Alert(a, 1)
	if _, body, _ := w.get(t, "/"); strings.Contains(body, "did not come through") || strings.Contains(body, `id="a1"`) {
		t.Error("a canary is shown as an alert, or as late at once")
	}
	now = now.Add(50 * time.Second)
	if _, body, _ := w.get(t, "/"); !strings.Contains(body, "the test item of the last 50 s did not come through") {
		t.Error("the late canary is not told")
	}
}
