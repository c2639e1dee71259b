package notifier

import (
	"slices"
	"strings"
	"time"

	"tocsin/news"
)

// open is one alert: what people were told so far. An update that waits for its time counts as told: the next one takes its place and tells its
// news as well.
type open struct {
	id, story, watchlist string // the story is the one that it was opened for, and does not change

	last      int             // highest revision given out
	announced bool            // a record exists that people were told at once, not of old news alone
	told      map[string]bool // entities, rules, places and languages, as in facts
	severity  news.Severity
	tier      int                // best so far, 0 unknown
	numbers   map[string]float64 // by unit
	headline  string
	opened    news.Severity // with the headline: what the first message said
	items     map[string]report
	outlets   []string
	openedAt  time.Time
	touched   time.Time
	matches   []string

	said   time.Time     // when people were last told, or will be by the update that waits
	facts  []string      // of the update that waits
	waits  news.Severity // its severity
	also   []news.Source // reports that brought nothing new
	more   int           // further ones
	listed int           // how many of them the last message lists
	fold   *news.Alert   // what the last stored fold adds: revision, Also, Outlets, Items
}

// report is what an item says, for its edits.
type report struct {
	title   string
	numbers map[string]float64
}

// made is what a revision adds to its match.
type made struct {
	revision int
	kind     string
	old      bool
	facts    []string
	severity news.Severity
	due      time.Time
	at       time.Time
}

func newOpen(story, watchlist string, at time.Time) *open {
	return &open{
		id: news.AlertID(story, watchlist), story: story, watchlist: watchlist, told: map[string]bool{}, numbers: map[string]float64{},
		items: map[string]report{}, openedAt: at,
	}
}

// next decides what a match is for its alert; l is the evidence of its item's place.
func (o *open) next(m *news.Match, r *storyRules, l *links, now time.Time) made {
	v := made{revision: o.last + 1, kind: news.KindFold, old: r.old(m), severity: m.Severity, at: now}
	switch {
	case v.old && o.last > 0:
	case !o.announced:
		v.kind = news.KindFirst
	default:
		if v.facts = o.news(m, r); len(v.facts) > 0 {
			v.kind = news.KindUpdate
			o.schedule(m, &v, r, l)
		}
	}
	return v
}

// schedule sets when an update goes out: at once when people were told nothing for an interval, when the severity rises to critical, or when the item
// may well tell of another event, which must not wait for the first; else with the update that waits.
func (o *open) schedule(m *news.Match, v *made, r *storyRules, l *links) {
	due := o.said.Add(r.interval)
	if o.said.After(v.at) {
		due, v.facts, v.severity = o.said, addFacts(o.facts, v.facts), max(m.Severity, o.waits)
	}
	_, known := o.items[m.Item.ID]
	rise := m.Severity == news.SeverityCritical && o.severity < news.SeverityCritical
	if !rise && (known || !l.doubtful()) && due.After(v.at) {
		v.due = due
	}
}

// doubt is how many points of evidence leave it open whether an item tells of the event of its story: about three of four do.
const doubt = 1.0

// doubtful tells whether an item came into its story by little evidence, by itself or with the story that it opened.
func (l *links) doubtful() bool {
	if l == nil {
		return false
	}
	return l.joined != nil && l.joined.Points < doubt || slices.ContainsFunc(l.merged, func(x news.StoryMerge) bool { return x.Link.Points < doubt })
}

// record is the record of a match, before o learns of it.
func (o *open) record(m *news.Match, v *made, l *links) news.Alert {
	a := news.Alert{
		Schema: news.Schema, ID: o.id, Revision: v.revision, Kind: v.kind, Story: o.story, Watchlist: o.watchlist, Severity: v.severity,
		New: v.facts, Match: *m, Items: len(o.items), OpenedAt: o.openedAt, At: v.at, Old: v.old, Due: v.due, Headline: o.headline, Opened: o.opened,
	}
	was, known := o.items[m.Item.ID]
	if !known {
		a.Items++
	}
	if v.kind == news.KindUpdate && known && was.title != m.Item.Title {
		a.Before = was.title
	}
	a.Outlets = o.withOutlet(m.Item.Outlet)
	also := o.also
	if v.kind == news.KindFold {
		also = o.withSource(m)
	}
	n := min(len(also), news.MaxSources)
	a.Also, a.AlsoMore = also[:n:n], o.more+len(also)-n
	l.tell(&a)
	return a
}

