package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"tocsin/fetcher"
	"tocsin/matcher"
	"tocsin/news"
	"tocsin/news/strict"
)

// listenHangup has SIGHUP load all lists again instead of ending the program. stop gives the signal back.
func (in *instance) listenHangup() (stop func()) {
	in.reload.hangup = make(chan os.Signal, 1)
	signal.Notify(in.reload.hangup, syscall.SIGHUP)
	return func() { signal.Stop(in.reload.hangup) }
}

// buildReloader makes the door. Only roles that use a kind of lists load it again.
func (in *instance) buildReloader(feeds []fetcher.Feed) {
	in.reload = &reloader{
		log: in.log, metrics: newReloadMetrics(in.reg), now: time.Now,
		alert: discardDup(in.bus.PublishAlert),
	}
	in.reload.metrics.outcome(whatOperator, true, in.began) // tocsin.yaml is read once, at the start
	if in.roles.matcher {
		in.reload.lists = append(in.reload.lists, in.watchlistsDoor())
	}
	if in.roles.fetcher || in.roles.notifier { // heartbeats tell of feeds
		in.reload.lists = append(in.reload.lists, in.feedsDoor(feeds))
	}
}

// setLive is the one place where an index goes live.
func (in *instance) setLive(x *matcher.Index) {
	in.index.Store(x)
	in.match.Swap(x)
	in.countLists(x)
}

func (in *instance) clustered() bool { return in.cfg.Bus.URL.Value != "" }

func (in *instance) setStore() *setStore {
	s := in.bus.State("watchlists")
	return &setStore{get: s.Get, put: s.Put}
}

func (in *instance) acceptedSet(x *matcher.Index, warnings strict.Faults, archive []byte) *accepted {
	return &accepted{revision: x.Revision(), summary: x.Summary(), warnings: warnings, archive: archive, live: func() { in.setLive(x) }}
}

// acceptArchive judges an archive of watchlists as if its files lay in dir.
func (in *instance) acceptArchive(archive []byte, dir string) (*accepted, error) {
	x, warnings, err := compileSet(unpacked(archive, dir))
	if err != nil {
		return nil, err
	}
	return in.acceptedSet(x, warnings, archive), nil
}

func (in *instance) watchlistsDoor() *reloadable {
	l := &reloadable{what: whatWatchlists}
	if dir := in.cfg.watchlistsDir(); dir != shipped {
		l.paths = []string{dir}
		l.read = func() (snapshot, error) { return readWatchlists(dir) }
		l.accept = func(s snapshot) (*accepted, error) {
			archive, err := s.pack()
			if err != nil {
				return nil, err
			}
			return in.acceptArchive(archive, dir)
		}
	}
	store := in.setStore()
	l.share = func(ctx context.Context, a *accepted) error {
		return store.save(ctx, a.revision, a.archive, time.Now())
	}
	l.follow = in.clustered()
	l.fetch = func(ctx context.Context) (*accepted, error) {
		r, archive, err := store.archive(ctx)
		if err != nil {
			return nil, err
		}
		if x := in.index.Load(); x != nil && x.Revision() == r.Revision {
			return in.acceptedSet(x, nil, archive), nil
		}
		return in.acceptArchive(archive, "cluster")
	}
	return l
}

func (in *instance) feedsDoor(feeds []fetcher.Feed) *reloadable {
	l := &reloadable{what: whatFeeds}
	for _, n := range in.cfg.Fetcher.Feeds {
		if n.Value != shipped {
			l.paths = append(l.paths, in.cfg.path(n.Value))
		}
	}
	l.read = func() (snapshot, error) { return readFeedLists(&in.cfg) }
	l.accept = func(s snapshot) (*accepted, error) {
		feeds, faults := loadFeeds(&in.cfg)
		if len(feeds) == 0 && faults.Err() == nil {
			faults.Add(strict.Pos{File: l.paths[0]}, "list at least one feed; to stop the watch, stop the program", "no feed is left: nothing would be watched")
		}
		if err := faults.Err(); err != nil {
			return nil, err
		}
		_, warnings := faults.Split()
		return &accepted{revision: s.hash()[:12], summary: feedsSummary(feeds), warnings: warnings, live: func() { in.setFeeds(feeds) }}, nil
	}
	from, files := fromFiles, snapshot{}
	if len(l.paths) == 0 {
		from = fromShipped
	} else if s, err := l.read(); err == nil {
		files, l.tried, l.stamp = s, s.hash(), stampOf(l.paths)
	}
	l.begin(from, files.hash()[:12], feedsSummary(feeds), in.reload)
	return l
}

