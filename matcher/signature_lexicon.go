package matcher

import (
	_ "embed"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"tocsin/news"
)

// The tables of signatures. They are data of our own; each file says how its lines read.
var (
	//go:embed signature_names.txt
	namesFile string
	//go:embed signature_words.txt
	wordsFile string
	//go:embed signature_rarity.txt
	rarityFile string
	//go:embed signature_stop.txt
	stopFile string
)

// lexicon is what signatures know of names and words.
type lexicon struct {
	root             lexNode
	names            map[string]lexName
	words            map[string]lexWord
	rarity           map[string]float64
	stop             map[string]bool
	months           map[string]int
	numerals, scales map[string]float64
}

type lexName struct {
	kind   string
	weak   bool
	within string
	stands bool // stands for the place that it lies within: a capital for its government
}

type lexWord struct{ class, contrary string }

// lexNode is a place in the tree of forms: words that lead on, and beginnings of words that do.
type lexNode struct {
	exact, open map[string]*lexNode
	refs        []lexRef
}

// lexRef is what a form stands for.
type lexRef struct {
	id     string
	name   bool
	upper  int // capitals that the text must have
	capped bool
}

var signatureLexicon = sync.OnceValue(func() *lexicon {
	l, err := newLexicon(namesFile, wordsFile, rarityFile, stopFile)
	if err != nil {
		panic("matcher: tables of signatures: " + err.Error())
	}
	return l
})

func newLexicon(names, words, rarity, stop string) (*lexicon, error) {
	l := &lexicon{names: map[string]lexName{}, words: map[string]lexWord{}, rarity: map[string]float64{}, stop: map[string]bool{}}
	if err := eachEntry(names, l.addName); err != nil {
		return nil, fmt.Errorf("names: %w", err)
	}
	if err := eachEntry(words, l.addWord); err != nil {
		return nil, fmt.Errorf("words: %w", err)
	}
	for _, n := range l.names {
		if n.within != "" && l.names[n.within].kind == "" {
			return nil, fmt.Errorf("names: parent %q is not an id", n.within)
		}
	}
	for _, w := range l.words {
		if _, ok := l.words[w.contrary]; w.contrary != "" && !ok {
			return nil, fmt.Errorf("words: contrary %q is not an id", w.contrary)
		}
	}
	for _, w := range strings.Fields(stop) {
		for _, t := range sigTokens(w) {
			l.stop[t.text] = true
		}
	}
	l.months, l.numerals, l.scales = monthNames(), numerals(), scales()
	return l, l.addRarity(rarity)
}

