package notifier

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
)

// sentAge is the age of bucket sent: how long the guard against sending twice remembers.
const sentAge = 30 * 24 * time.Hour

// defaultMaxAlertAge applies when the configuration states none.
const defaultMaxAlertAge = 72 * time.Hour

// Config is the operator's part: which alert goes where.
type Config struct {
	strict.Pos
	// MaxAlertAge is the age from which news is no longer sent; 72 h when not stated.
	MaxAlertAge time.Duration `yaml:"max_alert_age"`
	// Stories says how items become stories, and what is worth an update.
	Stories *Stories `yaml:"stories"`
	// TimeIntervals have names, for the quiet hours of routes.
	TimeIntervals []NamedInterval `yaml:"time_intervals"`
	// Silences mute alerts for a time; more can be made at run time.
	Silences []Silence `yaml:"silences"`
	// Inhibit holds alerts back while others are there.
	Inhibit []Inhibit `yaml:"inhibit"`
	// Feedback makes links in mails and webhook events by which people say what an alert was worth.
	Feedback *FeedbackConfig `yaml:"feedback"`
	// Route is the root of the tree. It takes every alert that no route below takes, so it must name a channel.
	Route *Route `yaml:"route"`
}

// Route is a node of the tree, as in Alertmanager: an alert goes into the first child that matches (and into later ones after `continue`),
// or stays here. A route without channels uses those of its parent.
type Route struct {
	strict.Pos
	ID       strict.Text   `yaml:"id"` // stands in the ledger and in delivery ids; made from the matchers when not stated
	Matchers []strict.Text `yaml:"matchers"`
	Channels []strict.Text `yaml:"channels"`
	Continue bool          `yaml:"continue"`
	Routes   []*Route      `yaml:"routes"`

	// What is not stated is that of the route above. A route where none of it is stated sends each alert at once.
	GroupBy       []strict.Text `yaml:"group_by"`
	GroupWait     Pause         `yaml:"group_wait"`
	GroupInterval Pause         `yaml:"group_interval"`
	Quiet         *Quiet        `yaml:"quiet"`
	Digest        *Digest       `yaml:"digest"`
	Throttle      *Throttle     `yaml:"throttle"`
}

func (c *Config) maxAge() time.Duration {
	if c.MaxAlertAge == 0 {
		return defaultMaxAlertAge
	}
	return c.MaxAlertAge
}

// Check gives every fault of the configuration: unknown channels and labels, bad matchers, a root without a channel, and an age that would
// outlive the guard against sending twice. channels are the ids of the configured channels. labels are those that the watchlists set; when
// none is given, a label that is near no known one is only a warning.
func (c *Config) Check(channels []string, labels ...string) strict.Faults {
	var fs strict.Faults
	retry := max(longest(HTTPSchedule()), longest(MailSchedule()))
	if c.maxAge()+retry >= sentAge {
		fs.Add(c.Pos, fmt.Sprintf("write at most %s", (sentAge-retry).Truncate(time.Hour)),
			"max_alert_age %s and the longest retry %s are together not less than the %s for which sent deliveries are remembered", c.maxAge(), retry, sentAge)
	}
	k := routeCheck{channels: channels, labels: labels, ids: map[string]strict.Pos{}, faults: &fs}
	k.stories(c.Stories)
	k.intervals(c.TimeIntervals)
	k.silences(c.Silences)
	k.feedback(c.Feedback)
	for i := range c.Inhibit {
		k.inhibit(&c.Inhibit[i])
	}
	if c.Route == nil {
		fs.Add(c.Pos, "write route: {channels: [ID]}", "no route: alerts would reach nobody")
		return fs.Sort()
	}
	if len(c.Route.Channels) == 0 {
		fs.Add(c.Route.Pos, "name the channel for alerts that no other route takes", "the root route names no channel")
	}
	if len(c.Route.Matchers) > 0 {
		fs.Add(c.Route.Matchers[0].Pos, "move them to a route below", "the root route has matchers, but must take every alert")
	}
	k.route(c.Route, false)
	return fs.Sort()
}

type routeCheck struct {
	channels, labels []string
	names            []string // of time intervals
	ids              map[string]strict.Pos
	faults           *strict.Faults
}

// route checks a route and those below it. above tells that a route above has a digest.
func (k *routeCheck) route(r *Route, above bool) {
	if r.Digest != nil {
		above = !r.Digest.off
	}
	k.digest(r.Digest)
	k.quiet(r.Quiet, above)
	k.throttle(r.Throttle)
	k.grouping(r)
	k.matchers(r.Matchers)
	for _, ch := range r.Channels {
		if !slices.Contains(k.channels, ch.Value) {
			k.faults.Add(ch.Pos, didYouMean(ch.Value, k.channels, "channels"), "unknown channel %q", ch.Value)
		}
	}
	if id := r.ID; id.Value != "" {
		if first, ok := k.ids[id.Value]; ok {
			k.faults.Add(id.Pos, "give each route its own id", "route id %q stands twice, first at line %d", id.Value, first.Line)
		}
		k.ids[id.Value] = id.Pos
	}
	for _, sub := range r.Routes {
		if sub == nil {
			k.faults.Add(r.Pos, "remove it or fill it", "an empty route")
			continue
		}
		if len(sub.Matchers) == 0 {
			k.faults.Add(sub.Pos, "add matchers", "a route without matchers takes every alert from the routes after it")
		}
		k.route(sub, above)
	}
}

