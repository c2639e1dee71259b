// Package newsroom is a simulated outside world on loopback: outlets that publish feeds in many formats, encodings and states of repair, a mail
// server, and a webhook receiver. A script plants mentions of watched names among decoys and background news, and knows for each item what must
// be flagged; Report compares that truth with what came out at the webhook. `tocsin demo` and the end-to-end tests use it. It promises that
// every address is on 127.0.0.1 or the one host it is told, that the same seed gives the same script, and that an item stays in its feed until it was served. It imports
// nothing of fetcher, matcher, notifier and bus, so that it cannot share their mistakes.
package newsroom

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Options say how a World behaves. The zero value is usable: every field has a default.
type Options struct {
	Seed     int64         // the same seed gives the same script in the same order
	Span     time.Duration // time over which the items appear; default 2 minutes
	Speed    float64       // divides Span; default 1
	Interval time.Duration // polling interval written into FeedsYAML; default 1 second
	Noise    int           // background items for each planted one; default 8, negative for none
	Slow     time.Duration // answering time of the slow outlet; default 3 seconds
	Window   int           // entries that a feed document always shows; default 40
	Keep     time.Duration // an entry stays at least so long after it was first served; default 30 seconds
	Host     string        // address of this machine that everything listens on; default 127.0.0.1
	Log      *slog.Logger  // default: nothing is logged
}

// World is a running outside world. Its methods may be called from any goroutine.
type World struct {
	SMTPAddr      string // host:port of the mail server; STARTTLS, AUTH PLAIN
	SMTPUser      string
	SMTPPassword  string
	WebhookURL    string
	WebhookSecret string // whsec_..., for the sender
	CAPEM         []byte // the mail server's self-signed certificate, to be trusted by the sender

	opts    Options
	start   atomic.Int64      // time zero of the script, Unix nanoseconds
	lists   map[string]string // id of an entity or rule -> watchlist
	outlets []*outlet
	items   []*item
	extra   map[string][]byte // WatchlistsYAML
	mail    *mailSink
	hook    *hookSink
	folds   foldBook
	servers []*http.Server
	wg      sync.WaitGroup
}

// Start opens every listener and begins the script. Call Close when done.
func Start(o Options) (*World, error) {
	o = o.withDefaults()
	s, err := loadScript()
	if err != nil {
		return nil, err
	}
	plan := s.plan(o)
	return open(o, plan)
}

func (o Options) withDefaults() Options {
	if o.Span <= 0 {
		o.Span = 2 * time.Minute
	}
	if o.Speed > 0 {
		o.Span = time.Duration(float64(o.Span) / o.Speed)
	}
	if o.Interval <= 0 {
		o.Interval = time.Second
	}
	if o.Noise == 0 {
		o.Noise = 8
	}
	if o.Slow <= 0 {
		o.Slow = 3 * time.Second
	}
	if o.Window <= 0 {
		o.Window = 40
	}
	if o.Keep <= 0 {
		o.Keep = 30 * time.Second
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// plan is what a World serves: outlets with their items, and the truth.
type plan struct {
	lists   map[string]string
	outlets []*outlet
	items   []*item
	extra   map[string][]byte
}

func open(o Options, p plan) (*World, error) {
	w := &World{opts: o, lists: p.lists, outlets: p.outlets, items: p.items, extra: p.extra}
	if err := w.openSinks(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	for _, out := range w.outlets {
		l, err := w.listen()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open outlet %s: %w", out.ID, err), w.Close())
		}
		out.base = "http://" + l.Addr().String()
		w.serve(l, out)
	}
	for _, it := range w.items {
		it.url = it.outlet.base + "/news/" + it.ID
	}
	w.Open()
	o.Log.Info("newsroom started", "count", len(w.outlets))
	return w, nil
}

// Open begins the script: its time zero is now. Start and Flood do so once; call it again when the program under test is about to fetch, so that
// no part of the script passes while that program starts.
func (w *World) Open() {
	now := time.Now()
	w.start.Store(now.UnixNano())
	for _, out := range w.outlets {
		out.begin(w.opts, now)
	}
}

func (w *World) openSinks() error {
	secret := make([]byte, 32)
	pass := make([]byte, 12)
	if _, err := rand.Read(secret); err != nil {
		return fmt.Errorf("make webhook secret: %w", err)
	}
	if _, err := rand.Read(pass); err != nil {
		return fmt.Errorf("make mail password: %w", err)
	}
	w.SMTPUser, w.SMTPPassword = "tocsin", base64.RawURLEncoding.EncodeToString(pass)
	w.WebhookSecret = "whsec_" + base64.StdEncoding.EncodeToString(secret)
	w.hook = &hookSink{key: secret}
	l, err := w.listen()
	if err != nil {
		return fmt.Errorf("open webhook receiver: %w", err)
	}
	w.WebhookURL = "http://" + l.Addr().String() + "/hook"
	w.serve(l, w.hook)
	w.mail, err = openMail(w.opts.Host, w.SMTPUser, w.SMTPPassword)
	if err != nil {
		return err
	}
	w.SMTPAddr, w.CAPEM = w.mail.addr, w.mail.pem
	return nil
}

func (w *World) listen() (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(w.opts.Host, "0"))
}

func (w *World) serve(l net.Listener, h http.Handler) {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	w.servers = append(w.servers, s)
	w.wg.Go(func() { _ = s.Serve(l) }) // ends with ErrServerClosed
}

// Close ends every listener and connection and waits for their goroutines. Report and Mails work afterwards.
func (w *World) Close() error {
	var errs []error
	if w.hook != nil {
		w.hook.release()
	}
	for _, s := range w.servers {
		errs = append(errs, s.Close())
	}
	if w.mail != nil {
		errs = append(errs, w.mail.close())
	}
	w.wg.Wait()
	return errors.Join(errs...)
}

// WaitServed blocks until every planted item was served in a feed document that was written in full, or ctx ends.
func (w *World) WaitServed(ctx context.Context) error {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		n := w.Unserved()
		if n == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %d planted items to be fetched: %w", n, ctx.Err())
		case <-t.C:
		}
	}
}

// Unserved counts the planted items that no feed document has shown yet, released or not.
func (w *World) Unserved() int {
	n := 0
	for _, it := range w.items {
		if it.Kind == Planted && it.served().IsZero() {
			n++
		}
	}
	return n
}

// Progress tells how many of all items are published by now.
func (w *World) Progress() (published, total int) {
	d := time.Since(time.Unix(0, w.start.Load()))
	for _, out := range w.outlets {
		published += out.published(d)
	}
	return published, len(w.items)
}
