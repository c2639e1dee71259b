package matcher

import (
	"slices"
	"strings"
	"testing"

	"tocsin/matcher/fold"
)

// Each line is language, phrase, and forms (~ is a zero width non-joiner) in which speakers write it; forms behind a dash are other words and must not be made.
func TestForms(t *testing.T) {
	for _, line := range strings.Split(strings.TrimSpace(strings.ReplaceAll(`
ru | линия Дюранда | линии Дюранда, линию Дюранда, линией Дюранда, линий Дюранда | линия Дюранды
ru | Талибан | Талибана, Талибану, Талибаном, Талибане
ru | талибы | талибов, талибам, талибами, талибах
ru | боевик | боевика, боевики, боевиков, боевиками
ru | пакистанский Талибан | пакистанского Талибана, пакистанскому Талибану, пакистанским Талибаном | пакистанского Талибаном
ru | Китайско-пакистанский экономический коридор | Китайско-пакистанского экономического коридора, Китайско-пакистанским экономическим коридором
ru | Трансафганская железная дорога | Трансафганской железной дороги, Трансафганскую железную дорогу, Трансафганской железной дорогой
ru | Армия освобождения Белуджистана | Армии освобождения Белуджистана, Армией освобождения Белуджистана
ru | Аль-Каида | Аль-Каиды, Аль-Каиде, Аль-Каиду, Аль-Каидой, Алькаида | Али-Каида
ru | афганские беженцы | афганских беженцев, афганским беженцам, афганскими беженцами
ru | депортация афганских беженцев | депортации афганских беженцев, депортацию афганских беженцев
ru | заключение договора | заключения договора, заключением договора
ru | атака | атаки, атак, атакой, атаками
ru | Торхам | Торхама, Торхаме
ru | вооружённая группа | вооружённой группы, вооружённых групп, вооружёнными группами
ru | КПЭК | | КПЭКа
ru | Кашмир | Кашмира, Кашмире
ru | граница | границы, границе, границу, границ, границей
ru | переговоры | переговоров, переговорам
en | Durand Line | Durand Lines, DurandLine
en | al-Qaeda | alqaeda
en | drone | drones
en | ceasefire agreement | ceasefire agreements
en | refugee camp | refugee camps
en | border city | border cities
en | IS-K | | ISK
en | TTP | | TTPs
ar | القاعدة | والقاعدة, بالقاعدة, للقاعدة, وللقاعدة, فالقاعدة, كالقاعدة | لالقاعدة
ar | حركة طالبان | وحركة طالبان, لحركة طالبان, بحركة طالبان, ولحركة طالبان
ar | طالبان | لطالبان, وطالبان
hi | शरणार्थी | शरणार्थियों
hi | तालिबान | तालिबानों | तालिबानी
hi | हमला | हमले, हमलों
hi | सीमा समझौता | सीमा समझौते, सीमा समझौतों
hi | हिंदी | हिन्दी
hi | सिन्धु जल संधि | सिंधु जल संधि, सिन्धु जल सन्धि
ur | سی پیک | اورسی پیک, نےسی پیک
ur | طالبان | کاطالبان, اورطالبان | طالبانی
ur | حملہ | حملے, حملوں
ur | راہداری | راہداریوں
ur | بارڈر بند | بارڈربند
ps | طالبان | طالبانو, دطالبان | طالباني
ps | کرښه | کرښې
ps | افغان کډوال | افغان کډوالو, افغانو کډوالو
ps | پاکستاني طالبان | پاکستانيو طالبانو
fa | پروژه | پروژه~ها, پروژه~های, پروژه~ی
fa | طالبان | طالبان~ها, وطالبان, درطالبان | طالبانی
uz | Qoʻshtepa kanali | Qoʻshtepa kanalining
zh | 中巴经济走廊
`, "~", zwnj)), "\n") {
		cols := strings.Split(line, "|")
		lang, phrase := strings.TrimSpace(cols[0]), strings.TrimSpace(cols[1])
		got := forms(phrase, lang, true)
		if got[0] != fold.String(phrase) {
			t.Errorf("%s %q: the first form is %q", lang, phrase, got[0])
		}
		for k, list := range cols[2:] {
			for _, f := range strings.Split(list, ",") {
				f = strings.TrimSpace(f)
				if f == "" {
					continue
				}
				has := slices.Contains(got, fold.String(f)) || strings.HasPrefix(fold.String(f), got[0]+" ")
				if has != (k == 0) {
					t.Errorf("%s %q: form %q made: %v\n%q", lang, phrase, f, has, got)
				}
			}
		}
	}
}

func TestFormsOff(t *testing.T) {
	if got := forms("линия Дюранда", "ru", false); len(got) != 1 {
		t.Errorf("without inflection %q", got)
	}
	x := compile(t, `
entities:
  - {id: a, name: A, aliases: {ru: [{text: Талибан, inflect: false}, {text: Кашмир, case: exact}], any: [{text: Durand Line, inflect: true}], en: [{text: BLA, case: exact, needs: {any: [quetta]}}]}, flag: [x]}
`)
	for _, c := range []struct{ text, want string }{
		{"Талибан", "a"},
		{"Талибана", ""},
		{"Кашмир", "a"},
		{"Кашмира", ""},
		{"кашмир", ""},
		{"Durand Lines", "a"},
		{"the B.L.A. in Quetta", "a"},
		{"the b.l.a. in Quetta", ""},
		{"The BLAs in Quetta", ""},
	} {
		if got := flagged(x, "ru", c.text); got != c.want {
			t.Errorf("%q flags %q, want %q", c.text, got, c.want)
		}
	}
}