// tell adds the evidence to a record.
func (l *links) tell(a *news.Alert) {
	if l == nil {
		return
	}
	a.Joined, a.Nearest, a.Merged = l.joined, l.nearest, slices.Clone(l.merged)
	for i := range a.Merged {
		a.Merged[i].Alert = ""
		if gone := l.ended[i][a.Watchlist]; gone != a.ID {
			a.Merged[i].Alert = gone
		}
	}
}

func (o *open) withOutlet(name string) []string {
	if name == "" || slices.Contains(o.outlets, name) {
		return o.outlets
	}
	return append(slices.Clone(o.outlets), name)
}

// maxAlso bounds the reports that are kept until people are told of them; of more only the number is kept.
const maxAlso = 100

// withSource gives the reports with that of an item that is not among them.
func (o *open) withSource(m *news.Match) []news.Source {
	if _, known := o.items[m.Item.ID]; known || len(o.also) >= maxAlso {
		return o.also
	}
	return append(o.also[:len(o.also):len(o.also)], sourceOf(&m.Item))
}

func sourceOf(it *news.Item) news.Source {
	return news.Source{Item: it.ID, Outlet: Shorten(it.Outlet, maxDetail), Lang: it.Lang, Title: Shorten(it.Title, maxDetail), URL: it.URL}
}

// settle ends the time of the last message: what it told and listed is behind us.
func (o *open) settle(now time.Time) {
	if o.said.After(now) {
		return
	}
	if o.listed > 0 {
		o.also, o.listed, o.more = o.also[o.listed:], 0, 0
	}
	o.facts, o.waits = nil, news.SeverityNone
}

// learn notes a revision; settle came before.
func (o *open) learn(m *news.Match, v *made) {
	o.last, o.touched = max(o.last, v.revision), v.at
	o.outlets = o.withOutlet(m.Item.Outlet)
	switch {
	case v.kind == news.KindFold || v.old:
		o.addSource(m)
	case v.kind == news.KindFirst:
		o.announced, o.said, o.listed, o.headline, o.opened = true, v.at, len(o.also), headlineOf(m), v.severity
		o.tell(m, v)
	default:
		o.say(m, v)
		o.tell(m, v)
	}
	o.items[m.Item.ID] = report{m.Item.Title, counted(m.Signature)}
}

func (o *open) addSource(m *news.Match) {
	if _, known := o.items[m.Item.ID]; !known && len(o.also) >= maxAlso {
		o.more++
	}
	o.also = o.withSource(m)
}

// say notes that people are told at v.due, or now.
func (o *open) say(m *news.Match, v *made) {
	o.facts, o.said, o.waits = nil, v.at, max(o.waits, v.severity)
	if !v.due.IsZero() {
		o.facts, o.said = v.facts, v.due
		o.addSource(m) // another update may take its place, and lists it then
	}
	o.listed = len(o.also)
}

func headlineOf(m *news.Match) string { return Shorten(Plain(headline(m)), maxHeadline) }

// noteFold keeps what a stored fold adds to the revisions before it.
func (o *open) noteFold(a *news.Alert) {
	if a.Kind == news.KindFold {
		o.fold = &news.Alert{ID: a.ID, Revision: a.Revision, Kind: a.Kind, Items: a.Items, Outlets: a.Outlets, Also: a.Also, AlsoMore: a.AlsoMore}
	}
}

// before tells which of two alerts goes on when they become one: the one that people know, else the older.
func (o *open) before(p *open) bool {
	if o.announced != p.announced {
		return o.announced
	}
	if c := o.openedAt.Compare(p.openedAt); c != 0 {
		return c < 0
	}
	return o.id < p.id
}

// absorb takes over what people were told by an alert that ends, and lists its report with the next message.
func (o *open) absorb(gone *open) {
	for k := range gone.told {
		o.told[k] = true
	}
	for u, x := range gone.numbers {
		o.numbers[u] = max(o.numbers[u], x)
	}
	for _, id := range news.SortedKeys(gone.items) {
		if _, known := o.items[id]; !known {
			o.items[id] = gone.items[id]
		}
	}
	for _, name := range gone.outlets {
		o.outlets = o.withOutlet(name)
	}
	o.severity = max(o.severity, gone.severity)
	if gone.tier > 0 && (o.tier == 0 || gone.tier < o.tier) {
		o.tier = gone.tier
	}
	if o.also = append(slices.Clone(o.also), gone.also[gone.listed:]...); gone.announced {
		o.also = append(o.also, news.Source{Item: gone.story, Outlet: strings.Join(first(gone.outlets, 1), ""), Title: gone.headline})
	}
	if gone.touched.After(o.touched) {
		o.touched = gone.touched
	}
	if gone.said.After(o.said) {
		o.said = gone.said
	}
}
