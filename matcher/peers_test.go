package matcher

import (
	"fmt"
	"strings"
	"testing"

	"tocsin/matcher/watchlist"
	"tocsin/news"
)

// What other media monitors and query languages can say, each construct tried on text as that product documents it. Where this program means
// something else on purpose, the comment at the case says so.

// peer is one construct of another product, in the words of this program.
type peer struct {
	name, rule string   // rule is a query, or a score in braces
	yes, no    []string // a text before a line break is the title
}

// fill is n words that no query asks for.
func fill(n int) string { return strings.Repeat(" filler", n) + " " }

func (p peer) run(t *testing.T) {
	t.Helper()
	form := fmt.Sprintf("query: '%s'", p.rule)
	if strings.HasPrefix(p.rule, "{") {
		form = "score: " + p.rule
	}
	x := compile(t, "rules:\n  - {id: r, "+form+", flag: [x]}\n")
	for _, text := range p.yes {
		if got := flagged(x, "en", text); got != "r" {
			t.Errorf("%s: %s does not find %q\n%s", p.name, p.rule, text, explained(x, "en", text))
		}
	}
	for _, text := range p.no {
		if got := flagged(x, "en", text); got != "" {
			t.Errorf("%s: %s finds %q\n%s", p.name, p.rule, text, explained(x, "en", text))
		}
	}
}

// TestEMM follows "Defining categories or alerts" of the EMM OSINT Suite's help. An alert has patterns with weights and a threshold, and combinations:
// something of each "or" list, nothing of the "not" list, all within a proximity when one is given. There % and _ stand for letters anywhere in a
// word and + joins the words of a phrase. Here * stands at the end only, spellings are listed with OR, and a phrase stands in quotes.
func TestEMM(t *testing.T) {
	combination := `(pipeline OR gas) AND (sabotage OR blast*) AND NOT (film OR novel)`
	for _, p := range []peer{
		{
			"threshold: reached, missed by one", `{at_least: 30, words: {railway: 20, track: 9, bridge: 10}}`,
			[]string{"railway bridge", "the railway\na bridge"},
			[]string{"railway track", "bridge", "track and bridge"},
		},
		// A word that comes again adds nothing here: long texts must not reach a threshold by repeating one word.
		{
			"each word once", `{at_least: 20, words: {railway: 10, track: 10}}`,
			[]string{"railway track"},
			[]string{"railway railway railway", "railway\nrailway"},
		},
		{
			"negative weights", `{at_least: 20, words: {railway: 10, blast*: 10, exercise: -10, drill: -999}}`,
			[]string{"railway blast", "railway blasts"},
			[]string{"railway blast exercise", "railway blast\nThe drill ended."},
		},
		{
			"a negative weight is outweighed", `{at_least: 20, words: {railway: 10, blast: 20, exercise: -10}}`,
			[]string{"railway blast exercise", "blast"},
			[]string{"blast exercise"},
		},
		{
			"phrases as patterns (yellow+fever)", `{at_least: 10, words: {"yellow fever": 10}}`,
			[]string{"yellow fever", "Yellow-Fever", "a case of yellow fever"},
			[]string{"fever yellow", "yellow jersey fever", "yellow. Fever"},
		},
		{
			"combination: or lists and a not list", combination,
			[]string{"gas blast", "sabotage\nof the pipeline", "pipeline gas blasts"},
			[]string{"gas pipeline", "blast", "gas blast film", "novel\npipeline sabotage"},
		},
		{
			"combination with a proximity", `(pipeline OR gas) NEAR/5 (sabotage OR blast*) AND NOT film`,
			[]string{"gas" + fill(4) + "blast", "blasts" + fill(4) + "pipeline"},
			[]string{"gas" + fill(5) + "blast", "blasts" + fill(5) + "pipeline", "gas blast film", "gas\nblast"},
		},
		{
			"three or lists within a proximity", `gas NEAR/5 blast NEAR/5 herat`,
			[]string{"herat gas" + fill(3) + "blast", "gas blast herat"},
			[]string{"herat gas" + fill(4) + "blast", "gas blast"},
		},
		{
			"wildcard at the end of a word", `milit*`,
			[]string{"military", "militants", "milit", "MILITIA"},
			[]string{"demilitarised", "mili"},
		},
	} {
		p.run(t)
	}
}

