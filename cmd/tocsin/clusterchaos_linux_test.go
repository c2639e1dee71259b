//go:build chaos

package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/cmd/tocsin/newsroom"
)

// storm breaks a cluster and the processes on it.
type storm struct {
	t     testing.TB
	rng   *rand.Rand
	nats  *natsCluster
	crew  *crew
	world *newsroom.World
	disk  string // directory of the one node with a small disk, "" when there is none
	took  map[string][]time.Duration
}

// blow is one kind of fault: it breaks something and mends it. What it returns says what it hit.
type blow struct {
	name string
	do   func() string
}

func (s *storm) blows() []blow {
	list := []blow{
		{"kill -9 of the notifier that plans", func() string { return s.killRole(s.crew.planning()) }},
		{"partition of one node", s.partition},
		{"kill -9 of all nodes", func() string {
			for _, n := range s.nats.nodes {
				n.p.kill()
			}
			for _, n := range s.nats.nodes {
				n.start(s.t)
			}
			return "all"
		}},
		{"kill -9 of a fetcher", func() string { return s.killRole("fetcher" + s.digit()) }},
		{"kill -9 of a matcher", func() string { return s.killRole("matcher" + s.digit()) }},
		{"kill -9 of a notifier", func() string { return s.killRole("notifier" + s.digit()) }},
		{"kill -9 of a node", func() string { return s.killNode(s.node()) }},
		{"kill -9 of the leader of OUTBOX", func() string { return s.killNode(s.leader("OUTBOX")) }},
		{"stop of the leader of ALERTS", func() string { return s.stop(s.leader("ALERTS")) }},
		{"stop of the notifier that plans", s.stopPlanner},
		{"kill -9 of every role", func() string {
			for _, name := range s.names() {
				s.crew.all[name].kill()
			}
			for _, name := range s.names() {
				s.crew.start(name)
			}
			return "all"
		}},
		{"kill -9 of a node and a matcher", func() string { return s.killNode(s.node()) + " " + s.killRole("matcher"+s.digit()) }},
		{"a node that is slow", s.slow},
	}
	if s.disk != "" {
		list = append(list, blow{"full disk of one node", s.fillDisk})
	}
	return list
}

func (s *storm) digit() string { return strconv.Itoa(s.rng.IntN(2)) }

func (s *storm) node() *natsNode { return s.nats.nodes[s.rng.IntN(3)] }

func (s *storm) names() (names []string) {
	for name := range s.crew.all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (s *storm) leader(stream string) *natsNode {
	if n := s.nats.leader(stream); n != nil {
		return n
	}
	return s.node()
}

func (s *storm) killRole(name string) string {
	if name == "" {
		name = "notifier" + s.digit() // nobody plans at this moment
	}
	s.crew.all[name].kill()
	s.crew.start(name)
	return name
}

func (s *storm) killNode(n *natsNode) string {
	n.p.kill()
	time.Sleep(s.between(0, 3*time.Second))
	n.start(s.t)
	return n.name
}

func (s *storm) between(a, b time.Duration) time.Duration {
	return a + time.Duration(s.rng.Int64N(int64(b-a)))
}

// partition cuts one node off from the others, not from its clients.
func (s *storm) partition() string {
	n := s.leader("MATCHES")
	n.cut(true)
	time.Sleep(s.between(4*time.Second, 10*time.Second))
	n.cut(false)
	return n.name
}

func (s *storm) stop(n *natsNode) string {
	n.signal(syscall.SIGSTOP)
	time.Sleep(s.between(2*time.Second, 8*time.Second))
	n.signal(syscall.SIGCONT)
	return n.name
}

// stopPlanner stops the process that plans for longer than its lease: when it goes on another one plans.
func (s *storm) stopPlanner() string {
	name := s.crew.planning()
	if name == "" {
		name = "notifier0"
	}
	_ = s.crew.all[name].cmd.Process.Signal(syscall.SIGSTOP)
	time.Sleep(s.between(3*time.Second, 14*time.Second))
	_ = s.crew.all[name].cmd.Process.Signal(syscall.SIGCONT)
	return name
}

// slow lets a node run for a tenth of the time, as one whose disk takes long.
func (s *storm) slow() string {
	n := s.leader("ITEMS")
	for range 20 {
		n.signal(syscall.SIGSTOP)
		time.Sleep(180 * time.Millisecond)
		n.signal(syscall.SIGCONT)
		time.Sleep(20 * time.Millisecond)
	}
	return n.name
}

// fillDisk lets one node meet the end of its disk. A server that did takes no part until it is restarted with room.
func (s *storm) fillDisk() string {
	ballast := s.disk + "/ballast"
	fill(s.t, ballast)
	time.Sleep(s.between(3*time.Second, 6*time.Second))
	if err := os.Remove(ballast); err != nil {
		s.t.Error(err)
	}
	return s.killNode(s.nats.nodes[0])
}

// run deals so many blows, each after the alerts flow again, every kind in turn.
func (s *storm) run(blows []blow) {
	s.took = map[string][]time.Duration{}
	for i, b := range blows {
		began := time.Now()
		hit := b.do()
		mended := time.Now()
		s.flows(b.name)
		s.took[b.name] = append(s.took[b.name], time.Since(mended))
		s.t.Logf("%3d. %s (%s): broken for %s, alerts of later news after another %s", i+1, b.name, hit, mended.Sub(began).Round(100*time.Millisecond), time.Since(mended).Round(100*time.Millisecond))
	}
}

// flows waits until an alert arrives that was raised after this moment.
func (s *storm) flows(after string) {
	since := time.Now()
	for end := since.Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if _, total := s.world.Progress(); len(s.world.Hits()) > 0 {
			last := s.world.Hits()
			for i := len(last) - 1; i >= 0 && last[i].At.After(since); i-- {
				if last[i].Kept && raised(last[i].Body).After(since) {
					return
				}
			}
			if hooks, _ := arrivals(s.world); len(hooks) == total {
				return // all is told
			}
		}
		if time.Now().After(end) {
			s.t.Fatalf("no alert flows since %s: %s\n%s", after, time.Since(since), s.logs(3000))
		}
	}
}

