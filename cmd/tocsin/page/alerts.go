package page

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"tocsin/news"
	"tocsin/notifier"
)

// perPage is how many alerts one page shows.
const perPage = 25

// card is one alert as a list shows it.
type card struct {
	*notifier.View
	Seq     uint64
	Fates   []sent
	Ack     string
	Visitor *visitor
	Story   string
	About   bool // about the program itself
	Alone   bool // on its own page: no link to it
}

// sent is what became of an alert at one channel, for people.
type sent struct{ Channel, Word, Level, Why string }

// cardOf makes the card of a record. v is nil for one that offers nothing to do.
func (p *Page) cardOf(e *entry, v *visitor) *card {
	c := &card{View: e.View, Seq: e.Seq, Ack: e.Ack, Story: e.View.Alert.Story, About: ownKind(e.View.Alert.Kind)}
	if v != nil && v.In {
		c.Visitor = v
	}
	for _, f := range e.Fates {
		if f.Channel == "" && f.Event != news.EventSuppressed {
			continue
		}
		s := sent{Channel: f.Channel}
		s.Word, s.Level = wordOf(f.Event)
		if f.Event == news.EventSuppressed || f.Event == news.EventDead || f.Event == news.EventHeld {
			s.Why = f.Reason
		}
		c.Fates = append(c.Fates, s)
	}
	slices.SortFunc(c.Fates, func(a, b sent) int { return strings.Compare(a.Channel, b.Channel) })
	return c
}

// wordOf words an event of the ledger.
func wordOf(event string) (word, level string) {
	switch event {
	case news.EventDelivered:
		return "delivered", "good"
	case news.EventDead:
		return "given up", "bad"
	case news.EventSuppressed:
		return "not sent", "dim"
	case news.EventHeld, news.EventBundled:
		return "held for later", "dim"
	case news.EventAttempt:
		return "tried, again soon", "warn"
	}
	return "on its way", "dim"
}

// Say is what a screen reader is told of a new alert.
func (c *card) Say() string {
	return fmt.Sprintf("New alert, %s: %s", c.Severity, c.Title())
}

// Reasons are the whys of the alert with the names of entities.
func (c *card) Reasons() []notifier.Why { return c.Why }

func readFilter(r *http.Request) (filter, error) {
	q := r.URL.Query()
	f := filter{List: q.Get("list"), Lang: q.Get("lang"), Entity: q.Get("entity")}
	if s := q.Get("least"); s != "" {
		if err := f.Least.UnmarshalText([]byte(s)); err != nil {
			return f, fmt.Errorf("least: %w", err)
		}
	}
	return f, nil
}

func (f filter) query() url.Values {
	q := url.Values{}
	for k, v := range map[string]string{"list": f.List, "lang": f.Lang, "entity": f.Entity} {
		if v != "" {
			q.Set(k, v)
		}
	}
	if f.Least > 0 {
		q.Set("least", f.Least.String())
	}
	return q
}

// chosen is one condition of the filter that a person can take out.
type chosen struct{ Text, Key string }

// alertsView is the first page.
type alertsView struct {
	Cards      []*card
	Filter     filter
	Least      string
	Chosen     []chosen
	Tallies    tallies
	Severities []string
	Older      string // address of the page before
	Newest     bool   // this is the newest page: it goes on live
	Last       uint64
	Health     strip
	Kept       int
	query      url.Values
}

func (v *alertsView) frame(f *frame) {
	v.Health = f.Health
	if v.Newest {
		q := v.Filter.query()
		q.Set("after", strconv.FormatUint(v.Last, 10))
		f.Live = "/events?" + q.Encode()
	}
}

