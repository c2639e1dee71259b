package fold

import (
	"testing"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

func TestString(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"The TTP’s claim.", "the ttp s claim"},
		{"Tehreek-e-Taliban, Pakistan", "tehreek e taliban\npakistan"},
		{"Café ＴＴＰ straße ﬁne", "cafe ttp strasse fine"},
		{"Al‑Qaʼida al-Qa’ida", "al qa ida al qa ida"},
		{"Линия Дюранда, ёлка и\u0306од йод", "линия дюранда\nелка йод йод"},
		{"كاسا ـ ١٠٠٠ کاسا ۱۰۰۰", "کاسا 1000 کاسا 1000"},
		{"ډېورنډ ډیورنډ ډيورنډ", "ډیورنډ ډیورنډ ډیورنډ"},
		{"الدولةُ الإسلاميّة", "الدوله الاسلامیه"},
		{"سی\u200cپک", "سی پک"},
		{"अल क़ायदा अल क\u093cायदा चाँद", "अल कायदा अल कायदा चांद"},
		{"中巴经济走廊CASA-1000项目，阿拉伯—伊斯兰国家", "中巴经济走廊casa 1000项目\n阿拉伯 伊斯兰国家"},
		{"か\u3099が", "がが"},
		{"soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"},
		{"𝐓𝐓𝐏 \xff\xfe bad", "ttp\nbad"},
		{"", ""},
		{"ـ", ""},
	} {
		if got := String(c.in); got != c.want {
			t.Errorf("String(%q) = %q, want %q", c.in, got, c.want)
		}
		if again := String(c.want); again != c.want {
			t.Errorf("String(%q) = %q: folding again changes it", c.want, again)
		}
	}
}

// check holds for every text: offsets on rune borders and in order, hashes of the folded bytes, folding stable.
func check(t *testing.T, text string) {
	t.Helper()
	toks := Append(nil, text)
	end, skip := 0, 0
	for i, tok := range toks {
		if tok.Start() < end || tok.End() <= tok.Start() || tok.End() > len(text) {
			t.Fatalf("%q: token %d spans %d-%d after %d", text, i, tok.Start(), tok.End(), end)
		}
		if !utf8.RuneStart(text[tok.Start()]) && utf8.ValidString(text) {
			t.Fatalf("%q: token %d starts inside a rune", text, i)
		}
		folded := tok.AppendTo(nil, text)
		if len(folded) == 0 || tok.Hash != Hash(folded) || tok.Wide() != wide(folded) {
			t.Fatalf("%q: token %d %q (%+v): hash or width is not that of its folded form %q", text, i, text[tok.Start():tok.End()], tok, folded)
		}
		if key, mask := Heads(folded, tok.Wide()); tok.Head(text)&mask != key {
			t.Fatalf("%q: token %d %q has head %x, want %x", text, i, folded, tok.Head(text), key)
		}
		if want := reference(text[tok.Start():tok.End()]); want != string(folded) {
			t.Fatalf("%q: token %d folds to %q, by the reference way to %q", text, i, folded, want)
		}
		if tok.Parts() > 0 {
			skip = tok.Parts()
			continue
		}
		if skip > 0 {
			skip--
		}
		end = tok.End()
	}
	once := String(text)
	if twice := String(once); twice != once {
		t.Fatalf("%q folds to %q, then to %q", text, once, twice)
	}
}

// reference folds a word by x/text alone, then letter by letter, until nothing changes.
func reference(word string) string {
	folder := cases.Fold()
	for range 4 {
		word = norm.NFKC.String(folder.String(norm.NFKC.String(word)))
		var next []byte
		for _, r := range word {
			next = appendRune(next, r)
		}
		if string(next) == word {
			break
		}
		word = string(next)
	}
	return word
}

func FuzzFold(f *testing.F) {
	for _, s := range []string{
		"Tehrik-e-Taliban (TTP)", "خط دیورند، می\u200cشود", "линия Дюранда", "阿拉伯—伊斯兰国家か\u3099", "क़ायदा हिन्दी", "한국어 \u1112\u1161\u11ab", "½ ⑴ ﷺ ĳ ŉ",
		"e\u0301\u0306", "и\u0301\u0306", "\u0915\u093c\u0301", "a\u200cb", "د\u200cا\u200c", "\xf0\x9d\x90", "ผู้ก่อการร้าย", "ক্ষো", "İIıi",
	} {
		f.Add(s)
	}
	f.Fuzz(check)
}

func TestEveryRune(t *testing.T) {
	for r := rune(0); r <= 0x323AF; r++ {
		if utf8.ValidRune(r) {
			check(t, string(r))
			check(t, "a"+string(r)+"b")
		}
	}
}
