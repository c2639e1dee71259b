package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/bus"
	"tocsin/news"
)

const (
	processEvery = 5 * time.Second  // between two rows of a process in bucket health
	processLost  = 30 * time.Second // a row that does not change for so long belongs to a process that was killed or hangs
	processOld   = 24 * time.Hour   // then its row is removed
	processKey   = "process."
	rowBudget    = 5 * time.Second
)

// process is what a running process tells the others of its bus: one row in bucket health.
type process struct {
	Roles  []string             `json:"roles"`
	Host   string               `json:"host"`
	Began  time.Time            `json:"began"`
	At     time.Time            `json:"at"`
	Canary time.Time            `json:"canary,omitzero"` // last one that arrived here
	Stages map[string]time.Time `json:"stages"`          // when each last finished a message
	Lists  []listStatus         `json:"lists,omitempty"` // that it loads
}

// seenProcess is the row of another process, and when this one saw it change: clocks of two hosts need not agree.
type seenProcess struct {
	process
	rev     uint64
	changed time.Time
}

// processes is what is known of the others. Its methods may be called from several goroutines.
type processes struct {
	mu  sync.Mutex
	own string // key of this process
	all map[string]*seenProcess

	heardAt time.Time // when the rows were last read
}

func newProcesses() *processes {
	id := make([]byte, 8)
	_, _ = rand.Read(id) // never fails (crypto/rand)
	return &processes{own: processKey + hex.EncodeToString(id), all: map[string]*seenProcess{}}
}

func stagesInOrder() []string {
	return []string{bus.StageFetcher, bus.StageMatcher, bus.StageNotifier, bus.StageRouter, bus.StageChannel}
}

// canary is when another process last saw a canary arrive.
func (p *processes) canary() (last time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.all {
		if x.Canary.After(last) {
			last = x.Canary
		}
	}
	return last
}

// lists is what living processes tell of the lists that they load.
func (p *processes) lists() (out []listStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range p.all {
		if time.Since(x.changed) < processLost {
			out = append(out, x.Lists...)
		}
	}
	return out
}

// tellOthers keeps the row of this process and reads those of the others, until ctx ends. An ordered end removes the row: nothing is lost then.
func (in *instance) tellOthers(ctx context.Context) error {
	s := in.bus.State("health")
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), rowBudget)
		defer cancel()
		if err := s.Delete(end, in.others.own); err != nil {
			in.log.Warn("row of this process not removed, others will miss it", "component", "health", "err", err)
		}
	}()
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	for {
		if err := in.exchange(ctx, s, host); err != nil && ctx.Err() == nil {
			in.log.Warn("other processes not heard", "component", "health", "err", err)
		}
		if !pause(ctx, processEvery) {
			return nil
		}
	}
}

func (in *instance) exchange(ctx context.Context, s *bus.State, host string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*processEvery)
	defer cancel()
	row := process{
		Roles: strings.Split(in.roles.String(), ","), Host: host, Began: in.began, At: time.Now(), Canary: in.notify.Canary(),
		Stages: in.ownStages(), Lists: in.reload.status(),
	}
	data, err := json.Marshal(row)
	if err != nil {
		return err
	}
	if err := putAny(ctx, s, in.others.own, data); err != nil {
		return err
	}
	keys, err := s.Keys(ctx)
	if err != nil {
		return err
	}
	keys = slices.DeleteFunc(keys, func(k string) bool { return !strings.HasPrefix(k, processKey) || k == in.others.own })
	for _, k := range keys {
		data, rev, err := s.Get(ctx, k)
		if errors.Is(err, news.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		in.hear(k, data, rev)
	}
	for _, k := range in.others.forget(keys, time.Now()) {
		if err := s.Delete(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// tells tells whether this process is the one of its roles that tells people of troubles: several with the same eyes would tell them several times.
func (in *instance) tells() bool {
	switch {
	case !in.clustered():
		return true
	case in.roles.notifier:
		return in.plans()
	}
	return in.others.first(in.roles, time.Now())
}

// first tells that no other living process with these roles comes before this one.
func (p *processes) first(r roles, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, x := range p.all {
		if key < p.own && strings.Join(x.Roles, ",") == r.String() && now.Sub(x.changed) < processLost {
			return false
		}
	}
	return true
}

// ownStages are the stages that run here: what was heard of others is not passed on as ours.
func (in *instance) ownStages() map[string]time.Time {
	own := map[string]time.Time{}
	for stage, at := range in.bus.Progress() {
		if in.roles.runs(stage) {
			own[stage] = at
		}
	}
	return own
}

func (r roles) runs(stage string) bool {
	switch stage {
	case bus.StageFetcher:
		return r.fetcher
	case bus.StageMatcher:
		return r.matcher
	}
	return r.notifier
}

func (in *instance) hear(key string, data []byte, rev uint64) {
	var row process
	if err := json.Unmarshal(data, &row); err != nil {
		return // of a newer version; it is not ours to judge
	}
	for stage, at := range row.Stages {
		in.bus.Heard(stage, at)
	}
	in.others.heard(key, row, rev, time.Now())
}

func (p *processes) heard(key string, row process, rev uint64, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x := p.all[key]
	switch {
	case x == nil:
		p.all[key] = &seenProcess{row, rev, row.At}
		if row.At.After(now) {
			p.all[key].changed = now
		}
	case x.rev != rev:
		p.all[key] = &seenProcess{row, rev, now}
	}
}

// forget drops rows that went, and gives those that are too old to be of use.
func (p *processes) forget(keys []string, now time.Time) (old []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heardAt = now
	for k, x := range p.all {
		if !slices.Contains(keys, k) {
			delete(p.all, k)
		} else if now.Sub(x.changed) > processOld {
			old = append(old, k)
		}
	}
	return old
}

// conditions names the roles that no process fills any more.
func (p *processes) conditions(own roles, now time.Time) (out []condition) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Round(0).Sub(p.heardAt.Round(0)) > processLost/2 {
		return nil // this process itself stood still: it knows nothing of the others
	}
	alive := map[string]bool{}
	for _, r := range strings.Split(own.String(), ",") {
		alive[r] = true
	}
	lost := map[string]*seenProcess{}
	for _, x := range p.all {
		for _, r := range x.Roles {
			if now.Sub(x.changed) < processLost {
				alive[r] = true
			} else if old := lost[r]; old == nil || x.changed.After(old.changed) {
				lost[r] = x
			}
		}
	}
	for _, r := range news.SortedKeys(lost) {
		if alive[r] {
			continue
		}
		x := lost[r]
		out = append(out, condition{
			key: "role " + r, kind: troubleRole, since: x.At, severity: news.SeverityCritical,
			title: "The " + r + " has gone: killed, or its machine hangs",
			text: "The process with the role " + r + " on " + x.Host + " has not been heard since " + x.At.UTC().Format("2006-01-02 15:04:05") +
				" UTC, and no other has this role.\nStart it again: what it did not finish is kept and will be done. Until then, silence means nothing.",
		})
	}
	return out
}

// putAny stores a value that only this process writes, whatever is there.
func putAny(ctx context.Context, s *bus.State, key string, data []byte) error {
	_, rev, err := s.Get(ctx, key)
	if err != nil && !errors.Is(err, news.ErrNotFound) {
		return err
	}
	_, err = s.Put(ctx, key, data, rev)
	return err
}
