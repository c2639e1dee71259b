package notifier

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// style is the declarations of a style sheet by selector, those for dark mode laid over the others.
type style map[string]map[string]string

var cssRule = regexp.MustCompile(`(?m)^\s*([^{}@]+?) \{ ([^{}]*)\}`)

func readStyle(t *testing.T, dark bool) style {
	t.Helper()
	b, err := os.ReadFile("templates/shared.html.tmpl")
	must(t, err)
	light, night, ok := strings.Cut(string(b), "@media (prefers-color-scheme: dark) {")
	if !ok {
		t.Fatal("no rules for dark mode")
	}
	out := style{}
	texts := []string{light[strings.Index(light, "<style>"):]}
	if dark {
		texts = append(texts, night)
	}
	for _, text := range texts {
		for _, m := range cssRule.FindAllStringSubmatch(text, -1) {
			for sel := range strings.SplitSeq(m[1], ", ") {
				if out[sel] == nil {
					out[sel] = map[string]string{}
				}
				for d := range strings.SplitSeq(m[2], ";") {
					if k, v, ok := strings.Cut(d, ":"); ok {
						out[sel][strings.TrimSpace(k)] = strings.TrimSpace(v)
					}
				}
			}
		}
	}
	return out
}

// luminance is that of WCAG 2.2 for #rrggbb.
func luminance(t *testing.T, color string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(color, "#"), 16, 32)
	if err != nil || len(color) != 7 {
		t.Fatalf("colour %q is not of the form #rrggbb", color)
	}
	part := func(shift int) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= .04045 {
			return c / 12.92
		}
		return math.Pow((c+.055)/1.055, 2.4)
	}
	return .2126*part(16) + .7152*part(8) + .0722*part(0)
}

func contrast(t *testing.T, a, b string) float64 {
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + .05) / (min(x, y) + .05)
}

// TestMailsAreReadable computes the contrast of every text of the mails with what lies behind it: 4.5 at least (WCAG 2.2, 1.4.3), and 3 for bars
// of the chart (1.4.11), in light and dark mode.
func TestMailsAreReadable(t *testing.T) {
	texts := map[string][]string{
		".card": {".inner", ".top", ".top b", ".from", "h2", ".note", "a", ".url", ".times", ".ask", ".bars", ".bars td.n"}, ".page": {"body", ".foot", "a"},
		"mark": {"mark"}, ".go a": {".go a"}, ".sev": {".sev"},
	}
	for _, s := range []string{"critical", "high", "medium", "low"} {
		texts["."+s+" .sev"] = []string{".sev"}
	}
	for mode, dark := range map[string]bool{"light": false, "dark": true} {
		css := readStyle(t, dark)
		for behind, all := range texts {
			for _, front := range all {
				if r := contrast(t, css[front]["color"], css[behind]["background"]); r < 4.5 {
					t.Errorf("%s: %s on %s has a contrast of %.2f", mode, front, behind, r)
				}
			}
		}
		for _, s := range []string{".fill", ".fill.critical", ".fill.high", ".fill.medium", ".fill.low"} {
			if r := contrast(t, css[s]["background"], css[".card"]["background"]); r < 3 {
				t.Errorf("%s: %s has a contrast of %.2f", mode, s, r)
			}
		}
	}
	if r := contrast(t, "#000000", "#ffffff"); math.Abs(r-21) > .01 {
		t.Errorf("black on white is %.2f, not 21", r)
	}
}

// TestEveryColourHasADarkOne: what states a colour for light mode states one for dark mode too.
func TestEveryColourHasADarkOne(t *testing.T) {
	light, both := readStyle(t, false), readStyle(t, true)
	for sel, ds := range light {
		for _, k := range []string{"color", "background"} {
			v := ds[k]
			if v != "" && v != "#ffffff" && v == both[sel][k] && sel != ".bar" && sel != ".sev" {
				t.Errorf("%s keeps its %s %s in dark mode", sel, k, v)
			}
		}
	}
}

// TestMarkup: what readers of screens and narrow windows need stands in every page.
func TestMarkup(t *testing.T) {
	for _, name := range []string{"alert", "digest"} {
		b, err := os.ReadFile("templates/" + name + ".html.tmpl")
		must(t, err)
		s := string(b)
		for _, want := range []string{`<html lang="en" dir="ltr">`, "<title>", `{{ template "head" }}`, `class="pre"`, `dir="{{ .Dir }}"`, `lang="{{ .Lang }}"`} {
			if !strings.Contains(s, want) {
				t.Errorf("%s: no %s", name, want)
			}
		}
		for _, tag := range regexp.MustCompile(`<table[^>]*>`).FindAllString(s, -1) {
			if !strings.Contains(tag, `role="presentation"`) && !strings.Contains(tag, "aria-label=") {
				t.Errorf("%s: %s neither says that it is for layout nor has a name", name, tag)
			}
		}
		for _, bad := range []string{"<img", "<script", "src=", "@import", "url("} {
			if strings.Contains(s, bad) {
				t.Errorf("%s: %s: nothing is fetched and nothing runs", name, bad)
			}
		}
	}
}
