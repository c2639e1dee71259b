package fetcher

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // WebSub names it; a hub chooses
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tocsin/news"
)

// WebSub is the handler of deliveries and verifications from hubs: serve it under the path of Options.WebSub.Callback, on a public address. It
// answers 404 to every path that was not given to a hub, and for feeds that left the list.
func (f *Fetcher) WebSub() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fd := f.pushed(r.URL.Path)
		switch {
		case fd == nil:
			http.NotFound(w, r)
		case r.Method == http.MethodGet:
			f.verify(w, r, fd)
		case r.Method == http.MethodPost:
			f.deliver(w, r, fd)
		default:
			http.Error(w, "only GET and POST", http.StatusMethodNotAllowed)
		}
	})
}

// pushed gives the listed feed that a callback path belongs to.
func (f *Fetcher) pushed(path string) *Feed {
	if f.o.WebSub == nil {
		return nil
	}
	id, ok := f.o.WebSub.feedOf(path)
	if !ok {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if fd := f.feeds[id]; fd != nil && !fd.Paused {
		return fd
	}
	return nil
}

// verify answers a hub that asks whether we meant the subscription (WebSub 5.3). Only what we asked for is confirmed.
func (f *Fetcher) verify(w http.ResponseWriter, r *http.Request, fd *Feed) {
	q := r.URL.Query()
	mode, topic, challenge := q.Get("hub.mode"), q.Get("hub.topic"), q.Get("hub.challenge")
	ok := false
	err := f.change(r.Context(), fd, func(st *state) bool {
		now, s := f.o.Now(), &st.Push
		if s.Topic == "" || s.Topic != topic || now.Sub(s.Asked) > 2*leaseWanted {
			return false
		}
		switch {
		case mode == "denied":
			s.Denied, s.Until, s.At = first(short(q.Get("hub.reason"), 200), "no reason given"), time.Time{}, now
			ok = true
		case mode == "subscribe" && challenge != "" && len(challenge) <= 4<<10:
			s.Lease = leaseOf(q.Get("hub.lease_seconds"))
			s.Until, s.Denied, s.At = now.Add(s.Lease), "", now
			ok = true
		}
		return ok
	})
	switch {
	case err != nil:
		http.Error(w, "not now", http.StatusServiceUnavailable)
	case !ok:
		http.NotFound(w, r)
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if mode == "subscribe" {
			_, _ = io.WriteString(w, challenge) // the hub went away
		}
	}
}

func leaseOf(s string) time.Duration {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n <= 0 {
		return leaseWanted
	}
	return min(max(time.Duration(min(n, 1<<31))*time.Second, leaseLeast), 400*day)
}

// deliver takes a document from a hub. The answer is 2xx whenever trying again would not help, a bad signature included (WebSub 7.1).
func (f *Fetcher) deliver(w http.ResponseWriter, r *http.Request, fd *Feed) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, fd.maxBytes()))
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		http.Error(w, "too big", http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, "the body broke off", http.StatusBadRequest)
		return
	}
	good := signed(r.Header.Get("X-Hub-Signature"), body, f.o.WebSub.secret(fd.ID))
	if !good {
		f.metrics.item("refused_push", 1)
		err = f.change(r.Context(), fd, func(st *state) bool { st.Push.Bad++; return st.Push.Bad < 1000 })
	} else {
		err = f.receive(r.Context(), fd, body, r.Header.Get("Content-Type"))
	}
	if err != nil {
		f.o.Log.Warn("delivery of a hub not stored, it will come again", "feed", fd.ID, "err", err)
		w.Header().Set("Retry-After", "60")
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// signed checks X-Hub-Signature: method=hex, with sha1, sha256, sha384 or sha512 (WebSub 8).
func signed(header string, body []byte, secret string) bool {
	method, digits, _ := strings.Cut(strings.TrimSpace(header), "=")
	var h func() hash.Hash
	switch strings.ToLower(method) {
	case "sha1":
		h = sha1.New
	case "sha256":
		h = sha256.New
	case "sha384":
		h = sha512.New384
	case "sha512":
		h = sha512.New
	default:
		return false
	}
	got, err := hex.DecodeString(digits)
	if err != nil {
		return false
	}
	m := hmac.New(h, []byte(secret))
	m.Write(body)
	return hmac.Equal(got, m.Sum(nil))
}

// receive publishes what is new in a delivered document. It may hold less than the feed's own, so nothing is learnt from it about gaps and
// rhythm. One that cannot be read has the feed polled now.
func (f *Fetcher) receive(ctx context.Context, fd *Feed, body []byte, contentType string) error {
	if err := f.beginSoon(ctx, fd.ID); err != nil {
		return err
	}
	defer f.end(fd.ID)
	st, rev, err := f.load(ctx, fd)
	if err != nil {
		return err
	}
	u, err := url.Parse(first(st.Push.Topic, fd.URL))
	if err != nil {
		return err
	}
	p := &poll{f: f, feed: fd, st: st, rev: rev, now: f.o.Now(), pushed: true}
	a := &answer{status: http.StatusOK, header: http.Header{"Content-Type": {contentType}}, url: u, body: body, headersAt: p.now}
	doc := p.document(a)
	res, err := p.parse(ctx, &doc)
	var fl *Fault
	if errors.As(err, &fl) || st.LastFull.IsZero() {
		return f.Resume(ctx, fd.ID)
	}
	if err != nil {
		return err
	}
	brief, notes := st.Seen.brief, st.Notes
	if err := p.publish(ctx, &res, &doc, res.Cut); err != nil {
		return err
	}
	st.Seen.brief, st.Notes = brief, notes
	st.Push.Got, st.Push.Last, st.Push.At = st.Push.Got+1, p.now, p.now
	if err := f.save(ctx, fd, st, rev); err != nil {
		return err
	}
	p.queue()
	return nil
}

// beginSoon waits a little for a poll of the feed to end.
func (f *Fetcher) beginSoon(ctx context.Context, id string) error {
	for range 50 {
		fd, busy := f.begin(id)
		switch {
		case fd == nil:
			return news.ErrNotFound
		case !busy:
			return nil
		}
		if err := sleep(ctx, 100*time.Millisecond, nil); err != nil {
			return err
		}
	}
	return errors.New("the feed is being polled")
}

// change edits the stored state of a feed by compare-and-set; f says whether there is something to store.
func (f *Fetcher) change(ctx context.Context, fd *Feed, edit func(*state) bool) error {
	for range 8 {
		st, rev, err := f.load(ctx, fd)
		if err != nil || !edit(st) {
			return err
		}
		data, err := st.encode()
		if err != nil {
			return err
		}
		if err = f.o.SaveState(ctx, fd.ID, data, rev); !errors.Is(err, news.ErrConflict) {
			return err
		}
	}
	return news.ErrConflict
}
