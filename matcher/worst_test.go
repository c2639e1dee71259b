//go:build linux

package matcher

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/matcher/watchlist"
	"tocsin/news"
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

// TestWorstCases holds that no item and no query of the size that is allowed keeps a matcher busy for more than 50 ms. It looks at the quickest of
// some runs, because other work on the machine only ever adds to one.
func TestWorstCases(t *testing.T) {
	for _, w := range worstCases() {
		x := compile(t, w.yaml)
		best := time.Hour
		for range 3 {
			best = min(best, cpu(t, func() { x.Match(&w.item) }))
			if best < 50*time.Millisecond {
				break
			}
		}
		t.Logf("%-32s %8.2f ms", w.name, best.Seconds()*1e3)
		limit := limitOfOne
		if strings.HasPrefix(w.name, "1,000") {
			limit = 1000 * limitOfOne / 10 // they are a thousand queries, each over a text that holds nothing but its words
		}
		if best > limit {
			t.Errorf("%s takes %s, more than %s", w.name, best, limit)
		}
	}
}

// TestWorstQueries holds the same for reading a query.
func TestWorstQueries(t *testing.T) {
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
		if took := cpu(t, func() { watchlist.ParseQuery("q", q) }); took > limitOfOne {
			t.Errorf("%s: a query of %d bytes takes %s", name, len(q), took)
		}
	}
}
