package fetcher

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/news"
)

// articlesOf are news texts of our own in eight languages: a title and three paragraphs.
func articlesOf() map[string][]string {
	return map[string][]string{
		"en": {"Border bridge reopens after ten days", "The bridge at the northern border reopened on Sunday morning, ten days after a flood had damaged two of its pillars, the regional road office said.", "Lorries that had waited in a queue of eleven kilometres began to cross at dawn, and drivers told reporters that customs officers worked without a break.", "Engineers will close one lane again in spring, when new pillars are put in place; until then the speed on the bridge is limited to thirty kilometres an hour."},
		"ur": {"سرحدی پل دس دن بعد کھول دیا گیا", "شمالی سرحد پر واقع پل اتوار کی صبح دوبارہ کھول دیا گیا، دس دن پہلے سیلاب نے اس کے دو ستونوں کو نقصان پہنچایا تھا، علاقائی محکمہ شاہرات نے بتایا۔", "گیارہ کلومیٹر طویل قطار میں کھڑے ٹرک صبح سویرے گزرنے لگے، اور ڈرائیوروں نے صحافیوں کو بتایا کہ کسٹم اہلکار بغیر وقفے کے کام کرتے رہے۔", "انجینئر موسم بہار میں ایک لین دوبارہ بند کریں گے جب نئے ستون نصب کیے جائیں گے، تب تک پل پر رفتار تیس کلومیٹر فی گھنٹہ تک محدود رہے گی۔"},
		"fa": {"پل مرزی پس از ده روز بازگشایی شد", "پل مرز شمالی صبح یکشنبه، ده روز پس از آن که سیل دو پایه آن را آسیب زد، بازگشایی شد؛ این را اداره راه منطقه اعلام کرد.", "کامیون\u200cهایی که در صفی یازده کیلومتری منتظر بودند از سپیده\u200cدم عبور کردند و رانندگان به خبرنگاران گفتند که مأموران گمرک بی\u200cوقفه کار کردند.", "مهندسان در بهار یک خط را دوباره می\u200cبندند تا پایه\u200cهای تازه کار گذاشته شود؛ تا آن زمان سرعت روی پل به سی کیلومتر در ساعت محدود است."},
		"ps": {"سرحدي پل لس ورځې وروسته پرانیستل شو", "د شمالي سرحد پل د یکشنبې په سهار بېرته پرانیستل شو، لس ورځې وړاندې سېلاب د هغه دوو ستنو ته زیان رسولی و، د سیمې د سړکونو ادارې وویل.", "هغه لارۍ چې په یوولس کیلومتره کتار کې ولاړې وې سهار وختي تېرې شوې او چلوونکو خبریالانو ته وویل چې د ګمرک کارکوونکو پرته له ځنډه کار وکړ.", "انجینران به په پسرلي کې یوه لاره بیا وتړي چې نوې ستنې ولګول شي؛ تر هغه به پر پل چټکتیا په ساعت کې دېرش کیلومتره وي."},
		"ru": {"Мост на границе открыт после десяти дней ремонта", "Мост на северной границе открыли утром в воскресенье, через десять дней после того, как паводок повредил две его опоры, сообщило областное дорожное управление.", "Грузовики, стоявшие в очереди длиной одиннадцать километров, начали движение на рассвете, и водители рассказали журналистам, что таможенники работали без перерыва.", "Весной инженеры снова закроют одну полосу, чтобы установить новые опоры; до тех пор скорость на мосту ограничена тридцатью километрами в час."},
		"zh": {"边境大桥十天后恢复通行", "北部边境大桥周日上午恢复通行。十天前的洪水损坏了大桥的两个桥墩，地区公路管理局表示，抢修工程已经按计划完成，桥面经过了多次检测，符合安全标准。", "在长达十一公里的队伍中等候的卡车从黎明开始过桥，司机们告诉记者，海关人员一直没有休息，连夜为货物办理手续，以便尽快疏导积压的车辆。", "工程师将在春季再次封闭一条车道，以便安装新的桥墩。在此之前，大桥限速为每小时三十公里，重型车辆必须保持五十米以上的距离，夜间禁止超车。"},
		"ar": {"إعادة فتح الجسر الحدودي بعد عشرة أيام", "أعيد فتح الجسر على الحدود الشمالية صباح الأحد بعد عشرة أيام من فيضان ألحق أضرارا باثنتين من دعائمه، كما أعلنت دائرة الطرق في المنطقة.", "وبدأت الشاحنات التي انتظرت في طابور طوله أحد عشر كيلومترا بالعبور مع الفجر، وقال السائقون للصحفيين إن موظفي الجمارك عملوا بلا توقف.", "وسيغلق المهندسون مسارا واحدا مرة أخرى في الربيع لتركيب دعائم جديدة، وحتى ذلك الحين تظل السرعة على الجسر محدودة بثلاثين كيلومترا في الساعة."},
		"hi": {"सीमा पुल दस दिन बाद फिर खुला", "उत्तरी सीमा पर बना पुल रविवार सुबह फिर खोल दिया गया, दस दिन पहले बाढ़ ने उसके दो खंभों को नुकसान पहुँचाया था, क्षेत्रीय सड़क कार्यालय ने बताया।", "ग्यारह किलोमीटर लंबी कतार में खड़े ट्रक भोर से ही पार होने लगे और चालकों ने पत्रकारों को बताया कि सीमा शुल्क अधिकारी बिना रुके काम करते रहे।", "इंजीनियर वसंत में एक लेन फिर बंद करेंगे ताकि नए खंभे लगाए जा सकें; तब तक पुल पर गति तीस किलोमीटर प्रति घंटे तक सीमित रहेगी।"},
	}
}

