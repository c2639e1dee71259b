package notifier

//lint:file-ignore ST1018 texts in Persian, Hindi and pictures need their joiners readable

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"tocsin/news"
	"tocsin/news/strict"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "a\tb\r\nc": "a b  c", "a\u202Eb\u2066c\u200Fd\u061Ce": "abcde", "\x1b[31mred\x07": "[31mred", "\u009b31m": "31m",
		"می‌روم": "می‌روم", "👩‍👩‍👧": "👩‍👩‍👧", "bad \xff end": "bad \uFFFD end", "a\u2028b\u0085c": "a b c", "\uFEFFbom": "bom", "a\x00b": "ab",
	} {
		if got := Clean(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestShortenCutsBetweenLetters(t *testing.T) {
	for _, s := range []string{
		"plain text of some length", "é́́́́́́́́́ combining", "क्षि क्षि क्षि", "👩‍👩‍👧‍👦👩‍👩‍👧‍👦", "🇵🇰🇨🇳🇮🇷🇦🇫", "👍🏽👍🏽👍🏽", "بلوچ لبریشن آرمی", "中巴经济走廊项目",
	} {
		for n := 3; n < len(s); n++ {
			got := Shorten(s, n)
			if len(got) > n && n >= 3 || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
				t.Fatalf("%q to %d: %q", s, n, got)
			}
			kept := strings.TrimSuffix(got, "…")
			if !strings.HasPrefix(s, kept) {
				t.Fatalf("%q to %d: %q", s, n, got)
			}
			rest := strings.TrimLeft(s[len(kept):], " ")
			if r, _ := utf8.DecodeRuneInString(rest); kept != "" && (unicode.Is(unicode.M, r) || r == '\u200D') {
				t.Errorf("%q to %d: cut before %U", s, n, r)
			}
		}
		if got := Shorten(s, len(s)); got != s {
			t.Errorf("%q was cut without need: %q", s, got)
		}
	}
}

func TestSafeLink(t *testing.T) {
	for in, want := range map[string]string{
		"https://a.example/x?y=1": "a.example", "http://a.example:8080/": "a.example", "javascript:alert(1)": "", "data:text/html,x": "",
		"https://user:pw@a.example/": "", "//a.example": "", "https://": "", "https://a.example/\u202Egnp": "", "https://a.example/ b": "",
		"ftp://a.example": "", "https://a.example/\n": "", "": "",
	} {
		link, host := SafeLink(in)
		if host != want || (link == "") != (want == "") {
			t.Errorf("%q: %q %q, want host %q", in, link, host, want)
		}
	}
}

func TestWhen(t *testing.T) {
	karachi, err := time.LoadLocation("Asia/Karachi")
	must(t, err)
	at := time.Date(2025, 3, 4, 20, 30, 0, 0, time.UTC)
	for _, c := range []struct {
		at   time.Time
		loc  *time.Location
		want string
	}{
		{time.Time{}, karachi, ""},
		{at, nil, "4 Mar 2025 20:30 UTC"},
		{at, time.UTC, "4 Mar 2025 20:30 UTC"},
		{at, karachi, "4 Mar 2025 20:30 UTC (5 Mar 01:30 PKT)"},
		{at.Add(-8 * time.Hour), karachi, "4 Mar 2025 12:30 UTC (17:30 PKT)"},
	} {
		if got := When(c.at, c.loc); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// FuzzView: whatever an item and its offsets say, the view is clean, bounded and shows what the offsets name.
func FuzzView(f *testing.F) {
	f.Add("BLA claims attack", "text with BLA inside", 0, 3, 10, 13)
	f.Add("", "", -1, 5, 3, 2)
	f.Add("بلوچ", strings.Repeat("é ", 500), 0, 8, 700, 702)
	f.Add("क्षि", "\x1b[0m\u202E\xff", 1, 4, 0, 1)
	f.Fuzz(func(t *testing.T, title, summary string, a, b, c, d int) {
		m := match("i", func(m *news.Match) {
			m.Item.Title, m.Item.Summary = title, summary
			m.Mentions = []news.Mention{{Entity: "bla", Field: "title", Start: a, End: b}, {Entity: "bla", Field: "summary", Start: c, End: d}}
		})
		v := NewView(&news.Alert{Match: m}, nil)
		for _, parts := range [][]Part{v.Headline, v.Snippets} {
			text := Plain(parts)
			if !utf8.ValidString(text) || Clean(text) != text {
				t.Errorf("not clean: %q", text)
			}
			if n := utf8.RuneCountInString(text); n > maxHeadline+beforeMark+afterMark+len(title)+b+d && n > 2000 {
				t.Errorf("%d letters", n)
			}
		}
		if s := v.Subject(); len(s) > maxHeadline || strings.ContainsAny(s, "\r\n") {
			t.Errorf("subject %q", s)
		}
		p := &Page{View: v, Route: "root"}
		if _, err := p.HTML(); err != nil {
			t.Error(err)
		}
		text, err := p.Text()
		if err != nil {
			t.Error(err)
		}
		if bytes.Count(text, []byte(fsi)) != bytes.Count(text, []byte(pdi)) {
			t.Errorf("isolates are not closed: %q", text)
		}
	})
}

func TestMarksAreWhatTheMatcherNamed(t *testing.T) {
	text := strings.Repeat("word ", 100) + "the BLA attacked" + strings.Repeat(" more", 100)
	m := match("i", func(m *news.Match) {
		i := strings.Index(text, "BLA")
		m.Item.Summary = text
		m.Mentions = append(m.Mentions, news.Mention{Entity: "bla", Field: "summary", Start: i, End: i + 3})
	})
	v := NewView(&news.Alert{Match: m}, nil)
	if v.Headline[0] != (Part{"BLA", true}) {
		t.Errorf("headline %+v", v.Headline)
	}
	var marks []string
	for _, p := range v.Snippets {
		if p.Mark {
			marks = append(marks, p.Text)
		}
	}
	plain := Plain(v.Snippets)
	if len(marks) != 1 || marks[0] != "BLA" || !strings.HasPrefix(plain, "… word") || !strings.HasSuffix(plain, "more …") {
		t.Errorf("marks %q in %q", marks, plain)
	}
}

const canary = "s3cr3tCANARY/+x"

func TestSecretsPrintAsNothing(t *testing.T) {
	s := NewSecret(canary)
	var b bytes.Buffer
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "reason", s)
	j, _ := json.Marshal(map[string]any{"s": s})
	for _, out := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s), b.String(), string(j), fmt.Sprintf("%+v", struct{ S Secret }{s})} {
		if strings.Contains(out, "CANARY") {
			t.Errorf("shown: %s", out)
		}
	}
	if s.Reveal() != canary {
		t.Error("the secret is lost")
	}
}

