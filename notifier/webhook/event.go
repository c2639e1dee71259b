package webhook

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"time"

	"tocsin/news"
	"tocsin/notifier"
)

// maxBody is the largest body in bytes.
const maxBody = 20 << 10

// dataSchema names the form of Event.Data; a change that breaks readers gets a new number.
const dataSchema = "urn:tocsin:alert:1"

// Schema is the JSON Schema of the body, for receivers.
//
//go:embed schema.json
var Schema []byte

// Event is the body: a CloudEvents 1.0 envelope in JSON, with the timestamp that Standard Webhooks asks for.
type Event struct {
	SpecVersion string    `json:"specversion"`
	ID          string    `json:"id"` // names the event, the same for every recipient; the header webhook-id names the delivery
	Source      string    `json:"source"`
	Type        string    `json:"type"`
	Subject     string    `json:"subject"` // id of the watchlist
	Time        time.Time `json:"time"`
	Timestamp   time.Time `json:"timestamp"`
	ContentType string    `json:"datacontenttype"`
	DataSchema  string    `json:"dataschema"`
	Data        Data      `json:"data"`
}

// Data is the alert as a receiver sees it.
type Data struct {
	Alert     string            `json:"alert"`
	Revision  int               `json:"revision"`
	Kind      string            `json:"kind"`
	Story     string            `json:"story"`
	Watchlist Named             `json:"watchlist"`
	Severity  string            `json:"severity,omitempty"`
	Summary   string            `json:"summary"` // one line
	New       []string          `json:"new,omitempty"`
	Before    string            `json:"before,omitempty"`    // title of the item until the edit that made this update
	Also      []Report          `json:"also,omitempty"`      // reports that joined the story since the last message; at most 12
	AlsoMore  int               `json:"also_more,omitempty"` // further such reports
	Outlets   int               `json:"outlets,omitempty"`   // that report the story
	Text      []string          `json:"text,omitempty"`      // what a heartbeat or news about the program itself says, one fact a line
	Labels    map[string]string `json:"labels,omitempty"`
	Items     []Item            `json:"items,omitempty"` // at most 10
	ItemCount int               `json:"item_count,omitempty"`
	Entities  []Named           `json:"entities,omitempty"`
	Rules     []Named           `json:"rules,omitempty"`
	Mentions  []Mention         `json:"mentions,omitempty"`
	Entries   []string          `json:"entries,omitempty"`   // of a digest: every alert it stands for, as "id.revision"
	Feedback  map[string]string `json:"feedback,omitempty"`  // links by which a person says useful, noise or mute
	Truncated bool              `json:"truncated,omitempty"` // lists were cut to keep the body small
}

// Named is an id with its name.
type Named struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	Why  string `json:"why,omitempty"`
}

// Item is one news item of the alert.
type Item struct {
	ID        string    `json:"id"`
	Title     string    `json:"title"`
	URL       string    `json:"url,omitempty"`
	Outlet    string    `json:"outlet,omitempty"`
	Lang      string    `json:"lang,omitempty"`
	Country   string    `json:"country,omitempty"`
	Published time.Time `json:"published,omitzero"`
	FirstSeen time.Time `json:"first_seen"`
	Snippet   string    `json:"snippet,omitempty"`
}

// Report is one report of the story beside the item.
type Report struct {
	ID     string `json:"id,omitempty"`
	Title  string `json:"title,omitempty"`
	URL    string `json:"url,omitempty"`
	Outlet string `json:"outlet,omitempty"`
	Lang   string `json:"lang,omitempty"`
}

// Mention is a watched alias found in the item.
type Mention struct {
	Entity string `json:"entity"`
	Alias  string `json:"alias"`
	Field  string `json:"field"`
	Text   string `json:"text"`
	Why    string `json:"why,omitempty"`
}

// kindDigest is Data.Kind of a message that stands for many alerts.
const kindDigest = "digest"

const (
	maxItems = 10
	maxList  = 20
	maxText  = 300
	maxFact  = 1500 // bytes
)

func eventType(kind string) string {
	switch kind {
	case news.KindUpdate, news.KindFold:
		return "tocsin.alert.updated"
	case kindDigest:
		return "tocsin.digest"
	case news.KindHealth:
		return "tocsin.health"
	case news.KindHeartbeat:
		return "tocsin.heartbeat"
	case news.KindTest:
		return "tocsin.test"
	}
	return "tocsin.alert.created"
}

func envelope(source, kind, id, subject string, at time.Time) Event {
	return Event{
		SpecVersion: "1.0", ID: id, Source: source, Type: eventType(kind), Subject: subject, Time: at.UTC(), Timestamp: at.UTC(),
		ContentType: "application/json", DataSchema: dataSchema,
	}
}