const clutter = "Quetta ambush kills seven"

// pageIn is a page as outlets make them: menus, a teaser list and an author box around the article.
func pageIn(style int, title string, paragraphs []string) string {
	p := ""
	for _, s := range append(slices.Clone(paragraphs), paragraphs...) {
		p += "<p>" + s + "</p>\n"
	}
	related := `<div class="related-posts"><h3>More</h3><ul><li><a href="/1">` + clutter + `</a></li><li><a href="/2">` + clutter + `, again</a></li></ul></div>`
	menu := `<nav><ul><li><a href="/">Home</a></li><li><a href="/w">World</a></li></ul></nav>`
	switch style {
	case 0:
		p = `<article><h1>` + title + `</h1>` + p + `</article><aside>` + related + `</aside>`
	case 1:
		p = `<div class="container"><div class="col content-body"><h1>` + title + `</h1><div class="story">` + p + `</div>` + related + `</div><div class="sidebar">` + related + `</div></div>`
	default:
		p = `<table><tr><td width="70%"><b>` + title + `</b><div>` + p + `</div></td></tr></table>` + related
	}
	return `<!doctype html><html><head><meta charset="utf-8"><title>` + title + `</title></head><body><header>` + menu + `</header>` + p + `<footer>© Herald. <a href="/3">` + clutter + `</a></footer></body></html>`
}

// bag counts the words of a text; letters where words are not spaced.
func bag(s string) map[string]int {
	m := map[string]int{}
	for _, w := range strings.Fields(foldTitle(s)) {
		if r := []rune(w); r[0] >= 0x4e00 && r[0] <= 0x9fff {
			for _, c := range r {
				m[string(c)]++
			}
			continue
		}
		m[w]++
	}
	return m
}

func TestArticlesAreExtractedInEightLanguages(t *testing.T) {
	var hit, got, want int
	at, _ := url.Parse("https://herald.example/1")
	for lang, a := range articlesOf() {
		for style := range 3 {
			text, err := articleText([]byte(pageIn(style, a[0], a[1:])), "text/html; charset=utf-8", at)
			if err != nil || !strings.Contains(text, a[2]) {
				t.Errorf("%s, style %d: %v\n%s", lang, style, err, text)
			}
			if strings.Contains(text, clutter) {
				t.Errorf("%s, style %d: a teaser is in the text: a false alarm", lang, style)
			}
			w, g := bag(strings.Join(append(slices.Clone(a[1:]), a[1:]...), " ")), bag(text)
			for k, n := range w {
				want += n
				hit += min(n, g[k])
			}
			for _, n := range g {
				got += n
			}
		}
	}
	precision, recall := float64(hit)/float64(got), float64(hit)/float64(want)
	t.Logf("24 pages in eight languages: precision %.3f, recall %.3f, F1 %.3f", precision, recall, 2*precision*recall/(precision+recall))
	if precision < 0.94 || recall < 0.95 {
		t.Errorf("precision %.3f, recall %.3f", precision, recall)
	}
}

