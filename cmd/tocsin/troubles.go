package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"tocsin/news"
	"tocsin/notifier"
)

// Kinds of trouble: the closed list of the label trouble.
const (
	troubleCanary   = "canary_lost"
	troubleRole     = "role_lost"
	troubleFeed     = "feed"
	troubleGap      = "coverage_gap"
	troubleCircuit  = "circuit_open"
	troubleMismatch = "ledger_mismatch"
	troubleDead     = "dead_letters"
	troubleReload   = "reload_refused"
	troubleNetwork  = "network_down"
)

// condition is one thing that is wrong with the program itself at a moment.
type condition struct {
	key      string // one trouble at a time has it
	kind     string
	feed     string // id, when it is about one
	name     string // in the list of a folded alert
	short    string // what is wrong, there
	level    int    // a rise makes an update
	severity news.Severity
	title    string
	text     string
	over     string // title of its end; "" when its end is no news
	since    time.Time
}

// episode is a trouble that people were told of, until its end is told.
type episode struct {
	Kind     string    `json:"kind"`
	Story    string    `json:"story,omitempty"`
	Fold     string    `json:"fold,omitempty"` // key of the fold that told of it
	Feed     string    `json:"feed,omitempty"`
	Level    int       `json:"level,omitempty"`
	Revision int       `json:"rev,omitempty"`
	Over     string    `json:"over,omitempty"`
	Since    time.Time `json:"since,omitzero"`
	Told     time.Time `json:"told,omitzero"`
}

// fold is one alert that stands for many troubles of one kind that came at once.
type fold struct {
	Kind     string    `json:"kind"`
	Story    string    `json:"story"`
	Revision int       `json:"rev"`
	Most     int       `json:"most"` // members at its largest
	Since    time.Time `json:"since"`
	Told     time.Time `json:"told"`
	Dirty    bool      `json:"dirty,omitempty"` // members came or went since it was told
}

// troubles decides what people are told of conditions: each once when it begins, when it gets worse, and when it ends; many of one kind at once as
// one. It is a function of its state, the conditions and the time; the state is stored, so that a restart tells nothing twice.
type troubles struct {
	Episodes map[string]*episode `json:"episodes"`
	Folds    map[string]*fold    `json:"folds"`
	Past     map[string]past     `json:"past"` // of stories that are over, so that one that comes back repeats no revision

	first map[string]time.Time // when a condition that was not told yet was first seen
	total int                  // feeds, for the words of a fold
}

// past is the last revision of a story that is over.
type past struct {
	Revision int       `json:"rev"`
	At       time.Time `json:"at"`
}

// maxPast bounds the stories that are remembered; the oldest go first.
const maxPast = 1000

func (t *troubles) over(e *episode, revision int, now time.Time) {
	t.Past[e.Story] = past{revision, now}
	if len(t.Past) <= maxPast {
		return
	}
	oldest := e.Story
	for s, p := range t.Past {
		if p.At.Before(t.Past[oldest].At) {
			oldest = s
		}
	}
	delete(t.Past, oldest)
}

func newTroubles() *troubles {
	return &troubles{Episodes: map[string]*episode{}, Folds: map[string]*fold{}, Past: map[string]past{}, first: map[string]time.Time{}}
}

// readTroubles takes the stored state back.
func readTroubles(data []byte) (*troubles, error) {
	t := newTroubles()
	if err := json.Unmarshal(data, t); err != nil {
		return nil, fmt.Errorf("read troubles: %w", err)
	}
	return t, nil
}

// Bounds of what is told singly: of the kinds that can come in crowds, so many an hour; the others at once join one alert, which is told anew at most
// every foldEvery.
const (
	foldAbove = 5
	foldSpan  = time.Hour
	foldEvery = 15 * time.Minute
	foldList  = 40
)

// settling is how long a condition of a kind waits for others before it is told.
func settling(kind string) time.Duration {
	if crowd(kind) {
		return 20 * time.Second
	}
	return 0
}

func crowd(kind string) bool { return kind == troubleFeed || kind == troubleGap }

// look compares what is wrong now with what people know, and gives the alerts to send.
func (t *troubles) look(now time.Time, conds []condition) []news.Alert {
	slices.SortFunc(conds, func(a, b condition) int { return strings.Compare(a.key, b.key) })
	current := map[string]*condition{}
	for i := range conds {
		current[conds[i].key] = &conds[i]
	}
	out := t.ended(now, current)
	out = append(out, t.worse(now, current)...)
	fresh := map[string][]*condition{}
	for i := range conds {
		if c := &conds[i]; t.Episodes[c.key] == nil {
			fresh[c.kind] = append(fresh[c.kind], c)
		}
	}
	for key := range t.first {
		if current[key] == nil {
			delete(t.first, key)
		}
	}
	for _, kind := range news.SortedKeys(fresh) {
		out = append(out, t.begun(now, kind, fresh[kind])...)
	}
	return append(out, t.folds(now, current)...)
}

// ended tells of troubles that are over.
func (t *troubles) ended(now time.Time, current map[string]*condition) (out []news.Alert) {
	for _, key := range news.SortedKeys(t.Episodes) {
		e := t.Episodes[key]
		if current[key] != nil {
			continue
		}
		delete(t.Episodes, key)
		if f := t.Folds[e.Fold]; f != nil {
			f.Dirty = true
			continue
		}
		if e.Story == "" {
			continue
		}
		t.over(e, e.Revision+1, now)
		if e.Over != "" {
			out = append(out, e.alert(e.Revision+1, news.SeverityInfo, e.Over, "It began "+stamp(e.Since)+" and lasted "+notifier.Spell(now.Sub(e.Since))+".", now))
		}
	}
	return out
}

