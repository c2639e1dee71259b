package watchlist

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tocsin/news"
	"tocsin/news/strict"
)

const sample = `id: armed-groups
title: Armed groups
severity: high
labels: {region: afpak}
sources: {langs: [en], feeds: [dawn]}
contexts:
  militancy: {en: [militant*], ur: [حملہ]}
entities:
  - id: ttk
    name: Tehrik-e-Taliban  Kashmir
    kind: organisation
    about: One line.
    labels: {group: ttk}
    needs: [$militancy]
    unless: {all: [film, actor], within: 9}
    aliases:
      en:
        - Tehrik-e-Taliban Kashmir
        - {text: TTK, case: exact, inflect: no, unattested: true, needs: {any: [kashmir], all: ["@bla"], within: 40}, unless: [prestige]}
        - {text: Kashmir Taliban, within: 7}
      ur: [تحریک طالبان کشمیر]
    decoys: [TTK Prestige]
    flag: ["The TTK claimed the ambush."]
    ignore: [{text: TTK Prestige shares rose., lang: en}]
  - {id: bla, name: BLA, severity: low, aliases: [Baloch Liberation Army], flag: [The Baloch Liberation Army.]}
rules:
  - id: drones
    title: Drones
    about: A rule.
    severity: critical
    labels: {topic: drones}
    query: '@ttk NEAR/40 drone*'
    flag: ["TTK drones."]
  - id: rail
    score: {at_least: 20, words: {railway: 10, "@ttk": 15, blast*: -10}}
    flag: ["TTK on railway."]
`

func TestLoadReadsEveryKey(t *testing.T) {
	set, fs := Load(fstest.MapFS{"armed-groups.yaml": {Data: []byte(sample)}})
	if len(fs) > 0 {
		t.Fatal(fs)
	}
	no := false
	term := func(kind TermKind, text, lang string) Term { return Term{Kind: kind, Text: text, Lang: lang} }
	flag := func(text string) []Sentence { return []Sentence{{Text: text}} }
	id := func(s string) strict.Text { return strict.Text{Value: s} }
	needs := func(within int) *Condition {
		return &Condition{Any: []Term{term(ContextRef, "militancy", "")}, Within: within}
	}
	want := &List{
		ID: id("armed-groups"), Title: "Armed groups", Severity: news.SeverityHigh, Labels: map[string]string{"region": "afpak"},
		Langs: []string{"en"}, Feeds: []string{"dawn"}, Revision: set.Lists[0].Revision,
		Contexts: map[string]*Context{"militancy": {Name: "militancy", Terms: []Term{term(Prefix, "militant", "en"), term(Words, "حملہ", "ur")}}},
		Entities: []*Entity{
			{
				ID: id("ttk"), Name: "Tehrik-e-Taliban Kashmir", Kind: "organisation", About: "One line.", Severity: news.SeverityHigh,
				Labels: map[string]string{"group": "ttk"}, Needs: needs(0),
				Unless: &Condition{All: []Term{term(Words, "film", ""), term(Words, "actor", "")}, Within: 9},
				Aliases: []*Alias{
					{Lang: "en", Text: "Tehrik-e-Taliban Kashmir"},
					{
						Lang: "en", Text: "TTK", Exact: true, Inflect: &no, Unattested: true,
						Needs:  &Condition{Any: []Term{term(Words, "kashmir", "")}, All: []Term{term(EntityRef, "bla", "")}, Within: 40},
						Unless: &Condition{Any: []Term{term(Words, "prestige", "")}},
					},
					{Lang: "en", Text: "Kashmir Taliban", Needs: needs(7)},
					{Lang: "ur", Text: "تحریک طالبان کشمیر"},
				},
				Decoys: []Term{term(Words, "TTK Prestige", "")}, Flag: flag("The TTK claimed the ambush."),
				Ignore: []Sentence{{Text: "TTK Prestige shares rose.", Lang: "en"}},
			},
			{
				ID: id("bla"), Name: "BLA", Severity: news.SeverityLow, Aliases: []*Alias{{Lang: "any", Text: "Baloch Liberation Army"}},
				Flag: flag("The Baloch Liberation Army."),
			},
		},
		Rules: []*Rule{
			{
				ID: id("drones"), Title: "Drones", About: "A rule.", Severity: news.SeverityCritical, Labels: map[string]string{"topic": "drones"},
				Source: "@ttk NEAR/40 drone*", Flag: flag("TTK drones."),
				Query: &Near{N: 40, X: []Expr{&Leaf{Term: term(EntityRef, "ttk", "")}, &Leaf{Term: term(Prefix, "drone", "")}}},
			},
			{
				ID: id("rail"), Title: "rail", Severity: news.SeverityHigh, Flag: flag("TTK on railway."),
				Score: &Score{AtLeast: 20, Words: []Weight{{term(Words, "railway", ""), 10}, {term(EntityRef, "ttk", ""), 15}, {term(Prefix, "blast", ""), -10}}},
			},
		},
	}
	if d := cmp.Diff(want, set.Lists[0], cmpopts.IgnoreTypes(strict.Pos{}), cmpopts.IgnoreFields(Entity{}, "List"), cmpopts.IgnoreFields(Rule{}, "List")); d != "" {
		t.Error(d)
	}
	if e := set.Lists[0].Entities[0]; e.List != set.Lists[0] || e.Aliases[1].Pos.String() != "armed-groups.yaml:19:18" {
		t.Errorf("entity without its list, or alias at %s", e.Aliases[1].Pos)
	}
}

