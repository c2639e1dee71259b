package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
)

// Kinds of files: the closed list of the label what. All but the operator's are loaded again while the program runs.
const (
	whatOperator   = "operator"
	whatWatchlists = "watchlists"
	whatFeeds      = "feeds"
)

// Where lists that are live came from: the closed list of listStatus.From.
const (
	fromShipped  = "shipped"   // inside the program
	fromFiles    = "files"     // the configured folder or files
	fromCluster  = "cluster"   // another instance put them into the bucket
	fromLastGood = "last_good" // the files are broken since before the start; what was accepted last came from the bucket
)

const (
	lookEvery   = 2 * time.Second // between two looks at names, sizes and times of files
	deepEvery   = 15              // every so many looks the content is read, for edits that leave size and time as they were
	settleLimit = 5 * time.Second
	loadWithin  = time.Minute // of one load with all that it stores
)

// reloader is the one door by which changed lists go live: file watch, SIGHUP, POST /api/v1/reload and the bucket of a cluster all enter here. Lists
// go live only as a whole and only when they are without fault; else the last good ones keep running, and people can see that and why.
type reloader struct {
	work    sync.Mutex // one load at a time
	lists   []*reloadable
	hangup  chan os.Signal // nil when signals are not ours
	log     *slog.Logger
	metrics *reloadMetrics
	alert   func(context.Context, news.Alert) error
	now     func() time.Time
}

// reloadable is one kind of lists. Its fields but state are guarded by reloader.work.
type reloadable struct {
	what   string
	paths  []string                                     // files and folders to watch; none when the lists are inside the program
	read   func() (snapshot, error)                     // the files as they are now
	accept func(snapshot) (*accepted, error)            // judges them; its error is a refusal
	share  func(ctx context.Context, a *accepted) error // puts what is live where others find it; nil when nobody does
	fetch  func(ctx context.Context) (*accepted, error) // what others put there; nil when nobody does
	follow bool                                         // the bucket is looked at again from time to time
	stamp  string                                       // of the files when they were last read
	tried  string                                       // hash of what was last judged
	unsent *accepted                                    // live, but share failed
	state  struct {
		sync.Mutex
		listStatus
		archive []byte // of what is live; nil when that is inside the program
	}
}

// accepted are lists without fault.
type accepted struct {
	revision string
	summary  string
	warnings strict.Faults
	archive  []byte
	live     func() // makes them live
}

// listStatus tells people what is live and what was refused.
type listStatus struct {
	What         string    `json:"what"`
	From         string    `json:"from"`
	Revision     string    `json:"revision"`
	Summary      string    `json:"summary"`
	LiveSince    time.Time `json:"live_since"`
	OK           bool      `json:"ok"`                // the last load was accepted
	Refused      string    `json:"refused,omitempty"` // its faults, one a line
	RefusedSince time.Time `json:"refused_since,omitzero"`
	NotShared    string    `json:"not_shared,omitempty"` // why other instances do not see what is live here
	refusedFrom  string    // where what was refused came from
	episode      string    // story of the health alert about this refusal
}

func (l *reloadable) status() listStatus {
	l.state.Lock()
	defer l.state.Unlock()
	return l.state.listStatus
}

func (l *reloadable) change(f func(*listStatus)) (before listStatus) {
	l.state.Lock()
	defer l.state.Unlock()
	before = l.state.listStatus
	f(&l.state.listStatus)
	return before
}

func (l *reloadable) keep(archive []byte) {
	l.state.Lock()
	defer l.state.Unlock()
	l.state.archive = archive
}

// liveArchive gives the files of the live watchlists.
func (r *reloader) liveArchive() ([]byte, error) {
	for _, l := range r.lists {
		if l.what != whatWatchlists {
			continue
		}
		l.state.Lock()
		defer l.state.Unlock()
		if l.state.From == fromShipped {
			return packShipped()
		}
		return l.state.archive, nil
	}
	return nil, errors.New("this instance does not match: ask one with the role matcher")
}

// status tells the state of every kind of lists.
func (r *reloader) status() []listStatus {
	out := make([]listStatus, len(r.lists))
	for i, l := range r.lists {
		out[i] = l.status()
	}
	return out
}

// run looks at the files and listens to SIGHUP until ctx ends.
func (r *reloader) run(ctx context.Context) error {
	r.shareAgain(ctx)
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-r.hangup:
			r.all(ctx)
		case <-t.C:
			r.look(ctx, n%deepEvery == 0)
		}
	}
}

// look loads what changed. deep reads the content even if names, sizes and times are the same.
func (r *reloader) look(ctx context.Context, deep bool) {
	for _, l := range r.lists {
		if len(l.paths) == 0 {
			continue
		}
		if !deep && !r.touched(l) {
			continue
		}
		settle(l.paths, func(d time.Duration) bool { return pause(ctx, d) }, settleLimit)
		r.load(ctx, l, false)
	}
	if deep {
		r.again(ctx)
	}
}

// touched tells whether names, sizes or times of the files differ from those of the last load.
func (r *reloader) touched(l *reloadable) bool {
	r.work.Lock()
	defer r.work.Unlock()
	return stampOf(l.paths) != l.stamp
}

// again repeats what may have failed: storing what is live, and reading what others stored.
func (r *reloader) again(ctx context.Context) {
	r.shareAgain(ctx)
	for _, l := range r.lists {
		if l.follow {
			r.followNow(ctx, l)
		}
	}
}

// pause tells whether d went by before ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// all loads everything again, changed or not, and gives the outcome.
func (r *reloader) all(ctx context.Context) []listStatus {
	for _, l := range r.lists {
		if len(l.paths) > 0 {
			r.load(ctx, l, true)
		}
	}
	return r.status()
}

