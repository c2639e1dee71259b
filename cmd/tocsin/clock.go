package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	clockLook  = 5 * time.Second
	clockSlack = 2 * time.Second // less than this is a clock that is being slewed
)

// clockWatch notices when the host's clock was set, or stood still while the host slept: what is due by the clock then comes late or all at once.
type clockWatch struct {
	read  func() (wall time.Time, steady time.Duration) // steady grows evenly and does not follow the clock
	jumps *prometheus.CounterVec
}

func newClockWatch(reg prometheus.Registerer) *clockWatch {
	began := time.Now()
	w := &clockWatch{
		read: func() (time.Time, time.Duration) { now := time.Now(); return now.Round(0), now.Sub(began) },
		jumps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tocsin_clock_jumps_total", Help: "Times the clock moved by more than 2 s beside its own pace: it was set, or the host slept.",
		}, []string{"direction"}),
	}
	w.jumps.WithLabelValues("forward")
	w.jumps.WithLabelValues("back")
	reg.MustRegister(w.jumps, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tocsin_clock_timestamp_seconds", Help: "What the clock of this host says at this moment.",
	}, func() float64 { wall, _ := w.read(); return float64(wall.UnixMilli()) / 1000 }))
	return w
}

// run looks at the clock until ctx ends.
func (w *clockWatch) run(ctx context.Context, jumped func(time.Duration)) error {
	wall, steady := w.read()
	for pause(ctx, clockLook) {
		nowWall, nowSteady := w.read()
		by := nowWall.Sub(wall) - (nowSteady - steady)
		wall, steady = nowWall, nowSteady
		switch {
		case by > clockSlack:
			w.jumps.WithLabelValues("forward").Inc()
		case by < -clockSlack:
			w.jumps.WithLabelValues("back").Inc()
		default:
			continue
		}
		jumped(by)
	}
	return nil
}

func (in *instance) watchClock(ctx context.Context) error {
	return in.clock.run(ctx, func(by time.Duration) {
		in.log.Warn("clock jumped", "dur", by.Round(time.Millisecond))
	})
}
