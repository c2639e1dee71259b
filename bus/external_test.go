package bus_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"tocsin/bus"
	"tocsin/bus/bustest"
)

// refused opens a bus that must be refused, and gives the error after checking what every refusal owes to people.
func refused(t *testing.T, change ...func(*bus.Options)) string {
	t.Helper()
	began := time.Now()
	_, err := bustest.TryOpen(t, change...)
	if err == nil {
		t.Fatal("it was not refused")
	}
	if d := time.Since(began); d > 12*time.Second {
		t.Errorf("the refusal took %s", d)
	}
	t.Logf("refused after %s:\n%v", time.Since(began), err)
	var one *bus.Fault
	if !errors.As(err, &one) || one.Place == "" || one.Fact == "" || one.Next == "" {
		t.Errorf("not of three parts: %#v", err)
	}
	return err.Error()
}

func at(url string) func(*bus.Options) { return func(o *bus.Options) { o.URL = url } }

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in:\n%s", p, text)
		}
	}
}

func TestUnreachableIsRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // it accepts and says nothing
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, addr := range map[string]string{"nobody listens": closed.Addr().String(), "nobody speaks": l.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			text := refused(t, at("nats://user:geheim@"+addr))
			contains(t, text, "nats://"+addr, "no connection", "start nats-server there or correct bus.url")
			if strings.Contains(text, "geheim") {
				t.Error("the password shows")
			}
		})
	}
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		began := time.Now()
		if _, err := bus.Open(ctx, bus.Options{URL: "nats://" + l.Addr().String()}); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 2*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

// oldServer speaks as a NATS server of the given version, just as far as a client needs to connect.
func oldServer(t *testing.T, version string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprintf(c, "INFO {\"server_id\":\"X\",\"version\":%q,\"proto\":1,\"headers\":true,\"max_payload\":1048576}\r\n", version)
				for s := bufio.NewScanner(c); s.Scan(); {
					if s.Text() == "PING" {
						fmt.Fprint(c, "PONG\r\n")
					}
				}
			}()
		}
	}()
	return "nats://" + l.Addr().String()
}

func TestTooOldServerIsRefused(t *testing.T) {
	t.Parallel()
	text := refused(t, at(oldServer(t, "2.9.10")))
	contains(t, text, "nats-server 2.9.10 is too old", "2.15.2", "upgrade")
}

func TestServerWithoutJetStreamIsRefused(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t, func(o *server.Options) { o.JetStream = false })
	contains(t, refused(t, at(srv.ClientURL())), "JetStream is not enabled", "jetstream {")
}

func TestVersions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		less bool
	}{
		{"2.9.10", "2.15.2", true},
		{"2.15.1", "2.15.2", true},
		{"2.15.2", "2.15.2", false},
		{"2.15.10", "2.15.2", false},
		{"3.0.0", "2.15.2", false},
		{"2.15.2-RC.1", "2.15.2", false},
		{"", "2.15.2", true},
		{"2.16", "2.15.2", false},
	} {
		if bus.VersionLess(c.a, c.b) != c.less {
			t.Errorf("%q before %q: want %v", c.a, c.b, c.less)
		}
	}
}

func TestWithoutSetupEveryDifferenceIsTold(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	text := refused(t, at(srv.ClientURL()), channels("mail"))
	contains(t, text, srv.ClientURL()+": none of the streams exists", "tocsin nats setup")

	b, err := bustest.TryOpen(t, at(srv.ClientURL()), channels("mail"), func(o *bus.Options) { o.Setup = true })
	if err != nil {
		t.Fatal(err)
	}
	closeBus(t, b)
	b, err = bustest.TryOpen(t, at(srv.ClientURL()), channels("mail")) // now all is as it should be
	if err != nil {
		t.Fatal(err)
	}
	ctx := ctxOf(t)
	s, err := b.JS().Stream(ctx, "ITEMS")
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxAge, cfg.Duplicates = 48*time.Hour, time.Hour
	if _, err := b.JS().UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	c, err := b.JS().Consumer(ctx, "MATCHES", "notifier")
	if err != nil {
		t.Fatal(err)
	}
	ccfg := c.CachedInfo().Config
	ccfg.AckWait = 5 * time.Second
	if _, err := b.JS().UpdateConsumer(ctx, "MATCHES", ccfg); err != nil {
		t.Fatal(err)
	}
	if err := b.JS().DeleteStream(ctx, "KV_feedstate"); err != nil {
		t.Fatal(err)
	}
	if err := b.JS().DeleteStream(ctx, "FETCH"); err != nil {
		t.Fatal(err)
	}
	if err := b.JS().DeleteConsumer(ctx, "OUTBOX", "channel-mail"); err != nil {
		t.Fatal(err)
	}
	closeBus(t, b)
	text = refused(t, at(srv.ClientURL()), channels("mail"))
	contains(t, text, "stream ITEMS: max_age is 48h0m0s, the table has 720h0m0s", "stream ITEMS: duplicate_window is 1h0m0s, the table has 24h0m0s",
		"consumer MATCHES/notifier: ack_wait is 5s, the table has 30s", "stream KV_feedstate: it does not exist",
		"stream FETCH: it does not exist", "consumer OUTBOX/channel-mail: it does not exist")
	if n := strings.Count(text, "\n") + 1; n != 6 {
		t.Errorf("%d faults, want 6", n)
	}
	b, err = bustest.TryOpen(t, at(srv.ClientURL()), channels("mail"), func(o *bus.Options) { o.Setup = true })
	if err != nil {
		t.Fatal(err)
	}
	closeBus(t, b)
	if _, err = bustest.TryOpen(t, at(srv.ClientURL()), channels("mail")); err != nil {
		t.Errorf("after the setup: %v", err)
	}
}