func (k *routeCheck) matchers(ts []strict.Text) {
	for _, t := range ts {
		ms, err := ParseMatchers(t.Value)
		if err != nil {
			k.faults.Add(t.Pos, `write it as severity=~"high|critical"`, "matcher %q: %s", cut(t.Value), err)
		}
		for _, m := range ms {
			k.matcher(t.Pos, m)
		}
	}
}

// unknownLabel reports a label that no alert has of itself. When the labels of the watchlists are not known, it is an error only when it looks
// like a slip.
func (k *routeCheck) unknownLabel(p strict.Pos, name string) {
	known := append(LabelNames(), k.labels...)
	slices.Sort(known)
	if strict.Guess(name, known) == "" && len(k.labels) == 0 {
		k.faults.AddWarning(p, "it holds only where a watchlist sets that label", "label %q is not one that every alert has", name)
		return
	}
	k.faults.Add(p, didYouMean(name, known, "labels"), "unknown label %q", name)
}

func (k *routeCheck) matcher(p strict.Pos, m *Matcher) {
	if !slices.Contains(LabelNames(), m.Name) && !slices.Contains(k.labels, m.Name) {
		k.unknownLabel(p, m.Name)
		return
	}
	if m.Name == "severity" && m.re == nil && !slices.Contains(news.Severities(), m.Value) {
		k.faults.Add(p, didYouMean(m.Value, news.Severities(), "severities"), "unknown severity %q", m.Value)
	}
}

func didYouMean(word string, known []string, what string) string {
	if g := strict.Guess(word, known); g != "" {
		return fmt.Sprintf("did you mean %q?", g)
	}
	if len(known) == 0 {
		return "no " + what + " are configured"
	}
	return "known " + what + ": " + strings.Join(known, ", ")
}

// tree is a Route ready for use.
type tree struct {
	id       string
	path     string
	matchers []*Matcher
	channels []string
	cont     bool
	children []*tree

	group    *Grouping // nil: each alert alone
	quiet    *Quiet
	digest   *Digest
	throttle *Throttle
}

func compileRoute(r *Route, parent *tree) (*tree, error) {
	t := &tree{id: r.ID.Value, cont: r.Continue}
	var texts []string
	for _, m := range r.Matchers {
		ms, err := ParseMatchers(m.Value)
		if err != nil {
			return nil, fmt.Errorf("%s: matcher %q: %w", m.Pos, m.Value, err)
		}
		for _, x := range ms {
			texts = append(texts, x.String())
		}
		t.matchers = append(t.matchers, ms...)
	}
	for _, c := range r.Channels {
		t.channels = append(t.channels, c.Value)
	}
	t.name(parent, texts)
	t.timing(r, parent)
	for _, sub := range r.Routes {
		c, err := compileRoute(sub, t)
		if err != nil {
			return nil, err
		}
		t.children = append(t.children, c)
	}
	return t, nil
}

// name gives the route an id that stays the same when its neighbours move: delivery ids are made from it.
func (t *tree) name(parent *tree, matchers []string) {
	text := strings.Join(matchers, ",")
	switch {
	case parent == nil:
		if t.id == "" {
			t.id = "root"
		}
		t.path = t.id
		return
	case t.id == "" && parent.id == "root":
		t.id = text
	case t.id == "":
		t.id = parent.id + " / " + text
	}
	if len(t.channels) == 0 {
		t.channels = parent.channels
	}
	t.path = parent.path + " > " + strings.TrimPrefix(t.id, parent.id+" / ")
}

// timing takes over from the route above what this one does not state.
func (t *tree) timing(r *Route, parent *tree) {
	above := &tree{}
	if parent != nil {
		above = parent
	}
	t.group, t.quiet, t.digest, t.throttle = r.grouping(above.group), above.quiet, above.digest, above.throttle
	if r.Quiet != nil {
		t.quiet = r.Quiet
	}
	if r.Digest != nil {
		t.digest = r.Digest
	}
	if r.Throttle != nil {
		t.throttle = r.Throttle
	}
	if t.quiet != nil && t.quiet.off {
		t.quiet = nil
	}
	if t.digest != nil && t.digest.off {
		t.digest = nil
	}
	if t.throttle != nil && t.throttle.off {
		t.throttle = nil
	}
}

// find gives the routes that take an alert with these labels; never none when t is the root.
func (t *tree) find(l Labels) []*tree {
	for _, m := range t.matchers {
		if !m.Holds(l) {
			return nil
		}
	}
	var out []*tree
	for _, c := range t.children {
		found := c.find(l)
		out = append(out, found...)
		if len(found) > 0 && !c.cont {
			break
		}
	}
	if len(out) == 0 {
		return []*tree{t}
	}
	return out
}

// RouteTest tells for each route that would take an alert with these labels the path to it and its channels.
func (n *Notifier) RouteTest(labels map[string]string) []string {
	l := Labels{}
	for k, v := range labels {
		l[k] = []string{v}
	}
	var out []string
	for _, t := range n.root.find(l) {
		out = append(out, t.path+": "+strings.Join(t.channels, ", "))
	}
	return out
}
