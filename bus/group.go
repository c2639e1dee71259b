package bus

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Every stored message costs a sync to disk of its own, one after the other for each stream. When many publishes wait for one stream, they go
// to disk together as an atomic batch, which is one sync for all (and about 10 ms, so that few are faster alone). What each caller is promised
// stays the same: an answer without an error means that its message is on disk.

// Headers of atomic batches (nats-server 2.12 and newer). A batch is stored as a whole or not at all.
const (
	headerBatchID     = "Nats-Batch-Id"
	headerBatchSeq    = "Nats-Batch-Sequence"
	headerBatchCommit = "Nats-Batch-Commit"
)

const (
	groupFrom  = 48                     // so many publishes wait for one stream: the next ones go together
	groupMost  = 500                    // the server takes 1,000 in a batch
	groupBytes = 4 << 20                // and this bounds what one sync has to write
	groupWait  = 20 * time.Millisecond  // at most, for the publishes that went alone before the stream was crowded: their callers are likely to join
	batchRoom  = 1 << 30                // free bytes below which everything goes alone: in two of eight runs a server (2.15.2) whose disk was filled under batches answered no more
	groupPause = 500 * time.Millisecond // after a batch that was refused: most often because it repeats what is stored
)

// errAlone sends a message back to its caller, to be published by itself.
var errAlone = errors.New("not in a batch")

// member is one message that waits for its batch.
type member struct {
	m    *nats.Msg
	done chan error
	ack  *jetstream.PubAck
}

// group gathers the publishes of one stream.
type group struct {
	mu     sync.Mutex
	inside int // publishes under way, alone and together
	alone  int // those under way alone
	queue  []*member
	runs   bool
	off    time.Time // until then everything goes alone
}

// groups are the groups of all streams.
type groups struct {
	mu  sync.Mutex
	all map[string]*group
}

func (g *groups) of(stream string) *group {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all == nil {
		g.all = map[string]*group{}
	}
	x := g.all[stream]
	if x == nil {
		x = &group{}
		g.all[stream] = x
	}
	return x
}

// together publishes m with others that wait for the same stream. errAlone means that it was not stored and must go alone.
func (b *Bus) together(ctx context.Context, g *group, m *nats.Msg) (*jetstream.PubAck, error) {
	x := &member{m: m, done: make(chan error, 1)}
	g.mu.Lock()
	g.queue = append(g.queue, x)
	first := !g.runs
	g.runs = true
	g.mu.Unlock()
	if first {
		b.loops.Go(func() { b.commitAll(g) })
	}
	select {
	case err := <-x.done:
		return x.ack, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// enter counts a publish, and tells whether it should go together with others.
func (g *group) enter() (crowded bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside++
	return g.inside > groupFrom && time.Now().After(g.off)
}

func (g *group) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
}

// spacious tells whether there is so much room on the disk that a batch cannot meet its end.
func (b *Bus) spacious() bool {
	if b.srv == nil {
		return true
	}
	free, ok := freeDisk(b.srv.dir)
	return !ok || free >= batchRoom
}

// gather waits until few publishes are under way alone.
func (g *group) gather() {
	for end := time.Now().Add(groupWait); time.Now().Before(end); time.Sleep(time.Millisecond) {
		g.mu.Lock()
		ready := g.alone <= groupFrom/8 || len(g.queue) >= groupMost
		g.mu.Unlock()
		if ready {
			return
		}
	}
}

// single counts the publishes that go alone.
func (g *group) single(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.alone += n
}

// take gives the next members, nil when nobody waits.
func (g *group) take() []*member {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, size := 0, 0
	for n < len(g.queue) && n < groupMost && size < groupBytes {
		size += len(g.queue[n].m.Data)
		n++
	}
	out := g.queue[:n:n]
	g.queue = g.queue[n:]
	g.runs = n > 0
	return out
}

func (g *group) rest() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.off = time.Now().Add(groupPause)
}

// commitAll stores batch after batch until nobody waits.
func (b *Bus) commitAll(g *group) {
	for {
		g.gather()
		list := g.take()
		if len(list) == 0 {
			return
		}
		err := errAlone
		if len(list) > groupFrom/2 {
			if err = b.commit(list); err != nil && apiCode(err) != 0 {
				g.rest()
				err = errAlone // refused as a whole: each caller learns what is wrong with its own message
			}
		}
		for _, x := range list {
			x.done <- err
		}
	}
}

// commit stores the messages as one batch. An error that is not the server's answer leaves open whether they are stored.
func (b *Bus) commit(list []*member) error {
	ctx, cancel := context.WithTimeout(b.alive, b.timing.attempt)
	defer cancel()
	ctx, lost := context.WithCancelCause(ctx)
	defer lost(nil)
	defer context.AfterFunc(b.link.era(), func() { lost(errRenewed) })()
	id := rand.Text()
	last := len(list) - 1
	for i, x := range list {
		m := inBatch(x.m, id, i+1)
		if i < last {
			if err := b.link.nc.PublishMsg(m); err != nil {
				return errAlone // without its end the batch is never stored
			}
			continue
		}
		m.Header.Set(headerBatchCommit, "1")
		resp, err := b.link.nc.RequestMsgWithContext(ctx, m)
		if err != nil {
			if errors.Is(context.Cause(ctx), errRenewed) {
				err = errRenewed
			}
			return err
		}
		return acknowledge(list, resp.Data)
	}
	return nil
}

// acknowledge gives each member its own answer: a batch is stored without a gap, and its answer names the last sequence.
func acknowledge(list []*member, answer []byte) error {
	var a struct {
		Error    *jetstream.APIError `json:"error"`
		Stream   string              `json:"stream"`
		Sequence uint64              `json:"seq"`
		Count    int                 `json:"count"`
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return err
	}
	if a.Error != nil {
		return a.Error
	}
	if a.Count != len(list) {
		return errors.New("the server counts " + strconv.Itoa(a.Count) + " messages in a batch of " + strconv.Itoa(len(list)))
	}
	for i, x := range list {
		x.ack = &jetstream.PubAck{Stream: a.Stream, Sequence: a.Sequence - uint64(len(list)-1-i)}
	}
	return nil
}

// inBatch is a copy of m, which its caller may still publish alone.
func inBatch(m *nats.Msg, id string, seq int) *nats.Msg {
	c := nats.NewMsg(m.Subject)
	c.Data = m.Data
	for k, v := range m.Header {
		c.Header[k] = v
	}
	c.Header.Set(headerBatchID, id)
	c.Header.Set(headerBatchSeq, strconv.Itoa(seq))
	return c
}