// raised is when the alert of a webhook's body was made.
func raised(body []byte) time.Time {
	var e struct{ Timestamp time.Time }
	if json.Unmarshal(body, &e) != nil {
		return time.Time{}
	}
	return e.Timestamp
}

func (s *storm) logs(n int) string {
	var b strings.Builder
	for _, name := range s.names() {
		fmt.Fprintf(&b, "%s: %s\n", name, tail(s.crew.all[name].output(), n))
	}
	for _, x := range s.nats.nodes {
		fmt.Fprintf(&b, "%s: %s\n", x.name, tail(x.p.output(), n))
	}
	return b.String()
}

// seedOf is TOCSIN_SEED, or a new one; it is printed.
func seedOf(t testing.TB) uint64 {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("TOCSIN_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("TOCSIN_SEED: %v", err)
		}
	}
	t.Logf("seed: %d (TOCSIN_SEED repeats it)", seed)
	return seed
}

// TestClusterChaos breaks a cluster of three servers, and two processes of each role on it, while mentions flow to a webhook and a mailbox: each
// mention arrives at both, under one id; a repetition is an attempt that the ledger calls ambiguous. `make chaos` deals 56 blows, every kind four
// times; CI three: the process that plans, a partition, and all servers at once.
func TestClusterChaos(t *testing.T) {
	count, mentions, span := 3, 300, 40*time.Second
	if text := os.Getenv("TOCSIN_CHAOS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("TOCSIN_CHAOS=%q: write a number of faults", text)
		}
		count, span = n, time.Duration(n)*12*time.Second
		mentions = int(span/time.Second) * 5
	}
	w, err := newsroom.Flood(mentions, 8, newsroom.Options{Seed: 17, Span: span, Interval: 2 * time.Second, Keep: 24 * time.Hour, Window: mentions})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	seed := seedOf(t)
	s := &storm{t: t, world: w, rng: rand.New(rand.NewPCG(seed, 3))}
	var dirs []string
	if count > 3 {
		if s.disk = smallDisk(t); s.disk != "" {
			dirs = []string{s.disk}
		}
		t.Log("left out: a jump of the clock (Go programs ask the kernel, which a test may not set)")
	}
	s.nats = startCluster(t, dirs...)
	s.crew = startCrew(t, w, s.nats.urls(), 2, "", "tocsin")
	w.Open()
	s.flows("the start")
	kinds := s.blows()
	var blows []blow
	for i := range count {
		if i%len(kinds) == 0 && i > 0 {
			s.rng.Shuffle(len(kinds), func(a, b int) { kinds[a], kinds[b] = kinds[b], kinds[a] })
		}
		blows = append(blows, kinds[i%len(kinds)])
	}
	s.run(blows)
	s.settle(mentions, count)
}

// settle waits until everything has arrived, and judges.
func (s *storm) settle(mentions, count int) {
	t := s.t
	for end := time.Now().Add(5 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		hooks, mails := arrivals(s.world)
		if len(hooks) >= mentions && len(mails) >= mentions {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("webhook %d, mail %d of %d mentions, %d not served yet\n%s", len(hooks), len(mails), mentions, s.world.Unserved(), s.logs(4000))
		}
	}
	n := s.crew.anyone("notifier")
	var rep ledgerReport
	waitFor(t, 2*time.Minute, "the ledger to be complete", func() bool {
		rep = ledgerReport{}
		err := json.Unmarshal([]byte(n.get("/api/v1/ledger/check?since=24h")), &rep)
		c := rep.Channels["hook"]
		d := rep.Channels["mail"]
		return err == nil && rep.ok() && c.Pending+d.Pending == 0
	})
	hooks, mails := arrivals(s.world)
	if len(hooks) != mentions || len(mails) != mentions {
		t.Errorf("%d webhook ids and %d mail ids for %d mentions: something was told under two ids", len(hooks), len(mails), mentions)
	}
	again := repeats(hooks) + repeats(mails)
	if again > rep.Ambiguous {
		t.Errorf("%d repetitions, only %d ambiguous attempts in the ledger", again, rep.Ambiguous)
	}
	if dead := rep.Channels["hook"].Dead + rep.Channels["mail"].Dead; dead > 0 {
		t.Errorf("%d dead letters: %s", dead, n.get("/api/v1/dead"))
	}
	t.Logf("%d faults, %d mentions to two channels: 0 lost, %d repeated under the same id, %d attempts were ambiguous", count, mentions, again, rep.Ambiguous)
	var names []string
	for name := range s.took {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		d := s.took[name]
		slices.Sort(d)
		t.Logf("recovery after %-36s %d times, median %5.1f s, most %5.1f s", name, len(d), d[len(d)/2].Seconds(), d[len(d)-1].Seconds())
	}
}
