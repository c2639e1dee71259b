package news

import "time"

// Match is one item revision with the mentions and rules that count for one watchlist.
type Match struct {
	Schema    int               `json:"schema"`
	ID        string            `json:"id"` // MatchID
	Item      Item              `json:"item"`
	Watchlist string            `json:"watchlist"`          // id of the list
	Title     string            `json:"title,omitempty"`    // title of the list
	Revision  string            `json:"revision,omitempty"` // revision of the list that decided
	Severity  Severity          `json:"severity"`           // the highest of what matched
	Labels    map[string]string `json:"labels,omitempty"`   // labels of the list, its entities and rules, for routes
	Entities  []EntityHit       `json:"entities,omitempty"` // sorted by id
	Mentions  []Mention         `json:"mentions,omitempty"` // in the order of the text: title, summary, body
	Rules     []RuleHit         `json:"rules,omitempty"`    // sorted by id
	MatchedAt time.Time         `json:"matched_at"`
	Signature *Signature        `json:"signature,omitempty"` // what the item tells of, for joining items into stories
}

// EntityHit is a watched entity that an item mentions.
type EntityHit struct {
	ID       string   `json:"id"`
	Name     string   `json:"name"`
	Kind     string   `json:"kind,omitempty"`
	About    string   `json:"about,omitempty"` // one line for people
	Severity Severity `json:"severity,omitempty"`
}

// Mention is an alias found at a place in an item, with the reason it counts.
type Mention struct {
	Entity string `json:"entity"`
	Alias  string `json:"alias"` // as the analyst wrote it
	Field  string `json:"field"` // title, summary or body
	Start  int    `json:"start"` // byte offsets into the field's original text
	End    int    `json:"end"`
	Text   string `json:"text"` // the bytes between Start and End
	Why    string `json:"why"`  // what made it count, readable by a person
}

// RuleHit is a rule whose query holds for an item.
type RuleHit struct {
	ID       string   `json:"id"`
	Title    string   `json:"title,omitempty"`
	Severity Severity `json:"severity,omitempty"`
	Why      string   `json:"why"`
	Spans    []Span   `json:"spans,omitempty"` // the words that satisfied it, for highlighting
}

// Span is a place in a field: byte offsets into the original text.
type Span struct {
	Field string `json:"field"`
	Start int    `json:"start"`
	End   int    `json:"end"`
}

// IDs gives the ids of entities and rules that matched, sorted.
func (m *Match) IDs() []string {
	set := map[string]bool{}
	for _, e := range m.Entities {
		set[e.ID] = true
	}
	for _, r := range m.Rules {
		set[r.ID] = true
	}
	return SortedKeys(set)
}

// Spans gives every place to highlight in the named field, in order, without overlaps.
func (m *Match) Spans(field string) []Span {
	var all []Span
	for _, x := range m.Mentions {
		if x.Field == field {
			all = append(all, Span{field, x.Start, x.End})
		}
	}
	for _, r := range m.Rules {
		for _, s := range r.Spans {
			if s.Field == field {
				all = append(all, s)
			}
		}
	}
	return mergeSpans(all)
}
