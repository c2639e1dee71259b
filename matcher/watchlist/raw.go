package watchlist

import (
	"strconv"

	"tocsin/news/strict"
)

// The raw types are the YAML forms as written, with the place of every value; builder turns them into the types of the language.

type rawList struct {
	strict.Pos
	ID       strict.Text  `yaml:"id"`
	Title    strict.Text  `yaml:"title"`
	Severity strict.Text  `yaml:"severity"`
	Labels   rawLabels    `yaml:"labels"`
	Sources  rawSources   `yaml:"sources"`
	Contexts rawContexts  `yaml:"contexts"`
	Entities []*rawEntity `yaml:"entities"`
	Rules    []*rawRule   `yaml:"rules"`
}

type rawSources struct {
	Langs []strict.Text `yaml:"langs"`
	Feeds []strict.Text `yaml:"feeds"`
}

type rawEntity struct {
	strict.Pos
	ID       strict.Text   `yaml:"id"`
	Name     strict.Text   `yaml:"name"`
	Kind     strict.Text   `yaml:"kind"`
	About    strict.Text   `yaml:"about"`
	Severity strict.Text   `yaml:"severity"`
	Labels   rawLabels     `yaml:"labels"`
	Aliases  rawAliases    `yaml:"aliases"`
	Decoys   rawTerms      `yaml:"decoys"`
	Needs    *rawCondition `yaml:"needs"`
	Unless   *rawCondition `yaml:"unless"`
	Flag     []rawSentence `yaml:"flag"`
	Ignore   []rawSentence `yaml:"ignore"`
}

type rawRule struct {
	strict.Pos
	ID       strict.Text   `yaml:"id"`
	Title    strict.Text   `yaml:"title"`
	About    strict.Text   `yaml:"about"`
	Severity strict.Text   `yaml:"severity"`
	Labels   rawLabels     `yaml:"labels"`
	Query    *strict.Text  `yaml:"query"`
	Score    *rawScore     `yaml:"score"`
	Flag     []rawSentence `yaml:"flag"`
	Ignore   []rawSentence `yaml:"ignore"`
}

// rawInt is a whole number with its place.
type rawInt struct {
	strict.Pos
	N   int
	Bad bool // no whole number; told already
}

func (r *rawInt) UnmarshalStrict(c *strict.Cursor) {
	r.Pos = c.Pos()
	_, err := strconv.Atoi(c.Scalar())
	r.Bad = err != nil
	c.Into(&r.N)
}

// rawPair is a key with its value.
type rawPair struct{ Key, Value strict.Text }

type rawLabels []rawPair

func (r *rawLabels) UnmarshalStrict(c *strict.Cursor) {
	entries(c, "a mapping, as in {region: afpak},", func(key strict.Text, v *strict.Cursor) {
		*r = append(*r, rawPair{key, text(v)})
	})
}

// entries is Cursor.Entries that refuses other shapes.
func entries(c *strict.Cursor, want string, f func(strict.Text, *strict.Cursor)) {
	if !c.IsMap() {
		c.Fault("", "%s is expected here", want)
		return
	}
	c.Entries(f)
}

// text reads a scalar; an empty value keeps its place.
func text(c *strict.Cursor) strict.Text {
	t := strict.Text{Pos: c.Pos()}
	c.Into(&t)
	return t
}

// rawTerm is a word, phrase, prefix* or reference as written, and the language it stands under.
type rawTerm struct {
	strict.Text
	Lang strict.Text
}

// rawTerms is a list of terms, or lists under languages.
type rawTerms struct {
	strict.Pos
	Items []rawTerm
	Bad   bool // of another shape; told already
}

func (r *rawTerms) UnmarshalStrict(c *strict.Cursor) {
	r.Pos = c.Pos()
	underLangs(c, &r.Bad, "a list of words, or languages with lists,", func(lang strict.Text, item *strict.Cursor) {
		r.Items = append(r.Items, rawTerm{text(item), lang})
	})
}

// langItems reads a list and hands each item to f with the language it stands under.
type langItems struct {
	lang strict.Text
	bad  *bool // set when it is no list
	f    func(strict.Text, *strict.Cursor)
}

