package notifier

import (
	"context"
	"errors"
	"fmt"

	"tocsin/news"
)

// Reasons of a dead letter: a closed list.
const (
	deadExpired   = "expired"    // older than the whole retry schedule
	deadExhausted = "exhausted"  // every attempt of the schedule failed
	deadPermanent = "permanent"  // the recipient will never take it
	deadRefused   = "refused"    // the endpoint takes neither the full nor the short form
	deadGone      = "gone"       // the endpoint is closed for good
	deadNoChannel = "no_channel" // its channel is no longer configured
	deadRender    = "render"     // it cannot be written in the channel's form
	deadLost      = "lost"       // its message is gone, and it cannot be made again
)

// DeadReasons lists the reasons of dead letters.
func DeadReasons() []string {
	return []string{deadExhausted, deadExpired, deadGone, deadLost, deadNoChannel, deadPermanent, deadRefused, deadRender}
}

// stageChannel is DeadLetter.Stage for deliveries.
const stageChannel = "channel"

// giveUp first writes down that it gives up: a crash between the dead letter and the last record must not send again. attempted says that an
// attempt just failed, whose ledger entry is still to be written.
func (n *Notifier) giveUp(ctx context.Context, j *job, reason string, attempted bool) error {
	j.st.State, j.st.Attempt, j.st.At = news.SentWaiting, j.attempts(), n.o.Now()
	j.st.Bury, j.st.Final = reason, attempted
	if j.st.Status == "" {
		j.st.Status = reason
	}
	if err := n.save(ctx, j); err != nil {
		return taken(err)
	}
	return n.finish(ctx, j)
}

func (n *Notifier) finish(ctx context.Context, j *job) error {
	if j.st.Final {
		if err := n.ledger(ctx, j.attemptEntry()); err != nil {
			return err
		}
	}
	return n.bury(ctx, j.d, j.st.Bury, j.st.Status, j)
}

// bury publishes the dead letter, then the ledger entry, then closes the record. j is nil for a delivery that no sender has seen.
func (n *Notifier) bury(ctx context.Context, d *news.Delivery, reason, status string, j *job) error {
	if j != nil {
		d.Attempt = j.st.Attempt
		d.Replay = max(d.Replay, j.st.Replay)
	}
	payload, err := news.Encode(*d)
	if err != nil {
		return fmt.Errorf("write dead letter of %s: %w", d.ID, err)
	}
	now := n.o.Now()
	err = n.o.PublishDead(ctx, news.DeadLetter{
		Schema: news.Schema, Stage: stageChannel, ID: d.ID, Channel: d.Channel, Reason: reason, Error: status,
		Subject: "outbox.due." + d.Channel + "." + d.ID, Summary: d.Subject, Payload: payload, Attempts: d.Attempt,
		Sequence: uint64(d.Replay), // a delivery that dies again after a replay is another letter
		At:       now,
	})
	if err != nil {
		return fmt.Errorf("publish dead letter of %s: %w", d.ID, err)
	}
	l := entry(d, news.EventDead, now, reason)
	l.Status = status
	if err := n.ledger(ctx, l); err != nil {
		return err
	}
	n.m.outcome(d.Channel, news.EventDead)
	n.o.Log.Error("delivery is dead", "channel", d.Channel, "delivery", d.ID, "reason", reason, "status", status)
	if j == nil {
		return nil
	}
	j.st.State, j.st.At = news.SentDead, now
	return taken(n.save(ctx, j))
}

// ErrDelivered is returned by RetryDead for a delivery that has reached its recipient since it died.
var ErrDelivered = errors.New("this delivery has been sent since")

// RetryDead plans a dead delivery again: the same id and bytes, the next replay number, a fresh schedule. The guard is reset first, then the
// ledger says replayed, then it is published; after an error the whole may be repeated.
func (n *Notifier) RetryDead(ctx context.Context, dl news.DeadLetter) error {
	if dl.Stage != stageChannel {
		return fmt.Errorf("dead letter %s is of stage %s: only deliveries can be sent again here", dl.ID, dl.Stage)
	}
	d, err := news.Decode[news.Delivery](dl.Payload)
	if err != nil {
		return fmt.Errorf("dead letter %s: %w", dl.ID, err)
	}
	g := n.gates[d.Channel]
	switch {
	case g == nil:
		return fmt.Errorf("dead letter %s: channel %q is not configured: add it and try again", dl.ID, d.Channel)
	case len(d.Body) == 0:
		return fmt.Errorf("dead letter %s holds no rendered bytes (reason %s)", dl.ID, dl.Reason)
	}
	j := &job{d: &d, g: g}
	if err := n.load(ctx, j); err != nil {
		return err
	}
	if err := n.reset(ctx, j, d.Replay); err != nil {
		return err
	}
	g.revive()
	if err := n.ledger(ctx, entry(&d, news.EventReplayed, n.o.Now(), news.SendReplay)); err != nil {
		return err
	}
	if err := n.o.PublishDelivery(ctx, d); err != nil {
		return fmt.Errorf("publish delivery %s: %w", d.ID, err)
	}
	return nil
}

// reset moves the guard from dead to waiting. Attempts count on across replays, because ledger entries are told apart by their number; the
// replay itself takes one number. A guard that was reset already by the same request stays.
func (n *Notifier) reset(ctx context.Context, j *job, replay int) error {
	now := n.o.Now()
	switch {
	case j.st.State == news.SentDone:
		return ErrDelivered
	case j.rev != 0 && j.st.State != news.SentDead && j.st.Replay > replay:
	case j.rev != 0 && j.st.State != news.SentDead && j.st.Bury == "":
		return fmt.Errorf("delivery %s is not dead: it is %s", j.d.ID, j.st.State)
	default:
		made := j.attempts() + 1
		j.st = sentState{
			SentRecord: news.SentRecord{State: news.SentWaiting, Attempt: made, At: now}, Next: now, Base: made, Replay: max(replay, j.st.Replay) + 1,
		}
		if err := n.save(ctx, j); err != nil {
			return err
		}
	}
	j.d.Attempt, j.d.Replay, j.d.Reason = j.st.Base, j.st.Replay, news.SendReplay
	j.d.Expires = now.Add(longest(j.g.ch.schedule()))
	return nil
}