func (in *instance) setFeeds(feeds []fetcher.Feed) {
	in.fetch.SetFeeds(feeds)
	in.feedCount.Store(int64(len(feeds)))
}

func feedsSummary(feeds []fetcher.Feed) string {
	if len(feeds) == 1 {
		return "1 feed"
	}
	return fmt.Sprintf("%d feeds", len(feeds))
}

// begin notes what is live from the start.
func (l *reloadable) begin(from, revision, summary string, r *reloader) {
	now := r.now()
	l.change(func(s *listStatus) {
		*s = listStatus{What: l.what, From: from, Revision: revision, Summary: summary, LiveSince: now, OK: true}
	})
	r.metrics.outcome(l.what, true, now)
}

// firstLists are the configured watchlists as they are at the start. The snapshot is empty for those inside the program.
type firstLists struct {
	index    *matcher.Index
	warnings strict.Faults
	stamp    string
	files    snapshot
	archive  []byte
}

// readFirst reads and judges the configured watchlists.
func (in *instance) readFirst() (f firstLists, err error) {
	defer func() {
		if err != nil {
			err = usage(fmt.Errorf("watchlists are refused:\n%w", err))
		}
	}()
	dir := in.cfg.watchlistsDir()
	if dir == shipped {
		f.index, f.warnings, err = loadIndex(dir)
		return f, err
	}
	f.stamp = stampOf([]string{dir})
	if f.files, err = readWatchlists(dir); err != nil {
		return f, err
	}
	if f.archive, err = f.files.pack(); err != nil {
		return f, err
	}
	f.index, f.warnings, err = compileSet(unpacked(f.archive, dir))
	return f, err
}

// openWatchlists chooses what is live first. The configured lists are, unless they are broken, or a cluster has gone on from them already: then what
// was accepted last is. Without that, broken lists end the start.
func (in *instance) openWatchlists(ctx context.Context, first firstLists, broken error) error {
	if !in.roles.matcher {
		if broken == nil {
			in.setLive(first.index)
		}
		return broken
	}
	l := in.reload.lists[0]
	l.stamp = first.stamp
	if first.files != nil {
		l.tried = first.files.hash()
	}
	stored, err := in.storedFirst(ctx, l, first.index, broken)
	switch {
	case err != nil && broken != nil:
		return broken
	case err != nil:
		in.log.Warn("the stored watchlists cannot be used, the configured ones are live", "component", whatWatchlists, "err", err)
	case stored != nil:
		in.beginStored(ctx, l, stored, broken)
		return nil
	}
	a := in.acceptedSet(first.index, nil, first.archive)
	a.live()
	l.keep(a.archive)
	if first.files == nil {
		l.begin(fromShipped, a.revision, a.summary, in.reload)
		return nil
	}
	l.unsent = a // stored when the reloader starts
	l.begin(fromFiles, a.revision, a.summary, in.reload)
	return nil
}

// beginStored begins with what was accepted last. What is broken is told as after a reload.
func (in *instance) beginStored(ctx context.Context, l *reloadable, stored *accepted, broken error) {
	stored.live()
	l.keep(stored.archive)
	from := fromCluster
	if broken != nil {
		from = fromLastGood
	}
	l.begin(from, stored.revision, stored.summary, in.reload)
	if broken != nil {
		in.reload.refuse(ctx, l, fromFiles, faultsOf(broken))
	}
}

// storedFirst gives the stored set when it goes before the configured one, nil when it does not.
func (in *instance) storedFirst(ctx context.Context, l *reloadable, local *matcher.Index, broken error) (*accepted, error) {
	if broken == nil && !in.clustered() {
		return nil, nil
	}
	r, _, err := in.setStore().record(ctx)
	if errors.Is(err, news.ErrNotFound) && broken == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if broken == nil && (r.Revision == local.Revision() || len(l.paths) > 0 && !slices.Contains(r.Before, local.Revision())) {
		return nil, nil
	}
	return l.fetch(ctx)
}

// followEvery is the time between two looks at what other instances accepted.
const followEvery = 2 * time.Second

// followWatchlists makes live what other instances of the cluster accept.
func (in *instance) followWatchlists(ctx context.Context) error {
	l, store, seen := in.reload.lists[0], in.setStore(), uint64(0)
	for {
		_, rev, err := store.record(ctx)
		switch {
		case err == nil && rev != seen:
			in.reload.followNow(ctx, l)
			seen = rev
		case err != nil && !errors.Is(err, news.ErrNotFound) && ctx.Err() == nil:
			in.log.Warn("stored watchlists cannot be looked at, trying again", "component", l.what, "err", err)
		}
		if !pause(ctx, followEvery) {
			return nil
		}
	}
}
