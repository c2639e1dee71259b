package story

import (
	"testing"
)

// TestAcrossLanguagesTwoKindsOfEvidenceMustAgree: what one group does twice in a week, or what happens twice at one place, is not one event.
func TestAcrossLanguagesTwoKindsOfEvidenceMustAgree(t *testing.T) {
	urdu := func(it *Item) { it.Lang = "ur" }
	for _, c := range []struct {
		name, first, second string
		joins               bool
	}{
		{"who and what alone", "@bla/name =attack!attack =kill!kill =police", "@bla/name =attack!attack =kill!kill =police", false},
		{"who, what and where", "@bla/name @quetta/place =attack!attack =kill!kill =police", "@bla/name @quetta/place =attack!attack =kill!kill =police", true},
		{"who, what and elsewhere", "@bla/name @quetta/place =attack!attack =kill!kill =police", "@bla/name @turbat/place =attack!attack =kill!kill =police", false},
		{"who, what and how many", "@bla/name =attack!attack =kill!kill =police 14:killed", "@bla/name =attack!attack =kill!kill =police 14:killed", true},
		{"a small number agrees by chance", "@bla/name =attack!attack =kill!kill =police 2:killed", "@bla/name =attack!attack =kill!kill =police 2:killed", false},
		{"where alone", "@iran/land @chabahar/place =port =first =weight", "@iran/land @chabahar/place =port =first =weight", false},
		{"three names", "@lavrov/name @muttaqi/name @moscow/place", "@lavrov/name @muttaqi/name @moscow/place", true},
		{"two names and what", "@lavrov/name @muttaqi/name =talk!talk", "@lavrov/name @muttaqi/name =meet!meet =talk!talk", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, Options{})
			add(t, s, told("a", 0, c.first))
			d := add(t, s, told("b", 1, c.second).with(urdu))
			if d.Opened == c.joins {
				t.Errorf("joined is %v, want %v: %+v %+v", !d.Opened, c.joins, d.Joined, d.Nearest)
			}
			s = newStage(t, Options{})
			add(t, s, told("a", 0, c.first))
			if d := add(t, s, told("b", 1, c.second)); d.Opened && c.name != "who, what and elsewhere" {
				t.Errorf("within one language the same words are one event: %+v", d.Nearest)
			}
		})
	}
}

// TestWhatOneLanguageLeavesOutAnotherTells: two stories that read alike in one language are two when a title in another says that they happened in
// different places.
func TestWhatOneLanguageLeavesOutAnotherTells(t *testing.T) {
	urdu := func(it *Item) { it.Lang = "ur" }
	s := newStage(t, Options{})
	add(t, s, told("a", 0, "@quetta/place =bomb!attack =kill!kill 9:killed"))
	add(t, s, told("b", 1, "=bomb!attack =kill!kill @quetta/place 9:killed bus").with(urdu))
	add(t, s, told("c", 2, "@swat/place =bomb!attack =kill!kill 6:killed"))
	if d := add(t, s, told("d", 3, "=bomb!attack =kill!kill @swat/place 6:killed bus").with(urdu)); d.Story != "c" || len(d.Merged) > 0 {
		t.Errorf("%+v: want the story of c alone", d)
	}
}
