package fetcher

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"tocsin/news"
)

// judge decides what each entry of a document is: new, a revision, known, or known under another id (fetcher.md section 3).
type judge struct {
	feed   string // feed id
	st     *state
	first  bool // first document of the feed
	now    time.Time
	today  uint16
	ids    map[string]int  // how often each raw id stands in the document
	mixed  map[string]bool // ids that stand twice with different links or titles
	inDoc  map[uint64]bool // identities of the document's entries
	order  []uint64
	out    []news.Item
	known  int // entries that were seen before, by any key
	fresh  int // new items
	edited int
}

// judgeAll decides all entries in order and leaves st.Seen as it will be stored.
func judgeAll(feed string, st *state, entries []Entry, items []news.Item, firstDoc bool, now time.Time) *judge {
	j := &judge{feed: feed, st: st, first: firstDoc, now: now, today: uint16(now.Unix() / 86400), inDoc: map[uint64]bool{}}
	st.Seen.index()
	j.count(entries, items)
	for i := range entries {
		j.inDoc[keyOf(feed, j.identity(&entries[i], &items[i])).short()] = true
	}
	for i := range entries {
		j.decide(&entries[i], items[i])
	}
	st.Seen.prune(j.order, j.today)
	return j
}

// count finds ids that cannot be trusted: one that over half of the entries share switches the feed to links; one that stands twice for
// different things is told apart by its link.
func (j *judge) count(entries []Entry, items []news.Item) {
	j.ids, j.mixed = map[string]int{}, map[string]bool{}
	first := map[string]int{}
	most := 0
	for i := range entries {
		id := entries[i].ID
		if id == "" {
			continue
		}
		if k, ok := first[id]; ok && (items[k].URL != items[i].URL || items[k].Title != items[i].Title) {
			j.mixed[id] = true
		} else if !ok {
			first[id] = i
		}
		j.ids[id]++
		most = max(most, j.ids[id])
	}
	if len(entries) >= 3 && most*2 > len(entries) {
		j.st.Mode = "link"
	} else if len(entries) >= 3 && most <= 1 {
		j.st.Mode = ""
	}
}

// identity is the text that names the entry: its id, else its link, else title and date, else its text.
func (j *judge) identity(e *Entry, it *news.Item) string {
	switch {
	case e.ID != "" && j.st.Mode == "":
		return e.ID
	case it.URL != "" && !(j.st.Mode == "link" && j.ids[e.ID] > 1 && it.URL == ""):
		return it.URL
	case it.Title != "" && !it.Published.IsZero():
		return it.Title + "|" + it.Published.Format(time.RFC3339)
	case it.Title != "":
		return it.Title
	}
	return it.Summary
}

func (j *judge) decide(e *Entry, it news.Item) {
	hex, content := contentHash(&it)
	it.Revision = hex
	folded := foldTitle(it.Title)
	x := seenEntry{content: content, sketch: sketch(folded), link: hash32(withoutTracking(it.URL)), title: hash32(folded), text: hash32(foldTitle(it.Summary + " " + it.Body)), day: j.today}
	identity := j.identity(e, &it)
	if j.mixed[e.ID] && j.st.Mode == "" {
		identity = j.apart(e.ID, it.URL, x.link)
	}
	x.item = keyOf(j.feed, identity)
	if old, ok := j.find(x.item); ok && j.reused(old, &x, e) {
		x.item = keyOf(j.feed, e.ID+"|"+it.URL)
	}
	id := x.item.short()
	it.ID = x.item.String()
	if a, ok := j.st.Seen.alias[id]; ok {
		it.ID = a
	}
	j.order = append(j.order, id)
	old, ok := j.find(x.item)
	switch {
	case ok:
		j.again(old, x, it)
	case j.st.Seen.inBrief[uint32(id>>32)]:
		j.known++
	case j.churned(&x):
		j.known++
		j.st.Seen.put(x)
	default:
		j.publishNew(x, it)
	}
}