func newEvent(source string, a *news.Alert) Event {
	v := notifier.NewView(a, nil)
	m, it := &a.Match, &a.Match.Item
	e := envelope(source, a.Kind, a.Key(), a.Watchlist, a.At)
	e.Data = Data{
		Alert: a.ID, Revision: a.Revision, Kind: a.Kind, Story: a.Story, Watchlist: Named{ID: a.Watchlist, Name: m.Title},
		Severity: v.Severity, Summary: v.Subject(), New: first(a.New, maxList), Text: lines(v), Labels: m.Labels, ItemCount: a.Items,
	}
	e.Data.Before, e.Data.AlsoMore, e.Data.Outlets = text(a.Before), a.AlsoMore, len(a.Outlets)
	for _, x := range a.Also {
		link, _ := notifier.SafeLink(x.URL)
		e.Data.Also = append(e.Data.Also, Report{x.Item, text(x.Title), link, text(x.Outlet), x.Lang})
	}
	if it.ID != "" {
		e.Data.Items = []Item{{
			ID: it.ID, Title: v.Title(), URL: v.Link, Outlet: v.Outlet, Lang: v.Lang, Country: it.Country,
			Published: it.Published, FirstSeen: it.FirstSeen, Snippet: notifier.Plain(v.Snippets),
		}}
	}
	for _, x := range first(m.Entities, maxList) {
		e.Data.Entities = append(e.Data.Entities, Named{ID: x.ID, Name: text(x.Name)})
	}
	for _, x := range first(m.Rules, maxList) {
		e.Data.Rules = append(e.Data.Rules, Named{ID: x.ID, Name: text(x.Title), Why: text(x.Why)})
	}
	for _, x := range first(m.Mentions, maxList) {
		e.Data.Mentions = append(e.Data.Mentions, Mention{x.Entity, text(x.Alias), x.Field, text(x.Text), text(x.Why)})
	}
	e.Data.Truncated = len(m.Entities) > maxList || len(m.Rules) > maxList || len(m.Mentions) > maxList || len(a.New) > maxList || len(v.Lines) > maxList
	return e
}

func digestEvent(source string, entries []news.Alert, d *news.Delivery) Event {
	v := notifier.NewDigestView(entries, d, nil)
	e := envelope(source, kindDigest, d.ID, d.Watchlist, d.PlannedAt)
	e.Data = Data{
		Alert: d.ID, Kind: kindDigest, Watchlist: Named{ID: d.Watchlist}, Severity: d.Severity.String(), Summary: v.Title, ItemCount: len(entries),
		Truncated: len(entries) > maxItems,
	}
	refs := d.Alerts
	if len(refs) < len(entries) { // planned by an older program
		refs = nil
		for i := range entries {
			refs = append(refs, news.AlertRef{ID: entries[i].ID, Revision: entries[i].Revision})
		}
	}
	for _, r := range refs {
		e.Data.Entries = append(e.Data.Entries, (&news.Alert{ID: r.ID, Revision: r.Revision}).Key())
	}
	for _, x := range first(v.Full, maxItems) {
		it := &x.Alert.Match.Item
		e.Data.Items = append(e.Data.Items, Item{
			ID: it.ID, Title: x.Title(), URL: x.Link, Outlet: x.Outlet, Lang: x.Lang, Country: it.Country, Published: it.Published, FirstSeen: it.FirstSeen,
		})
	}
	return e
}

// lines are the facts of news about the program itself.
func lines(v *notifier.View) (out []string) {
	for _, l := range first(v.Lines, maxList) {
		out = append(out, notifier.Shorten(l, maxFact))
	}
	return out
}

func first[T any](s []T, n int) []T { return s[:min(len(s), n):min(len(s), n)] }

func text(s string) string { return notifier.Shorten(notifier.Clean(s), maxText) }

// encode writes the event within maxBody, cutting lists by halves when it must.
func encode(e Event) ([]byte, error) {
	for {
		b, err := json.Marshal(e)
		if err != nil {
			return nil, fmt.Errorf("write event: %w", err)
		}
		if len(b) <= maxBody {
			return b, nil
		}
		d := &e.Data
		if len(d.Entries) > 0 {
			if len(d.Items) == 0 {
				return nil, fmt.Errorf("write event: %d bytes, the limit is %d: %w", len(b), maxBody, notifier.ErrTooLarge)
			}
			d.Items, d.Truncated = first(d.Items, len(d.Items)/2), true
			continue
		}
		if len(d.Labels)+len(d.Mentions)+len(d.Rules)+len(d.Entities)+len(d.New)+len(d.Text)+len(d.Also) == 0 {
			return nil, fmt.Errorf("write event: %d bytes, the limit is %d", len(b), maxBody)
		}
		d.Labels, d.Truncated = nil, true
		d.Mentions, d.Rules = first(d.Mentions, len(d.Mentions)/2), first(d.Rules, len(d.Rules)/2)
		d.Entities, d.New, d.Text = first(d.Entities, len(d.Entities)/2), first(d.New, len(d.New)/2), first(d.Text, len(d.Text)/2)
		d.AlsoMore += len(d.Also) - len(d.Also)/2
		d.Also = first(d.Also, len(d.Also)/2)
	}
}