// load reads one kind of lists and makes them live if they are without fault. What was judged already is left alone unless forced.
func (r *reloader) load(ctx context.Context, l *reloadable, force bool) {
	r.work.Lock()
	defer r.work.Unlock()
	ctx, cancel := context.WithTimeout(ctx, loadWithin)
	defer cancel()
	l.stamp = stampOf(l.paths) // before reading: what is written meanwhile is seen at the next look
	files, err := l.read()
	hash := ""
	if err != nil {
		hash = err.Error()
	} else {
		hash = files.hash()
	}
	if hash == l.tried && !force {
		return
	}
	l.tried = hash
	if err != nil {
		r.refuse(ctx, l, fromFiles, err)
		return
	}
	a, err := l.accept(files)
	if err != nil {
		r.refuse(ctx, l, fromFiles, err)
		return
	}
	if a.revision == l.status().Revision {
		l.change(func(s *listStatus) { s.From = fromFiles })
		r.settled(ctx, l, a, fromFiles)
	} else {
		r.install(ctx, l, a, fromFiles)
	}
	r.put(ctx, l, a)
}

// followNow makes live what another instance put into the bucket, unless it is live already.
func (r *reloader) followNow(ctx context.Context, l *reloadable) {
	r.work.Lock()
	defer r.work.Unlock()
	ctx, cancel := context.WithTimeout(ctx, loadWithin)
	defer cancel()
	a, err := l.fetch(ctx)
	var faults strict.Faults
	switch {
	case errors.Is(err, news.ErrNotFound), ctx.Err() != nil:
	case errors.As(err, &faults):
		r.refuse(ctx, l, fromCluster, err)
	case err != nil:
		r.log.Warn("stored watchlists cannot be read, trying again", "component", l.what, "err", err)
	case a.revision != l.status().Revision:
		l.unsent = nil
		r.install(ctx, l, a, fromCluster)
	default:
		r.settled(ctx, l, a, fromCluster)
	}
}

func (r *reloader) install(ctx context.Context, l *reloadable, a *accepted, from string) {
	a.live()
	for _, f := range a.warnings {
		r.log.Warn("list accepted with a remark", "component", l.what, "file", f.File, "line", f.Line, "reason", f.Fact)
	}
	r.log.Info("lists live", "component", l.what, "reason", from, "status", a.summary)
	l.change(func(s *listStatus) { s.From, s.LiveSince = from, r.now() })
	r.settled(ctx, l, a, from)
}

// settled notes that the last load was accepted. It ends a refusal of lists from the same place: a broken folder stays refused whatever a cluster
// makes live.
func (r *reloader) settled(ctx context.Context, l *reloadable, a *accepted, from string) {
	ends := false
	l.keep(a.archive)
	before := l.change(func(s *listStatus) {
		s.Revision, s.Summary = a.revision, a.summary
		if ends = s.OK || s.refusedFrom == from; ends {
			s.OK, s.Refused, s.RefusedSince, s.refusedFrom, s.episode = true, "", time.Time{}, "", ""
		}
	})
	if !ends {
		return
	}
	r.metrics.outcome(l.what, true, r.now())
	if before.episode != "" {
		r.tell(ctx, recovered(l.status(), before, r.now()))
	}
}

// maxLogged bounds the log lines of one refusal. The status page and the answer of POST have all of it.
const maxLogged = 20

func (r *reloader) refuse(ctx context.Context, l *reloadable, from string, err error) {
	now := r.now()
	before := l.change(func(s *listStatus) {
		s.OK, s.Refused, s.refusedFrom = false, err.Error(), from
		if s.RefusedSince.IsZero() {
			s.RefusedSince = now
			s.episode = episodeOf(s, now)
		}
	})
	r.metrics.outcome(l.what, false, now)
	faults := faultsOf(err)
	for _, f := range faults[:min(len(faults), maxLogged)] {
		r.log.Error("lists refused, the last good ones keep running", "component", l.what, "file", f.File, "line", f.Line, "reason", f.Fact)
	}
	if more := len(faults) - maxLogged; more > 0 {
		r.log.Error("lists have more faults", "component", l.what, "count", more)
	}
	if before.RefusedSince.IsZero() {
		r.tell(ctx, refused(l.status(), now))
	}
}

func faultsOf(err error) strict.Faults {
	var fs strict.Faults
	if errors.As(err, &fs) {
		return fs
	}
	return strict.Faults{{Fact: err.Error()}}
}

// tell has people told about the program itself, by the way of every alert.
func (r *reloader) tell(ctx context.Context, a news.Alert) {
	if a.Match.Labels == nil {
		a.Match.Labels = map[string]string{"trouble": troubleReload}
	}
	if err := r.alert(ctx, a); err != nil {
		r.log.Error("health alert not stored", "alert", a.ID, "err", err)
	}
}

// put shares what is live. A failure is kept and tried again: the lists stay live here.
func (r *reloader) put(ctx context.Context, l *reloadable, a *accepted) {
	if l.share == nil {
		return
	}
	err := l.share(ctx, a)
	l.unsent = nil
	if err != nil {
		l.unsent = a
		r.log.Warn("lists are live here but not stored for others and for the next start", "component", l.what, "err", err)
	}
	l.change(func(s *listStatus) {
		s.NotShared = ""
		if err != nil {
			s.NotShared = err.Error()
		}
	})
}

func (r *reloader) shareAgain(ctx context.Context) {
	r.work.Lock()
	defer r.work.Unlock()
	for _, l := range r.lists {
		if l.unsent != nil {
			r.put(ctx, l, l.unsent)
		}
	}
}
