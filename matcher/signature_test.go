package matcher

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/matcher/watchlist"
	"tocsin/news"
)

func TestSlugIsTheTitleThatALinkSpells(t *testing.T) {
	for link, want := range map[string]string{
		"https://news.example/world/2026/11/01/us-closes-embassy-in-city-4711.html": "US Closes Embassy In City",
		"https://news.example/world/some_words-spelled+apart":                       "Some Words Spelled Apart",
		"https://news.example/business/2026/08":                                     "",
		"https://news.example/article_b20319ce-72bb-569c-a766-4bd12fa3109d.html":    "",
		"https://news.example/a-b":                                                  "", "": "", "::": "",
	} {
		if got := slug(link); got != want {
			t.Errorf("%q spells %q, want %q", link, got, want)
		}
	}
}

func TestFormsOfTitles(t *testing.T) {
	x, err := Compile(&watchlist.Set{})
	if err != nil {
		t.Fatal(err)
	}
	for title, want := range map[string]string{
		"Is the harbour losing its trade?":                        news.FormView,
		"The mayor threatens to close the harbour, but why?":      news.FormView,
		"A new flashpoint? Guards seize a ship in the harbour":    "",
		"Guards seize a ship. What happens now?":                  "",
		"Mayor closes the harbour":                                "",
		"Harbour crisis live: mayor closes the port":              news.FormLive,
		"Gold price today, 4 August: check rates in Delhi":        news.FormColumn,
		"Analysis: what the closing of the harbour means for all": news.FormView,
	} {
		if got := x.Signature(&news.Item{Lang: "en", Title: title}).Form; got != want {
			t.Errorf("%q has form %q, want %q", title, got, want)
		}
	}
}

func TestSegmentsLoseOutletsAndRunningHeads(t *testing.T) {
	for title, want := range map[string][]string{
		"Harbour crisis live: mayor closes the port; a sailor dies":        {"mayor closes the port", "a sailor dies"},
		"Mayor closes the port | East Town and West Shire Guardian Series": {"Mayor closes the port"},
		"Mayor closes the port - Example Times":                            {"Mayor closes the port"},
		"The Latest: Mayor closes the port":                                {"Mayor closes the port"},
	} {
		if d := cmp.Diff(want, segments(title)); d != "" {
			t.Errorf("%q (-want +got):\n%s", title, d)
		}
	}
}

func TestSignatureIsTheSameAcrossLanguages(t *testing.T) {
	x, err := Compile(&watchlist.Set{})
	if err != nil {
		t.Fatal(err)
	}
	for lang, title := range map[string]string{
		"en": "14 killed in blast in Quetta, Pakistan", "ur": "کوئٹہ پاکستان میں دھماکہ، 14 افراد ہلاک", "ru": "Взрыв в Кветте, Пакистан: 14 погибших", "zh": "巴基斯坦奎达爆炸 14人死亡",
	} {
		s := x.Signature(&news.Item{Lang: lang, Title: title})
		for _, id := range []string{"quetta", "pakistan"} {
			if !slices.ContainsFunc(s.Anchors, func(a news.Anchor) bool { return a.ID == id }) {
				t.Errorf("%s: no anchor %s in %+v", lang, id, s.Anchors)
			}
		}
		if !slices.ContainsFunc(s.Numbers, func(n news.Number) bool { return n.Value == 14 && n.Unit == news.UnitKilled }) || !slices.Contains(s.Events, "attack") {
			t.Errorf("%s: numbers %+v, events %v", lang, s.Numbers, s.Events)
		}
	}
}
