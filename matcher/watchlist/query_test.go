package watchlist

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tocsin/news/strict"
)

// sameTree compares trees without places.
func sameTree(a, b Expr) string { return cmp.Diff(a, b, cmpopts.IgnoreTypes(strict.Pos{})) }

// TestQueryCanonicalForm covers each construct of the grammar: the query as people write it, and the tree as it is printed.
func TestQueryCanonicalForm(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`drone`, `drone`},
		{`"drone"`, `drone`},
		{`  "suicide   vest" `, `"suicide vest"`},
		{`drone*`, `drone*`},
		{`"suicide bomb*"`, `"suicide bomb*"`},
		{`“paste from a word processor”`, `"paste from a word processor"`},
		{`«Талибан»`, `Талибан`},
		{`@ttp AND $militancy`, `@ttp AND $militancy`},
		{`"@ttp"`, `"@ttp"`},
		{`al-qaeda`, `al-qaeda`},
		{`"Who is TTP?"`, `"Who is TTP?"`},
		{`"AND"`, `"AND"`},
		{`"and" AND a`, `"and" AND a`},
		{`case:"TTP"`, `case:"TTP"`},
		{`case:TTP`, `case:"TTP"`},
		{`a AND lang:ru`, `a AND lang:ru`},
		{`a AND feed:"BBC Urdu"`, `a AND feed:"BBC Urdu"`},
		{`a AND feed:dawn`, `a AND feed:dawn`},
		{`a AND b AND c`, `a AND b AND c`},
		{`(a AND b) AND c`, `a AND b AND c`},
		{`a OR (b OR (c))`, `a OR b OR c`},
		{`(a AND b) OR c`, `(a AND b) OR c`},
		{`(a OR b) AND c`, `(a OR b) AND c`},
		{`NOT a AND b`, `NOT a AND b`},
		{`a AND NOT (b OR c)`, `a AND NOT (b OR c)`},
		{`a AND (NOT b)`, `a AND NOT b`},
		{`a AND NOT b NEAR/3 c`, `a AND NOT (b NEAR/3 c)`},
		{`a NEAR/5 b NEAR/5 c`, `a NEAR/5 b NEAR/5 c`},
		{`(a NEAR/3 b) NEAR/3 c`, `(a NEAR/3 b) NEAR/3 c`},
		{`(a OR b) ONEAR/10 "c d"`, `(a OR b) ONEAR/10 "c d"`},
		{`a NEAR/5 b AND c`, `a NEAR/5 b AND c`},
		{`ATLEAST/3(a OR bb*)`, `ATLEAST/3(a OR bb*)`},
		{`ATLEAST/2((a))`, `ATLEAST/2(a)`},
		{`title:taliban`, `title:taliban`},
		{`title:"red line" AND body:(a OR b)`, `title:"red line" AND body:(a OR b)`},
		{`summary:(a NEAR/5 b AND NOT c)`, `summary:(a NEAR/5 b AND NOT c)`},
		{`title:(a)`, `title:a`},
		{`ڈرون OR 无人机 OR дрон*`, `ڈرون OR 无人机 OR дрон*`},
		{`9:30 AND 1,000`, `"9:30" AND "1,000"`},
		{"a\nAND\tb", `a AND b`},
		{`U.S. OR "U.S."`, `"U.S." OR "U.S."`},
	} {
		x, fs := ParseQuery("q", c.in)
		if len(fs) > 0 {
			t.Errorf("%s: %v", c.in, fs)
			continue
		}
		if got := x.String(); got != c.want {
			t.Errorf("%s is printed as %s, want %s", c.in, got, c.want)
		}
		again, fs := ParseQuery("q", x.String())
		if len(fs) > 0 {
			t.Errorf("%s does not parse again: %v", x, fs)
		} else if d := sameTree(x, again); d != "" {
			t.Errorf("%s parses to another tree: %s", x, d)
		}
	}
}

