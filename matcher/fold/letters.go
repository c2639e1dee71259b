package fold

import "unicode"

// own gives what a rune does where Unicode's own folding is not what a reader of news means. Sources: the Unicode code charts for Arabic,
// Devanagari and Cyrillic, and spellings counted in real news text.
func own(r rune) (do int, to rune, ok bool) {
	if do, to, ok = arabic(r); ok {
		return do, to, true
	}
	switch {
	case r == 0x200C:
		return doJoiner, 0, true
	case r >= 0xAB70 && r <= 0xABBF: // x/text folds Cherokee back and forth
		return doWord, r - 0xAB70 + 0x13A0, true
	case r >= 0x13F8 && r <= 0x13FD:
		return doWord, r - 8, true
	case r >= 0x13A0 && r <= 0x13F5:
		return doWord, r, true
	case r == 0x345: // the iota below a Greek vowel is a letter once folded
		return doWord, 'ι', true
	case r == 0x306: // breve: и and this are й, which stays a letter of its own
		return doSlow, 0, true
	case r >= 0x300 && r <= 0x36F, r >= 0x1AB0 && r <= 0x1AFF, r >= 0x1DC0 && r <= 0x1DFF, r >= 0x20D0 && r <= 0x20FF, r >= 0xFE20 && r <= 0xFE2F,
		r >= 0x483 && r <= 0x489:
		return doNone, 0, true // combining accents
	case r >= 0x591 && r <= 0x5BD, r == 0x5BF, r == 0x5C1, r == 0x5C2, r == 0x5C4, r == 0x5C5, r == 0x5C7:
		return doNone, 0, true // Hebrew points
	case isNukta(r), r >= 0x951 && r <= 0x954:
		return doNone, 0, true
	case r == 0x901: // chandrabindu is written as anusvara as often as not
		return doWord, 0x902, true
	case unicode.Is(unicode.Cf, r), r >= 0xFE00 && r <= 0xFE0F, r == 0x34F, r >= 0x180B && r <= 0x180F:
		return doNone, 0, true // soft hyphen, joiners, direction marks, variation selectors
	case r >= 0x2B0 && r <= 0x2FF && modifierApostrophe(r):
		return doSoft, 0, true
	case unicode.Is(unicode.Nd, r):
		return doWord, '0' + digit(r), true
	case r == 'ı':
		return doWord, 'i', true
	}
	return 0, 0, false
}

func arabic(r rune) (do int, to rune, ok bool) {
	switch r {
	case 'ي', 'ى', 'ې', 'ۍ', 'ئ', 'ێ', 'ؠ', 'ۑ', 'ٸ':
		return doWord, 'ی', true
	case 'ك', 'ڪ', 'ػ', 'ؼ':
		return doWord, 'ک', true
	case 'ګ', 'ڰ':
		return doWord, 'گ', true
	case 'ہ', 'ھ', 'ة', 'ۀ', 'ە', 'ۂ', 'ۃ', 'ۿ':
		return doWord, 'ه', true
	case 'آ', 'أ', 'إ', 'ٱ', 'ٲ', 'ٳ', 'ٵ':
		return doWord, 'ا', true
	case 'ؤ', 'ٶ':
		return doWord, 'و', true
	case 'ۓ':
		return doWord, 'ے', true
	case 'ء', 'ٴ', 'ـ':
		return doNone, 0, true
	case '٬', '٫', '،', '؛', '؟', '۔', '؞', '٪', '٭':
		return doHard, 0, true
	}
	switch {
	case r >= 0x610 && r <= 0x61A, r >= 0x64B && r <= 0x65F, r == 0x670, r >= 0x6D6 && r <= 0x6DC, r >= 0x6DF && r <= 0x6E4,
		r >= 0x6E7 && r <= 0x6E8, r >= 0x6EA && r <= 0x6ED, r >= 0x8D3 && r <= 0x8FF:
		return doNone, 0, true // harakat and Quranic marks
	}
	return 0, 0, false
}

func isNukta(r rune) bool {
	switch r {
	case 0x93C, 0x9BC, 0xA3C, 0xABC, 0xB3C, 0xCBC:
		return true
	}
	return false
}

// modifierApostrophe: letters by Unicode, apostrophes by use (Qoʻshtepa, Qaʼida).
func modifierApostrophe(r rune) bool {
	switch r {
	case 'ʹ', 'ʻ', 'ʼ', 'ʽ', 'ʾ', 'ʿ', 'ˈ', 'ˊ', 'ˋ', '˴':
		return true
	}
	return false
}

// spelledOut: letters that Unicode does not take apart but writers without the key do.
func spelledOut(r rune) (string, bool) {
	switch r {
	case 'æ', 'ǽ', 'ǣ':
		return "ae", true
	case 'œ':
		return "oe", true
	case 'þ':
		return "th", true
	case 'ø', 'ǿ':
		return "o", true
	case 'đ', 'ð':
		return "d", true
	case 'ł':
		return "l", true
	case 'ħ':
		return "h", true
	case 'ŧ':
		return "t", true
	}
	return "", false
}

// digit is the value of a decimal digit of any script: each script's ten lie in order, and ranges of several tens start anew every ten.
func digit(r rune) rune {
	for _, rg := range unicode.Nd.R16 {
		if r >= rune(rg.Lo) && r <= rune(rg.Hi) {
			return (r - rune(rg.Lo)) % 10
		}
	}
	for _, rg := range unicode.Nd.R32 {
		if r >= rune(rg.Lo) && r <= rune(rg.Hi) {
			return (r - rune(rg.Lo)) % 10
		}
	}
	return 0
}
