package matcher

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"tocsin/matcher/fold"
	"tocsin/matcher/watchlist"
	"tocsin/news"
	"tocsin/news/strict"
)

// gunzip calls f for each line of a gzipped file.
func gunzip(t testing.TB, file string, f func(line []byte)) {
	t.Helper()
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	z, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		f(lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

func readTerms(t testing.TB, size string) (terms []string) {
	t.Helper()
	gunzip(t, filepath.Join(dataDir(t), "terms", size+".txt.gz"), func(line []byte) { terms = append(terms, string(line)) })
	return terms
}

// readItems reads background items; every takes one of so many.
func readItems(t testing.TB, lang string, every int) (items []news.Item) {
	t.Helper()
	n := 0
	gunzip(t, filepath.Join(dataDir(t), "items", lang+".jsonl.gz"), func(line []byte) {
		if n++; n%every != 0 {
			return
		}
		var l Labelled
		if err := json.Unmarshal(line, &l); err != nil {
			t.Fatal(err)
		}
		items = append(items, news.Item{ID: l.ID, Lang: l.Lang, Title: l.Title, Summary: l.Summary, Body: l.Body})
	})
	return items
}

func langs() []string { return []string{"en", "zh", "ps", "ar", "ur", "hi", "fa", "ru"} }

func textBytes(items []news.Item) (n int64) {
	for i := range items {
		for _, f := range items[i].Fields() {
			n += int64(len(f.Text))
		}
	}
	return n
}

// batch is some items, their texts as bytes, and the best times so far.
type batch struct {
	items      []news.Item
	texts      [][]byte
	scan, yard time.Duration
}

// batches cuts items into pieces that take about a millisecond.
func batches(items []news.Item) (out []batch) {
	for len(items) > 0 {
		n := 0
		size := int64(0)
		for n < len(items) && size < 200_000 {
			size += textBytes(items[n : n+1])
			n++
		}
		b := batch{items: items[:n], scan: time.Hour, yard: time.Hour}
		for i := range b.items {
			for _, f := range b.items[i].Fields() {
				b.texts = append(b.texts, []byte(f.Text))
			}
		}
		out, items = append(out, b), items[n:]
	}
	return out
}

// decodeRunes is the yardstick: what it costs to decode the text and do nothing.
func (b *batch) decodeRunes() (sum rune) {
	for _, t := range b.texts {
		for len(t) > 0 {
			r, n := utf8.DecodeRune(t)
			sum += r
			t = t[n:]
		}
	}
	return sum
}

// scanOnly is folding and looking up everything, without deciding.
func (b *batch) scanOnly(x *Index) (hits int) {
	s := x.scratch()
	defer x.pool.Put(s)
	for i := range b.items {
		if s.look(&b.items[i]) {
			hits += len(s.hits)
		}
	}
	return hits
}

// BenchmarkMatch reports the whole scan of raw text as a ratio to the yardstick over the same text in the same run.
func BenchmarkMatch(b *testing.B) {
	var all []news.Item
	for _, l := range langs() {
		all = append(all, readItems(b, l, 8)...)
	}
	size := textBytes(all)
	for _, terms := range []string{"20", "1k", "10k", "100k"} {
		x := plainIndex(b, readTerms(b, terms))
		b.Run(terms, func(b *testing.B) { ratio(b, x, all, size) })
	}
	x := plainIndex(b, readTerms(b, "1k"))
	for _, l := range langs() {
		items := readItems(b, l, 4)
		b.Run("1k/"+l, func(b *testing.B) { ratio(b, x, items, textBytes(items)) })
	}
}

// ratio times scan and yardstick in turns on each batch and keeps the best of each, so that other work on the machine disturbs both little.
func ratio(b *testing.B, x *Index, items []news.Item, size int64) {
	all := batches(items)
	hits := 0
	for b.Loop() {
		hits = 0
		for i := range all {
			c := &all[i]
			for range 5 {
				start := time.Now()
				n := c.scanOnly(x)
				mid := time.Now()
				c.decodeRunes()
				c.scan, c.yard = min(c.scan, mid.Sub(start)), min(c.yard, time.Since(mid))
				hits += n
			}
		}
	}
	var scan, yard time.Duration
	for _, c := range all {
		scan, yard = scan+c.scan, yard+c.yard
	}
	b.ReportMetric(float64(yard)/float64(scan), "ratio")
	b.ReportMetric(float64(size)/scan.Seconds()/1e6, "scanMB/s")
	b.ReportMetric(float64(size)/yard.Seconds()/1e6, "yardMB/s")
	b.ReportMetric(float64(hits)/5, "hits")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkItems is the whole job, context, rules and output included, with the shipped lists.
func BenchmarkItems(b *testing.B) {
	var all []news.Item
	for _, l := range langs() {
		all = append(all, readItems(b, l, 8)...)
	}
	x := shippedIndex(b)
	matched := 0
	for b.Loop() {
		matched = 0
		for i := range all {
			if len(x.Match(&all[i])) > 0 {
				matched++
			}
		}
	}
	b.ReportMetric(float64(len(all)*b.N)/b.Elapsed().Seconds(), "items/s")
	b.ReportMetric(float64(matched), "matched")
}

// BenchmarkWhole is the whole job with 10,000 aliases that need words near them and 1,000 rules over words and entities.
func BenchmarkWhole(b *testing.B) {
	var all []news.Item
	for _, l := range langs() {
		all = append(all, readItems(b, l, 8)...)
	}
	x := bigIndex(b)
	items, rules := 0, 0
	for b.Loop() {
		items, rules = 0, 0
		for i := range all {
			ms := x.Match(&all[i])
			items += min(1, len(ms))
			for _, m := range ms {
				rules += len(m.Rules)
			}
		}
	}
	b.ReportMetric(float64(len(all)*b.N)/b.Elapsed().Seconds(), "items/s")
	b.ReportMetric(float64(items), "matched")
	b.ReportMetric(float64(rules), "rules")
}

// bigIndex makes lists of 10,000 aliases and 1,000 rules out of terms from real text.
func bigIndex(b *testing.B) *Index {
	terms := readTerms(b, "10k")
	var words []string
	for _, t := range terms {
		if s := fold.String(t); len(s) > 5 && !strings.ContainsAny(s, " \n") && len(words) < 2000 {
			words = append(words, s)
		}
	}
	word := func(i int) string { return words[i%len(words)] }
	files := fstest.MapFS{}
	for k := range 10 {
		var y strings.Builder
		fmt.Fprintf(&y, "id: l%d\ntitle: L\ncontexts: {near: {any: [%q", k, word(k))
		for i := range 60 {
			fmt.Fprintf(&y, ", %q", word(k*60+i))
		}
		y.WriteString("]}}\nentities:\n")
		for i := k * 1000; i < (k+1)*1000 && i < len(terms); i++ {
			if t := strings.TrimSpace(terms[i]); fold.String(t) != "" && !strings.Contains(t, "*") && len(t) < 200 {
				fmt.Fprintf(&y, "  - {id: e%d, name: N, aliases: {any: [{text: %q, needs: {any: [$near, the*, of, in, و, 的], within: 40}}]}, flag: [x]}\n", i, t)
			}
		}
		y.WriteString("rules:\n")
		for i := k * 100; i < (k+1)*100; i++ {
			fmt.Fprintf(&y, "  - {id: r%d, query: '(%q OR %q) NEAR/20 (%q OR %q OR $near) AND NOT %q', flag: [x]}\n", i, word(3*i), word(3*i+1), word(i*7), word(i*11), word(i*13))
		}
		files[fmt.Sprintf("l%d.yaml", k)] = &fstest.MapFile{Data: []byte(y.String())}
	}
	set, faults := watchlist.Load(files)
	if err := faults.Err(); err != nil {
		b.Fatal(err)
	}
	x, err := Compile(set)
	if err != nil {
		b.Fatal(err)
	}
	return x
}

// BenchmarkCompile builds the index of a million terms.
func BenchmarkCompile(b *testing.B) {
	for _, n := range []string{"100k", "1m"} {
		terms := readTerms(b, n)
		l := &watchlist.List{ID: strict.Text{Value: "plain"}}
		e := &watchlist.Entity{List: l, ID: strict.Text{Value: "e"}}
		for _, t := range terms {
			e.Aliases = append(e.Aliases, &watchlist.Alias{Lang: watchlist.AnyLang, Text: t})
		}
		l.Entities = append(l.Entities, e)
		b.Run(n, func(b *testing.B) {
			for b.Loop() {
				x, err := Compile(&watchlist.Set{Lists: []*watchlist.List{l}})
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(x.bytes())/float64(len(terms)), "bytes/term")
			}
		})
	}
}

// bytes is the memory of the tables of an index.
func (x *Index) bytes() (n int) {
	for _, t := range []*table{x.primary, x.secondary} {
		n += 16*len(t.edges) + 16*len(t.phrases) + 8*len(t.targets) + cap(t.text) +
			t.sieve.Size() + 8*(len(t.pairs)+len(t.threes))
	}
	return n + 16*cap(x.aliases)
}