func TestQueryTrees(t *testing.T) {
	word := func(s string) Expr { return &Leaf{Term: Term{Text: s}} }
	for in, want := range map[string]Expr{
		`(@a OR @b) NEAR/40 (drone* OR "unmanned aerial") AND NOT "drone show"`: &And{X: []Expr{
			&Near{N: 40, X: []Expr{
				&Or{X: []Expr{&Leaf{Term: Term{Kind: EntityRef, Text: "a"}}, &Leaf{Term: Term{Kind: EntityRef, Text: "b"}}}},
				&Or{X: []Expr{&Leaf{Term: Term{Kind: Prefix, Text: "drone"}}, word("unmanned aerial")}},
			}},
			&Not{X: word("drone show")},
		}},
		`a ONEAR/2 b`: &Near{N: 2, Ordered: true, X: []Expr{word("a"), word("b")}},
		`ATLEAST/3(a) AND title:(b OR $c) AND lang:ur AND feed:x AND case:"D"`: &And{X: []Expr{
			&AtLeast{N: 3, X: word("a")},
			&In{Field: "title", X: &Or{X: []Expr{word("b"), &Leaf{Term: Term{Kind: ContextRef, Text: "c"}}}}},
			&Lang{Code: "ur"},
			&Feed{ID: "x"},
			&Leaf{Term: Term{Text: "D"}, Exact: true},
		}},
	} {
		x, fs := ParseQuery("q", in)
		if len(fs) > 0 {
			t.Fatal(fs)
		}
		if d := sameTree(want, x); d != "" {
			t.Errorf("%s: %s", in, d)
		}
	}
}

