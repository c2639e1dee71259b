package matcher

import (
	"context"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"tocsin/matcher/watchlist"
	"tocsin/news"
)

// compile makes an index of one list, written as its entities: and rules:.
func compile(t testing.TB, yaml string) *Index {
	t.Helper()
	set, faults := watchlist.Load(fstest.MapFS{"test.yaml": {Data: []byte("id: test\ntitle: Test\n" + yaml)}})
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	x, err := Compile(set)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// flagged gives the ids that a text flags, joined by blanks. A text before a line break is the title.
func flagged(x *Index, lang, text string) string {
	title, body, _ := strings.Cut(text, "\n")
	var ids []string
	for _, m := range x.Match(&news.Item{Lang: lang, Title: title, Body: body}) {
		ids = append(ids, m.IDs()...)
	}
	return strings.Join(ids, " ")
}

const groups = `
contexts:
  afpak: {en: [Pakistan*, Taliban, militant*], ur: [پاکستان*], ru: [Пакистан, боевик*]}
entities:
  - id: ttp
    name: Tehrik-i-Taliban Pakistan
    kind: organisation
    aliases:
      en:
        - Tehrik-i-Taliban Pakistan
        - Tehreek-e-Taliban, Pakistan
        - Pakistani Taliban
        - {text: TTP, case: exact, needs: {any: [$afpak], within: 10}, unless: {any: [platelet*, "plasma exchange"]}}
      ur: [تحریک طالبان پاکستان, {text: ٹی ٹی پی, needs: {any: [$afpak]}}]
      ru: [пакистанский Талибан]
      zh: [{text: 巴塔, needs: {any: [巴基斯坦]}}]
    decoys: [巴塔哥尼亚, Pakistani Taliban Studies Review]
    flag: [The Pakistani Taliban claimed it.]
  - id: afghan-taliban
    name: Taliban
    kind: organisation
    aliases:
      en: [Taliban]
      ru: [Талибан, талибы]
      ar: [{text: طالبان, unless: {any: [جامعيان, جامعة], within: 3}}]
      ps: [طالبان]
    flag: [The Taliban said so.]
  - id: bla
    name: Balochistan Liberation Army
    kind: organisation
    aliases:
      en: [Balochistan Liberation Army, {text: BLA, case: exact, needs: {any: [baloch*, quetta], within: 20}}]
      ru: [{text: БЛА, needs: {any: [белудж*]}}]
    flag: [The Balochistan Liberation Army said so.]
  - id: durand-line
    name: Durand Line
    kind: place
    aliases:
      en: [Durand Line]
      ru: [линия Дюранда]
      zh: [{text: 杜兰, needs: {any: [边境, 线]}}]
    decoys: [杜兰特, 杜兰戈]
    flag: [The Durand Line again.]
  - id: iskp
    name: Islamic State
    kind: organisation
    aliases:
      zh: [伊斯兰国]
      ar: [ولاية خراسان]
    decoys: [阿拉伯—伊斯兰国家, 伊斯兰国家]
    flag: [{lang: zh, text: 伊斯兰国宣称负责}]
  - id: cpec
    name: CPEC
    kind: project
    aliases:
      fa: ["سی\u200Cپک"]
      ps: [سي پېک]
      en: [CASA-1000]
      zh: [中巴经济走廊]
    flag: [CASA-1000 is not CPEC]
  - id: qaeda
    name: al-Qaeda
    kind: organisation
    aliases:
      en: [al-Qaeda]
      ru: [Аль-Каида]
      ar: [القاعدة]
      hi: [अल क़ायदा]
    flag: [al-Qaeda said so.]
`

func TestDecisions(t *testing.T) {
	x := compile(t, groups)
	for _, c := range []struct{ name, lang, text, want string }{
		{"plain", "en", "Tehrik-i-Taliban Pakistan claims it", "ttp"},
		{"spacing and dashes", "en", "TEHRIK–I–TALIBAN PAKISTAN claims it", "ttp"},
		{"a hard gap is not crossed", "en", "tehrik-i-Taliban. Pakistan says", "afghan-taliban"},
		{"an alias with a comma reads it", "en", "the Tehreek-e-Taliban, Pakistan", "ttp"},
		{"the longer name hides the shorter", "en", "the Pakistani Taliban", "ttp"},
		{"both names", "en", "the Pakistani Taliban and the Taliban", "afghan-taliban ttp"},
		{"possessive", "en", "the Taliban’s envoy", "afghan-taliban"},
		{"not inside words", "en", "restart httpd, Talibanisation", ""},
		{"exact case", "en", "Pakistan: ttp", ""},
		{"needs near", "en", "Pakistan says TTP did it", "ttp"},
		{"needs too far", "en", "Pakistan " + strings.Repeat("word ", 12) + "TTP", ""},
		{"needs in another field", "en", "Pakistan\nTTP attacked", ""},
		{"unless anywhere", "en", "TTP in Pakistan\nlow platelets were found", ""},
		{"unless a phrase", "en", "TTP in Pakistan needs plasma exchange", ""},
		{"plural of the acronym is another word", "en", "Pakistan TTPs", ""},
		{"decoy of its own", "en", "Pakistani Taliban Studies Review", ""},
		{"introduced as the entity", "en", "The Balochistan Liberation Army (BLA) said\nLater BLA", "bla"},
		{"introduced as something else", "en", "The biologics license application (BLA)\nA BLA from Quetta by Baloch chemists", ""},
		{"introduced behind", "en", "BLA (biologics license application) from Quetta", ""},
		{"introduced with commas", "en", "tactics, techniques, and procedures (TTPs) of Pakistan; TTP", ""},
		{"an unknown spelling is no other meaning", "en", "The Baluchistan Liberation Army (BLA) in Quetta", "bla"},
		{"introduced in Russian", "ru", "беспилотный летательный аппарат (БЛА) сбит у белуджей", ""},
		{"Urdu", "ur", "پاکستان میں ٹی ٹی پی کے حملے", "ttp"},
		{"Urdu without context", "ur", "ٹی ٹی پی", ""},
		{"Urdu spelt with Arabic letters", "ur", "تحريك طالبان پاكستان", "ttp"},
		{"two students", "ar", "طالبان جامعيان", ""},
		{"the Taliban in Arabic", "ar", "أعلنت حركة طالبان", "afghan-taliban"},
		{"clitics", "ar", "وبالقاعدة وللقاعدة", "qaeda"},
		{"clitic on the first word", "ar", "لولاية خراسان", "iskp"},
		{"hamza and vowel signs", "ar", "القَاعِدَة", "qaeda"},
		{"Pashto oblique", "ps", "د طالبانو مشر", "afghan-taliban"},
		{"Pashto yehs", "ps", "د سی پیک پروژه", "cpec"},
		{"zero width non-joiner", "fa", "پروژه سی\u200cپک", "cpec"},
		{"zero width non-joiner written as a space", "fa", "پروژه سی پک", "cpec"},
		{"zero width non-joiner left out", "fa", "پروژه سیپک", "cpec"},
		{"Russian case", "ru", "за линией Дюранда", "durand-line"},
		{"Russian adjective and noun", "ru", "пакистанского Талибана", "ttp"},
		{"Russian plural", "ru", "с талибами", "afghan-taliban"},
		{"Russian hyphen", "ru", "с «Аль-Каидой»", "qaeda"},
		{"Hindi nukta", "hi", "अल क़ायदा और अल कायदा", "qaeda"},
		{"Patagonia", "zh", "巴塔哥尼亚在巴基斯坦", ""},
		{"the Chinese short form", "zh", "巴基斯坦的巴塔发动袭击", "ttp"},
		{"Durant", "zh", "杜兰特在边境", ""},
		{"Durand", "zh", "杜兰边境", "durand-line"},
		{"Arab and Islamic countries", "zh", "阿拉伯—伊斯兰国家峰会", ""},
		{"Islamic State", "zh", "伊斯兰国和伊斯兰国家", "iskp"},
		{"Han beside Latin", "zh", "推进CASA-1000项目", "cpec"},
		{"letters and digits joined", "en", "the CASA1000 line", "cpec"},
		{"Han phrase", "zh", "推进中巴经济走廊建设", "cpec"},
		{"any language", "de", "Die Taliban", "afghan-taliban"},
		{"nothing", "en", "", ""},
	} {
		if got := flagged(x, c.lang, c.text); got != c.want {
			t.Errorf("%s: %q flags %q, want %q\n%s", c.name, c.text, got, c.want, explained(x, c.lang, c.text))
		}
	}
}

func explained(x *Index, lang, text string) string {
	title, body, _ := strings.Cut(text, "\n")
	var b strings.Builder
	if err := x.Explain(&news.Item{Lang: lang, Title: title, Body: body}).Write(&b, false); err != nil {
		return err.Error()
	}
	return b.String()
}

func TestMatchFields(t *testing.T) {
	x := compile(t, `
severity: low
labels: {region: afpak, desk: one}
sources: {langs: [en]}
entities:
  - {id: b, name: Bee, kind: person, about: A bee., severity: high, labels: {desk: two}, aliases: {en: [{text: BLA, case: exact, needs: {any: [quetta], within: 3}}, Bees]}, flag: [Bees], ignore: [x]}
  - {id: a, name: Ay, aliases: {en: [Café Ay]}, flag: [Café Ay]}
rules:
  - {id: r, title: Both, severity: critical, query: '@b NEAR/3 stings', flag: [Bees stings]}
`)
	item := news.Item{ID: "i", Revision: "r1", Lang: "en-GB", Title: "The “BLA” in Quetta", Summary: "CAFE AY", Body: "A bees stings."}
	got := x.Match(&item)
	if len(got) != 1 {
		t.Fatalf("%d matches, want 1", len(got))
	}
	m := got[0]
	if m.Schema != news.Schema || m.Watchlist != "test" || m.Title != "Test" || m.Severity != news.SeverityCritical || !m.MatchedAt.IsZero() ||
		m.ID != news.MatchID("i", "r1", "test", m.Revision) || m.Revision == "" {
		t.Errorf("match is %+v", m)
	}
	if diff := cmp.Diff(map[string]string{"region": "afpak", "desk": "two"}, m.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	entities := []news.EntityHit{{ID: "a", Name: "Ay", Severity: news.SeverityLow}, {ID: "b", Name: "Bee", Kind: "person", About: "A bee.", Severity: news.SeverityHigh}}
	if diff := cmp.Diff(entities, m.Entities); diff != "" {
		t.Errorf("entities (-want +got):\n%s", diff)
	}
	mentions := []news.Mention{
		{Entity: "b", Alias: "BLA", Field: "title", Start: 7, End: 10, Text: "BLA", Why: `with "Quetta" 2 words away`},
		{Entity: "a", Alias: "Café Ay", Field: "summary", Start: 0, End: 7, Text: "CAFE AY", Why: "named"},
		{Entity: "b", Alias: "Bees", Field: "body", Start: 2, End: 6, Text: "bees", Why: "named"},
	}
	if diff := cmp.Diff(mentions, m.Mentions); diff != "" {
		t.Errorf("mentions (-want +got):\n%s", diff)
	}
	rules := []news.RuleHit{{ID: "r", Title: "Both", Severity: news.SeverityCritical, Why: `"bees", "stings"`, Spans: []news.Span{{Field: "body", Start: 2, End: 6}, {Field: "body", Start: 7, End: 13}}}}
	if diff := cmp.Diff(rules, m.Rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	item.Lang = "ru"
	if got := x.Match(&item); len(got) != 0 {
		t.Errorf("an item in a language that the list does not watch gives %d matches", len(got))
	}
}

func TestListsAreApartAndSorted(t *testing.T) {
	entity := "entities:\n  - {id: %, name: N, aliases: {en: [Taliban, {text: Kabul, needs: {any: [$c]}}]}, needs: {any: [city]}, flag: [Taliban city]}\ncontexts: {c: [city]}\n"
	set, faults := watchlist.Load(fstest.MapFS{
		"z.yaml": {Data: []byte("id: z\ntitle: Z\n" + strings.ReplaceAll(entity, "%", "ez"))},
		"a.yaml": {Data: []byte("id: a\ntitle: A\nsources: {feeds: [\"The Outlet\"]}\n" + strings.ReplaceAll(entity, "%", "ea"))},
	})
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	x, err := Compile(set)
	if err != nil {
		t.Fatal(err)
	}
	lists := func(outlet string) (ids []string) {
		for _, m := range x.Match(&news.Item{Title: "Taliban in the city", Outlet: outlet}) {
			ids = append(ids, m.Watchlist)
		}
		return ids
	}
	if diff := cmp.Diff([]string{"a", "z"}, lists("the outlet")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"z"}, lists("another")); diff != "" {
		t.Error(diff)
	}
}

func TestRules(t *testing.T) {
	x := compile(t, `
contexts: {drones: {en: [drone*, UAV], ru: [дрон], zh: [无人机]}}
entities:
  - {id: ttp, name: TTP, aliases: {en: [Pakistani Taliban, {text: TTP, case: exact, needs: {any: [Pakistan]}}]}, flag: [Pakistani Taliban]}
rules:
  - {id: r-and, query: 'rail* AND $drones', flag: [x]}
  - {id: r-not, query: 'bridge AND NOT (football OR film)', flag: [x]}
  - {id: r-near, query: '@ttp NEAR/4 $drones', flag: [x]}
  - {id: r-onear, query: 'gas ONEAR/2 pipeline', flag: [x]}
  - {id: r-near3, query: 'alpha NEAR/3 beta NEAR/3 gamma', flag: [x]}
  - {id: r-atleast, query: 'ATLEAST/3(quake*)', flag: [x]}
  - {id: r-in, query: 'title:(flood OR storm)', flag: [x]}
  - {id: r-lang, query: 'kabul AND lang:ru', flag: [x]}
  - {id: r-feed, query: 'kabul AND feed:"Some Outlet"', flag: [x]}
  - {id: r-case, query: 'case:"IWT"', flag: [x]}
  - {id: r-phrase, query: '"line of control" OR "停火线"', flag: [x]}
  - {id: r-score, score: {at_least: 30, words: {railway: 10, track: 5, '@ttp': 15, blast*: 10, exercise: -10}}, flag: [x]}
  - {id: r-prefix, query: '"suicide bomb*"', flag: [x]}
  - {id: r-mixed, query: 'NOT drill AND (siren OR title:alarm)', flag: [x]}
`)
	for _, c := range []struct{ lang, text, want string }{
		{"en", "Railway hit by drones", "r-and"},
		{"en", "Railway hit", ""},
		{"en", "railroad\nUAV", "r-and"},
		{"en", "The bridge", "r-not"},
		{"en", "The bridge of the film", ""},
		{"en", "The Pakistani Taliban fly drones", "r-near ttp"},
		{"en", "Drones, says the Pakistani Taliban", "r-near ttp"},
		{"en", "The Pakistani Taliban one two three four five drones", "ttp"},
		{"en", "TTP drones", ""},
		{"en", "Pakistan: TTP drones", "r-near ttp"},
		{"en", "Pakistani Taliban\ndrones", "ttp"},
		{"en", "gas in pipeline", "r-onear"},
		{"en", "pipeline gas", ""},
		{"en", "gas a b pipeline", ""},
		{"en", "gamma alpha beta", "r-near3"},
		{"en", "alpha x x beta x x gamma", ""},
		{"en", "alpha alpha x x x x alpha beta x gamma", "r-near3"},
		{"en", "quake quakes earthquake", ""},
		{"en", "quake quakes\nquake", "r-atleast"},
		{"en", "flood", "r-in"},
		{"en", "x\nflood", ""},
		{"ru", "kabul", "r-lang"},
		{"ru-RU", "kabul", "r-lang"},
		{"en", "kabul", ""},
		{"en", "the IWT", "r-case"},
		{"en", "the iwt", ""},
		{"en", "the Line-of-Control", "r-phrase"},
		{"zh", "印巴停火线附近", "r-phrase"},
		{"en", "railway track blast", ""},
		{"en", "railway blasts and Pakistani Taliban", "r-score ttp"},
		{"en", "railway blasts and Pakistani Taliban exercise", "ttp"},
		{"en", "a suicide bomber", "r-prefix"},
		{"en", "suicide, bomber", ""},
		{"en", "siren", "r-mixed"},
		{"en", "alarm", "r-mixed"},
		{"en", "siren drill", ""},
		{"en", "x\nalarm", ""},
		{"ru", "railways и дронами", "r-and"},
	} {
		if got := flagged(x, c.lang, c.text); got != c.want {
			t.Errorf("%q flags %q, want %q\n%s", c.text, got, c.want, explained(x, c.lang, c.text))
		}
	}
	m := x.Match(&news.Item{Title: "kabul", Outlet: "some outlet"})
	if len(m) != 1 || m[0].Rules[0].ID != "r-feed" {
		t.Errorf("feed: gives %+v", m)
	}
}

func TestConditionsOnEntities(t *testing.T) {
	x := compile(t, `
entities:
  - {id: a, name: Aa, aliases: {en: [{text: Alpha, needs: {any: ['@b'], within: 3}}]}, flag: [x]}
  - {id: b, name: Bb, aliases: {en: [{text: Beta, needs: {any: ['@c']}}]}, flag: [x]}
  - {id: c, name: Cc, aliases: {en: [{text: Gamma, unless: {any: ['@a']}}]}, flag: [x]}
  - {id: d, name: Dd, aliases: {en: [{text: Delta port, needs: {any: [port]}}, {text: Omega, needs: {any: [omega]}}]}, flag: [x]}
  - {id: e, name: Ee, aliases: {en: [{text: Epsilon, needs: {all: [one, two], any: [three, four]}}]}, flag: [x]}
`)
	for _, c := range []struct{ text, want string }{
		{"Beta", ""},
		{"Beta Gamma", "b c"},
		{"Alpha Beta", ""},
		{"Alpha x x x Beta Gamma", "b c"},
		{"Delta port", "d"}, // a word of the alias itself counts
		{"Omega", ""},       // the alias alone is not its own context
		{"Omega omega", "d"},
		{"Epsilon one two", ""},
		{"Epsilon one two four", "e"},
		{"Epsilon one four", ""},
	} {
		if got := flagged(x, "en", c.text); got != c.want {
			t.Errorf("%q flags %q, want %q\n%s", c.text, got, c.want, explained(x, "en", c.text))
		}
	}
}

func TestThemesDoNotHideNames(t *testing.T) {
	x := compile(t, `
entities:
  - {id: group, name: Group, kind: organisation, aliases: {en: [Taliban]}, flag: [x]}
  - {id: theme, name: Theme, kind: theme, aliases: {en: [Taliban drones]}, flag: [x]}
  - {id: town, name: Town, kind: place, aliases: {en: [Taliban town]}, flag: [x]}
`)
	if got := flagged(x, "en", "Taliban drones"); got != "group theme" {
		t.Errorf("a theme leaves %q", got)
	}
	if got := flagged(x, "en", "Taliban town"); got != "town" {
		t.Errorf("a place leaves %q", got)
	}
}

func TestNativeAliasDecides(t *testing.T) {
	x := compile(t, `
entities:
  - {id: port, name: Port, kind: project, aliases: {ps: [چابهار], fa: [{text: چابهار, needs: {any: [بندر]}}], any: [{text: Chabahar, needs: {any: [port]}}]}, flag: [x]}
`)
	for _, c := range []struct{ lang, text, want string }{
		{"fa", "چابهار", ""},
		{"prs", "چابهار", ""},
		{"fa", "بندر چابهار", "port"},
		{"ps", "چابهار", "port"},
		{"ur", "چابهار", "port"}, // neither is native: each may count
		{"de", "Chabahar", ""},
	} {
		if got := flagged(x, c.lang, c.text); got != c.want {
			t.Errorf("%s %q flags %q, want %q", c.lang, c.text, got, c.want)
		}
	}
}

func TestCanary(t *testing.T) {
	x := compile(t, groups)
	m, err := New(Options{Publish: func(context.Context, news.Match) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	m.Swap(x)
	item := news.Item{ID: "c", Title: CanaryTitle, Body: "The Taliban", Reason: news.ReasonCanary}
	got := x.Match(&item)
	if len(got) != 1 || got[0].Watchlist != CanaryList || len(got[0].Entities) != 1 || got[0].Entities[0].ID != CanaryEntity {
		t.Errorf("a canary matches %+v", got)
	}
	item.Reason = news.ReasonNew
	if got := x.Match(&item); len(got) != 1 || got[0].Watchlist != "test" {
		t.Errorf("news with the words of the canary matches %+v", got)
	}
}
