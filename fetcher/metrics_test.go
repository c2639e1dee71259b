package fetcher

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetricsAreCleanAndBounded(t *testing.T) {
	s := newSite(t, oneItem(1))
	var feeds []Feed
	for i := range 10 {
		feeds = append(feeds, Feed{URL: fmt.Sprintf("%s/%d", s.URL, i), Outlet: "Herald", Lang: "en", Country: "PK"})
	}
	r := newRig(t, nil, feeds...)
	for round := range 4 {
		s.handle(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader([]int{200, 404, 500, 403}[round])
			fmt.Fprint(w, oneItem(round))
		})
		for i := range feeds {
			r.poll(i)
		}
	}
	problems, err := testutil.GatherAndLint(r.reg)
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	n, err := testutil.GatherAndCount(r.reg)
	if limit := MaxSeries(len(feeds)); err != nil || n > limit {
		t.Errorf("%d series, at most %d: %v", n, limit, err)
	}
	for name, want := range map[string]float64{
		"tocsin_feed_info": 10, "tocsin_feeds": 10, "tocsin_feed_errors_total": 30,
	} {
		if got := r.counter(name); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	for _, name := range []string{"tocsin_feed_last_success_timestamp_seconds", "tocsin_feed_last_item_timestamp_seconds", "tocsin_feed_poll_interval_seconds", "tocsin_feed_expected_interval_seconds", "tocsin_feed_state"} {
		if r.counter(name) <= 0 {
			t.Errorf("%s is missing", name)
		}
	}
	r.f.SetFeeds(feeds[:1])
	families, err := r.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, mf := range families {
		for _, m := range mf.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "feed" && l.GetValue() != r.id(0) {
					t.Errorf("%s still has feed %s", mf.GetName(), l.GetValue())
				}
				if strings.Contains(l.GetValue(), "/") {
					t.Errorf("an address is a label of %s", mf.GetName())
				}
			}
		}
	}
}

func TestFeedsBeyondTheCapShareALabel(t *testing.T) {
	m, err := newMetrics(prometheus.NewRegistry(), func() []sample { return nil }, func() bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for i := range maxFeedLabels + 3 {
		order = append(order, fmt.Sprint(i))
	}
	m.budget(order)
	if m.label("0") != "0" || m.label(fmt.Sprint(maxFeedLabels+1)) != otherFeeds {
		t.Error("labels are not capped")
	}
}

func TestReasonsOfAFeedAreCapped(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := newMetrics(reg, func() []sample { return nil }, func() bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	m.budget([]string{"a", "b"})
	for _, id := range []string{"a", "b", "beyond the cap"} {
		for _, r := range Reasons() {
			m.fault(id, r)
			m.fault(id, r)
		}
	}
	if n, err := testutil.GatherAndCount(reg, "tocsin_feed_errors_total"); err != nil || n != 3*(maxFeedReasons+1) {
		t.Errorf("%d series of errors, want %d: %v", n, 3*(maxFeedReasons+1), err)
	}
	if got, want := testutil.ToFloat64(m.errors.WithLabelValues("a", otherReason)), 2*float64(len(Reasons())-maxFeedReasons); got != want {
		t.Errorf("other reasons = %v, want %v", got, want)
	}
	m.budget([]string{"b"})
	m.fault("b", ReasonDNS)
	if n, err := testutil.GatherAndCount(reg, "tocsin_feed_errors_total"); err != nil || n != 2*(maxFeedReasons+1) {
		t.Errorf("%d series after a feed left: %v", n, err)
	}
}

func TestReasonsAreAClosedList(t *testing.T) {
	seen := map[Reason]bool{}
	for _, r := range Reasons() {
		if seen[r] || r == "" || strings.ToLower(string(r)) != string(r) {
			t.Errorf("reason %q", r)
		}
		seen[r] = true
	}
	if len(seen) != 21 {
		t.Errorf("%d reasons", len(seen))
	}
}
