package fetcher

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	xhtml "golang.org/x/net/html"

	"tocsin/news"
)

// Checker looks at feeds once each, without any state, and keeps the distance of requests to a host between them. Its methods may be called at the
// same time.
type Checker struct {
	f *Fetcher
}

// NewChecker makes a Checker. Of o only Client, UserAgent, Denied, HostGap, HostConns and Now are used.
func NewChecker(o Options) *Checker {
	o.defaults()
	f := newFetcher(o)
	f.get.patient = true
	return &Checker{f}
}

// Check makes one polite GET of the feed and reads what comes.
func (c *Checker) Check(ctx context.Context, feed Feed) CheckResult {
	r := CheckResult{Feed: feed}
	setIfZero(&r.Feed.ID, news.FeedID(feed.first()))
	start := c.f.o.Now()
	a, err := c.f.ask(ctx, &r.Feed)
	if err == nil {
		defer a.release()
		err = r.read(c.f, a)
	}
	r.Took = c.f.o.Now().Sub(start)
	if err != nil {
		r.Fault = asFault(err)
	}
	return r
}

// Discovery is what an address leads to: a feed, or a page with the feeds that it names.
type Discovery struct {
	Feed  CheckResult // of the address itself; its Fault says why it is no feed
	Named []NamedFeed // in the order of the page, comment feeds last
}

// NamedFeed is a feed that a page names (HTML, RSS autodiscovery).
type NamedFeed struct {
	URL, Title, Type string
	Comments         bool
}

// Discover makes one polite GET. A feed is read at once, from this body; of a page the feeds that it names are listed and none is asked.
func (c *Checker) Discover(ctx context.Context, address string) Discovery {
	d := Discovery{Feed: CheckResult{Feed: Feed{URL: address, ID: news.FeedID(address)}}}
	if err := checkURL(address); err != nil {
		d.Feed.Fault = fault(ReasonRedirect, "%s", err)
		return d
	}
	a, err := c.f.ask(ctx, &d.Feed.Feed)
	if err != nil {
		d.Feed.Fault = asFault(err)
		return d
	}
	defer a.release()
	if err := d.Feed.read(c.f, a); err != nil {
		d.Feed.Fault = asFault(err)
		d.Named = namedFeeds(a.body, a.url)
	}
	return d
}

// ask makes the GET of a look without state.
func (f *Fetcher) ask(ctx context.Context, fd *Feed) (*answer, error) {
	client, err := f.client(fd)
	if err != nil {
		return nil, fault(ReasonTLS, "%s", short(err.Error(), 200))
	}
	a, err := f.get.get(ctx, client, fd, fd.URL, validators{})
	var fl *Fault
	if err != nil && !errors.As(err, &fl) {
		return nil, fault(ReasonTimeout, "%s", short(err.Error(), 200))
	}
	return a, err
}

const maxDiscovered = 100

// namedFeeds lists the feeds that a page names, against its base, each once.
func namedFeeds(page []byte, at *url.URL) []NamedFeed {
	var found, comments []NamedFeed
	seen := map[string]bool{}
	base, based := at, false
	z := xhtml.NewTokenizer(bytes.NewReader(page[:min(len(page), 1<<20)]))
	for len(seen) < maxDiscovered {
		kind := z.Next()
		if kind == xhtml.ErrorToken {
			break
		}
		if kind != xhtml.StartTagToken && kind != xhtml.SelfClosingTagToken {
			continue
		}
		t := z.Token()
		if t.Data == "base" && !based {
			if u, err := at.Parse(tokenAttr(t, "href")); err == nil && tokenAttr(t, "href") != "" {
				base, based = u, true
			}
		}
		href := feedHref(t)
		u, err := base.Parse(href)
		if href == "" || err != nil || checkURL(u.String()) != nil || seen[u.String()] {
			continue
		}
		seen[u.String()] = true
		n := NamedFeed{URL: u.String(), Title: fold(tokenAttr(t, "title")), Type: tokenAttr(t, "type")}
		if n.Comments = isComments(n); n.Comments {
			comments = append(comments, n)
		} else {
			found = append(found, n)
		}
	}
	return append(found, comments...)
}

// isComments knows feeds of readers' comments by title and address.
func isComments(n NamedFeed) bool {
	s := strings.ToLower(n.Title + " " + n.URL)
	for _, w := range []string{"comment", "kommentar", "коммент", "تعليق", "دیدگاه", "评论"} {
		if strings.Contains(s, w) {
			return true
		}
	}
	return false
}

func tokenAttr(t xhtml.Token, name string) string {
	for _, a := range t.Attr {
		if a.Key == name {
			return strings.TrimSpace(a.Val)
		}
	}
	return ""
}

// newestOf is the newest date of items that lies not in the future.
func newestOf(items []news.Item) (newest time.Time) {
	for i := range items {
		if t := items[i].Published; t.After(newest) {
			newest = t
		}
	}
	return newest
}
