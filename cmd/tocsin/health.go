package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tocsin/bus"
	"tocsin/fetcher"
	"tocsin/news"
	"tocsin/notifier"
)

const (
	healthEvery = 5 * time.Second
	gapFor      = 24 * time.Hour // a gap is news for a day
)

// watchHealth looks at everything that this process can judge, and has people told of what is wrong: by alerts on the reserved watchlist, so that
// nothing but this program is needed to hear of it.
func (in *instance) watchHealth(ctx context.Context) error {
	s := in.bus.State("health")
	key := "troubles." + in.roles.String()
	t, err := in.storedTroubles(ctx, s, key)
	for err != nil {
		in.log.Warn("known troubles not read, trying again", "component", "health", "err", err)
		if !pause(ctx, healthEvery) {
			return nil
		}
		t, err = in.storedTroubles(ctx, s, key)
	}
	stored, looked, told := "", time.Now(), true
	for pause(ctx, healthEvery) {
		now := time.Now()
		if now.Round(0).Sub(looked.Round(0)) > 3*healthEvery {
			in.awake = now // this process or its machine stood still: nothing can have arrived
		}
		looked = now
		conds := in.conditions(now, t)
		in.remark(conds)
		tells := in.tells()
		if tells && !told { // another process did until now
			fresh, err := in.storedTroubles(ctx, s, key)
			if err != nil {
				continue
			}
			t, stored, conds = fresh, "", in.conditions(now, fresh)
		}
		if told = tells; !tells {
			continue
		}
		alerts := t.look(now, conds)
		if !in.tellAll(ctx, alerts) {
			continue
		}
		if stored, err = t.save(ctx, s, key, stored); err != nil && ctx.Err() == nil {
			in.log.Warn("known troubles not stored, a restart may tell them again", "component", "health", "err", err)
		}
	}
	return nil
}

// remark keeps what heartbeats tell beside feeds and lists, which they know from elsewhere.
func (in *instance) remark(conds []condition) {
	var out []news.HealthRemark
	for _, c := range conds {
		if c.kind != troubleFeed && c.kind != troubleGap && len(out) < news.MaxHeartbeatList {
			out = append(out, news.HealthRemark{Title: c.title, Since: c.since})
		}
	}
	in.remarks.Store(&out)
	in.noticed.Store(&conds)
}

func (in *instance) storedTroubles(ctx context.Context, s *bus.State, key string) (*troubles, error) {
	data, _, err := s.Get(ctx, key)
	if errors.Is(err, news.ErrNotFound) {
		return newTroubles(), nil
	}
	if err != nil {
		return nil, err
	}
	return readTroubles(data)
}

// tellAll publishes alerts. One that cannot be stored is logged: there is nobody else to tell.
func (in *instance) tellAll(ctx context.Context, alerts []news.Alert) bool {
	for _, a := range alerts {
		in.log.Warn("trouble told", "component", "health", "alert", a.ID, "status", a.Match.Item.Title)
		in.reload.tell(ctx, a)
	}
	return ctx.Err() == nil
}

func (t *troubles) save(ctx context.Context, s *bus.State, key, before string) (string, error) {
	data, err := json.Marshal(t)
	if err != nil || string(data) == before {
		return before, err
	}
	return string(data), putAny(ctx, s, key, data)
}

// conditions is everything that is wrong now, as far as the roles of this process see it.
func (in *instance) conditions(now time.Time, t *troubles) []condition {
	out := in.canaryCondition(now)
	if in.clustered() {
		out = append(out, in.others.conditions(in.roles, now)...)
	}
	if in.roles.fetcher {
		feeds := in.fetch.Known()
		t.total = len(feeds)
		out = append(out, feedConditions(feeds, now, in.fetch.NetworkDown())...)
	}
	if in.roles.notifier && in.plans() {
		out = append(out, in.channelConditions()...)
		out = append(out, in.dead.conditions(now)...)
		if n := in.notify.Missing(); n > 0 {
			out = append(out, condition{
				key: "ledger", kind: troubleMismatch, since: in.mismatched(now), severity: news.SeverityCritical, over: "The ledger accounts for every delivery again",
				title: strconv.Itoa(n) + " deliveries are missing from the ledger",
				text:  "Alerts and routes ask for them, and the ledger has said nothing of them for 30 s.\nRun tocsin ledger check: it names them.",
			})
		} else {
			in.mismatchSince = time.Time{}
		}
	}
	return out
}

func (in *instance) mismatched(now time.Time) time.Time {
	if in.mismatchSince.IsZero() {
		in.mismatchSince = now
	}
	return in.mismatchSince
}

// feedConditions are the troubles and gaps of feeds. While our own network is down no feed is blamed: another alert says so.
func feedConditions(feeds []fetcher.FeedStatus, now time.Time, networkDown bool) (out []condition) {
	for i := range feeds {
		f := &feeds[i]
		if c, bad := feedCondition(f, now); bad && !(networkDown && f.State == fetcher.StateFailing) {
			out = append(out, c)
		}
		for _, g := range f.Gaps {
			if c, news := gapCondition(f, g, now); news {
				out = append(out, c)
			}
		}
	}
	return out
}

func feedName(f *fetcher.FeedStatus) string {
	if f.Feed.Outlet != "" {
		return f.Feed.Outlet
	}
	return hostOf(f.Feed.URL)
}

