package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/cmd/tocsin/newsroom"
)

// relay passes connections on to a server, so that a test can take the server away and give it back at the same address.
type relay struct {
	t      *testing.T
	addr   string
	target string
	mu     sync.Mutex
	l      net.Listener
}

func newRelay(t *testing.T, target string) *relay {
	r := &relay{t: t, addr: freeAddr(t), target: target}
	t.Cleanup(r.down)
	return r
}

func (r *relay) up() {
	r.t.Helper()
	l, err := net.Listen("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	r.l = l
	r.mu.Unlock()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go r.pass(c)
		}
	}()
}

func (r *relay) pass(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("tcp", r.target)
	if err != nil {
		return
	}
	defer s.Close()
	go func() { _, _ = io.Copy(s, c) }() // ends when either side closes
	_, _ = io.Copy(c, s)
}

func (r *relay) down() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.l != nil {
		_ = r.l.Close() // tests end with it closed already
		r.l = nil
	}
}

// TestDeadMailServerDelaysNothingElse keeps the mail server away for the whole flow: the webhook is told all of it meanwhile, and when the mail
// server comes back, everything held arrives once: what is tried already one by one, the rest in one message.
func TestDeadMailServerDelaysNothingElse(t *testing.T) {
	t.Parallel()
	const mentions = 150
	var p99 [2]time.Duration
	for i, name := range []string{"mail server alive", "mail server dead"} {
		t.Run(name, func(t *testing.T) {
			w, err := newsroom.Flood(mentions, 10, newsroom.Options{Seed: 3, Span: 8 * time.Second, Interval: time.Second, Keep: time.Hour, Window: mentions})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			mail := newRelay(t, w.SMTPAddr)
			w.SMTPAddr = mail.addr
			if i == 0 {
				mail.up()
			}
			dir, addr := t.TempDir(), freeAddr(t)
			p := start(t, floodConfig(t, w, dir, addr, ""), addr)
			waitFor(t, time.Minute, "all mentions at the webhook", func() bool { hooks, _ := arrivals(w); return len(hooks) >= mentions })
			p99[i] = w.Report(w.Lists()).P99
			if _, mails := arrivals(w); i == 1 && len(mails) != 0 {
				t.Fatalf("%d mails came through a dead server", len(mails))
			}
			if i == 1 {
				mail.up()
			}
			waitFor(t, 2*time.Minute, "all mentions in the mailbox", func() bool { return mailed(t, w) >= mentions })
			hooks, mails := arrivals(w)
			if got := mailed(t, w); len(hooks) != mentions || got != mentions || repeats(hooks)+repeats(mails) != 0 {
				t.Errorf("%d webhook ids (%d repeated), %d mails (%d repeated) for %d alerts, want %d, none repeated", len(hooks), repeats(hooks), len(mails), repeats(mails), got, mentions)
			}
			if few := len(mails) < mentions/2; few != (i == 1) {
				t.Errorf("%d mails for %d alerts", len(mails), mentions)
			}
			if err := p.interrupt(30 * time.Second); err != nil {
				t.Error(err)
			}
		})
	}
	t.Logf("webhook p99 from first served to told: %s with the mail server, %s without", p99[0], p99[1])
}

// mailed is for how many alerts the mails stand: one each, or as many as the subject of a summary says.
func mailed(t *testing.T, w *newsroom.World) (n int) {
	t.Helper()
	for _, m := range w.Mails() {
		many, rest, _ := strings.Cut(m.Header.Get("Subject"), " ")
		if k, err := strconv.Atoi(many); err == nil && strings.HasPrefix(rest, "alerts: ") {
			n += k
			continue
		}
		n++
	}
	return n
}

func grep(text, what string) string {
	var out []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, what) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "")
}