func (l *langItems) UnmarshalStrict(c *strict.Cursor) {
	if !c.IsList() {
		*l.bad = true
		c.Fault("write it in brackets", "a list, as in [a, b], is expected here")
		return
	}
	for _, item := range c.Items() {
		l.f(l.lang, item)
	}
}

// underLangs reads {en: [a, b], ur: [c]}, or [a, b] for any language. Each step goes through Into, which counts values against the limit.
func underLangs(c *strict.Cursor, bad *bool, want string, f func(lang strict.Text, item *strict.Cursor)) {
	if c.IsList() {
		c.Into(&langItems{bad: bad, f: f})
		return
	}
	*bad = !c.IsMap()
	entries(c, want, func(lang strict.Text, v *strict.Cursor) { v.Into(&langItems{lang, bad, f}) })
}

// rawContexts keeps the order of the file.
type rawContexts []rawContext

type rawContext struct {
	Name  strict.Text
	Terms rawTerms
}

func (r *rawContexts) UnmarshalStrict(c *strict.Cursor) {
	entries(c, "a mapping from names to words, as in {militancy: {en: [attack*]}},", func(name strict.Text, v *strict.Cursor) {
		x := rawContext{Name: name}
		v.Into(&x.Terms)
		*r = append(*r, x)
	})
}

type rawAliases struct {
	strict.Pos
	Items []rawAlias
	Bad   bool // of another shape; told already
}

func (r *rawAliases) UnmarshalStrict(c *strict.Cursor) {
	r.Pos = c.Pos()
	underLangs(c, &r.Bad, "languages with lists, as in {en: [name]},", func(lang strict.Text, item *strict.Cursor) {
		a := rawAlias{Pos: item.Pos(), Lang: lang}
		item.Into(&a)
		r.Items = append(r.Items, a)
	})
}

type rawAlias struct {
	strict.Pos
	Lang       strict.Text
	Text       strict.Text   `yaml:"text"`
	Case       *strict.Text  `yaml:"case"`
	Needs      *rawCondition `yaml:"needs"`
	Unless     *rawCondition `yaml:"unless"`
	Within     *rawInt       `yaml:"within"`
	Inflect    *bool         `yaml:"inflect"`
	Unattested bool          `yaml:"unattested"`
	Bad        bool          // of another shape; told already
}

func (r *rawAlias) UnmarshalStrict(c *strict.Cursor) {
	if c.IsScalar() {
		r.Text = text(c)
		return
	}
	r.Bad = !c.IsMap()
	type plain rawAlias
	c.Into((*plain)(r))
}

type rawCondition struct {
	strict.Pos
	Any    rawTerms `yaml:"any"`
	All    rawTerms `yaml:"all"`
	Within *rawInt  `yaml:"within"`
	Bad    bool     // of another shape; told already
}

func (r *rawCondition) UnmarshalStrict(c *strict.Cursor) {
	r.Pos = c.Pos()
	if c.IsList() {
		c.Into(&r.Any)
		return
	}
	r.Bad = !c.IsMap()
	type plain rawCondition
	c.Into((*plain)(r))
}

type rawSentence struct {
	strict.Pos
	Text strict.Text `yaml:"text"`
	Lang strict.Text `yaml:"lang"`
	Bad  bool        // of another shape; told already
}

func (r *rawSentence) UnmarshalStrict(c *strict.Cursor) {
	r.Pos = c.Pos()
	if c.IsScalar() {
		r.Text = text(c)
		return
	}
	r.Bad = !c.IsMap()
	type plain rawSentence
	c.Into((*plain)(r))
}

type rawScore struct {
	strict.Pos
	AtLeast *rawInt   `yaml:"at_least"`
	Words   rawPoints `yaml:"words"`
}

type rawPoint struct {
	Term   strict.Text
	Points rawInt
}

type rawPoints []rawPoint

func (r *rawPoints) UnmarshalStrict(c *strict.Cursor) {
	entries(c, "a mapping from words to points, as in {railway: 10},", func(key strict.Text, v *strict.Cursor) {
		p := rawPoint{Term: key, Points: rawInt{Pos: v.Pos(), Bad: true}}
		v.Into(&p.Points)
		*r = append(*r, p)
	})
}
