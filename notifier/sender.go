package notifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"tocsin/news"
)

// sentState is the value of bucket sent: news.SentRecord, and what the sender must remember from attempt to attempt.
type sentState struct {
	news.SentRecord
	Next      time.Time     `json:"next,omitzero"`        // waiting: when the next attempt is due
	Base      int           `json:"base,omitempty"`       // attempts made before an operator's last replay
	Replay    int           `json:"replay,omitempty"`     // replays so far
	Short     bool          `json:"short,omitempty"`      // the full form was refused
	Bury      string        `json:"bury,omitempty"`       // reason of the dead letter that is being written
	Final     bool          `json:"final,omitempty"`      // with Bury: the last attempt has no ledger entry yet
	Reason    string        `json:"reason,omitempty"`     // verdict of the last attempt
	Status    string        `json:"status,omitempty"`     // what the endpoint said then
	Ambiguous bool          `json:"ambiguous,omitempty"`  // whether it may have it
	Duration  time.Duration `json:"duration_ns,omitzero"` // of that attempt
}

// job is one delivery in hand: its record in bucket sent with the revision for the next compare-and-set.
type job struct {
	d    *news.Delivery
	g    *gate // nil when the channel is not configured
	st   sentState
	rev  uint64
	took time.Duration
}

func sentKey(d *news.Delivery) string { return d.Channel + "." + d.ID }

// outcomeTime is how long an outcome may take to be written after the caller's context ended: an attempt that was made must be recorded,
// or it is made twice.
const outcomeTime = 5 * time.Second

// errTaken means that another sender wrote the guard first.
var errTaken = errors.New("another sender has this delivery")

// HandleDelivery makes at most one attempt. It returns nil when the delivery is sent, dead, or armed for its next attempt: the message may then
// be acknowledged. news.LaterError asks for the same message again without an attempt. Any other error means that our own state could not be
// read or written; the message must come back, and an attempt that was made without a recorded outcome counts as ambiguous.
func (n *Notifier) HandleDelivery(ctx context.Context, d news.Delivery) error {
	if d.Channel == canaryChannel {
		return n.canaryArrived(ctx, &d)
	}
	leave, ok := n.busy.enter(&d)
	if !ok {
		return news.Later(time.Second, errTaken)
	}
	defer leave()
	j := &job{d: &d, g: n.gates[d.Channel]}
	if err := n.load(ctx, j); err != nil {
		return err
	}
	if done, err := n.resume(ctx, j); done || err != nil {
		return err
	}
	if reason := j.hopeless(n.o.Now()); reason != "" {
		return n.giveUp(ctx, j, reason, false)
	}
	pass, wait := j.g.enter(n.o.Now())
	if pass == refused {
		return n.hold(ctx, j.g, wait)
	}
	return n.attempt(ctx, j, pass)
}

// resume deals with what an earlier handling left behind. done means that there is nothing to attempt.
func (n *Notifier) resume(ctx context.Context, j *job) (done bool, err error) {
	now := n.o.Now()
	switch {
	case j.st.State == news.SentDone:
		return true, n.ledger(ctx, j.deliveredEntry())
	case j.st.State == news.SentDead:
		return true, nil
	case j.st.State == news.SentFolded:
		return n.isFolded(j, now)
	case j.st.Bury != "":
		return true, n.finish(ctx, j)
	case j.st.State == news.SentSending:
		if age := now.Sub(j.st.At); age < n.o.AckWait && !n.abandoned(j) {
			return true, news.Later(n.o.AckWait-max(age, 0), errTaken)
		}
		return n.ambiguous(ctx, j)
	case j.st.State == news.SentWaiting && now.Before(j.st.Next):
		return true, n.arm(ctx, j)
	case j.st.State == news.SentWaiting && j.d.Attempt < j.st.Attempt:
		return false, n.noteAttempt(ctx, j) // a crash came before the last attempt was armed, perhaps before its ledger entry
	}
	return false, nil
}

// abandoned tells that the process which wrote the guard is gone for certain.
func (n *Notifier) abandoned(j *job) bool { return n.o.Alone && j.st.At.Before(n.began) }

// noteAttempt writes the ledger entry of the last attempt, if one was made since the last replay.
func (n *Notifier) noteAttempt(ctx context.Context, j *job) error {
	if j.st.Attempt <= j.st.Base {
		return nil
	}
	return n.ledger(ctx, j.attemptEntry())
}

// ambiguous records an attempt whose outcome nobody wrote down: the process ended in between, and the endpoint may have the message.
func (n *Notifier) ambiguous(ctx context.Context, j *job) (done bool, err error) {
	j.st.State, j.st.At, j.st.Next = news.SentWaiting, n.o.Now(), time.Time{}
	j.st.Reason, j.st.Status, j.st.Ambiguous = Retry.String(), "no outcome was recorded: the sender ended during the attempt", true
	if err := n.ledger(ctx, j.attemptEntry()); err != nil {
		return true, err
	}
	n.m.ambiguous.WithLabelValues(j.d.Channel).Inc()
	if err := n.save(ctx, j); err != nil {
		return true, taken(err)
	}
	return false, nil
}

