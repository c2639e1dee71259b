package bus

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// checkRights tries every right of the role in a form that changes nothing, and tells all that are missing. Without it a missing right would show
// hours later, as a timeout: the server answers what it refuses with nothing.
func (b *Bus) checkRights(ctx context.Context) error {
	need := grantOf(b.opts.Role).allow
	var wish []string // of other roles; a process without keys of their own may have them
	for _, s := range readable {
		if create := "$JS.API.CONSUMER.CREATE." + s + ".>"; !slices.Contains(need, create) {
			wish = append(wish, create)
		}
	}
	denied, err := b.try(ctx, slices.Concat(need, wish))
	if err != nil {
		return err
	}
	for _, s := range wish {
		if slices.Contains(denied, s) {
			b.unseen = append(b.unseen, strings.Split(s, ".")[4])
		}
	}
	var faults Faults
	for _, s := range need {
		if slices.Contains(denied, s) {
			faults.add("subject "+s, "this key may not publish to it", b.grantNext())
		}
	}
	return faults.err()
}

func (b *Bus) grantNext() string {
	who := b.opts.Role
	if who == "" {
		who = UserAll
	}
	return "grant the right to the user of " + who + " on every server; `tocsin nats permissions` writes all of them"
}

// try publishes to each pattern once, and gives those that the server refused. Nobody answers: nothing has a subject for the answer, requests have no
// content, and messages for streams demand a last sequence that no stream has. The server reports a refusal before it answers what came later, and
// the client tells of the end of the connection after all that was reported, so what has not been refused then is allowed.
func (b *Bus) try(ctx context.Context, patterns []string) (denied []string, err error) {
	var mu sync.Mutex
	refused := map[string]bool{}
	closed := make(chan struct{})
	opts, faults := credentials(b.opts, b.opts.NKeyFile)
	if err := faults.err(); err != nil {
		return nil, err
	}
	opts = append(append(b.options(), opts...), nats.Name("tocsin-rights"), nats.NoReconnect(),
		nats.DisconnectErrHandler(nil), nats.ClosedHandler(func(*nats.Conn) { close(closed) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			mu.Lock()
			defer mu.Unlock()
			refused[refusedSubject(err)] = true
		}))
	nc, err := nats.Connect(b.opts.URL, opts...)
	if err != nil {
		return nil, fault(b.place(), "no second connection to try the rights on: "+redact(cause(err), b.opts.URL), connectNext(err), err)
	}
	defer nc.Close()
	for _, p := range patterns {
		m := nats.NewMsg(probe(p))
		if !strings.HasPrefix(p, "$JS.") {
			m.Header.Set(jetstream.ExpectedLastSeqHeader, "9007199254740993")
		}
		if strings.HasPrefix(p, "$JS.ACK.") {
			m.Data = []byte("probe") // an empty one would acknowledge
		}
		if err := nc.PublishMsg(m); err != nil {
			return nil, fmt.Errorf("try the right to %s: %w", p, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := nc.FlushWithContext(ctx); err != nil {
		return nil, fmt.Errorf("try the rights of the key: %w", err)
	}
	nc.Close()
	select {
	case <-closed:
	case <-ctx.Done():
		return nil, fmt.Errorf("try the rights of the key: %w", ctx.Err())
	}
	mu.Lock()
	defer mu.Unlock()
	return slices.DeleteFunc(slices.Clone(patterns), func(p string) bool { return !refused[probe(p)] }), nil
}

// refusedSubject is the subject of a publish that the server complains about.
func refusedSubject(err error) string {
	_, rest, _ := strings.Cut(err.Error(), `Publish to "`)
	subject, _, _ := strings.Cut(rest, `"`)
	return subject
}

// Sees tells whether this process may read a stream: ITEMS, MATCHES, ALERTS, LEDGER or DEAD. Only a key of another role's rights may not.
func (b *Bus) Sees(stream string) bool { return !slices.Contains(b.unseen, stream) }
