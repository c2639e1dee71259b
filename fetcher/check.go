package fetcher

import (
	"context"
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
	Hub     string // WebSub hub, "" without one
	Took    time.Duration
}

// Check makes one polite GET of the feed without any state and reads what comes. Of o only Client, UserAgent, Denied and Now are used.
func Check(ctx context.Context, o Options, feed Feed) CheckResult {
	return NewChecker(o).Check(ctx, feed)
}

// read takes the answer apart.
func (r *CheckResult) read(f *Fetcher, a *answer) error {
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
	if r.Feed.Insecure {
		r.Notes = append(r.Notes, "certificates are not verified")
	}
	r.Hub, _ = linkHeader(a.header, a.url)
	r.Hub = first(r.Hub, res.Hub)
	r.Items = res.Items(&doc)
	r.Newest = newestOf(r.Items)
	return nil
}