// worse tells of troubles that rose.
func (t *troubles) worse(now time.Time, current map[string]*condition) (out []news.Alert) {
	for _, key := range news.SortedKeys(current) {
		c, e := current[key], t.Episodes[key]
		if e == nil || c.level <= e.Level {
			continue
		}
		e.Level, e.Over = c.level, c.over
		if f := t.Folds[e.Fold]; f != nil {
			f.Dirty = true
			continue
		}
		if e.Story == "" { // its fold is over, it is not
			*e = *t.newEpisode(c, now)
		} else {
			e.Revision++
		}
		out = append(out, e.alert(e.Revision, c.severity, c.title, c.text, now))
	}
	return out
}

// begun tells of new troubles of one kind, after those that come at once had time to come.
func (t *troubles) begun(now time.Time, kind string, fresh []*condition) (out []news.Alert) {
	oldest := now
	for _, c := range fresh {
		if t.first[c.key].IsZero() {
			t.first[c.key] = now
		}
		if at := t.first[c.key]; at.Before(oldest) {
			oldest = at
		}
	}
	if now.Sub(oldest) < settling(kind) {
		return nil
	}
	alone := !crowd(kind) || t.lately(kind, now)+len(fresh) <= foldAbove
	for _, c := range fresh {
		delete(t.first, c.key)
		if alone {
			e := t.newEpisode(c, now)
			t.Episodes[c.key] = e
			out = append(out, e.alert(e.Revision, c.severity, c.title, c.text, now))
			continue
		}
		t.Episodes[c.key] = &episode{Kind: kind, Fold: kind, Feed: c.feed, Level: c.level, Over: c.over, Since: c.since, Told: now}
	}
	if !alone {
		if t.Folds[kind] == nil {
			t.Folds[kind] = &fold{Kind: kind, Story: kind + "s " + now.UTC().Truncate(time.Minute).Format(time.RFC3339), Since: now}
		}
		t.Folds[kind].Dirty = true
	}
	return out
}

// lately counts the troubles of a kind that were told singly within the last hour.
func (t *troubles) lately(kind string, now time.Time) (n int) {
	for _, e := range t.Episodes {
		if e.Kind == kind && e.Fold == "" && now.Sub(e.Told) < foldSpan {
			n++
		}
	}
	return n
}

func (t *troubles) newEpisode(c *condition, now time.Time) *episode {
	story := c.key + " " + c.since.UTC().Truncate(time.Second).Format(time.RFC3339)
	return &episode{
		Kind: c.kind, Story: story, Feed: c.feed, Level: c.level, Revision: t.Past[story].Revision + 1, Over: c.over, Since: c.since, Told: now,
	}
}

// folds tells of crowds that began, changed or ended.
func (t *troubles) folds(now time.Time, current map[string]*condition) (out []news.Alert) {
	for _, key := range news.SortedKeys(t.Folds) {
		f := t.Folds[key]
		var members []*condition
		for _, k := range news.SortedKeys(t.Episodes) {
			if t.Episodes[k].Fold == key && current[k] != nil {
				members = append(members, current[k])
			}
		}
		e := episode{Kind: f.Kind, Story: f.Story, Since: f.Since}
		if f.Revision > 0 && len(members)*5 <= f.Most {
			delete(t.Folds, key)
			out = append(out, t.foldOver(f, &e, members, now)...)
			continue
		}
		if !f.Dirty || f.Revision > 0 && (now.Sub(f.Told) < foldEvery || len(members) <= f.Most) {
			continue
		}
		f.Revision, f.Most, f.Told, f.Dirty = f.Revision+1, len(members), now, false
		title, text, severity := t.foldText(f, members)
		out = append(out, e.alert(f.Revision, severity, title, text, now))
	}
	return out
}

func (t *troubles) foldText(f *fold, members []*condition) (title, text string, s news.Severity) {
	slices.SortStableFunc(members, func(a, b *condition) int { return cmp.Compare(b.level, a.level) })
	var b strings.Builder
	for i, c := range members {
		if i == foldList {
			fmt.Fprintf(&b, "and %d more: tocsin feeds list --live shows all\n", len(members)-i)
			break
		}
		fmt.Fprintf(&b, "%s: %s\n", c.name, c.short)
	}
	if f.Kind == troubleGap {
		return fmt.Sprintf("%d feeds have gaps: items may have been missed", len(members)), b.String(), news.SeverityMedium
	}
	of := ""
	if t.total >= len(members) {
		of = fmt.Sprintf(" of %d", t.total)
	}
	return fmt.Sprintf("%d%s feeds are in trouble at once: our network?", len(members), of), b.String(), news.SeverityHigh
}

// foldOver ends a crowd when most of it is over. What is left goes on alone, named in the last word of the crowd.
func (t *troubles) foldOver(f *fold, e *episode, left []*condition, now time.Time) []news.Alert {
	text := "It began " + stamp(f.Since) + " and lasted " + notifier.Spell(now.Sub(f.Since)) + ".\n"
	for _, c := range left {
		t.Episodes[c.key] = t.newEpisode(c, now)
		text += "Still: " + c.name + ": " + c.short + "\n"
	}
	if f.Kind == troubleGap {
		return nil
	}
	return []news.Alert{e.alert(f.Revision+1, news.SeverityInfo, fmt.Sprintf("%d of %d feeds are out of trouble again", f.Most-len(left), f.Most), text, now)}
}

// alert is a record about the trouble.
func (e *episode) alert(revision int, severity news.Severity, title, text string, now time.Time) news.Alert {
	a := health(e.Story, revision, severity, title, text, e.Since, now)
	a.Match.Labels = map[string]string{"trouble": e.Kind}
	a.Match.Item.Feed = e.Feed
	return a
}

func stamp(t time.Time) string { return t.UTC().Format("2 Jan 15:04") + " UTC" }