// apart names an entry whose id stands for several things: by id and link, unless it is the one that was known under the id alone.
func (j *judge) apart(id, link string, linkHash uint32) string {
	if old, ok := j.find(keyOf(j.feed, id)); ok && old.link == linkHash {
		return id
	}
	return id + "|" + link
}

func (j *judge) find(k itemKey) (seenEntry, bool) {
	i, ok := j.st.Seen.byID[k.short()]
	if !ok {
		return seenEntry{}, false
	}
	return j.st.Seen.whole[i], true
}

// reused tells whether an id now stands for other news: another link, a title with almost no common word, and a later date.
func (j *judge) reused(old seenEntry, x *seenEntry, e *Entry) bool {
	return e.ID != "" && old.link != 0 && x.link != 0 && old.link != x.link && common(old.sketch, x.sketch) < 0.2 &&
		(e.Published.IsZero() || e.Published.After(j.st.LastSuccess.Add(-24*time.Hour)))
}

// churned tells whether the entry is one that is known under another id: same link, same title, and the old id left the document.
func (j *judge) churned(x *seenEntry) bool {
	if x.link == 0 {
		return false
	}
	i, ok := j.st.Seen.byLink[x.link]
	if !ok {
		return false
	}
	old := j.st.Seen.whole[i]
	if old.title != x.title || j.inDoc[old.item.short()] {
		return false
	}
	x.content = old.content
	id := old.item.String()
	if a, ok := j.st.Seen.alias[old.item.short()]; ok {
		id = a
	}
	j.st.Seen.setAlias(x.item.short(), id)
	return true
}

// again handles an entry that is known: nothing, or a revision when its content changed.
func (j *judge) again(old, x seenEntry, it news.Item) {
	j.known++
	if old.content == x.content {
		x.content = old.content
		j.st.Seen.put(x)
		return
	}
	before, edits := j.st.Seen.had(x.item.short(), x.content, j.today)
	if before || edits >= dayEdits {
		// The stored content stays, so that a text held back by the day's limit is published with the next day's first poll.
		old.day = x.day
		j.st.Seen.put(old)
		return
	}
	it.Reason, it.Previous = news.ReasonEdited, fmt.Sprintf("%016x", old.content)
	if old.title != x.title {
		it.Changed = append(it.Changed, "title")
	}
	if old.link != x.link {
		it.Changed = append(it.Changed, "url")
	}
	if old.text != x.text || len(it.Changed) == 0 {
		it.Changed = append(it.Changed, "text")
	}
	j.edited++
	j.st.Seen.put(x)
	j.out = append(j.out, it)
}

func (j *judge) publishNew(x seenEntry, it news.Item) {
	j.fresh++
	j.st.Seen.put(x)
	j.out = append(j.out, it)
}

// tracking names query parameters that tell how a reader came, not what he reads.
func tracking(name string) bool {
	switch strings.ToLower(name) {
	case "fbclid", "gclid", "dclid", "yclid", "msclkid", "igshid", "mc_cid", "mc_eid", "ref_src", "cmpid", "ocid", "ito", "at_medium", "at_campaign", "traffic_source", "ns_mchannel", "ns_source", "ns_campaign":
		return true
	}
	return strings.HasPrefix(strings.ToLower(name), "utm_")
}

// withoutTracking is an address without known tracking parameters and without fragment: the form in which links are compared.
func withoutTracking(raw string) string {
	if !strings.ContainsAny(raw, "?#") {
		return raw
	}
	raw, fragment, _ := strings.Cut(raw, "#")
	path, query, ok := strings.Cut(raw, "?")
	if strings.HasPrefix(fragment, "!") || strings.HasPrefix(fragment, "/") {
		path += "#" + fragment // addresses of pages that live behind the fragment
	}
	if !ok {
		return path
	}
	var kept []string
	for _, p := range strings.Split(query, "&") {
		name, _, _ := strings.Cut(p, "=")
		if n, err := url.QueryUnescape(name); err == nil {
			name = n
		}
		if p != "" && !tracking(name) {
			kept = append(kept, p)
		}
	}
	if len(kept) == 0 {
		return path
	}
	return path + "?" + strings.Join(kept, "&")
}
