package fold

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/clipperhouse/uax29/v2/words"
)

// In real text a word of letters alone by Unicode's rules (UAX 29) is one token, or the characters of a script without spaces.
func TestWordsOfUnicode(t *testing.T) {
	dir := os.Getenv("TOCSIN_DATA")
	if dir == "" {
		t.Skip("data test left out: TOCSIN_DATA is not set")
	}
	for _, lang := range []string{"en", "ru", "ar", "ur", "ps", "fa", "hi", "zh"} {
		compared, differ := 0, 0
		for _, text := range readTexts(t, filepath.Join(dir, "items", lang+".jsonl.gz"), 400) {
			starts, ends := map[int]bool{}, map[int]bool{}
			for _, tok := range Append(nil, text) {
				starts[tok.Start()], ends[tok.End()] = true, true
			}
			for it := words.FromString(text); it.Next(); {
				w := it.Value()
				if strings.ContainsFunc(w, func(r rune) bool { return !unicode.IsLetter(r) }) || modifierApostrophe([]rune(w)[0]) || String(w) == "" {
					continue
				}
				compared++
				if !starts[it.Start()] || !ends[it.End()] {
					if differ++; differ < 5 {
						t.Logf("%s: %q in %q", lang, w, text[max(0, it.Start()-20):min(len(text), it.End()+20)])
					}
				}
			}
		}
		if compared < 1000 || differ*2000 > compared {
			t.Errorf("%s: %d of %d words are cut otherwise", lang, differ, compared)
		}
	}
}

func readTexts(t *testing.T, file string, n int) (texts []string) {
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
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 8<<20)
	for lines.Scan() && len(texts) < n {
		var it struct{ Title, Summary, Body string }
		if err := json.Unmarshal(lines.Bytes(), &it); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, it.Title+"\n"+it.Summary+"\n"+it.Body)
	}
	return texts
}
