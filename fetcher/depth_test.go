package fetcher

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestLastTwentyPollsAreKept(t *testing.T) {
	s := newSite(t, oneItem(1))
	r := newRig(t, nil, Feed{URL: s.URL, Interval: time.Hour})
	for i := range 25 {
		s.set(oneItem(i), nil)
		if i%5 == 4 {
			s.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) })
		}
		r.poll(0)
	}
	r.restart()
	polls := r.status(0).Polls
	if len(polls) != 20 {
		t.Fatalf("%d polls kept", len(polls))
	}
	last, before := polls[19], polls[18]
	if last.Reason != Reason5xx || last.Status != 500 || last.New != 0 || before.Reason != "" || before.Status != 200 || before.Entries != 1 || before.New != 1 {
		t.Errorf("last %+v, before %+v", last, before)
	}
	if !last.At.Equal(r.state(0).LastTry.Truncate(time.Second)) || !before.At.Before(last.At) {
		t.Errorf("times %s and %s", before.At, last.At)
	}
}

func TestPollLogSurvivesEveryReason(t *testing.T) {
	var l pollLog
	for _, reason := range append(Reasons(), "") {
		l = pollLog{{At: time.Unix(1e9, 0).UTC(), Reason: reason, Status: 503, Entries: 70_000, New: 3, Took: 1230 * time.Millisecond}}
		b, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		var back pollLog
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		want := l[0]
		want.Entries = 65535
		if len(back) != 1 || back[0] != want {
			t.Errorf("%+v, want %+v", back, want)
		}
	}
	if json.Unmarshal([]byte(`"AAAA"`), &l) != nil || len(l) != 0 {
		t.Errorf("half a note became %v", l)
	}
}

// paged serves a feed whose older entries are on pages, each naming the next.
func paged(size, newest int) http.HandlerFunc {
	return func(w http.ResponseWriter, q *http.Request) {
		page := 0
		_, _ = fmt.Sscanf(q.URL.Path, "/page/%d", &page)
		var b strings.Builder
		fmt.Fprintf(&b, `<feed xmlns="http://www.w3.org/2005/Atom"><title>Herald</title><id>tag:herald</id><link rel="prev-archive" href="/page/%d"/>`, page+1)
		for i := range size {
			if n := newest - page*size - i; n > 0 {
				fmt.Fprintf(&b, `<entry><id>tag:%d</id><title>Report %d</title><link href="https://herald.example/%d"/></entry>`, n, n, n)
			}
		}
		b.WriteString("</feed>")
		_, _ = w.Write([]byte(b.String()))
	}
}

func TestAfterAGapOlderPagesAreFollowedUntilAKnownEntry(t *testing.T) {
	s := newSite(t, "")
	s.handle(paged(3, 5))
	r := newRig(t, nil, Feed{URL: s.URL + "/feed"})
	r.poll(0)
	if len(s.requests()) != 1 || len(r.items) != 3 {
		t.Fatalf("%d requests, %d items: the first poll follows nothing", len(s.requests()), len(r.items))
	}
	s.handle(paged(3, 14))
	r.poll(0)
	// 14 13 12 are new, then the pages 11 10 9, 8 7 6, 5 4 3: 5 is known.
	if got := len(s.requests()) - 1; got != 4 {
		t.Errorf("%d requests", got)
	}
	if got := len(r.items); got != 12 {
		t.Fatalf("%d items: %v", got, r.titles())
	}
	for _, it := range r.items[3:] {
		want := it.Title != "Report 14" && it.Title != "Report 13" && it.Title != "Report 12"
		if it.Backfill != want {
			t.Errorf("%s: backfill %v", it.Title, it.Backfill)
		}
	}
	st := r.state(0)
	if len(st.GapNotes) != 1 || st.GapNotes[0].Kind != GapScrolled || st.GapNotes[0].Lost != 0 || st.GapNotes[0].Found != 6 || st.Lost != 0 {
		t.Errorf("gap %+v, lost %d: all was found", st.GapNotes, st.Lost)
	}
	r.poll(0)
	if len(r.items) != 12 {
		t.Errorf("published again: %v", r.titles()[12:])
	}
}