// TestQueryFaults holds what people bring from other query languages, and what they get told. A warning leaves the query usable.
func TestQueryFaults(t *testing.T) {
	for in, want := range map[string]string{
		``:                           `q:1:1: the query is empty`,
		`a b`:                        `q:1:3: two terms stand side by side without an operator: write AND between them, or quotes for the phrase: "a b"`,
		`a (b OR c)`:                 `q:1:3: two terms stand side by side without an operator: write AND between them`,
		`"a b" c`:                    `q:1:7: two terms stand side by side without an operator: write AND between them, or quotes for the phrase: "a b c"`,
		`bombs and bullets`:          `q:1:7: operators are written in capitals, and "and" is not: write AND`,
		`bombs OR not`:               `q:1:10: warning: operators are written in capitals, so "not" is a word here`,
		`a AND b OR c`:               `q:1:9: warning: AND and OR are mixed: AND binds first`,
		`a NEAR/5 b OR c`:            `q:1:12: warning: NEAR and OR are mixed: NEAR binds first`,
		`a NOT b`:                    `q:1:3: NOT follows a term without AND: write AND NOT`,
		`NOT a`:                      `q:1:1: the query only excludes`,
		`NOT a AND NOT b`:            `q:1:1: the query only excludes`,
		`a OR NOT b`:                 `q:1:6: an alternative of OR only excludes`,
		`lang:ru`:                    `q:1:1: the query holds without any word`,
		`a OR feed:dawn`:             `q:1:1: the query holds without any word`,
		`NOT NOT a`:                  `q:1:5: NOT NOT means nothing`,
		`b AND NOT (NOT a)`:          `q:1:11: NOT before what is excluded already`,
		`a NEAR b`:                   `q:1:3: "NEAR" lacks its number: write it with a number, as in NEAR/10`,
		`a NEAR/0 b`:                 `q:1:3: NEAR/0 is out of range: write a number from 1 to 100`,
		`a ONEAR/101 b`:              `q:1:3: ONEAR/101 is out of range`,
		`a near/5 b`:                 `q:1:3: "near/5" is not written as an operator`,
		`a w/5 b`:                    `q:1:3: "w/5" is the proximity of another language: write NEAR/10`,
		`a PRE/5 b`:                  `q:1:3: "PRE/5" is the proximity of another language: write ONEAR/10`,
		`a NEAR/5 NOT b`:             `q:1:10: NOT cannot stand beside NEAR/5: write a NEAR/5 b AND NOT c`,
		`a NEAR/5 (b AND c)`:         `q:1:10: AND cannot stand inside NEAR/5`,
		`(a AND NOT d) NEAR/5 b`:     `q:1:1: AND cannot stand inside NEAR/5`,
		`a NEAR/5 lang:ru`:           `q:1:10: lang: cannot stand inside NEAR/5`,
		`title:a NEAR/5 b`:           `q:1:1: title: cannot stand inside NEAR/5: put the field around all of it: title:(a NEAR/5 b)`,
		`a NEAR/3 b NEAR/5 c`:        `q:1:12: NEAR/3 and NEAR/5 stand in one row`,
		`ATLEAST/3 a`:                `q:1:1: ATLEAST/3 lacks its parentheses: write ATLEAST/3(words)`,
		`ATLEAST/3(a AND b)`:         `q:1:10: AND cannot stand inside ATLEAST/3`,
		`(a OR b`:                    `q:1:1: a parenthesis is never closed`,
		`a OR b)`:                    `q:1:7: a parenthesis is closed that was never opened`,
		`()`:                         `q:1:1: the parentheses are empty`,
		`a AND`:                      `q:1:6: the query ends where a term is expected`,
		`AND a`:                      `q:1:1: the operator AND stands where a term is expected`,
		`a AND OR b`:                 `q:1:7: the operator OR stands where a term is expected`,
		`"a`:                         `q:1:1: the quote is never closed`,
		`""`:                         `q:1:1: an empty phrase`,
		`"..."`:                      `q:1:1: phrase "..." holds no letter or digit`,
		`*drone`:                     `q:1:1: "*drone" begins with *`,
		`dr*ne`:                      `q:1:1: "dr*ne" has a * inside`,
		`*`:                          `q:1:1: "*" begins with *`,
		`d*`:                         `q:1:1: the prefix "d*" is too wide`,
		`wom?n`:                      `q:1:1: "wom?n": ? does not stand for a letter: list the spellings with OR`,
		`milit%`:                     `q:1:1: "milit%": % does not stand for letters: write a prefix*`,
		`yellow+fever`:               `q:1:1: "yellow+fever": + and _ neither join words nor stand for a letter: put a phrase in quotes`,
		`roam~2`:                     `q:1:1: "roam~2": ~ does not find similar words`,
		`"a b"~5`:                    `q:1:6: "~5": ~ after a phrase is not known: write the words with NEAR`,
		`"a b"*`:                     `q:1:6: a * after the closing quote: write it inside`,
		`a && b`:                     `q:1:3: "&&" is not an operator: write AND`,
		`a || b`:                     `q:1:3: "||" is not an operator: write OR`,
		`a AND !b`:                   `q:1:7: "!b": a sign before a word does not exclude it: write AND NOT before the word`,
		`+a -b`:                      `q:1:1: "+a": + before a word is not known: join the words with AND`,
		`a^2`:                        `q:1:1: "a^2": ^ does not weigh a word: write the rule as score: with points`,
		`/dro.e/`:                    `q:1:1: "/dro.e/": regular expressions are not known`,
		`[a TO b]`:                   `q:1:1: "[a": brackets and ranges are not known`,
		`a\:b`:                       `q:1:1: "a\\:b": \ does not escape a sign`,
		`a, b`:                       `q:1:1: "a,": a comma does not join words: write OR or AND`,
		`'a b'`:                      `q:1:1: "'a": single quotes do not make a phrase`,
		`（a OR b）`:                   `q:1:1: "（a": a full-width parenthesis does not group`,
		`titel:a`:                    `q:1:1: unknown field "titel:": did you mean title:?`,
		`text:a`:                     `q:1:1: unknown field "text:": did you mean body:?`,
		`dawn:a`:                     `q:1:1: unknown field "dawn:": known: title:`,
		`a AND lang:urdu`:            `q:1:7: unknown language code "urdu": did you mean "ur"?`,
		`a AND lang:(ru OR uz)`:      `q:1:7: lang: is followed by nothing: repeat it for each value, as in (lang:ru OR lang:…)`,
		`case:drone*`:                `q:1:1: case: takes a word or phrase`,
		`title:(lang:ru AND a)`:      `q:1:7: lang:ru cannot stand inside title:: join them with AND outside: lang:ru AND title:(…)`,
		`title:(NOT a)`:              `q:1:7: title: only excludes: write NOT title:(…)`,
		`title:(body:a)`:             `q:1:7: body: cannot stand inside title:`,
		`@TTP`:                       `q:1:1: "@TTP" is not a reference: write @name, in lower-case`,
		`@armed-groups/ttp`:          `q:1:1: "@armed-groups/ttp" is not a reference: write @ttp`,
		`a ANDNOT b`:                 `q:1:3: "ANDNOT" is not an operator: write AND NOT`,
		`a -- b`:                     `q:1:3: "--": a sign before a word`,
		`a NEAR/5 feed:x`:            `q:1:10: feed: cannot stand inside NEAR/5`,
		`a NEAR/5 ATLEAST/2(b)`:      `q:1:10: ATLEAST cannot stand inside NEAR/5: join them with AND`,
		`a AND (b NEAR/5 (NOT c))`:   `q:1:17: NOT cannot stand inside NEAR/5`,
		`"a\b"`:                      `q:1:1: a phrase holds no \`,
		`a AND (NOT`:                 `q:1:11: the query ends where a term is expected`,
		`(NEAR/5 a)`:                 `q:1:2: the operator NEAR/5 stands where a term is expected`,
		"a OR\n  (b c)":              `q:2:6: two terms stand side by side`,
		"\u202ba":                    `q:1:1: the term holds the invisible direction mark U+202B`,
		strings.Repeat(`(`, 33):      `q:1:33: parentheses are nested deeper than 32`,
		strings.Repeat(`a OR `, 900): `q:1:1: the query has 4500 bytes, the limit is 4096`,
	} {
		_, fs := ParseQuery("q", in)
		if len(fs) == 0 || !strings.HasPrefix(fs[0].Error(), want) {
			t.Errorf("%s\n got %v\nwant %s", in, fs, want)
		}
	}
}

func TestQueryTellsAllWordFaultsAtOnce(t *testing.T) {
	_, fs := ParseQuery("q", `*a AND b? AND lang:xq`)
	if len(fs) != 3 {
		t.Fatalf("got %d faults: %v", len(fs), fs)
	}
}

// quickest runs f until it is within limit, five times at most, and gives its shortest time: a machine that is busy elsewhere is no fault of f.
func quickest(limit time.Duration, f func()) time.Duration {
	best := time.Duration(math.MaxInt64)
	for range 5 {
		start := time.Now()
		f()
		if best = min(best, time.Since(start)); best <= limit {
			break
		}
	}
	return best
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{
		`(@ttp OR "x y*") NEAR/40 drone* AND NOT title:(a OR b)`, `ATLEAST/3(a) AND lang:ru`, `case:"A" ONEAR/2 $b`, `((((`, `"`, `a NOT b`, `“a” OR feed:"x y"`,
		`a:b`, `near/5`, "\xff", `"a"~2`, `9:3 OR 1,2`, `'a'`, `wom*n`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		var x Expr
		var fs strict.Faults
		if d := quickest(50*time.Millisecond, func() { x, fs = ParseQuery("q", in) }); d > 50*time.Millisecond {
			t.Fatalf("%q took %s", in, d)
		}
		for _, f := range fs {
			if f.Fact == "" || f.Next == "" || f.Line < 1 || f.Col < 1 {
				t.Fatalf("%q: fault without place, fact or next step: %+v", in, f)
			}
		}
		if (x == nil) != (fs.Err() != nil) {
			t.Fatalf("%q: tree %v with faults %v", in, x, fs)
		}
		if x == nil {
			return
		}
		again, fs := ParseQuery("q", x.String())
		if fs.Err() != nil && len(x.String()) <= MaxQuery {
			t.Fatalf("%q is printed as %q, which is refused: %v", in, x, fs)
		}
		if fs.Err() == nil {
			if d := sameTree(x, again); d != "" {
				t.Fatalf("%q is printed as %q, another tree: %s", in, x, d)
			}
		}
	})
}