func TestJSONLDGoesBeforeTheExtractor(t *testing.T) {
	body := strings.Repeat("The whole story stands in the data of the page. ", 12)
	page := `<html><script type="application/ld+json">{"@graph":[{"@type":"WebPage"},{"@type":"NewsArticle","articleBody":"` + body + `"}]}</script><body><p>Subscribe to read.</p></body></html>`
	if text, err := articleText([]byte(page), "text/html", &url.URL{}); err != nil || text != strings.TrimSpace(body) {
		t.Errorf("%q, %v", text, err)
	}
	if text, _ := articleText([]byte(strings.Replace(page, body, "Too short.", 1)), "text/html", &url.URL{}); text != "" {
		t.Errorf("%q", text)
	}
}

func TestHostilePagesEnd(t *testing.T) {
	for name, page := range map[string]string{
		"deep":  strings.Repeat("<div>", 200_000),
		"wide":  strings.Repeat("<a>x</a>", 300_000),
		"table": strings.Repeat("<table><tr><td>", 5_000) + "x",
		"json":  `<script type="application/ld+json">` + strings.Repeat("[", 9_000) + `</script>`,
		"empty": "",
	} {
		start := processorTime()
		if text, _ := articleText([]byte(page), "text/html", &url.URL{}); text != "" || processorTime()-start > 5*slowness*time.Second {
			t.Errorf("%s: %d bytes after %s", name, len(text), processorTime()-start)
		}
	}
	if _, err := articleText([]byte("%PDF"), "application/pdf", &url.URL{}); err == nil {
		t.Error("a PDF was read")
	}
}

func TestRobots(t *testing.T) {
	r := robots{rules: parseRobots([]byte("\ufeff# hello\nUser-agent: other\nDisallow: /\n\nUser-Agent: *\nUser-agent: Tocsin/1.0\nDisallow: /private # not for us\nAllow: /private/news\nDisallow: /*.pdf$\nDisallow:\nSitemap: x\nDisallow: /a*b*c\n"))}
	for path, want := range map[string]bool{
		"/": true, "/private": false, "/private/x": false, "/private/news/1": true, "/x.pdf": false, "/x.pdf?y": true, "/a1b2c3": false, "/a1c": true, "": true, "/q?private": true,
	} {
		u, err := url.Parse("https://herald.example" + path)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.allows(u); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
	all := robots{rules: parseRobots([]byte("user-agent: *\ndisallow: /\n"))}
	ours := robots{rules: parseRobots([]byte("user-agent: *\ndisallow: /\nuser-agent: tocsin\ndisallow:\n"))}
	u, _ := url.Parse("https://herald.example/x")
	if all.allows(u) || !ours.allows(u) {
		t.Error("groups")
	}
}

// articleRig is a site with a feed and articles; forbid, fail and front change what it serves.
func articleSite(t *testing.T, robotsText string) (*site, *string) {
	s := newSite(t, "")
	feed := new(string)
	a := articlesOf()["en"]
	s.handle(func(w http.ResponseWriter, q *http.Request) {
		switch {
		case q.URL.Path == "/rss":
			fmt.Fprint(w, *feed)
		case q.URL.Path == "/robots.txt" && robotsText == "":
			w.WriteHeader(404)
		case q.URL.Path == "/robots.txt" && robotsText == "500":
			w.WriteHeader(500)
		case q.URL.Path == "/robots.txt":
			fmt.Fprint(w, robotsText)
		case strings.HasPrefix(q.URL.Path, "/wall"):
			fmt.Fprint(w, pageIn(0, "Welcome", []string{strings.Repeat("Please accept our cookies to go on reading with us. ", 20)}))
		default:
			fmt.Fprint(w, pageIn(1, a[0], append([]string{q.URL.Path + " it is."}, a[1:]...)))
		}
	})
	return s, feed
}

func runRig(t *testing.T, r *rig) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.f.Run(ctx) }()
	return func() { cancel(); <-done }
}

