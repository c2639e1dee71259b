package notifier

import (
	"slices"
	"strings"
	"testing"

	"tocsin/news"
	"tocsin/news/strict"
)

func TestParseMatchers(t *testing.T) {
	for in, want := range map[string]string{ // "" = refused
		`severity="high"`:                       `severity="high"`,
		`severity = high`:                       `severity="high"`,
		`severity=~"high|critical"`:             `severity=~"high|critical"`,
		`severity!~"info|low"`:                  `severity!~"info|low"`,
		`lang!=en`:                              `lang!="en"`,
		`{lang="en", country=~"P.+"}`:           `lang="en" country=~"P.+"`,
		`lang="en",country="PK",`:               `lang="en" country="PK"`,
		`"odd name"="x"`:                        `"odd name"="x"`,
		`a="say \"hi\" \\ \n there"`:            `a="say \"hi\" \\ \n there"`,
		`a=~"\d+\.\d"`:                          `a=~"\\d+\\.\\d"`,
		`a=""`:                                  `a=""`,
		`a=`:                                    `a=""`,
		`entity="بلوچ"`:                         `entity="بلوچ"`,
		`team-name=desk`:                        `team-name="desk"`,
		``:                                      ``,
		`{}`:                                    ``,
		`{a="b"`:                                ``,
		`a`:                                     ``,
		`="b"`:                                  ``,
		`a=="b"`:                                ``,
		`a="b`:                                  ``,
		`a="b\`:                                 ``,
		`a="b" c="d"`:                           ``,
		`a=b"c`:                                 ``,
		`a=~"("`:                                ``,
		`1a="b"`:                                ``,
		`""="b"`:                                ``,
		"a=\"\xff\"":                            ``,
		`a="` + strings.Repeat("x", 5000) + `"`: ``,
	} {
		ms, err := ParseMatchers(in)
		var got []string
		for _, m := range ms {
			got = append(got, m.String())
		}
		if want == "" && err == nil {
			t.Errorf("%s: accepted as %s", in, got)
		}
		if want != "" && (err != nil || strings.Join(got, " ") != want) {
			t.Errorf("%s: %s (%v), want %s", in, got, err, want)
		}
	}
}

