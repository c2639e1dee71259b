package fetcher

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The promises of a poll, each seen in the requests that a real server gets. DESIGN.md has the table of all promises and their tests.

func TestValidatorsAreOpaqueAndSurviveARestart(t *testing.T) {
	for name, h := range map[string]map[string]string{
		"both":         {"ETag": `"abc"`, "Last-Modified": "Sun, 22 Nov 2026 09:00:00 GMT"},
		"weak":         {"ETag": `W/"a b"`},
		"no quotes":    {"ETag": "abc-gzip"},
		"odd bytes":    {"ETag": "\"\xd1\x8f\""},
		"an odd date":  {"Last-Modified": "yesterday, 25:61"},
		"another zone": {"Last-Modified": "Sun, 22 Nov 2026 14:00:00 +0500"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, oneItem(1))
			s.headers = h
			r := newRig(t, nil, Feed{URL: s.URL})
			r.poll(0)
			r.restart()
			r.poll(0)
			q := s.last()
			if q.Header.Get("If-None-Match") != h["ETag"] || q.Header.Get("If-Modified-Since") != h["Last-Modified"] {
				t.Errorf("sent %q and %q", q.Header.Get("If-None-Match"), q.Header.Get("If-Modified-Since"))
			}
		})
	}
}

func TestBackOffGoesOnForEverAndEndsWithTheFirstSuccess(t *testing.T) {
	s := newSite(t, "")
	s.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
	r := newRig(t, nil, Feed{URL: s.URL})
	var waits []time.Duration
	for range 40 {
		r.poll(0)
		waits = append(waits, r.armed[r.id(0)].Sub(r.clock))
	}
	if n := len(s.requests()); n != 40 {
		t.Fatalf("%d requests", n)
	}
	for i, w := range waits {
		want := min(time.Hour<<min(i, 10), 24*time.Hour)
		if w < want || w > want+want/10 {
			t.Errorf("failure %d: %s, want %s and up to a tenth more", i+1, w, want)
		}
	}
	s.set(oneItem(1), nil)
	r.poll(0)
	if w := r.armed[r.id(0)].Sub(r.clock); len(r.items) != 1 || w > 66*time.Minute {
		t.Errorf("after a success: %d items, next in %s", len(r.items), w)
	}
}

func TestContentTypeDecidesNothingButItsCharsetCounts(t *testing.T) {
	for _, kind := range []string{"text/html", "text/plain; charset=utf-8", "application/octet-stream", "image/png", "nonsense", ""} {
		s := newSite(t, oneItem(1))
		s.headers = map[string]string{"Content-Type": kind}
		r := newRig(t, nil, Feed{URL: s.URL})
		if r.poll(0); len(r.items) != 1 {
			t.Errorf("%q: %s", kind, r.state(0).Error)
		}
	}
	s := newSite(t, "<rss><channel><item><title>\xcc\xee\xf1\xf2 \xee\xf2\xea\xf0\xfb\xf2</title></item></channel></rss>")
	s.headers = map[string]string{"Content-Type": "text/xml; charset=windows-1251"}
	r := newRig(t, nil, Feed{URL: s.URL, Lang: "ru"})
	if r.poll(0); len(r.items) != 1 || r.items[0].Title != "Мост открыт" {
		t.Errorf("published %v, %s", r.titles(), r.state(0).Error)
	}
}

// asking is a feed with what a publisher asks of pollers.
func asking(elements string) string {
	return `<rss version="2.0" xmlns:sy="http://purl.org/rss/1.0/modules/syndication/"><channel><title>T</title>` + elements + `<item><title>One</title><link>https://h.example/1</link></item></channel></rss>`
}

