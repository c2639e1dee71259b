package main

import (
	"strings"
	"testing"

	"tocsin/news"
)

func TestThePlaceOfAnItemIsExplained(t *testing.T) {
	a := &news.Alert{
		ID: "a1",
		Joined: &news.StoryLink{Story: "s1", Points: 3.21, Evidence: []news.Evidence{
			{Name: "same names and words", Points: 6.5, Detail: "@bannu, =kill"}, {Name: "start", Points: -5.3}, {Name: "same action", Points: 0.5},
		}},
		Nearest: &news.StoryLink{Story: "s2", Points: -1, Evidence: []news.Evidence{{Name: "other places", Points: -2, Detail: "@quetta / @bannu"}}},
		Merged:  []news.StoryMerge{{From: "s3", Into: "s1", Alert: "a3", Link: news.StoryLink{Points: 1}}},
	}
	var b strings.Builder
	tellPlace(&b, a, "story  ", "       ")
	got := strings.NewReplacer("\u2068", "", "\u2069", "").Replace(b.String())
	want := `story  belongs to story s1: +3.2 points; for: same names and words (@bannu, =kill) +6.5, same action +0.5; against: start -5.3
       not to story s2: -1.0 points; against: other places (@quetta / @bannu) -2.0
       story s3 ended in s1: +1.0 points
       alert a3 is merged into a1
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	b.Reset()
	if tellPlace(&b, &news.Alert{}, "story  ", "       "); b.String() != "" {
		t.Errorf("an item that opened its story: %q", b.String())
	}
}
