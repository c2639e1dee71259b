package notifier

import (
	"strings"
	"testing"

	"tocsin/news"
)

func TestDirection(t *testing.T) {
	for _, c := range []struct{ lang, text, want string }{
		{"ur", "بلوچ لبریشن آرمی", "rtl"},
		{"ur", "CPEC پر حملہ: BLA نے ذمہ داری قبول کر لی", "rtl"},
		{"ur", "Pakistan Today: CPEC پر BLA کا حملہ", "rtl"},
		{"ur", "Gunmen attack convoy near Quetta", "ltr"},
		{"", "CPEC پر حملہ", "rtl"},
		{"en", `"حملہ" was the word that the ministry used`, "ltr"},
		{"he", "נמל גוואדר (Gwadar)", "rtl"},
		{"zh", "中巴经济走廊", "ltr"},
		{"ps", "2025 — 48%", "auto"},
		{"", "", "auto"},
	} {
		if got := Direction(c.lang, c.text); got != c.want {
			t.Errorf("%s %q: %s, want %s", c.lang, c.text, got, c.want)
		}
	}
	for lang, want := range map[string]bool{"ur": true, "fa-IR": true, "ps": true, "he": true, "AR": true, "en": false, "": false, "hi": false, "s": false} {
		if RightToLeft(lang) != want {
			t.Errorf("%q: %v", lang, !want)
		}
	}
}

// TestIsolateGivesTheDirection: a reader that goes by the first letter shows the text the right way round all the same.
func TestIsolateGivesTheDirection(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"Quetta":                    "\u2068Quetta\u2069",
		"حملہ":                      "\u2068حملہ\u2069",
		"CPEC پر حملہ ہوا":          "\u2068\u200FCPEC پر حملہ ہوا\u2069",
		"حملہ was the ministry's":   "\u2068\u200Eحملہ was the ministry's\u2069",
		"\u2068\"حملہ\"\u2069 in a": "\u2068\u2068\"حملہ\"\u2069 in a\u2069",
	} {
		if got := Isolate(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
		if got := (Limit{Max: 200, Unit: Characters}).Isolated(in, nil); got != want {
			t.Errorf("within a limit %q gives %q, want %q", in, got, want)
		}
	}
}

// TestCutsCloseIsolates: wherever a reason is cut, what was opened is closed and the limit is kept, in every unit.
func TestCutsCloseIsolates(t *testing.T) {
	s := quotes(`"بلوچ لبریشن آرمی" in the title, with "حملہ" 2 words away; "BLA" in the summary`)
	if strings.Count(s, fsi) != 2 || strings.Contains(s, fsi+`"BLA`) {
		t.Fatalf("isolates where they are not needed, or none where they are: %q", s)
	}
	for _, u := range []Unit{Bytes, Characters, UTF16} {
		for n := range u.Count(s) + 2 {
			l := Limit{Max: n, Unit: u}
			for _, got := range []string{l.Fit(s, nil), l.Isolated(s, nil)} {
				if strings.Count(got, fsi) != strings.Count(got, pdi) || u.Count(got) > max(n, u.Count(fsi+pdi)) && got != "" {
					t.Fatalf("%d %s: %q has %d", n, u, got, u.Count(got))
				}
			}
		}
	}
}

func TestReasonsQuoteWhatWasFound(t *testing.T) {
	m := news.Match{
		Entities: []news.EntityHit{{ID: "ttp", Name: "Tehrik-i-Taliban Pakistan"}, {ID: "bla", Name: "Baloch Liberation Army"}},
		Rules:    []news.RuleHit{{ID: "r", Title: "Talks", Why: `"مذاکرات", "talks"`}},
		Mentions: []news.Mention{
			{Entity: "ttp", Field: "title", Text: "TTP", Why: `with "fighters" 1 word away`},
			{Entity: "ttp", Field: "summary", Text: "TTP", Why: "named"},
			{Entity: "ttp", Field: "summary", Text: "Tehreek-e-Taliban", Why: "named"},
			{Entity: "bla", Field: "title", Text: "بی ایل اے", Why: "named"},
		},
	}
	want := []string{
		`Tehrik-i-Taliban Pakistan: "TTP" in the title and summary, with "fighters" 1 word away; "Tehreek-e-Taliban" in the summary`,
		"Baloch Liberation Army: \u2068\"بی ایل اے\"\u2069 in the title", "Talks: \u2068\"مذاکرات\"\u2069, \"talks\"",
	}
	v := NewView(&news.Alert{Match: m}, nil)
	for i, got := range v.Reasons() {
		if i >= len(want) || got != want[i] {
			t.Errorf("reason %d is %q", i, got)
		}
	}
	if v.Who() != "Tehrik-i-Taliban Pakistan and Baloch Liberation Army" {
		t.Errorf("who: %q", v.Who())
	}
	for _, n := range []string{"c", "d"} {
		m.Entities = append(m.Entities, news.EntityHit{ID: n, Name: n})
	}
	if got := NewView(&news.Alert{Match: m}, nil).Who(); got != "Tehrik-i-Taliban Pakistan, Baloch Liberation Army and 2 more" {
		t.Errorf("who: %q", got)
	}
}