func TestRedact(t *testing.T) {
	for _, form := range []string{
		canary, url.QueryEscape(canary), url.PathEscape(canary), base64.StdEncoding.EncodeToString([]byte(canary)), base64.RawURLEncoding.EncodeToString([]byte(canary)),
	} {
		if got := Redact("said "+form+" twice "+form, canary); got != "said [redacted] twice [redacted]" {
			t.Errorf("%s: %q", form, got)
		}
	}
	if got := Redact("abc", "", "ab"); got != "abc" {
		t.Errorf("an empty or tiny secret changed the text: %q", got)
	}
}

func TestSecretReferences(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	must(t, os.WriteFile(path, []byte(" "+canary+"\n"), 0o600))
	t.Setenv("TOCSIN_TEST_SECRET", canary)
	type conf struct {
		S SecretRef `yaml:"s"`
	}
	for in, ok := range map[string]bool{"env:TOCSIN_TEST_SECRET": true, "file:" + path: true, "env:TOCSIN_TEST_UNSET": false, "file:" + path + "x": false} {
		var c conf
		if fs := strict.Decode("t.yaml", []byte("s: "+in+"\n"), 1000, &c); len(fs) > 0 {
			t.Fatal(fs)
		}
		s, err := c.S.Read()
		if ok && (err != nil || s.Reveal() != canary) {
			t.Errorf("%s: %v", in, err)
		}
		if !ok && (err == nil || !strings.HasPrefix(err.Error(), "t.yaml:1:4: ")) {
			t.Errorf("%s: %v", in, err)
		}
	}
	must(t, os.WriteFile(path, []byte("\n"), 0o600))
	if _, err := (SecretRef{Kind: "file", Name: path}).Read(); err == nil {
		t.Error("an empty secret was accepted")
	}
	must(t, os.WriteFile(path, bytes.Repeat([]byte("x"), maxSecret+1), 0o600))
	if _, err := (SecretRef{Kind: "file", Name: path}).Read(); err == nil {
		t.Error("a huge secret was accepted")
	}
}

// TestLogsHoldNoTextOfNews: one line for each alert sent, with keys of the house, and no title in it.
func TestLogsHoldNoTextOfNews(t *testing.T) {
	m, e := newModel(), &endpoint{answers: []Result{{Verdict: Permanent, Status: "550\nline two"}, {Verdict: Delivered}}}
	var b bytes.Buffer
	o := m.options(t, config(t, oneRoute), e.channel("desk"))
	o.Log = slog.New(slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug}))
	n, err := New(o)
	must(t, err)
	planned(t, m, n, "i1", "i2")
	m.run(t, n)
	keys := " time level msg component feed watchlist entity item match story alert channel route delivery attempt dur status reason file line err count "
	for _, line := range strings.Split(strings.TrimSpace(b.String()), "\n") {
		var v map[string]any
		must(t, json.Unmarshal([]byte(line), &v))
		for k := range v {
			if !strings.Contains(keys, " "+k+" ") {
				t.Errorf("key %s in %s", k, line)
			}
		}
		if strings.Contains(line, "Quetta") || v["msg"] != strings.ToLower(v["msg"].(string)) {
			t.Errorf("line %s", line)
		}
	}
	if !strings.Contains(b.String(), "alert sent") {
		t.Error("no line for the alert sent")
	}
}
