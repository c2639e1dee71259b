//go:build pages

package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/cmd/tocsin/newsroom"
	"tocsin/news"
)

// live is the demo's world with a status page, inside the test process.
type live struct {
	*instance
	base string
}

const pageToken = "a-token-for-the-tests-of-pages"

// openDemo runs the demo with a token and waits until alerts of all its languages stand on the page.
func openDemo(t *testing.T) *live {
	t.Helper()
	dir, log := t.TempDir(), slog.New(slog.DiscardHandler)
	world, err := newsroom.Start(newsroom.Options{Seed: 1, Span: 20 * time.Second, Interval: time.Second, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = world.Close() }) // the test is over
	file, err := writeDemoConfig(dir, world)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "page.token", pageToken+"\n")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`http: \{listen: "[^"]*"\}`).ReplaceAllString(string(b), `http: {page: {token_file: page.token}, listen: "127.0.0.1:0"}`)
	w := openWithin(t, dir, text)
	l := &live{w.instance, "http://" + w.addr}
	waitFor(t, 90*time.Second, "alerts in eight languages", func() bool {
		langs := map[string]bool{}
		for _, a := range w.recent.newest(500, nil) {
			langs[a.Match.Item.Lang] = true
		}
		return len(langs) >= 8
	})
	return l
}

// paths are the pages to look at, each in a state that has something to show.
func (l *live) paths(t *testing.T) map[string]string {
	t.Helper()
	feeds, err := l.fetch.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"alerts": "/", "alert": "/alerts/" + l.recent.newest(1, nil)[0].ID, "stories": "/stories", "search": "/search?q=%DA%A9%D8%A7%D8%A8%D9%84",
		"try": "/try?text=TTP+claims+ambush+in+Bajaur", "feeds": "/feeds", "feed": "/feeds/" + feeds[0].Feed.ID, "delivery": "/delivery", "silences": "/silences",
		"system": "/system", "signin": "/signin",
	}
}

// say publishes an item behind the fetcher, as if a feed had brought it.
func (l *live) say(t *testing.T, lang, title string) {
	t.Helper()
	it := news.Item{
		Schema: news.Schema, ID: news.ItemID("feed", title), Revision: news.ContentHash(title, "", ""), Reason: news.ReasonNew, Feed: "feed", Outlet: "Desk",
		Lang: lang, Title: title, URL: "https://desk.example/1", FirstSeen: time.Now().UTC(),
	}
	if _, err := l.bus.PublishItem(t.Context(), it); err != nil {
		t.Fatal(err)
	}
}

// TestPages looks at the status page as people do: in a browser, with the demo's news in eight languages.
func TestPages(t *testing.T) {
	l := openDemo(t)
	b := openBrowser(t)
	t.Run("live", func(t *testing.T) { l.looksLive(t, b) })
	t.Run("broken off", func(t *testing.T) { l.comesBack(t, b) })
	t.Run("search", func(t *testing.T) { l.searches(t, b) })
	t.Run("try", func(t *testing.T) { l.tries(t, b) })
	t.Run("directions", func(t *testing.T) { l.directions(t, b) })
	t.Run("keyboard", func(t *testing.T) { l.keyboard(t, b) })
	t.Run("sign in", func(t *testing.T) { l.signsIn(t, b) })
	t.Run("weight", func(t *testing.T) { l.weighs(t, b) })
	t.Run("sound", func(t *testing.T) { l.sound(t, b) })
}

const has = `[...document.querySelectorAll('#alerts h2')].some(h => h.textContent.includes(%q))`

