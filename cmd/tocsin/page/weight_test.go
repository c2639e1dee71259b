package page

import (
	"context"
	"fmt"
	"math"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"tocsin/fetcher"
	"tocsin/news"
)

// itemsOf gives so many stored items.
func itemsOf(n int) func(context.Context, time.Time, func(*news.Item) error) error {
	return func(_ context.Context, _ time.Time, f func(*news.Item) error) error {
		for i := range n {
			if err := f(&news.Item{ID: fmt.Sprint(i), Lang: "en", Title: fmt.Sprintf("Convoy %d", i), FirstSeen: time.Unix(int64(i), 0)}); err != nil {
				return err
			}
		}
		return nil
	}
}

// fullWorld is a page that holds all it may, with feeds that have a history.
func fullWorld(t testing.TB) *world {
	w := newWorld(t, nil)
	w.feeds = nil
	for i := range 1000 {
		f := fetcher.FeedStatus{
			Feed:  fetcher.Feed{ID: fmt.Sprintf("feed%012d", i), Outlet: "روزنامهٔ هشت صبح کابل", Lang: "fa", URL: "https://news.example/feeds/world/asia/rss.xml"},
			State: fetcher.StateLive, LastItem: time.Now(), Next: time.Now(), Expected: time.Hour, Items: 12345,
		}
		for n := range 20 {
			f.Polls = append(f.Polls, fetcher.PollNote{At: time.Now(), Entries: 20, New: n % 5, Status: 200})
		}
		w.feeds = append(w.feeds, f)
	}
	for n := range maxAlerts {
		a := alertOf(n+1, "طالبان پاکستانی مسئولیت حمله به کاروان نظامی در وزیرستان جنوبی را بر عهده گرفت", "وزیرستان")
		a.Match.Item.Lang, a.Match.Item.Outlet = "fa", "روزنامهٔ هشت صبح کابل"
		a.Match.Item.Summary = strings.Repeat("شش سرباز در این حمله کشته شدند و راه وانا بسته است. ", 6)
		a.Story = fmt.Sprintf("story%d", n/3)
		w.Alert(a, uint64(n+1))
		w.Entry(&news.LedgerEntry{Event: news.EventDelivered, Channel: "desk", At: time.Now(), Alerts: []news.AlertRef{{ID: a.ID, Revision: 1}}})
		w.Item(&a.Match.Item)
	}
	return w
}

// TestFirstPaint keeps each page with its style, script and picture under 100 kB.
func TestFirstPaint(t *testing.T) {
	w := fullWorld(t)
	for _, p := range []string{"/", "/stories", "/feeds", "/search?q=" + "%D9%88%D8%B2%DB%8C%D8%B1%D8%B3%D8%AA%D8%A7%D9%86", "/system"} {
		_, body, _ := w.get(t, p)
		all := len(body)
		for _, name := range []string{"app.css", "app.js", "icon.svg"} {
			_, asset, h := w.get(t, w.assets.path(name))
			if all += len(asset); !strings.Contains(h.Get("Cache-Control"), "immutable") {
				t.Errorf("%s may not be kept", name)
			}
		}
		if all > 100_000 {
			t.Errorf("%s weighs %d bytes with all that it loads", p, all)
		}
		t.Logf("%s: %d bytes, of which HTML %d", p, all, len(body))
	}
}

func BenchmarkPages(b *testing.B) {
	w := fullWorld(b)
	for _, p := range []string{"/", "/?before=5000&list=groups", "/stories", "/feeds", "/search?q=%D9%88%D8%B2%DB%8C%D8%B1%D8%B3%D8%AA%D8%A7%D9%86", "/search?q=nothing", "/system"} {
		b.Run(p, func(b *testing.B) {
			r := httptest.NewRequest("GET", p, nil)
			for b.Loop() {
				w.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}

// TestContrast computes the contrast (WCAG 2.2, 1.4.3 and 1.4.11) of every pair of colours that the style puts together, in both modes.
func TestContrast(t *testing.T) {
	css, err := files.ReadFile("files/app.css")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile(`(?s):root\{(.*?)\}`).FindAllStringSubmatch(string(css), 2)
	if len(blocks) != 2 {
		t.Fatal("the style has no light and dark colours")
	}
	light := colours(blocks[0][1])
	dark := colours(blocks[0][1] + blocks[1][1])
	for mode, c := range map[string]map[string]string{"light": light, "dark": dark} {
		for back, fronts := range map[string]string{
			"bg":   "ink dim link good warn bad accent",
			"card": "ink dim link good warn bad accent high medium low info",
			"soft": "ink dim link info high medium low",
			"mark": "onmark", "critical": "oncritical", "accent": "onaccent",
			"goodbg": "ink good", "warnbg": "ink dim link warn high medium low info", "badbg": "ink bad",
		} {
			for _, front := range strings.Fields(fronts) {
				if r := contrast(t, c[front], c[back]); r < 4.5 {
					t.Errorf("%s: %s on %s has a contrast of %.2f", mode, front, back, r)
				}
			}
		}
		for _, back := range []string{"card", "bg"} {
			if r := contrast(t, c["edge"], c[back]); r < 3 {
				t.Errorf("%s: borders of fields on %s have a contrast of %.2f", mode, back, r)
			}
		}
	}
	if contrast(t, "#777777", "#ffffff") > 4.5 || contrast(t, "#000000", "#ffffff") != 21 {
		t.Error("the contrast is computed wrongly")
	}
}

func colours(block string) map[string]string {
	out := map[string]string{}
	for _, m := range regexp.MustCompile(`--([a-z]+):(#[0-9a-f]{6});`).FindAllStringSubmatch(block, -1) {
		out[m[1]] = m[2]
	}
	return out
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (math.Max(x, y) + 0.05) / (math.Min(x, y) + 0.05)
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.TrimPrefix(hex, "#"), 16, 32)
	if err != nil {
		t.Fatalf("colour %q: %v", hex, err)
	}
	part := func(v uint64) float64 {
		c := float64(v&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*part(n>>16) + 0.7152*part(n>>8) + 0.0722*part(n)
}