func (r *rig) await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 300 {
		r.mu.Lock()
		good := ok()
		r.mu.Unlock()
		if good {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("waited for %s in vain: %v", what, r.titles())
}

func TestFullTextFollowsAsARevision(t *testing.T) {
	s, feed := articleSite(t, "User-agent: *\nDisallow: /secret\n")
	link := func(p string) string { return s.URL + p }
	*feed = rssOf("Border bridge reopens|"+link("/1")+"|g1||Short.", "Border bridge secret|"+link("/secret/2")+"|g2", "Border bridge wall|"+link("/wall")+"|g3", "Long one|"+link("/4")+"|g4||"+strings.Repeat("Enough text in the feed itself. ", 30))
	r := newRig(t, nil, Feed{URL: s.URL + "/rss", FullText: FullTextShort, Backfill: true})
	r.poll(0)
	if len(r.items) != 4 || r.items[0].Body != "" {
		t.Fatalf("the items wait for their articles: %v", r.titles())
	}
	stop := runRig(t, r)
	r.await(t, "the article", func() bool { return len(r.items) >= 5 })
	r.await(t, "the others to end", func() bool {
		r.f.articles.mu.Lock()
		defer r.f.articles.mu.Unlock()
		return len(r.f.articles.held) == 0
	})
	stop()
	it := r.items[4]
	if it.Reason != news.ReasonFullText || it.ID != r.items[0].ID || it.Previous != r.items[0].Revision || it.Revision == it.Previous || !strings.Contains(it.Body, "eleven kilometres") || it.Summary != "Short." || strings.Contains(it.Body, clutter) {
		t.Errorf("revision %+v", it)
	}
	if len(r.items) != 5 {
		t.Errorf("published %v", r.titles())
	}
	asked := map[string]int{}
	for _, q := range s.requests() {
		asked[q.URL.Path]++
		if q.URL.Path != "/rss" && (!strings.HasPrefix(q.Header.Get("Accept"), "text/html") || q.Header.Get("User-Agent") == "") {
			t.Errorf("%s asked with %v", q.URL.Path, q.Header)
		}
	}
	if asked["/robots.txt"] != 1 || asked["/1"] != 1 || asked["/secret/2"] != 0 || asked["/wall"] != 1 || asked["/4"] != 0 {
		t.Errorf("asked %v", asked)
	}
	if r.counter("tocsin_items_total", "not_article") != 1 || r.counter("tocsin_items_total", "page_failed") != 1 || r.counter("tocsin_items_total", "fulltext") != 1 {
		t.Error("outcomes are not counted")
	}
	if n := len(r.state(0).Pages); n != 3 {
		t.Errorf("%d articles wanted in the state", n)
	}
	*feed += " "
	r.poll(0)
	if n := len(r.state(0).Pages); n != 0 || len(r.items) != 5 {
		t.Errorf("%d articles still wanted, published %v", n, r.titles())
	}
}

func TestFullTextIsFoundAgainAfterARestart(t *testing.T) {
	s, feed := articleSite(t, "")
	*feed = rssOf("Border bridge reopens|" + s.URL + "/1|g1")
	r := newRig(t, nil, Feed{URL: s.URL + "/rss", FullText: FullTextAlways, Backfill: true})
	r.poll(0)
	r.restart()
	stop := runRig(t, r)
	r.poll(0)
	r.await(t, "the article", func() bool { return len(r.items) == 2 })
	stop()
	if it := r.items[1]; it.Reason != news.ReasonFullText || it.ID != r.items[0].ID {
		t.Errorf("%+v", it)
	}
}

func TestRobotsThatCannotBeReadForbid(t *testing.T) {
	s, feed := articleSite(t, "500")
	*feed = rssOf("Border bridge reopens|" + s.URL + "/1|g1")
	r := newRig(t, nil, Feed{URL: s.URL + "/rss", FullText: FullTextAlways})
	r.poll(0)
	w := r.f.articles.take(r.now(), func(string) bool { return true })
	if w == nil || !w.item.Backfill {
		t.Fatalf("%+v", w)
	}
	r.f.article(t.Context(), w)
	for _, q := range s.requests() {
		if q.URL.Path == "/1" {
			t.Error("the article was asked")
		}
	}
	if again := r.f.articles.take(r.now(), func(string) bool { return true }); again != nil {
		t.Error("tried again at once")
	}
}

func TestRobotsOfAHostAreAskedOnce(t *testing.T) {
	s := newSite(t, "")
	s.handle(func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(50 * time.Millisecond) // so that all readers want them before they are there
		fmt.Fprint(w, "User-agent: *\nDisallow: /secret\n")
	})
	r := newRig(t, nil, Feed{URL: s.URL + "/rss", FullText: FullTextAlways})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			u, _ := url.Parse(s.URL + []string{"/1", "/secret/1"}[i%2])
			if err := r.f.mayRead(t.Context(), &Feed{URL: s.URL + "/rss"}, u); (err == nil) != (i%2 == 0) {
				t.Errorf("%s: %v", u.Path, err)
			}
		})
	}
	wg.Wait()
	if n := len(s.requests()); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestArticlesOfOneHostAreTakenOneByOne(t *testing.T) {
	q := newArticles()
	for i, u := range []string{"https://a.example/1", "https://a.example/2", "https://b.example/1"} {
		q.add(&wanted{item: news.Item{URL: u}, key: uint64(i)})
	}
	free := func(string) bool { return true }
	first, second := q.take(noon, free), q.take(noon, free)
	if first.item.URL != "https://a.example/1" || second.item.URL != "https://b.example/1" || q.take(noon, free) != nil {
		t.Errorf("took %s and %s", first.item.URL, second.item.URL)
	}
	q.release(first)
	if w := q.take(noon, free); w == nil || w.item.URL != "https://a.example/2" {
		t.Errorf("then took %+v", w)
	}
}