// eachEntry calls f for every line "head: forms".
func eachEntry(text string, f func(head []string, forms []string) error) error {
	for n, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		head, forms, ok := strings.Cut(line, ":")
		if !ok {
			return fmt.Errorf("line %d has no colon", n+1)
		}
		if err := f(strings.Fields(head), strings.Split(forms, ",")); err != nil {
			return fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	return nil
}

func (l *lexicon) addName(head, forms []string) error {
	if len(head) != 3 {
		return fmt.Errorf("%d words before the colon, want id, kind and parent", len(head))
	}
	n := lexName{kind: news.AnchorName}
	switch head[1] {
	case "land", "bloc", "weak":
		n.kind, n.weak = news.AnchorLand, true
		n.stands = head[1] == "weak"
	case "capital":
		n.kind, n.stands = news.AnchorPlace, true
	case "place":
		n.kind = news.AnchorPlace
	case "strong":
	default:
		return fmt.Errorf("unknown kind %q", head[1])
	}
	if head[2] != "-" {
		n.within = head[2]
	}
	if _, twice := l.names[head[0]]; twice {
		return fmt.Errorf("id %q stands twice", head[0])
	}
	l.names[head[0]] = n
	for _, f := range forms {
		if err := l.addForm(f, lexRef{id: head[0], name: true}); err != nil {
			return err
		}
	}
	return nil
}

func (l *lexicon) addWord(head, forms []string) error {
	if len(head) < 2 || len(head) > 3 {
		return fmt.Errorf("%d words before the colon, want id, class and perhaps a contrary", len(head))
	}
	w := lexWord{class: strings.Trim(head[1], "-")}
	if len(head) == 3 {
		w.contrary = strings.TrimPrefix(head[2], "!")
	}
	if _, twice := l.words[head[0]]; twice {
		return fmt.Errorf("id %q stands twice", head[0])
	}
	l.words[head[0]] = w
	for _, f := range forms {
		if err := l.addForm(f, lexRef{id: head[0]}); err != nil {
			return err
		}
	}
	return nil
}

// addForm enters one form. Words of it that end in * go on.
func (l *lexicon) addForm(form string, r lexRef) error {
	form = strings.TrimSpace(form)
	at, n := &l.root, 0
	for _, part := range strings.Fields(form) {
		toks := sigTokens(strings.TrimSuffix(part, "*"))
		for i, t := range toks {
			last := i == len(toks)-1
			switch {
			case last && strings.HasSuffix(part, "*"):
				at = at.child(&at.open, t.text)
			default:
				at = at.child(&at.exact, t.text)
			}
			n++
		}
	}
	if n == 0 {
		return fmt.Errorf("form %q of %s has no word", form, r.id)
	}
	first, _ := utf8.DecodeRuneInString(form)
	if word := strings.TrimSuffix(form, "*"); !strings.ContainsAny(word, " -") && capitals(word) > 1 {
		r.upper = capitals(word)
	}
	r.capped = r.upper > 0 || r.name && unicode.IsUpper(first)
	at.refs = append(at.refs, r)
	return nil
}

func capitals(s string) (n int) {
	for _, r := range s {
		if unicode.IsUpper(r) {
			n++
		}
	}
	return n
}

func (n *lexNode) child(in *map[string]*lexNode, key string) *lexNode {
	if *in == nil {
		*in = map[string]*lexNode{}
	}
	c := (*in)[key]
	if c == nil {
		c = &lexNode{}
		(*in)[key] = c
	}
	return c
}

// addRarity reads "key bits" pairs.
func (l *lexicon) addRarity(text string) error {
	bits := math.NaN()
	for _, f := range strings.Fields(text) {
		if f[0] == '>' {
			v, err := strconv.ParseFloat(f[1:], 64)
			if err != nil {
				return fmt.Errorf("rarity: %w", err)
			}
			bits = v
			continue
		}
		l.rarity[f] = bits
	}
	return nil
}

// longest finds the longest form at the start of toks: what it stands for and how many tokens it takes.
func (l *lexicon) longest(toks []sigToken) (refs []lexRef, n int) {
	l.root.walk(toks, 0, func(at *lexNode, used int) {
		if used <= n {
			return
		}
		var fit []lexRef
		for _, r := range at.refs {
			if r.fits(toks[:used]) {
				fit = append(fit, r)
			}
		}
		if fit != nil {
			refs, n = fit, used
		}
	})
	return refs, n
}

func (n *lexNode) walk(toks []sigToken, used int, f func(*lexNode, int)) {
	if used > 0 && n.refs != nil {
		f(n, used)
	}
	if used == len(toks) || used > 0 && !toks[used].follows() {
		return
	}
	w := toks[used].text
	for _, base := range lemmas(w) {
		if c := n.exact[base]; c != nil {
			c.walk(toks, used+1, f)
		}
	}
	if n.open == nil {
		return
	}
	for i := len(w); i > 0; i-- {
		if i < len(w) && !utf8.RuneStart(w[i]) {
			continue
		}
		if c := n.open[w[:i]]; c != nil {
			c.walk(toks, used+1, f)
		}
	}
}

// follows tells whether a form reads on across the gap before t.
func (t *sigToken) follows() bool { return t.gap < 3 }

func (r lexRef) fits(toks []sigToken) bool {
	if toks[0].char || !r.capped {
		return true
	}
	if toks[0].capital {
		return r.upper == 0 || toks[0].upper >= r.upper
	}
	return r.name && r.upper == 0 && len(toks) == 1 && russianAdjective(toks[0].text)
}

// russianAdjective tells whether a word is made from a name by the suffix of Russian adjectives, which are written small: "пакистанский".
func russianAdjective(w string) bool {
	for _, end := range []string{"ий", "ая", "ое", "ие", "ого", "ому", "ой", "ую", "им", "ом", "их", "ими"} {
		if base, ok := strings.CutSuffix(w, end); ok {
			return strings.HasSuffix(base, "ск")
		}
	}
	return false
}

// bits is the rarity of a key, the given value when the table does not hold it.
func (l *lexicon) bits(key string, unknown float64) float64 {
	if b, ok := l.rarity[key]; ok {
		return b
	}
	return unknown
}

// ordinaryBits is how rare any name below a country is in ordinary news at least. The table was counted in weeks with crises of their own; what
// is common in these weeks is for the stream to say.
const ordinaryBits = 8.0

// nameBits is the rarity of a name of the tables.
func (l *lexicon) nameBits(id string) float64 {
	bits := l.bits("@"+id, unknownName-3)
	if !l.names[id].weak {
		bits = max(bits, ordinaryBits)
	}
	return bits
}

// chain gives what a name lies within or stands for, nearest first.
func (l *lexicon) chain(id string) []string {
	var out []string
	for id = l.names[id].within; id != "" && len(out) < 6; id = l.names[id].within {
		out = append(out, id)
	}
	return out
}
