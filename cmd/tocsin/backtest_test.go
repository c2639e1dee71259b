package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/news"
)

const oldList = `
id: groups
title: Groups
entities:
  - {id: front, name: Front, aliases: {en: [Xylophone Front]}, flag: ["The Xylophone Front met."]}
  - {id: union, name: Union, aliases: {en: [Yellow Union, {text: Zebra, needs: [army]}]}, flag: ["The Yellow Union met."]}
rules:
  - {id: meets, title: Meets, query: '@front AND met', flag: ["The Xylophone Front met."]}
`

const newList = `
id: groups
title: Groups
entities:
  - {id: front, name: Front, aliases: {en: [{text: Xylophone Front, unless: [concert]}]}, flag: ["The Xylophone Front met."]}
  - {id: union, name: Union, aliases: {en: [Yellow Union, Zebra]}, flag: ["The Yellow Union met."]}
  - {id: league, name: League, aliases: {en: [Quiet League]}, flag: ["The Quiet League met."]}
rules:
  - {id: meets, title: Meets, query: '@union AND met', flag: ["The Yellow Union met."]}
`

// invented makes items of a few words that the lists know, with revisions of one item and items without id among them.
func invented(n int) []news.Item {
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"Xylophone Front", "Yellow Union", "Zebra", "Quiet League", "met", "concert", "army", "rain", "\u202eپانی", "<b>|*@x", "no\nline"}
	began := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	out := make([]news.Item, n)
	for i := range out {
		var text []string
		for range 1 + r.IntN(6) {
			text = append(text, words[r.IntN(len(words))])
		}
		out[i] = news.Item{Lang: "en", Title: strings.Join(text, " "), Summary: words[r.IntN(len(words))], FirstSeen: began.Add(time.Duration(i) * time.Minute)}
		if r.IntN(5) > 0 {
			out[i].ID = fmt.Sprintf("item%d", r.IntN(n))
		}
		if r.IntN(50) == 0 {
			out[i].Reason = news.ReasonCanary
		}
	}
	return out
}

