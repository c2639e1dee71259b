//go:build linux

package matcher

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/matcher/watchlist"
	"tocsin/news"
	"tocsin/watchlists"
)

// limitOfOne is what one item or one query may take.
const limitOfOne = 50 * time.Millisecond

const rusageThread = 1 // RUSAGE_THREAD of getrusage(2), which package syscall lacks

// cpu is the time that f computes on its own thread, whatever else the machine does.
func cpu(t testing.TB, f func()) time.Duration {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(rusageThread, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	start := used()
	f()
	return used() - start
}

// worst is one way to make matching slow: lists, and an item of the greatest size that is allowed.
type worst struct {
	name, yaml string
	item       news.Item
}

// repeated is a text of 64 KiB.
func repeated(words string) string {
	return strings.Repeat(words+" ", 1+(64<<10)/(len(words)+1))[:64<<10]
}

// chain joins so many terms by op, or as many as the size holds.
func chain(op string, terms, size int, term func(i int) string) string {
	q := term(0)
	for i := 1; ; i++ {
		next := q + " " + op + " " + term(i)
		if i == terms || len(next) > size {
			return q
		}
		q = next
	}
}

func letter(i int) string { return fmt.Sprintf("%c%c", 'a'+i/26%26, 'a'+i%26) }

func rulesYAML(queries ...string) string {
	var b strings.Builder
	b.WriteString("rules:\n")
	for i, q := range queries {
		fmt.Fprintf(&b, "  - {id: r%d, query: '%s', flag: [x]}\n", i, q)
	}
	return b.String()
}

func worstCases() []worst {
	same := func(int) string { return "aa" }
	cycle := func(n int) func(int) string { return func(i int) string { return letter(i % n) } }
	var letters, thousand, near []string
	for i := range 300 {
		letters = append(letters, letter(i))
	}
	text := strings.Join(letters, " ")
	for i := range 1000 {
		thousand = append(thousand, fmt.Sprintf("(%s OR %s) NEAR/20 (%s OR %s) AND NOT zz%d", letter(i%300), letter((i+7)%300), letter((i+60)%300), letter((i+91)%300), i))
		near = append(near, fmt.Sprintf("aa NEAR/100 ab NEAR/100 ac NEAR/100 ad NEAR/100 zz%d OR aa NEAR/50 ab NEAR/50 aa NEAR/50 ab", i))
	}
	prefixes := "entities:\n"
	for i := range 200 {
		prefixes += fmt.Sprintf("  - {id: e%d, name: N, aliases: {en: ['%s end%d', {text: 'aa %s', needs: {any: [ab*, zz], within: 9}, unless: {any: [zz%d]}}]}, flag: [x]}\n",
			i, strings.TrimSpace(strings.Repeat("aa ", 1+i%15)), i, letter(i), i)
	}
	body := func(s string) news.Item { return news.Item{ID: "i", Lang: "en", Body: repeated(s)} }
	return []worst{
		{"alias prefixes", prefixes, body("aa")},
		{"alias prefixes and conditions", prefixes, body("aa ab aa ac aa ad")},
		{"NEAR of one word", rulesYAML(chain("NEAR/100", 101, 4000, same)), body("aa")},
		{"NEAR of one word too many", rulesYAML(chain("NEAR/100", 101, 4000, same)), body("aa" + strings.Repeat(" x", 60))},
		{"NEAR without its last", rulesYAML(chain("NEAR/100", 90, 3000, cycle(80)) + " NEAR/100 zz"), news.Item{ID: "i", Body: repeated(text) + strings.Repeat(" x", 200) + " zz"}},
		{"NEAR of two words", rulesYAML(chain("NEAR/100", 101, 4000, cycle(2))), body("aa ab x")},
		{"ONEAR without its last", rulesYAML(chain("ONEAR/100", 90, 2000, cycle(30)) + " ONEAR/100 zz"), news.Item{ID: "i", Body: repeated(text) + strings.Repeat(" x", 200) + " zz"}},
		{"ONEAR the wrong way round", rulesYAML(chain("ONEAR/100", 101, 4000, func(i int) string { return letter(299 - i%300) })), body(text)},
		{"NEAR of groups", rulesYAML("(" + chain("OR", 999, 1500, cycle(300)) + ") NEAR/100 (" + chain("OR", 999, 1500, cycle(300)) + ") NEAR/100 zz AND NOT (aa NEAR/1 ab)"), news.Item{ID: "i", Body: repeated(text) + " zz"}},
		{"a wide OR", rulesYAML(chain("OR", 999, 4000, cycle(300))), body(text)},
		{"ATLEAST", rulesYAML("ATLEAST/100(" + chain("OR", 999, 3000, cycle(300)) + ")"), body(text)},
		{"1,000 rules", rulesYAML(thousand...), body(text)},
		{"1,000 rules of near words", rulesYAML(near...), body("aa ab ac ad")},
	}
}

// hostileItems are items of the greatest size made of nothing but what the shipped lists watch: every alias and every flagged sentence, in several
// mixtures, so that all conditions, decoys and rules of all lists are at work at once.
func hostileItems(t testing.TB) (*Index, map[string]news.Item) {
	t.Helper()
	set, faults := watchlist.Load(watchlists.Lists)
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	var aliases, sentences []string
	for _, l := range set.Lists {
		for _, e := range l.Entities {
			for _, a := range e.Aliases {
				aliases = append(aliases, a.Text)
			}
			for _, s := range e.Flag {
				sentences = append(sentences, s.Text)
			}
		}
		for _, r := range l.Rules {
			for _, s := range r.Flag {
				sentences = append(sentences, s.Text)
			}
		}
	}
	items := map[string]news.Item{}
	for name, words := range map[string][]string{"all aliases": aliases, "all sentences": sentences} {
		mixed := slices.Clone(words)
		rand.New(rand.NewPCG(1, 2)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		items["shipped lists: "+name] = news.Item{ID: "i", Lang: "en", Body: repeated(strings.Join(mixed, " "))}
	}
	return shippedIndex(t), items
}

// everyWorst calls f with each worst case and with the items that are hostile to the shipped lists.
func everyWorst(t testing.TB, f func(name string, x *Index, it *news.Item)) {
	t.Helper()
	for _, w := range worstCases() {
		f(w.name, compile(t, w.yaml), &w.item)
	}
	x, items := hostileItems(t)
	for _, name := range slices.Sorted(maps.Keys(items)) {
		it := items[name]
		f(name, x, &it)
	}
}

// TestWorstCases holds that the time for an item grows with its size and not with the square of it, whatever its words and the queries are. Its limit
// is twenty times the promise of 50 ms, which BenchmarkWorst measures; the square took 40 s.
func TestWorstCases(t *testing.T) {
	if testing.Short() {
		t.Skip("measures processor time")
	}
	everyWorst(t, func(name string, x *Index, it *news.Item) {
		if took := cpu(t, func() { x.Match(it) }); took > 20*limitOfOne {
			t.Errorf("%s takes %s, more than %s", name, took, 20*limitOfOne)
		}
	})
}

// BenchmarkWorst measures what the slowest items and queries of the size that is allowed cost, in processor time. The limit is 50 ms; a thousand rules
// over a text that holds nothing but their words are a thousand queries, not one.
func BenchmarkWorst(b *testing.B) {
	everyWorst(b, func(name string, x *Index, it *news.Item) {
		b.Run(name, func(b *testing.B) {
			best := time.Hour
			for b.Loop() {
				best = min(best, cpu(b, func() { x.Match(it) }))
			}
			b.ReportMetric(best.Seconds()*1e3, "cpu-ms")
			b.ReportMetric(0, "ns/op")
			if best > limitOfOne && !strings.HasPrefix(name, "1,000") {
				b.Errorf("%s, more than %s", best, limitOfOne)
			}
		})
	})
}

// TestWorstQueries holds the same for reading a query.
func TestWorstQueries(t *testing.T) {
	if testing.Short() {
		t.Skip("measures processor time")
	}
	nest := func(open, shut string) string {
		n := (4 << 10) / (len(open) + len(shut) + 1)
		return strings.Repeat(open, n) + "a" + strings.Repeat(shut, n)
	}
	for name, q := range map[string]string{
		"parentheses":  nest("(", ")"),
		"open":         strings.Repeat("(", 4<<10),
		"fields":       nest("title:(", ")"),
		"NOT":          strings.Repeat("NOT ", 1<<10) + "a",
		"NEAR in NEAR": nest("(b NEAR/9 ", ")"),
		"ATLEAST":      nest("ATLEAST/9(", ")"),
		"quotes":       strings.Repeat(`"`, 4<<10),
		"stars":        strings.Repeat("a*", 2<<10),
		"faults":       strings.Repeat("a b ", 1<<10),
	} {
		if took := cpu(t, func() { watchlist.ParseQuery("q", q) }); took > 20*limitOfOne {
			t.Errorf("%s: a query of %d bytes takes %s", name, len(q), took)
		}
	}
}
