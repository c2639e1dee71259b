package fetcher

import (
	"bytes"
	"mime"
	"regexp"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// charsetHints are what the outside says about a document's encoding.
type charsetHints struct {
	list        string // charset: of the feed list; beats all
	contentType string // Content-Type header
	lang        string // lang: of the feed list; tells whether windows-1252 can be right
}

var (
	declaration = regexp.MustCompile(`(?i)<\?xml[^>]{0,200}?encoding\s*=\s*["']\s*([A-Za-z0-9._:\-]{1,40})\s*["']`)
	python      = strings.NewReplacer("_", "-", " ", "-")
)

// toUTF8 gives the document as valid UTF-8. degraded tells a guess or lost letters; the error is a *Fault of reason encoding.
func toUTF8(data []byte, h charsetHints) (text []byte, degraded bool, err error) {
	if h.list != "" {
		if e := lookupCharset(h.list); e != nil {
			return decodeAs(data, h.list, e)
		}
	}
	if e, n := byShape(data); e != nil {
		text, _, err = decodeAs(data[n:], "by its first bytes", e)
		return text, false, err
	}
	valid := utf8.Valid(data)
	if valid && !shifts(data) {
		return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), false, nil
	}
	labels := labelsOf(data, h)
	if valid && !sevenBit(data, labels) {
		return bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), false, nil
	}
	for _, label := range labels {
		e := lookupCharset(label)
		if e == nil || e == unicode.UTF8 {
			continue
		}
		if text, degraded, err = decodeAs(data, label, e); err == nil {
			return text, degraded, nil
		}
	}
	if text, ok := dropBadBytes(data); ok {
		return text, true, nil
	}
	return fallback(data, labels, h)
}

// labelsOf gives the names that the document and the header claim, the document's first.
func labelsOf(data []byte, h charsetHints) []string {
	var labels []string
	if m := declaration.FindSubmatch(data[:min(len(data), 2048)]); m != nil {
		labels = append(labels, string(m[1]))
	}
	if _, p, err := mime.ParseMediaType(h.contentType); err == nil && p["charset"] != "" {
		labels = append(labels, p["charset"])
	}
	return labels
}

// byShape knows byte order marks, and UTF-16, UTF-32 and EBCDIC by how a document's first letter looks in them (XML 1.0 appendix F).
func byShape(data []byte) (e encoding.Encoding, skip int) {
	has := func(p string) bool { return bytes.HasPrefix(data, []byte(p)) }
	le16, be16 := unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	switch {
	case has("\xff\xfe\x00\x00"):
		return utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM), 4
	case has("\x00\x00\xfe\xff"):
		return utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM), 4
	case has("\xff\xfe"):
		return le16, 2
	case has("\xfe\xff"):
		return be16, 2
	case has("<\x00\x00\x00"), has("{\x00\x00\x00"):
		return utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM), 0
	case has("\x00\x00\x00<"), has("\x00\x00\x00{"):
		return utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM), 0
	case has("<\x00"), has("{\x00"):
		return le16, 0
	case has("\x00<"), has("\x00{"):
		return be16, 0
	case has("\x4c\x6f\xa7\x94"):
		return charmap.CodePage037, 0
	}
	return nil, 0
}

// shifts tells whether the document could be in an encoding that shifts by escape sequences, whatever it calls itself.
func shifts(data []byte) bool {
	return bytes.IndexByte(data, 0x1b) >= 0 || bytes.Contains(data, []byte("~{"))
}

// sevenBit tells whether the document is in an encoding that looks like ASCII and is not: those that shift by escape sequences.
func sevenBit(data []byte, labels []string) bool {
	for _, l := range labels {
		l = strings.ToLower(l)
		if (strings.HasPrefix(l, "iso-2022") || strings.HasPrefix(l, "iso2022") || strings.HasPrefix(l, "csiso2022")) && bytes.IndexByte(data, 0x1b) >= 0 {
			return true
		}
		if strings.HasPrefix(l, "hz") && bytes.Contains(data, []byte("~{")) {
			return true
		}
	}
	return false
}

