package fetcher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"tocsin/news"
)

// Limits of full text (fetcher.md section 4; choices).
const (
	maxWanted     = 2000 // articles in the queue
	maxFeedPages  = 100  // articles wanted of one feed
	pagesPerDay   = 500  // of one host
	articleHops   = 5
	articleReader = 4 // articles fetched at a time
	articleAgain  = 5 * time.Minute
	samePages     = 3 // pages of a host with the same text are no articles
)

// wanted is an item whose article is still to be read.
type wanted struct {
	feed  string
	item  news.Item
	key   uint64
	tries int
	after time.Time
}

// articles is the queue of articles to read. It is in memory; the ids in it stand in the feeds' states, so that a restart finds them again.
type articles struct {
	mu     sync.Mutex
	queue  []*wanted
	held   map[uint64]bool // queued or in hand
	ended  map[string]map[uint64]bool
	robots map[string]*robots
	counts map[string]int
	day    int64
	texts  map[string]map[uint64]int
	signal chan struct{}
}

func newArticles() *articles {
	return &articles{
		held: map[uint64]bool{}, ended: map[string]map[uint64]bool{}, robots: map[string]*robots{}, counts: map[string]int{},
		texts: map[string]map[uint64]int{}, signal: make(chan struct{}, 1),
	}
}

func (q *articles) add(w *wanted) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held[w.key] || len(q.queue) >= maxWanted {
		return q.held[w.key]
	}
	q.held[w.key] = true
	q.queue = append(q.queue, w)
	select {
	case q.signal <- struct{}{}:
	default:
	}
	return true
}

// take gives the first article that may be read now.
func (q *articles) take(now time.Time, free func(host string) bool) *wanted {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, w := range q.queue {
		u, err := url.Parse(w.item.URL)
		if err != nil || !w.after.After(now) && free(hostPort(u)) {
			q.queue = slices.Delete(q.queue, i, i+1)
			return w
		}
	}
	return nil
}

// end forgets an article that was read or given up; the feed's next poll takes it out of the state.
func (q *articles) end(w *wanted) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.held, w.key)
	if q.ended[w.feed] == nil {
		q.ended[w.feed] = map[uint64]bool{}
	}
	q.ended[w.feed][w.key] = true
}

func (q *articles) again(w *wanted, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w.after = at
	q.queue = append(q.queue, w)
}

// settle takes the ended ones out of a feed's list and tells whether others are not in the queue.
func (q *articles) settle(feed string, keys []uint64) (left []uint64, forgotten bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, k := range keys {
		if q.ended[feed][k] {
			continue
		}
		left = append(left, k)
		forgotten = forgotten || !q.held[k] && len(q.queue) < maxWanted/2
	}
	return left, forgotten
}

func (q *articles) saved(feed string, keys []uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for k := range q.ended[feed] {
		if !slices.Contains(keys, k) {
			delete(q.ended[feed], k)
		}
	}
	if len(q.ended[feed]) == 0 {
		delete(q.ended, feed)
	}
}

// budget counts one page against the host's day.
func (q *articles) budget(host string, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if d := now.Unix() / 86400; d != q.day {
		q.day, q.counts, q.texts = d, map[string]int{}, map[string]map[uint64]int{}
	}
	q.counts[host]++
	return q.counts[host] <= pagesPerDay
}

// common tells whether the host showed the same text on other pages today.
func (q *articles) common(host, text string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.texts[host] == nil {
		q.texts[host] = map[uint64]int{}
	}
	h := hash64(text)
	q.texts[host][h]++
	return q.texts[host][h] >= samePages
}

