package fetcher

import (
	"context"
	"errors"
	"time"

	"tocsin/news"
)

// Kinds of gaps in the coverage of a feed: the closed list of Gap.Kind (fetcher.md rows 43 to 45). A first poll, a 304 and changed guids are none.
const (
	GapScrolled = "scrolled" // no entry of the document was known: items may have scrolled away
	GapRefused  = "refused"  // documents came that could not be read
	GapCut      = "cut"      // documents ended too early
	GapAsleep   = "asleep"   // nobody polled: the program or its host was stopped
	GapWish     = "wish"     // the publisher asks to wait longer than its document lasts
)

// Gap is a time in which items of a feed may have been missed.
type Gap struct {
	Kind  string    `json:"kind"`
	From  time.Time `json:"from"`
	To    time.Time `json:"to"`
	Lost  int       `json:"lost,omitempty"`  // items that may have been missed, estimated
	Found int       `json:"found,omitempty"` // items that older pages brought back
}

const maxGapNotes = 8

// gap notes a gap. One that goes on from the last of its kind makes that longer.
func (s *state) gap(g Gap) {
	g.From, g.To = g.From.UTC().Truncate(time.Second), g.To.UTC().Truncate(time.Second)
	for i := range s.GapNotes {
		old := &s.GapNotes[i]
		if old.Kind == g.Kind && g.Kind != GapScrolled && !g.From.After(old.To) && !g.To.Before(old.From) {
			if g.Kind == GapWish {
				old.From = g.From
			}
			old.To = g.To
			return
		}
	}
	s.GapNotes = append(s.GapNotes, g)
	if more := len(s.GapNotes) - maxGapNotes; more > 0 {
		s.GapNotes = append([]Gap(nil), s.GapNotes[more:]...)
	}
}

// awake notes a gap when the poll comes long after it was due.
func (p *poll) awake() {
	p.before = p.st.LastFull
	slack := max(p.st.Interval, 30*time.Minute)
	if next := p.st.Next; !next.IsZero() && p.now.Sub(next) > slack {
		p.st.gap(Gap{Kind: GapAsleep, From: next, To: p.now})
	}
}

// unread notes a gap when a document came and could not be read, or not in full.
func (p *poll) unread(r Reason) {
	kind := GapRefused
	switch r {
	case ReasonCut:
		kind = GapCut
	case ReasonTooBig, ReasonTooSlow, ReasonRefusedNesting, ReasonRefusedSize, ReasonEncoding, ReasonUnparseable, ReasonCoding:
	default:
		return
	}
	if !p.before.IsZero() {
		p.st.gap(Gap{Kind: kind, From: p.before, To: p.now})
	}
}

// outlasts notes a gap when the publisher wants us to wait longer than its document lasts.
func (p *poll) outlasts(items []news.Item) {
	var oldest, newest time.Time
	dated := 0
	for i := range items {
		t := items[i].Published
		if t.IsZero() {
			continue
		}
		dated++
		if oldest.IsZero() || t.Before(oldest) {
			oldest = t
		}
		if t.After(newest) {
			newest = t
		}
	}
	wish := min(max(p.st.Fresh, p.st.TTL, p.st.Period), longest)
	lasts := newest.Sub(oldest)
	if dated < 5 || lasts <= 0 || p.feed.Interval > 0 || wish <= lasts {
		return
	}
	p.st.gap(Gap{Kind: GapWish, From: p.now.Add(lasts), To: p.now.Add(wish)})
}

// scrolled handles a document in which nothing was known: older pages are followed, and what they do not bring back is counted (rows 43, 44).
func (p *poll) scrolled(ctx context.Context, res *Result, doc *Document, j *judge) error {
	lost := p.missed(j.fresh)
	found, reached, err := p.older(ctx, res.Next, doc)
	if err != nil {
		return err
	}
	if found > 0 {
		p.st.Seen.prune(j.order, j.today) // the newest document decides what is kept whole
	}
	switch {
	case reached:
		lost = 0
	case found > 0:
		lost = max(lost-found, 1)
	}
	p.st.Lost += uint64(lost)
	p.st.LastGap = p.now
	p.st.gap(Gap{Kind: GapScrolled, From: first2(p.st.LastFull, p.st.LastSuccess), To: p.now, Lost: lost, Found: found})
	if lost > 0 {
		p.f.metrics.missed(p.feed.ID, lost)
	}
	p.f.o.Log.Warn("no entry of the document was known, items may have been missed", "feed", p.feed.ID, "count", lost)
	return nil
}

// maxOlder is how many older pages are followed after a gap.
const maxOlder = 5

// older follows the links to older entries until a known entry, and publishes what it finds as backlog: old news is no instant alert. Faults of
// pages end it and are noted; they are no fault of the feed.
func (p *poll) older(ctx context.Context, next string, doc *Document) (found int, reached bool, err error) {
	seen := map[string]bool{doc.URL: true, p.feed.URL: true}
	for range maxOlder {
		if next == "" || seen[next] {
			return found, false, nil
		}
		seen[next] = true
		j, more, err := p.olderPage(ctx, next, doc.URL)
		var fl *Fault
		if errors.As(err, &fl) {
			p.remark("older page " + redact(next) + ": " + fl.Error())
			return found, false, nil
		}
		if err != nil {
			return found, false, err
		}
		found += j.fresh
		if j.known > 0 {
			return found, true, nil
		}
		next = more
	}
	return found, false, nil
}

// olderPage gets one page, judges it and stores its news.
func (p *poll) olderPage(ctx context.Context, next, from string) (*judge, string, error) {
	client, err := p.f.client(p.feed)
	if err != nil {
		return nil, "", fault(ReasonTLS, "%s", short(err.Error(), 200))
	}
	a, err := p.f.get.patiently().stranger(ctx, client, p.feed, from, next)
	if err != nil {
		return nil, "", err
	}
	defer a.release()
	if fl := statusFault(a, p.f.o.Now()); fl != nil {
		return nil, "", fl
	}
	doc := p.document(a)
	res, err := p.parse(ctx, &doc)
	if err != nil {
		return nil, "", err
	}
	entries, items := itemsOf(&res, &doc, a.cut || res.Cut)
	mode := p.st.Mode
	j := judgeAll(p.feed.ID, p.st, entries, items, p.now)
	p.st.Mode = mode
	return j, res.Next, p.store(ctx, j.out, true)
}

// remark adds a note for people to the state.
func (p *poll) remark(s string) {
	if len(p.st.Notes) < maxNotes {
		p.st.Notes = append(p.st.Notes, short(s, 200))
	}
}