func TestReplicasMustFitTheServer(t *testing.T) {
	t.Parallel()
	srv := bustest.Server(t)
	contains(t, refused(t, at(srv.ClientURL()), func(o *bus.Options) { o.Replicas = 3 }), "cannot keep 3 copies")
	contains(t, refused(t, at(srv.ClientURL()), func(o *bus.Options) { o.Replicas = 2 }), "2 copies are not safe")
}

func TestOptionsAreCheckedAllAtOnce(t *testing.T) {
	t.Parallel()
	text := refused(t, func(o *bus.Options) {
		o.Channels, o.MaxStore, o.Replicas, o.Role = []string{"Mail To", "ok"}, 5, 4, "king"
	})
	contains(t, text, "channel Mail To", "bus.max_store", "bus.replicas", "data_dir", `"king" is no role`)
	for _, listen := range []string{"0.0.0.0:4222", "4222", "192.0.2.1:4222", "127.0.0.1:x", ":4222"} {
		contains(t, refused(t, func(o *bus.Options) { o.Dir, o.Listen = t.TempDir(), listen }), "bus.listen", "127.0.0.1:4222")
	}
}

func TestLoopbackListener(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	inside := bustest.Open(t, func(o *bus.Options) { o.Dir, o.Listen = dir, "127.0.0.1:-1" })
	_ = inside
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	b := bustest.Open(t, func(o *bus.Options) { o.Listen = addr })
	if _, err := b.PublishItem(ctxOf(t), item("x")); err != nil {
		t.Fatal(err)
	}
	outside, err := bustest.TryOpen(t, at("nats://"+addr)) // the same table, seen from outside
	if err != nil {
		t.Fatal(err)
	}
	if got := readIDs(t, outside, time.Time{}); len(got) != 1 {
		t.Errorf("%v", got)
	}
	if text := refused(t, func(o *bus.Options) { o.Dir, o.Listen = t.TempDir(), addr }); !strings.Contains(text, "does not start") {
		t.Errorf("a port that is taken: %s", text)
	}
}

func TestServerThatDoesNotSyncIsRefused(t *testing.T) {
	t.Parallel()
	k := bustest.Keyed(t, nil, func(o *server.Options) { o.SyncAlways = false })
	for _, setup := range []bool{false, true} {
		text := refused(t, k.As(bus.UserAdmin), func(o *bus.Options) { o.Setup = setup })
		contains(t, text, "server external", "acknowledges messages that are not on disk", "sync_interval: always")
	}
	// Nothing was made on the server that was refused.
	b, err := bustest.TryOpen(t, k.As(bus.UserAdmin), func(o *bus.Options) { o.SystemNKey, o.Setup = "", true })
	if err != nil {
		t.Fatalf("who cannot ask is warned only: %v", err)
	}
	st, err := b.Status(ctxOf(t))
	if err != nil || st.SyncKnown {
		t.Errorf("%+v %v", st, err)
	}
}

func TestServerThatSyncsIsKnownToDoSo(t *testing.T) {
	t.Parallel()
	k := bustest.Keyed(t, nil)
	for _, ask := range []bool{true, false} {
		reg := prometheus.NewRegistry()
		b, err := bustest.TryOpen(t, k.As(bus.UserAdmin), func(o *bus.Options) {
			o.Setup, o.Registerer = true, reg
			if !ask {
				o.SystemNKey = ""
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		st, err := b.Status(ctxOf(t))
		if err != nil || st.SyncKnown != ask || st.SyncAlways != ask {
			t.Errorf("asked %v: %+v %v", ask, st, err)
		}
		want := 0
		if ask {
			want = 1
		}
		text := fmt.Sprintf("# HELP tocsin_bus_sync_always 1 when every server is known to sync each write to disk, 0 when it could not be asked.\n"+
			"# TYPE tocsin_bus_sync_always gauge\ntocsin_bus_sync_always %d\n", want)
		if err := testutil.GatherAndCompare(reg, strings.NewReader(text), "tocsin_bus_sync_always"); err != nil {
			t.Error(err)
		}
		closeBus(t, b)
	}
}

func TestKeysThatDoNotWork(t *testing.T) {
	t.Parallel()
	k := bustest.Keyed(t, nil)
	contains(t, refused(t, k.As(bus.UserAdmin), func(o *bus.Options) { o.NKeyFile = filepath.Join(t.TempDir(), "none.nk") }), "none.nk", "bus.nkey_file")
	contains(t, refused(t, k.As(bus.UserAdmin), func(o *bus.Options) { o.NKeyFile = "" }), k.ClientURL(), "no connection", "bus.nkey_file")
	other := bustest.Keyed(t, nil)
	contains(t, refused(t, k.As(bus.UserAdmin), func(o *bus.Options) { o.NKeyFile = other.Seed(bus.UserAdmin) }), "no connection", "bus.nkey_file")
}
