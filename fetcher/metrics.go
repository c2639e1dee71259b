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

type metrics struct {
	errors *prometheus.CounterVec
	lost   *prometheus.CounterVec
	items  *prometheus.CounterVec
	seen   prometheus.Histogram

	mu    sync.Mutex
	named map[string]bool
}

func newMetrics(reg prometheus.Registerer, snapshot func() []sample) (*metrics, error) {
	m := &metrics{
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_feed_errors_total", Help: "Polls that failed or read a document in part, by reason."}, []string{"feed", "reason"}),
		lost:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_feed_items_possibly_lost_total", Help: "Items that may have left a feed between two polls, estimated."}, []string{"feed"}),
		items:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_items_total", Help: "Items by stage and outcome.", ConstLabels: prometheus.Labels{"stage": "fetch"}}, []string{"outcome"}),
		seen: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "tocsin_publish_to_seen_seconds", Help: "Time from an item's publication, as its feed says, to our first sight of it.",
			Buckets:                     []float64{15, 60, 300, 900, 3600, 21600, 86400, 604800},
			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: 3600e9,
		}),
		named: map[string]bool{},
	}
	for _, outcome := range []string{"new", "edited", "known", "unchanged", "dropped", "not_stored", "fulltext", "not_article", "page_failed", "refused_push"} {
		m.items.WithLabelValues(outcome)
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.errors, m.lost, m.items, m.seen, newFeedCollector(m, snapshot)} {
		if err := reg.Register(c); err != nil {
			errs = append(errs, fmt.Errorf("register metrics: %w", err))
		}
	}
	return m, errors.Join(errs...)
}

// budget gives labels to the first feeds of the list.
func (m *metrics) budget(order []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.named = make(map[string]bool, min(len(order), maxFeedLabels))
	for _, id := range order[:min(len(order), maxFeedLabels)] {
		m.named[id] = true
		m.lost.WithLabelValues(id)
	}
}

func (m *metrics) label(id string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.named[id] {
		return id
	}
	return otherFeeds
}

// forget drops the series of a feed that left the list.
func (m *metrics) forget(id string) {
	l := prometheus.Labels{"feed": id}
	m.errors.DeletePartialMatch(l)
	m.lost.DeletePartialMatch(l)
}

func (m *metrics) fault(id string, r Reason) { m.errors.WithLabelValues(m.label(id), string(r)).Inc() }

func (m *metrics) missed(id string, n int) { m.lost.WithLabelValues(m.label(id)).Add(float64(n)) }

func (m *metrics) item(outcome string, n int) {
	if n > 0 {
		m.items.WithLabelValues(outcome).Add(float64(n))
	}
}

func (m *metrics) published(it *news.Item) {
	m.item(it.Reason, 1)
	if it.Reason == news.ReasonNew && !it.Backfill && !it.Published.IsZero() {
		m.seen.Observe(max(it.FirstSeen.Sub(it.Published).Seconds(), 0))
	}
}

// feedCollector computes the gauges of feeds when they are asked for: a feed becomes late by the clock, not by an event.
type feedCollector struct {
	m        *metrics
	snapshot func() []sample
	success, item, interval, expected,
	state, feeds, info *prometheus.Desc
}

func newFeedCollector(m *metrics, snapshot func() []sample) *feedCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &feedCollector{
		m: m, snapshot: snapshot,
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
	for _, d := range []*prometheus.Desc{c.success, c.item, c.interval, c.expected, c.state, c.feeds, c.info} {
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
		if c.m.label(id) == otherFeeds {
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
