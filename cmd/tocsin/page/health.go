package page

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"tocsin/fetcher"
	"tocsin/notifier"
)

// strip is the line at the top of every page that says whether silence can be trusted.
type strip struct {
	Problems []Remark
	Feeds    int // not paused
	Live     int
	HaveFeed bool
	Items    int // of the last hour
	Alerts   int
	Newest   time.Time // item
	Canary   time.Time
	Starting bool
}

// Level is good, warn or bad.
func (s strip) Level() string {
	level := "good"
	for _, p := range s.Problems {
		switch {
		case p.Level == "bad":
			return "bad"
		case p.Level == "warn":
			level = "warn"
		}
	}
	return level
}

// canaryLate is the age of the newest test item from which the pipeline is in doubt.
const canaryLate = 45 * time.Second

// canary is when the newest test item came through, the zero time when none did.
func (p *Page) canary() time.Time {
	if p.o.Canary != nil {
		return p.o.Canary()
	}
	return p.watch.lastCanary()
}

func (p *Page) health() strip {
	now := p.o.Now()
	s := strip{Starting: !p.o.Ready(), Canary: p.canary()}
	_, s.Items, s.Newest, _ = p.items.state(now)
	s.Alerts = p.book.hour(now)
	add := func(level, link, format string, args ...any) {
		s.Problems = append(s.Problems, Remark{level, fmt.Sprintf(format, args...), link})
	}
	if s.Starting {
		add("warn", "/system", "starting or stopping")
	}
	for _, st := range p.watch.stages(now) {
		if st.Bad() {
			add("bad", "/system", "%s", st.Text())
		}
	}
	if _, at, err := p.bus.get(context.Background()); err != nil && now.Sub(at) > stuckAfter {
		add("bad", "/system", "the bus does not answer")
	}
	if age := now.Sub(s.Canary); p.o.Health == nil && !s.Canary.IsZero() && age > canaryLate && !s.Starting {
		add("bad", "/system", "the test item of the last %s did not come through: alerts may be late", Span(age))
	}
	p.feedHealth(&s, add)
	for _, l := range p.o.Lists() {
		if len(l.Faults) > 0 {
			place, fact, _ := strings.Cut(l.Faults[0], ":")
			text := notifier.Shorten(path.Base(place)+":"+fact, 200)
			if more := len(l.Faults) - 1; more > 0 {
				text += fmt.Sprintf(", and %s more", plural(more, "fault"))
			}
			add("warn", "/system", "the %s were refused: %s", l.What, text)
		}
	}
	if p.o.Channels != nil && p.o.Health == nil {
		for _, c := range p.o.Channels() {
			switch {
			case c.Gone:
				add("bad", "/delivery", "channel %s is closed for good", c.ID)
			case c.Open:
				add("bad", "/delivery", "channel %s fails: deliveries wait", c.ID)
			}
		}
	}
	if p.o.Health != nil {
		s.Problems = append(s.Problems, p.o.Health()...)
	}
	return s
}

func (p *Page) feedHealth(s *strip, add func(level, link, format string, args ...any)) {
	if p.feeds == nil {
		return
	}
	all, at, err := p.feeds.get(context.Background())
	if err != nil && at.IsZero() {
		add("warn", "/feeds", "the states of the feeds cannot be read")
		return
	}
	n := map[string]int{}
	for i := range all {
		n[all[i].State]++
	}
	s.HaveFeed, s.Live = !at.IsZero(), n[fetcher.StateLive]
	s.Feeds = len(all) - n[fetcher.StatePaused]
	if n[fetcher.StateNew] > 0 && s.Live == 0 {
		add("warn", "/feeds", "no feed was reached yet")
	}
	down := n[fetcher.StateFailing] + n[fetcher.StateDead]
	switch {
	case s.Feeds > 0 && down*10 > s.Feeds*3 && down > 1:
		add("bad", "/feeds?state=failing", "%d of %d feeds cannot be read: is our own network up?", down, s.Feeds)
	case down > 0:
		add("warn", "/feeds?state=trouble", "%s cannot be read", plural(down, "feed"))
	}
	if late := n[fetcher.StateLate]; late > 0 {
		add("warn", "/feeds?state=late", "%s silent beyond the usual", plural(late, "feed"))
	}
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// hour counts the records of the last hour that people were told.
func (b *book) hour(now time.Time) (n int) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for i := len(b.rows) - 1; i >= 0 && now.Sub(b.rows[i].at) < time.Hour; i-- {
		if (filter{}).takes(b.rows[i]) {
			n++
		}
	}
	return n
}

// idleFeeds is how often the feeds are looked at while nobody has a page open.
const idleFeeds = 20 * time.Second

// feedPace is how old the picture of the feeds may become: less while somebody looks, least until a feed was reached.
func (p *Page) feedPace() time.Duration {
	all, _ := p.feeds.last()
	switch {
	case !slices.ContainsFunc(all, func(f fetcher.FeedStatus) bool { return !f.LastSuccess.IsZero() }):
		return busAge / 2
	case p.hub.size() > 0:
		return feedAge
	}
	return idleFeeds
}

// look refreshes the pictures and tells the clients.
func (p *Page) look(ctx context.Context) {
	st, at, err := p.bus.fresh(ctx)
	if err == nil {
		p.watch.look(st.Consumers, at)
	}
	if p.feeds != nil && p.feeds.older(p.feedPace()) {
		_, _, _ = p.feeds.fresh(ctx) // health tells of an error
	}
	if p.hub.size() > 0 {
		p.hub.health()
	}
}
