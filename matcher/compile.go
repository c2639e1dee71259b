package matcher

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"tocsin/matcher/fold"
	"tocsin/matcher/watchlist"
	"tocsin/news"
	"tocsin/news/strict"
)

// Index is a compiled set of watchlists. It is read-only and may be used by many goroutines.
type Index struct {
	set       *watchlist.Set
	lists     []list
	entities  []entity
	aliases   []alias
	extras    []extra
	terms     []term
	rules     []rule
	always    []int32 // rules that no word announces
	primary   *table  // aliases and the words that announce a rule: looked up in every item
	secondary *table  // decoys and the words of conditions and rules: looked up in items that hold something of the first
	warnings  strict.Faults
	built     time.Duration
	pool      sync.Pool
}

type list struct {
	*watchlist.List
	entities, rules []int32
}

type entity struct {
	*watchlist.Entity
	list          int32
	severity      news.Severity
	needs, unless *condition
	rules         []int32  // announced by a mention of the entity
	vocabulary    []string // long words of its names, kept when one of its aliases is an acronym
	known         string   // the name of the tables of signatures that it stands for
}

// alias is small, because there may be a million: what few aliases have stands in extras.
type alias struct {
	*watchlist.Alias
	entity int32
	extra  int32 // -1 for none
}

type extra struct {
	exact         string // what must stand in the text, gaps left out; "" for aliases in any case
	acronym       string // folded, for an alias of one word in capitals
	needs, unless *condition
}

// condition is a compiled watchlist.Condition.
type condition struct {
	any    *want // nil when nothing is asked for
	all    []want
	within int
	label  string
}

// want is what may stand in one place: any of the terms, or a mention of any of the entities.
type want struct {
	terms    []int32
	entities []int32
	label    string
}

type term struct {
	label string
	exact string
	cost  int // how common it may be; see anchorWant
}

// Compile makes an index of the lists of a set. Its error is strict.Faults: what only folding shows, such as a term that folds to nothing.
// Warnings do not stop it; ask Index.Warnings.
func Compile(set *watchlist.Set) (*Index, error) {
	start := time.Now()
	c := compiler{x: &Index{set: set}, ids: map[string]int32{}, termIDs: map[termKey]int32{}, contexts: map[contextKey]want{}}
	for _, l := range set.Lists {
		c.names(l)
	}
	c.names(canaryList())
	c.entityConditions()
	c.aliasesOf()
	for i := range c.x.entities {
		c.x.entities[i].known = c.x.entities[i].knownAs(signatureLexicon())
	}
	for i := range c.x.lists {
		c.rulesOf(int32(i))
	}
	c.anchors()
	c.x.primary, c.x.secondary = c.primary.build(), c.secondary.build()
	c.claims()
	errs, warnings := c.faults.Sort().Split()
	if len(errs) > 0 {
		return nil, errs
	}
	c.x.warnings, c.x.built = warnings, time.Since(start)
	c.x.pool.New = func() any { return newScratch(c.x) }
	return c.x, nil
}

// Revision is the revision of the set that was compiled.
func (x *Index) Revision() string { return x.set.Revision }

// Summary says in one line what is watched.
func (x *Index) Summary() string {
	entities, aliases, rules := 0, 0, 0
	for _, l := range x.watched() {
		entities, rules = entities+len(l.entities), rules+len(l.rules)
		for _, e := range l.Entities {
			aliases += len(e.Aliases)
		}
	}
	return fmt.Sprintf("%s, %s, %s, %s, revision %s", plural(len(x.watched()), "watchlist"), pluralOf(entities, "entity", "entities"),
		pluralOf(aliases, "alias", "aliases"), plural(rules, "rule"), x.Revision())
}

// Warnings are faults that do not keep a set from going live.
func (x *Index) Warnings() strict.Faults { return x.warnings }

// Built is how long compiling took.
func (x *Index) Built() time.Duration { return x.built }

type compiler struct {
	x                  *Index
	ids                map[string]int32 // entities by id
	termIDs            map[termKey]int32
	termForms          [][]form // of each term
	contexts           map[contextKey]want
	primary, secondary tableBuilder
	faults             strict.Faults
}

type termKey struct {
	kind  watchlist.TermKind
	exact bool
	lang  string
	text  string
}

func (c *compiler) names(l *watchlist.List) {
	i := int32(len(c.x.lists))
	c.x.lists = append(c.x.lists, list{List: l})
	for _, e := range l.Entities {
		id := int32(len(c.x.entities))
		if first, ok := c.ids[e.ID.Value]; ok {
			c.faults.Add(e.ID.Pos, "rename one of them", "the entity id %q is taken already (%s)", e.ID.Value, c.x.entities[first].Pos)
		}
		c.ids[e.ID.Value] = id
		c.x.entities = append(c.x.entities, entity{Entity: e, list: i, severity: orSeverity(e.Severity, l.Severity)})
		c.x.lists[i].entities = append(c.x.lists[i].entities, id)
	}
}

func orSeverity(a, b news.Severity) news.Severity {
	switch {
	case a != news.SeverityNone:
		return a
	case b != news.SeverityNone:
		return b
	}
	return news.SeverityMedium
}

