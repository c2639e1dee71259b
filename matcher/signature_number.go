package matcher

import (
	"strconv"
	"strings"

	"tocsin/news"
)

// monthNames gives the number of a month by its folded name or abbreviation, English.
func monthNames() map[string]int {
	out := map[string]int{}
	for i, names := range strings.Split("jan january,feb february,mar march,apr april,may,jun june,jul july,aug august,sep sept september,oct october,nov november,dec december", ",") {
		for _, n := range strings.Fields(names) {
			out[n] = i + 1
		}
	}
	return out
}

// numerals are small numbers in words. English "one" and its like in other languages are left out: they rarely count.
func numerals() map[string]float64 {
	out := map[string]float64{}
	for n, words := range map[float64]string{
		2: "two دو двое два двух दो دوه two", 3: "three سه تین трое три трёх трех तीन درې", 4: "four چهار چار четверо четыре четырех चार څلور",
		5: "five پنج پانچ пятеро пять пяти पांच पाँच پنځه", 6: "six شش چھ چھہ шесть шести छह छः شپږ", 7: "seven هفت سات семь семи सात اووه",
		8: "eight هشت آٹھ восемь восьми आठ اته", 9: "nine نه نو девять девяти नौ نهه نهو", 10: "ten ده دس десять десяти दस لس", 11: "eleven یازده گیارہ одиннадцать ग्यारह",
		12: "twelve dozen دوازده بارہ двенадцать बारह دولس", 13: "thirteen سیزده تیرہ तेरह", 14: "fourteen چودہ चौदह", 15: "fifteen پانزده پندرہ पंद्रह", 16: "sixteen سولہ सोलह",
		17: "seventeen سترہ", 18: "eighteen اٹھارہ", 20: "twenty بیست بیس двадцать बीस شل", 30: "thirty سی تیس тридцать तीस", 40: "forty چهل چالیس", 50: "fifty پنجاه پچاس",
	} {
		for _, w := range strings.Fields(words) {
			if toks := sigTokens(w); len(toks) == 1 {
				out[toks[0].text] = n
			}
		}
	}
	return out
}

// scales are the words and letters that multiply a figure before them.
func scales() map[string]float64 {
	out := map[string]float64{}
	for n, words := range map[float64]string{
		1e2: "hundred sad сотен سو", 1e3: "thousand k هزار ہزار тыс тысяч तजार हजार हज़ार زره ألف", 1e4: "万", 1e5: "lakh لاکھ लाख", 1e6: "million mn m میلیون ملین млн миллион मिलियन مليون",
		1e7: "crore cr کروڑ करोड़ करोड", 1e8: "亿", 1e9: "billion bn b میلیارد ارب млрд миллиард अरब مليار", 1e12: "trillion tn trn",
	} {
		for _, w := range strings.Fields(words) {
			if toks := sigTokens(w); len(toks) == 1 {
				out[toks[0].text] = n
			}
		}
	}
	return out
}

// figure is a number in a text, at the tokens from..to-1.
type figure struct {
	value    float64
	unit     string
	from, to int
}

// figures finds the numbers of a text, less dates, years, clock times and ordinals.
func (l *lexicon) figures(text string, toks []sigToken, date func(i int) bool) []figure {
	var out []figure
	for i := 0; i < len(toks); i++ {
		v, unit, ok := l.value(&toks[i])
		if !ok && toks[i].text == "one" && i+1 < len(toks) && toks[i+1].gap < 3 && toks[i+1].text != "of" {
			v, ok = 1, true
		}
		if !ok || date(i) || isYear(toks[i].text, v) {
			continue
		}
		f := figure{value: v, unit: unit, from: i, to: i + 1}
		f.money(text, toks)
		f.scale(l, toks)
		if strings.HasPrefix(text[toks[f.to-1].end:], "%") || f.to < len(toks) && percentWord(toks[f.to].text) {
			f.unit = news.UnitPercent
		}
		if f.to < len(toks) && toks[f.to].digits && isDash(text[toks[f.to-1].end:toks[f.to].start]) { // "6-7 years": both count the same
			if w, _, ok := l.value(&toks[f.to]); ok {
				out = append(out, figure{value: f.value, unit: f.unit, from: f.to, to: f.to + 1})
				f.value, f.from, f.to = w, f.to, f.to+1
			}
		}
		out = append(out, f)
		i = f.to - 1
	}
	return out
}

// timeUnit is the unit of a span of time, "" for any other word.
func timeUnit(w string) string {
	switch w = strings.TrimSuffix(w, "s"); w {
	case "year", "month", "week", "day", "hour", "minute":
		return w
	}
	return ""
}

