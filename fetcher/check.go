package fetcher

import (
	"context"
	"errors"
	"time"

	"tocsin/news"
)

// CheckResult is what one polite look at a feed found.
type CheckResult struct {
	Feed    Feed
	Fault   *Fault // why it is no use, nil when it was read
	Status  int
	URL     string // where the document came from, redacted
	Moved   string // address to write into the list after a permanent redirect, redacted
	Kind    string
	Title   string
	Lang    string
	Items   []news.Item
	Newest  time.Time // of the items' dates
	Notes   []string  // what was mended
	Dropped int
	Took    time.Duration
}

// Check makes one polite GET of the feed without any state and reads what comes. Of o only Client, UserAgent, Denied and Now are used.
func Check(ctx context.Context, o Options, feed Feed) CheckResult {
	o.defaults()
	r := CheckResult{Feed: feed}
	setIfZero(&r.Feed.ID, news.FeedID(feed.first()))
	start := o.Now()
	err := r.check(ctx, newFetcher(o))
	r.Took = o.Now().Sub(start)
	if err != nil {
		r.Fault = asFault(err)
	}
	return r
}

func (r *CheckResult) check(ctx context.Context, f *Fetcher) error {
	client, err := f.client(&r.Feed)
	if err != nil {
		return fault(ReasonTLS, "%s", short(err.Error(), 200))
	}
	a, err := f.get.get(ctx, client, &r.Feed, r.Feed.URL, validators{})
	if err != nil {
		var fl *Fault
		if errors.As(err, &fl) {
			return fl
		}
		return fault(ReasonTimeout, "%s", short(err.Error(), 200))
	}
	defer a.release()
	r.Status, r.URL = a.status, redactURL(a.url)
	if a.adopt != "" {
		r.Moved = redact(a.adopt)
	}
	if fl := statusFault(a, f.o.Now()); fl != nil {
		return fl
	}
	p := poll{f: f, feed: &r.Feed}
	doc := p.document(a)
	res, err := Parse(doc)
	if err != nil {
		return err
	}
	r.Kind, r.Title, r.Lang, r.Notes, r.Dropped = res.Kind, titleText(res.Title, false), primary(res.Lang), res.Degraded, res.Dropped
	r.Items = res.Items(&doc)
	for i := range r.Items {
		if t := r.Items[i].Published; t.After(r.Newest) {
			r.Newest = t
		}
	}
	return nil
}
