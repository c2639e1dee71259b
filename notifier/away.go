package notifier

import (
	"context"
	"errors"
	"fmt"

	"tocsin/news"
)

// away asks the channel whether the recipient may be written to. A reason that stands already stays.
func (n *Notifier) away(ctx context.Context, ch *Channel, d *news.Delivery, reason, why string) (string, string, error) {
	if reason != "" || ch.Away == nil {
		return reason, why, nil
	}
	why, err := ch.Away(ctx, d.Recipient, d.Watchlist)
	switch {
	case err != nil:
		return "", "", fmt.Errorf("ask whether the recipient of %s may be written to: %w", d.ID, err)
	case why != "":
		return news.SuppressGone, why, nil
	}
	return "", "", nil
}

// ErrNoChannel means that no channel of that id is configured.
var ErrNoChannel = errors.New("there is no such channel")

// Test plans an alert of kind KindTest for every recipient of one channel, past the routes: from there on it goes the way of every alert, through
// outbox, sender and ledger, with the reason SendTest. It gives the ids of the deliveries.
func (n *Notifier) Test(ctx context.Context, channel string, a news.Alert) ([]string, error) {
	g := n.gates[channel]
	if g == nil {
		return nil, fmt.Errorf("channel %q: %w", channel, ErrNoChannel)
	}
	a.Kind = news.KindTest
	var ids []string
	for _, to := range g.ch.Recipients {
		d := n.draft(&a, n.root.id, g.ch, to, n.o.Now())
		reason, why, err := n.away(ctx, g.ch, d, "", "")
		if err == nil && reason != "" {
			err = n.suppressed(ctx, d, reason, why)
		} else if err == nil {
			err = n.plan(ctx, &a, d, g.ch, "")
		}
		if err != nil {
			return ids, err
		}
		ids = append(ids, d.ID)
	}
	return ids, nil
}
