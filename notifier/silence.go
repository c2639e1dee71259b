package notifier

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"tocsin/news"
	"tocsin/news/strict"
)

// MaxSilence is the longest time between start and end of a silence.
const MaxSilence = 90 * 24 * time.Hour

// Silence mutes alerts for a time. Every condition that is stated must hold. It always says who made it, why, and when it ends.
type Silence struct {
	strict.Pos `json:"-"`
	ID         string    `json:"id" yaml:"id"`                       // given by the program for silences that are made at run time
	Matchers   []string  `json:"matchers,omitempty" yaml:"matchers"` // as in routes
	Words      []string  `json:"words,omitempty" yaml:"words"`       // one of them stands in title, summary or body as whole words, in any case
	Entities   []string  `json:"entities,omitempty" yaml:"entities"` // every entity of the alert is one of these
	Stories    []string  `json:"stories,omitempty" yaml:"stories"`   // the alert's story is one of these
	Sources    []string  `json:"sources,omitempty" yaml:"sources"`   // the item's feed, outlet or host is one of these
	Start      time.Time `json:"start" yaml:"start"`                 // at once when not stated
	End        time.Time `json:"end" yaml:"end"`                     // compulsory, at most 90 days after Start
	Author     string    `json:"author" yaml:"author"`               // compulsory
	Comment    string    `json:"comment" yaml:"comment"`             // compulsory: why
	FromFile   bool      `json:"from_file,omitempty" yaml:"-"`       // stands in the operator's file and cannot be expired at run time
	Expired    time.Time `json:"expired,omitzero" yaml:"-"`          // when somebody ended it early
	parsed     []*Matcher
}

// Active tells whether the silence mutes at t.
func (s *Silence) Active(t time.Time) bool {
	return !t.Before(s.Start) && t.Before(s.End) && (s.Expired.IsZero() || t.Before(s.Expired))
}

// Bounds of one silence.
const (
	maxConditions = 100
	maxCondition  = 500
)

// Prepare reads the matchers and gives what is wrong with the silence, nil when it may be used. A start that is not stated becomes now.
func (s *Silence) Prepare(now time.Time) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.Start.IsZero() {
		s.Start = now
	}
	switch {
	case s.End.IsZero():
		bad("end is missing: a silence must end, at most 90 days after its start")
	case !s.End.After(s.Start):
		bad("end %s is not after start %s", s.End.Format(time.RFC3339), s.Start.Format(time.RFC3339))
	case s.End.Sub(s.Start) > MaxSilence:
		bad("%s from start to end: at most 90 days, renew it then", s.End.Sub(s.Start))
	}
	if strings.TrimSpace(s.Author) == "" {
		bad("author is missing: write who mutes")
	}
	if strings.TrimSpace(s.Comment) == "" {
		bad("comment is missing: write why")
	}
	s.parsed = nil
	for _, m := range s.Matchers {
		ms, err := ParseMatchers(m)
		if err != nil {
			bad("matcher %q: %s", cut(m), err)
		}
		s.parsed = append(s.parsed, ms...)
	}
	fields := slices.Concat(s.Matchers, s.Words, s.Entities, s.Stories, s.Sources)
	if len(fields) == 0 {
		bad("no condition: state matchers, words, entities, stories or sources")
	}
	if len(fields) > maxConditions {
		bad("%d conditions, at most %d", len(fields), maxConditions)
	}
	for _, x := range append(fields, s.Author, s.Comment) {
		if len(x) > maxCondition || strings.TrimSpace(x) == "" && x != s.Author && x != s.Comment {
			bad("a text is empty or longer than %d bytes: %q", maxCondition, cut(x))
		}
	}
	return errors.Join(errs...)
}

// Holds tells whether the silence is about this alert, whatever the time. A test is never muted. News about the program itself is muted only by a
// silence that asks for it with a matcher on kind or watchlist, or by its story; a heartbeat only by a matcher on kind.
func (s *Silence) Holds(a *news.Alert, l Labels) bool {
	switch {
	case a.Kind == news.KindTest,
		a.Kind == news.KindHealth && !s.asks("kind") && !s.asks("watchlist") && len(s.Stories) == 0,
		a.Kind == news.KindHeartbeat && !s.asks("kind"):
		return false
	}
	it := &a.Match.Item
	_, host := SafeLink(it.URL)
	return all(s.parsed, l) &&
		(len(s.Words) == 0 || s.hasWord(it)) &&
		(len(s.Entities) == 0 || s.hasEntities(a)) &&
		(len(s.Stories) == 0 || slices.Contains(s.Stories, a.Story)) &&
		(len(s.Sources) == 0 || slices.ContainsFunc(s.Sources, func(x string) bool {
			return x == it.Feed || strings.EqualFold(x, it.Outlet) || host != "" && strings.EqualFold(x, host)
		}))
}

// asks tells that the silence names values of a label that it mutes. An expression that takes everything names none.
func (s *Silence) asks(label string) bool {
	return slices.ContainsFunc(s.parsed, func(m *Matcher) bool {
		return m.Name == label && (m.Op == "=" || m.Op == "=~") && !m.matches("~any value at all~")
	})
}

// hasEntities wants all of the alert's entities: one that is not muted is news.
func (s *Silence) hasEntities(a *news.Alert) bool {
	for _, e := range a.Match.Entities {
		if !slices.Contains(s.Entities, e.ID) {
			return false
		}
	}
	return len(a.Match.Entities) > 0
}

func (s *Silence) hasWord(it *news.Item) bool {
	for _, text := range []string{it.Title, it.Summary, it.Body} {
		text = strings.ToLower(text)
		if slices.ContainsFunc(s.Words, func(w string) bool { return wholeWord(text, strings.ToLower(strings.TrimSpace(w))) }) {
			return true
		}
	}
	return false
}

// wholeWord tells whether w stands in text with no letter, mark or digit beside it. In scripts without blanks between words that can only be
// told by dictionaries, so that w counts anywhere there.
func wholeWord(text, w string) bool {
	inner := func(r rune) bool {
		return (unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r)) && !unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai)
	}
	for from := 0; w != ""; {
		i := strings.Index(text[from:], w)
		if i < 0 {
			return false
		}
		before, _ := utf8.DecodeLastRuneInString(text[:from+i])
		after, _ := utf8.DecodeRuneInString(text[from+i+len(w):])
		if !inner(before) && !inner(after) {
			return true
		}
		from += i + len(w)
	}
	return false
}

// About is one line that names the silence, for the ledger.
func (s *Silence) About() string {
	return oneLine("silence " + s.ID + " of " + s.Author + " until " + s.End.UTC().Format("2006-01-02 15:04") + " UTC: " + s.Comment)
}

func (k *routeCheck) silences(all []Silence) {
	ids := map[string]bool{}
	for i := range all {
		s := all[i]
		if s.Start.IsZero() {
			k.faults.Add(s.Pos, "write start: 2026-11-25T00:00:00Z", "a silence in a file must state its start")
			continue
		}
		if s.ID == "" || ids[s.ID] {
			k.faults.Add(s.Pos, "give each silence its own id", "silence id %q is empty or stands twice", s.ID)
		}
		ids[s.ID] = true
		if err := s.Prepare(s.Start); err != nil {
			k.faults.Add(s.Pos, "mend what it names", "silence %q: %s", s.ID, strings.ReplaceAll(err.Error(), "\n", "; "))
		}
		for _, m := range s.parsed {
			k.matcher(s.Pos, m)
		}
	}
}