func jsonl(t testing.TB, items []news.Item) []byte {
	t.Helper()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for i := range items {
		if err := enc.Encode(&items[i]); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

type counts struct{ Before, After, Plus, Minus, AlertsBefore, AlertsAfter int }

// naive computes anew what backtest computes, one item after the other.
func naive(items []news.Item, before, after lists) map[string]counts {
	sides, heads := map[string]map[string]int{}, map[string]map[string]uint64{}
	for i, it := range items {
		key := it.ID
		if key == "" {
			key = fmt.Sprint("no id ", i)
		}
		if it.Reason == news.ReasonCanary {
			continue
		}
		for side, l := range map[int]lists{1: before, 2: after} {
			for _, id := range answer(nil, l.index.Match(&it)).Flagged {
				if sides[id] == nil {
					sides[id], heads[id] = map[string]int{}, map[string]uint64{}
				}
				if h := headlineHash(&it); sides[id][key] == 0 || h < heads[id][key] {
					heads[id][key] = h
				}
				sides[id][key] |= side
			}
		}
	}
	out := map[string]counts{}
	for id, keys := range sides {
		var c counts
		alerts := map[int]map[uint64]bool{1: {}, 2: {}}
		for key, s := range keys {
			for side := range alerts {
				if s&side != 0 {
					alerts[side][heads[id][key]] = true
				}
			}
			c.Before, c.After = c.Before+s&1, c.After+s>>1
			if s == 1 {
				c.Minus++
			}
			if s == 2 {
				c.Plus++
			}
		}
		c.AlertsBefore, c.AlertsAfter = len(alerts[1]), len(alerts[2])
		out[id] = c
	}
	return out
}

func openDir(t testing.TB, text string) (lists, string) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "groups.yaml", text)
	l, err := openLists(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	return l, dir
}

func runBacktest(t testing.TB, args ...string) (out, errs string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	code = execute(t.Context(), append([]string{"backtest"}, args...), std{strings.NewReader(""), &o, &e})
	return o.String(), e.String(), code
}

func rowsOf(t testing.TB, out string) (backtestReport, map[string]counts) {
	t.Helper()
	var rep backtestReport
	if err := json.Unmarshal([]byte(out), &rep); err != nil {
		t.Fatal(err, out)
	}
	got := map[string]counts{}
	for _, r := range rep.Rows {
		if c := (counts{r.Before, r.After, r.Plus, r.Minus, r.AlertsBefore, r.AlertsAfter}); c != (counts{}) {
			got[r.ID] = c
		}
	}
	return rep, got
}

func TestBacktestAgreesWithNaive(t *testing.T) {
	before, oldDir := openDir(t, oldList)
	after, newDir := openDir(t, newList)
	items := invented(20_000)
	half := len(items) / 2
	dir := t.TempDir()
	one := write(t, dir, "one.jsonl", string(jsonl(t, items[:half])))
	two := filepath.Join(dir, "two.jsonl.gz")
	packed(t, two, jsonl(t, items[half:]))
	out, errs, code := runBacktest(t, "--items", one, "--items", two, "--against", oldDir, "--json", newDir)
	if code != exitOK {
		t.Fatal(code, errs)
	}
	rep, got := rowsOf(t, out)
	want := naive(items, before, after)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if len(want) != 4 || want["union"].Plus < 100 || want["front"].Minus < 100 || want["meets"].Plus == 0 || want["meets"].Minus == 0 {
		t.Errorf("the items decide nothing: %v", want)
	}
	if rep.Read.Bad != 0 || rep.Days < 13 || rep.Days > 14 {
		t.Errorf("read %+v, %.1f days", rep.Read, rep.Days)
	}
	checkSamples(t, rep)
	again, _, _ := runBacktest(t, "--items", two, "--items", one, "--against", oldDir, "--json", newDir)
	rep2, _ := rowsOf(t, again)
	if d := cmp.Diff(rep.Rows, rep2.Rows, cmp.AllowUnexported(backtestSample{})); d != "" {
		t.Errorf("another order of files gives another report: %s", d)
	}
}

// checkSamples holds each sample to what it says: the mention stands in its text, and it is told why.
func checkSamples(t *testing.T, rep backtestReport) {
	t.Helper()
	n := 0
	for _, r := range rep.Rows {
		if len(r.Added) != min(3, r.Plus) || len(r.Removed) != min(3, r.Minus) {
			t.Errorf("%s: %d and %d samples of +%d -%d", r.ID, len(r.Added), len(r.Removed), r.Plus, r.Minus)
		}
		for _, s := range append(r.Added, r.Removed...) {
			n++
			if s.Why == "" || !strings.Contains(s.Text, s.Mention) || r.Kind == "entity" && s.Mention == "" {
				t.Errorf("%s: sample %+v", r.ID, s)
			}
		}
	}
	if n == 0 {
		t.Error("no samples")
	}
}

func packed(t testing.TB, path string, b []byte) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z := gzip.NewWriter(f)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestBacktestAlerts counts alerts: items of one headline are one.
func TestBacktestAlerts(t *testing.T) {
	_, dir := openDir(t, oldList)
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var items []news.Item
	for i, title := range []string{"Xylophone Front met", "XYLOPHONE front  met", "Xylophone Front left", "rain"} {
		items = append(items, news.Item{ID: fmt.Sprint(i), Title: title, FirstSeen: at.Add(time.Duration(i) * 16 * time.Hour)})
	}
	out, errs, code := runBacktest(t, "--items", write(t, dir, "x.jsonl", string(jsonl(t, items))), "--against", "none", "--json", dir)
	if code != exitOK {
		t.Fatal(errs)
	}
	rep, _ := rowsOf(t, out)
	for _, r := range rep.Rows {
		if r.ID == "front" && (r.After != 3 || r.AlertsAfter != 2 || r.Status != "new" || rep.rate(r.AlertsAfter) != "1.00") {
			t.Errorf("%+v, %s alerts a day in %v days", r, rep.rate(r.AlertsAfter), rep.Days)
		}
	}
}

func TestBacktestMarkdownIsHarmless(t *testing.T) {
	_, oldDir := openDir(t, oldList)
	_, newDir := openDir(t, newList)
	items := []news.Item{{Lang: "en", Outlet: "a|b", Title: "</details> Yellow ![x](http://evil.example/x) `Zebra` | @user #1 www.evil.example <script>"}}
	out, _, code := runBacktest(t, "--items", write(t, oldDir, "x.jsonl", string(jsonl(t, items))), "--against", oldDir, "--markdown", "--fail-on-change", newDir)
	if code != exitFailed {
		t.Errorf("exit status %d", code)
	}
	_, samples, found := strings.Cut(out, "<summary>")
	if !found {
		t.Fatal(out)
	}
	for _, bad := range []string{"![", "](", "`", "@user", " #1", "<script", "http://", "www.", "</details> Y"} {
		if strings.Contains(samples, bad) {
			t.Errorf("%q stands in the samples:\n%s", bad, samples)
		}
	}
	if !strings.Contains(samples, "<b>Zebra</b>") {
		t.Errorf("the mention does not stand out:\n%s", samples)
	}
}

func TestBacktestBadInput(t *testing.T) {
	_, dir := openDir(t, oldList)
	for _, c := range []struct {
		text, says string
		code       int
	}{
		{"{nothing\n", "none of the 1 lines is an item", exitUsage},
		{"{nothing\n{\"title\": \"Xylophone Front\"}\n", "1 lines could not be read", exitOK},
		{"", "0 items", exitOK},
		{"{\"title\": \"" + strings.Repeat("x", maxLine+batchBytes) + "\"}\n", "a line is longer than", exitFailed},
	} {
		out, errs, code := runBacktest(t, "--items", write(t, t.TempDir(), "x.jsonl", c.text), "--against", "none", dir)
		if code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("%.20q: exit status %d, %s%s", c.text, code, out, errs)
		}
	}
	for _, args := range [][]string{{"--items", "nowhere.jsonl", dir}, {"--against", filepath.Join(dir, "none"), "--items", "-"}, {"--since", "yesterday", dir, "--against", "none"}} {
		if _, errs, code := runBacktest(t, args...); code != exitUsage || errs == "" {
			t.Errorf("%v: exit status %d, %s", args, code, errs)
		}
	}
}