// TestMeltwater follows "How to Master Boolean Search" 1/3 and 2/3 and "Search Performance and Best Practices" of Meltwater's help. There NEAR/n allows n
// words between the two; here NEAR/n is the distance, so that NEAR/1 means neighbours, and Meltwater's NEAR/n is NEAR/n+1. There a NEAR without a
// number allows 4 words between; here the number is asked for. NOT alone stands for AND NOT there, and is asked for in full here.
func TestMeltwater(t *testing.T) {
	const between4 = `apple NEAR/5 watch` // "Apple NEAR watch", at most 4 words between
	for _, p := range []peer{
		{"AND", `apple AND watch`, []string{"watch of apple", "Apple\nthe watch"}, []string{"apple", "watch", "apples watched"}},
		{"OR", `apple OR iphone`, []string{"apple", "iPhone", "apple iphone"}, []string{"pear", "pineapple"}},
		{"NOT", `apple AND NOT "apple juice"`, []string{"apple", "apple and juice"}, []string{"apple juice", "apple\nApple juice", "juice"}},
		{"grouping", `apple AND (watch OR iwatch) AND NOT ("apple sauce" OR "apple orchard*")`, []string{"apple watch", "iwatch by apple"}, []string{"apple", "watch", "apple watch apple sauce", "iwatch apple orchards"}},
		{"NEAR: any order, 4 and 5 words between", between4, []string{"apple watch", "apple" + fill(4) + "watch", "watch" + fill(4) + "apple"}, []string{"apple" + fill(5) + "watch", "watch" + fill(5) + "apple"}},
		{"NEAR/10: 10 and 11 words between", `apple NEAR/11 watch`, []string{"apple" + fill(10) + "watch", "watch" + fill(10) + "apple"}, []string{"apple" + fill(11) + "watch", "watch" + fill(11) + "apple"}},
		{"ONEAR: that order, 4 and 5 words between", `apple ONEAR/5 watch`, []string{"apple watch", "apple" + fill(4) + "watch", "watch apple watch"}, []string{"watch apple", "apple" + fill(5) + "watch", "watch" + fill(4) + "apple"}},
		{"ONEAR/10", `apple ONEAR/11 watch`, []string{"apple" + fill(10) + "watch"}, []string{"apple" + fill(11) + "watch", "watch" + fill(2) + "apple"}},
		{"NEAR of groups", `(shop OR shops) NEAR/2 (center OR centers)`, []string{"shops in centers", "center shop"}, []string{"shops in the center", "shop shops"}},
		// A phrase is one place: the distance is counted from its nearer end.
		{"NEAR of phrases", `"red line" ONEAR/3 "no way"`, []string{"red line" + fill(2) + "no way"}, []string{"red line" + fill(3) + "no way", "red" + fill(1) + "line no way"}},
		// A title and a body are apart: no distance leads from one to the other.
		{"NEAR stays in its field", between4, []string{"x\napple watch"}, []string{"apple\nwatch"}},
		{"word frequency: 3 and 2", `ATLEAST/3(apple*)`, []string{"apple apples apple", "apple\napple, apple"}, []string{"apple apples", "apple\napple"}},
		{"word frequency of alternatives", `ATLEAST/3(apple OR pear) AND fruit`, []string{"fruit apple pear apple"}, []string{"fruit apple pear", "apple pear apple"}},
		{"phrase", `"new york times"`, []string{"the New York Times", "new-york times"}, []string{"new york city times", "times new york", "new york. Times"}},
		{"wildcard", `internat*`, []string{"international", "internat", "INTERNATIONALS"}, []string{"intern", "reinternationalise"}},
		{"wildcard at the end of a phrase", `"suicide bomb*"`, []string{"suicide bomber", "suicide bombings"}, []string{"suicide of a bomber", "bomb"}},
		// Words in any case unless case: asks for the case as written.
		{"words in any case", `apple`, []string{"APPLE", "aPPle"}, nil},
		{"case as written", `case:"IT" OR case:"AIDS"`, []string{"the IT sector", "AIDS"}, []string{"it is", "It is", "aids", "Aids"}},
		{"title:", `title:(apple AND watch)`, []string{"apple watch\nx"}, []string{"x\napple watch", "apple\nwatch"}},
		{"title: and elsewhere", `title:apple AND watch`, []string{"apple\nwatch", "apple watch"}, []string{"watch\napple"}},
		{"NEAR in a title", `title:(apple NEAR/2 watch)`, []string{"apple x watch"}, []string{"apple x x watch", "x\napple watch"}},
		{"nesting", `((apple OR pear) NEAR/3 (pie OR cake*) OR title:"fruit market") AND NOT (ATLEAST/2(recipe*) OR "pie chart")`, []string{"pear pie", "cakes with apple", "fruit market", "apple pie recipe"}, []string{"pie", "x\nfruit market", "apple pie recipe recipes", "apple pie chart"}},
	} {
		p.run(t)
	}
}