func TestOlderPagesEndAfterFiveAndFaultsOfThemAreNoted(t *testing.T) {
	s := newSite(t, "")
	s.handle(paged(3, 5))
	r := newRig(t, nil, Feed{URL: s.URL + "/feed"})
	r.poll(0)
	s.handle(paged(3, 500))
	r.poll(0)
	if got := len(s.requests()) - 1; got != 6 {
		t.Errorf("%d requests, want the document and five pages", got)
	}
	if g := r.state(0).GapNotes[0]; g.Found != 15 || g.Lost < 1 {
		t.Errorf("gap %+v", g)
	}
	s.handle(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path != "/feed" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		paged(3, 900)(w, q)
	})
	r.poll(0)
	st := r.status(0)
	if st.State != StateLive || st.Failures != 0 || len(st.Notes) == 0 || !strings.Contains(st.Notes[0], "older page") {
		t.Errorf("%s %v", st.State, st.Notes)
	}
}

func TestOlderPagesAtForbiddenPortsAreNotAsked(t *testing.T) {
	other := newSite(t, oneItem(1))
	s := newSite(t, oneItem(1))
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	s.set(strings.Replace(oneItem(2), "<language>", `<atom:link xmlns:atom="http://www.w3.org/2005/Atom" rel="next" href="`+other.URL+`"/><language>`, 1), nil)
	r.poll(0)
	if len(other.requests()) != 0 {
		t.Error("a page on a strange port was asked")
	}
}

func TestGapsOfOtherKindsAreReported(t *testing.T) {
	s := newSite(t, oneItem(1))
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	kinds := func() (out []string) {
		for _, g := range r.state(0).GapNotes {
			out = append(out, g.Kind)
		}
		return out
	}
	s.set("", nil)
	s.handle(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<rss><channel>"+strings.Repeat("<x>", 300)+strings.Repeat("</x>", 300)+"</channel></rss>")
	})
	r.poll(0)
	r.poll(0)
	if got := kinds(); len(got) != 1 || got[0] != GapRefused {
		t.Errorf("gaps %v: one that goes on is one", got)
	}
	s.set(oneItem(1), nil)
	r.poll(0)
	r.advance(30 * time.Hour)
	r.poll(0)
	if got := kinds(); len(got) != 2 || got[1] != GapAsleep {
		t.Errorf("gaps %v", got)
	}
	var items []string
	for i := range 6 {
		items = append(items, fmt.Sprintf("N%d|https://herald.example/n%d|n%d|Sun, 22 Nov 2026 09:%02d:00 GMT", i, i, i, i))
	}
	s.set(strings.Replace(rssOf(append(items, "Item 1|https://herald.example/1|g1")...), "<language>", "<ttl>600</ttl><language>", 1), nil)
	r.poll(0)
	got := r.state(0).GapNotes
	if g := got[len(got)-1]; g.Kind != GapWish || g.To.Sub(g.From) != 10*time.Hour-5*time.Minute {
		t.Errorf("gap %+v", g)
	}
}

func TestAZoneFaultIsReportedWithTheLineToWrite(t *testing.T) {
	s := newSite(t, oneItem(1))
	r := newRig(t, nil, Feed{URL: s.URL, Interval: 30 * time.Minute})
	r.poll(0)
	for i := range 12 {
		when := r.armed[r.id(0)].Add(5*time.Hour - 7*time.Minute).Format("2006-01-02 15:04:05")
		s.set(rssOf(fmt.Sprintf("Report %d|https://herald.example/z%d|z%d|%s", i, i, i, when), "Item 1|https://herald.example/1|g1"), nil)
		if i == 9 && strings.Contains(strings.Join(r.status(0).Notes, " "), "zone:") {
			t.Error("nine items are no proof")
		}
		r.poll(0)
	}
	if notes := strings.Join(r.status(0).Notes, " "); !strings.Contains(notes, "write zone: +05:00") {
		t.Errorf("notes %q", notes)
	}
	for i := range 2 {
		s.set(rssOf(fmt.Sprintf("Fine %d|https://herald.example/y%d|y%d|%s", i, i, i, r.armed[r.id(0)].Format(time.RFC1123)), "Item 1|https://herald.example/1|g1"), nil)
		r.poll(0)
	}
	if notes := strings.Join(r.status(0).Notes, " "); strings.Contains(notes, "zone:") {
		t.Error("a clock that is right again is still called wrong")
	}
}