// looksLive shows that an alert appears by itself, is announced, and that what becomes of it follows.
func (l *live) looksLive(t *testing.T, b *browser) {
	p := b.open(t)
	p.visit(l.base + "/")
	p.eval("window.stays = true", nil)
	l.say(t, "en", "TTP fighters burn a beehive farm in Mohmand after a dispute over honey")
	p.until("the alert on the page", fmt.Sprintf(has, "a dispute over honey"))
	p.until("what became of it", `[...document.querySelectorAll('#alerts > li')].some(a => a.textContent.includes('a dispute over honey') && a.querySelector('.fates').textContent.includes('hook delivered'))`)
	p.until("the announcement", `document.getElementById('say').textContent.startsWith('New alert, ')`)
	p.until("the page as it was loaded", "window.stays")
	p.eval("window.scrollTo(0, 3000)", nil)
	l.say(t, "en", "BLA militants shell a fish market in Gwadar harbour at dawn")
	p.until("the button of new alerts", `!document.getElementById('fresh').hidden && document.querySelector('#fresh button').textContent.includes('new alert')`)
	p.eval("document.querySelector('#fresh button').click()", nil)
	p.until("the alert after the button", fmt.Sprintf(has, "a fish market"))
	p.quiet(t, l.base)
}

// line carries connections to a server until it is cut, which ends them.
type line struct {
	target, addr string
	mu           sync.Mutex
	l            net.Listener
	ends         map[net.Conn]bool
}

func (w *line) mend(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.l = l
	w.mu.Unlock()
	go func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			b, err := net.Dial("tcp", w.target)
			if err != nil {
				_ = a.Close() // there is nobody to carry it to
				continue
			}
			w.mu.Lock()
			w.ends[a], w.ends[b] = true, true
			w.mu.Unlock()
			go func() { _, _ = io.Copy(a, b) }() // both end with the connection
			go func() { _, _ = io.Copy(b, a) }()
		}
	}()
}

func (w *line) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	_ = w.l.Close() // twice at the end
	for c := range w.ends {
		_ = c.Close() // its other end may have closed it
	}
	w.ends = map[net.Conn]bool{}
}

// comesBack cuts the connection, lets an alert come meanwhile, and mends it.
func (l *live) comesBack(t *testing.T, b *browser) {
	line := &line{target: l.listen.Addr().String(), addr: freeAddr(t), ends: map[net.Conn]bool{}}
	line.mend(t)
	t.Cleanup(line.cut)
	p := b.open(t)
	p.visit("http://" + line.addr + "/")
	p.eval("window.stays = true", nil)
	p.until("the stream", "document.getElementById('link-state').hidden")
	line.cut()
	p.until("the word that the page is not live", "document.getElementById('link-state').textContent.startsWith('not live since')")
	l.say(t, "en", "ISKP gunmen kidnap two geologists at a copper mine in Logar")
	line.mend(t)
	p.until("the alert that came meanwhile", fmt.Sprintf(has, "two geologists"))
	p.until("the page as it was loaded", "window.stays && document.getElementById('link-state').hidden")
	var twice int
	p.eval(`(() => { const ids = [...document.querySelectorAll('#alerts > li')].map(a => a.id); return ids.length - new Set(ids).size })()`, &twice)
	if twice != 0 {
		t.Errorf("%d alerts stand twice on the page", twice)
	}
}

func (l *live) searches(t *testing.T, b *browser) {
	p := b.open(t)
	p.visit(l.base + "/search")
	p.settle(func() {
		p.eval(`(() => { const f = document.querySelector('main form'); f.q.value = 'كابل'; f.requestSubmit() })()`, nil)
	})
	var found struct{ Hits, Marks int }
	p.eval(`({Hits: document.querySelectorAll('.hits > li').length, Marks: document.querySelectorAll('.hits mark').length})`, &found)
	if found.Hits < 3 || found.Marks < 3 {
		t.Errorf("Kabul, written with the Arabic kaf, gives %d hits with %d marks", found.Hits, found.Marks)
	}
	p.quiet(t, l.base)
}

func (l *live) tries(t *testing.T, b *browser) {
	p := b.open(t)
	p.visit(l.base + "/try")
	p.settle(func() {
		p.eval(`(() => { const f = document.querySelector('form.try'); f.text.value = 'TTP claims ambush in Bajaur\nSix died.'; f.requestSubmit() })()`, nil)
	})
	var flagged string
	p.eval(`document.querySelector('#result').innerText`, &flagged)
	if !strings.Contains(flagged, "1 watchlist flags it") || !strings.Contains(flagged, "Tehrik") {
		t.Errorf("the text gives %s", flagged)
	}
	p.quiet(t, l.base)
}