func TestPublishersWishesAreKept(t *testing.T) {
	// The clock of the rig begins at 10:00 GMT on a Sunday.
	for name, c := range map[string]struct {
		headers  map[string]string
		elements string
		feed     Feed
		want     time.Duration
	}{
		"max-age":                {map[string]string{"Cache-Control": "max-age=10800"}, "", Feed{}, 3 * time.Hour},
		"max-age less Age":       {map[string]string{"Cache-Control": "max-age=10800", "Age": "3600"}, "", Feed{}, 2 * time.Hour},
		"Expires by their clock": {map[string]string{"Expires": "Fri, 01 Jan 2010 05:00:00 GMT", "Date": "Fri, 01 Jan 2010 00:00:00 GMT"}, "", Feed{}, 5 * time.Hour},
		"no-cache, s-maxage":     {map[string]string{"Cache-Control": "no-cache, s-maxage=90000"}, "", Feed{}, time.Hour},
		"never over a day":       {map[string]string{"Cache-Control": "max-age=31536000"}, "", Feed{}, 24 * time.Hour},
		"ttl":                    {nil, "<ttl>240</ttl>", Feed{}, 4 * time.Hour},
		"update period":          {nil, "<sy:updatePeriod>daily</sy:updatePeriod><sy:updateFrequency>4</sy:updateFrequency>", Feed{}, 6 * time.Hour},
		"the list goes first":    {map[string]string{"Cache-Control": "max-age=10800"}, "<ttl>240</ttl>", Feed{Interval: 20 * time.Minute}, 20 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, asking(c.elements))
			s.headers = c.headers
			c.feed.URL = s.URL
			r := newRig(t, nil, c.feed)
			r.poll(0)
			if w := r.armed[r.id(0)].Sub(r.clock); w < c.want || w > c.want+c.want/10 {
				t.Errorf("next in %s, want %s and up to a tenth more", w, c.want)
			}
		})
	}
	s := newSite(t, asking("<skipHours><hour>11</hour><hour>12</hour></skipHours><skipDays><day>Monday</day></skipDays>"))
	r := newRig(t, nil, Feed{URL: s.URL})
	for range 60 {
		r.poll(0)
		if h := r.clock.Hour(); len(s.requests()) > 1 && (h == 11 || h == 12 || r.clock.Weekday() == time.Monday) {
			t.Fatalf("asked at %s", r.clock)
		}
	}
	var all strings.Builder
	for h := range 24 {
		fmt.Fprintf(&all, "<hour>%d</hour>", h)
	}
	s.set(asking("<skipHours>"+all.String()+"</skipHours>"), nil)
	r.poll(0)
	if w := r.armed[r.id(0)].Sub(r.clock); w > 66*time.Minute || !strings.Contains(strings.Join(r.status(0).Notes, "|"), "ignored") {
		t.Errorf("all hours named: next in %s, notes %v", w, r.status(0).Notes)
	}
}

func TestFreshnessComesWithA304Too(t *testing.T) {
	s := newSite(t, oneItem(1))
	s.headers = map[string]string{"ETag": `"a"`}
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	s.handle(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=18000")
		w.WriteHeader(304)
	})
	r.poll(0)
	if w := r.armed[r.id(0)].Sub(r.clock); w < 5*time.Hour || len(r.items) != 1 {
		t.Errorf("next in %s", w)
	}
}

func TestIntervalFollowsTheRhythmOfTheFeed(t *testing.T) {
	for name, c := range map[string]struct {
		every      time.Duration
		validators bool
		min, max   time.Duration
	}{
		"every 50 minutes":              {50 * time.Minute, true, 20 * time.Minute, 33 * time.Minute},
		"every 50 minutes, no validity": {50 * time.Minute, false, time.Hour, 66 * time.Minute},
		"every 5 minutes":               {5 * time.Minute, true, 10 * time.Minute, 11 * time.Minute},
		"every 9 hours":                 {9 * time.Hour, true, time.Hour, 66 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "")
			r := newRig(t, nil, Feed{URL: s.URL})
			begin := r.clock
			s.handle(func(w http.ResponseWriter, _ *http.Request) {
				n := 40 + int(r.now().Sub(begin)/c.every)
				var items []string
				for i := n; i > n-20; i-- {
					at := begin.Add(time.Duration(i-40) * c.every)
					items = append(items, fmt.Sprintf("Item %d|https://h.example/%d|g%d|%s", i, i, i, at.Format(time.RFC1123Z)))
				}
				if c.validators {
					w.Header().Set("ETag", fmt.Sprintf(`"%d"`, n))
				}
				fmt.Fprint(w, rssOf(items...))
			})
			for range 40 {
				r.poll(0)
			}
			if w := r.armed[r.id(0)].Sub(r.clock); w < c.min || w > c.max {
				t.Errorf("next in %s, want %s to %s", w, c.min, c.max)
			}
		})
	}
}