// wants notes the articles that the new items of a document call for, and finds those again that a restart forgot.
func (p *poll) wants(j *judge) {
	if p.feed.FullText == "" || p.feed.FullText == FullTextNever {
		p.st.Pages = nil
		return
	}
	left, _ := p.f.articles.settle(p.feed.ID, p.st.Pages)
	p.st.Pages = nil
	fresh := map[string]bool{}
	for i := range j.out {
		fresh[j.out[i].ID] = true
	}
	for i := range j.all {
		it, key := &j.all[i], j.order[i]
		if !fresh[it.ID] && !slices.Contains(left, key) || !p.feed.wantsPage(it) || len(p.st.Pages) >= maxFeedPages || slices.Contains(p.st.Pages, key) {
			continue
		}
		p.st.Pages = append(p.st.Pages, key)
		w := &wanted{feed: p.feed.ID, item: *it, key: key}
		w.item.Backfill = p.backlog || !fresh[it.ID] && p.now.Sub(p.st.FirstTry) < day // perhaps of the first document
		p.pages = append(p.pages, w)
	}
}

// recall has the document asked in full when articles of it are wanted that the queue does not know: this is how a restart finds them again.
func (p *poll) recall() {
	left, forgotten := p.f.articles.settle(p.feed.ID, p.st.Pages)
	p.st.Pages = left
	if forgotten {
		p.st.dropValidators()
	}
}

// queue hands the wanted articles over, after the state that lists them was stored.
func (p *poll) queue() {
	p.f.articles.saved(p.feed.ID, p.st.Pages)
	for _, w := range p.pages {
		p.f.articles.add(w)
	}
}

// readArticles reads articles until ctx ends. They come after polls: a host must be idle, and half of the slots free.
func (f *Fetcher) readArticles(ctx context.Context) {
	for ctx.Err() == nil {
		w := f.articles.take(f.o.Now(), func(host string) bool { return f.hosts.idle(host) && len(f.slots)*2 <= cap(f.slots) })
		if w == nil {
			_ = sleep(ctx, 250*time.Millisecond, f.articles.signal) // the loop sees the end of ctx
			continue
		}
		f.article(ctx, w)
	}
}

// article reads one article and publishes it as a revision of its item. What fails by a server's fault is tried once more.
func (f *Fetcher) article(ctx context.Context, w *wanted) {
	text, err := f.readArticle(ctx, w)
	var fl *Fault
	switch {
	case ctx.Err() != nil:
		return
	case errors.As(err, &fl):
		f.o.Log.Debug("article not read", "feed", w.feed, "item", w.item.ID, "reason", string(fl.Reason), "err", fl.Detail)
		if w.tries++; w.tries < 2 && passing(fl) {
			f.articles.again(w, f.o.Now().Add(max(articleAgain, fl.RetryAfter)))
			return
		}
		f.metrics.item("page_failed", 1)
	case err == nil && text == "":
		f.metrics.item("not_article", 1)
	case err == nil:
		if err = f.publishArticle(ctx, w, text); err == nil {
			break
		}
		fallthrough
	default:
		f.o.Log.Warn("article not stored, trying again", "feed", w.feed, "item", w.item.ID, "err", err)
		f.articles.again(w, f.o.Now().Add(time.Minute))
		return
	}
	f.articles.end(w)
}

// passing faults may be gone at the next try.
func passing(fl *Fault) bool {
	switch fl.Reason {
	case ReasonDNS, ReasonConnect, ReasonTimeout, ReasonTooSlow, Reason5xx, ReasonThrottled, ReasonCut:
		return true
	}
	return false
}

// readArticle gives the text of the article, "" when the page holds none.
func (f *Fetcher) readArticle(ctx context.Context, w *wanted) (string, error) {
	f.mu.Lock()
	fd := f.feeds[w.feed]
	f.mu.Unlock()
	u, err := url.Parse(w.item.URL)
	if fd == nil || err != nil {
		return "", fault(ReasonRedirect, "the feed left the list, or the address cannot be read")
	}
	if !f.articles.budget(hostPort(u), f.o.Now()) {
		return "", fault(ReasonThrottled, "%d pages of the host were read today", pagesPerDay)
	}
	// No headers of the feed: they are for its own document.
	asked := &Feed{ID: fd.ID, URL: fd.URL, MaxBytes: maxArticle, Timeout: pageTimeout, CAFile: fd.CAFile, Insecure: fd.Insecure}
	if err := f.mayRead(ctx, asked, u); err != nil {
		return "", err
	}
	a, err := f.getPage(ctx, asked, w.item.URL)
	if err != nil {
		return "", err
	}
	defer a.release()
	if fl := statusFault(a, f.o.Now()); fl != nil {
		if a.status == http.StatusTooManyRequests && !a.private {
			f.hosts.hold(hostPort(a.url), f.o.Now().Add(max(fl.RetryAfter, time.Hour)))
		}
		return "", fl
	}
	if hostPort(a.url) != hostPort(u) {
		if err := f.mayRead(ctx, asked, a.url); err != nil {
			return "", err
		}
	}
	text, err := articleText(a.body, a.header.Get("Content-Type"), a.url)
	if err != nil || text == "" || !sharesWord(w.item.Title, text) || f.articles.common(hostPort(a.url), text) {
		return "", err
	}
	return text, nil
}

