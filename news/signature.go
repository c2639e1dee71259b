package news

// SignatureVersion is the version of the signatures that this program makes. Signatures of different versions compare, only less exactly.
const SignatureVersion = 1

// Signature is what an item tells of, in a form that compares across outlets, wordings and languages: the matcher makes it, the notifier joins
// items by it into stories. It holds no text of the item beyond single words.
type Signature struct {
	Version int       `json:"version"`
	Form    string    `json:"form,omitempty"`   // FormColumn, FormLive, FormRoundup, FormView, "" for news
	Date    string    `json:"date,omitempty"`   // day that the title of a column states, "07-28"
	Series  string    `json:"series,omitempty"` // running head of the title: "commodity corner"
	Agent   string    `json:"agent,omitempty"`  // id of the first anchor of the main clause: who acts
	Object  string    `json:"object,omitempty"` // id of the next anchor of it that is not the agent's own: to whom
	Act     string    `json:"act,omitempty"`    // key of its first word of action: what happens
	Anchors []Anchor  `json:"anchors,omitempty"`
	Words   []SigWord `json:"words,omitempty"`
	Events  []string  `json:"events,omitempty"` // classes of event, sorted: attack, talk, close, ...
	Numbers []Number  `json:"numbers,omitempty"`
	Pairs   []uint32  `json:"pairs,omitempty"`  // hashes of neighbouring words of the title, sorted
	Sketch  []uint32  `json:"sketch,omitempty"` // MinHash of the text; empty when it is too short to tell
}

// Forms of an item: the closed list of Signature.Form.
const (
	FormColumn  = "column"  // appears every day under one name: prices, briefings, weather
	FormLive    = "live"    // a page that grows: "live updates"
	FormRoundup = "roundup" // several events in one title
	FormView    = "view"    // asks or explains: "Why ...", an opinion
)

// Parts of an item, by prominence.
const (
	PartHead = 0 // the main clause of the title
	PartTail = 1 // the rest of the title: "after ...", "as ...", a second segment
	PartText = 2 // summary or body
)

// Kinds of an anchor: the closed list of Anchor.Kind.
const (
	AnchorEntity = "entity" // of a watchlist
	AnchorPlace  = "place"  // below a country
	AnchorName   = "name"   // a person or an organisation
	AnchorLand   = "land"   // a country, a bloc, a head of state
)

// Anchor is a name that an item holds, by an id that is the same in every language.
type Anchor struct {
	ID     string   `json:"id"`
	Kind   string   `json:"kind"`
	Weak   bool     `json:"weak,omitempty"`   // a country, a bloc, a head of state: proves little alone
	Stands bool     `json:"stands,omitempty"` // for what it lies within: a capital for its government
	Within []string `json:"within,omitempty"` // ids of what holds it or what it stands for, nearest first
	Bits   float64  `json:"bits"`             // rarity: -log2 of its share of all items
	Part   int      `json:"part,omitempty"`   // the most prominent part of the item that holds it: PartHead, ...
}

// SigWord is a word that an item holds: a stem, or "=" and the id of a meaning that is the same in every language.
type SigWord struct {
	Key      string  `json:"key"`
	Bits     float64 `json:"bits"` // rarity, as in Anchor
	Name     bool    `json:"name,omitempty"`
	Part     int     `json:"part,omitempty"`
	Event    string  `json:"event,omitempty"`    // class of event that it tells of
	Contrary string  `json:"contrary,omitempty"` // key of the word that says the opposite
}

// Number is a figure with what it counts.
type Number struct {
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"` // UnitKilled, ..., or the key of the counted word
	Part  int     `json:"part,omitempty"`
}

// Units that are not the key of a word.
const (
	UnitKilled  = "killed"
	UnitWounded = "wounded"
	UnitMoney   = "money"
	UnitPercent = "percent"
)

// Toll tells whether the number counts victims; such numbers grow while a story lasts.
func (n Number) Toll() bool { return n.Unit == UnitKilled || n.Unit == UnitWounded }

// Alike estimates the share of text that two sketches have in common, 0 when one is missing.
func (s *Signature) Alike(o *Signature) float64 {
	if len(s.Sketch) == 0 || len(s.Sketch) != len(o.Sketch) {
		return 0
	}
	same := 0
	for i, v := range s.Sketch {
		if v == o.Sketch[i] {
			same++
		}
	}
	return float64(same) / float64(len(s.Sketch))
}
