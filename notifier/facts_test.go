package notifier

import (
	"slices"
	"testing"

	"tocsin/news"
)

// TestWhatIsNew: the same event told again, each time by another outlet; only what people were not told makes an update.
func TestWhatIsNew(t *testing.T) {
	killed := func(n float64, part int) func(*news.Match) { return counting(n, news.UnitKilled, part) }
	first := []func(*news.Match){killed(9, 0), placedAt("bannu", 0, "kp", "pakistan")}
	for _, c := range []struct {
		name  string
		first []func(*news.Match)
		then  []func(*news.Match)
		edit  bool
		want  []string
	}{
		{name: "nothing", first: first, then: first},
		{name: "another entity", first: first, then: []func(*news.Match){withEntity("ttp")}, want: []string{"entity ttp"}},
		{name: "another rule", first: first, then: []func(*news.Match){func(m *news.Match) { m.Rules = []news.RuleHit{{ID: "drones"}} }}, want: []string{"rule drones"}},
		{name: "higher severity", first: first, then: []func(*news.Match){withSeverity(news.SeverityHigh)}, want: []string{"severity high"}},
		{name: "lower severity", first: first, then: []func(*news.Match){withSeverity(news.SeverityLow)}},
		{name: "a toll that grew by a third", first: first, then: []func(*news.Match){killed(12, 0)}, want: []string{"number 12 killed, 9 before"}},
		{name: "a toll that grew by a ninth", first: first, then: []func(*news.Match){killed(10, 0)}},
		{name: "a lower toll", first: first, then: []func(*news.Match){killed(7, 0)}},
		{name: "a lower toll by an edit", first: first, then: []func(*news.Match){killed(7, 0)}, edit: true, want: []string{"number 7 killed, 9 before"}},
		{name: "the title's toll beats the text's", first: first, then: []func(*news.Match){killed(9, 0), killed(120, news.PartText)}},
		{name: "the toll of a text", first: first, then: []func(*news.Match){killed(20, news.PartText)}, want: []string{"number 20 killed, 9 before"}},
		{name: "the first toll", first: nil, then: []func(*news.Match){killed(2, news.PartText)}, want: []string{"number 2 killed"}},
		{name: "another kind of toll", first: first, then: []func(*news.Match){killed(9, 0), counting(30, news.UnitWounded, 0)}, want: []string{"number 30 wounded"}},
		{name: "a first number", first: nil, then: []func(*news.Match){counting(600, "=truck", 0)}, want: []string{"number 600 truck"}},
		{name: "a number of something else", first: first, then: []func(*news.Match){killed(9, 0), counting(600, "=truck", 0)}},
		{name: "a number of a text", first: nil, then: []func(*news.Match){counting(600, "=truck", news.PartText)}},
		{name: "money is no count", first: nil, then: []func(*news.Match){counting(600, news.UnitMoney, 0)}},
		{name: "another place", first: first, then: []func(*news.Match){placedAt("quetta", 1, "balochistan", "pakistan")}, want: []string{"place quetta"}},
		{name: "a place of the text", first: first, then: []func(*news.Match){placedAt("quetta", news.PartText, "balochistan", "pakistan")}},
		{name: "the province around", first: first, then: []func(*news.Match){placedAt("kp", 0, "pakistan")}},
		{name: "a town within", first: []func(*news.Match){placedAt("kp", 0, "pakistan")}, then: []func(*news.Match){placedAt("bannu", 0, "kp", "pakistan")}},
		{name: "another town of the province", first: first, then: []func(*news.Match){placedAt("peshawar", 0, "kp", "pakistan")}, want: []string{"place peshawar"}},
		{name: "another language", first: first, then: []func(*news.Match){from("Mashal", "ur", 0)}, want: []string{"lang ur"}},
		{name: "no language", first: first, then: []func(*news.Match){from("Mashal", "und", 0)}},
		{name: "a higher tier", first: []func(*news.Match){from("Daily", "en", 2)}, then: []func(*news.Match){from("Wire", "en", 1)}, want: []string{"tier 1"}},
		{name: "a lower tier", first: []func(*news.Match){from("Daily", "en", 2)}, then: []func(*news.Match){from("Blog", "en", 3)}},
		{
			name: "several at once", first: first, then: []func(*news.Match){withEntity("ttp"), withSeverity(news.SeverityHigh), killed(20, 0)},
			want: []string{"entity ttp", "severity high", "number 20 killed, 9 before"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newModel()
			n := m.start(t, config(t, noPause), (&endpoint{}).channel("desk"))
			second := match("i2", about("raid", c.then...))
			if c.edit {
				second = match("i1", about("raid", c.then...), edited("r2"))
			}
			throughAlerts(t, m, n, match("i1", about("raid", c.first...)), second)
			got := m.alerts[1]
			if got.ID != m.alerts[0].ID || !slices.Equal(got.New, c.want) || (got.Kind == news.KindUpdate) != (len(c.want) > 0) {
				t.Errorf("%s with %q, want %q", got.Kind, got.New, c.want)
			}
			throughAlerts(t, m, n, match("i3", about("raid", c.then...)))
			if again := m.alerts[2]; again.Kind != news.KindFold {
				t.Errorf("told again it is %s with %q", again.Kind, again.New)
			}
		})
	}
}