// directions measures where the text of each headline begins: at the right for scripts written from there, else at the left.
func (l *live) directions(t *testing.T, b *browser) {
	p := b.open(t)
	for _, width := range []int{1280, 375} {
		p.size(width, 900, "light")
		for _, path := range []string{"/?lang=fa", "/?lang=ur", "/?lang=ps", "/?lang=ar", "/?lang=en", "/?lang=zh", "/?lang=ru", "/?lang=hi"} {
			p.visit(l.base + path)
			var lines []struct {
				Lang, Dir, Text string
				Left, Right     float64
			}
			p.eval(`[...document.querySelectorAll('#alerts h2, #alerts .text')].map(h => {
				const r = document.createRange(); r.selectNodeContents(h);
				const first = [...r.getClientRects()].reduce((a, b) => b.top < a.top + a.height / 2 ? {top: Math.min(a.top, b.top), height: a.height, left: Math.min(a.left, b.left), right: Math.max(a.right, b.right)} : a);
				const box = h.getBoundingClientRect();
				return {Lang: h.lang, Dir: getComputedStyle(h).direction, Text: h.textContent.slice(0, 40), Left: first.left - box.left, Right: box.right - first.right};
			})`, &lines)
			if len(lines) == 0 {
				t.Errorf("%s shows no alert", path)
			}
			want := "ltr"
			if strings.Contains("fa ur ps ar", path[len(path)-2:]) {
				want = "rtl"
			}
			for _, x := range lines {
				if x.Dir != want || want == "rtl" && x.Right > 3 || want == "ltr" && x.Left > 3 || x.Left < -3 || x.Right < -3 {
					t.Errorf("%d px, %s: %q is %s and begins %.0f from the left, %.0f from the right", width, path, x.Text, x.Dir, x.Left, x.Right)
				}
			}
		}
	}
}

// keyboard goes by the Tab key: the first stop skips to the content, and every stop can be seen.
func (l *live) keyboard(t *testing.T, b *browser) {
	p := b.open(t)
	p.size(1280, 900, "light")
	p.visit(l.base + "/")
	key := func(name string, code int, text string) {
		for _, kind := range []string{"keyDown", "keyUp"} {
			p.do("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": name, "code": name, "windowsVirtualKeyCode": code, "text": text})
		}
	}
	stops := map[string]bool{}
	for n := range 25 {
		key("Tab", 9, "")
		var at struct {
			Text, Style string
			Width       float64
			Shown       bool
		}
		p.eval(`(() => { const a = document.activeElement, s = getComputedStyle(a), r = a.getBoundingClientRect();
			return {Text: (a.innerText || a.name || a.className) + r.left + r.top, Style: s.outlineStyle, Width: parseFloat(s.outlineWidth), Shown: r.width > 0 && r.bottom > 0} })()`, &at)
		if at.Style == "none" || at.Width < 2 || !at.Shown {
			t.Errorf("stop %d, %q, cannot be seen: outline %s %.0f", n+1, at.Text, at.Style, at.Width)
		}
		if n == 0 && !strings.HasPrefix(at.Text, "Skip") {
			t.Errorf("the first stop is %q", at.Text)
		}
		stops[at.Text] = true
	}
	if len(stops) < 25 {
		t.Errorf("25 times Tab give %d stops", len(stops))
	}
	p.visit(l.base + "/")
	key("Tab", 9, "")
	key("Enter", 13, "\r")
	p.until("the content to have the focus", "document.activeElement.id === 'main'")
}