func TestGaugeLine(t *testing.T) {
	g := gauge{began: time.Now().Add(-10 * time.Second)}
	g.items.Store(5000)
	if got := g.line(); !strings.HasPrefix(got, "5000 items, 50") {
		t.Error(got)
	}
	g.total.Store(100)
	g.read.Store(50)
	if got := g.line(); !strings.HasPrefix(got, "[###############...............]  50 %  5000 items") || !strings.HasSuffix(got, "10s left") {
		t.Error(got)
	}
	h := gauge{began: time.Now()}
	h.times(time.Unix(0, 100), time.Unix(0, 300))
	h.reached(time.Unix(0, 150))
	if h.share() != 0.25 {
		t.Error(h.share())
	}
}

// TestBacktestOfRealItems runs 250,000 real items through the shipped lists and another set, and compares with the naive computation.
func TestBacktestOfRealItems(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	data := os.Getenv("TOCSIN_DATA")
	if data == "" {
		t.Skip("data test left out: TOCSIN_DATA is not set")
	}
	files, err := filepath.Glob(filepath.Join(data, "items", "*.jsonl.gz"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	after, dir := openDir(t, strings.Replace(newList, "{en: [Quiet League]}", "{en: [Quiet League, Taliban], ps: [طالبان], zh: [塔利班]}", 1)+
		"  - {id: drones, title: Drones, query: '(drone* OR 无人机) NEAR/20 (border OR army OR 边境)', flag: [A drone crossed the border.]}\n")
	before, err := openLists(t.Context(), shipped, "")
	if err != nil {
		t.Fatal(err)
	}
	var args []string
	for range 2 {
		for _, f := range files {
			args = append(args, "--items", f)
		}
	}
	began := time.Now()
	out, errs, code := runBacktest(t, append(args, "--json", dir)...)
	took := time.Since(began)
	if code != exitOK {
		t.Fatal(errs)
	}
	rep, got := rowsOf(t, out)
	t.Logf("%d items in %s: %.0f/s", rep.Read.Items, took.Round(10*time.Millisecond), float64(rep.Read.Items)/took.Seconds())
	var items []news.Item
	for _, f := range files {
		items = append(items, readItems(t, f)...)
	}
	if want := naive(items, before, after); len(want) < 10 || cmp.Diff(want, got) != "" {
		t.Error(cmp.Diff(want, got))
	}
	if rep.Read.Items < 250_000 {
		t.Errorf("only %d items", rep.Read.Items)
	}
}

func readItems(t testing.TB, file string) (out []news.Item) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bufio.NewReader(z))
	for {
		var it news.Item
		err := dec.Decode(&it)
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, it)
	}
}