func TestMatchersHold(t *testing.T) {
	l := Labels{"severity": {"high"}, "entity": {"bla", "ttp"}, "lang": {""}, "text": {"a\nb"}}
	for in, want := range map[string]bool{
		`severity="high"`: true, `severity="hig"`: false, `severity=~"hig"`: false, `severity=~"hig.*"`: true, `severity!="high"`: false,
		`entity="ttp"`: true, `entity="isis"`: false, `entity!="isis"`: true, `entity!="ttp"`: false, `entity!~"b.*"`: false, `entity=~"b.*"`: true,
		`lang=""`: true, `missing=""`: true, `missing!=""`: false, `missing=~".*"`: true, `missing="x"`: false, `missing!="x"`: true,
		`severity=~"low|high"`: true, `severity=~"low|hi"`: false,
	} {
		ms, err := ParseMatchers(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := ms[0].Holds(l); got != want {
			t.Errorf("%s: %v", in, got)
		}
	}
}

func FuzzParseMatchers(f *testing.F) {
	for _, s := range []string{`a="b"`, `{a=~"x|y",b!=c}`, `"n m"!~"\\d\n"`, `a=b"`, `a="\`, "{", "=,,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		ms, err := ParseMatchers(in)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n") && !strings.Contains(in, "\n") {
				t.Errorf("error of two lines: %q", err)
			}
			return
		}
		for _, m := range ms {
			again, err := ParseMatchers(m.String())
			if err != nil || len(again) != 1 || again[0].Name != m.Name || again[0].Op != m.Op || again[0].Value != m.Value {
				t.Errorf("%q became %q, which reads as %v (%v)", in, m.String(), again, err)
			}
			l := Labels{m.Name: {"x"}, "other": {"y"}}
			opposite := *m
			opposite.Op = map[string]string{"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}[m.Op]
			if m.Holds(l) == opposite.Holds(l) {
				t.Errorf("%q and its opposite agree", m)
			}
		}
	})
}

const treeYAML = `
max_alert_age: 48h
route:
  channels: [archive]
  routes:
    - matchers: ['severity="critical"']
      channels: [pager]
      continue: true
    - id: groups
      matchers: [watchlist="armed-groups"]
      channels: [desk]
      routes:
        - matchers: ['lang=~"ur|fa"', country!=IN]
          channels: [desk-ur]
        - matchers: [entity="bla"]
    - matchers: [team="quake"]
      channels: [quake, archive]
`

func tree0(t *testing.T) *tree {
	t.Helper()
	c := config(t, treeYAML)
	if err := c.Check([]string{"archive", "pager", "desk", "desk-ur", "quake"}, "team").Err(); err != nil {
		t.Fatal(err)
	}
	root, err := compileRoute(c.Route, nil)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

func TestRoutes(t *testing.T) {
	root := tree0(t)
	n := &Notifier{root: root}
	for _, c := range []struct {
		labels map[string]string
		want   []string
	}{
		{nil, []string{"root: archive"}},
		{map[string]string{"severity": "critical"}, []string{`root > severity="critical": pager`}},
		{map[string]string{"severity": "critical", "watchlist": "armed-groups"}, []string{`root > severity="critical": pager`, "root > groups: desk"}},
		{map[string]string{"watchlist": "armed-groups", "lang": "ur"}, []string{`root > groups > lang=~"ur|fa",country!="IN": desk-ur`}},
		{map[string]string{"watchlist": "armed-groups", "lang": "ur", "country": "IN"}, []string{"root > groups: desk"}},
		{map[string]string{"watchlist": "armed-groups", "entity": "bla"}, []string{`root > groups > entity="bla": desk`}},
		{map[string]string{"team": "quake"}, []string{`root > team="quake": quake, archive`}},
	} {
		if got := n.RouteTest(c.labels); !slices.Equal(got, c.want) {
			t.Errorf("%v: %q, want %q", c.labels, got, c.want)
		}
	}
}

// TestRouteIDsSurviveMoves: delivery ids are made of route ids, so a route keeps its id when others come, go or move.
func TestRouteIDsSurviveMoves(t *testing.T) {
	ids := func(yaml string) map[string]bool {
		c := config(t, yaml)
		root, err := compileRoute(c.Route, nil)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]bool{}
		var walk func(*tree)
		walk = func(t *tree) {
			out[t.id] = true
			for _, c := range t.children {
				walk(c)
			}
		}
		walk(root)
		return out
	}
	a := ids("route: {channels: [x], routes: [{matchers: [a=b]}, {matchers: [c=d], routes: [{matchers: [e=f]}]}]}")
	b := ids("route: {channels: [x], routes: [{matchers: [new=one]}, {matchers: [c=d], routes: [{matchers: [e=f]}]}, {matchers: [a=b]}]}")
	for id := range a {
		if !b[id] {
			t.Errorf("id %q is gone after a move; now %v", id, b)
		}
	}
}

func TestCheckFindsFaults(t *testing.T) {
	for name, c := range map[string]struct {
		yaml   string
		labels []string
		want   []string
	}{
		"no route":         {"max_alert_age: 1h\n", nil, []string{"no route: alerts would reach nobody"}},
		"no channel":       {"route: {}\n", nil, []string{"t.yaml:1:8: the root route names no channel"}},
		"root matchers":    {"route: {channels: [desk], matchers: [lang=en]}\n", nil, []string{"the root route has matchers"}},
		"unknown channel":  {"route: {channels: [dsk]}\n", nil, []string{`t.yaml:1:20: unknown channel "dsk": did you mean "desk"?`}},
		"bad matcher":      {"route: {channels: [desk], routes: [{matchers: ['a=~\"(\"']}]}\n", nil, []string{"bad regular expression"}},
		"near label":       {"route: {channels: [desk], routes: [{matchers: [severty=high]}]}\n", nil, []string{`unknown label "severty": did you mean "severity"?`}},
		"unknown label":    {"route: {channels: [desk], routes: [{matchers: [zone=a]}]}\n", []string{"team"}, []string{`unknown label "zone": known labels: `}},
		"unknown severity": {"route: {channels: [desk], routes: [{matchers: [severity=hig]}]}\n", nil, []string{`unknown severity "hig": did you mean "high"?`}},
		"no matchers":      {"route: {channels: [desk], routes: [{channels: [desk]}]}\n", nil, []string{"a route without matchers"}},
		"same id":          {"route: {channels: [desk], routes: [{id: a, matchers: [lang=en]}, {id: a, matchers: [lang=fa]}]}\n", nil, []string{`route id "a" stands twice`}},
		"too old":          {"max_alert_age: 27d\nroute: {channels: [desk]}\n", nil, []string{"max_alert_age 648h0m0s and the longest retry"}},
		"several": {
			"route: {channels: [dsk], routes: [{matchers: [severty=high], channels: [des]}]}\n", nil,
			[]string{"dsk", "severty", `did you mean "desk"?`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var conf Config
			fs := strict.Decode("t.yaml", []byte(c.yaml), 1<<20, &conf)
			errs, _ := append(fs, conf.Check([]string{"desk", "hook"}, c.labels...)...).Split()
			for _, w := range c.want {
				if !strings.Contains(errs.Error(), w) {
					t.Errorf("got %q, want %q", errs.Error(), w)
				}
			}
		})
	}
	free := config(t, "route: {channels: [desk], routes: [{matchers: [zone=a]}]}\n")
	if errs, warns := free.Check([]string{"desk"}).Split(); len(errs) != 0 || len(warns) != 1 {
		t.Errorf("a label that no list is known to set: errors %v, warnings %v", errs, warns)
	}
}

func TestLabelsOfAnAlert(t *testing.T) {
	m := match("i1", func(m *news.Match) {
		m.Labels = map[string]string{"team": "a", "severity": "forged"}
		m.Entities = append(m.Entities, news.EntityHit{ID: "ttp"})
		m.Rules = []news.RuleHit{{ID: "r"}}
		m.Item.Tier, m.Item.Country = 2, "PK"
	})
	l := LabelsOf(&news.Alert{Kind: news.KindFirst, Watchlist: m.Watchlist, Severity: m.Severity, Match: m})
	for k, want := range map[string][]string{
		"team": {"a"}, "severity": {"medium"}, "entity": {"bla", "ttp"}, "rule": {"r"}, "tier": {"2"}, "country": {"PK"}, "kind": {"first"},
		"lang": {"en"}, "feed": {"feed"}, "reason": {"new"}, "watchlist": {"armed-groups"},
	} {
		if !slices.Equal(l[k], want) {
			t.Errorf("%s is %v, want %v", k, l[k], want)
		}
	}
	for _, name := range LabelNames() {
		if _, ok := l[name]; !ok {
			t.Errorf("label %s is promised, not given", name)
		}
	}
}