func (l *live) signsIn(t *testing.T, b *browser) {
	p := b.open(t)
	p.visit(l.base + "/signin")
	p.settle(func() {
		p.eval(fmt.Sprintf(`(() => { const f = document.querySelector('main form'); f.token.value = %q; f.name.value; f.elements.name.value = 'Nadia'; f.requestSubmit() })()`, pageToken), nil)
	})
	p.until("the buttons of one who signed in", "document.querySelector('#alerts form.acts button')")
	p.settle(func() { p.eval("document.querySelector('#alerts form.acts button').click()", nil) })
	p.until("who looks after the alert", "document.querySelector('#alerts .ack').textContent.includes('Nadia looks after it')")
	p.until("the word on what was done", "document.querySelector('.said').textContent === 'You look after it.'")
	p.settle(func() { p.eval("document.querySelector('.who button').click()", nil) })
	p.until("the way back in", "document.querySelector('.who a').textContent === 'Sign in' && !document.querySelector('form.acts')")
	p.quiet(t, l.base)
}

// weighs adds up what the first visit loads.
func (l *live) weighs(t *testing.T, b *browser) {
	for name, path := range l.paths(t) {
		p := b.open(t)
		p.do("Network.setCacheDisabled", map[string]any{"cacheDisabled": true})
		p.visit(l.base + path)
		var bytes int
		p.eval(`performance.getEntries().reduce((n, e) => n + (e.transferSize || 0), 0)`, &bytes)
		if bytes < 5_000 || bytes > 100_000 {
			t.Errorf("%s loads %d bytes", name, bytes)
		}
		p.close()
	}
}

// quiet wants nothing in the console and nothing asked of another host.
func (p *tab) quiet(t *testing.T, base string) {
	t.Helper()
	for _, c := range p.complaints() {
		t.Errorf("the console says: %s", c)
	}
	for _, u := range p.asked() {
		if !strings.HasPrefix(u, base+"/") {
			t.Errorf("the page asks %s", u)
		}
	}
}

// sound looks at every page in both themes and widths: roles, names, labels, order of headings, contrast of what is drawn, nothing beside the window.
func (l *live) sound(t *testing.T, b *browser) {
	p := b.open(t)
	checks, err := os.ReadFile(filepath.Join("testdata", "sound.js"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int{1280, 375} {
			p.size(width, 900, theme)
			for name, path := range l.paths(t) {
				p.visit(l.base + path)
				var r struct {
					Texts  int
					Faults []string
				}
				p.eval(string(checks), &r)
				for _, f := range append(r.Faults, p.unnamed()...) {
					t.Errorf("%s, %s, %d px: %s", name, theme, width, f)
				}
				seen += r.Texts
			}
		}
	}
	if seen < 2000 {
		t.Errorf("the contrast of %d texts was looked at", seen)
	}
	p.quiet(t, l.base)
}

// unnamed lists what a screen reader meets without a name, by the browser's own tree.
func (p *tab) unnamed() (out []string) {
	var tree struct {
		Nodes []struct {
			Ignored    bool
			Role, Name struct{ Value any }
		}
	}
	p.do("Accessibility.enable", nil)
	if err := p.b.call(p.session, "Accessibility.getFullAXTree", nil, &tree); err != nil {
		p.t.Fatal(err)
	}
	named := " link button textbox searchbox combobox heading image article navigation region meter "
	for _, n := range tree.Nodes {
		if role := fmt.Sprint(n.Role.Value); !n.Ignored && strings.Contains(named, " "+role+" ") && strings.TrimSpace(fmt.Sprint(n.Name.Value)) == "" {
			out = append(out, "a "+role+" has no name")
		}
	}
	if len(tree.Nodes) < 20 {
		out = append(out, fmt.Sprintf("the tree has %d nodes", len(tree.Nodes)))
	}
	return out
}

// TestPictures writes a picture of each page in both themes and widths into the folder that TOCSIN_PICTURES names.
func TestPictures(t *testing.T) {
	dir := os.Getenv("TOCSIN_PICTURES")
	if dir == "" {
		dir = t.TempDir()
	}
	l := openDemo(t)
	p := openBrowser(t).open(t)
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int{1280, 375} {
			p.size(width, map[int]int{1280: 860, 375: 812}[width], theme)
			for name, path := range l.paths(t) {
				p.visit(l.base + path)
				png := p.picture()
				if len(png) < 5_000 {
					t.Errorf("the picture of %s has %d bytes", name, len(png))
				}
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("page-%s-%s-%d.png", name, theme, width)), png, 0o644); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
