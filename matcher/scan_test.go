package matcher

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"github.com/coregx/ahocorasick"

	"tocsin/matcher/fold"
	"tocsin/matcher/watchlist"
	"tocsin/news"
	"tocsin/news/strict"
)

// plainIndex watches each phrase as an entity of its own, without forms and conditions. Phrases that fold to nothing are left out.
func plainIndex(t testing.TB, phrases []string) *Index {
	t.Helper()
	l := &watchlist.List{ID: strict.Text{Value: "plain"}}
	for i, p := range phrases {
		if n := len(fold.Append(nil, p)); n == 0 || n > maxTokens || len(fold.String(p)) > 1<<15 {
			continue
		}
		e := &watchlist.Entity{List: l, ID: strict.Text{Value: fmt.Sprint(i)}, Kind: "theme", Aliases: []*watchlist.Alias{{Lang: watchlist.AnyLang, Text: p}}}
		l.Entities = append(l.Entities, e)
	}
	x, err := Compile(&watchlist.Set{Lists: []*watchlist.List{l}})
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// naive finds phrases by comparing the folded words of text with those of every form of every phrase at every place.
func naive(phrases []string, text string) []string {
	toks := fold.Append(nil, text)
	found := map[string]bool{}
	for i, p := range phrases {
		for _, f := range forms(p, "", false) {
			want := fold.Append(nil, f)
			if len(want) > maxTokens || len(f) > 1<<15 {
				continue
			}
			for from := range toks {
				for _, to := range naiveFrom(text, toks, from, f, want, 0) {
					found[fmt.Sprintf("%d %d-%d", i, toks[from].Start(), toks[to].End())] = true
				}
			}
		}
	}
	return news.SortedKeys(found)
}

// naiveFrom gives the last tokens of the ways to read want[k:] from token i on.
func naiveFrom(text string, toks []fold.Token, i int, phrase string, want []fold.Token, k int) (ends []int) {
	if i >= len(toks) || string(toks[i].AppendTo(nil, text)) != string(want[k].AppendTo(nil, phrase)) {
		return nil
	}
	if k+1 == len(want) {
		return []int{i}
	}
	next := i + 1 + toks[i].Parts()
	tries := []int{next}
	if next < len(toks) && toks[next].Parts() > 0 {
		tries = append(tries, next+1)
	}
	for _, j := range tries {
		if j < len(toks) && reads(toks[i].Class(), toks[j], want[k+1].Gap()) {
			ends = append(ends, naiveFrom(text, toks, j, phrase, want, k+1)...)
		}
	}
	return ends
}

// scanned gives what the index finds before anything is decided, in the words of naive.
func scanned(x *Index, text string) []string {
	s := x.scratch()
	defer x.pool.Put(s)
	found := map[string]bool{}
	if s.look(&news.Item{Body: text}) {
		s.candidates()
		for _, c := range s.cands {
			if id := x.entities[c.entity].ID.Value; id != CanaryEntity {
				found[fmt.Sprintf("%s %d-%d", id, c.start, c.end)] = true
			}
		}
	}
	return news.SortedKeys(found)
}

func scripts() []string {
	return strings.Split("taliban|TTP|Durand|line|a|i|1000|CASA|ＴＴＰ|café|straße|’|-| | |\n|, |.|(|طالبان|تحریک|سی\u200cپک|ي|ی|می\u200cشود|\u200c|ـ|۱۰۰۰|"+
		"линия|Дюранда|ё|е|и\u0306|تَ|अल|क़ायदा|कायदा|ँ|巴|塔|哥|尼|亚|中|か\u3099|が|ไทย|한국|\u00ad|𝐓𝐓𝐏|\xff|…|—|ß|İ|½", "|")
}

func randomText(r *rand.Rand, n int) string {
	parts := scripts()
	var b strings.Builder
	for range n {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	return b.String()
}

func TestScanFindsWhatSearchFinds(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		text := randomText(r, 60)
		phrases := make([]string, 12)
		for i := range phrases {
			phrases[i] = randomText(r, 1+r.IntN(5))
		}
		compareScan(t, phrases, text)
	}
}

func compareScan(t *testing.T, phrases []string, text string) {
	t.Helper()
	got, want := scanned(plainIndex(t, phrases), text), naive(phrases, text)
	if !slices.Equal(got, want) {
		t.Fatalf("text %q\nphrases %q\n got %v\nwant %v", text, phrases, got, want)
	}
}

func FuzzScan(f *testing.F) {
	f.Add("Tehrik-i-Taliban\nTTP\n巴塔", "Tehrik‑i‑Taliban (TTP) 巴塔哥尼亚")
	f.Add("سی\u200cپک\nسی پک\nطالبان", "پروژه سی\u200cپک و سی پک، طالبان")
	f.Add("CASA-1000\nCASA1000", "casa1000 casa 1000 中亚CASA-1000")
	f.Fuzz(func(t *testing.T, phrases, text string) {
		if len(phrases) > 300 || len(text) > 2000 {
			return
		}
		compareScan(t, strings.Split(phrases, "\n"), text)
	})
}

// A library that searches bytes finds no phrase in the folded text, with free edges, that the index does not.
func TestScanFindsWhatALibraryFinds(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		text := fold.String(randomText(r, 200))
		var phrases []string
		for range 20 {
			if p := fold.String(randomText(r, 1+r.IntN(3))); p != "" {
				phrases = append(phrases, p)
			}
		}
		ac, err := ahocorasick.NewBuilder().AddStrings(phrases).Build()
		if err != nil {
			t.Fatal(err)
		}
		got := scanned(plainIndex(t, phrases), text)
		for _, m := range ac.FindAllOverlapping([]byte(text)) {
			if id := fmt.Sprintf("%d %d-%d", m.PatternID, m.Start, m.End); freeEdges(text, m.Start, m.End) && !slices.Contains(got, id) {
				t.Fatalf("%q in %q: the library finds %s, the index only %v", phrases[m.PatternID], text, id, got)
			}
		}
	}
}