func TestGoodFilesHaveNoFault(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, fs := LoadFile(file, data); len(fs) > 0 {
			t.Error(fs)
		}
	}
}

func small(id, entity, alias string) *fstest.MapFile {
	return &fstest.MapFile{Data: fmt.Appendf(nil, "id: %s\ntitle: T\nentities:\n  - {id: %s, name: N, aliases: {en: [%s]}, flag: [A.]}\n", id, entity, alias)}
}

func TestLoadOverSeveralFiles(t *testing.T) {
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  []string
	}{
		"ids and aliases are held against each other": {
			fstest.MapFS{"a.yaml": small("a", "one", "Name One"), "b.yaml": small("b", "one", "{text: name-one}")},
			[]string{
				`b.yaml:4:10: the entity id "one" is taken already (a.yaml:4:10): rename one of them: ids are unique over all lists`,
				`b.yaml:4:46: alias "name-one" of entity "one" also belongs to entity "one" (a.yaml:4:39): give one of the two needs:, or write a longer form`,
			},
		},
		"exact aliases may differ in case": {
			fstest.MapFS{"a.yaml": small("a", "one", "{text: Lead Pipe, case: exact}"), "b.yaml": small("b", "two", "{text: LEAD pipe, case: exact}")},
			nil,
		},
		"an exact alias and a loose one collide": {
			fstest.MapFS{"a.yaml": small("a", "one", "{text: Lead Pipe, case: exact}"), "b.yaml": small("b", "two", "LEAD pipe")},
			[]string{`b.yaml:4:39: alias "LEAD pipe" of entity "two" also belongs to entity "one" (a.yaml:4:46): give one of the two needs:, or write a longer form`},
		},
		"needs tell two owners apart": {
			fstest.MapFS{"a.yaml": small("a", "one", "{text: Lead Pipe, needs: [water]}"), "b.yaml": small("b", "two", "Lead Pipe")},
			nil,
		},
		"an entity of another file is known": {
			fstest.MapFS{"a.yaml": small("a", "one", `{text: ABC, needs: ["@two"]}`), "b.yaml": small("b", "two", "Name Two")},
			nil,
		},
		"all faults of all files": {
			fstest.MapFS{"b.yaml": small("b", "Two", "Name Two"), "a.yaml": small("a", "one", "..."), "c.yaml": {Data: []byte("\tx")}},
			[]string{
				`a.yaml:4:39: alias "..." holds no letter or digit: write a word: signs alone cannot be found`,
				`b.yaml:4:10: id "Two" is not kebab-case: write two`,
				`c.yaml:1:1: a tab cannot indent YAML: indent with spaces`,
			},
		},
		"what is not read": {
			fstest.MapFS{
				"a.yaml": small("a", "one", "Name One"), "_draft.yaml": {Data: []byte("x")}, ".hidden.yaml": {Data: []byte("x")}, "README.md": {Data: []byte("x")},
				"feeds/feeds.yaml": {Data: []byte("x")}, "old.yml": {Data: []byte("x")}, "folder.yaml/x": {Data: []byte("x")},
			},
			[]string{`old.yml: warning: this file is not read: rename it to end in .yaml`},
		},
		"no list at all": {
			fstest.MapFS{"README.md": {Data: []byte("x")}},
			[]string{`.: no watchlist in this folder: put a watchlist there, as armed-groups.yaml`},
		},
		"a file that is too large": {
			fstest.MapFS{"a.yaml": {Data: []byte("# " + strings.Repeat("x", MaxFile))}},
			[]string{`a.yaml: 1048577 bytes, the limit is 1048576: split the file`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, fs := Load(c.files)
			var got []string
			for _, f := range fs {
				got = append(got, f.Error())
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestLoadDirNamesTheFolder(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a.yaml", "id: b\ntitle: T\n")
	if err := os.Symlink("gone", filepath.Join(dir, "lost.yaml")); err != nil {
		t.Fatal(err)
	}
	_, fs := LoadDir(dir)
	if len(fs) != 3 || fs[0].File != filepath.Join(dir, "a.yaml") || !strings.Contains(fs[2].Error(), "lost.yaml: the file cannot be read (no such file or directory)") {
		t.Error(fs)
	}
	_, fs = LoadDir(filepath.Join(dir, "nowhere"))
	if fs.Err() == nil || !strings.Contains(fs[0].Error(), "the folder of watchlists cannot be read") {
		t.Error(fs)
	}
}

func TestRevisionFollowsTheBytes(t *testing.T) {
	load := func(files fstest.MapFS) *Set {
		s, fs := Load(files)
		if len(fs) > 0 {
			t.Fatal(fs)
		}
		return s
	}
	a, b := small("a", "one", "Name One"), small("b", "two", "Name Two")
	first := load(fstest.MapFS{"a.yaml": a, "b.yaml": b})
	if again := load(fstest.MapFS{"b.yaml": b, "a.yaml": a}); again.Revision != first.Revision || len(first.Revision) != 12 {
		t.Errorf("revisions %q and %q of the same files", first.Revision, again.Revision)
	}
	edited := load(fstest.MapFS{"a.yaml": a, "b.yaml": small("b", "two", "Name Three")})
	if edited.Revision == first.Revision || edited.Lists[1].Revision == first.Lists[1].Revision {
		t.Error("an edit leaves the revision as it is")
	}
	if edited.Lists[0].Revision != first.Lists[0].Revision {
		t.Error("the revision of a list changes with another file")
	}
}

func TestAliasLimits(t *testing.T) {
	var b strings.Builder
	b.WriteString("id: x\ntitle: T\nentities:\n  - {id: one, name: N, flag: [A.], aliases: [")
	for i := range MaxAliases + 1 {
		fmt.Fprintf(&b, "a%d,", i)
	}
	b.WriteString("]}\n")
	_, fs := LoadFile("x.yaml", []byte(strings.ReplaceAll(b.String(), "name: N,", "name: N, needs: [war],")))
	if len(fs) != 1 || !strings.Contains(fs[0].Error(), "x.yaml:1:1: 100001 aliases, the limit of a list is 100000: split the list") {
		t.Errorf("%d faults, first %v", len(fs), fs[0])
	}
	same := make([]*Alias, MaxAllAliases/10+1)
	for i := range same {
		same[i] = &Alias{Text: "Name One", Lang: "en"}
	}
	set := &Set{}
	for i := range 10 {
		set.Lists = append(set.Lists, &List{Entities: []*Entity{{ID: strict.Text{Value: fmt.Sprint(i)}, Aliases: same, Needs: &Condition{}}}})
	}
	if fs := checkSet(set); len(fs) != 1 || !strings.Contains(fs[0].Error(), "1000010 aliases in all lists together, the limit is 1000000") {
		t.Error(fs)
	}
}

// TestHostileFilesAreBounded loads files of allowed size that are made to cost time: the same alias 100,000 times, anchors that repeat one
// another, thousands of unknown references, contexts nested in a row.
func TestHostileFilesAreBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("measures time")
	}
	head := "id: x\ntitle: T\n"
	rep := func(n int, f func(i int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(f(i))
		}
		return b.String()
	}
	for name, body := range map[string]string{
		"one alias repeated": "entities:\n  - {id: one, name: N, flag: [A.], aliases: [" + strings.Repeat("aaaa,", 99_000) + "]}\n",
		"anchors":            "contexts:\n  a: &t [" + strings.Repeat("aa,", 5000) + "]\nentities:\n  - {id: one, name: N, flag: [A.], aliases: [" + strings.Repeat("{text: Name, needs: *t},", 20_000) + "]}\n",
		"unknown references": "contexts: {" + rep(20_000, func(i int) string { return fmt.Sprintf("c%d: [x],", i) }) + "}\nentities:\n  - {id: one, name: N, flag: [A.], aliases: [Name], decoys: [" + rep(20_000, func(i int) string { return fmt.Sprintf("$d%d,", i) }) + "]}\n",
		"contexts in a row":  "contexts:\n" + rep(50_000, func(i int) string { return fmt.Sprintf("  c%d: [$c%d]\n", i, i+1) }),
		"case variants":      "entities:\n  - {id: one, name: N, flag: [A.], aliases: [" + rep(20_000, func(i int) string { return "{text: " + variant(i) + ", case: exact}," }) + "]}\n",
		"broken queries": "rules:\n" + rep(200, func(i int) string {
			return fmt.Sprintf("  - {id: r%d, flag: [A.], query: '%s'}\n", i, strings.Repeat("a?b ", 1000))
		}),
		"one query repeated": "rules:\n  - {id: r, flag: [A.], query: &q '" + strings.Repeat("aaa OR ", 584) + "b'}\n" + rep(25_000, func(i int) string { return fmt.Sprintf("  - {id: r%d, query: *q}\n", i) }),
		"parentheses": "rules:\n" + rep(200, func(i int) string {
			return fmt.Sprintf("  - {id: r%d, flag: [A.], query: '%s'}\n", i, strings.Repeat("(", 4000))
		}),
		"one line of brackets": "entities: " + strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000),
	} {
		data := []byte(head + body)
		if len(data) > MaxFile {
			t.Fatalf("%s: %d bytes", name, len(data))
		}
		start := time.Now()
		LoadFile("x.yaml", data)
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s took %s", name, d)
		} else {
			t.Logf("%s: %s", name, d.Round(time.Millisecond))
		}
	}
}

// variant writes the i-th mix of capital and small letters.
func variant(i int) string {
	b := []byte("abcdefghijklmnop")
	for k := range b {
		if i>>k&1 == 1 {
			b[k] -= 'a' - 'A'
		}
	}
	return string(b)
}

func FuzzLoad(f *testing.F) {
	f.Add([]byte(sample))
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/good/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var list *List
		var fs strict.Faults
		if d := quickest(time.Second, func() { list, fs = LoadFile("x.yaml", data) }); d > time.Second {
			t.Fatalf("%d bytes took %s", len(data), d)
		}
		for _, x := range fs {
			if x.Fact == "" || x.File == "" || x.Line < 1 {
				t.Fatalf("fault without fact or place: %+v", x)
			}
		}
		if list == nil {
			t.Fatal("no list")
		}
		if fs.Err() == nil && (list.ID.Value != "x" || len(list.Entities)+len(list.Rules) == 0) {
			t.Fatalf("accepted %+v", list)
		}
		if _, again := LoadFile("x.yaml", data); cmp.Diff(fs, again) != "" {
			t.Fatal("other faults the second time")
		}
	})
}