// hopeless tells why no attempt may be made any more.
func (j *job) hopeless(now time.Time) string {
	switch {
	case j.g == nil:
		return deadNoChannel
	case j.g.isGone():
		return deadGone
	case !j.d.Expires.IsZero() && !now.Before(j.d.Expires):
		return deadExpired
	}
	return ""
}

func (n *Notifier) hold(ctx context.Context, g *gate, wait time.Duration) error {
	until := n.o.Now().Add(wait)
	if n.o.Pause != nil && g.mayPause(until) {
		if err := n.o.Pause(ctx, g.ch.ID, until); err != nil {
			n.o.Log.Warn("channel could not be paused", "channel", g.ch.ID, "err", err)
		}
	}
	return news.Later(wait, errHeld)
}

// attempt writes `sending`, sends, and writes what came of it.
func (n *Notifier) attempt(ctx context.Context, j *job, pass pass) error {
	begun := n.o.Now()
	j.st.SentRecord = news.SentRecord{State: news.SentSending, Attempt: j.attempts() + 1, At: begun}
	j.st.Next = time.Time{}
	if err := n.save(ctx, j); err != nil {
		j.g.cancel(pass)
		return taken(err)
	}
	j.d.Attempt = j.st.Attempt
	r := n.send(ctx, j)
	now := n.o.Now()
	j.took = now.Sub(begun)
	rec, stop := context.WithTimeout(context.WithoutCancel(ctx), outcomeTime)
	defer stop()
	if ctx.Err() != nil && r.Verdict == Retry && !r.Ambiguous {
		j.g.cancel(pass)
		return n.unmade(rec, ctx.Err(), j)
	}
	c := j.g.leave(pass, r, now)
	if c == closed {
		n.cameBack(j.g)
	}
	n.tell(j.g, c, &r)
	n.m.attempt(j.d.Channel, &r)
	return n.outcome(rec, j, &r)
}

// attempts made so far. The record counts; the message only when the record is lost.
func (j *job) attempts() int {
	if j.rev == 0 {
		return j.d.Attempt
	}
	return j.st.Attempt
}

func (n *Notifier) send(ctx context.Context, j *job) (r Result) {
	defer func() {
		if x := recover(); x != nil {
			n.o.Log.Error("channel panicked", "channel", j.d.Channel, "delivery", j.d.ID, "err", fmt.Sprint(x))
			r = Result{Verdict: Retry, Ambiguous: true, Status: "the channel's code failed"}
		}
	}()
	d := *j.d
	if j.st.Short && j.g.ch.Short != nil {
		if err := j.g.ch.Short(&d); err != nil {
			return Result{Verdict: Permanent, Status: "the short form cannot be made: " + oneLine(err.Error())}
		}
	}
	r = j.g.ch.Send(ctx, &d)
	r.Status = oneLine(r.Status)
	return r
}

// unmade takes back an attempt that the end of the program cut off before anything left.
func (n *Notifier) unmade(ctx context.Context, cause error, j *job) error {
	j.st.State, j.st.Attempt, j.st.At = news.SentWaiting, j.st.Attempt-1, n.o.Now()
	if err := n.save(ctx, j); err != nil {
		return taken(err)
	}
	return news.Later(time.Second, cause)
}

func (n *Notifier) outcome(ctx context.Context, j *job, r *Result) error {
	j.st.Reason, j.st.Status, j.st.Ambiguous, j.st.Duration = r.Verdict.String(), r.Status, r.Ambiguous, j.took
	if r.Ambiguous {
		n.m.ambiguous.WithLabelValues(j.d.Channel).Inc()
	}
	switch r.Verdict {
	case Delivered:
		return n.delivered(ctx, j, r)
	case Gone:
		return n.giveUp(ctx, j, deadGone, true)
	case Permanent:
		return n.giveUp(ctx, j, deadPermanent, true)
	case Refused:
		if j.st.Short || j.g.ch.Short == nil {
			return n.giveUp(ctx, j, deadRefused, true)
		}
		j.st.Short = true
	}
	return n.again(ctx, j, r)
}

