package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"tocsin/bus"
	"tocsin/fetcher"
	"tocsin/matcher"
	"tocsin/notifier"
)

// ownSeries are those of Go, of the process, of the scrape itself and of this package, generously.
const ownSeries = 120

// seriesLimit is the label budget: the most time series that a program of this size can ever show, whatever feeds and news do. Nothing but the
// configuration decides it, because no label holds anything else.
func seriesLimit(feeds, channels, routes int, lists []matcher.ListSize) int {
	entities, rules := 0, 0
	for _, l := range lists {
		entities += l.Entities
		rules += l.Rules
	}
	return ownSeries + bus.MaxSeries(channels+1) + fetcher.MaxSeries(feeds) + matcher.MaxSeries(len(lists), entities, rules) +
		notifier.MaxSeries(channels, routes, len(lists), entities+rules)
}

func countRoutes(r *notifier.Route) int {
	if r == nil {
		return 0
	}
	n := 1
	for _, sub := range r.Routes {
		n += countRoutes(sub)
	}
	return n
}

// registerSeriesLimit shows the budget beside what is used of it.
func (in *instance) registerSeriesLimit() {
	in.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tocsin_series_limit", Help: "Most time series that this configuration can make: the label budget.",
	}, func() float64 {
		var lists []matcher.ListSize
		if x := in.index.Load(); x != nil {
			lists = x.Sizes()
		}
		return float64(seriesLimit(int(in.feedCount.Load()), len(in.cfg.Channels), countRoutes(in.cfg.Notifier.Route), lists))
	}))
}

// countLists tells the notifier which lists are live, for its series.
func (in *instance) countLists(x *matcher.Index) {
	var ids []string
	for _, l := range x.Sizes() {
		ids = append(ids, l.ID)
	}
	in.notify.SetWatchlists(ids)
}
