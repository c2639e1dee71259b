package matcher

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tocsin/matcher/watchlist"
	"tocsin/news"
)

var updateRarity = flag.Bool("rarity", false, "count the table of rarity anew from the data")

// TestRarityTable counts signature_rarity.txt anew: how many bits of surprise a word or a name of news carries, over background items. Only keys
// are kept that are common in their language, in steps of half a bit. The committed table must be what is counted; -rarity writes it.
func TestRarityTable(t *testing.T) {
	dir := os.Getenv("TOCSIN_DATA")
	if dir == "" {
		t.Skip("data test left out: TOCSIN_DATA is not set")
	}
	x, err := Compile(&watchlist.Set{})
	if err != nil {
		t.Fatal(err)
	}
	best := map[string]float64{}
	for lang, floor := range map[string]float64{"en": 11.5, "zh": 9, "ru": 9, "fa": 9, "ur": 9, "ar": 9, "hi": 9, "ps": 9} {
		df, n := countKeys(t, x, filepath.Join(dir, "items", lang+".jsonl.gz"), lang)
		for key, c := range df {
			if lang != "en" && (key[0] == '=' || key[0] == '@') {
				continue
			}
			bits := math.Round(-2*math.Log2((float64(c)+.5)/float64(n))) / 2
			if old, ok := best[key]; bits <= floor && (!ok || bits < old) {
				best[key] = bits
			}
		}
	}
	byBits := map[float64][]string{}
	for key, b := range best {
		byBits[b] = append(byBits[b], key)
	}
	var out strings.Builder
	for _, b := range slices.Sorted(maps.Keys(byBits)) {
		slices.Sort(byBits[b])
		fmt.Fprintf(&out, ">%g\n%s\n", b, wrap(byBits[b]))
	}
	if *updateRarity {
		if err := os.WriteFile("signature_rarity.txt", []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile("signature_rarity.txt")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d keys", len(best))
	if string(have) != out.String() {
		t.Error("signature_rarity.txt is not what the data gives: run this test with -rarity and look at the difference")
	}
}

func wrap(words []string) string {
	var out strings.Builder
	width := 0
	for _, w := range words {
		if width+len(w) > 150 {
			out.WriteByte('\n')
			width = 0
		}
		if width > 0 {
			out.WriteByte(' ')
		}
		out.WriteString(w)
		width += len(w) + 1
	}
	return out.String()
}

func countKeys(t *testing.T, x *Index, file, lang string) (df map[string]int, n int) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	df = map[string]int{}
	seen := map[string]bool{}
	sc := bufio.NewScanner(z)
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var in struct{ Source, Title, Summary, Body string }
		if err := json.Unmarshal(sc.Bytes(), &in); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(in.Source, "think-tank") || in.Source == "NBA" {
			continue
		}
		text := in.Title
		if text == "" {
			text = firstSentence(in.Summary + in.Body)
		}
		if seen[text] || text == "" {
			continue
		}
		seen[text] = true
		s := x.Signature(&news.Item{Lang: lang, Title: text})
		n++
		for _, a := range s.Anchors {
			df["@"+a.ID]++
		}
		for _, w := range s.Words {
			df[w.Key]++
		}
	}
	t.Logf("%s: %d titles, %d keys", lang, n, len(df))
	return df, n
}
