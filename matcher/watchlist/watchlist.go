// Package watchlist is the language in which analysts say what they watch: YAML files of entities with aliases, decoys and contexts, and of rules.
// It reads files strictly (every fault of every file at once, with file:line:column and a next step), parses queries, and prints the JSON Schema
// of the language. It promises that a Set it returns without error can be compiled by package matcher. Whether a list's own sentences pass is
// decided by package matcher, which can match; what an item is comes from package news.
package watchlist

import (
	"fmt"

	"tocsin/news"
	"tocsin/news/strict"
)

// Set is every watchlist that is live together. A Set is read-only after Load.
type Set struct {
	Lists    []*List // sorted by id
	Revision string  // 12 hex digits over the bytes of all files
}

// List is one file of entities and rules for one kind of reader.
type List struct {
	strict.Pos
	ID       strict.Text // kebab-case; equals the file name without .yaml
	Title    string
	Severity news.Severity       // default of its entities and rules; medium when not stated
	Labels   map[string]string   // for routes
	Langs    []string            // only items in these languages; empty = all
	Feeds    []string            // only items of these feeds (feed id or outlet); empty = all
	Contexts map[string]*Context // named word sets, used as $name
	Entities []*Entity
	Rules    []*Rule
	Revision string // 12 hex digits over the file's bytes
}

// Context is a named word set: its terms count together, whatever their language.
type Context struct {
	strict.Pos
	Name  string
	Terms []Term
}

// Term is one thing to look for beside an alias: a word or phrase, a prefix*, a $context or an @entity.
type Term struct {
	strict.Pos
	Kind TermKind
	Text string // without the mark: no *, $ or @
	Lang string // the language under which a context lists it; "" for all
}

// TermKind says how a Term is written.
type TermKind int

// The kinds of a Term.
const (
	Words  TermKind = iota // one word or a phrase
	Prefix                 // every word that begins with Text
	ContextRef
	EntityRef
)

// Entity is one watched thing.
type Entity struct {
	strict.Pos
	List     *List
	ID       strict.Text
	Name     string
	Kind     string // organisation, person, place, project, treaty, event, theme
	About    string // one line for people
	Severity news.Severity
	Labels   map[string]string
	Aliases  []*Alias
	Decoys   []Term     // longer phrases inside which an alias does not count
	Needs    *Condition // for every alias that has none of its own
	Unless   *Condition
	Flag     []Sentence // must flag this entity
	Ignore   []Sentence // must not
}

// Alias is one written form of an entity in one language ("any" for all).
type Alias struct {
	strict.Pos
	Lang       string
	Text       string
	Exact      bool       // case: exact; compares letter case and accents as written
	Inflect    *bool      // nil: the language's default
	Needs      *Condition // counts only with one of these near
	Unless     *Condition // does not count with one of these near
	Unattested bool       // an analyst or native speaker should confirm it
}

// Condition asks for words near an alias. All fields that are set must hold.
type Condition struct {
	strict.Pos
	Any    []Term // at least one of these
	All    []Term // each of these
	Within int    // distance in words; 0 = anywhere in the item
}

// Sentence is a text that a list promises to flag or to ignore.
type Sentence struct {
	strict.Pos
	Text string
	Lang string // "" = not stated
}

// Rule is a query, or a sum of weights with a threshold, over entities and words.
type Rule struct {
	strict.Pos
	List     *List
	ID       strict.Text
	Title    string
	About    string
	Severity news.Severity
	Labels   map[string]string
	Query    Expr   // nil when the rule is a score
	Source   string // the query as written
	Score    *Score // nil when the rule is a query
	Flag     []Sentence
	Ignore   []Sentence
}

// Score is a rule by weights: it holds when the weights of the words that occur reach AtLeast. Each word counts once.
type Score struct {
	AtLeast int
	Words   []Weight
}

// Weight is one word of a Score. Negative weights speak against.
type Weight struct {
	Term   Term
	Points int
}

// Expr is a node of a parsed query. String writes its canonical form, which parses back to the same tree.
type Expr interface {
	fmt.Stringer
	expr()
}

// The nodes of a query.
type (
	// And holds when all of X hold.
	And struct{ X []Expr }
	// Or holds when one of X holds.
	Or struct{ X []Expr }
	// Not holds when X does not. It occurs only beside something positive.
	Not struct{ X Expr }
	// Near holds when something from each of X stands within N words of the others in one field; in that order when Ordered.
	Near struct {
		X       []Expr
		N       int
		Ordered bool
	}
	// AtLeast holds when X occurs at least N times.
	AtLeast struct {
		N int
		X Expr
	}
	// Leaf is a word, phrase, prefix, context or entity.
	Leaf struct {
		Term  Term
		Exact bool // case:"TTP"
	}
	// In restricts X to one field: title, summary or body.
	In struct {
		Field string
		X     Expr
	}
	// Lang holds for items in one language.
	Lang struct{ Code string }
	// Feed holds for items of one feed (id or outlet).
	Feed struct{ ID string }
)

func (*And) expr()     {}
func (*Or) expr()      {}
func (*Not) expr()     {}
func (*Near) expr()    {}
func (*AtLeast) expr() {}
func (*Leaf) expr()    {}
func (*In) expr()      {}
func (*Lang) expr()    {}
func (*Feed) expr()    {}
