package watchlist

import (
	"slices"
	"strings"
)

// AnyLang is what an alias is listed under when it counts in every language.
const AnyLang = "any"

// langs are the BCP 47 primary subtags that lists may use: ISO 639-1, and the longer codes of languages that news of the regions is written in.
var langs = strings.Fields(`
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es et eu fa ff fi fj fo
fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg
li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se
sg sh si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu
aeb ajp apc apd ary arz ayl azb bal bgn bho bqi brh bsk ceb ckb crh diq doi fil gag glk haz hnd hno hsb isd kaa kbd khw kmr krc kum lez lrc
mai mzn nan pbt pbu pnb pes prs pst rom sat sgh skr syr tly tpi tyv wbl wuu xmf yah yue zza`)

// langNames are the words that people write where a code belongs.
var langNames = map[string]string{
	"english": "en", "eng": "en", "urdu": "ur", "urd": "ur", "pashto": "ps", "pushto": "ps", "pus": "ps", "pashtu": "ps", "persian": "fa",
	"farsi": "fa", "fas": "fa", "per": "fa", "dari": "prs", "arabic": "ar", "ara": "ar", "russian": "ru", "rus": "ru", "chinese": "zh",
	"cn": "zh", "zho": "zh", "chi": "zh", "mandarin": "zh", "hindi": "hi", "hin": "hi", "uzbek": "uz", "uzb": "uz", "tajik": "tg", "tgk": "tg",
	"turkmen": "tk", "tuk": "tk", "turkish": "tr", "tur": "tr", "french": "fr", "fra": "fr", "german": "de", "deu": "de", "spanish": "es",
	"spa": "es", "balochi": "bal", "baloch": "bal", "punjabi": "pa", "sindhi": "sd", "kashmiri": "ks", "uyghur": "ug", "uighur": "ug",
	"kyrgyz": "ky", "kazakh": "kk", "japanese": "ja", "jp": "ja", "korean": "ko", "kp": "ko", "ua": "uk", "ukrainian": "uk", "hebrew": "he", "iw": "he",
	"all": AnyLang, "*": AnyLang, "und": AnyLang, "mul": AnyLang,
}

// Langs lists the language codes that a list may use, sorted, without AnyLang.
func Langs() []string { return slices.Sorted(slices.Values(langs)) }

// KnownLang tells whether code is a language code that a list may use.
func KnownLang(code string) bool { return slices.Contains(langs, code) }

// langHint is the next step for an unknown code.
func langHint(code string) string {
	low := strings.ToLower(code)
	base, _, _ := strings.Cut(strings.ReplaceAll(low, "_", "-"), "-")
	for _, c := range []string{low, base} {
		if known, ok := langNames[c]; ok {
			return `did you mean "` + known + `"?`
		}
		if KnownLang(c) {
			return `did you mean "` + c + `"?`
		}
	}
	return "write a code such as en, ur, ps, fa, prs, ar, ru, zh, hi, uz, or any"
}