func feedCondition(f *fetcher.FeedStatus, now time.Time) (condition, bool) {
	level, severity := 0, news.SeverityLow
	switch f.State {
	case fetcher.StateLate:
		level = 1
	case fetcher.StateFailing:
		level = 2
	case fetcher.StateDead:
		level, severity = 3, news.SeverityMedium
	default:
		return condition{}, false
	}
	name := feedName(f)
	return condition{
		key: "feed " + f.Feed.ID, kind: troubleFeed, feed: f.Feed.ID, name: name, short: f.State + ", " + shortReason(f), level: level, severity: severity, since: f.Since,
		title: "Feed " + name + " is " + f.State + ": " + shortReason(f), over: "Feed " + name + " is live again",
		text: "Since " + stamp(f.Since) + ". " + capital(f.Verdict(now)) + ".\nLast reached " + stampOrNever(f.LastSuccess) + ", newest item " + stampOrNever(f.LastItem) +
			".\nLook: tocsin feeds show " + f.Feed.ID,
	}, true
}

func stampOrNever(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return stamp(t)
}

// shortReason says in a few words why a feed does not live.
func shortReason(f *fetcher.FeedStatus) string {
	switch {
	case f.Failures == 0 && f.Reason == "":
		return "no items, expected every " + notifier.Spell(f.Expected)
	case f.LastStatus >= 400:
		return strconv.Itoa(f.LastStatus)
	case f.Reason != "":
		return strings.ReplaceAll(string(f.Reason), "_", " ")
	}
	return "not reached"
}

// gapCondition is a time in which items may have been missed. That a publisher asks for long pauses is no gap yet.
func gapCondition(f *fetcher.FeedStatus, g fetcher.Gap, now time.Time) (condition, bool) {
	if g.Kind == fetcher.GapWish || now.Sub(g.To) > gapFor || g.Kind == fetcher.GapScrolled && g.Lost == 0 {
		return condition{}, false
	}
	name, what := feedName(f), gapWords(g)
	return condition{
		key: "gap " + f.Feed.ID + " " + g.Kind + " " + strconv.FormatInt(g.From.Unix(), 10), kind: troubleGap, feed: f.Feed.ID, name: name, short: what, severity: news.SeverityLow,
		since: g.From, title: "Feed " + name + " has a gap: " + what,
		text: "From " + stamp(g.From) + " to " + stamp(g.To) + " items may have been missed. " + capital(what) + ".\nLook: tocsin feeds show " + f.Feed.ID,
	}, true
}

func gapWords(g fetcher.Gap) string {
	switch g.Kind {
	case fetcher.GapScrolled:
		return fmt.Sprintf("perhaps %d items came and went between two polls", g.Lost)
	case fetcher.GapRefused:
		return "its document could not be read"
	case fetcher.GapCut:
		return "its document ended too early"
	case fetcher.GapAsleep:
		return "it was not polled for " + notifier.Spell(g.To.Sub(g.From)) + ": the program or its machine stood still"
	}
	return g.Kind
}

// channelConditions names the channels that nothing but probes is sent to.
func (in *instance) channelConditions() (out []condition) {
	for _, ch := range in.notify.Channels() {
		if !ch.Open && !ch.Gone {
			continue
		}
		c := condition{
			key: "channel " + ch.ID, kind: troubleCircuit, since: ch.Since, severity: news.SeverityHigh, title: "Channel " + ch.ID + " fails: its alerts wait",
			over: "Channel " + ch.ID + " works again", text: fmt.Sprintf("%d attempts in a row failed: %s\nWhat is due for it is kept and sent when it works again. Try: tocsin send --test %s", ch.Failures, ch.LastError, ch.ID),
		}
		if ch.Gone {
			c.level, c.title = 1, "Channel "+ch.ID+" is closed for good: its alerts die"
			c.text = "The endpoint said that it is gone: " + ch.LastError + "\nGive the channel a new address. Look: tocsin dead list --channel " + ch.ID
		}
		out = append(out, c)
	}
	return out
}

// deadWatch counts new dead letters.
type deadWatch struct {
	mu sync.Mutex
	by map[string]*deadCount // by stage and channel
}

type deadCount struct {
	n           int
	first, last time.Time
	why         string
}

// deadFor is how long after the last dead letter its trouble lasts. What dies within that time belongs to the same.
const deadFor = time.Hour

// followDead counts dead letters from now on. One that told of the program itself is not told of: it would go the same way.
func (in *instance) followDead(ctx context.Context) error {
	return in.bus.ReadDead(ctx, in.began, true, func(d news.DeadLetter, _ bus.Meta) error {
		if v, err := news.Decode[news.Delivery](d.Payload); err == nil && v.Reason == news.SendHealth {
			return nil
		}
		in.dead.note(&d)
		return nil
	})
}

func (w *deadWatch) note(d *news.DeadLetter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	key := strings.TrimSpace(d.Stage + " " + d.Channel)
	c := w.by[key]
	if c == nil || d.At.Sub(c.last) > deadFor {
		c = &deadCount{first: d.At}
		w.by[key] = c
	}
	c.n++
	c.last, c.why = d.At, d.Error
}

func (w *deadWatch) conditions(now time.Time) (out []condition) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range news.SortedKeys(w.by) {
		c := w.by[key]
		if now.Sub(c.last) > deadFor {
			continue
		}
		out = append(out, condition{
			key: "dead " + key, kind: troubleDead, since: c.first, severity: news.SeverityHigh, title: "Something died at the " + key + " and reaches nobody",
			text: "The last error: " + c.why + "\nLook and try again: tocsin dead list",
		})
	}
	return out
}

// registerHealth shows what this process knows of the whole pipeline.
func (in *instance) registerHealth() {
	in.reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tocsin_canary_last_delivered_timestamp_seconds",
		Help: "When a test item of the program itself last closed its ledger entry in time, in any process of this bus; the start of this process before the first.",
	}, func() float64 {
		seen := in.canarySeen()
		if seen.IsZero() {
			seen = in.began
		}
		return float64(seen.UnixMilli()) / 1000
	}))
}
