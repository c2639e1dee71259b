package main

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"tocsin/matcher"
)

// TestSeriesStayInTheirBudget opens a whole instance with 1,000 feeds, 500 entities, 100 rules and 6 channels: its formula allows less than 25,000
// series, it shows no more than the formula says, and the linter of Prometheus finds no fault in any of them.
func TestSeriesStayInTheirBudget(t *testing.T) {
	if testing.Short() {
		t.Skip("arms a thousand feeds, each synced to disk")
	}
	const feeds, entities, rules, channels = 1000, 500, 100, 6
	dir := t.TempDir()
	list, feedList, chans := "", "feeds:\n", ""
	for i := range feeds {
		feedList += fmt.Sprintf("  - {url: \"http://127.0.0.1:1/%d\", outlet: Outlet %d, lang: en}\n", i, i)
	}
	for l := range 5 {
		list = fmt.Sprintf("id: list-%d\ntitle: List %d\nentities:\n", l, l)
		for i := range entities / 5 {
			list += fmt.Sprintf("  - {id: e%d-%d, name: Xuvq %d %d, kind: organisation, aliases: {en: [\"Xuvqa%d%dx\"]}, flag: [\"Xuvqa%d%dx met.\"]}\n", l, i, l, i, l, i, l, i)
		}
		list += "rules:\n"
		for i := range rules / 5 {
			list += fmt.Sprintf("  - {id: r%d-%d, title: Rule, query: \"xuvqa%d%dx AND met\", flag: [\"Xuvqa%d%dx met.\"]}\n", l, i, l, i, l, i)
		}
		write(t, dir, fmt.Sprintf("lists/list-%d.yaml", l), list)
	}
	for i := range channels {
		chans += fmt.Sprintf("  - {id: file-%d, file: {path: out-%d.jsonl}}\n", i, i)
	}
	write(t, dir, "feeds.yaml", feedList)
	file := write(t, dir, "tocsin.yaml", "data_dir: data\nhttp: {listen: \"127.0.0.1:0\"}\nfetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.1]}\nmatcher: {watchlists: lists}\nchannels:\n"+chans)
	cfg, faults := loadConfig(file)
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	in, err := open(t.Context(), cfg, roles{true, true, true}, slog.New(slog.DiscardHandler), std{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.abandon()
	limit := seriesLimit(feeds, channels, 1, in.index.Load().Sizes())
	t.Logf("1,000 feeds, 500 entities, 100 rules, 6 channels: at most %d series", limit)
	if limit >= 25_000 {
		t.Errorf("the formula allows %d series, the budget is 25,000", limit)
	}
	n, err := testutil.GatherAndCount(in.reg)
	if err != nil || n > limit || n < feeds {
		t.Errorf("%d series at rest, the formula allows %d: %v", n, limit, err)
	}
	if got, err := testutil.GatherAndCount(in.reg, "tocsin_series_limit"); err != nil || got != 1 {
		t.Errorf("tocsin_series_limit: %d, %v", got, err)
	}
	problems, err := testutil.GatherAndLint(in.reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	goneListsTakeTheirSeries(t, in)
}

func goneListsTakeTheirSeries(t *testing.T, in *instance) {
	t.Helper()
	before, err := testutil.GatherAndCount(in.reg)
	if err != nil {
		t.Fatal(err)
	}
	empty, _, err := loadIndex(shipped)
	if err != nil {
		t.Fatal(err)
	}
	in.setLive(empty)
	in.setFeeds(nil)
	families, err := in.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "feed" || l.GetName() == "watchlist" && strings.HasPrefix(l.GetValue(), "list-") {
					t.Errorf("%s still has %s %s", f.GetName(), l.GetName(), l.GetValue())
				}
			}
		}
	}
	after, err := testutil.GatherAndCount(in.reg)
	if err != nil || after >= before {
		t.Errorf("%d series before, %d after: %v", before, after, err)
	}
	if l := seriesLimit(1, 1, 1, []matcher.ListSize{{ID: "a", Entities: 1}}); l < 200 || l > 1000 {
		t.Errorf("a tiny configuration may have %d series", l)
	}
}
