package notifier

import (
	"context"
	"errors"
	"time"

	"tocsin/news"
)

// Verdict is what one attempt says about the delivery and its endpoint.
type Verdict int

// The verdicts. The zero value is Retry, so that a channel that forgets to decide loses nothing.
const (
	Retry         Verdict = iota // for now: again on the schedule
	Delivered                    // the endpoint has it
	Misconfigured                // an operator must mend something (password, certificate, redirect): stays pending on the slow schedule
	Gone                         // the endpoint is closed for good: everything pending for it dies
	Refused                      // the endpoint does not take this content: once more with the short form, then dead
	Permanent                    // this recipient will never take it: dead
)

// String is the verdict's name as it stands in the ledger and in metrics.
func (v Verdict) String() string {
	switch v {
	case Retry:
		return "retry"
	case Delivered:
		return "delivered"
	case Misconfigured:
		return "config"
	case Gone:
		return "gone"
	case Refused:
		return "refused"
	case Permanent:
		return "permanent"
	}
	return "unknown"
}

// Verdicts lists every verdict, for tables and tests.
func Verdicts() []Verdict {
	return []Verdict{Retry, Delivered, Misconfigured, Gone, Refused, Permanent}
}

// Result is the outcome of one attempt.
type Result struct {
	Verdict    Verdict
	Status     string        // what the endpoint said, one line, without secrets
	ProviderID string        // the endpoint's own id of the message, if it gives one
	Ambiguous  bool          // the endpoint may have it although no answer came
	RetryAfter time.Duration // what the endpoint asked for; 0 = nothing. Holds the whole channel
	Response   string        // head of the answer, at most 4 KiB, without secrets
	Alive      bool          // with Retry: the endpoint works, only this delivery must wait; does not count against the circuit
}

// Channel is one configured endpoint. The channel packages make it; the notifier calls it.
type Channel struct {
	ID, Type    string
	Recipients  []string // one delivery for each; channels with a single endpoint have one ""
	Concurrency int      // deliveries in flight at most; 1 when not stated

	// Render fills Subject, Headers and Body of d, whose other fields are set. It is pure: the same alert and delivery give the same bytes.
	// Bodies over news.MaxDelivery bytes are refused by the caller.
	Render func(a *news.Alert, d *news.Delivery) error
	// Custom is Render with the operator's own templates. It is tried first; after an error Render is used and the failure is counted. May be nil.
	Custom func(a *news.Alert, d *news.Delivery) error
	// RenderText does what Render does with a text of the operator's own in place of the built-in form: v is the alert, text has lines and is
	// clean, and whatever looks like markup in it is shown as it is. nil where the form is read by machines, or has templates of its own.
	RenderText func(v *View, text string, d *news.Delivery) error
	// RenderDigest does the same for a delivery that stands for several alerts, in order. It is pure too. ErrTooLarge asks for two digests
	// instead. nil: one message that lists them is made with Render.
	RenderDigest func(entries []news.Alert, d *news.Delivery) error
	// Short replaces the body of d by the least that tells a person what happened, made from d alone. It is used after the endpoint
	// refused the full form, or when Render failed. May be nil.
	Short func(d *news.Delivery) error
	// Send makes one attempt. It returns soon after ctx ends.
	Send func(ctx context.Context, d *news.Delivery) Result
	// Away tells why a recipient must not be written to about a watchlist (they left, the address does not exist), "" when they may be. It is
	// asked when a delivery is planned. May be nil.
	Away func(ctx context.Context, recipient, watchlist string) (why string, err error)
	// Schedule holds the delay before each attempt, the first included; nil means HTTPSchedule.
	Schedule []time.Duration
}

// HTTPSchedule is the retry schedule of Standard Webhooks 1.0: 75 h 35 min in all.
func HTTPSchedule() []time.Duration {
	const h, m, s = time.Hour, time.Minute, time.Second
	return []time.Duration{0, 5 * s, 5 * m, 30 * m, 2 * h, 5 * h, 10 * h, 14 * h, 20 * h, 24 * h}
}

// MailSchedule is the retry schedule of email: never earlier than 5 min, because greylisting servers refuse what comes sooner.
func MailSchedule() []time.Duration {
	const h, m = time.Hour, time.Minute
	return []time.Duration{0, 5 * m, 15 * m, 30 * m, 1 * h, 2 * h, 4 * h, 8 * h, 12 * h, 24 * h, 24 * h}
}

func (c *Channel) schedule() []time.Duration {
	if len(c.Schedule) == 0 {
		return HTTPSchedule()
	}
	return c.Schedule
}

// longest is the time from the first attempt to the last, with jitter, and an hour for waiting in queues.
func longest(schedule []time.Duration) time.Duration {
	var sum time.Duration
	for _, d := range schedule {
		sum += d
	}
	return sum + sum/5 + time.Hour
}

// ErrMisconfigured is wrapped by dialers and guards whose refusal only an operator can mend, such as an address that is not allowed.
var ErrMisconfigured = errors.New("an operator must mend this")
