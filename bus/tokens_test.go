package bus_test

import (
	"regexp"
	"strings"
	"testing"

	"tocsin/bus"
)

func TestToken(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"en": "en", "armed-groups": "armed-groups", "a_b-9": "a_b-9", "": "none", strings.Repeat("a", 64): strings.Repeat("a", 64),
	} {
		if got := bus.Token(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
	seen := map[string]string{}
	for _, in := range []string{"A", "a", "a.b", "a_b", "a*b", "a b", "ä", "ö", "a>", "zh-Hant", "zh-hant", strings.Repeat("a", 65), strings.Repeat("a", 66), "\xff", "\xfe"} {
		got := bus.Token(in)
		if old, ok := seen[got]; ok {
			t.Errorf("%q and %q both give %q", old, in, got)
		}
		seen[got] = in
	}
}

var oneToken = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

func FuzzToken(f *testing.F) {
	for _, s := range []string{"", "en", "a.b.>", "*", " ", "\x00", "zh-Hant", "войска", strings.Repeat("x", 100), "\xff\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := bus.Token(s)
		if !oneToken.MatchString(got) || !bus.ValidToken(got) {
			t.Errorf("%q gives %q", s, got)
		}
		if bus.Token(got) != got {
			t.Errorf("%q is not stable", got)
		}
		if bus.ValidToken(s) && got != s {
			t.Errorf("the valid %q became %q", s, got)
		}
	})
}

// validKey is what nats.go takes for a key of a bucket.
var validKey = regexp.MustCompile(`^[-/_=\.a-zA-Z0-9]+$`)

func FuzzKey(f *testing.F) {
	for _, s := range []string{"a", ".a.", "a..b", "=", "=4", "=41", "Liste (alt).yaml", "войска", "a/b", "\x00", "*", ">", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k := bus.EscapeKey(s)
		if bus.UnescapeKey(k) != s {
			t.Errorf("%q became %q and then %q", s, k, bus.UnescapeKey(k))
		}
		if s != "" && (!validKey.MatchString(k) || strings.HasPrefix(k, ".") || strings.HasSuffix(k, ".") || strings.Contains(k, "..")) {
			t.Errorf("%q gives the key %q", s, k)
		}
		_ = bus.UnescapeKey(s) // whatever stands in the bucket
	})
}

func FuzzTrace(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Add("00-00000000000000000000000000000000-b7ad6b7169203331-01")
	f.Add("---")
	form := regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)
	f.Fuzz(func(t *testing.T, s string) {
		want := form.MatchString(s) && strings.Trim(s[3:35], "0") != "" && strings.Trim(s[36:52], "0") != ""
		if bus.ValidTrace(s) != want {
			t.Errorf("%q: %v", s, !want)
		}
	})
}

func TestRedactURL(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"nats://u:p@h:4222":                  "nats://h:4222",
		"nats://u:p@h1:4222, tls://u:p@h2:1": "nats://h1:4222,tls://h2:1",
		"h:4222":                             "h:4222",
		"u:p%zz@h:4222":                      "h:4222",
		"nats://token@h":                     "nats://h",
	} {
		if got := bus.RedactURL(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}
