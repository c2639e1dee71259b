package notifier

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tocsin/news"
)

type metrics struct {
	alerts     *prometheus.CounterVec
	outcomes   *prometheus.CounterVec
	attempts   *prometheus.CounterVec
	ambiguous  *prometheus.CounterVec
	rescued    *prometheus.CounterVec
	template   *prometheus.CounterVec
	folded     *prometheus.CounterVec
	feedback   *prometheus.CounterVec
	seen       prometheus.Histogram
	sent       *prometheus.HistogramVec
	total      *prometheus.HistogramVec
	canaryTook prometheus.Histogram

	beat *prometheus.GaugeVec

	mu    sync.Mutex
	named map[[2]string]bool   // watchlist and entity of feedback with series of their own
	live  []string             // watchlists
	beats map[string]time.Time // last heartbeat by watchlist
}

// maxFeedbackLabels is how many entities have series of their own in the counts of feedback; the rest share the entity "other" of their list.
const maxFeedbackLabels = 2000

const otherEntity = "other"

func latencyBuckets() []float64 {
	return []float64{0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 900, 3600, 21600}
}

// histogramRest are the series of a histogram beside its configured buckets: +Inf, sum, count, and the native form.
const histogramRest = 4

// MaxSeries is the most time series that the metrics of a Notifier can have with so many channels, routes, watchlists and entities, histogram
// buckets included. An alert's feedback counts for its rules too: entities means both.
func MaxSeries(channels, routes, lists, entities int) int {
	hist := len(latencyBuckets()) + histogramRest
	perChannel := 3 + len(Verdicts()) + 2 + 3 + 2*hist + 3              // outcomes, attempts, ambiguous and rescued, faults, latencies, circuit and queue
	perList := len(news.Severities())*alertKinds + verdictsOfPeople + 1 // and the entity "other" of feedback
	none := 1                                                           // suppressed for want of a route
	return channels*perChannel + none + routes + lists*perList + min(entities, maxFeedbackLabels)*verdictsOfPeople + 2*hist + 10
}

// Sizes of the closed lists of labels.
const (
	alertKinds       = 3 // first, update, fold
	verdictsOfPeople = 3 // useful, noise, mute
)

func histogram(name, help string) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help,
		Buckets:                         latencyBuckets(),
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}
}

func newMetrics(r prometheus.Registerer, n *Notifier) (*metrics, error) {
	ch := []string{"channel"}
	m := &metrics{
		named: map[[2]string]bool{}, beats: map[string]time.Time{},
		beat: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tocsin_heartbeat_last_sent_timestamp_seconds", Help: "When a heartbeat of the watchlist last reached a channel.",
		}, []string{"watchlist"}),
		alerts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_alerts_total", Help: "Alert records made, by watchlist, severity and kind (first, update, fold).",
		}, []string{"watchlist", "severity", "kind"}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_deliveries_total", Help: "Deliveries that came to rest, by channel and outcome (delivered, dead, suppressed).",
		}, []string{"channel", "outcome"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_delivery_attempts_total", Help: "Attempts to deliver, by channel and verdict.",
		}, []string{"channel", "reason"}),
		ambiguous: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_deliveries_ambiguous_total", Help: "Attempts after which the endpoint may have the message although no answer came: the only source of duplicates.",
		}, ch),
		rescued: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_deliveries_rescued_total", Help: "Pending deliveries that had no message any more and were planned again: 0 unless the bus loses messages.",
		}, ch),
		template: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_template_errors_total", Help: "Alerts that could not be written in the form of a channel.",
		}, ch),
		folded: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_throttle_folded_total", Help: "Alerts that a throttle folded into a summary.",
		}, ch),
		feedback: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_feedback_total", Help: "Verdicts of people about alerts, for each entity of the alert: useful, noise, mute. Begins with those of the last 30 days.",
		}, []string{"watchlist", "entity", "verdict"}),
		seen:       prometheus.NewHistogram(histogram("tocsin_seen_to_alert_seconds", "From first seen to the alert record.")),
		sent:       prometheus.NewHistogramVec(histogram("tocsin_alert_to_delivered_seconds", "From the alert record to the endpoint's answer."), ch),
		total:      prometheus.NewHistogramVec(histogram("tocsin_seen_to_delivered_seconds", "From first seen to the endpoint's answer."), ch),
		canaryTook: prometheus.NewHistogram(histogram("tocsin_canary_seconds", "From the entry of a test item of the program itself behind the fetcher to its closed ledger entry.")),
	}
	all := []prometheus.Collector{m.alerts, m.outcomes, m.attempts, m.ambiguous, m.rescued, m.template, m.folded, m.feedback, m.seen, m.sent, m.total, m.canaryTook, m.beat, newStateCollector(n)}
	var errs []error
	for _, c := range all {
		errs = append(errs, r.Register(c))
	}
	for _, c := range n.o.Channels {
		for _, o := range []string{news.EventDelivered, news.EventDead, news.EventSuppressed} {
			m.outcomes.WithLabelValues(c.ID, o)
		}
		for _, v := range []Verdict{Delivered, Retry, Permanent} {
			m.attempts.WithLabelValues(c.ID, v.String())
		}
		m.ambiguous.WithLabelValues(c.ID)
		m.rescued.WithLabelValues(c.ID)
		m.template.WithLabelValues(c.ID)
		m.folded.WithLabelValues(c.ID)
		m.sent.WithLabelValues(c.ID)
		m.total.WithLabelValues(c.ID)
	}
	return m, errors.Join(errs...)
}

