package fetcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tocsin/news"
)

// outletOf is one feed of the simulated world, with its habits.
type outletOf struct {
	n         int
	rng       *rand.Rand
	times     []time.Time // when its items come out
	window    int         // items in its document
	etag      bool
	maxAge    time.Duration
	ttl       int
	flaky     float64 // share of answers that are 500
	busyFrom  time.Time
	busyFor   time.Duration // 429 with Retry-After in this time
	movedAt   time.Time     // 301 to another address from then on
	goneAt    time.Time     // 410 from then on
	missingAt time.Time     // 404 for three hours
	cut       float64       // share of documents that break off

	asked   []time.Time
	free    time.Time // not to be asked before: Retry-After, max-age
	free410 bool
	served  map[int]bool
	oldest  int // first item of the last document that was served whole
	status  map[int]int
	early   int
}

// planet is the outside world: every feed has a host of its own. It answers by the clock of the test.
type planet struct {
	now     func() time.Time
	outlets []*outletOf
	bytes   int
}

func newPlanet(n int, start time.Time) *planet {
	p := &planet{}
	for i := range n {
		o := &outletOf{n: i, rng: rand.New(rand.NewPCG(7, uint64(i))), served: map[int]bool{}, status: map[int]int{}}
		o.window = 8 + o.rng.IntN(10)
		gap := []time.Duration{4 * time.Minute, 15 * time.Minute, 40 * time.Minute, 2 * time.Hour, 9 * time.Hour}[i%5]
		for t := start.Add(-40 * gap); t.Before(start.Add(26 * time.Hour)); {
			o.times = append(o.times, t)
			t = t.Add(time.Duration((0.3 + 1.4*o.rng.Float64()) * float64(gap)))
		}
		o.etag = i%3 != 0
		later := func() time.Time { return start.Add(time.Duration(o.rng.Float64() * float64(20*time.Hour))) }
		switch i % 11 {
		case 1:
			o.maxAge = time.Duration(5+o.rng.IntN(90)) * time.Minute
		case 2:
			o.ttl = 30 + o.rng.IntN(120)
		case 3:
			o.flaky = 0.3
		case 4:
			o.busyFrom, o.busyFor = later(), time.Duration(1+o.rng.IntN(4))*time.Hour
		case 5:
			o.movedAt = later()
		case 6:
			o.goneAt = later()
		case 7:
			o.missingAt = later()
		case 8:
			o.cut = 0.2
		}
		p.outlets = append(p.outlets, o)
	}
	return p
}