// lookupCharset finds an encoding by any name in use: WHATWG and IANA names, and Python's spellings of them. nil when there is none.
func lookupCharset(label string) encoding.Encoding {
	label = strings.ToLower(strings.TrimSpace(label))
	dashed := python.Replace(label)
	number := strings.TrimPrefix(strings.TrimPrefix(dashed, "cp"), "cp-")
	for _, name := range []string{label, dashed, "windows-" + number, "ibm" + number} {
		switch name {
		case "utf-8", "utf8", "u8":
			return unicode.UTF8
		case "utf-32", "utf32", "u32", "ucs-4", "utf-32be", "utf-32-be", "iso-10646-ucs-4":
			return utf32.UTF32(utf32.BigEndian, utf32.UseBOM)
		case "utf-32le", "utf-32-le":
			return utf32.UTF32(utf32.LittleEndian, utf32.UseBOM)
		case "hz-gb-2312", "hz", "hzgb", "hz-gb":
			return simplifiedchinese.HZGB2312
		}
		if e, _ := charset.Lookup(name); e != nil && e != encoding.Replacement {
			return e
		}
		for _, index := range []*ianaindex.Index{ianaindex.IANA, ianaindex.MIME} {
			if e, err := index.Encoding(name); err == nil && e != nil {
				return e
			}
		}
	}
	return nil
}

// decodeAs decodes and refuses a result in which more than one letter in twenty beyond ASCII is lost.
func decodeAs(data []byte, label string, e encoding.Encoding) ([]byte, bool, error) {
	text, err := e.NewDecoder().Bytes(data)
	if err != nil || !utf8.Valid(text) {
		return nil, false, fault(ReasonEncoding, "not readable as %s", short(label, 40))
	}
	lost := bytes.Count(text, []byte("\uFFFD"))
	if lost == 0 {
		return text, false, nil
	}
	letters := beyondASCII(text) - lost
	if letters < 20*lost {
		return nil, false, fault(ReasonEncoding, "read as %s, %d of %d letters beyond ASCII are lost", short(label, 40), lost, letters+lost)
	}
	return bytes.ReplaceAll(text, []byte("\uFFFD"), nil), true, nil
}

func beyondASCII(text []byte) int {
	n := 0
	for _, b := range text {
		if b >= 0xC0 { // every multi-byte letter begins so
			n++
		}
	}
	return n
}

// dropBadBytes repairs UTF-8 with few bad bytes: the good letters must be twenty times as many.
func dropBadBytes(data []byte) ([]byte, bool) {
	out := make([]byte, 0, len(data))
	good, bad := 0, 0
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			bad++
			i++
			continue
		case r >= utf8.RuneSelf:
			good++
		}
		out = append(out, data[i:i+n]...)
		i += n
	}
	return out, good >= 20*bad
}

// fallback takes windows-1252, which reads anything, unless the feed's language is written in another script.
func fallback(data []byte, labels []string, h charsetHints) ([]byte, bool, error) {
	label := "none"
	if len(labels) > 0 {
		label = labels[0]
	}
	if h.lang != "" && !latinScript(h.lang) {
		return nil, false, fault(ReasonEncoding, "label %q does not explain the bytes, and %s is not written in Latin letters: write charset: with the right name", short(label, 40), h.lang)
	}
	text, err := charmap.Windows1252.NewDecoder().Bytes(data)
	if err != nil {
		return nil, false, fault(ReasonEncoding, "label %q does not explain the bytes: write charset: with the right name", short(label, 40))
	}
	return bytes.ReplaceAll(text, []byte("\uFFFD"), nil), true, nil
}

// latinScript tells whether a language is written in Latin letters. Those listed are not.
func latinScript(lang string) bool {
	switch lang {
	case "ar", "fa", "ur", "ps", "sd", "ug", "ckb", "prs", "bal", "ru", "uk", "be", "bg", "sr", "mk", "kk", "ky", "tg", "mn", "tt", "ba",
		"hi", "mr", "ne", "sa", "bn", "as", "pa", "gu", "or", "ta", "te", "kn", "ml", "si", "zh", "ja", "ko", "th", "lo", "my", "km", "bo",
		"he", "yi", "el", "ka", "hy", "am", "ti", "dv":
		return false
	}
	return true
}
