package notifier

import (
	"fmt"
	"strings"
	"time"

	"tocsin/news"
)

// Way is one way that an alert would go.
type Way struct {
	Path     string // through the tree
	Route    string // id
	Channels []string
	Timing   string // when it would be sent, for people
}

// TryRoutes tells which ways an alert with these labels would go at a time, by the configuration alone: what is throttled or inhibited depends on
// other alerts.
func TryRoutes(c Config, l Labels, at time.Time) ([]Way, error) {
	root, err := compileRoute(c.Route, nil)
	if err != nil {
		return nil, err
	}
	n := &Notifier{quiet: c.intervals(), holds: newHolds()}
	plain := &news.Alert{}
	var out []Way
	for _, t := range root.find(l) {
		h := &held{alert: plain, labels: l, route: t, ch: &Channel{}, at: at}
		drop := n.decide(h, false)
		out = append(out, Way{Path: t.path, Route: t.id, Channels: t.channels, Timing: t.when(h, drop)})
	}
	return out, nil
}

// when words what decide decided.
func (t *tree) when(h *held, drop bool) string {
	place := time.UTC
	if t.digest != nil {
		place = t.digest.Location.Location()
	}
	due := h.due.In(place).Format("Mon 2006-01-02 15:04:05 MST")
	var s string
	switch {
	case drop:
		s = "never: it comes in quiet hours that drop"
	case h.reason == news.HoldQuiet:
		s = "held by quiet hours until " + due
	case h.reason == news.HoldDigest:
		s = "in the digest of " + due
	case h.reason == news.HoldGroup:
		s = fmt.Sprintf("with its group (%s) at %s", strings.Join(t.group.By, ", "), due)
	default:
		s = "at once"
	}
	if th := t.throttle; th != nil && !drop {
		s += fmt.Sprintf("; at most %d messages in %s, the rest in a summary", th.Max, th.per())
	}
	return s
}
