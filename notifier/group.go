package notifier

import (
	"slices"
	"strings"
	"time"

	"tocsin/news/strict"
)

// Defaults of groups, used on a route that states one of group_by, group_wait and group_interval. A route that states none sends each alert at once.
const (
	defaultGroupWait     = 30 * time.Second
	defaultGroupInterval = 15 * time.Minute
)

// Grouping collects alerts that have the same labels into one message.
type Grouping struct {
	By             []string      // labels
	Wait, Interval time.Duration // from the first alert of a group to its message; from one message of a group to the next
}

// Pause is a duration that may be stated as 0.
type Pause struct {
	strict.Pos
	d      time.Duration
	stated bool
}

// UnmarshalStrict reads a duration.
func (p *Pause) UnmarshalStrict(c *strict.Cursor) {
	p.Pos, p.stated = c.Pos(), true
	d, err := strict.ParseDuration(c.Scalar())
	if err != nil || !c.IsScalar() || d > 24*time.Hour {
		c.Fault("write 30s, 15m, or 0s; at most 24h", "%q is not a time to wait", cut(c.Scalar()))
	}
	p.d = d
}

// grouping gives the grouping of a route, or that of the route above it when it states nothing. nil: alerts are not grouped.
func (r *Route) grouping(above *Grouping) *Grouping {
	if len(r.GroupBy) == 0 && !r.GroupWait.stated && !r.GroupInterval.stated {
		return above
	}
	g := Grouping{By: []string{"story"}, Wait: defaultGroupWait, Interval: defaultGroupInterval}
	if above != nil {
		g = *above
	}
	if len(r.GroupBy) > 0 {
		g.By = nil
		for _, t := range r.GroupBy {
			g.By = append(g.By, t.Value)
		}
	}
	if r.GroupWait.stated {
		g.Wait = r.GroupWait.d
	}
	if r.GroupInterval.stated {
		g.Interval = r.GroupInterval.d
	}
	return &g
}

// key names the group of an alert with these labels.
func (g *Grouping) key(l Labels) string {
	var b strings.Builder
	for _, n := range g.By {
		vs := slices.Clone(l[n])
		slices.Sort(vs)
		b.WriteString(n + "=" + strings.Join(vs, ",") + "\x00")
	}
	return b.String()
}

// due tells when an alert of a group goes out that comes now: the group's last message was at `last`, the zero time when there was none.
// Critical alerts do not wait.
func (g *Grouping) due(l Labels, last, now time.Time) time.Time {
	if len(l["severity"]) == 1 && l["severity"][0] == "critical" {
		return now
	}
	due := now.Add(g.Wait)
	if next := last.Add(g.Interval); !last.IsZero() && next.After(due) {
		return next
	}
	return due
}

func (k *routeCheck) grouping(r *Route) {
	for _, t := range r.GroupBy {
		if !slices.Contains(LabelNames(), t.Value) && !slices.Contains(k.labels, t.Value) {
			k.unknownLabel(t.Pos, t.Value)
		}
	}
}