func (f *Fetcher) getPage(ctx context.Context, asked *Feed, address string) (*answer, error) {
	client, err := f.client(asked)
	if err != nil {
		return nil, fault(ReasonTLS, "%s", short(err.Error(), 200))
	}
	asking := *client
	asking.Transport = pageTransport{client.Transport}
	g := f.get.patiently()
	g.hops = articleHops
	return g.stranger(ctx, &asking, asked, asked.URL, address)
}

// mayRead asks the host's robots.txt, once a day. 4xx allows all, what cannot be had denies all (RFC 9309 2.3.1).
func (f *Fetcher) mayRead(ctx context.Context, asked *Feed, u *url.URL) error {
	key := u.Scheme + "://" + hostPort(u)
	f.articles.mu.Lock()
	r := f.articles.robots[key]
	f.articles.mu.Unlock()
	if now := f.o.Now(); r == nil || now.After(r.until) {
		var err error
		if r, err = f.askRobots(ctx, asked, u); err != nil {
			return err
		}
		f.articles.mu.Lock()
		if len(f.articles.robots) > 10_000 {
			clear(f.articles.robots)
		}
		f.articles.robots[key] = r
		f.articles.mu.Unlock()
	}
	switch {
	case r.deny:
		return fault(ReasonTimeout, "robots.txt of %s cannot be read: nothing is fetched there for an hour", u.Hostname())
	case !r.allows(u):
		return fault(ReasonBlocked, "robots.txt of %s forbids it", u.Hostname())
	}
	return nil
}

func (f *Fetcher) askRobots(ctx context.Context, asked *Feed, u *url.URL) (*robots, error) {
	own := *asked
	own.MaxBytes = maxRobots
	a, err := f.getPage(ctx, &own, u.Scheme+"://"+u.Host+"/robots.txt")
	now := f.o.Now()
	var fl *Fault
	switch {
	case errors.As(err, &fl):
		return &robots{deny: true, until: now.Add(robotsAgain)}, nil
	case err != nil:
		return nil, err
	}
	defer a.release()
	switch {
	case a.status == http.StatusOK:
		return &robots{rules: parseRobots(a.body), until: now.Add(robotsKept)}, nil
	case a.status >= 400 && a.status < 500 && a.status != http.StatusTooManyRequests:
		return &robots{until: now.Add(robotsKept)}, nil
	}
	return &robots{deny: true, until: now.Add(robotsAgain)}, nil
}

// publishArticle stores the item again with the article as its body: a revision, as an edit is.
func (f *Fetcher) publishArticle(ctx context.Context, w *wanted, text string) error {
	it := w.item
	c := cutter{}
	it.Body = c.word(text, news.MaxBody)
	if len(it.Body) <= len(w.item.Body) {
		return nil
	}
	if c.cut && !slices.Contains(it.Flags, news.FlagTruncated) {
		it.Flags = append(slices.Clone(it.Flags), news.FlagTruncated)
	}
	it.Reason, it.Previous, it.Changed = news.ReasonFullText, it.Revision, []string{"text"}
	it.Revision, _ = contentHash(&it)
	if err := f.o.Publish(ctx, it); err != nil {
		return fmt.Errorf("publish article of item %s: %w", it.ID, err)
	}
	f.metrics.published(&it)
	return nil
}