func (m *metrics) alert(a *news.Alert) {
	m.alerts.WithLabelValues(a.Watchlist, a.Severity.String(), a.Kind).Inc()
	if a.Kind != news.KindFold && !a.Match.Item.Backfill {
		m.seen.Observe(since(a.Match.Item.FirstSeen, a.At))
	}
}

// verdict counts what people say of an entity's alert.
func (m *metrics) verdict(list, entity, verdict string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if key := [2]string{list, entity}; !m.named[key] {
		if len(m.named) >= maxFeedbackLabels {
			entity = otherEntity
		} else {
			m.named[key] = true
		}
	}
	m.feedback.WithLabelValues(list, entity, verdict).Inc()
}

// forget drops the series of a watchlist.
func (m *metrics) forget(list string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := prometheus.Labels{"watchlist": list}
	m.alerts.DeletePartialMatch(l)
	m.feedback.DeletePartialMatch(l)
	m.beat.DeletePartialMatch(l)
	delete(m.beats, list)
	for key := range m.named {
		if key[0] == list {
			delete(m.named, key)
		}
	}
}

// SetWatchlists gives the live watchlists their series, at zero, so that their first alert is seen to be one more than none. Series of lists that
// are gone are dropped; what is still under way for one may bring some of them back.
func (n *Notifier) SetWatchlists(ids []string) {
	before := n.m.lists(ids)
	for _, id := range before {
		if !slices.Contains(ids, id) {
			n.m.forget(id)
		}
	}
	for _, id := range ids {
		for _, severity := range news.Severities() {
			for _, kind := range []string{news.KindFirst, news.KindUpdate, news.KindFold} {
				n.m.alerts.WithLabelValues(id, severity, kind)
			}
		}
	}
}

func (m *metrics) lists(now []string) (before []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, m.live = m.live, slices.Clone(now)
	return before
}

func (m *metrics) outcome(channel, outcome string) {
	m.outcomes.WithLabelValues(channel, outcome).Inc()
}

func (m *metrics) attempt(channel string, r *Result) {
	m.attempts.WithLabelValues(channel, r.Verdict.String()).Inc()
}

