package fetcher

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"tocsin/news"
)

// itemsOf gives the entries that make items, and these.
func itemsOf(res *Result, doc *Document, cut bool) (entries []Entry, items []news.Item) {
	for i := range res.Entries {
		if it, ok := toItem(&res.Entries[i], res, doc); ok {
			if cut && !slices.Contains(it.Flags, news.FlagDegraded) {
				it.Flags = append(it.Flags, news.FlagDegraded)
			}
			entries, items = append(entries, res.Entries[i]), append(items, it)
		}
	}
	return entries, items
}

// publish finds what is new and stores it, one by one, oldest last as the document has it.
func (p *poll) publish(ctx context.Context, res *Result, doc *Document, cut bool) error {
	entries, items := itemsOf(res, doc, cut)
	p.items = items
	firstDoc := p.st.Seen.empty() && p.st.LastFull.IsZero()
	j := judgeAll(p.feed.ID, p.st, entries, items, p.now)
	p.entries, p.order = len(entries), j.order
	if err := p.store(ctx, j.out, firstDoc && !p.feed.Backfill); err != nil {
		return err
	}
	p.st.Notes = nil
	if !firstDoc && !p.pushed {
		p.st.shifted(j.out, datesOf(entries, items), p.now.Sub(p.st.LastFull))
	}
	p.backlog = firstDoc && !p.feed.Backfill
	p.wants(j)
	p.f.metrics.item("known", j.known-j.edited)
	p.f.metrics.item("dropped", res.Dropped)
	return p.count(ctx, j, firstDoc, res, doc)
}

// store publishes items. old says that they are backlog: no instant alert.
func (p *poll) store(ctx context.Context, items []news.Item, old bool) error {
	for i := range items {
		items[i].Backfill = old
	}
	for part := range slices.Chunk(items, max(1, p.f.o.Together)) {
		if err := p.together(ctx, part); err != nil {
			return err
		}
	}
	p.published += len(items)
	p.st.Items += uint64(len(items))
	return nil
}

// together publishes items at the same time: the store syncs once for many that wait.
func (p *poll) together(ctx context.Context, items []news.Item) (first error) {
	errs := make([]error, len(items))
	var wg sync.WaitGroup
	for i := range items[1:] {
		wg.Go(func() { errs[i+1] = p.f.o.Publish(ctx, items[i+1]) })
	}
	errs[0] = p.f.o.Publish(ctx, items[0])
	wg.Wait()
	for i, err := range errs {
		switch {
		case err == nil:
			p.f.metrics.published(&items[i])
		default:
			p.f.metrics.item("not_stored", 1)
			if first == nil {
				first = fmt.Errorf("publish item %s of feed %s: %w", items[i].ID, p.feed.ID, err)
			}
		}
	}
	return first
}

// count learns from what the document showed: gaps between items, overlap with the document before, and what may have been missed.
func (p *poll) count(ctx context.Context, j *judge, firstDoc bool, res *Result, doc *Document) error {
	if !firstDoc && !p.pushed && j.known == 0 && j.fresh > 0 && len(j.order) > 0 {
		if err := p.scrolled(ctx, res, doc, j); err != nil {
			return err
		}
	}
	if n := j.known + j.fresh; !firstDoc && !p.pushed && n > 0 {
		p.st.hurry(uint8(100 * j.known / n))
	}
	var whens []time.Time
	for i := range j.out {
		if j.out[i].Reason == news.ReasonNew {
			whens = append(whens, j.out[i].When())
		}
	}
	slices.SortFunc(whens, time.Time.Compare)
	if len(whens) > 0 && firstDoc && p.st.LastItem.IsZero() {
		p.st.LastItem = whens[0]
	}
	p.st.addGaps(whens)
	return nil
}

// missed estimates how many items went by unseen since the last full document: rate times time less what is here, at least one.
func (p *poll) missed(fresh int) int {
	var sum time.Duration
	for _, g := range p.st.Gaps {
		sum += time.Duration(g) * time.Second
	}
	if sum <= 0 || p.st.LastFull.IsZero() {
		return 1
	}
	expected := float64(len(p.st.Gaps)) * float64(p.now.Sub(p.st.LastFull)) / float64(sum)
	return min(max(int(expected)-fresh, 1), 10_000)
}
