package matcher

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"tocsin/matcher/watchlist"
	"tocsin/news"
	"tocsin/news/strict"
)

// watch is a Matcher at noon with a registry, and what it published.
func watch(t *testing.T, fail error) (*Matcher, *prometheus.Registry, *[]news.Match) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	var got []news.Match
	m, err := New(Options{
		Publish: func(_ context.Context, m news.Match) error {
			got = append(got, m)
			return fail
		},
		Registerer: reg, Now: func() time.Time { return time.Unix(1_700_000_000, 0).UTC() },
	})
	if err != nil {
		t.Fatal(err)
	}
	return m, reg, &got
}

const simple = `
entities:
  - {id: ttp, name: TTP, aliases: {en: [Pakistani Taliban]}, flag: [Pakistani Taliban]}
  - {id: quiet, name: Quiet, aliases: {en: [Quiet place]}, flag: [Quiet place]}
rules:
  - {id: drones, query: 'drone* AND taliban', flag: [Taliban drones]}
`

func TestHandle(t *testing.T) {
	m, reg, got := watch(t, nil)
	ctx := context.Background()
	item := news.Item{ID: "i", Revision: "r", Title: "Pakistani Taliban drones"}
	if err := m.Handle(ctx, item); !errors.Is(err, ErrNoIndex) {
		t.Fatalf("without an index: %v", err)
	}
	if m.Revision() != "" {
		t.Errorf("revision before the first swap is %q", m.Revision())
	}
	x := compile(t, simple)
	m.Swap(x)
	if m.Revision() != x.Revision() || m.Revision() == "" {
		t.Errorf("revision is %q, want %q", m.Revision(), x.Revision())
	}
	for range 2 {
		if err := m.Handle(ctx, item); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Handle(ctx, news.Item{Title: "Rain"}); err != nil {
		t.Fatal(err)
	}
	if err := m.Handle(ctx, news.Item{Title: CanaryTitle, Reason: news.ReasonCanary}); err != nil {
		t.Fatal(err)
	}
	if len(*got) != 3 || (*got)[0].ID != (*got)[1].ID || (*got)[0].MatchedAt != time.Unix(1_700_000_000, 0).UTC() || (*got)[2].Watchlist != CanaryList {
		t.Fatalf("published %+v", *got)
	}
	if s := (*got)[0].Signature; s == nil || len(s.Anchors) == 0 || (*got)[2].Signature != nil {
		t.Errorf("signatures %+v and %+v: news has one, the program's own item has none", s, (*got)[2].Signature)
	}
	want := `
# HELP tocsin_entity_last_match_timestamp_seconds When an entity or rule was last matched.
# TYPE tocsin_entity_last_match_timestamp_seconds gauge
tocsin_entity_last_match_timestamp_seconds{entity="drones",watchlist="test"} 1.7e+09
tocsin_entity_last_match_timestamp_seconds{entity="ttp",watchlist="test"} 1.7e+09
# HELP tocsin_items_total Items by stage and outcome.
# TYPE tocsin_items_total counter
tocsin_items_total{outcome="canary",stage="matcher"} 1
tocsin_items_total{outcome="matched",stage="matcher"} 2
tocsin_items_total{outcome="no_match",stage="matcher"} 1
tocsin_items_total{outcome="not_stored",stage="matcher"} 0
# HELP tocsin_matches_total Matches published, once for each entity and rule in them.
# TYPE tocsin_matches_total counter
tocsin_matches_total{entity="drones",watchlist="test"} 2
tocsin_matches_total{entity="quiet",watchlist="test"} 0
tocsin_matches_total{entity="ttp",watchlist="test"} 2
# HELP tocsin_rule_hits_total Items for which a rule held.
# TYPE tocsin_rule_hits_total counter
tocsin_rule_hits_total{rule="drones",watchlist="test"} 2
# HELP tocsin_watchlist_entities Entities of each live watchlist.
# TYPE tocsin_watchlist_entities gauge
tocsin_watchlist_entities{watchlist="test"} 2
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "tocsin_items_total", "tocsin_matches_total", "tocsin_rule_hits_total",
		"tocsin_entity_last_match_timestamp_seconds", "tocsin_watchlist_entities"); err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(m.metrics.ruleCost); n != 1 {
		t.Errorf("%d series of rule costs", n)
	}
	problems, err := testutil.GatherAndLint(reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("lint: %v %v", []promlint.Problem(problems), err)
	}
}

func TestPublishFails(t *testing.T) {
	full := errors.New("stream is full")
	m, _, _ := watch(t, full)
	m.Swap(compile(t, simple))
	if err := m.Handle(context.Background(), news.Item{Title: "Pakistani Taliban"}); !errors.Is(err, full) {
		t.Errorf("error is %v, want the one of Publish", err)
	}
	if n := testutil.ToFloat64(m.metrics.items.WithLabelValues(outcomeFailed)); n != 1 {
		t.Errorf("%v items not stored, want 1", n)
	}
	if n := testutil.ToFloat64(m.metrics.matches.WithLabelValues("test", "ttp")); n != 0 {
		t.Errorf("%v matches counted, want none", n)
	}
}

func TestSeriesGoWithTheirList(t *testing.T) {
	m, reg, _ := watch(t, nil)
	m.Swap(compile(t, simple))
	if err := m.Handle(context.Background(), news.Item{Title: "Pakistani Taliban drones"}); err != nil {
		t.Fatal(err)
	}
	set, faults := watchlist.Load(fstest.MapFS{"other.yaml": {Data: []byte("id: other\ntitle: Other\nentities:\n  - {id: a, name: A, aliases: {en: [Alpha]}, flag: [Alpha]}\n")}})
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	x, err := Compile(set)
	if err != nil {
		t.Fatal(err)
	}
	m.Swap(x)
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		for _, s := range f.GetMetric() {
			for _, l := range s.GetLabel() {
				if l.GetName() == "watchlist" && l.GetValue() != "other" {
					t.Errorf("%s still has a series of %q", f.GetName(), l.GetValue())
				}
			}
		}
	}
}

func TestNamesAreCapped(t *testing.T) {
	l := &watchlist.List{ID: strict.Text{Value: "big"}}
	for i := range maxNames + 10 {
		id := strings.Repeat("x", 1+i%50) + "-" + strings.Repeat("y", 1+i/50)
		l.Entities = append(l.Entities, &watchlist.Entity{List: l, ID: strict.Text{Value: id}, Aliases: []*watchlist.Alias{{Text: id}}})
	}
	x, err := Compile(&watchlist.Set{Lists: []*watchlist.List{l}})
	if err != nil {
		t.Fatal(err)
	}
	m, _, _ := watch(t, nil)
	m.Swap(x)
	if n := testutil.CollectAndCount(m.metrics.matches); n != maxNames+1 {
		t.Errorf("%d series, want %d", n, maxNames+1)
	}
	if got, ok := m.metrics.label("big", "unknown"); got != otherName || !ok {
		t.Errorf("an entity beyond the cap is counted as %q %v", got, ok)
	}
	if _, ok := m.metrics.label("gone", "a"); ok {
		t.Error("an entity of a list that is gone is counted")
	}
}

func TestNewNeedsPublish(t *testing.T) {
	if _, err := New(Options{}); err == nil {
		t.Error("New without Publish gives no error")
	}
	reg := prometheus.NewRegistry()
	publish := func(context.Context, news.Match) error { return nil }
	if _, err := New(Options{Publish: publish, Registerer: reg}); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Publish: publish, Registerer: reg}); err == nil {
		t.Error("registering twice gives no error")
	}
}

func TestExplain(t *testing.T) {
	x := compile(t, `
sources: {langs: [en]}
entities:
  - {id: ttp, name: TTP, kind: organisation, aliases: {en: [Pakistani Taliban, {text: TTP, case: exact, needs: {any: [Pakistan], within: 3}, unless: {any: [platelet*]}}]}, decoys: [TTP Prestige], flag: [x]}
  - {id: taliban, name: Taliban, kind: organisation, aliases: {en: [Taliban]}, flag: [x]}
rules:
  - {id: drones, query: '@taliban NEAR/3 drone*', flag: [x]}
  - {id: points, score: {at_least: 20, words: {rail: 10, track: 10}}, flag: [x]}
`)
	check := func(lang, text string) (out []string) {
		e := x.Explain(&news.Item{Lang: lang, Body: text})
		for _, s := range e.Stopped {
			if text[s.Start:s.End] != s.Text || s.Field != "body" || s.Watchlist != "test" {
				t.Errorf("%q: %+v", text, s)
			}
			out = append(out, s.Entity+" "+s.Check+": "+s.Why)
		}
		for _, r := range e.Failed {
			out = append(out, r.Rule+": "+r.Why)
		}
		return out
	}
	for _, c := range []struct {
		lang, text string
		want       []string
	}{
		{"en", "ttp", []string{`ttp case: written otherwise than "TTP"`}},
		{"en", "TTP", []string{`ttp needs: needs Pakistan within 3 words; none is there`}},
		{"en", "TTP a b c d Pakistan", []string{`ttp needs: needs Pakistan within 3 words; the nearest, "Pakistan", stands 5 words away`}},
		{"en", "TTP in Pakistan, low platelets", []string{`ttp unless: "platelets" stands 4 words away`}},
		{"en", "TTP Prestige of Pakistan", []string{`ttp decoy: part of the decoy "TTP Prestige"`}},
		{"en", "tech transparency project (TTP) in Pakistan", []string{`ttp meaning: introduced as "tech transparency project"`}},
		{"en", "Pakistani Taliban", []string{`taliban longer: part of "Pakistani Taliban", which is ttp`}},
		{"en", "Taliban a b c d e drones", []string{`drones: nearest words stand 6 words apart: @taliban NEAR/3 drone*`}},
		{"en", "Taliban", []string{`drones: does not hold: @taliban NEAR/3 drone*`}},
		{"en", "track", []string{`points: 10 points of 20`}},
		{"ru", "Taliban drones", []string{`taliban source: it counts, but its list does not watch this language or feed`, `drones: it holds, but its list does not watch this language or feed`}},
		{"en", "Taliban drones", nil},
		{"en", "nothing", nil},
	} {
		if diff := cmp.Diff(c.want, check(c.lang, c.text)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.text, diff)
		}
	}
	e := x.Explain(&news.Item{Lang: "en", Title: "The Taliban", Body: "The Pakistani Taliban"})
	var b strings.Builder
	if err := e.Write(&b, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"title    The [Taliban]\n", "body     The [Pakistani Taliban]\n", "flagged  test: taliban, ttp (medium)\n", `"Pakistani Taliban" in the body: named`, "not      taliban (test): \"Taliban\" in the body: longer"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	b.Reset()
	if err := e.Write(&b, true); err != nil || !strings.Contains(b.String(), "The \x1b[1;33mTaliban\x1b[0m\n") {
		t.Errorf("in colour:\n%q %v", b.String(), err)
	}
}

func TestCheckSentences(t *testing.T) {
	set, faults := watchlist.Load(fstest.MapFS{"s.yaml": {Data: []byte(`id: s
title: S
sources: {langs: [de], feeds: [nobody]}
entities:
  - id: a
    name: A
    aliases:
      en: [Alpha, {text: Beta, needs: {any: [gamma], within: 2}}]
    flag:
      - Alpha is here.
      - Beta stands far away from any gamma.
      - {lang: ru, text: Nothing of it.}
    ignore:
      - Delta only.
      - Not Alpha either.
rules:
  - id: r
    query: 'title:(storm) AND lang:ru AND feed:x'
    flag: [A storm., {lang: en, text: A storm in English.}]
    ignore: [storm]
`)}})
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	x, err := Compile(set)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range x.CheckSentences() {
		got = append(got, f.Error())
	}
	want := []string{
		`s.yaml:11:9: this sentence must flag "a" and does not ("Beta": needs gamma within 2 words; the nearest, "gamma", stands 6 words away): mend the sentence, or add an alias or words to its needs:`,
		`s.yaml:12:26: this sentence must flag "a" and does not (nothing in it was found): mend the sentence, or add an alias or words to its needs:`,
		`s.yaml:15:9: this sentence must not flag "a" and does ("Alpha": named): add decoys: or unless:, or narrow the alias`,
		`s.yaml:19:39: this sentence must flag "r" and does not (does not hold: title:(storm) AND lang:ru AND feed:x): mend the sentence, or add an alias or words to its needs:`,
		`s.yaml:20:14: this sentence must not flag "r" and does ("storm"): add decoys: or unless:, or narrow the alias`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCompileFaults(t *testing.T) {
	pos := func(line int) strict.Pos { return strict.Pos{File: "f.yaml", Line: line, Col: 1} }
	l := &watchlist.List{ID: strict.Text{Value: "l"}}
	long := strings.Repeat("汉", maxTokens+1)
	l.Entities = []*watchlist.Entity{{
		List: l, ID: strict.Text{Value: "e"},
		Aliases: []*watchlist.Alias{
			{Pos: pos(1), Text: "ـ"},
			{Pos: pos(2), Text: long},
			{Pos: pos(3), Text: "ok", Needs: &watchlist.Condition{Any: []watchlist.Term{
				{Pos: pos(4), Text: "…"}, {Pos: pos(5), Kind: watchlist.ContextRef, Text: "none"}, {Pos: pos(6), Kind: watchlist.EntityRef, Text: "none"},
			}}},
		},
	}}
	_, err := Compile(&watchlist.Set{Lists: []*watchlist.List{l}})
	var faults strict.Faults
	if !errors.As(err, &faults) || len(faults) != 5 {
		t.Fatalf("error is %v", err)
	}
	for i, part := range []string{"f.yaml:1:1: alias \"ـ\" folds to nothing", "longer than 64 words", "\"…\" folds to nothing", "unknown context $none", "unknown entity @none"} {
		if !strings.Contains(faults[i].Error(), part) {
			t.Errorf("fault %d is %q, want %q", i, faults[i].Error(), part)
		}
	}
}

func TestCompileWarnsOfSharedAliases(t *testing.T) {
	l := &watchlist.List{ID: strict.Text{Value: "l"}}
	for _, id := range []string{"a", "b"} {
		l.Entities = append(l.Entities, &watchlist.Entity{List: l, ID: strict.Text{Value: id}, Aliases: []*watchlist.Alias{{Text: map[string]string{"a": "Café", "b": "cafe"}[id]}}})
	}
	x, err := Compile(&watchlist.Set{Lists: []*watchlist.List{l}})
	if err != nil {
		t.Fatal(err)
	}
	if w := x.Warnings(); len(w) != 1 || !strings.Contains(w[0].Fact, `is an alias of "a" and of "b"`) && !strings.Contains(w[0].Fact, `is an alias of "b" and of "a"`) {
		t.Errorf("warnings are %v", w)
	}
	if got := x.Summary(); got != "1 watchlist, 2 entities, 2 aliases, 0 rules, revision " {
		t.Errorf("summary is %q", got)
	}
}

func TestScore(t *testing.T) {
	x := compile(t, simple)
	r := Score([]Labelled{
		{ID: "1", Lang: "en", Title: "Pakistani Taliban", Expect: []string{"ttp"}},
		{ID: "2", Lang: "en", Title: "Quiet", Expect: []string{"quiet", "absent"}},
		{ID: "3", Lang: "ru", Title: "Pakistani Taliban", HardFor: []string{"ttp"}},
		{ID: "4", Lang: "ru", Title: "Pakistani Taliban and a quiet place", Optional: []string{"ttp"}},
		{ID: "5", Lang: "ru", Title: "Taliban drones"}, // no label names the rule: not judged
	}, x)
	if diff := cmp.Diff(Tally{Found: 1, Missed: 2, False: 2}, r.All); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]Tally{"ttp": {1, 0, 1}, "quiet": {0, 1, 1}, "absent": {0, 1, 0}}, r.Entities); diff != "" {
		t.Errorf("entities (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]Tally{"en": {1, 2, 0}, "ru": {0, 0, 2}}, r.Langs); diff != "" {
		t.Errorf("languages (-want +got):\n%s", diff)
	}
	if r.HardItems != 1 || r.HardFlagged != 1 || len(r.Misses) != 2 || len(r.FalseAlarms) != 2 || !r.FalseAlarms[0].Hard || len(r.Unknown) != 1 {
		t.Errorf("report is %+v", r)
	}
	if p, rec, f := r.All.Precision(), r.All.Recall(), r.All.F1(); p != 1.0/3 || rec != 1.0/3 || f != 1.0/3 {
		t.Errorf("precision %v recall %v F1 %v", p, rec, f)
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil || !strings.Contains(b.String(), "hard negatives flagged: 1 of 1 (100.0 %)") || !strings.Contains(b.String(), "no list has: absent") {
		t.Errorf("report reads\n%s\n%v", b.String(), err)
	}
}

func TestSwapWhileMatching(t *testing.T) {
	m, _, _ := watch(t, nil)
	m.publish = func(context.Context, news.Match) error { return nil }
	a, b := compile(t, simple), compile(t, groups)
	m.Swap(a)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if err := m.Handle(context.Background(), news.Item{Title: "Pakistani Taliban drones"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 20 {
		m.Swap(b)
		m.Swap(a)
	}
	wg.Wait()
}
