package bus

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// MaxSeries is the most time series that the metrics of a Bus can have with so many channels, histogram buckets included.
func MaxSeries(channels int) int {
	const perConsumer, perStage, rest = 4, 2, 5
	hist := (len(publishBuckets()) + 4) * (len(streams) + len(buckets)) // and +Inf, sum, count, native form
	return hist + (len(consumers)+channels)*perConsumer + 6*perStage + rest
}

func publishBuckets() []float64 {
	return []float64{0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15}
}

// metrics of the package. Labels are streams, consumers and stages of the table, and channels of the configuration.
type metrics struct {
	publish    *prometheus.HistogramVec // stream
	pending    *prometheus.GaugeVec     // consumer
	ackPending *prometheus.GaugeVec     // consumer
	dropped    *prometheus.CounterVec   // consumer
	rescued    *prometheus.CounterVec
	progress   *prometheus.GaugeVec // stage
	stages     stageTimes
	dead       *prometheus.CounterVec // stage
	connected  prometheus.GaugeFunc
	syncAlways prometheus.Gauge
	storeFull  prometheus.Gauge
	restarts   prometheus.Counter
	unregister func()
}

func newMetrics(reg prometheus.Registerer, connected func() bool) (*metrics, error) {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "tocsin", Name: name, Help: help}, labels)
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "tocsin", Name: name, Help: help}, labels)
	}
	m := &metrics{
		publish: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "tocsin", Name: "bus_publish_seconds",
			Help:    "Time from a publish to the server's word that the message is on disk.",
			Buckets: publishBuckets(),

			NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"stream"}),
		pending:    gauge("consumer_pending", "Messages that the consumer has not been given yet.", "consumer"),
		ackPending: gauge("consumer_ack_pending", "Messages that are being worked on, or wait for another try.", "consumer"),
		dropped:    counter("consumer_dropped_total", "Messages that a stream's limits removed before the consumer had finished with them.", "consumer"),
		rescued:    counter("consumer_rescued_total", "Messages that the server's state of the consumer had forgotten and that were planned again.", "consumer"),
		progress:   gauge("stage_last_progress_timestamp_seconds", "When the stage last finished a message (or began to listen).", "stage"),
		dead:       counter("dead_letters_total", "Messages that could not be processed or delivered.", "stage"),
		connected: prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "tocsin", Name: "bus_connected", Help: "1 while the bus is connected to its server."},
			func() float64 { return boolFloat(connected()) }),
		syncAlways: prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "tocsin", Name: "bus_sync_always", Help: "1 when every server is known to sync each write to disk, 0 when it could not be asked."}),
		storeFull:  prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "tocsin", Name: "bus_store_full", Help: "1 while the store has no room and publishes are refused."}),
		restarts:   prometheus.NewCounter(prometheus.CounterOpts{Namespace: "tocsin", Name: "bus_server_restarts_total", Help: "Restarts of the embedded server in place, mostly after a write error."}),
	}
	all := []prometheus.Collector{m.publish, m.pending, m.ackPending, m.dropped, m.rescued, m.progress, m.dead, m.connected, m.syncAlways, m.storeFull, m.restarts}
	m.unregister = func() {
		for _, c := range all {
			reg.Unregister(c)
		}
	}
	for i, c := range all {
		if err := reg.Register(c); err != nil {
			for _, done := range all[:i] {
				reg.Unregister(done)
			}
			return nil, fmt.Errorf("register the metrics of the bus: %w", err)
		}
	}
	for _, s := range []string{StageFetcher, StageMatcher, StageNotifier, StageRouter, StageChannel} {
		m.dead.WithLabelValues(s)
	}
	return m, nil
}

func boolFloat(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// stageLabel keeps the label stage a closed list.
func stageLabel(s string) string {
	switch s {
	case StageFetcher, StageMatcher, StageNotifier, StageRouter, StageChannel:
		return s
	}
	return "other"
}
