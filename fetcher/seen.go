package fetcher

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"tocsin/news"
)

// Sizes of the seen-set. Entries of the last document and of 30 days after are kept whole, up to maxWhole. A document longer than that keeps
// its first longWhole entries whole and the rest as 4-byte hashes of the id, so that nothing in it is published twice and the state stays
// within 64 KiB; edits of the rest go unnoticed.
const (
	maxWhole   = 800
	longWhole  = 100
	maxHistory = 400
	keepDays   = 30
	wholeBytes = 46
	dayEdits   = 20
)

// itemKey is an item id in bytes; its first eight are the key of an entry in the set.
type itemKey [16]byte

func (k itemKey) short() uint64 { return binary.BigEndian.Uint64(k[:]) }

func (k itemKey) String() string { return hex.EncodeToString(k[:]) }

func keyOf(feed, identity string) (k itemKey) {
	_, _ = hex.Decode(k[:], []byte(news.ItemID(feed, identity))) // 32 hex digits by contract
	return k
}

// seenEntry is what is kept of one entry.
type seenEntry struct {
	item    itemKey
	content uint64 // news.ContentHash of the last revision that was published
	sketch  uint64 // one bit for each word of the title
	link    uint32 // hash of the link, 0 without one
	title   uint32 // hash of the folded title
	text    uint32 // hash of the folded text
	day     uint16 // days since 1970 when it was last in a document
}

// edit is one content that an entry had before.
type edit struct {
	id, content uint64
	day         uint16
}

// seenSet is what a feed's documents showed so far.
type seenSet struct {
	whole   []seenEntry
	brief   []uint32
	history []edit
	alias   map[uint64]string // item id of entries whose id changed under the same link and title
	byID    map[uint64]int
	byLink  map[uint32]int
	inBrief map[uint32]bool
}

type seenWire struct {
	Whole   []byte            `json:"w,omitempty"`
	Brief   []byte            `json:"b,omitempty"`
	History []byte            `json:"h,omitempty"`
	Alias   map[string]string `json:"a,omitempty"`
}