// TestLucene follows "Query Parser Syntax" of Apache Lucene, and the package summary of org.apache.lucene.monitor, which stores such queries and asks each
// document which of them it satisfies. "a b"~n there counts moves: n words may stand between in that order, but the other order costs two moves more
// ("fox brown"~1 does not find "brown fox", ~2 does). NEAR counts words whatever the order, so "a b"~n is a NEAR/n+1 b, which finds all that the
// slop does and pairs the other way round up to two words further apart; ONEAR/n+1 leaves these out. Two terms side by side mean OR there and are refused here. A
// field holds for what follows its colon in both.
func TestLucene(t *testing.T) {
	for _, p := range []peer{
		{"AND", `jakarta AND lucene`, []string{"lucene in jakarta"}, []string{"jakarta", "lucene"}},
		{"OR", `jakarta OR lucene`, []string{"jakarta", "lucene"}, []string{"apache"}},
		{"NOT", `"jakarta apache" AND NOT "apache lucene"`, []string{"jakarta apache", "jakarta apache and lucene"}, []string{"jakarta apache lucene", "apache lucene"}},
		{"must and must not (+jakarta -lucene)", `jakarta AND NOT lucene`, []string{"jakarta"}, []string{"jakarta lucene", "lucene", ""}},
		// A clause that is only welcome moves a score in Lucene and does not decide; a rule that decides leaves it out.
		{"must beside should (+jakarta lucene)", `jakarta`, []string{"jakarta", "jakarta lucene"}, []string{"lucene"}},
		{"two of three should (minimum should match)", `{at_least: 2, words: {jakarta: 1, apache: 1, lucene: 1}}`, []string{"apache lucene", "jakarta apache lucene"}, []string{"lucene lucene", "jakarta"}},
		{"grouping", `(jakarta OR apache) AND website`, []string{"apache website", "website jakarta"}, []string{"jakarta apache", "website"}},
		{"phrase", `"jakarta apache"`, []string{"the Jakarta Apache project"}, []string{"apache jakarta", "jakarta x apache"}},
		{"prefix", `test*`, []string{"test", "tests", "tester"}, []string{"contest", "tes"}},
		{"field", `title:"the right way" AND body:go`, []string{"The Right Way\nDon't go"}, []string{"go\nThe right way", "the right way go", "The way\ngo"}},
		{"field group", `title:(return AND "pink panther")`, []string{"Return of the Pink Panther"}, []string{"return\nPink Panther", "Return of the panther"}},
		{"a field holds for its term only", `title:right AND way`, []string{"right\nway"}, []string{"way\nright"}},
		{`slop 1 in order ("quick fox"~1)`, `quick ONEAR/2 fox`, []string{"quick fox", "quick brown fox"}, []string{"quick brown red fox", "fox quick"}},
		{`slop 10 ("jakarta apache"~10)`, `jakarta NEAR/11 apache`, []string{"jakarta" + fill(10) + "apache", "apache" + fill(8) + "jakarta"}, []string{"jakarta" + fill(11) + "apache", "apache" + fill(11) + "jakarta"}},
		// ~10 reaches 8 words between in the other order; NEAR/11 reaches 10.
		{"the other order reaches as far as the first", `jakarta NEAR/11 apache`, []string{"apache" + fill(9) + "jakarta", "apache" + fill(10) + "jakarta"}, nil},
		{"ordered intervals", `alpha ONEAR/3 beta ONEAR/3 gamma`, []string{"alpha beta x gamma", "x alpha x beta gamma"}, []string{"alpha gamma beta", "alpha x beta x gamma", "beta alpha gamma"}},
	} {
		p.run(t)
	}
}

