package fetcher

import (
	"errors"
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"tocsin/news"
)

// maxFeedLabels is how many feeds have series of their own; the rest share the label "other" and have no gauges.
const maxFeedLabels = 5000

const otherFeeds = "other"

// maxFeedReasons is how many reasons one feed's errors are told apart by; further ones count as "other". No feed in its right mind has so many.
const maxFeedReasons = 10

const otherReason = "other"

// feedGauges are the gauges of one feed, feedInfo among them.
const feedGauges = 6

// MaxSeries is the most time series that the metrics of a Fetcher can have with so many feeds, histogram buckets included.
func MaxSeries(feeds int) int {
	const perFeed = feedGauges + 2 + maxFeedReasons + 1 // items and lost items, reasons, other reasons
	n := min(feeds, maxFeedLabels) * perFeed
	if feeds > maxFeedLabels {
		n += 2 + maxFeedReasons + 1
	}
	return n + 1 + len(States()) + len(itemOutcomes()) + len(seenBuckets()) + histogramRest
}

// histogramRest are the series of a histogram beside its configured buckets: +Inf, sum, count, and the native form.
const histogramRest = 4

func itemOutcomes() []string {
	return []string{"new", "edited", "known", "unchanged", "dropped", "not_stored", "fulltext", "not_article", "page_failed", "refused_push", "gone"}
}

func seenBuckets() []float64 { return []float64{15, 60, 300, 900, 3600, 21600, 86400, 604800} }

type metrics struct {
	errors  *prometheus.CounterVec
	lost    *prometheus.CounterVec
	brought *prometheus.CounterVec
	items   *prometheus.CounterVec
	seen    prometheus.Histogram

	mu      sync.Mutex
	named   map[string]bool
	reasons map[string]map[Reason]bool // of a feed, told apart so far
}

func newMetrics(reg prometheus.Registerer, snapshot func() []sample, down func() bool) (*metrics, error) {
	m := &metrics{
		errors:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_feed_errors_total", Help: "Polls that failed or read a document in part, by reason."}, []string{"feed", "reason"}),
		lost:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_feed_items_possibly_lost_total", Help: "Items that may have left a feed between two polls, estimated."}, []string{"feed"}),
		brought: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_feed_items_total", Help: "Items that the feed brought, changed ones too."}, []string{"feed"}),
		items:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_items_total", Help: "Items by stage and outcome.", ConstLabels: prometheus.Labels{"stage": "fetch"}}, []string{"outcome"}),
		seen: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tocsin_publish_to_seen_seconds", Help: "Time from an item's publication, as its feed says, to our first sight of it.",
			Buckets:                     seenBuckets(),
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: 3600e9,
		}),
		named: map[string]bool{}, reasons: map[string]map[Reason]bool{},
	}
	for _, outcome := range itemOutcomes() {
		m.items.WithLabelValues(outcome)
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.errors, m.lost, m.brought, m.items, m.seen, newFeedCollector(m, snapshot, down)} {
		if err := reg.Register(c); err != nil {
			errs = append(errs, fmt.Errorf("register metrics: %w", err))
		}
	}
	return m, errors.Join(errs...)
}

// budget gives labels to the first feeds of the list. Feeds that have none any more take their series with them.
func (m *metrics) budget(order []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.named
	m.named = make(map[string]bool, min(len(order), maxFeedLabels))
	for _, id := range order[:min(len(order), maxFeedLabels)] {
		m.named[id] = true
		m.lost.WithLabelValues(id)
		m.brought.WithLabelValues(id)
	}
	for id := range before {
		if !m.named[id] {
			delete(m.reasons, id)
			m.errors.DeletePartialMatch(prometheus.Labels{"feed": id})
			m.lost.DeleteLabelValues(id)
			m.brought.DeleteLabelValues(id)
		}
	}
}

// has tells whether a feed has series of its own.
func (m *metrics) has(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.named[id]
}

// label is the value under which a feed is counted. The caller holds mu until it has counted, so that no series outlives its feed.
func (m *metrics) label(id string) string {
	if m.named[id] {
		return id
	}
	return otherFeeds
}