func (c *compiler) entityConditions() {
	for i := range c.x.entities {
		e := &c.x.entities[i]
		l := c.x.lists[e.list].List
		e.needs, e.unless = c.condition(l, e.Needs, ""), c.condition(l, e.Unless, "")
		for _, d := range e.Decoys {
			c.phrase(c.forms(d, d.Lang, false), d, refDecoy|ref(i))
		}
	}
}

func (c *compiler) aliasesOf() {
	n := 0
	for _, e := range c.x.entities {
		n += len(e.Aliases)
	}
	c.x.aliases = make([]alias, 0, n)
	for i := range c.x.entities {
		e := &c.x.entities[i]
		from := len(c.x.extras)
		for _, a := range e.Aliases {
			c.alias(int32(i), c.x.lists[e.list].List, a)
		}
		for _, x := range c.x.extras[from:] {
			if x.acronym != "" {
				e.vocabulary = vocabulary(e.Entity)
				break
			}
		}
	}
}

// vocabulary are the words of five letters and more in the name of an entity and its first few hundred aliases.
func vocabulary(e *watchlist.Entity) []string {
	seen := map[string]bool{}
	add := func(text string) {
		for _, w := range words(text) {
			if runes(w.s) >= 5 {
				seen[w.s] = true
			}
		}
	}
	const most = 300
	add(e.Name)
	for _, a := range e.Aliases[:min(len(e.Aliases), most)] {
		add(a.Text)
	}
	return news.SortedKeys(seen)
}

func (c *compiler) alias(e int32, l *watchlist.List, a *watchlist.Alias) {
	id := len(c.x.aliases)
	c.x.aliases = append(c.x.aliases, alias{a, e, c.extra(l, a)})
	inflected := inflects(a)
	if x := c.x.aliases[id].extra; x >= 0 && c.x.extras[x].acronym != "" {
		c.dotted(a, refAlias|ref(id))
	}
	if !inflected && plain(a.Text) && c.primary.addText(a.Text, refAlias|ref(id)) {
		return
	}
	found := forms(a.Text, inflectionLang(a), inflected)
	if len(found) == 0 {
		c.faults.Add(a.Pos, "write a word with letters or digits", "alias %q folds to nothing", a.Text)
		return
	}
	for _, f := range found {
		if !c.primary.add(f, refAlias|ref(id)) {
			c.tooLong(a.Pos, a.Text)
			return
		}
	}
}

// dotted adds T.T.P. for TTP.
func (c *compiler) dotted(a *watchlist.Alias, r ref) {
	if ws := dottedAcronym(words(a.Text)); ws != nil && (a.Inflect == nil || *a.Inflect) {
		c.primary.add(phraseText(ws), r)
	}
}

func (c *compiler) tooLong(p strict.Pos, text string) {
	c.faults.Add(p, "write the part that identifies it", "%q is longer than %d words or characters", text, maxTokens)
}

// inflects tells whether the forms of an alias count: as the list says, else by the language's default. Exact aliases and those of every language
// do not inflect.
func inflects(a *watchlist.Alias) bool {
	if a.Inflect != nil {
		return *a.Inflect && !a.Exact
	}
	return !a.Exact && a.Lang != watchlist.AnyLang && a.Lang != ""
}

func inflectionLang(a *watchlist.Alias) string {
	if a.Lang == watchlist.AnyLang || a.Lang == "" {
		return guessLang(a.Text)
	}
	return a.Lang
}

func (c *compiler) extra(l *watchlist.List, a *watchlist.Alias) int32 {
	x := extra{needs: c.condition(l, a.Needs, a.Lang), unless: c.condition(l, a.Unless, a.Lang)}
	if a.Exact {
		x.exact = bareText(a.Text)
	}
	if len(a.Text) <= maxAcronym && isUpper(a.Text) {
		if ws := words(a.Text); len(ws) == 1 {
			x.acronym = ws[0].s
		}
	}
	if x == (extra{}) {
		return -1
	}
	c.x.extras = append(c.x.extras, x)
	return int32(len(c.x.extras) - 1)
}

// maxAcronym is the longest acronym in bytes.
const maxAcronym = 24

// bareText is the original text of the tokens, without what stands between them.
func bareText(text string) string {
	var b strings.Builder
	for _, t := range fold.Append(nil, text) {
		if t.Parts() == 0 {
			b.WriteString(text[t.Start():t.End()])
		}
	}
	return b.String()
}

// claims warns of phrases that are aliases of two entities, unless conditions tell them apart.
func (c *compiler) claims() {
	t := c.x.primary
	for p := range t.phrases {
		first := int32(-1)
		t.refs(int32(p), func(r ref) {
			if r.kind() != refAlias {
				return
			}
			a := c.x.aliases[r.id()]
			switch {
			case c.needs(a) != nil || a.Exact:
			case first < 0:
				first = a.entity
			case first != a.entity:
				c.faults.AddWarning(a.Pos, "give one of the two needs:, or write a longer form", "%q is an alias of %q and of %q",
					a.Text, c.x.entities[first].ID.Value, c.x.entities[a.entity].ID.Value)
			}
		})
	}
}

func (c *compiler) needs(a alias) *condition {
	if a.extra >= 0 && c.x.extras[a.extra].needs != nil {
		return c.x.extras[a.extra].needs
	}
	return c.x.entities[a.entity].needs
}