func TestGrowthIsConfigured(t *testing.T) {
	m := newModel()
	n := m.start(t, config(t, "route: {channels: [desk]}\nstories: {update_interval: 0s, growth: 100}\n"), (&endpoint{}).channel("desk"))
	for i, toll := range []float64{10, 19, 20, 39, 40} {
		throughAlerts(t, m, n, match("i"+string(rune('0'+i)), about("raid", counting(toll, news.UnitKilled, 0))))
	}
	sameRows(t, m, row{kind: news.KindFirst, revision: 1}, row{kind: news.KindFold, revision: 2},
		row{kind: news.KindUpdate, revision: 3, added: []string{"number 20 killed, 10 before"}}, row{kind: news.KindFold, revision: 4},
		row{kind: news.KindUpdate, revision: 5, added: []string{"number 40 killed, 20 before"}})
}

// TestAnEditShowsWhatItWas: an edit that brings news says what the title was.
func TestAnEditShowsWhatItWas(t *testing.T) {
	m := newModel()
	n := m.start(t, config(t, noPause), (&endpoint{}).channel("desk"))
	toll := func(n float64) func(*news.Match) { return counting(n, news.UnitKilled, 0) }
	throughAlerts(t, m, n,
		match("i1", about("raid", toll(9)), titled("Nine killed in Bannu")),
		match("i1", about("raid", toll(9)), titled("Nine killed in Bannu raid"), edited("r2")),
		match("i1", about("raid", toll(12)), titled("Twelve killed in Bannu raid"), edited("r3")),
	)
	if a := m.alerts[1]; a.Kind != news.KindFold || a.Before != "" {
		t.Errorf("an edit that brings nothing: %s, before %q", a.Kind, a.Before)
	}
	if a := m.alerts[2]; a.Kind != news.KindUpdate || a.Before != "Nine killed in Bannu raid" || a.Headline != "Nine killed in Bannu" {
		t.Errorf("an edit that brings news: %s, before %q, headline %q", a.Kind, a.Before, a.Headline)
	}
	if len(m.alerts[2].Also) != 0 || m.alerts[2].Items != 1 {
		t.Errorf("an edit counts as another report: %+v", m.alerts[2].Also)
	}
}

func TestAddFacts(t *testing.T) {
	got := addFacts([]string{"entity ttp", "severity high", "number 12 killed, 9 before", "number 3 wounded"},
		[]string{"number 20 killed, 12 before", "severity critical", "number 5 wounded, 3 before", "lang ur"})
	want := []string{"entity ttp", "severity critical", "number 20 killed, 9 before", "number 5 wounded", "lang ur"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