// freeEdges tells whether no token begins before start and ends after it, and the same at end.
func freeEdges(text string, start, end int) bool {
	a, b := false, false
	for _, tok := range fold.Append(nil, text) {
		a = a || tok.Start() == start
		b = b || tok.End() == end
	}
	return a && b
}

func TestCollidingHashesChangeNothing(t *testing.T) {
	phrases := []string{"alpha", "beta", "gamma delta", "gamma delta epsilon", "alpha beta"}
	x := plainIndex(t, phrases)
	p := x.primary
	want := scanned(x, "alpha beta gamma delta epsilon")
	// All phrases hang at each edge, as if their keys were equal.
	for i := range p.phrases {
		p.phrases[i].next = int32(i) - 1
	}
	for i := range p.edges {
		if p.edges[i].fp != 0 {
			p.edges[i].out = int32(len(p.phrases) - 1)
		}
	}
	if got := scanned(x, "alpha beta gamma delta epsilon"); !slices.Equal(got, want) {
		t.Errorf("with colliding keys %v, want %v", got, want)
	}
}

func TestSpansAreOriginalBytes(t *testing.T) {
	x := plainIndex(t, scripts())
	for seed := range uint64(200) {
		text := strings.ToValidUTF8(randomText(rand.New(rand.NewPCG(seed, 3)), 40), "?")
		item := news.Item{Title: text, Body: text + text}
		for _, m := range x.Match(&item) {
			for _, f := range item.Fields() {
				for _, s := range m.Spans(f.Name) {
					if part := f.Text[s.Start:s.End]; !utf8.ValidString(part) || part == "" {
						t.Fatalf("%q: span %d-%d of the %s is %q", text, s.Start, s.End, f.Name, part)
					}
				}
			}
			for _, mention := range m.Mentions {
				f := map[string]string{"title": item.Title, "body": item.Body}[mention.Field]
				if f[mention.Start:mention.End] != mention.Text {
					t.Fatalf("mention %+v of %q", mention, text)
				}
			}
		}
	}
}

func TestNoHitAllocatesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("counts allocations, and the race detector makes some of its own")
	}
	x := compile(t, groups)
	item := news.Item{
		Title: "Rain in the valley – floods expected", Summary: "هوای تهران فردا بارانی است", Body: strings.Repeat("Дождь и ветер, 天气预报 dry spell мокрый снег. मौसम साफ़ रहेगा café ", 50),
	}
	if got := x.Match(&item); got != nil {
		t.Fatalf("the item matches %v", got)
	}
	if n := testing.AllocsPerRun(200, func() { x.Match(&item) }); n != 0 {
		t.Errorf("%v allocations for an item without a hit", n)
	}
}

func TestMatchIsRepeatable(t *testing.T) {
	set, faults := watchlist.Load(fstest.MapFS{"test.yaml": {Data: []byte("id: test\ntitle: T\n" + groups)}})
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(7, 7))
	item := news.Item{Title: randomText(r, 100), Body: randomText(r, 300)}
	var first string
	for range 5 {
		x, err := Compile(set)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprintf("%+v", x.Match(&item))
		if first == "" {
			first = got
		}
		if got != first || got == "[]" {
			t.Fatalf("one run gives\n%s\nanother\n%s", first, got)
		}
	}
}
