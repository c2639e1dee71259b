package bus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	dialTimeout   = 5 * time.Second
	minVersion    = "2.15.2"
	minAPILevel   = 5
	embeddedRetry = 20 * time.Millisecond
)

// link is the client's connection with what its callbacks hear.
type link struct {
	nc     *nats.Conn
	closed chan struct{} // when the connection is closed for good

	mu     sync.Mutex
	denied map[string]string // subject: what the server said about a publish to it
	epoch  context.Context   // ends at the next reconnect
	next   context.CancelFunc
}

// era is a context that ends when the connection is next made anew: then nobody answers any more what was asked before.
func (l *link) era() context.Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch
}

// renew begins the next era.
func (l *link) renew(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next != nil {
		l.next()
	}
	l.epoch, l.next = context.WithCancel(context.WithoutCancel(ctx))
}

// deniedPublish is what the server said of publishes to subject, "" when it never complained. A refused publish itself only times out.
func (l *link) deniedPublish(subject string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.denied[subject]
}

func (l *link) noteDenied(err error) {
	text := err.Error()
	_, rest, ok := strings.Cut(text, `Publish to "`)
	if !ok {
		return
	}
	subject, _, _ := strings.Cut(rest, `"`)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.denied) < 100 {
		l.denied[subject] = text
	}
}

// options are the same for the embedded server and for an external one.
func (b *Bus) options() []nats.Option {
	name := "tocsin"
	if b.opts.Role != "" {
		name += "-" + b.opts.Role
	}
	return []nats.Option{
		nats.Name(name), nats.CustomInboxPrefix(inboxOf(b.opts.Role)), nats.Timeout(dialTimeout), nats.MaxReconnects(-1),
		// What is not sent yet fails at once and is tried again by us: nothing is sent after a publish has returned its error.
		nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			b.link.noteDenied(err)
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			b.log.Warn("connection reports an error", "component", "bus", "reason", subject, "err", err)
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if !b.stopping() {
				b.log.Warn("connection to the server lost", "component", "bus", "err", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { b.reconnected(nc) }),
		nats.ClosedHandler(func(*nats.Conn) { close(b.link.closed) }),
	}
}

// connectEmbedded connects inside the process. The conversation outlives restarts of the server.
func (b *Bus) connectEmbedded() error {
	opts := append(b.options(), nats.InProcessServer(b.srv), nats.ReconnectWait(embeddedRetry), nats.ReconnectJitter(0, 0))
	nc, err := nats.Connect("", opts...)
	if err != nil {
		return fault(b.opts.Dir, "the embedded server takes no connection: "+cause(err), "start again; if it stays so, report it", err)
	}
	b.link.nc = nc
	return nil
}

// connectExternal connects to the first server of the URL list that answers. It tries each once.
func (b *Bus) connectExternal(ctx context.Context) error {
	place := redactURL(b.opts.URL)
	opts := append(b.options(), nats.ReconnectWait(time.Second), nats.ReconnectJitter(500*time.Millisecond, time.Second))
	extra, faults := credentials(b.opts, b.opts.NKeyFile)
	if err := faults.err(); err != nil {
		return err
	}
	opts = append(opts, extra...)
	type result struct {
		nc  *nats.Conn
		err error
	}
	done := make(chan result, 1)
	go func() {
		nc, err := nats.Connect(b.opts.URL, opts...)
		done <- result{nc, err}
	}()
	select {
	case r := <-done:
		b.link.nc = r.nc
		if r.err == nil {
			return nil
		}
		fact := redact(cause(r.err), b.opts.URL)
		if file := (*fs.PathError)(nil); errors.As(r.err, &file) {
			fact = file.Error() // of the certificates
		}
		if errors.Is(r.err, nats.ErrNoServers) {
			fact = "nobody listens there, or the name is unknown" // all that is left of the reasons of each address
		}
		return fault(place, "no connection: "+fact, connectNext(r.err), r.err)
	case <-ctx.Done():
		go func() {
			if r := <-done; r.nc != nil {
				r.nc.Close()
			}
		}()
		return fault(place, "no connection in time", connectNext(ctx.Err()), ctx.Err())
	}
}

func connectNext(err error) string {
	switch {
	case errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrNkeysNotSupported) || strings.Contains(err.Error(), "nkey"):
		return "check bus.nkey_file and the user of that key in the server's configuration"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), strings.Contains(err.Error(), "x509") || strings.Contains(err.Error(), "tls"):
		return "check bus.ca_file, bus.cert_file and bus.key_file, and the certificate of the server"
	}
	return "start nats-server there or correct bus.url; without bus.url the server runs inside Tocsin"
}

// credentials are what a connection shows and trusts. The nkey is that of the role, or that of the system account.
func credentials(o Options, nkeyFile string) (opts []nats.Option, faults Faults) {
	if nkeyFile != "" {
		k, err := nats.NkeyOptionFromSeed(nkeyFile)
		if err != nil {
			faults.add(nkeyFile, "the nkey cannot be read: "+cause(err), "let bus.nkey_file name a file with the seed of a user key (it begins with SU)")
		} else {
			opts = append(opts, k)
		}
	}
	if o.CAFile != "" {
		opts = append(opts, nats.RootCAs(o.CAFile))
	}
	if o.CertFile != "" || o.KeyFile != "" {
		opts = append(opts, nats.ClientCert(o.CertFile, o.KeyFile))
	}
	return opts, faults
}

// reconnected looks at the server again: in a cluster that is being changed it may be an older one.
func (b *Bus) reconnected(nc *nats.Conn) {
	b.link.renew(b.alive)
	b.log.Info("connected to the server again", "component", "bus", "url", nc.ConnectedUrlRedacted(), "status", nc.ConnectedServerVersion())
	if versionLess(nc.ConnectedServerVersion(), minVersion) {
		b.log.Error("server is too old, trying another one", "component", "bus", "url", nc.ConnectedUrlRedacted(),
			"reason", "version "+nc.ConnectedServerVersion()+", at least "+minVersion+" is needed")
		time.AfterFunc(2*time.Second, func() { _ = nc.ForceReconnect() })
	}
}

// versionLess compares dotted versions number by number; what is no number ends the comparison.
func versionLess(a, b string) bool {
	var x, y [3]int
	_, _ = fmt.Sscanf(a, "%d.%d.%d", &x[0], &x[1], &x[2])
	_, _ = fmt.Sscanf(b, "%d.%d.%d", &y[0], &y[1], &y[2])
	for i := range x {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return false
}

// redactURL cuts user and password out of a URL or a comma-separated list of them.
func redactURL(list string) string {
	parts := strings.Split(list, ",")
	for i, p := range parts {
		p = strings.TrimSpace(p)
		if u, err := url.Parse(p); err == nil && u.User != nil {
			u.User = nil
			p = u.String()
		} else if at := strings.LastIndex(p, "@"); at >= 0 {
			p = p[at+1:]
		}
		parts[i] = p
	}
	return strings.Join(parts, ",")
}

// redact replaces the URLs of the configuration in a text by what may be shown.
func redact(text, list string) string {
	for _, p := range strings.Split(list, ",") {
		if p = strings.TrimSpace(p); strings.Contains(p, "@") {
			text = strings.ReplaceAll(text, p, redactURL(p))
		}
	}
	return text
}

// cause is the text of an error without what its place already says.
func cause(err error) string {
	text := err.Error()
	for e := err; e != nil; e = errors.Unwrap(e) {
		text = e.Error()
		if errors.Unwrap(e) == nil || strings.HasPrefix(text, "dial ") {
			break
		}
	}
	return strings.TrimPrefix(text, "nats: ")
}
