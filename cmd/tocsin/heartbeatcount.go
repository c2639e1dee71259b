package main

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"tocsin/bus"
	"tocsin/fetcher"
	"tocsin/news"
	"tocsin/notifier"
)

// countBeats counts what each due heartbeat tells: from the streams and the stored states of feeds, not from counters that other code keeps. Every
// span ends now, and what is stored later belongs to the next.
func (in *instance) countBeats(ctx context.Context, due []dueBeat, now time.Time) (map[string]*news.Heartbeat, error) {
	out, from := map[string]*news.Heartbeat{}, now
	for _, d := range due {
		out[d.list.ID] = &news.Heartbeat{From: d.from, To: now, Zone: in.cfg.Health.Heartbeat.Location.Location().String(), Revision: d.list.Revision}
		if d.from.Before(from) {
			from = d.from
		}
	}
	if err := in.countStreams(ctx, out, from, now); err != nil {
		return nil, err
	}
	feeds, err := in.fetch.Status(ctx)
	if err != nil {
		return nil, err
	}
	silences := in.notify.Silences()
	for _, id := range news.SortedKeys(out) {
		h := out[id]
		beatFeeds(h, feeds)
		beatGaps(h, feeds)
		beatSilences(h, silences, now)
		in.beatLists(h, id)
		if known := in.remarks.Load(); known != nil {
			h.Troubles = *known
		}
	}
	return out, nil
}

// countStreams counts items, matches and alerts. A new revision of an item is no new item.
func (in *instance) countStreams(ctx context.Context, out map[string]*news.Heartbeat, from, to time.Time) error {
	within := func(h *news.Heartbeat, m bus.Meta) bool {
		return h != nil && m.Stored.After(h.From) && !m.Stored.After(to)
	}
	err := in.bus.ReadItems(ctx, from, false, func(it news.Item, m bus.Meta) error {
		for _, h := range out {
			if within(h, m) && it.Reason == news.ReasonNew {
				h.Items++
				h.Newest = m.Stored
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	matched := map[string]bool{}
	err = in.bus.ReadMatches(ctx, from, false, func(x news.Match, m bus.Meta) error {
		h, key := out[x.Watchlist], x.Watchlist+" "+x.Item.ID
		if within(h, m) && !matched[key] {
			matched[key] = true
			h.Matches++
		}
		return nil
	})
	if err != nil {
		return err
	}
	return in.bus.ReadAlerts(ctx, from, false, func(a news.Alert, m bus.Meta) error {
		if h := out[a.Watchlist]; within(h, m) && a.Kind == news.KindFirst && !a.Match.Item.Backfill {
			h.Alerts++
		}
		return nil
	})
}

// beatFeeds tells how many feeds live, and which do not.
func beatFeeds(h *news.Heartbeat, feeds []fetcher.FeedStatus) {
	for i := range feeds {
		f := &feeds[i]
		trouble := news.FeedTrouble{Feed: f.Feed.ID, Outlet: feedName(f), Since: f.Since, Reason: shortReason(f)}
		if f.Failures == 0 && f.Reason == "" {
			trouble.Reason, trouble.Expected = "no items", f.Expected
		}
		h.Feeds++
		switch f.State {
		case fetcher.StatePaused:
			h.Feeds--
			h.Paused++
		case fetcher.StateLive:
			h.Live++
		case fetcher.StateDead:
			h.Dead = append(h.Dead, trouble)
		case fetcher.StateFailing:
			h.Failing = append(h.Failing, trouble)
		case fetcher.StateLate:
			h.Late = append(h.Late, trouble)
		default:
			h.Untried++
		}
	}
	for _, list := range []*[]news.FeedTrouble{&h.Dead, &h.Failing, &h.Late} {
		slices.SortStableFunc(*list, func(a, b news.FeedTrouble) int { return a.Since.Compare(b.Since) })
		if more := len(*list) - news.MaxHeartbeatList; more > 0 {
			h.More += more
			*list = (*list)[:news.MaxHeartbeatList]
		}
	}
}

// beatGaps tells of the gaps of the span. A time in which nobody polled is one gap of many feeds.
func beatGaps(h *news.Heartbeat, feeds []fetcher.FeedStatus) {
	asleep := map[string]*news.CoverageGap{}
	for i := range feeds {
		f := &feeds[i]
		for _, g := range f.Gaps {
			if g.Kind == fetcher.GapWish || g.Kind == fetcher.GapScrolled && g.Lost == 0 || !g.To.After(h.From) || g.From.After(h.To) {
				continue
			}
			gap := news.CoverageGap{Feed: f.Feed.ID, Outlet: feedName(f), From: g.From, To: g.To, Kind: g.Kind, Lost: g.Lost, Feeds: 1}
			if g.Kind != fetcher.GapAsleep {
				h.Gaps = append(h.Gaps, gap)
				continue
			}
			hour := g.To.Truncate(time.Hour).Format(time.RFC3339)
			if all := asleep[hour]; all != nil {
				all.Feeds++
				all.From, all.To = earlier(all.From, gap.From), later(all.To, gap.To)
				continue
			}
			asleep[hour] = &gap
		}
	}
	for _, k := range news.SortedKeys(asleep) {
		h.Gaps = append(h.Gaps, *asleep[k])
	}
	slices.SortStableFunc(h.Gaps, func(a, b news.CoverageGap) int { return cmp.Or(b.To.Compare(a.To), strings.Compare(a.Feed, b.Feed)) })
	if h.MoreGaps = max(0, len(h.Gaps)-news.MaxHeartbeatList); h.MoreGaps > 0 {
		h.Gaps = h.Gaps[:news.MaxHeartbeatList]
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func beatSilences(h *news.Heartbeat, all []notifier.Silence, now time.Time) {
	for i := range all {
		s := &all[i]
		if !s.Active(now) {
			continue
		}
		if len(h.Silences) == news.MaxHeartbeatList {
			h.MoreSilences++
			continue
		}
		h.Silences = append(h.Silences, news.SilenceNote{ID: s.ID, Until: s.End, Author: s.Author, Comment: s.Comment})
	}
}

// beatLists tells of newer lists that were refused, here or in another process: the fault of this very list if there is one.
func (in *instance) beatLists(h *news.Heartbeat, id string) {
	all := append(in.reload.status(), in.others.lists()...)
	for _, l := range all {
		if l.OK || h.Refused != "" && l.What != whatWatchlists {
			continue
		}
		lines := strings.Split(l.Refused, "\n")
		h.Refused, h.RefusedSince = lines[0], l.RefusedSince
		for _, line := range lines {
			if strings.Contains(line, id+".yaml:") {
				h.Refused = line
				break
			}
		}
	}
}
