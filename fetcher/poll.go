package fetcher

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"tocsin/news"
)

// Poll handles one due message. nil means done: what was new is stored and the next poll is armed. *news.LaterError asks for the message again
// after a while. Any other error is about our own store or a shutdown; the state is then unchanged and the poll will be repeated. Faults of the
// feed are never errors: they are counted, kept in the state and shown.
func (f *Fetcher) Poll(ctx context.Context, feedID string) error {
	fd, busy := f.begin(feedID)
	switch {
	case fd == nil || fd.Paused && !busy:
		if fd != nil {
			f.end(feedID)
		}
		return nil // not listed any more, or paused: no wake-up follows
	case busy:
		return news.Later(30*time.Second, nil)
	}
	defer f.end(feedID)
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	st, rev, err := f.load(ctx, fd)
	if err != nil {
		return err
	}
	st.moved(listedMark(fd))
	if done, err := f.early(ctx, fd, st, rev); done || err != nil {
		return err
	}
	if err := f.starts.wait(ctx); err != nil {
		return err
	}
	p := &poll{f: f, feed: fd, st: st, rev: rev, now: f.wall()}
	return p.run(ctx)
}

// early answers messages that need no GET: a feed that is gone, one that is not due yet, one whose host is held.
func (f *Fetcher) early(ctx context.Context, fd *Feed, st *state, rev uint64) (done bool, err error) {
	if st.Gone {
		f.see(fd, st)
		return true, nil
	}
	now := f.wall()
	if st.setBack(now) {
		if err := f.save(ctx, fd, st, rev); err != nil {
			return true, err
		}
	}
	at := st.Next
	if u, err := url.Parse(st.address(fd)); err == nil {
		if held := f.hosts.held(hostPort(u)); held.After(at) {
			at = held
		}
	}
	if !at.After(now.Add(f.o.MinInterval / 60)) {
		return false, nil
	}
	if err := f.o.Arm(ctx, fd.ID, at); err != nil {
		return true, fmt.Errorf("arm feed %s: %w", fd.ID, err)
	}
	f.see(fd, st)
	return true, nil
}

// wall is the time by the clock on the wall, which can be compared with times of before a restart and shows when the clock was set.
func (f *Fetcher) wall() time.Time { return f.o.Now().Round(0) }

// poll is one poll of one feed: get, publish, save, arm, in this order.
type poll struct {
	f    *Fetcher
	feed *Feed
	st   *state
	rev  uint64
	now  time.Time

	entries   int      // of the document
	order     []uint64 // their identities
	items     []news.Item
	published int       // items stored
	before    time.Time // last document in full before this poll
	partly    Reason    // why a document was read in part
	pages     []*wanted // articles to read
	backlog   bool      // the first document of the feed
	pushed    bool      // a hub brought the document
	fault     *Fault    // why it failed; nil when the feed was reached
	said      *Fault    // what went wrong, also when our own network is to blame
}

func (p *poll) run(ctx context.Context) error {
	p.awake()
	p.recall()
	err := p.attempt(ctx)
	if p.st.Adopted != "" && gaveUp(err) {
		p.st.Adopted, p.st.Since = "", 0
		p.f.o.Log.Warn("adopted address failed, asking the listed one", "feed", p.feed.ID)
		err = p.attempt(ctx)
	}
	var fl *Fault
	switch {
	case errors.As(err, &fl):
		p.failed(fl, err)
	case err != nil:
		return err
	}
	p.st.LastTry = p.now
	if p.st.FirstTry.IsZero() {
		p.st.FirstTry = p.now
	}
	p.st.Poll++
	p.note()
	return p.finish(ctx)
}

// finish stores what was learnt and arms the next poll.
func (p *poll) finish(ctx context.Context) error {
	ask := p.wantsPush()
	plan := plan{
		id: p.feed.ID, poll: p.st.Poll, now: p.f.wall(), interval: p.feed.Interval, min: p.f.o.MinInterval, state: p.st, failing: p.fault != nil,
		lastGap: !p.st.LastGap.IsZero() && p.now.Sub(p.st.LastGap) < day,
	}
	p.st.Next, p.st.Interval = plan.next()
	if err := p.f.save(ctx, p.feed, p.st, p.rev); err != nil {
		return err
	}
	p.queue()
	p.f.see(p.feed, p.st)
	if p.st.Gone {
		return nil
	}
	if err := p.f.o.Arm(ctx, p.feed.ID, p.st.Next); err != nil {
		return fmt.Errorf("arm feed %s: %w", p.feed.ID, err)
	}
	if ask {
		p.subscribe(ctx)
	}
	return nil
}

// attempt gets the feed's address and takes what comes.
func (p *poll) attempt(ctx context.Context) error {
	client, err := p.f.client(p.feed)
	if err != nil {
		return fault(ReasonTLS, "%s", short(err.Error(), 200))
	}
	val := p.st.validators()
	if p.stuck() {
		val, p.st.LastForced = validators{}, p.now
	}
	a, err := p.f.get.get(ctx, client, p.feed, p.st.address(p.feed), val)
	if err != nil {
		return err
	}
	defer a.release()
	return p.take(ctx, a)
}

// gaveUp tells whether an adopted address failed in a way that brings the listed one back: 404, 410, or no feed.
func gaveUp(err error) bool {
	var fl *Fault
	return errors.As(err, &fl) && (fl.Status == http.StatusNotFound || fl.Status == http.StatusGone || fl.Reason == ReasonNotFeed || fl.Reason == ReasonBlocked)
}