// MarshalJSON packs the entries: 46 bytes each before base64.
func (s seenSet) MarshalJSON() ([]byte, error) {
	var w seenWire
	le := binary.LittleEndian
	for _, e := range s.whole {
		w.Whole = append(w.Whole, e.item[:]...)
		w.Whole = le.AppendUint64(w.Whole, e.content)
		w.Whole = le.AppendUint64(w.Whole, e.sketch)
		w.Whole = le.AppendUint32(w.Whole, e.link)
		w.Whole = le.AppendUint32(w.Whole, e.title)
		w.Whole = le.AppendUint32(w.Whole, e.text)
		w.Whole = le.AppendUint16(w.Whole, e.day)
	}
	for _, b := range s.brief {
		w.Brief = le.AppendUint32(w.Brief, b)
	}
	for _, h := range s.history {
		w.History = le.AppendUint16(le.AppendUint64(le.AppendUint64(w.History, h.id), h.content), h.day)
	}
	if len(s.alias) > 0 {
		w.Alias = map[string]string{}
		for id, item := range s.alias {
			w.Alias[fmt.Sprintf("%016x", id)] = item
		}
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads the packed form.
func (s *seenSet) UnmarshalJSON(b []byte) error {
	var w seenWire
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	*s = seenSet{}
	le := binary.LittleEndian
	for p := w.Whole; len(p) >= wholeBytes; p = p[wholeBytes:] {
		s.whole = append(s.whole, seenEntry{
			item: itemKey(p[:16]), content: le.Uint64(p[16:]), sketch: le.Uint64(p[24:]),
			link: le.Uint32(p[32:]), title: le.Uint32(p[36:]), text: le.Uint32(p[40:]), day: le.Uint16(p[44:]),
		})
	}
	for p := w.Brief; len(p) >= 4; p = p[4:] {
		s.brief = append(s.brief, le.Uint32(p))
	}
	for p := w.History; len(p) >= 18; p = p[18:] {
		s.history = append(s.history, edit{le.Uint64(p), le.Uint64(p[8:]), le.Uint16(p[16:])})
	}
	for k, item := range w.Alias {
		if id, err := strconv.ParseUint(k, 16, 64); err == nil {
			s.setAlias(id, item)
		}
	}
	return nil
}

func (s *seenSet) empty() bool { return len(s.whole) == 0 && len(s.brief) == 0 }

// index makes the maps by which entries are found.
func (s *seenSet) index() {
	s.byID, s.byLink = make(map[uint64]int, len(s.whole)), make(map[uint32]int, len(s.whole))
	for i, e := range s.whole {
		s.byID[e.item.short()] = i
		if e.link != 0 {
			s.byLink[e.link] = i
		}
	}
	s.inBrief = make(map[uint32]bool, len(s.brief))
	for _, b := range s.brief {
		s.inBrief[b] = true
	}
}

// put writes an entry and remembers the content that it replaces.
func (s *seenSet) put(e seenEntry) {
	id := e.item.short()
	i, ok := s.byID[id]
	if !ok {
		i = len(s.whole)
		s.whole = append(s.whole, e)
		s.byID[id] = i
	} else {
		if old := s.whole[i].content; old != e.content {
			s.history = append(s.history, edit{id, old, e.day})
		}
		s.whole[i] = e
	}
	if e.link != 0 {
		s.byLink[e.link] = i
	}
}

// had tells whether content is among the last four of the entry, and how many edits the entry had on the day.
func (s *seenSet) had(id, content uint64, day uint16) (before bool, edits int) {
	last := 0
	for i := len(s.history) - 1; i >= 0; i-- {
		h := s.history[i]
		if h.id != id {
			continue
		}
		if last++; last <= 4 && h.content == content {
			before = true
		}
		if h.day == day {
			edits++
		}
	}
	return before, edits
}

// prune forgets what left the documents more than 30 days ago, and keeps the set within its size. order holds the ids of the last document.
func (s *seenSet) prune(order []uint64, today uint16) {
	rank := make(map[uint64]int, len(order))
	for i, id := range order {
		rank[id] = i
	}
	limit, briefs := maxWhole, len(order) > maxWhole
	if briefs {
		limit = longWhole
	}
	var now, before []seenEntry
	for _, e := range s.whole {
		if _, ok := rank[e.item.short()]; ok {
			now = append(now, e)
		} else if int(today)-int(e.day) <= keepDays { // a clock that was set back makes it negative
			before = append(before, e)
		}
	}
	s.brief = nil
	if briefs {
		s.brief = s.briefs(order[longWhole:])
		now = firstRanked(now, rank, limit)
	}
	if room := limit - len(now); len(before) > room {
		before = newest(before, max(room, 0))
	}
	s.whole = append(before, now...)
	s.pruneSides(briefs)
	s.index()
}

func (s *seenSet) briefs(ids []uint64) []uint32 {
	out := make([]uint32, 0, len(ids))
	for _, id := range ids {
		out = append(out, uint32(id>>32))
	}
	return out
}

// pruneSides keeps history and aliases to entries that are still known.
func (s *seenSet) pruneSides(long bool) {
	known := make(map[uint64]bool, len(s.whole))
	for _, e := range s.whole {
		known[e.item.short()] = true
	}
	kept := s.history[:0]
	for _, h := range s.history {
		if known[h.id] {
			kept = append(kept, h)
		}
	}
	limit, aliases := maxHistory, 60
	if long {
		limit, aliases = 50, 20
	}
	s.history = kept[max(0, len(kept)-limit):]
	for id := range s.alias {
		if !known[id] || len(s.alias) > aliases {
			delete(s.alias, id)
		}
	}
}

func firstRanked(es []seenEntry, rank map[uint64]int, n int) []seenEntry {
	out := es[:0]
	for _, e := range es {
		if rank[e.item.short()] < n {
			out = append(out, e)
		}
	}
	return out
}

// newest keeps the n entries that were last seen; among those of one day the later ones of the set.
func newest(es []seenEntry, n int) []seenEntry {
	slices.SortStableFunc(es, func(a, b seenEntry) int { return int(a.day) - int(b.day) })
	return es[max(0, len(es)-n):]
}

func (s *seenSet) merge(o *seenSet) {
	s.index()
	for _, e := range o.whole {
		if i, ok := s.byID[e.item.short()]; !ok {
			s.put(e)
		} else if e.day > s.whole[i].day {
			s.whole[i].day = e.day
		}
	}
	for id, item := range o.alias {
		s.setAlias(id, item)
	}
	if len(s.whole) > maxWhole {
		s.whole = newest(s.whole, maxWhole)
		s.index()
	}
}

func (s *seenSet) setAlias(id uint64, item string) {
	if s.alias == nil {
		s.alias = map[uint64]string{}
	}
	s.alias[id] = item
}

func hash64(parts ...string) uint64 {
	sum := sha256.Sum256([]byte(strings.Join(parts, "|")))
	return binary.BigEndian.Uint64(sum[:])
}

func hash32(s string) uint32 {
	if s == "" {
		return 0
	}
	return uint32(hash64(s)>>32) | 1
}

// foldTitle is the form in which titles are compared: letters and digits in lower case.
func foldTitle(s string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	}), " ")
}

// sketch sets one of 64 bits for each word of a folded title.
func sketch(folded string) uint64 {
	var b uint64
	for _, w := range strings.Fields(folded) {
		b |= 1 << (hash64(w) & 63)
	}
	return b
}

// common is the share of the words of the shorter title that the other has too, as far as sketches tell.
func common(a, b uint64) float64 {
	n := min(bits.OnesCount64(a), bits.OnesCount64(b))
	if n == 0 {
		return 1
	}
	return float64(bits.OnesCount64(a&b)) / float64(n)
}

func contentHash(it *news.Item) (digits string, n uint64) {
	digits = news.ContentHash(it.Title, withoutTracking(it.URL), it.Summary+"\n"+it.Body)
	n, _ = strconv.ParseUint(digits, 16, 64) // 16 hex digits by contract
	return digits, n
}