func TestArticlesBehindARedirectNeedTheRobotsOfTheTarget(t *testing.T) {
	for rules, want := range map[string]int{"User-agent: *\nDisallow: /secret\n": 0, "User-agent: *\nDisallow: /other\n": 1} {
		other, s := newSite(t, rules), newSite(t, "")
		s.handle(func(w http.ResponseWriter, q *http.Request) {
			switch q.URL.Path {
			case "/robots.txt":
				w.WriteHeader(404)
			case "/rss":
				fmt.Fprint(w, rssOf("Border bridge reopens|http://herald.example/1|g1"))
			default:
				http.Redirect(w, q, "http://other.example/secret", http.StatusFound)
			}
		})
		r := newRig(t, worldClient(map[string]*site{"herald.example:80": s, "other.example:80": other}), Feed{URL: "http://herald.example/rss", FullText: FullTextAlways})
		r.poll(0)
		r.f.article(t.Context(), r.f.articles.take(r.now(), func(string) bool { return true }))
		asked := map[string]int{}
		for _, q := range other.requests() {
			asked[q.URL.Path]++
		}
		if asked["/robots.txt"] != 1 || asked["/secret"] != want {
			t.Errorf("%q: asked %v", rules, asked)
		}
	}
}

func TestOneTextOnThreePagesIsNoArticle(t *testing.T) {
	q := newArticles()
	var got []bool
	for _, host := range []string{"h", "h", "other", "h"} {
		got = append(got, q.common(host, "x"))
	}
	if !slices.Equal(got, []bool{false, false, false, true}) {
		t.Errorf("counts %v", got)
	}
	now := time.Unix(1e9, 0)
	for i := range pagesPerDay + 1 {
		if ok := q.budget("h", now); ok != (i < pagesPerDay) {
			t.Fatalf("page %d: %v", i, ok)
		}
	}
	if !q.budget("h", now.Add(day)) {
		t.Error("a new day")
	}
}

func TestTitleWords(t *testing.T) {
	for title, want := range map[string]bool{"Bridge news": true, "Volcano erupts": false, "大桥恢复": true, "火山爆发": false, "A b": true} {
		if got := sharesWord(title, "The bridge 边境大桥 reopens"); got != want {
			t.Errorf("%s: %v", title, got)
		}
	}
}

func FuzzArticle(f *testing.F) {
	f.Add([]byte(pageIn(1, "Title here", articlesOf()["en"][1:])))
	f.Add([]byte(`<script type="application/ld+json">{"articleBody":["x"]}</script>`))
	f.Fuzz(func(t *testing.T, page []byte) {
		text, err := articleText(page, "text/html", &url.URL{Scheme: "https", Host: "a.example"})
		if err == nil && strings.ContainsAny(text, "\x00\ufffd") {
			t.Errorf("%q", text)
		}
	})
}

func FuzzRobots(f *testing.F) {
	f.Add("User-agent: *\nDisallow: /a*b$\n", "/axb")
	f.Fuzz(func(t *testing.T, text, path string) {
		r := robots{rules: parseRobots([]byte(text))}
		r.allows(&url.URL{Scheme: "https", Host: "a", Path: path})
	})
}