// TestMonitorKeepsQueriesApart is what a monitor of stored queries promises: one document, the ids of all queries that it satisfies, and no other.
func TestMonitorKeepsQueriesApart(t *testing.T) {
	x := compile(t, `
rules:
  - {id: q1, query: 'apache', flag: [x]}
  - {id: q2, query: 'apache AND lucene', flag: [x]}
  - {id: q3, query: 'lucene AND NOT apache', flag: [x]}
  - {id: q4, query: 'title:lucene', flag: [x]}
`)
	for text, want := range map[string]string{
		"apache lucene":  "q1 q2 q4",
		"lucene":         "q3 q4",
		"x\nlucene":      "q3",
		"apache\nlucene": "q1 q2",
		"solr":           "",
	} {
		if got := flagged(x, "en", text); got != want {
			t.Errorf("%q satisfies %q, want %q", text, got, want)
		}
	}
}

// TestWhatOthersWriteIsRefused holds that no sign of another query language is read in silence as something else.
func TestWhatOthersWriteIsRefused(t *testing.T) {
	for product, queries := range map[string][]string{
		"EMM":       {`milit%`, `yellow+fever`, `wom_n%`},
		"Meltwater": {`apple NEAR watch`, `apple NOT watch`, `D*C*`, `apple^9`},
		"Lucene":    {`jakarta lucene`, `+jakarta -lucene`, `te?t`, `te*t`, `roam~`, `"jakarta apache"~10`, `jakarta^4`, `[a TO b]`, `a && b`, `!a`},
	} {
		for _, q := range queries {
			if _, faults := watchlist.ParseQuery("q", q); len(faults) == 0 {
				t.Errorf("%s: %s is read without a word", product, q)
			}
		}
	}
}

// TestSummaryGoesOnFromTitle holds that words of the summary stand near those of the title, across a gap, and words of the body do not.
func TestSummaryGoesOnFromTitle(t *testing.T) {
	x := compile(t, `
entities:
  - {id: e, name: E, aliases: {en: [{text: Torkham, needs: {any: [closed], within: 12}, unless: {any: [reopened], within: 10}}]}, flag: [Torkham closed]}
`)
	for _, c := range []struct{ title, summary, body, want string }{
		{"At Torkham", "x x x closed", "", "e"},            // 4 words and the gap of 8
		{"At Torkham", "x x x x closed", "", ""},           // one too far
		{"x closed x", "x Torkham", "", "e"},               // 3 words and the gap
		{"Torkham closed", "it reopened", "", "e"},         // 11 words: the veto is too far
		{"closed Torkham", "reopened", "", ""},             // a veto reaches as far as a need
		{"closed Torkham", "x x x reopened", "", "e"},      // and no further
		{"Torkham", "", "closed", ""},                      // a body may begin anywhere
		{"x", "Torkham", "closed", ""},                     //
		{"Torkham", "x x x x x x x x x x", "closed", ""},   //
		{"closed", "x x x x x x x x x Torkham", "x x", ""}, //
	} {
		got := ""
		for _, m := range x.Match(&news.Item{Lang: "en", Title: c.title, Summary: c.summary, Body: c.body}) {
			got = m.Entities[0].ID
		}
		if got != c.want {
			t.Errorf("%q %q %q flags %q, want %q", c.title, c.summary, c.body, got, c.want)
		}
	}
	m := x.Match(&news.Item{Lang: "en", Title: "At Torkham", Summary: "Gate closed"})
	if len(m) != 1 || m[0].Mentions[0].Why != `with "closed" in the summary` {
		t.Errorf("the reason is %+v", m)
	}
}