func percentWord(w string) bool {
	return w == "percent" || w == "pc" || w == "pct" || w == "فیصد" || w == "درصد" || w == "प्रतिशत"
}

func isYear(text string, v float64) bool { return len(text) == 4 && v >= 1900 && v < 2100 }

func isDash(s string) bool { return s == "-" || s == "–" || s == "—" }

// money notes a currency sign in front of the figure.
func (f *figure) money(text string, toks []sigToken) {
	before := strings.TrimRight(text[:toks[f.from].start], " ")
	if strings.HasSuffix(before, "$") || strings.HasSuffix(before, "₹") || strings.HasSuffix(before, "€") || strings.HasSuffix(before, "£") || strings.HasSuffix(before, "Rs") || strings.HasSuffix(before, "Rs.") {
		f.unit = news.UnitMoney
	}
}

// scale multiplies by the words behind the figure: "45,000 crore", "6万".
func (f *figure) scale(l *lexicon, toks []sigToken) {
	for f.to < len(toks) && f.to-f.from < 3 && toks[f.to].gap < 3 {
		s, ok := l.scales[toks[f.to].text]
		if !ok {
			return
		}
		f.value *= s
		f.to++
	}
}

// value reads "14", "45000", "5.6", "322b", "8000mw", "five".
func (l *lexicon) value(t *sigToken) (v float64, unit string, ok bool) {
	if !t.digits {
		v, ok = l.numerals[t.text]
		return v, "", ok
	}
	n := strings.IndexFunc(t.text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if n < 0 {
		n = len(t.text)
	}
	v, err := strconv.ParseFloat(strings.Trim(t.text[:n], "."), 64)
	if err != nil {
		return 0, "", false
	}
	switch rest := t.text[n:]; rest {
	case "":
		return v, "", true
	case "st", "nd", "rd", "th":
		return 0, "", false
	default:
		if s, ok := l.scales[rest]; ok {
			return v * s, "", true
		}
		return v, stem(rest), len(rest) <= 3
	}
}

// statedDay finds a day in a title, "July 27", "28 July", as month and day; "" when there is none. is tells which tokens belong to dates.
func (l *lexicon) statedDay(toks []sigToken) (day string, is func(int) bool) {
	part := map[int]bool{}
	for i := range toks {
		m, ok := l.months[toks[i].text]
		if !ok || !toks[i].capital {
			continue
		}
		for _, j := range []int{i + 1, i - 1} {
			if j < 0 || j >= len(toks) || !toks[j].digits {
				continue
			}
			d, err := strconv.Atoi(strings.TrimRight(toks[j].text, "stndrh"))
			if err != nil || d < 1 || d > 31 {
				continue
			}
			part[i], part[j] = true, true
			if day == "" {
				day = pad(m) + "-" + pad(d)
			}
			break
		}
	}
	return day, func(i int) bool { return part[i] }
}

func pad(n int) string {
	if n < 10 {
		return "0" + strconv.Itoa(n)
	}
	return strconv.Itoa(n)
}

// figures keeps the numbers with what they count.
func (b *sigBuilder) figures(toks []sigToken, marks []mark, figures []figure, partAt func(int) int) {
	for _, f := range figures {
		n := news.Number{Value: f.value, Unit: f.unit, Part: partAt(f.from)}
		if n.Unit == "" {
			n.Unit = b.unit(toks, marks, f)
		}
		b.numbers[n] = true
	}
}

// near is how many tokens around a figure are looked at for what it counts.
const near = 3

func (b *sigBuilder) unit(toks []sigToken, marks []mark, f figure) string {
	after, before := "", ""
	for _, m := range marks {
		id := ""
		for _, r := range m.refs {
			if !r.name {
				id = r.id
			}
		}
		switch {
		case id == "" || id == "say":
		case m.from >= f.to && m.from-f.to < near:
			if after == "" || victims(id) && !victims(after) {
				after = id
			}
		case m.to <= f.from && f.from-m.to < near && victims(id):
			before = id
		}
	}
	switch {
	case victims(after):
		return unitOf(after)
	case before != "":
		return unitOf(before)
	case f.to < len(toks) && timeUnit(toks[f.to].text) != "":
		return timeUnit(toks[f.to].text)
	case after != "":
		return "=" + after
	case f.to < len(toks) && !b.l.stop[toks[f.to].text] && !toks[f.to].digits:
		return stem(toks[f.to].text)
	}
	return ""
}

func victims(id string) bool {
	return id == "kill" || id == "wound" || id == "assassinate" || id == "massacre"
}

func unitOf(id string) string {
	if id == "wound" {
		return news.UnitWounded
	}
	return news.UnitKilled
}
