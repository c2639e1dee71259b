package fetcher

import (
	"strings"
	"testing"

	"tocsin/news/strict"
)

const listText = `# Our feeds. Mind the order.
title: Border
defaults: {lang: ur}   # most are
feeds:
  # wires first
  - {url: "https://a.example/rss", outlet: A} # the best
  - url: https://b.example/rss
    outlet: B
    tags: [x,
      y]

  # the last one
  - url: https://c.example/rss
    note: |
      two
      lines
`

func TestAppendingKeepsEveryByte(t *testing.T) {
	out, err := AppendFeeds("list.yaml", []byte(listText), Feed{URL: "https://d.example/rss?a=1&b=\"2\"", Outlet: "Daily: North", Lang: "no", Tags: []string{"x y", "on"}, Tier: 2, Note: "yes"})
	if err != nil {
		t.Fatal(err)
	}
	added, ok := strings.CutPrefix(string(out), listText)
	if !ok || strings.Count(added, "\n") != 1 {
		t.Fatalf("got\n%s", out)
	}
	feeds, faults := readYAML("list.yaml", out)
	if faults.Err() != nil || len(feeds) != 4 {
		t.Fatal(faults, len(feeds))
	}
	if f := feeds[3]; f.URL != `https://d.example/rss?a=1&b="2"` || f.Outlet != "Daily: North" || f.Lang != "no" || f.Tier != 2 || f.Note != "yes" || strings.Join(f.Tags, "|") != "x y|on" {
		t.Errorf("%+v", f)
	}
}

func TestAppendingStartsAListAndFillsAnEmptyOne(t *testing.T) {
	for _, text := range []string{"", "feeds: []  # none yet\n", "title: X\nfeeds:\n"} {
		out, err := AppendFeeds("list.yaml", []byte(text), Feed{URL: "https://d.example/rss"})
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if feeds, faults := readYAML("list.yaml", out); faults.Err() != nil || len(feeds) != 1 || strings.Contains(text, "#") != strings.Contains(string(out), "# none yet") {
			t.Errorf("%q became %q, %v", text, out, faults)
		}
	}
}

func TestAppendingRefusesWhatItCannotDo(t *testing.T) {
	for _, text := range []string{"feeds: [{url: https://a.example/rss}]\n", "feeds:\n  - {url: https://a.example/rss}\ntitle: last\n", "feeds: 3\n"} {
		out, err := AppendFeeds("list.yaml", []byte(text), Feed{URL: "https://d.example/rss"})
		if err == nil {
			t.Errorf("%q became %q", text, out)
		}
	}
}

func TestRemovingTakesOneEntryAndNothingElse(t *testing.T) {
	for url, want := range map[string]string{
		"https://a.example/rss": strings.Replace(listText, "  - {url: \"https://a.example/rss\", outlet: A} # the best\n", "", 1),
		"https://b.example/rss": strings.Replace(listText, "  - url: https://b.example/rss\n    outlet: B\n    tags: [x,\n      y]\n", "", 1),
		"https://c.example/rss": strings.Replace(listText, "  - url: https://c.example/rss\n    note: |\n      two\n      lines\n", "", 1),
	} {
		feeds, faults := readYAML("list.yaml", []byte(listText))
		if faults.Err() != nil {
			t.Fatal(faults)
		}
		var gone Feed
		for _, f := range feeds {
			if f.URL == url {
				gone = f
			}
		}
		out, err := RemoveFeed("list.yaml", []byte(listText), gone)
		if err != nil || string(out) != want {
			t.Errorf("%s: %v\n%s", url, err, out)
		}
	}
	one := "feeds: # all of them\n  - url: https://a.example/rss\n"
	feeds, _ := readYAML("l", []byte(one))
	out, err := RemoveFeed("l", []byte(one), feeds[0])
	if err != nil || !strings.HasPrefix(string(out), "feeds: []") || !strings.Contains(string(out), "# all of them") {
		t.Errorf("%q, %v", out, err)
	}
	flow := "feeds: [{url: https://a.example/rss}, {url: https://b.example/rss}]\n"
	feeds, _ = readYAML("l", []byte(flow))
	if out, err := RemoveFeed("l", []byte(flow), feeds[0]); err == nil {
		t.Errorf("became %q", out)
	}
	if _, err := RemoveFeed("l", []byte(flow), Feed{URL: "https://a.example/rss", Pos: strict.Pos{Line: 9, Col: 9}}); err == nil {
		t.Error("a place without feed was removed")
	}
}