func (p *Page) serveAlerts(w http.ResponseWriter, r *http.Request) {
	f, err := readFilter(r)
	before, _ := strconv.ParseUint(r.URL.Query().Get("before"), 10, 64)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v := &alertsView{Filter: f, Severities: severityNames(), Newest: before == 0, Last: p.book.last(), query: f.query()}
	found, more, err := p.book.page(f, before, perPage)
	if err != nil {
		p.broken(w, err)
		return
	}
	who := p.doors.visitor(r)
	for i := range found {
		v.Cards = append(v.Cards, p.cardOf(&found[i], &who))
	}
	if more {
		q := f.query()
		q.Set("before", strconv.FormatUint(found[len(found)-1].Seq, 10))
		v.Older = "/?" + q.Encode()
	}
	v.Tallies = p.book.count(p.o.Now())
	v.choose(p.book.called(f.Entity))
	p.show(w, r, "alerts", "Alerts", http.StatusOK, v)
}

func (v *alertsView) choose(called string) {
	f := v.Filter
	if f.Least > 0 {
		v.Least = f.Least.String()
		v.Chosen = append(v.Chosen, chosen{v.Least + " or above", "least"})
	}
	for _, x := range []struct{ key, value, text string }{
		{"list", f.List, v.listName(f.List)}, {"entity", f.Entity, called}, {"lang", f.Lang, language(f.Lang)},
	} {
		if x.value != "" {
			v.Chosen = append(v.Chosen, chosen{notifier.Shorten(notifier.Clean(x.text), 60), x.key})
		}
	}
}

func (v *alertsView) listName(id string) string {
	for _, t := range v.Tallies.Lists {
		if t.ID == id {
			return t.Name
		}
	}
	return id
}

// Top is the largest number of a table, for its bars.
func (t tallies) Top() int {
	if len(t.Entities) == 0 {
		return 1
	}
	return t.Entities[0].N
}

func (p *Page) broken(w http.ResponseWriter, err error) {
	p.o.Log.Error("status page cannot read", "err", err)
	http.Error(w, "this cannot be read now: see the log", http.StatusInternalServerError)
}

// alertView is one alert with all that became of it.
type alertView struct {
	ID        string
	Cards     []*card // newest revision first
	Ledger    []news.LedgerEntry
	Cut       bool   // the ledger was not read to its end
	Fault     string // why it could not be read
	Others    []*card
	HasLedger bool
}

func (p *Page) serveAlert(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	found, err := p.book.of(50, func(x *row) bool { return x.ref.ID == id })
	if err != nil {
		p.broken(w, err)
		return
	}
	if len(found) == 0 {
		p.show(w, r, "refused", "Not kept", http.StatusNotFound, "This alert is not among the newest that are kept here. `tocsin alerts show "+notifier.Shorten(notifier.Clean(id), 40)+"` looks further back.")
		return
	}
	who := p.doors.visitor(r)
	v := &alertView{ID: id, HasLedger: p.o.Ledger != nil}
	for i := range found {
		c := p.cardOf(&found[i], &who)
		c.Alone = true
		v.Cards = append(v.Cards, c)
	}
	story := found[0].View.Alert.Story
	others, err := p.book.of(20, func(x *row) bool { return x.story == story && x.ref.ID != id && x.kind != news.KindFold })
	if err != nil {
		p.broken(w, err)
		return
	}
	for i := range others {
		v.Others = append(v.Others, p.cardOf(&others[i], nil))
	}
	if p.o.Ledger != nil {
		v.readLedger(r.Context(), p, found[len(found)-1].View.Alert.OpenedAt)
	}
	p.show(w, r, "alert", found[0].View.Title(), http.StatusOK, v)
}

// ledgerWithin bounds the reading of the ledger, and maxLedger what is shown of it.
const (
	ledgerWithin = 3 * time.Second
	maxLedger    = 200
)

func (v *alertView) readLedger(ctx context.Context, p *Page, since time.Time) {
	ctx, cancel := context.WithTimeout(ctx, ledgerWithin)
	defer cancel()
	var err error
	v.Ledger, err = p.o.Ledger(ctx, v.ID, since)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		v.Cut = true
	case err != nil:
		v.Fault = err.Error()
	}
	if len(v.Ledger) > maxLedger {
		v.Ledger, v.Cut = v.Ledger[len(v.Ledger)-maxLedger:], true
	}
}