// TestHostileFeedsStopNobody serves bombs, endless bodies and forbidden redirects beside a good feed, to a process of its own with 1 GiB of address
// space: it lives, its memory stays bounded, each hostile feed ends under a reason, and the good feed's mentions arrive.
func TestHostileFeedsStopNobody(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("measures memory")
	}
	w, err := newsroom.Flood(30, 2, newsroom.Options{Seed: 9, Span: 10 * time.Second, Interval: time.Second, Keep: time.Hour, Window: 40})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	hostile := httptest.NewServer(hostileFeeds())
	defer hostile.Close()
	dir, addr := t.TempDir(), freeAddr(t)
	list := "feeds:\n"
	for _, path := range hostilePaths() {
		list += fmt.Sprintf("  - {url: \"%s/%s\", outlet: %s, lang: en, interval: 2s, timeout: 20s}\n", hostile.URL, path, path)
	}
	config := floodConfig(t, w, dir, addr, "")
	write(t, dir, "hostile.yaml", list)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "tocsin.yaml", strings.Replace(string(text), "feeds: [feeds.yaml]", "feeds: [feeds.yaml, hostile.yaml]", 1))
	p := startWithin(t, 1<<20, config, addr)
	peak := watchMemory(p)
	waitFor(t, 90*time.Second, "the good feeds' mentions", func() bool { hooks, _ := arrivals(w); return len(hooks) >= 30 })
	var feeds string
	waitFor(t, 90*time.Second, "a reason for each hostile feed", func() bool {
		feeds = p.get("/api/v1/feeds")
		return strings.Count(feeds, `"reason":"`)-strings.Count(feeds, `"reason":""`) >= len(hostilePaths())
	})
	for _, reason := range []string{"refused_nesting", "too_big", "denied_address"} {
		if !strings.Contains(feeds, `"reason":"`+reason+`"`) {
			t.Errorf("no feed ended as %s: %s", reason, feeds)
		}
	}
	select {
	case <-p.done:
		t.Fatalf("the process died:\n%s", tail(p.output(), 3000))
	default:
	}
	if max := <-peak(); max > 300<<20 {
		t.Errorf("resident memory reached %d MB, the limit is 300", max>>20)
	} else {
		t.Logf("resident memory reached %d MB", max>>20)
	}
}

// watchMemory samples the resident memory until its result is asked for.
func watchMemory(p *proc) func() <-chan int64 {
	stop, out := make(chan struct{}), make(chan int64, 1)
	go func() {
		var top int64
		for {
			top = max(top, p.rss())
			select {
			case <-stop:
				out <- top
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() <-chan int64 { close(stop); return out }
}

func hostilePaths() []string {
	return []string{"nesting", "xmlns", "bomb", "endless", "metadata", "loop", "html", "empty"}
}

func hostileFeeds() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/nesting", func(w http.ResponseWriter, _ *http.Request) {
		gz(w, func(z io.Writer) {
			fmt.Fprint(z, `<?xml version="1.0"?><rss version="2.0"><channel><item>`)
			_, _ = z.Write(bytes.Repeat([]byte("<a:a>"), 2_000_000))
		})
	})
	mux.HandleFunc("/xmlns", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<?xml version="1.0"?><rss version="2.0"><channel><item>`)
		for i := range 16_000 {
			fmt.Fprintf(w, `<a xmlns:p%d="u%d">`, i, i)
		}
	})
	mux.HandleFunc("/bomb", func(w http.ResponseWriter, _ *http.Request) {
		gz(w, func(z io.Writer) {
			block := bytes.Repeat([]byte("A"), 1<<20)
			for range 2048 {
				if _, err := z.Write(block); err != nil {
					return
				}
			}
		})
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `<?xml version="1.0"?><rss version="2.0"><channel>`)
		for r.Context().Err() == nil {
			if _, err := fmt.Fprint(w, strings.Repeat("<item><title>more</title></item>", 1000)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/metadata", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data/", http.StatusFound)
	})
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/loop", http.StatusMovedPermanently)
	})
	mux.HandleFunc("/html", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<!doctype html><title>Please log in</title><p>Consent</p>")
	})
	mux.HandleFunc("/empty", func(http.ResponseWriter, *http.Request) {})
	return mux
}

func gz(w http.ResponseWriter, f func(io.Writer)) {
	w.Header().Set("Content-Encoding", "gzip")
	z := gzip.NewWriter(w)
	f(z)
	_ = z.Close() // the reader may have gone away: that is the point
}
