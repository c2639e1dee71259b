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
	today  uint16
	groups map[string]*group // what each identity text stands for in this document
	inDoc  map[uint64]bool   // identities of the document's entries
	order  []uint64
	all    []news.Item // every entry with its identity, in the order of order
	out    []news.Item
	known  int // entries that were seen before, by any key
	fresh  int // new items
	edited int
}

// group are the different things that one identity text stands for in a document.
type group struct {
	links, titles map[string]bool
	things        map[[2]string]bool
}

// judgeAll decides all entries in order and leaves st.Seen as it will be stored.
func judgeAll(feed string, st *state, entries []Entry, items []news.Item, now time.Time) *judge {
	j := &judge{feed: feed, st: st, today: uint16(now.Unix() / 86400), groups: map[string]*group{}, inDoc: map[uint64]bool{}}
	st.Seen.index()
	j.mode(entries)
	for i := range entries {
		base := j.base(&entries[i], &items[i])
		g := j.groups[base]
		if g == nil {
			g = &group{map[string]bool{}, map[string]bool{}, map[[2]string]bool{}}
			j.groups[base] = g
		}
		g.links[items[i].URL], g.titles[items[i].Title] = true, true
		g.things[[2]string{items[i].URL, items[i].Title}] = true
		j.inDoc[keyOf(feed, base).short()] = true
	}
	for i := range entries {
		j.decide(&entries[i], items[i])
	}
	st.Seen.prune(j.order, j.today)
	return j
}

// mode switches to links where over half of the entries share one id. It is stored, and its change makes no item new: known links and titles
// are found again.
func (j *judge) mode(entries []Entry) {
	count, most := map[string]int{}, 0
	for i := range entries {
		if id := entries[i].ID; id != "" {
			count[id]++
			most = max(most, count[id])
		}
	}
	switch {
	case len(entries) < 3:
	case most*2 > len(entries):
		j.st.Mode = "link"
	case most <= 1:
		j.st.Mode = ""
	}
}

// base is the text that names the entry: its id, else its link, else title and date, else its text.
func (j *judge) base(e *Entry, it *news.Item) string {
	switch {
	case e.ID != "" && j.st.Mode == "":
		return e.ID
	case it.URL != "":
		return it.URL
	case it.Title != "" && !it.Published.IsZero():
		return it.Title + "|" + it.Published.Format(time.RFC3339)
	case it.Title != "":
		return it.Title
	}
	return it.Summary
}

// identity tells apart what shares a base in one document: by link, and where links do not suffice by title. What was known under the base
// alone keeps it.
func (j *judge) identity(e *Entry, it *news.Item, x *seenEntry) string {
	base := j.base(e, it)
	g := j.groups[base]
	if len(g.things) < 2 {
		return base
	}
	if old, ok := j.find(keyOf(j.feed, base)); ok && old.link == x.link && old.title == x.title {
		return base
	}
	if len(g.links) == len(g.things) {
		return base + "|" + it.URL
	}
	return base + "|" + it.URL + "|" + it.Title
}

func (j *judge) decide(e *Entry, it news.Item) {
	hex, content := contentHash(&it)
	it.Revision = hex
	folded := foldTitle(it.Title)
	x := seenEntry{content: content, sketch: sketch(folded), link: hash32(withoutTracking(it.URL)), title: hash32(folded), text: hash32(foldTitle(it.Summary + " " + it.Body)), day: j.today}
	x.item = keyOf(j.feed, j.identity(e, &it, &x))
	if old, ok := j.find(x.item); ok && j.reused(old, &x, e) {
		x.item = keyOf(j.feed, e.ID+"|"+it.URL)
	}
	id := x.item.short()
	it.ID = x.item.String()
	if a, ok := j.st.Seen.alias[id]; ok {
		it.ID = a
	}
	j.order, j.all = append(j.order, id), append(j.all, it)
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
