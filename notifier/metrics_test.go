package notifier

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"tocsin/news"
)

func TestMetricsAreCleanAndBounded(t *testing.T) {
	m, e := newModel(), &endpoint{answers: []Result{{Verdict: Retry, Status: "a", Ambiguous: true}, {Verdict: Delivered}, {Verdict: Permanent}, {Verdict: Delivered}}}
	o := m.options(t, config(t, oneRoute), e.channel("desk"))
	reg := prometheus.NewPedanticRegistry()
	o.Registerer = reg
	n, err := New(o)
	must(t, err)
	throughAlerts(t, m, n, match("i1"), match("i2"), match("i2", edited("r2")), match("i3"))
	must(t, n.HandleMatch(t.Context(), match("i1"))) // a redelivery is not another alert
	m.pass(10 * time.Second)
	m.run(t, n)
	problems, err := testutil.GatherAndLint(reg)
	must(t, err)
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	want := `
# HELP tocsin_alerts_total Alert records made, by watchlist, severity and kind (first, update, fold).
# TYPE tocsin_alerts_total counter
tocsin_alerts_total{kind="first",severity="medium",watchlist="armed-groups"} 3
tocsin_alerts_total{kind="fold",severity="medium",watchlist="armed-groups"} 1
# HELP tocsin_circuit_open 1 while only probes are sent to the channel.
# TYPE tocsin_circuit_open gauge
tocsin_circuit_open{channel="desk"} 0
# HELP tocsin_deliveries_ambiguous_total Attempts after which the endpoint may have the message although no answer came: the only source of duplicates.
# TYPE tocsin_deliveries_ambiguous_total counter
tocsin_deliveries_ambiguous_total{channel="desk"} 1
# HELP tocsin_deliveries_rescued_total Pending deliveries that had no message any more and were planned again: 0 unless the bus loses messages.
# TYPE tocsin_deliveries_rescued_total counter
tocsin_deliveries_rescued_total{channel="desk"} 0
# HELP tocsin_deliveries_total Deliveries that came to rest, by channel and outcome (delivered, dead, suppressed).
# TYPE tocsin_deliveries_total counter
tocsin_deliveries_total{channel="desk",outcome="dead"} 1
tocsin_deliveries_total{channel="desk",outcome="delivered"} 2
tocsin_deliveries_total{channel="desk",outcome="suppressed"} 1
# HELP tocsin_delivery_attempts_total Attempts to deliver, by channel and verdict.
# TYPE tocsin_delivery_attempts_total counter
tocsin_delivery_attempts_total{channel="desk",reason="delivered"} 2
tocsin_delivery_attempts_total{channel="desk",reason="permanent"} 1
tocsin_delivery_attempts_total{channel="desk",reason="retry"} 1
# HELP tocsin_ledger_entries Deliveries by what became of them: accepted, delivered, dead, suppressed, pending.
# TYPE tocsin_ledger_entries gauge
tocsin_ledger_entries{state="accepted"} 4
tocsin_ledger_entries{state="dead"} 1
tocsin_ledger_entries{state="delivered"} 2
tocsin_ledger_entries{state="pending"} 0
tocsin_ledger_entries{state="suppressed"} 1
# HELP tocsin_ledger_mismatch Deliveries asked for by alerts and routes of which the ledger has said nothing for 30 s.
# TYPE tocsin_ledger_mismatch gauge
tocsin_ledger_mismatch 0
`
	names := []string{
		"tocsin_alerts_total", "tocsin_circuit_open", "tocsin_deliveries_ambiguous_total", "tocsin_deliveries_rescued_total", "tocsin_deliveries_total",
		"tocsin_delivery_attempts_total",
		"tocsin_ledger_entries", "tocsin_ledger_mismatch",
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	families, err := reg.Gather()
	must(t, err)
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "tocsin_") {
			t.Errorf("metric %s", f.GetName())
		}
		for _, x := range f.GetMetric() {
			for _, l := range x.GetLabel() {
				if !slices.Contains([]string{"channel", "outcome", "reason", "state", "watchlist", "severity", "kind"}, l.GetName()) {
					t.Errorf("%s has label %s", f.GetName(), l.GetName())
				}
			}
			if h := x.GetHistogram(); h != nil && strings.Contains(f.GetName(), "delivered") && h.GetSampleCount() != 2 {
				t.Errorf("%s has %d samples of 2 deliveries", f.GetName(), h.GetSampleCount())
			}
		}
	}
}

func TestAPlannedDeliveryWithoutALedgerEntryShows(t *testing.T) {
	m := newModel()
	n := m.start(t, config(t, oneRoute), (&endpoint{}).channel("desk"))
	must(t, n.HandleMatch(t.Context(), match("i1")))
	m.crash = func(_ int, name string) fate {
		if name == "ledger "+news.EventPlanned {
			return diesBefore
		}
		return works
	}
	if m.life(t, func() { must(t, n.HandleAlert(t.Context(), m.alerts[0])) }) {
		t.Fatal("did not crash")
	}
	if n.Missing() != 1 {
		t.Errorf("%d missing", n.Missing())
	}
}
