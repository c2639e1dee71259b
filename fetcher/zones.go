package fetcher

import "strings"

// named gives the offset of a zone abbreviation in seconds. Ambiguous ones are read as the feeds of the regions that Tocsin watches mean them.
func (d *dateReader) named(name string) (seconds int, known bool) {
	switch name {
	case "cst":
		if d.lang == "zh" || d.country == "CN" || d.country == "TW" {
			return 8 * 3600, true
		}
	case "ist":
		if d.country == "IL" || d.lang == "he" {
			return 2 * 3600, true
		}
	case "ast":
		switch d.country {
		case "SA", "KW", "BH", "QA", "IQ", "YE":
			return 3 * 3600, true
		}
	}
	minutes, known := zoneTable[name]
	return minutes * 60, known
}

// zoneTable holds offsets in minutes.
var zoneTable = map[string]int{
	"z": 0, "ut": 0, "utc": 0, "gmt": 0, "wet": 0, "west": 60, "bst": 60, "cet": 60, "cest": 120, "mez": 60, "mesz": 120, "met": 60,
	"eet": 120, "eest": 180, "msk": 180, "msd": 240, "trt": 180, "sast": 120, "cat": 120, "eat": 180, "wat": 60,
	"pkt": 300, "aft": 270, "ist": 330, "irst": 210, "irdt": 270, "uzt": 300, "tjt": 300, "tmt": 300, "kgt": 360, "almt": 300, "qyzt": 300,
	"npt": 345, "bdt": 360, "btt": 360, "lkt": 330, "mmt": 390, "gst": 240, "azt": 240, "amt": 240, "get": 240, "yekt": 300, "novt": 420,
	"hkt": 480, "sgt": 480, "myt": 480, "pht": 480, "wib": 420, "wita": 480, "ict": 420, "jst": 540, "kst": 540,
	"awst": 480, "acst": 570, "aest": 600, "aedt": 660, "nzst": 720, "nzdt": 780,
	"est": -300, "edt": -240, "cst": -360, "cdt": -300, "mst": -420, "mdt": -360, "pst": -480, "pdt": -420, "akst": -540, "akdt": -480, "hst": -600,
	"ast": -240, "adt": -180, "brt": -180, "art": -180, "clt": -240, "pet": -300, "cot": -300,
}

// monthOf gives the month that a word names, 0 when it names none.
func monthOf(w string) int {
	if m := monthTable[w]; m > 0 {
		return m
	}
	if len(w) > 3 {
		if m := monthTable[strings.TrimSuffix(w, ".")]; m > 0 {
			return m
		}
	}
	return 0
}

// monthTable knows months in lower case: English, Russian, German, French, Spanish, Portuguese, Italian, Turkish, Uzbek, Arabic, Persian, Urdu,
// Pashto, Hindi.
var monthTable = months(
	"jan january янв январь января jän januar janv janvier ene enero janeiro gen gennaio ocak yanvar يناير ژانویه جنوری جنوري जनवरी",
	"feb february фев февраль февраля februar févr février febrero fev fevereiro febbraio şubat fevral فبراير فوریه فروری فبروري फरवरी फ़रवरी",
	"mar march мар март марта mär märz mars marzo março mart مارس مارچ مارچ मार्च",
	"apr april апр апрель апреля avr avril abr abril aprile nisan aprel أبريل ابريل آوریل اپریل اپرېل अप्रैल",
	"may май мая mai mayo maio mag maggio mayıs may مايو مه مئی می मई",
	"jun june июн июнь июня juni juin junio junho giu giugno haziran iyun يونيو ژوئن جون जून",
	"jul july июл июль июля juli juil juillet julio julho lug luglio temmuz iyul يوليو ژوئیه جولائی جولای जुलाई",
	"aug august авг август августа août ago agosto ağustos avgust أغسطس اوت اگست अगस्त",
	"sep sept september сен сент сентябрь сентября septembre septiembre set setembro settembre eylül sentabr سبتمبر سپتامبر ستمبر سپټمبر सितंबर सितम्बर",
	"oct october окт октябрь октября okt oktober octobre octubre out outubro ott ottobre ekim oktabr أكتوبر اکتبر اکتوبر अक्टूबर अक्तूबर",
	"nov november ноя нояб ноябрь ноября novembre noviembre novembro kasım noyabr نوفمبر نوامبر نومبر نوفمبر नवंबर नवम्बर",
	"dec december дек декабрь декабря dez dezember déc décembre dic diciembre dezembro dicembre aralık dekabr ديسمبر دسامبر دسمبر ډسمبر दिसंबर दिसम्बर",
)

func months(names ...string) map[string]int {
	m := map[string]int{}
	for i, line := range names {
		for _, n := range strings.Fields(line) {
			m[n] = i + 1
		}
	}
	return m
}
