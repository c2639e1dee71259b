package notifiertest

//lint:file-ignore ST1018 texts in Persian, Hindi and pictures need their joiners readable

import (
	"strings"
	"time"

	"tocsin/news"
)

// Sample is an alert to render.
type Sample struct {
	Name  string // for file names
	Alert news.Alert
}

// Samples are alerts in eight scripts and eleven languages, one that mixes scripts, an update, two about the program itself, a test, and one that
// is hostile. Texts are invented.
func Samples() []Sample {
	return []Sample{
		sample("latin-en", news.SeverityHigh, "en", "Morning Ledger", "BLA claims attack on convoy near Quetta",
			"The Baloch Liberation Army said on Tuesday that its fighters attacked a convoy on the highway north of Quetta. Officials confirmed that two vehicles were damaged and that traffic was stopped for four hours.",
			"Baloch Liberation Army", "BLA", "Baloch Liberation Army"),
		sample("arabic-ur", news.SeverityCritical, "ur", "روزنامہ صبح", "بلوچ لبریشن آرمی نے کوئٹہ کے قریب حملے کی ذمہ داری قبول کر لی",
			"حکام کے مطابق شاہراہ N-25 پر دو گاڑیوں کو نقصان پہنچا۔ بلوچ لبریشن آرمی کے ترجمان نے ایک بیان میں ذمہ داری قبول کی، اور کہا کہ ٹریفک چار گھنٹے بند رہی۔",
			"Baloch Liberation Army", "بلوچ لبریشن آرمی"),
		sample("arabic-fa", news.SeverityMedium, "fa", "روزنامهٔ بامداد", "گفت‌وگوهای تهران و اسلام‌آباد دربارهٔ خط لولهٔ گاز از سر گرفته شد",
			"وزیر نفت می‌گوید که خط لولهٔ گاز ایران و پاکستان تا سال آینده آماده می‌شود.", "Iran–Pakistan pipeline", "خط لولهٔ گاز"),
		sample("cyrillic-ru", news.SeverityMedium, "ru", "Утренний вестник", "Порт Гвадар принял первое судно с зерном",
			"По словам администрации, порт Гвадар обработал груз за двое суток; следующий рейс ожидается в марте.", "Gwadar Port", "Порт Гвадар", "порт Гвадар"),
		sample("devanagari-hi", news.SeverityLow, "hi", "प्रातः समाचार", "ग्वादर बंदरगाह पर काम फिर शुरू",
			"अधिकारियों ने कहा कि ग्वादर बंदरगाह की सड़क खुल गई है और मज़दूर लौट आए हैं।", "Gwadar Port", "ग्वादर बंदरगाह"),
		sample("han-zh", news.SeverityHigh, "zh", "晨报", "中巴经济走廊项目工人班车在达苏附近遇袭",
			"据当地警方通报，一辆载有中巴经济走廊项目工人的班车周二清晨在达苏水电站附近遭到袭击，造成三人受伤，道路一度中断。中方已要求巴方彻查事件并保障人员安全。",
			"CPEC", "中巴经济走廊"),
		sample("hebrew-he", news.SeverityInfo, "he", "עיתון הבוקר", "נמל גוואדר נפתח מחדש לתנועה",
			"לפי ההודעה, נמל גוואדר (Gwadar) יפעל 24 שעות ביממה.", "Gwadar Port", "נמל גוואדר"),
		sample("greek-el", news.SeverityNone, "el", "Πρωινή", "Το λιμάνι Γκουαντάρ υποδέχεται νέα γραμμή",
			"Η εταιρεία ανακοίνωσε δρομολόγια από το λιμάνι Γκουαντάρ προς τον Πειραιά.", "Gwadar Port", "λιμάνι Γκουαντάρ"),
		sample("thai-th", news.SeverityLow, "th", "ข่าวเช้า", "ท่าเรือกวาดาร์เปิดเส้นทางเดินเรือใหม่",
			"เจ้าหน้าที่ระบุว่าท่าเรือกวาดาร์จะรองรับเรือสินค้าเพิ่มขึ้นในเดือนหน้า", "Gwadar Port", "ท่าเรือกวาดาร์"),
		sample("arabic-ps", news.SeverityHigh, "ps", "سهار ورځپاڼه", "په کندهار کې د ترانس افغان اورګاډي پر ټیم برید وشو",
			"چارواکو وویل چې د ترانس افغان اورګاډي درې کارکوونکي ټپیان شول او لاره تر ماښامه پورې وتړل شوه.", "Trans-Afghan railway", "ترانس افغان اورګاډي"),
		sample("arabic-ar", news.SeverityMedium, "ar", "صحيفة الصباح", "طالبان تعلن إغلاق معبر تورخم أمام الشاحنات",
			"قال متحدث إن معبر تورخم سيبقى مغلقًا 48 ساعة، وإن المفاوضات مع إسلام آباد مستمرة.", "Torkham crossing", "معبر تورخم"),
		sample("mixed-ur", news.SeverityHigh, "ur", "Subh Daily", "CPEC پر حملہ: BLA نے ذمہ داری قبول کر لی، 3 افراد زخمی (ویڈیو)",
			"CPEC کے تحت بننے والی سڑک M-8 پر BLA کے حملے میں تین افراد زخمی ہوئے، ISPR نے کہا۔", "China-Pakistan Economic Corridor", "CPEC"),
		update(), health(), heartbeat(), test(),
		Hostile(),
	}
}

