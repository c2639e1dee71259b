package watchlist

import (
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"tocsin/news"
	"tocsin/news/strict"
)

// Kinds lists what an entity may be.
func Kinds() []string {
	return []string{"organisation", "person", "place", "project", "treaty", "event", "theme"}
}

var (
	kebab    = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	labelKey = regexp.MustCompile(`^[a-z_]+$`)
)

const maxID = 64

// builder turns the raw form of one file into a List and reports what is wrong within the file.
type builder struct {
	placer
	list    *List
	faults  strict.Faults
	aliases int
	current *rawEntity // whose aliases are read
	queries map[strict.Pos]Expr
}

func (b *builder) add(p strict.Pos, next, format string, args ...any) {
	if p.Line == 0 {
		p = b.list.Pos
	}
	b.faults.Add(p, next, format, args...)
}

func (b *builder) warn(p strict.Pos, next, format string, args ...any) {
	if p.Line == 0 {
		p = b.list.Pos
	}
	b.faults.AddWarning(p, next, format, args...)
}

func (b *builder) build(raw *rawList) {
	l := b.list
	l.ID = raw.ID
	b.checkID(raw.ID, raw.Pos, "list")
	b.checkFileName(raw.ID)
	if l.Title = clean(raw.Title.Value); l.Title == "" {
		b.warn(l.Pos, "add title: with a few words for people", "the list has no title")
		l.Title = raw.ID.Value
	}
	l.Severity = b.severity(raw.Severity, news.SeverityMedium)
	l.Labels = b.labels(raw.Labels)
	for _, t := range raw.Sources.Langs {
		l.Langs = append(l.Langs, b.lang(t))
	}
	for _, t := range raw.Sources.Feeds {
		l.Feeds = append(l.Feeds, b.filled(t, "feed"))
	}
	b.contexts(raw.Contexts)
	for _, e := range raw.Entities {
		if e == nil {
			b.add(l.Pos, "remove the lonely dash", "an entry of entities: is empty")
			continue
		}
		if e.Line > 0 { // else it is no mapping, and told already
			l.Entities = append(l.Entities, b.entity(e))
		}
	}
	for _, r := range raw.Rules {
		if r == nil {
			b.add(l.Pos, "remove the lonely dash", "an entry of rules: is empty")
			continue
		}
		if r.Line > 0 {
			l.Rules = append(l.Rules, b.rule(r))
		}
	}
	if len(raw.Entities)+len(raw.Rules) == 0 {
		b.add(l.Pos, "add entities: or rules:", "the list watches nothing")
	}
	if b.aliases > MaxAliases {
		b.add(l.Pos, "split the list", "%d aliases, the limit of a list is %d", b.aliases, MaxAliases)
	}
}

// clean trims s and makes every run of blanks one space.
func clean(s string) string { return strings.Join(strings.Fields(s), " ") }

func (b *builder) checkID(id strict.Text, owner strict.Pos, what string) {
	switch {
	case id.Value == "":
		b.add(owner, "add id: with a short name such as bla or armed-groups", "the %s has no id", what)
	case !kebab.MatchString(id.Value):
		next := "write lower-case letters and digits joined by hyphens"
		if k := toKebab(id.Value); k != "" {
			next = "write " + k
		}
		b.add(id.Pos, next, "id %q is not kebab-case", id.Value)
	case len(id.Value) > maxID:
		b.add(id.Pos, "write a shorter one", "the id has %d letters, the limit is %d", len(id.Value), maxID)
	}
}

func toKebab(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9':
			return r
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		case strings.ContainsRune(" _-./'", r):
			return ' '
		}
		return -1
	}, s)
	return strings.Join(strings.Fields(s), "-")
}

func (b *builder) checkFileName(id strict.Text) {
	name, ok := strings.CutSuffix(path.Base(filepath.ToSlash(b.list.File)), ".yaml")
	if ok && kebab.MatchString(id.Value) && name != id.Value {
		b.add(id.Pos, "write id: "+name+", or rename the file to "+id.Value+".yaml", "list id %q differs from the file name", id.Value)
	}
}

func (b *builder) severity(t strict.Text, otherwise news.Severity) news.Severity {
	if t.Value == "" {
		return otherwise
	}
	var s news.Severity
	if s.UnmarshalText([]byte(t.Value)) != nil {
		b.add(t.Pos, orKnown(t.Value, news.Severities()), "unknown severity %q", t.Value)
		return otherwise
	}
	return s
}

