package fetcher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
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
		f.articles.release(w)
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
	// What a redirect leads to is asked for only where that host's robots.txt allows it.
	a, err := f.getPage(ctx, asked, w.item.URL, func(ctx context.Context, to *url.URL) error { return f.mayRead(ctx, asked, to) })
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
	text, err := articleText(a.body, a.header.Get("Content-Type"), a.url)
	if err != nil || text == "" || !sharesWord(w.item.Title, text) || f.articles.common(hostPort(a.url), text) {
		return "", err
	}
	return text, nil
}

func (f *Fetcher) getPage(ctx context.Context, asked *Feed, address string, allow func(context.Context, *url.URL) error) (*answer, error) {
	client, err := f.client(asked)
	if err != nil {
		return nil, fault(ReasonTLS, "%s", short(err.Error(), 200))
	}
	asking := *client
	asking.Transport = pageTransport{client.Transport}
	g := f.get.patiently()
	g.hops, g.allow = articleHops, allow
	return g.stranger(ctx, &asking, asked, asked.URL, address)
}

// mayRead asks the host's robots.txt, once a day. 4xx allows all, what cannot be had denies all (RFC 9309 2.3.1).
func (f *Fetcher) mayRead(ctx context.Context, asked *Feed, u *url.URL) error {
	r, err := f.robotsOf(ctx, asked, u)
	if err != nil {
		return err
	}
	switch {
	case r.deny:
		return fault(ReasonTimeout, "robots.txt of %s cannot be read: nothing is fetched there for an hour", u.Hostname())
	case !r.allows(u):
		return fault(ReasonBlocked, "robots.txt of %s forbids it", u.Hostname())
	}
	return nil
}

// robotsOf gives the rules of a host, kept for a day. Those who want them at the same time wait for one request.
func (f *Fetcher) robotsOf(ctx context.Context, asked *Feed, u *url.URL) (*robots, error) {
	key, q := u.Scheme+"://"+hostPort(u), f.articles
	for {
		r, onItsWay := q.known(key, f.o.Now())
		if r != nil {
			return r, nil
		}
		if onItsWay == nil {
			break
		}
		select {
		case <-onItsWay:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	r, err := f.askRobots(ctx, asked, u)
	q.learn(key, r, err)
	return r, err
}

func (f *Fetcher) askRobots(ctx context.Context, asked *Feed, u *url.URL) (*robots, error) {
	own := *asked
	own.MaxBytes = maxRobots
	a, err := f.getPage(ctx, &own, u.Scheme+"://"+u.Host+"/robots.txt", nil)
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