// stuck tells whether to ask once without validators: a feed that answers nothing but 304 while it is late, once in 7 days.
func (p *poll) stuck() bool {
	state, _ := p.st.stateAt(p.feed, p.now)
	return (state == StateLate || state == StateDead) && p.st.Failures == 0 && p.st.Status == http.StatusNotModified &&
		p.now.Sub(first2(p.st.LastForced, p.st.LastFull)) > 7*day
}

func (p *poll) document(a *answer) Document {
	return Document{
		Body: a.body, ContentType: a.header.Get("Content-Type"), ContentLocation: a.header.Get("Content-Location"),
		URL: a.url.String(), Feed: *p.feed, FirstSeen: a.headersAt,
	}
}

// take judges the status and, for a document, publishes what is new in it.
func (p *poll) take(ctx context.Context, a *answer) error {
	if a.status == http.StatusNotModified {
		if !a.conditional {
			return &Fault{Reason: ReasonEmpty, Status: a.status, Detail: "304 to a request without validators"}
		}
		p.f.network.note(a.url.Host, false)
		p.st.succeed(a.status, p.now)
		p.st.Fresh = freshness(a.header)
		p.renew(a)
		p.f.metrics.item("unchanged", 1)
		return nil
	}
	if fl := statusFault(a, p.f.o.Now()); fl != nil {
		if a.status == http.StatusTooManyRequests && !a.private {
			wait := fl.RetryAfter
			if wait == 0 {
				wait = time.Hour
			}
			p.f.hosts.hold(hostPort(a.url), p.f.o.Now().Add(wait))
		}
		if fl.Reason == ReasonBlocked {
			p.keepHead(a, fl)
		}
		return fl
	}
	p.f.network.note(a.url.Host, false)
	sum := sha256.Sum256(a.body)
	if !a.cut && bytes.Equal(sum[:16], p.st.BodyHash) {
		p.st.succeed(a.status, p.now)
		p.st.LastFull = p.now
		p.keep(a, sum[:16])
		p.f.metrics.item("unchanged", 1)
		return nil
	}
	return p.read(ctx, a, sum[:16])
}

// read parses a new document and publishes its news.
func (p *poll) read(ctx context.Context, a *answer, sum []byte) error {
	doc := p.document(a)
	res, err := p.parse(ctx, &doc)
	if err != nil {
		p.keepHead(a, err)
		if a.cut && asFault(err).Reason == ReasonUnparseable {
			return &Fault{Reason: ReasonCut, Status: a.status, Detail: "the document ended too early and nothing in it could be read"}
		}
		return err
	}
	if err := p.publish(ctx, &res, &doc, a.cut || res.Cut); err != nil {
		return err
	}
	p.learn(&res, a)
	if res.Refused != nil {
		p.part(res.Refused.Reason)
	}
	if a.cut || res.Cut {
		// The old validators stay: the rest of this document is still wanted.
		p.part(ReasonCut)
		return nil
	}
	p.keep(a, sum)
	return nil
}

// part notes that the document was read in part.
func (p *poll) part(r Reason) {
	p.partly = r
	p.f.metrics.fault(p.feed.ID, r)
	p.unread(r)
}

// parse reads a document within the memory that all feeds share.
func (p *poll) parse(ctx context.Context, doc *Document) (Result, error) {
	release, err := p.f.parsing.take(ctx, int64(len(doc.Body)))
	if err != nil {
		return Result{}, err
	}
	defer release()
	return Parse(*doc)
}

// learn notes what the document says about the feed itself.
func (p *poll) learn(res *Result, a *answer) {
	p.st.succeed(a.status, p.now)
	p.st.LastFull = p.now
	family := func(k string) string { return k[:min(len(k), 3)] }
	p.st.KindChanged = p.st.Kind != "" && family(p.st.Kind) != family(res.Kind) && p.entries == 0
	if !p.st.KindChanged {
		p.st.Kind = res.Kind
	}
	p.st.TTL, p.st.Period, p.st.SkipHours, p.st.SkipDays = res.Wishes.TTL, res.Wishes.Period, res.Wishes.SkipHours, res.Wishes.SkipDays
	p.st.Fresh = freshness(a.header)
	p.st.Bad, p.st.BadEntry = nil, []byte(cutBytes(string(shown(res.BadEntry, maxBadEntry, p.feed.secrets())), maxBadEntry))
	p.takenBack(res)
	p.hubs(res, a)
	p.outlasts(p.items)
	for _, n := range res.Degraded {
		p.remark(n)
	}
	if a.adopt != "" && a.adopt != p.st.Adopted && len(a.adopt) <= news.MaxURL {
		p.st.Adopted, p.st.Since = a.adopt, p.now.Unix()
		p.f.o.Log.Warn("feed moved for good, its new address is asked from now on", "feed", p.feed.ID, "url", redact(a.adopt))
	}
}

// keep stores the validators of a document that was read whole and whose items are stored; a 200 without any drops the old ones.
func (p *poll) keep(a *answer, sum []byte) {
	p.st.dropValidators()
	p.st.BodyHash = bytes.Clone(sum)
	p.st.Fresh = freshness(a.header)
	p.renew(a)
}

// renew takes the validators that an answer carries, a 304 included (RFC 9111 3.2).
func (p *poll) renew(a *answer) {
	etag, modified := a.header.Get("ETag"), a.header.Get("Last-Modified")
	if etag != "" && len(etag) <= maxValidator {
		p.st.ETag, p.st.ValidatorURL = []byte(etag), mark(a.url)
	}
	if modified != "" && len(modified) <= maxValidator {
		p.st.LastModified, p.st.ValidatorURL = []byte(modified), mark(a.url)
	}
	if v := p.st.validators(); !v.none() {
		p.st.EverVal = true
	}
}