// delivered: the record first, then the ledger. A conflict means that another sender took the delivery for abandoned; what we know is still true.
func (n *Notifier) delivered(ctx context.Context, j *job, r *Result) error {
	now := n.o.Now()
	done := j.st
	done.SentRecord = news.SentRecord{State: news.SentDone, Attempt: j.st.Attempt, At: now, ProviderID: r.ProviderID}
	j.st = done
	err := n.save(ctx, j)
	for try := 0; errors.Is(err, news.ErrConflict) && try < 3; try++ {
		other := &job{d: j.d}
		if err = n.load(ctx, other); err != nil {
			return err
		}
		if other.st.State == news.SentDone {
			break
		}
		j.rev = other.rev
		err = n.save(ctx, j)
	}
	if err != nil {
		return taken(err)
	}
	if err := n.ledger(ctx, j.deliveredEntry()); err != nil {
		return err
	}
	n.m.delivered(j.d, now)
	n.beatDelivered(j.d, now)
	n.o.Log.Info("alert sent", "channel", j.d.Channel, "alert", j.alert(), "delivery", j.d.ID, "attempt", j.st.Attempt, "dur", j.took)
	return nil
}

// again arms the next attempt, or gives up when the schedule ends.
func (n *Notifier) again(ctx context.Context, j *job, r *Result) error {
	now := n.o.Now()
	made := j.st.Attempt - j.st.Base
	schedule := j.g.ch.schedule()
	if made >= len(schedule) {
		return n.giveUp(ctx, j, deadExhausted, true)
	}
	next := now.Add(delay(schedule, made, j.d.ID, r))
	if !j.d.Expires.IsZero() && next.After(j.d.Expires) {
		next = j.d.Expires
	}
	j.st.State, j.st.At, j.st.Next = news.SentWaiting, now, next
	if err := n.save(ctx, j); err != nil {
		return taken(err)
	}
	return n.arm(ctx, j)
}

// arm writes the ledger entry of the last attempt and asks for the delivery at its next time. Doing it twice is harmless.
func (n *Notifier) arm(ctx context.Context, j *job) error {
	if err := n.noteAttempt(ctx, j); err != nil {
		return err
	}
	d := *j.d
	d.Attempt = j.st.Attempt
	if err := n.o.ArmRetry(ctx, d, j.st.Next); err != nil {
		return fmt.Errorf("arm retry of %s: %w", d.ID, err)
	}
	return nil
}

func (j *job) attemptEntry() news.LedgerEntry {
	l := entry(j.d, news.EventAttempt, j.st.At, j.st.Reason)
	l.Attempt, l.Status, l.Ambiguous, l.Duration, l.Next = j.st.Attempt, j.st.Status, j.st.Ambiguous, j.st.Duration, j.st.Next
	return l
}

func (j *job) deliveredEntry() news.LedgerEntry {
	l := entry(j.d, news.EventDelivered, j.st.At, j.d.Reason)
	l.Attempt, l.Status, l.ProviderID, l.Duration = j.st.Attempt, j.st.Status, j.st.ProviderID, j.st.Duration
	if j.st.Replay > 0 {
		l.Reason = news.SendReplay
	}
	return l
}

func (j *job) alert() string {
	if len(j.d.Alerts) == 0 {
		return ""
	}
	return j.d.Alerts[0].ID
}

func (n *Notifier) load(ctx context.Context, j *job) error {
	b, rev, err := n.o.LoadSent(ctx, sentKey(j.d))
	if errors.Is(err, news.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read sent record of %s: %w", j.d.ID, err)
	}
	if err := json.Unmarshal(b, &j.st); err != nil {
		return fmt.Errorf("read sent record of %s: %w", j.d.ID, err)
	}
	j.rev = rev
	return nil
}

func (n *Notifier) save(ctx context.Context, j *job) error {
	b, err := json.Marshal(&j.st)
	if err != nil {
		return fmt.Errorf("write sent record of %s: %w", j.d.ID, err)
	}
	rev, err := n.o.SaveSent(ctx, sentKey(j.d), b, j.rev)
	if err != nil {
		return fmt.Errorf("write sent record of %s: %w", j.d.ID, err)
	}
	j.rev = rev
	return nil
}

// taken turns a lost compare-and-set into a wait: never an acknowledgement, because the other sender may still fail.
func taken(err error) error {
	if errors.Is(err, news.ErrConflict) {
		return news.Later(time.Second, err)
	}
	return err
}

// busy keeps one delivery in flight for each id, and for each story at each recipient, so that an update does not overtake its first alert.
type busy struct {
	mu  sync.Mutex
	set map[string]bool
}

func (b *busy) enter(d *news.Delivery) (leave func(), ok bool) {
	keys := []string{d.ID}
	if d.Story != "" {
		keys = append(keys, d.Channel+" "+d.Recipient+" "+d.Story)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, k := range keys {
		if b.set[k] {
			return nil, false
		}
	}
	if b.set == nil {
		b.set = map[string]bool{}
	}
	for _, k := range keys {
		b.set[k] = true
	}
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, k := range keys {
			delete(b.set, k)
		}
	}, true
}