func (m *metrics) fault(id string, r Reason) {
	m.mu.Lock()
	defer m.mu.Unlock()
	label := m.label(id)
	m.errors.WithLabelValues(label, m.reason(label, r)).Inc()
}

// reason is the label under which a feed's fault is counted. The caller holds mu.
func (m *metrics) reason(label string, r Reason) string {
	known := m.reasons[label]
	switch {
	case known == nil:
		m.reasons[label] = map[Reason]bool{r: true}
	case known[r]:
	case len(known) >= maxFeedReasons:
		return otherReason
	default:
		known[r] = true
	}
	return string(r)
}

func (m *metrics) missed(id string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lost.WithLabelValues(m.label(id)).Add(float64(n))
}

func (m *metrics) item(outcome string, n int) {
	if n > 0 {
		m.items.WithLabelValues(outcome).Add(float64(n))
	}
}

func (m *metrics) published(it *news.Item) {
	m.item(it.Reason, 1)
	m.mu.Lock()
	m.brought.WithLabelValues(m.label(it.Feed)).Inc()
	m.mu.Unlock()
	if it.Reason == news.ReasonNew && !it.Backfill && !it.Published.IsZero() {
		m.seen.Observe(max(it.FirstSeen.Sub(it.Published).Seconds(), 0))
	}
}

// feedCollector computes the gauges of feeds when they are asked for: a feed becomes late by the clock, not by an event.
type feedCollector struct {
	m        *metrics
	snapshot func() []sample
	success, item, interval, expected,
	state, feeds, info, network *prometheus.Desc
	down func() bool
}

func newFeedCollector(m *metrics, snapshot func() []sample, down func() bool) *feedCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &feedCollector{
		m: m, snapshot: snapshot, down: down,
		network:  desc("tocsin_network_down", "1 while most hosts of the last minute could not be reached: our own network, not the feeds."),
		success:  desc("tocsin_feed_last_success_timestamp_seconds", "When the feed was last reached.", "feed"),
		item:     desc("tocsin_feed_last_item_timestamp_seconds", "When the feed's newest item is from.", "feed"),
		interval: desc("tocsin_feed_poll_interval_seconds", "Wanted distance of polls.", "feed"),
		expected: desc("tocsin_feed_expected_interval_seconds", "Longest usual silence of the feed.", "feed"),
		state:    desc("tocsin_feed_state", "State of the feed: 0 paused or new, 1 live, 2 late, 3 failing, 4 dead.", "feed"),
		feeds:    desc("tocsin_feeds", "Feeds by state.", "state"),
		info:     desc("tocsin_feed_info", "Names of the feed; always 1.", "feed", "outlet", "lang", "country"),
	}
}

// Describe names the gauges.
func (c *feedCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.success, c.item, c.interval, c.expected, c.state, c.feeds, c.info, c.network} {
		ch <- d
	}
}

// Collect reads the feeds as they are now.
func (c *feedCollector) Collect(ch chan<- prometheus.Metric) {
	counts := map[string]int{}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, s := range c.snapshot() {
		counts[s.state]++
		id := s.feed.ID
		if !c.m.has(id) {
			continue
		}
		gauge(c.info, 1, id, s.feed.Outlet, s.feed.Lang, s.feed.Country)
		gauge(c.state, float64(stateNumber(s.state)), id)
		gauge(c.expected, s.expected.Seconds(), id)
		if s.st.Interval > 0 {
			gauge(c.interval, s.st.Interval.Seconds(), id)
		}
		if !s.st.LastSuccess.IsZero() {
			gauge(c.success, float64(s.st.LastSuccess.UnixMilli())/1000, id)
		}
		if !s.st.LastItem.IsZero() {
			gauge(c.item, float64(s.st.LastItem.UnixMilli())/1000, id)
		}
	}
	network := 0.0
	if c.down() {
		network = 1
	}
	gauge(c.network, network)
	for _, name := range States() {
		gauge(c.feeds, float64(counts[name]), name)
	}
}

func stateNumber(state string) int {
	for i, s := range []string{StatePaused, StateLive, StateLate, StateFailing, StateDead} {
		if s == state {
			return i
		}
	}
	return 0
}