// orKnown is the next step for an unknown word: the nearest known one, or all of them.
func orKnown(word string, known []string) string {
	if g := guess(word, known); g != "" {
		return `did you mean "` + g + `"?`
	}
	return "known: " + strings.Join(known, ", ")
}

// guess is strict.Guess that also forgives two neighbouring letters in the wrong order.
func guess(word string, known []string) string {
	for i := 1; i < len(word); i++ {
		swapped := word[:i-1] + word[i:i+1] + word[i-1:i] + word[i+1:]
		if slices.Contains(known, swapped) {
			return swapped
		}
	}
	return strict.Guess(word, known)
}

func (b *builder) labels(raw rawLabels) map[string]string {
	if len(raw) == 0 {
		return nil
	}
	m := make(map[string]string, len(raw))
	for _, p := range raw {
		if !labelKey.MatchString(p.Key.Value) {
			b.add(p.Key.Pos, "write small letters a-z and _ only", "label name %q cannot be used by routes", p.Key.Value)
		}
		if strings.TrimSpace(p.Value.Value) == "" {
			b.add(p.Value.Pos, "give it a value or remove it", "label %q is empty", p.Key.Value)
		}
		m[p.Key.Value] = p.Value.Value
	}
	return m
}

func (b *builder) filled(t strict.Text, what string) string {
	v := clean(t.Value)
	if v == "" {
		b.add(t.Pos, "write it or remove the entry", "an empty %s", what)
	}
	return v
}

// lang checks a language code. The empty text stands for any language.
func (b *builder) lang(t strict.Text) string {
	if t.Value == "" || t.Value == AnyLang {
		return ""
	}
	if !KnownLang(t.Value) {
		b.add(t.Pos, langHint(t.Value), "unknown language code %q", t.Value)
	}
	return t.Value
}

func (b *builder) contexts(raw rawContexts) {
	if len(raw) == 0 {
		return
	}
	b.list.Contexts = make(map[string]*Context, len(raw))
	for _, c := range raw {
		x := &Context{Pos: c.Name.Pos, Name: c.Name.Value, Terms: b.terms(c.Terms)}
		if !kebab.MatchString(x.Name) {
			b.add(c.Name.Pos, "write lower-case letters and digits joined by hyphens", "context name %q cannot be used as $name", x.Name)
		}
		if len(c.Terms.Items) == 0 && !c.Terms.Bad {
			b.add(c.Name.Pos, "list words in it or remove it", "context %q holds no words", x.Name)
		}
		b.list.Contexts[x.Name] = x
	}
}

func (b *builder) terms(raw rawTerms) []Term {
	if len(raw.Items) == 0 {
		return nil
	}
	out := make([]Term, 0, len(raw.Items))
	codes := map[strict.Pos]string{}
	for _, t := range raw.Items {
		code, ok := codes[t.Lang.Pos]
		if !ok {
			code = b.lang(t.Lang)
			codes[t.Lang.Pos] = code
		}
		if term, ok := b.term(t.Text); ok {
			term.Lang = code
			out = append(out, term)
		}
	}
	return out
}

func (b *builder) term(t strict.Text) (Term, bool) {
	term, p := parseTerm(t.Value)
	term.Pos = t.Pos
	if p.fact != "" {
		b.add(t.Pos, p.next, "%s", p.fact)
	}
	return term, p.fact == ""
}

func (b *builder) sentences(flag, ignore []rawSentence) (f, i []Sentence) {
	f, i = b.sentenceList(flag), b.sentenceList(ignore)
	wanted := make(map[string]bool, len(f))
	for _, s := range f {
		wanted[s.Text] = true
	}
	for _, s := range i {
		if wanted[s.Text] {
			b.add(s.Pos, "keep it in one of the two", "the sentence stands under both flag and ignore")
		}
	}
	return f, i
}

func (b *builder) sentenceList(raw []rawSentence) []Sentence {
	var out []Sentence
	for _, r := range raw {
		if r.Bad {
			continue
		}
		s := Sentence{Pos: r.Text.Pos, Text: strings.TrimSpace(r.Text.Value)}
		if s.Line == 0 {
			s.Pos = r.Pos
		}
		if !hasWord(s.Text) {
			b.add(s.Pos, "write a sentence or remove the entry", "a sentence without words")
			continue
		}
		s.Lang = b.lang(r.Lang)
		out = append(out, s)
	}
	return out
}
