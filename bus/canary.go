package bus

import (
	"maps"
	"sync"
	"time"

	"tocsin/news"
)

// passingAge is how long a test item of the program itself, and all that came of it, stays in the streams: a thousand of them a day must not push
// real ones out.
const passingAge = "1h"

// isCanary tells whether a value belongs to a test item of the program itself. It goes the way of every message, but nobody who reads a stream
// later sees it: no list, backtest or count.
func isCanary(v any) bool {
	switch x := v.(type) {
	case *news.Item:
		return x.Reason == news.ReasonCanary
	case *news.Match:
		return x.Item.Reason == news.ReasonCanary
	case *news.Alert:
		return x.Match.Item.Reason == news.ReasonCanary
	case *news.Delivery:
		return x.Channel == news.CanaryChannel
	case *news.LedgerEntry:
		return x.Channel == news.CanaryChannel
	}
	return false
}

// stageTimes remembers when stages last finished a message.
type stageTimes struct {
	mu sync.Mutex
	at map[string]time.Time
}

// progressed notes progress of a stage, unless a later one is known.
func (m *metrics) progressed(stage string, at time.Time) {
	m.stages.mu.Lock()
	defer m.stages.mu.Unlock()
	if m.stages.at == nil {
		m.stages.at = map[string]time.Time{}
	}
	if !at.After(m.stages.at[stage]) {
		return
	}
	m.stages.at[stage] = at
	m.progress.WithLabelValues(stage).Set(float64(at.UnixMilli()) / 1000)
}

// Progress tells when each stage that this process runs, or has heard of, last finished a message or began to listen.
func (b *Bus) Progress() map[string]time.Time {
	b.metrics.stages.mu.Lock()
	defer b.metrics.stages.mu.Unlock()
	return maps.Clone(b.metrics.stages.at)
}

// Heard notes what another process tells of a stage, so that the metrics of this one show it after the other has gone.
func (b *Bus) Heard(stage string, at time.Time) {
	if stageLabel(stage) == stage {
		b.metrics.progressed(stage, at)
	}
}