func TestTheHeadOfWhatWasNoFeedIsKeptWithoutSecrets(t *testing.T) {
	s := newSite(t, `<!doctype html><html><title>Log in</title><form action="https://herald.example/login?session=abc123"><input name="csrf" value="s3cr3t"> write to admin@herald.example</form>`+strings.Repeat("x", 5000))
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	head := r.status(0).Head
	if len(head) > maxBadHead || !strings.Contains(head, "Log in") {
		t.Errorf("head of %d bytes: %.80s", len(head), head)
	}
	for _, secret := range []string{"abc123", "s3cr3t", "admin@"} {
		if strings.Contains(head, secret) {
			t.Errorf("%s stands in %s", secret, head)
		}
	}
	s.set(oneItem(1), nil)
	r.poll(0)
	if r.status(0).Head != "" {
		t.Error("the head outlived its cause")
	}
}

func TestInsecureIsPerFeedAndShown(t *testing.T) {
	var asked []Feed
	s := newSite(t, oneItem(1))
	r := newRig(t, func(o *Options) {
		o.Client = func(f Feed) (*http.Client, error) {
			asked = append(asked, f)
			return plainClient(f)
		}
	}, Feed{URL: s.URL + "/a", Insecure: true}, Feed{URL: s.URL + "/b"})
	r.poll(0)
	r.poll(1)
	if len(asked) != 2 || !asked[0].Insecure || asked[1].Insecure {
		t.Errorf("clients asked for %+v: a feed must not share one without verification", asked)
	}
	if n := r.status(0).Notes; len(n) != 1 || !strings.Contains(n[0], "not verified") || len(r.status(1).Notes) != 0 {
		t.Errorf("notes %v and %v", n, r.status(1).Notes)
	}
}

func TestNetworkStaysDownUntilAHostIsReached(t *testing.T) {
	now := time.Unix(1e9, 0)
	n := newNetwork(func() time.Time { return now })
	for i := range 12 {
		n.note(fmt.Sprintf("http://h%d/", i), true)
	}
	if !n.down() {
		t.Fatal("twelve of twelve hosts failed")
	}
	now = now.Add(10 * time.Minute)
	if !n.down() {
		t.Error("it is over although nobody was reached since")
	}
	n.note("http://h0/", false)
	if n.down() {
		t.Error("it goes on although a host was reached")
	}
}

func TestVerdictsExplain(t *testing.T) {
	s := newSite(t, oneItem(1))
	r := newRig(t, nil, Feed{URL: s.URL}, Feed{URL: s.URL + "/p", Paused: true}, Feed{URL: s.URL + "/n"})
	say := func(i int) string {
		st, err := r.f.Show(context.Background(), r.id(i))
		if err != nil {
			t.Fatal(err)
		}
		return st.Verdict(r.now())
	}
	r.poll(0)
	for i, want := range []string{"live: reached", "paused", "never polled"} {
		if got := say(i); !strings.HasPrefix(got, want) {
			t.Errorf("feed %d: %s", i, got)
		}
	}
	r.advance(60 * time.Hour)
	s.set(oneItem(1), nil)
	r.poll(0)
	if got := say(0); !strings.HasPrefix(got, "late: the server answers") || !strings.Contains(got, "expect:") {
		t.Errorf("%s", got)
	}
	s.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) })
	for range 3 {
		r.poll(0)
	}
	if got := say(0); !strings.HasPrefix(got, "dead: 404 since") {
		t.Errorf("%s", got)
	}
	s.handle(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(410) })
	r.poll(0)
	if got := say(0); !strings.Contains(got, "410") {
		t.Errorf("%s", got)
	}
	if st, _ := r.f.Show(context.Background(), r.id(0)); !strings.Contains(st.Rhythm(), "polls about every") {
		t.Errorf("%s", st.Rhythm())
	}
	if _, err := r.f.Show(context.Background(), "none"); err == nil {
		t.Error("a feed that is not listed was shown")
	}
}