func sample(name string, sev news.Severity, lang, outlet, title, summary, entity string, aliases ...string) Sample {
	seen := time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC)
	id := news.ItemID("feed", name)
	m := news.Match{
		Schema: news.Schema, Watchlist: "corridor-security", Title: "Corridor security", Severity: sev, MatchedAt: seen.Add(time.Second),
		Item: news.Item{
			Schema: news.Schema, ID: id, Revision: "r1", Reason: news.ReasonNew, Feed: "abcdefghijklmnop", Outlet: outlet, Lang: lang,
			URL: "https://news.example/" + lang + "/2025/03/story", Title: title, Summary: summary,
			Published: seen.Add(-7 * time.Minute), FirstSeen: seen,
		},
		Entities: []news.EntityHit{{ID: "entity", Name: entity, About: "Watched for the corridor project", Severity: sev}},
		Rules:    []news.RuleHit{{ID: "attack-near-corridor", Title: "Attack near the corridor", Severity: sev, Why: "an armed group and a place of the corridor in one item"}},
	}
	for _, f := range m.Item.Fields() {
		for _, a := range aliases {
			if i := strings.Index(f.Text, a); i >= 0 {
				m.Mentions = append(m.Mentions, news.Mention{
					Entity: "entity", Alias: a, Field: f.Name, Start: i, End: i + len(a), Text: a, Why: "named",
				})
			}
		}
	}
	m.ID = news.MatchID(m.Item.ID, m.Item.Revision, m.Watchlist, "")
	return Sample{name, news.Alert{
		Schema: news.Schema, ID: news.AlertID(id, m.Watchlist), Revision: 1, Kind: news.KindFirst, Story: id, Watchlist: m.Watchlist, Severity: sev,
		Match: m, Items: 1, Outlets: []string{outlet}, OpenedAt: seen.Add(2 * time.Second), At: seen.Add(2 * time.Second),
	}}
}

func update() Sample {
	s := sample("update", news.SeverityCritical, "en", "Morning Ledger", "Convoy attack near Quetta: minister names BLA, port road closed",
		"The interior minister named the BLA. The road to Gwadar Port stays closed until Thursday.", "Baloch Liberation Army", "BLA")
	s.Alert.Revision, s.Alert.Kind = 2, news.KindUpdate
	s.Alert.New = []string{"rule attack-near-corridor", "severity critical"}
	s.Alert.Outlets = []string{"Morning Ledger", "Evening Wire"}
	return s
}

// health is an alert about the program itself.
func health() Sample {
	s := sample("health", news.SeverityHigh, "en", "Tocsin", "Feed Morning Ledger has brought nothing for 26 hours", "It usually brings 40 items a day. The last answer was 503.", "")
	a := &s.Alert
	a.Kind, a.Watchlist, a.Match.Watchlist, a.Match.Title, a.Match.Entities, a.Match.Rules = news.KindHealth, "tocsin", "tocsin", "Tocsin itself", nil, nil
	a.Match.Item.URL, a.Match.Item.Published = "", time.Time{}
	return s
}

// heartbeat is the daily word that the watch works.
func heartbeat() Sample {
	s := health()
	s.Name = "heartbeat"
	a := &s.Alert
	to := a.At
	a.Kind, a.Watchlist, a.Match.Watchlist, a.Match.Title, a.Severity, a.Match.Severity = news.KindHeartbeat, "corridor-security", "corridor-security", "Corridor security", news.SeverityInfo, news.SeverityInfo
	a.Heartbeat = &news.Heartbeat{
		From: to.Add(-24 * time.Hour), To: to, Zone: "Asia/Karachi", Matches: 7, Alerts: 3, Items: 18431, Newest: to.Add(-2 * time.Minute), Feeds: 212, Live: 209,
		Dead:    []news.FeedTrouble{{Feed: "f1", Outlet: "روزنامہ صبح", Since: to.Add(-50 * time.Hour), Reason: "404"}},
		Failing: []news.FeedTrouble{{Feed: "f2", Outlet: "Evening Wire", Since: to.Add(-3 * time.Hour), Reason: "timeout"}}, Revision: "3f2a9c",
	}
	a.Match.Item.Title, a.Match.Item.Summary = "7 matches from 209 of 212 live feeds", ""
	return s
}

// test is the alert that a person sends to see whether a channel works.
func test() Sample {
	s := sample("test", news.SeverityInfo, "en", "Tocsin", "Test alert: this channel works", "", "")
	s.Alert.Kind, s.Alert.Match.Entities, s.Alert.Match.Rules, s.Alert.Match.Item.URL = news.KindTest, nil, nil, ""
	return s
}

// Hostile is an alert whose texts try to break out of whatever they are put into.
func Hostile() Sample {
	s := sample("hostile", news.SeverityHigh, "en\"><script>", "Evil\r\nBcc: all@example.org",
		"BLA \u202Egnp.exe\u202C <script>alert(1)</script> @everyone \x1b[31mred\x1b]0;title\x07 \u0085\r\nSubject: other",
		"<img src=x onerror=alert(1)> BLA {{ .Secret }} %s %d &amp; \u2066\u2069\u2069\u2069 "+strings.Repeat("très long ", 400),
		"Baloch <b>Liberation</b> Army", "BLA")
	it := &s.Alert.Match.Item
	it.URL = "javascript:alert(1)"
	s.Alert.Match.Mentions = append(s.Alert.Match.Mentions,
		news.Mention{Entity: "entity", Field: "title", Start: -5, End: 3}, news.Mention{Entity: "entity", Field: "title", Start: 10, End: 1 << 20},
		news.Mention{Entity: "entity", Field: "summary", Start: 3, End: 2})
	return s
}