// RoundTrip answers a request as the outlet does at this moment.
func (p *planet) RoundTrip(q *http.Request) (*http.Response, error) {
	host, _, _ := strings.Cut(q.URL.Host, ".")
	n, err := strconv.Atoi(strings.TrimPrefix(host, "o"))
	if err != nil {
		return nil, err
	}
	o, now := p.outlets[n], p.now()
	h := http.Header{}
	status, body := o.answer(q, now, h)
	o.status[status]++
	p.bytes += len(body)
	r := &http.Response{StatusCode: status, Header: h, ContentLength: int64(len(body)), Request: q, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	r.Body = io.NopCloser(strings.NewReader(body))
	if status == 200 && o.rng.Float64() < o.cut {
		r.Body = io.NopCloser(io.MultiReader(strings.NewReader(body[:len(body)/2]), broken{}))
		return r, nil
	}
	if status == 200 {
		o.show(now)
	}
	return r, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func (o *outletOf) answer(q *http.Request, now time.Time, h http.Header) (int, string) {
	if now.Before(o.free) || o.free410 {
		o.early++
	}
	moved := !o.movedAt.IsZero() && now.After(o.movedAt)
	if moved && q.URL.Path == "/rss" {
		h.Set("Location", "/new")
		return 301, ""
	}
	o.asked = append(o.asked, now)
	switch {
	case !o.goneAt.IsZero() && now.After(o.goneAt):
		o.free410 = true
		return 410, ""
	case now.After(o.busyFrom) && now.Before(o.busyFrom.Add(o.busyFor)):
		o.free = now.Add(45 * time.Minute)
		h.Set("Retry-After", "2700")
		return 429, ""
	case now.After(o.missingAt) && now.Before(o.missingAt.Add(3*time.Hour)):
		return 404, ""
	case o.rng.Float64() < o.flaky:
		return 500, "oops"
	}
	if o.maxAge > 0 {
		h.Set("Cache-Control", fmt.Sprintf("max-age=%d", int(o.maxAge.Seconds())))
		o.free = now.Add(o.maxAge)
	}
	from, to := o.span(now)
	tag := fmt.Sprintf(`"%d-%d"`, o.n, to)
	if o.etag {
		h.Set("ETag", tag)
		if q.Header.Get("If-None-Match") == tag {
			return 304, ""
		}
	}
	return 200, o.document(from, to)
}

// span gives the items of the document at a moment.
func (o *outletOf) span(now time.Time) (from, to int) {
	to, _ = slices.BinarySearchFunc(o.times, now, time.Time.Compare)
	return max(0, to-o.window), to
}

func (o *outletOf) show(now time.Time) {
	from, to := o.span(now)
	for i := from; i < to; i++ {
		o.served[i] = true
	}
	o.oldest = from
}

func (o *outletOf) document(from, to int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<rss version="2.0"><channel><title>Outlet %d</title>`, o.n)
	if o.ttl > 0 {
		fmt.Fprintf(&b, "<ttl>%d</ttl>", o.ttl)
	}
	for i := to - 1; i >= from; i-- {
		fmt.Fprintf(&b, `<item><title>Report %d of outlet %d</title><link>http://o%d.example/a/%d</link><guid isPermaLink="false">%d</guid><pubDate>%s</pubDate></item>`,
			i, o.n, o.n, i, i, o.times[i].Format(time.RFC1123Z))
	}
	b.WriteString("</channel></rss>")
	return b.String()
}

// dayDriver is the bus: it brings each feed's one wake-up when it is due, and again when a poll could not be stored.
type dayDriver struct {
	r             *rig
	polls, errors int
	rng           *rand.Rand
	outlets       map[string]*outletOf
}

// repeated lets an outlet be asked again although its last answer wanted us to wait for news: the answer could not be stored. A 429 is heeded even so.
func (o *outletOf) repeated() {
	if o.maxAge > 0 {
		o.free = time.Time{}
	}
}

func (d *dayDriver) next() (id string, at time.Time) {
	for k, t := range d.r.armed {
		if id == "" || t.Before(at) || t.Equal(at) && k < id {
			id, at = k, t
		}
	}
	return id, at
}

// until runs all polls that are due before the end.
func (d *dayDriver) until(t *testing.T, end time.Time) {
	for {
		id, at := d.next()
		if id == "" || at.After(end) {
			if d.r.clock.Before(end) {
				d.r.clock = end
			}
			return
		}
		if at.After(d.r.clock) {
			d.r.clock = at
		}
		delete(d.r.armed, id)
		err := d.r.f.Poll(context.Background(), id)
		d.polls++
		var later *news.LaterError
		switch {
		case errors.As(err, &later):
			d.r.armed[id] = d.r.clock.Add(later.After)
		case err != nil:
			d.errors++
			d.outlets[id].repeated() // what the answer asked for was not stored
			d.r.armed[id] = d.r.clock.Add(30 * time.Second)
		}
		if d.polls > 100_000 {
			t.Fatal("polls without end")
		}
	}
}