func TestADocumentThatMovesOnFastIsAskedFaster(t *testing.T) {
	s := newSite(t, "")
	n := 0
	s.handle(func(w http.ResponseWriter, _ *http.Request) {
		n += 9 // of ten entries nine are new at every poll
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, n))
		var items []string
		for i := n + 10; i > n; i-- {
			items = append(items, fmt.Sprintf("Item %d|https://h.example/%d|g%d", i, i, i))
		}
		fmt.Fprint(w, rssOf(items...))
	})
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	if w := r.armed[r.id(0)].Sub(r.clock); w < time.Hour {
		t.Fatalf("at first in %s", w)
	}
	for range 4 {
		r.poll(0)
	}
	if w := r.armed[r.id(0)].Sub(r.clock); w > 11*time.Minute {
		t.Errorf("then in %s", w)
	}
}

func TestASlowFeedHoldsOneSlot(t *testing.T) {
	slow, fast := newSite(t, ""), newSite(t, oneItem(1))
	in, out := make(chan bool), make(chan bool)
	slow.handle(func(w http.ResponseWriter, _ *http.Request) {
		in <- true
		<-out
		fmt.Fprint(w, oneItem(2))
	})
	feeds := []Feed{{URL: slow.URL}}
	for i := range 20 {
		feeds = append(feeds, Feed{URL: fmt.Sprintf("%s/%d", fast.URL, i)})
	}
	r := newRig(t, func(o *Options) { o.Workers = 2 }, feeds...)
	done := make(chan error)
	go func() { done <- r.f.Poll(context.Background(), r.id(0)) }()
	<-in
	for i := range 20 {
		r.poll(i + 1)
	}
	if n := len(fast.requests()); n != 20 {
		t.Errorf("%d of 20 other feeds were polled", n)
	}
	out <- true
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestACutGzipBodyKeepsItsWholeItems(t *testing.T) {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	fmt.Fprint(z, strings.TrimSuffix(rssOf("One|https://h.example/1|g1", "Two|https://h.example/2|g2"), "</channel></rss>"))
	_ = z.Flush() // what follows, and the checksum, never come
	s := newSite(t, b.String())
	s.headers = map[string]string{"Content-Encoding": "gzip", "ETag": `"new"`}
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	if st := r.state(0); len(r.items) != 2 || len(st.ETag) != 0 {
		t.Errorf("published %v, ETag %s, %s", r.titles(), st.ETag, st.Error)
	}
}

func TestHeadersAreBounded(t *testing.T) {
	s := newSite(t, "")
	s.handle(func(w http.ResponseWriter, _ *http.Request) {
		for i := range 40 {
			w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 2000))
		}
		fmt.Fprint(w, oneItem(1))
	})
	r := newRig(t, nil, Feed{URL: s.URL})
	if r.poll(0); r.state(0).Reason != ReasonTooBig || len(r.items) != 0 {
		t.Errorf("reason %s: %s", r.state(0).Reason, r.state(0).Error)
	}
}

func TestEntriesOfRSS1NameTheirLanguageAndTheirLink(t *testing.T) {
	s := newSite(t, `<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>T</title></channel>
<item rdf:about="https://h.example/1"><title>Міст</title><dc:language>uk</dc:language></item>
<item rdf:about="urn:x:2"><title>Brücke</title><dc:language>de-DE</dc:language></item></rdf:RDF>`)
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	if len(r.items) != 2 || r.items[0].Lang != "uk" || r.items[0].URL != "https://h.example/1" || r.items[1].Lang != "de" || r.items[1].URL != "" {
		t.Errorf("%+v", r.items)
	}
}