// delivered observes latencies of fresh alerts; a replay says nothing about how fast we are.
func (m *metrics) delivered(d *news.Delivery, now time.Time) {
	m.outcome(d.Channel, news.EventDelivered)
	if d.Replay > 0 || len(d.Alerts) != 1 || d.Headers[headerHeld] != "" {
		return
	}
	id := prometheus.Labels{"alert_id": d.Alerts[0].ID}
	observe(m.sent.WithLabelValues(d.Channel), since(d.PlannedAt, now), id)
	if !d.FirstSeen.IsZero() {
		observe(m.total.WithLabelValues(d.Channel), since(d.FirstSeen, now), id)
	}
}

func observe(o prometheus.Observer, v float64, exemplar prometheus.Labels) {
	if e, ok := o.(prometheus.ExemplarObserver); ok {
		e.ObserveWithExemplar(v, exemplar)
		return
	}
	o.Observe(v)
}

func since(from, to time.Time) float64 { return max(to.Sub(from).Seconds(), 0) }

// stateCollector reads gauges from the notifier's state when they are asked for.
type stateCollector struct {
	n                               *Notifier
	open, stories, ledger, mismatch *prometheus.Desc
	held, silences, pending, oldest *prometheus.Desc
	alerts, merges, evicted         *prometheus.Desc
}

func newStateCollector(n *Notifier) *stateCollector {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("tocsin_"+name, help, labels, nil)
	}
	return &stateCollector{
		n:        n,
		held:     d("digest_entries_held", "Entries that wait for a digest, a group, a summary or the end of quiet hours.", "route"),
		silences: d("silences_active", "Silences that mute now."),
		pending:  d("outbox_pending", "Deliveries planned that are neither delivered nor dead.", "channel"),
		oldest:   d("outbox_oldest_timestamp_seconds", "When the oldest of those was planned; absent while there is none.", "channel"),
		open:     d("circuit_open", "1 while only probes are sent to the channel.", "channel"),
		stories:  d("stories_open", "Stories that take further items."),
		alerts:   d("alerts_open", "Alerts whose revisions are remembered."),
		merges:   d("story_merges_late_total", "Stories that turned out to be one with an older one."),
		evicted:  d("stories_evicted_total", "Stories closed before their time because too many were open."),
		ledger:   d("ledger_entries", "Deliveries by what became of them: accepted, delivered, dead, suppressed, pending.", "state"),
		mismatch: d("ledger_mismatch", "Deliveries asked for by alerts and routes of which the ledger has said nothing for 30 s."),
	}
}

// Describe implements prometheus.Collector.
func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.open, c.stories, c.ledger, c.mismatch, c.held, c.silences, c.alerts, c.merges, c.evicted, c.pending, c.oldest} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	queues := c.n.queues()
	for _, s := range c.n.Channels() {
		q := queues[s.ID]
		gauge(c.pending, q.pending, s.ID)
		if q.pending > 0 {
			ch <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, float64(q.oldest.UnixMilli())/1000, s.ID)
		}
		open := 0
		if s.Open || s.Gone {
			open = 1
		}
		gauge(c.open, open, s.ID)
	}
	st := c.n.stories.counts()
	gauge(c.stories, st.open)
	gauge(c.alerts, st.alerts)
	ch <- prometheus.MustNewConstMetric(c.merges, prometheus.CounterValue, float64(st.merges))
	ch <- prometheus.MustNewConstMetric(c.evicted, prometheus.CounterValue, float64(st.evicted))
	var sum Counts
	for _, x := range c.n.Ledger() {
		sum.Accepted += x.Accepted
		sum.Delivered += x.Delivered
		sum.Dead += x.Dead
		sum.Suppressed += x.Suppressed
		sum.Pending += x.Pending
	}
	for state, v := range map[string]int{
		"accepted": sum.Accepted, "delivered": sum.Delivered, "dead": sum.Dead, "suppressed": sum.Suppressed, "pending": sum.Pending,
	} {
		gauge(c.ledger, v, state)
	}
	gauge(c.mismatch, c.n.Missing())
	gauge(c.silences, c.n.silences.active(c.n.o.Now()))
	for route, v := range c.n.Held() {
		gauge(c.held, v, route)
	}
}