// TestADayOfFiveHundredFeeds lets a day go by in a world of mixed habits: rates, errors, Retry-After, moves, deaths, a host that sleeps, a clock
// that is set back, restarts, and a store that fails in between. Nothing that was ever served may be lost, and no outlet may be asked against its rules.
func TestADayOfFiveHundredFeeds(t *testing.T) {
	n := 500
	if testing.Short() || slowness > 1 {
		n = 60
	}
	start := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	world := newPlanet(n, start)
	var feeds []Feed
	for i := range n {
		feeds = append(feeds, Feed{URL: fmt.Sprintf("http://o%d.example/rss", i)})
	}
	r := newRig(t, func(o *Options) {
		o.Client = func(Feed) (*http.Client, error) { return &http.Client{Transport: world}, nil }
		o.StartRate = 1 << 30
	}, feeds...)
	world.now = r.now
	d := &dayDriver{r: r, rng: rand.New(rand.NewPCG(1, 2)), outlets: map[string]*outletOf{}}
	for i, o := range world.outlets {
		d.outlets[r.id(i)] = o
	}
	r.onSave = func() error {
		if d.rng.Float64() < 0.01 {
			return errors.New("no store")
		}
		return nil
	}
	for i := range feeds {
		r.armed[r.id(i)] = start.Add(time.Duration(i) * 20 * time.Millisecond)
	}
	for hour := 3; hour <= 24; hour += 3 {
		d.until(t, start.Add(time.Duration(hour)*time.Hour))
		r.restart()
		switch hour {
		case 9:
			r.clock = r.clock.Add(2 * time.Hour) // the host slept
		case 15:
			r.clock = r.clock.Add(-20 * time.Minute) // the clock was set back
			for _, o := range world.outlets {
				o.asked = nil // times before and after cannot be compared
			}
		}
	}
	r.onSave = nil
	d.until(t, start.Add(25*time.Hour))
	world.judge(t, r, d)
}

// judge compares what the world served with what was published, and the requests with the rules.
func (p *planet) judge(t *testing.T, r *rig, d *dayDriver) {
	published := map[string]int{}
	keys := map[string]bool{}
	for i := range r.items {
		if it := &r.items[i]; !keys[it.Key()] { // the bus stores a key once
			keys[it.Key()] = true
			published[it.ID]++
		}
	}
	status := map[int]int{}
	var served, lost, twice, silent, missed, early, close int
	var requests []int
	for i, o := range p.outlets {
		id := r.id(i)
		for k := range o.served {
			served++
			switch published[news.ItemID(id, strconv.Itoa(k))] {
			case 0:
				lost++
			case 1:
			default:
				twice++
			}
		}
		unseen, st := 0, r.state(i)
		for k := range o.oldest {
			if !o.served[k] && o.times[k].After(st.FirstTry) {
				unseen++
			}
		}
		missed += unseen
		if unseen > 0 && st.Lost == 0 && len(st.GapNotes) == 0 {
			silent++
			t.Errorf("outlet %d: %d items were never served to us, and no gap is noted", i, unseen)
		}
		early += o.early
		for k := 1; k < len(o.asked); k++ {
			if o.asked[k].Sub(o.asked[k-1]) < 30*time.Second {
				close++
			}
		}
		all := 0
		for code, n := range o.status {
			status[code] += n
			all += n
		}
		requests = append(requests, all)
	}
	slices.Sort(requests)
	t.Logf("%d polls, %d stores failed, %d requests (per feed: median %d, most %d), by status %v, %.1f MB", d.polls, d.errors, sum(requests), requests[len(requests)/2], requests[len(requests)-1], status, float64(p.bytes)/1e6)
	t.Logf("%d items served to us: %d lost, %d twice; %d came and went between two polls, %d feeds silent about that", served, lost, twice, missed, silent)
	if lost > 0 || twice > 0 {
		t.Errorf("%d of %d served items lost, %d twice", lost, served, twice)
	}
	if early > 0 || close > 0 {
		t.Errorf("%d requests before the outlet's time, %d within 30 s of the one before", early, close)
	}
	if most := requests[len(requests)-1]; most > 26*6+26*6/4 {
		t.Errorf("%d requests to one feed in a day", most)
	}
}

func sum(ns []int) (n int) {
	for _, x := range ns {
		n += x
	}
	return n
}
