package page

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"tocsin/news"
	"tocsin/notifier"
)

// book keeps the newest alert records: what is needed to choose them stands in rows, the rest is packed and read for the few that are shown.
type book struct {
	mu    sync.RWMutex
	rows  []*row // in the order of the stream
	byRef map[news.AlertRef]*row
	limit int
	names map[string]string // one copy of each string that repeats
	ended map[string]string // stories that became part of another, which they ended in
	calls map[string]string // what entities and rules are called, by id
}

// row is one record.
type row struct {
	seq      uint64
	ref      news.AlertRef
	story    string
	item     string
	list     string
	title    string // of the list
	lang     string
	kind     string
	severity news.Severity
	at       time.Time
	ids      []string // entities and rules
	fates    []fate
	ack      string // who looks after it
	packed   []byte
}

// fate is what became of an alert at one channel.
type fate struct {
	Channel string
	Event   string
	Reason  string
	At      time.Time
}

func newBook(limit int) *book {
	return &book{limit: limit, byRef: map[news.AlertRef]*row{}, names: map[string]string{}, calls: map[string]string{}, ended: map[string]string{}}
}

// add keeps a record. It gives nil for one that is known.
func (b *book) add(a *news.Alert, seq uint64) *row {
	v := notifier.NewView(a, nil)
	small := *a
	small.Match.Item.Summary, small.Match.Item.Body, small.Match.Signature = "", "", nil // what is shown of them stands in the view
	small.Match.Mentions, small.Match.Rules = nil, nil
	small.Heartbeat, small.Nearest = nil, nil
	small.Also = a.Also[:min(len(a.Also), maxAlso)]
	small.AlsoMore += len(a.Also) - len(small.Also)
	v.Alert = &small
	packed, err := json.Marshal(v)
	if err != nil {
		return nil // it was decoded from JSON
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	ref := news.AlertRef{ID: a.ID, Revision: a.Revision}
	if b.byRef[ref] != nil {
		return nil
	}
	r := &row{
		seq: seq, ref: ref, story: a.Story, item: a.Match.Item.ID, list: b.name(a.Watchlist), title: b.name(v.Watchlist), lang: b.name(a.Match.Item.Lang),
		kind: b.name(a.Kind), severity: a.Severity, at: a.At, packed: packed,
	}
	for _, id := range a.Match.IDs() {
		r.ids = append(r.ids, b.name(id))
	}
	b.call(&a.Match)
	for _, m := range a.Merged {
		if m.From != m.Into {
			b.ended[m.From] = m.Into
		}
	}
	b.byRef[ref] = r
	b.rows = append(b.rows, r)
	if more := len(b.rows) - b.limit; more > b.limit/10 {
		for _, old := range b.rows[:more] {
			delete(b.byRef, old.ref)
			delete(b.ended, old.story)
		}
		b.rows = slices.Clone(b.rows[more:])
	}
	return r
}

// maxAlso is how many reports without news an update names.
const maxAlso = 6

// call keeps what entities and rules are called.
func (b *book) call(m *news.Match) {
	for _, e := range m.Entities {
		b.calls[b.name(e.ID)] = b.name(notifier.Clean(e.Name))
	}
	for _, r := range m.Rules {
		if r.Title != "" {
			b.calls[b.name(r.ID)] = b.name(notifier.Clean(r.Title))
		}
	}
}

func (b *book) name(s string) string {
	if n, ok := b.names[s]; ok {
		return n
	}
	if len(b.names) < 10_000 {
		b.names[s] = s
	}
	return s
}

// note adds what the ledger says to a record.
func (b *book) note(ref news.AlertRef, l *news.LedgerEntry) (seq uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.byRef[ref]
	if r == nil {
		return 0, false
	}
	if l.Event == news.EventFeedback {
		if l.Reason != "ack" || r.ack != "" {
			return 0, false
		}
		r.ack = l.Recipient
		if r.ack == "" {
			r.ack = "somebody"
		}
		return r.seq, true
	}
	f := fate{b.name(l.Channel), l.Event, b.name(l.Reason), l.At}
	i := slices.IndexFunc(r.fates, func(x fate) bool { return x.Channel == f.Channel })
	switch {
	case i < 0:
		r.fates = append(r.fates, f)
	case r.fates[i].Event == news.EventDelivered, r.fates[i].Event == f.Event && r.fates[i].Reason == f.Reason:
		return 0, false // one recipient has it: the others stand in the ledger
	default:
		r.fates[i] = f
	}
	return r.seq, true
}

// filter chooses records. The zero value takes all that people are told.
type filter struct {
	List, Lang, Entity string
	Least              news.Severity
}

func (f filter) takes(r *row) bool {
	return r.kind != news.KindFold &&
		(f.List == "" || f.List == r.list) && (f.Lang == "" || f.Lang == r.lang) && r.severity >= f.Least &&
		(f.Entity == "" || slices.Contains(r.ids, f.Entity))
}

// entry is a record, read.
type entry struct {
	View  *notifier.View // its Alert holds what a list of alerts needs, no texts
	Seq   uint64
	Fates []fate
	Ack   string
}

func (b *book) read(r *row) (entry, error) {
	e := entry{View: &notifier.View{}, Seq: r.seq, Fates: slices.Clone(r.fates), Ack: r.ack}
	if err := json.Unmarshal(r.packed, e.View); err != nil {
		return e, fmt.Errorf("read alert %s: %w", r.ref.ID, err)
	}
	return e, nil
}

// page gives up to n records before a place of the stream (0: the newest), newest first, and whether there are older ones.
func (b *book) page(f filter, before uint64, n int) (out []entry, more bool, err error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for i := b.before(before) - 1; i >= 0; i-- {
		if !f.takes(b.rows[i]) {
			continue
		}
		if len(out) == n {
			return out, true, nil
		}
		e, err := b.read(b.rows[i])
		if err != nil {
			return nil, false, err
		}
		out = append(out, e)
	}
	return out, false, nil
}

// before is the number of rows before a place of the stream; 0 means its end.
func (b *book) before(seq uint64) int {
	if seq == 0 {
		return len(b.rows)
	}
	i, _ := slices.BinarySearchFunc(b.rows, seq, func(r *row, s uint64) int {
		switch {
		case r.seq < s:
			return -1
		case r.seq > s:
			return 1
		}
		return 0
	})
	return i
}

// after gives the places of the records behind one, oldest first, at most n; ok is false when there are more.
func (b *book) after(f filter, seq uint64, n int) (out []uint64, ok bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, r := range b.rows[b.before(seq+1):] {
		if !f.takes(r) {
			continue
		}
		if len(out) == n {
			return nil, false
		}
		out = append(out, r.seq)
	}
	return out, true
}

// at gives the record at a place of the stream, if it is kept and chosen.
func (b *book) at(f filter, seq uint64) (entry, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	i := b.before(seq)
	if i >= len(b.rows) || b.rows[i].seq != seq || !f.takes(b.rows[i]) {
		return entry{}, false
	}
	e, err := b.read(b.rows[i])
	return e, err == nil
}

// last is the newest place of the stream.
func (b *book) last() uint64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if len(b.rows) == 0 {
		return 0
	}
	return b.rows[len(b.rows)-1].seq
}

// of gives all kept records for which want says yes, newest first, at most n.
func (b *book) of(n int, want func(*row) bool) (out []entry, err error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for _, r := range slices.Backward(b.rows) {
		if len(out) == n {
			break
		}
		if want(r) {
			e, err := b.read(r)
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
	}
	return out, nil
}
