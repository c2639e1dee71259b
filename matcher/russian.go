package matcher

import "strings"

// The slots of a Russian paradigm: six cases, singular then plural. Nominative is first in both.
const slots = 12

// russian declines a phrase as a whole: adjectives agree with the first noun, whatever follows it stays (линия Дюранда, линией Дюранда), and of a
// hyphenated name only the last part declines (Аль-Каида, Аль-Каиды).
func russian(ws []word) [][]word {
	forms := make([][slots][]string, len(ws))
	noun := false
	for i := range ws {
		if noun || i+1 < len(ws) && ws[i+1].hyphen {
			continue
		}
		if i == len(ws)-1 || !isAdjective(ws[i].s) {
			noun = true
			forms[i] = declineNoun(ws[i].s)
			if isAdjective(ws[i].s) {
				forms[i] = declineAdjective(ws[i].s)
			}
			continue
		}
		forms[i] = declineAdjective(ws[i].s)
	}
	var out [][]word
	for slot := range slots {
		out = append(out, agree(ws, forms, slot)...)
	}
	return out
}

// agree writes every combination of the forms of one slot. Words without forms stay.
func agree(ws []word, forms [][slots][]string, slot int) [][]word {
	out := [][]word{nil}
	for i, w := range ws {
		choices := forms[i][slot]
		if noForms(forms[i]) {
			choices = []string{w.s}
		}
		if len(choices) == 0 {
			return nil
		}
		var next [][]word
		for _, head := range out {
			for _, c := range choices {
				line := append(append([]word(nil), head...), w)
				line[i].s = c
				next = append(next, line)
			}
		}
		out = next
	}
	return out
}

func noForms(f [slots][]string) bool {
	for _, x := range f {
		if len(x) > 0 {
			return false
		}
	}
	return true
}

func isAdjective(s string) bool {
	for _, e := range []string{"ый", "ий", "ой", "ая", "яя", "ое", "ее", "ые", "ие"} {
		if _, ok := cut(s, e, 3); ok {
			return !strings.HasSuffix(s, "ение") && !strings.HasSuffix(s, "ание")
		}
	}
	return false
}

// paradigm is the endings of the slots, written with blanks between slots and | between choices; "-" is a slot without a form.
func paradigm(stem, endings string) (f [slots][]string) {
	for i, e := range strings.Fields(endings) {
		if e == "-" {
			continue
		}
		for _, choice := range strings.Split(e, "|") {
			if choice == "0" {
				choice = ""
			}
			f[i] = append(f[i], stem+choice)
		}
	}
	return f
}

func declineAdjective(s string) [slots][]string {
	stem := s[:len(s)-len("ый")]
	soft := strings.HasSuffix(s, "яя") || strings.HasSuffix(s, "ее") || strings.HasSuffix(s, "ий") && !endsIn(stem, "кгх")
	hush := endsIn(stem, "кгхжшщч")
	i, p := "ы", "ые ых ым ые|ых ыми ых"
	if soft || hush {
		i, p = "и", "ие их им ие|их ими их"
	}
	o := "о"
	if soft {
		o = "е"
	}
	switch {
	case strings.HasSuffix(s, "ая"), strings.HasSuffix(s, "яя"):
		a, u := "ая", "ую"
		if soft {
			a, u = "яя", "юю"
		}
		return paradigm(stem, a+" "+o+"й "+o+"й "+u+" "+o+"й|"+o+"ю "+o+"й "+p)
	case strings.HasSuffix(s, "ое"), strings.HasSuffix(s, "ее"):
		return paradigm(stem, o+"е "+o+"го "+o+"му "+o+"е "+i+"м "+o+"м "+p)
	case strings.HasSuffix(s, "ые"), strings.HasSuffix(s, "ие"):
		return paradigm(stem, "- - - - - - "+p)
	}
	masc := strings.TrimPrefix(s, stem)
	return paradigm(stem, masc+" "+o+"го "+o+"му "+masc+"|"+o+"го "+i+"м "+o+"м "+p)
}

func endsIn(s, letters string) bool {
	for _, r := range letters {
		if strings.HasSuffix(s, string(r)) {
			return true
		}
	}
	return false
}

func declineNoun(s string) [slots][]string {
	if runes(s) < 3 {
		return [slots][]string{}
	}
	for _, p := range nounParadigms() {
		if stem, ok := cut(s, p.ending, 2); ok {
			if p.ending == "" && (endsIn(s, "аеиоуыэюяйь") || !cyrillic(s)) {
				continue
			}
			endings := p.endings
			if endsIn(stem, "кгхжшщч") {
				endings = afterHush(endings)
			}
			return paradigm(stem, endings)
		}
	}
	return [slots][]string{}
}

type nounParadigm struct{ ending, endings string }

// nounParadigms is tried in order.
func nounParadigms() []nounParadigm {
	return []nounParadigm{
		{"ия", "ия ии ии ию ией|иею ии ии ий иям ии|ий иями иях"},
		{"ие", "ие ия ию ие ием ии ия ий иям ия иями иях"},
		{"ец", "ец ца цу ец|ца цем це цы цев цам цев|цы цами цах"},
		{"ок", "ок ка|ока ку|оку ок|ка|ока ком|оком ке|оке ки|оки ков|оков кам|окам ков|ки|оки ками|оками ках|оках"},
		{"цы", "- - - - - - цы цев цам цев|цы цами цах"},
		{"ка", "ка ки ке ку кой|кою ке ки ок|к кам ки|ок|к ками ках"},
		{"а", "а ы е у ой|ою|ей е ы 0 ам ы|0 ами ах"},
		{"я", "я и е ю ей|ею е и ь|ей ям и|ей ями ях"},
		{"о", "о а у о ом е а 0 ам а ами ах"},
		{"е", "е я|а ю|у е ем е я|а ей ям|ам я|а ями|ами ях|ах"},
		{"й", "й я ю й|я ем е|и и ев ям ев|и ями ях"},
		{"ь", "ь я|и ю|и ь|я ем|ью е|и и ей ям ей|и ями ях"},
		{"ы", "- - - - - - ы ов|0 ам ов|ы|0 ами ах"},
		{"и", "- - - - - - и ов|ей|0 ам|ям ов|ей|и ами|ями ах|ях"},
		{"", "0 а у 0|а ом|ем е ы ов|ей ам ов|ей|ы ами ах"},
	}
}

func cyrillic(s string) bool { return s >= "а" && s < "ԯ" }

// afterHush writes и where ы cannot stand.
func afterHush(endings string) string {
	out := strings.Fields(endings)
	for i, e := range out {
		out[i] = strings.ReplaceAll(e, "ы", "и")
	}
	return strings.Join(out, " ")
}
