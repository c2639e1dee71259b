package notifier_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/graphemes"

	"tocsin/notifier"
)

func TestUnitsCount(t *testing.T) {
	const s = "aé👍क्षि"
	for u, want := range map[notifier.Unit]int{notifier.Bytes: 19, notifier.Characters: 7, notifier.UTF16: 8} {
		if got := u.Count(s); got != want {
			t.Errorf("%s: %d, want %d", u, got, want)
		}
	}
}

func TestFitCutsBetweenLetters(t *testing.T) {
	const family = "👩\u200D👩\u200D👧"
	for _, c := range []struct {
		max  int
		unit notifier.Unit
		in   string
		want string
	}{
		{5, notifier.Characters, "hello", "hello"},
		{4, notifier.Characters, "hello", "hel…"},
		{7, notifier.Characters, "hello world", "hello…"},
		{7, notifier.Bytes, "héllo wörld", "hél…"},
		{8, notifier.UTF16, family, family},
		{7, notifier.UTF16, family, "…"},
		{9, notifier.UTF16, "a" + family + "b", "a…"},
		{10, notifier.UTF16, "a" + family + "b", "a" + family + "b"},
		{3, notifier.Characters, "e\u0301e\u0301", "e\u0301…"},
		{1, notifier.Characters, "ab", "…"},
		{0, notifier.Characters, "ab", ""},
		{2, notifier.Bytes, "abc", ""},
		{4, notifier.UTF16, "🇵🇰", "🇵🇰"},
		{3, notifier.UTF16, "🇵🇰", "…"},
	} {
		l := notifier.Limit{Max: c.max, Unit: c.unit}
		if got := l.Fit(c.in, nil); got != c.want || c.unit.Count(got) > c.max {
			t.Errorf("%q in %d %s: %q, want %q", c.in, c.max, c.unit, got, c.want)
		}
	}
	l := notifier.Limit{Max: 8, Unit: notifier.Bytes}
	if got := l.Fit("<<<", func(s string) string { return strings.ReplaceAll(s, "<", "&lt;") }); got != "&lt;…" {
		t.Errorf("escaped: %q", got)
	}
}

func TestIsolatesAreCounted(t *testing.T) {
	l := notifier.Limit{Max: 5, Unit: notifier.Characters}
	if got := l.Isolated("abcdef", nil); got != "\u2068ab…\u2069" {
		t.Errorf("%q", got)
	}
	if got := l.Isolated("", nil); got != "" {
		t.Errorf("the empty text gives %q", got)
	}
}

func TestLinesTellWhatTheyLeaveOut(t *testing.T) {
	l := notifier.Limit{Max: 30, Unit: notifier.Characters}
	got := l.Lines("- ", []string{"one", "two", "three", "four"}, 20, nil)
	if got != "- \u2068one\u2069\n- \u2068two\u2069\n- and 2 more" {
		t.Errorf("%q", got)
	}
	if got := l.Lines("- ", []string{"one", "two"}, 20, nil); got != "- \u2068one\u2069\n- \u2068two\u2069" {
		t.Errorf("%q", got)
	}
}

// TestLimitsTable: every row has room and stands once, and a row that is not there has none.
func TestLimitsTable(t *testing.T) {
	seen := map[string]bool{}
	for _, l := range notifier.Limits() {
		if l.Max <= 0 || seen[l.Channel+"."+l.Field] || notifier.LimitOf(l.Channel, l.Field) != l {
			t.Errorf("row %+v", l)
		}
		seen[l.Channel+"."+l.Field] = true
	}
	if notifier.LimitOf("nobody", "nothing").Fit("x", nil) != "" {
		t.Error("a row that is not there gives room")
	}
}

func FuzzFit(f *testing.F) {
	f.Add("héllo 👩\u200D👧 🇵🇰 क्षि e\u0301 @everyone <!channel>", 9, 1)
	f.Fuzz(func(t *testing.T, s string, n, unit int) {
		s = notifier.Clean(s)
		l := notifier.Limit{Max: n % 200, Unit: notifier.Unit(uint(unit) % 3)}
		for _, escape := range []func(string) string{nil, notifier.NoMentions, notifier.Markdown} {
			got := l.Fit(s, escape)
			if l.Max >= 0 && l.Unit.Count(got) > l.Max || !utf8.ValidString(got) {
				t.Fatalf("%q in %d %s: %q", s, l.Max, l.Unit, got)
			}
		}
		got, cut := strings.CutSuffix(l.Fit(s, nil), "…")
		if !cut || got == s {
			return
		}
		edge := map[string]bool{"": true}
		at, g := "", graphemes.FromString(s)
		for g.Next() {
			at += g.Value()
			edge[strings.TrimRight(at, " ")] = true
		}
		if !edge[got] {
			t.Fatalf("%q is cut inside a letter: %q", s, got)
		}
	})
}
