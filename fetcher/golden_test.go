package fetcher

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden readings anew")

// goldenFile holds one line for each document of the data set: the first digits of the hashes of the document and of our reading of it, and how
// many items it gave. The readings themselves are third parties' texts: TOCSIN_READINGS names a folder to write them into, for people.
const goldenFile = "testdata/readings.txt"

// reading is what the golden test compares: title, link, id, date and language of the feed's items.
func reading(name string, body []byte) (text string, items int, fault *Fault) {
	doc := Document{Body: body, URL: "https://herald.example/feeds/" + name, Feed: Feed{ID: "golden"}, FirstSeen: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)}
	res, err := Parse(doc)
	if err != nil {
		f := asFault(err)
		return "fault " + string(f.Reason) + "\n", 0, f
	}
	var b strings.Builder
	fmt.Fprintf(&b, "feed %s %s | %s | %s\n", res.Kind, primary(res.Lang, "und"), titleText(res.Title, false), res.Link)
	for _, it := range res.Items(&doc) {
		at := "-"
		if !it.Published.IsZero() {
			at = it.Published.Format(time.RFC3339)
		}
		fmt.Fprintf(&b, "%s | %s | %s | %s | %s %v\n", it.Title, it.URL, it.GUID, at, it.Lang, it.Flags)
		items++
	}
	for _, d := range res.Degraded {
		fmt.Fprintf(&b, "degraded %s\n", d)
	}
	return b.String(), items, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}

// TestGoldenReadings reads every document of the data set and compares title, link, id, date and language of each item, by their hash, with the
// reading that people have seen. After a change on purpose: write the readings with TOCSIN_READINGS before and after it, look at the difference,
// and run with -update.
func TestGoldenReadings(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(dataDir(t), "feeds", "*"))
	if err != nil {
		t.Fatal(err)
	}
	golden, err := os.ReadFile(goldenFile)
	if err != nil && !*update {
		t.Fatal(err)
	}
	want := map[string]string{}
	for line := range strings.Lines(string(golden)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		want[name] = rest
	}
	var out bytes.Buffer
	read, all, total := 0, 0, 0
	for _, f := range files {
		name := filepath.Base(f)
		body, err := os.ReadFile(f)
		if err != nil || name == "INDEX.json" {
			continue
		}
		text, items, fl := reading(name, body)
		if all++; fl == nil {
			read++
		}
		total += items
		got := fmt.Sprintf("%s %d", digest([]byte(text)), items)
		fmt.Fprintf(&out, "%s %s\n", digest(body), got)
		if dir := os.Getenv("TOCSIN_READINGS"); dir != "" {
			if err := os.WriteFile(filepath.Join(dir, name+".txt"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		switch w, known := want[digest(body)]; {
		case *update:
		case !known:
			t.Errorf("%s is a document without golden reading", name)
		case w != got:
			t.Errorf("%s is read in another way than before: %s, not %s", name, got, w)
		}
	}
	t.Logf("%d of %d documents read, %d items", read, all, total)
	if read*100 < all*99 {
		t.Errorf("%d of %d documents read", read, all)
	}
	if *update {
		if err := os.WriteFile(goldenFile, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
