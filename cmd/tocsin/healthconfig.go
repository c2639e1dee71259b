package main

import (
	"slices"
	"strings"
	"time"

	"tocsin/matcher"
	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
)

// healthConfig says how the program proves that it works.
type healthConfig struct {
	strict.Pos
	Canary    time.Duration  `yaml:"canary"`    // distance of test items through the whole pipeline; 0s: none
	Heartbeat notifier.Daily `yaml:"heartbeat"` // what was watched, for each watchlist by the way of its alerts
	Ping      *pingConfig    `yaml:"ping"`      // asks an address as long as canaries arrive, for a watchdog elsewhere
}

// pingConfig is a dead man's switch: when the requests stop, somebody else raises the alarm.
type pingConfig struct {
	strict.Pos
	URLFile   strict.Text   `yaml:"url_file"` // the address is a secret
	AllowHTTP bool          `yaml:"allow_http"`
	Every     time.Duration `yaml:"every"` // 1m when not stated
}

const (
	defaultCanary = 15 * time.Second
	maxCanary     = time.Minute
	defaultPing   = time.Minute
)

func defaultHealth() healthConfig {
	return healthConfig{Canary: defaultCanary, Heartbeat: notifier.DefaultDaily()}
}

// canaryLost is the silence after which a canary counts as lost.
func (c *healthConfig) canaryLost() time.Duration { return max(3*c.Canary, 10*time.Second) }

func (p *pingConfig) every() time.Duration {
	if p.Every <= 0 {
		return defaultPing
	}
	return p.Every
}

func (c *config) checkHealth(path string) strict.Faults {
	var faults strict.Faults
	h := &c.Health
	at := func(p strict.Pos) strict.Pos {
		if p.File == "" {
			p.File = path
		}
		return p
	}
	switch {
	case h.Canary < 0 || h.Canary > maxCanary || h.Canary > 0 && h.Canary < time.Second:
		faults.Add(at(h.Pos), "write canary: 15s", "health.canary %s lies outside of 1s to 1m", h.Canary)
	case h.Canary == 0:
		faults.AddWarning(at(h.Pos), "write canary: 15s", "health.canary is off: a stuck pipeline looks like a quiet day")
	}
	if p := h.Ping; p != nil {
		if p.Every < 0 || p.Every > time.Hour {
			faults.Add(at(p.Pos), "write every: 1m", "health.ping.every %s lies outside of 1s to 1h", p.Every)
		}
		if _, err := p.address(c); err != nil {
			faults.Add(at(p.Pos), "write url_file: secrets/ping.url, a file with one https address", "%s", err)
		}
		if h.Canary == 0 {
			faults.Add(at(p.Pos), "write canary: 15s", "health.ping needs canaries: it says that they arrive")
		}
	}
	for _, ch := range c.Channels {
		if ch.ID.Value == news.CanaryChannel {
			faults.Add(at(ch.ID.Pos), "choose another id", "channel id %q is that of the program's own test items", news.CanaryChannel)
		}
	}
	return append(faults, c.checkOwnRoute(at)...)
}

// checkOwnRoute remarks that alerts about the program itself go to everybody when there are several channels and no route for them.
func (c *config) checkOwnRoute(at func(strict.Pos) strict.Pos) (faults strict.Faults) {
	r := c.Notifier.Route
	if r == nil || len(c.Channels) < 2 || routesOwn(r) {
		return nil
	}
	ids := make([]string, len(r.Channels))
	for i, ch := range r.Channels {
		ids[i] = ch.Value
	}
	faults.AddWarning(at(r.Pos), `add a route {matchers: ['watchlist="`+matcher.CanaryList+`"'], channels: [OPERATORS]}`,
		"alerts about Tocsin itself (dead feeds, failing channels) go the way of all others, to %s", strings.Join(ids, ", "))
	return faults
}

// routesOwn tells whether a route below r is meant for alerts about the program itself.
func routesOwn(r *notifier.Route) bool {
	return slices.ContainsFunc(r.Routes, func(sub *notifier.Route) bool {
		return sub != nil && (slices.ContainsFunc(sub.Matchers, ownMatcher) || routesOwn(sub))
	})
}

func ownMatcher(t strict.Text) bool {
	ms, err := notifier.ParseMatchers(t.Value)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(ms, func(m *notifier.Matcher) bool {
		return m.Name == "watchlist" && m.Holds(notifier.Labels{"watchlist": {matcher.CanaryList}}) && m.Op != "!=" && m.Op != "!~" ||
			m.Name == "kind" && m.Holds(notifier.Labels{"kind": {news.KindHealth}}) && m.Op != "!=" && m.Op != "!~"
	})
}
