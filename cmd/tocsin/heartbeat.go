package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tocsin/matcher"
	"tocsin/news"
	"tocsin/notifier"
)

const (
	beatKey   = "heartbeats" // in bucket health
	beatEvery = 5 * time.Second
)

// beatState is what is known of the heartbeats of one watchlist.
type beatState struct {
	Slot time.Time `json:"slot,omitzero"` // the last that was made was due then
	To   time.Time `json:"to"`            // and told of the time until then; before the first: when the watch began
}

// beats keeps the heartbeats. It is a function of its state and the time, but for what each tells.
type beats struct {
	lists map[string]beatState
	slot  func(a *news.Alert, after time.Time) (slot, when time.Time)
}

// dueBeat is a heartbeat to make now.
type dueBeat struct {
	list matcher.ListInfo
	slot time.Time
	from time.Time
}

// due gives the heartbeats to make now, at most one for each list: of several that were missed the last. Lists that are new begin their watch, those
// that are gone are forgotten; changed tells whether the state is to be stored.
func (b *beats) due(lists []matcher.ListInfo, now time.Time) (out []dueBeat, changed bool) {
	live := map[string]bool{}
	for _, l := range lists {
		live[l.ID] = true
		st, known := b.lists[l.ID]
		if !known {
			b.lists[l.ID] = beatState{To: now}
			changed = true
			continue
		}
		probe := beatAlert(l, &news.Heartbeat{From: st.To, To: now}, now, now)
		after := st.Slot
		if after.IsZero() {
			after = st.To
		}
		var last, made time.Time
		for slot, when := b.slot(&probe, after); !slot.IsZero() && !when.After(now); slot, when = b.slot(&probe, slot) {
			last, made = slot, when
		}
		switch {
		case last.IsZero():
		case made.Before(last) && now.After(last):
			b.lists[l.ID] = beatState{Slot: last, To: st.To} // its digest went without it: the next one tells of this time too
			changed = true
		default:
			out = append(out, dueBeat{l, last, st.To})
		}
	}
	for id := range b.lists {
		if !live[id] {
			delete(b.lists, id)
			changed = true
		}
	}
	return out, changed
}

// beatAlert is the record that carries a heartbeat. Its id follows from the list and the time it was due, so that a day has one whatever crashes.
func beatAlert(l matcher.ListInfo, h *news.Heartbeat, slot, now time.Time) news.Alert {
	story := "heartbeat " + l.ID + " " + slot.UTC().Format(time.RFC3339)
	title := notifier.HeartbeatTitle(h)
	it := news.Item{
		ID: news.ItemID(matcher.CanaryList, story), Revision: news.ContentHash(title, "", story), Reason: news.ReasonNew, Outlet: healthTitle, Lang: "en", Title: title, FirstSeen: now,
	}
	return news.Alert{
		Schema: news.Schema, ID: news.AlertID(story, l.ID), Revision: 1, Kind: news.KindHeartbeat, Story: story, Watchlist: l.ID, Severity: news.SeverityInfo,
		Items: 1, OpenedAt: slot, At: now, Heartbeat: h,
		Match: news.Match{
			Schema: news.Schema, ID: news.MatchID(it.ID, it.Revision, l.ID, l.Revision), Item: it, Watchlist: l.ID, Title: l.Title, Revision: l.Revision,
			Severity: l.Severity, Labels: l.Labels, MatchedAt: now,
		},
	}
}

// sendHeartbeats makes the heartbeat of each watchlist when it is due, once a day over all restarts, until ctx ends.
func (in *instance) sendHeartbeats(ctx context.Context) error {
	b := &beats{slot: func(a *news.Alert, after time.Time) (time.Time, time.Time) {
		return in.notify.HeartbeatSlot(a, &in.cfg.Health.Heartbeat, after)
	}}
	for {
		err := in.beatOnce(ctx, b)
		if err != nil && ctx.Err() == nil {
			in.log.Warn("heartbeat not sent, trying again", "component", "health", "err", err)
		}
		if !pause(ctx, beatEvery) {
			return nil
		}
	}
}

func (in *instance) beatOnce(ctx context.Context, b *beats) error {
	s := in.bus.State("health")
	if b.lists == nil {
		data, _, err := s.Get(ctx, beatKey)
		if err != nil && !errors.Is(err, news.ErrNotFound) {
			return err
		}
		lists := map[string]beatState{}
		if err == nil {
			if err := json.Unmarshal(data, &lists); err != nil {
				return fmt.Errorf("read the state of heartbeats: %w", err)
			}
		}
		b.lists = lists
		for id, st := range lists {
			if !st.Slot.IsZero() {
				in.notify.HeartbeatSent(id, st.To)
			}
		}
	}
	lists, err := in.liveLists(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	due, changed := b.due(lists, now)
	if len(due) > 0 {
		counts, err := in.countBeats(ctx, due, now)
		if err != nil {
			return err
		}
		for _, d := range due {
			if _, err := in.bus.PublishAlert(ctx, beatAlert(d.list, counts[d.list.ID], d.slot, now)); err != nil {
				return err
			}
			in.log.Info("heartbeat sent", "component", "health", "watchlist", d.list.ID, "status", notifier.HeartbeatTitle(counts[d.list.ID]))
			b.lists[d.list.ID] = beatState{Slot: d.slot, To: now}
			changed = true
		}
	}
	if !changed {
		return nil
	}
	data, err := json.Marshal(b.lists)
	if err != nil {
		return err
	}
	if err := putAny(ctx, s, beatKey, data); err != nil {
		b.lists = nil // what is stored counts: it is read again
		return err
	}
	return nil
}

// liveLists are the watchlists that are live: here, or in the cluster when this process does not match.
func (in *instance) liveLists(ctx context.Context) ([]matcher.ListInfo, error) {
	if in.clustered() && !in.roles.matcher {
		if err := in.followStored(ctx); err != nil {
			return nil, err
		}
	}
	x := in.index.Load()
	if x == nil {
		return nil, nil
	}
	return x.Lists(), nil
}

// followStored takes over what the matchers of the cluster made live, so that heartbeats tell of the lists that are matched.
func (in *instance) followStored(ctx context.Context) error {
	store := in.setStore()
	r, _, err := store.record(ctx)
	if errors.Is(err, news.ErrNotFound) {
		return nil
	}
	if x := in.index.Load(); err != nil || x != nil && x.Revision() == r.Revision {
		return err
	}
	_, archive, err := store.archive(ctx)
	if err != nil {
		return err
	}
	a, err := in.acceptArchive(archive, "cluster")
	if err != nil {
		return fmt.Errorf("the stored watchlists: %w", err)
	}
	a.live()
	return nil
}
