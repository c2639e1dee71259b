package bus_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"tocsin/bus"
	"tocsin/bus/bustest"
	"tocsin/news"
)

// setUp makes the table on a server with keys.
func setUp(t *testing.T, k *bustest.KeyedServer) {
	t.Helper()
	o := bus.Options{Log: bustest.Log(t), MaxStore: 1 << 30, Channels: []string{"mail", "siem"}}
	k.As(bus.UserAdmin)(&o)
	done, err := bus.Setup(ctxOf(t), o)
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(done, "\n"); !strings.Contains(text, "made stream KV_health") || !strings.Contains(text, "made consumer OUTBOX/channel-mail") {
		t.Errorf("setup tells:\n%s", text)
	}
	done, err = bus.Setup(ctxOf(t), o)
	if err != nil || len(done) > 0 {
		t.Errorf("the second setup: %v %v", done, err)
	}
}

// cut removes lines of the configuration that hold part.
func cut(parts ...string) func(string) string {
	return func(conf string) string {
		var out []string
		for line := range strings.Lines(conf) {
			if !slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(line, p) }) {
				out = append(out, line)
			}
		}
		return strings.Join(out, "")
	}
}

func TestTheCommittedConfigurationIsTheGeneratedOne(t *testing.T) {
	committed, err := os.ReadFile("../deploy/nats/accounts.conf")
	if err != nil {
		t.Fatal(err)
	}
	if string(committed) != bus.Permissions() {
		t.Error("deploy/nats/accounts.conf is not what `tocsin nats permissions` prints: run `go run ./cmd/tocsin nats permissions --out deploy/nats/accounts.conf`")
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../deploy/nats")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NATS_NAME", "nats1")
	t.Setenv("NATS_DATA", dir)
	if _, err := bus.MakeKeys(dir); err != nil {
		t.Fatal(err)
	}
	o, err := server.ProcessConfigFile(filepath.Join(dir, "nats-server.conf"))
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Nkeys) != len(bus.UserNames()) || len(o.Accounts) != 2 || !o.SyncAlways || o.MaxPayload != 1<<20 {
		t.Errorf("%d users in %d accounts, sync %v, payload %d", len(o.Nkeys), len(o.Accounts), o.SyncAlways, o.MaxPayload)
	}
}

func TestKeysAreMadeOnceAndAreSecret(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys")
	made, err := bus.MakeKeys(dir)
	if err != nil || len(made) != len(bus.UserNames())+1 {
		t.Fatal(made, err)
	}
	seed, err := os.ReadFile(filepath.Join(dir, "fetcher.nk"))
	if err != nil || !strings.HasPrefix(string(seed), "SU") {
		t.Fatalf("%v", err)
	}
	if st, err := os.Stat(filepath.Join(dir, "fetcher.nk")); err != nil || st.Mode().Perm() != 0o600 {
		t.Error(st.Mode(), err)
	}
	before, err := os.ReadFile(filepath.Join(dir, bus.KeysFile))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(before), ": S") || strings.Count(string(before), ": U") != len(bus.UserNames()) {
		t.Errorf("public keys:\n%s", before)
	}
	if made, err = bus.MakeKeys(dir); err != nil || len(made) != 1 {
		t.Error(made, err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, bus.KeysFile)); err != nil || string(after) != string(before) {
		t.Error("the second run changed the keys", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "matcher.nk"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	var f *bus.Fault
	if _, err := bus.MakeKeys(dir); !errors.As(err, &f) || !strings.Contains(f.Place, "matcher.nk") {
		t.Errorf("a file that holds no seed: %v", err)
	}
}

// foreign is, for each user, what is not its own. Every line must be refused by the server.
var foreign = map[string][]string{
	"fetcher": {
		"matches.armed", "alerts.high.armed", "outbox.due.mail.x", "outbox.retry.mail.x", "ledger.planned.mail", "dead.channel.x", "fetch.due.x",
		"$KV.watchlists.set", "$KV.sent.mail.x", "$KV.suppressed.x", "$KV.silences.all", "$KV.health.heartbeats", "$KV.health.troubles.matcher",
		"$JS.API.CONSUMER.CREATE.ITEMS.spy", "$JS.API.CONSUMER.CREATE.ALERTS.spy", "$JS.API.CONSUMER.CREATE.LEDGER.spy", "$JS.API.CONSUMER.CREATE.OUTBOX.spy",
		"$JS.API.CONSUMER.MSG.NEXT.ITEMS.matcher", "$JS.API.CONSUMER.MSG.NEXT.OUTBOX.channel-mail", "$JS.ACK.ITEMS.matcher.1.1.1.1.1", "$JS.ACK.OUTBOX.channel-mail.1.1.1.1.1",
		"$JS.API.DIRECT.GET.ITEMS", "$JS.API.DIRECT.GET.KV_sent.$KV.sent.x", "$JS.API.DIRECT.GET.KV_watchlists.$KV.watchlists.set", "$JS.API.STREAM.MSG.GET.ALERTS",
		"$JS.API.STREAM.MSG.DELETE.DEAD", "$JS.API.STREAM.MSG.DELETE.ITEMS", "$JS.API.CONSUMER.CREATE.KV_health.spy", "$JS.API.CONSUMER.CREATE.KV_feedstate.spy",
	},
	"matcher": {
		"items.en.x", "fetch.schedule.x", "fetch.due.x", "alerts.high.armed", "outbox.due.mail.x", "ledger.planned.mail", "dead.channel.x", "dead.fetcher.x",
		"$KV.feedstate.x", "$KV.sent.mail.x", "$KV.suppressed.x", "$KV.silences.all", "$KV.health.heartbeats", "$KV.health.troubles.fetcher",
		"$JS.API.CONSUMER.CREATE.ITEMS.spy", "$JS.API.CONSUMER.CREATE.ALERTS.spy", "$JS.API.CONSUMER.CREATE.LEDGER.spy", "$JS.API.CONSUMER.CREATE.ITEMS.matcher",
		"$JS.API.CONSUMER.MSG.NEXT.FETCH.fetcher", "$JS.API.CONSUMER.MSG.NEXT.MATCHES.notifier", "$JS.API.CONSUMER.MSG.NEXT.OUTBOX.channel-mail",
		"$JS.ACK.FETCH.fetcher.1.1.1.1.1", "$JS.ACK.MATCHES.notifier.1.1.1.1.1", "$JS.API.DIRECT.GET.KV_feedstate.$KV.feedstate.x", "$JS.API.DIRECT.GET.OUTBOX",
		"$JS.API.STREAM.MSG.GET.LEDGER", "$JS.API.STREAM.MSG.DELETE.ITEMS", "$JS.API.CONSUMER.DELETE.ITEMS.matcher",
		"$JS.API.CONSUMER.CREATE.KV_health.spy", "$JS.API.CONSUMER.CREATE.KV_watchlists.spy", "$JS.API.CONSUMER.CREATE.DEAD.spy", "$JS.API.STREAM.MSG.DELETE.DEAD",
	},
	"notifier": {
		"items.en.x", "fetch.schedule.x", "fetch.due.x", "dead.matcher.x", "dead.fetcher.x",
		"$JS.API.CONSUMER.CREATE.OUTBOX.spy", "$JS.API.CONSUMER.CREATE.KV_health.spy", "$KV.feedstate.x", "$KV.watchlists.set", "$KV.health.troubles.fetcher",
		"$JS.API.CONSUMER.CREATE.ITEMS.matcher", "$JS.API.CONSUMER.CREATE.ITEMS.matcher.items.>", "$JS.API.CONSUMER.CREATE.MATCHES.notifier", "$JS.API.CONSUMER.CREATE.ALERTS.router",
		"$JS.API.CONSUMER.DELETE.ITEMS.matcher", "$JS.API.CONSUMER.DELETE.MATCHES.notifier", "$JS.API.CONSUMER.DELETE.OUTBOX.channel-mail", "$JS.API.CONSUMER.CREATE.FETCH.spy",
		"$JS.API.CONSUMER.MSG.NEXT.ITEMS.matcher", "$JS.API.CONSUMER.MSG.NEXT.FETCH.fetcher", "$JS.ACK.ITEMS.matcher.1.1.1.1.1", "$JS.ACK.FETCH.fetcher.1.1.1.1.1",
		"$JS.API.STREAM.MSG.DELETE.ALERTS", "$JS.API.STREAM.MSG.DELETE.LEDGER",
	},
	"all": {
		"fetch.due.x", "$JS.API.STREAM.MSG.DELETE.LEDGER", "$JS.API.STREAM.MSG.DELETE.ITEMS",
		"$JS.API.CONSUMER.CREATE.ITEMS.matcher", "$JS.API.CONSUMER.DELETE.ITEMS.matcher", "$JS.API.CONSUMER.DELETE.MATCHES.notifier",
	},
	"status": {
		"items.en.x", "fetch.schedule.x", "matches.armed", "alerts.high.armed", "outbox.due.mail.x", "ledger.planned.mail", "dead.channel.x", "$KV.health.process.x", "$KV.silences.all",
		"$JS.API.CONSUMER.CREATE.ITEMS.spy", "$JS.API.DIRECT.GET.KV_sent.$KV.sent.x", "$JS.API.STREAM.MSG.GET.ALERTS", "$JS.API.CONSUMER.MSG.NEXT.ITEMS.matcher",
		"$JS.ACK.ITEMS.matcher.1.1.1.1.1", "$JS.API.STREAM.MSG.DELETE.DEAD",
	},
}

// foreignToAll is what no running process may do.
var foreignToAll = []string{
	"$JS.API.STREAM.CREATE.SPY", "$JS.API.STREAM.UPDATE.ITEMS", "$JS.API.STREAM.DELETE.ITEMS", "$JS.API.STREAM.PURGE.ITEMS", "$JS.API.STREAM.DELETE.KV_sent", "$JS.API.STREAM.PURGE.LEDGER",
	"$JS.API.CONSUMER.DURABLE.CREATE.ITEMS.matcher", "$JS.API.CONSUMER.CREATE.ITEMS", "$JS.API.CONSUMER.CREATE.FETCH.fetcher", "$JS.API.CONSUMER.DELETE.FETCH.fetcher",
	"$JS.API.CONSUMER.CREATE.OUTBOX.channel-mail", "$JS.API.CONSUMER.DELETE.OUTBOX.channel-mail",
	"$JS.API.STREAM.SNAPSHOT.ALERTS", "$JS.API.STREAM.RESTORE.ALERTS", "$JS.API.STREAM.LEADER.STEPDOWN.ITEMS", "$JS.API.STREAM.PEER.REMOVE.ITEMS", "$JS.API.META.LEADER.STEPDOWN", "$JS.API.CONSUMER.RESET.ITEMS.matcher",
	"$JS.API.CONSUMER.UNPIN.MATCHES.notifier", "$JS.API.CONSUMER.PAUSE.MATCHES.notifier", "$SYS.REQ.SERVER.PING.JSZ", "$SYS.REQ.SERVER.X.RELOAD", "some.other.subject",
}

// TestNoKeyDoesWhatIsNotItsOwn asks a real server with the real configuration.
func TestNoKeyDoesWhatIsNotItsOwn(t *testing.T) {
	t.Parallel()
	k := bustest.Keyed(t, nil)
	setUp(t, k)
	listen := []string{">", "items.>", "outbox.>", "$KV.>", "$JS.>", "$JS.API.>", "$JS.ACK.>", "$SYS.>", "_INBOX.>", "_INBOX_admin.>", "_INBOX_fetcher2.>"}
	for _, user := range []string{"fetcher", "matcher", "notifier", bus.UserAll, bus.RoleStatus} {
		t.Run(user, func(t *testing.T) {
			t.Parallel()
			things := slices.Concat(foreign[user], foreignToAll)
			said := complaints(t, k, user, things, listen)
			for _, s := range things {
				if !strings.Contains(said, `Publish to "`+s+`"`) {
					t.Errorf("it may publish to %s", s)
				}
			}
			for _, s := range listen {
				if !strings.Contains(said, `Subscription to "`+s+`"`) {
					t.Errorf("it may listen to %s", s)
				}
			}
			t.Logf("%d subjects refused", strings.Count(said, "Permissions Violation"))
		})
	}
}

// complaints is all that a server says while a user publishes and subscribes.
func complaints(t *testing.T, k *bustest.KeyedServer, user string, publish, subscribe []string) string {
	t.Helper()
	key, err := nats.NkeyOptionFromSeed(k.Seed(user))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var said strings.Builder
	closed := make(chan struct{})
	nc, err := nats.Connect(k.ClientURL(), key, nats.NoReconnect(), nats.ClosedHandler(func(*nats.Conn) { close(closed) }), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		mu.Lock()
		defer mu.Unlock()
		said.WriteString(err.Error() + "\n")
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for _, s := range publish {
		if err := nc.Publish(s, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range subscribe {
		if _, err := nc.SubscribeSync(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.FlushTimeout(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	nc.Close()
	<-closed // all that the server had said was handed over before
	mu.Lock()
	defer mu.Unlock()
	return said.String()
}

func TestEveryRoleWorksWithItsKey(t *testing.T) {
	t.Parallel()
	k := bustest.Keyed(t, nil)
	setUp(t, k)
	sees := map[string]string{
		"fetcher": "", "matcher": "", "notifier": "ITEMS MATCHES ALERTS LEDGER DEAD", bus.UserAll: "ITEMS MATCHES ALERTS LEDGER DEAD", bus.RoleStatus: "", bus.UserAdmin: "ITEMS MATCHES ALERTS LEDGER DEAD",
	}
	for user, want := range sees {
		b, err := bustest.TryOpen(t, k.As(user), channels("mail", "siem"))
		if err != nil {
			t.Fatalf("%s: %v", user, err)
		}
		var seen []string
		for _, s := range []string{"ITEMS", "MATCHES", "ALERTS", "LEDGER", "DEAD"} {
			if b.Sees(s) {
				seen = append(seen, s)
			}
		}
		if got := strings.Join(seen, " "); got != want {
			t.Errorf("%s sees %q, want %q", user, got, want)
		}
		if st, err := b.Status(ctxOf(t)); err != nil || len(st.Streams) == 0 || !st.SyncAlways {
			t.Errorf("%s: status %+v %v", user, st, err)
		}
	}
}

func TestAMatcherWithItsKeyMatches(t *testing.T) {
	t.Parallel()
	k := bustest.Keyed(t, nil)
	setUp(t, k)
	b, err := bustest.TryOpen(t, k.As("matcher"))
	if err != nil {
		t.Fatal(err)
	}
	b.Hasten(2*time.Second, 300*time.Millisecond, 20*time.Millisecond)
	ctx := ctxOf(t)
	if _, err := b.PublishMatch(ctx, news.Match{ID: "m", Watchlist: "w"}); err != nil {
		t.Error(err)
	}
	if _, err := b.State("watchlists").Put(ctx, "set", []byte("x"), 0); err != nil {
		t.Error(err)
	}
	if _, err := b.State("health").Keys(ctx); err != nil {
		t.Error(err)
	}
	start(t, func(ctx context.Context) error {
		return b.ConsumeItems(ctx, 1, func(context.Context, news.Item, bus.Meta) error { return nil })
	})
	settled(t, b, "matcher")
	// A foreign subject is refused in words, not with a timeout.
	_, err = b.PublishItem(ctx, item("x"))
	if err == nil || errors.Is(err, bus.ErrUnavailable) {
		t.Fatal(err)
	}
	contains(t, err.Error(), "subject items.en.feed1", "may not publish", "grant the right")
	err = b.ReadAlerts(ctx, time.Time{}, false, func(news.Alert, bus.Meta) error { return nil })
	if err == nil {
		t.Fatal("it reads alerts")
	}
	contains(t, err.Error(), "stream ALERTS", "may not read", "notifier")
}

// TestAnAnswerIsNoWayIntoAnotherStream has the server put a stored message of the fetcher where only the notifier may: by naming that subject for the
// answer to a request, which no server checks. Nothing of it reaches a channel.
func TestAnAnswerIsNoWayIntoAnotherStream(t *testing.T) {
	t.Parallel()
	k := bustest.Keyed(t, nil)
	setUp(t, k)
	key, err := nats.NkeyOptionFromSeed(k.Seed("fetcher"))
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(k.ClientURL(), key, nats.CustomInboxPrefix("_INBOX_fetcher"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	forged, err := news.Encode(delivery("forged"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Request("$KV.feedstate.x", forged, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	// A schedule of its own that fires, and is asked for with the same kind of answer: OUTBOX refuses what another stream's schedule made.
	m := nats.NewMsg("fetch.schedule.x")
	m.Header.Set("Nats-Schedule", "@at "+time.Now().UTC().Format(time.RFC3339Nano))
	m.Header.Set("Nats-Schedule-Target", "fetch.due.x")
	m.Data = forged
	if _, err := nc.RequestMsg(m, 10*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, ask := range []string{"$JS.API.DIRECT.GET.KV_feedstate.$KV.feedstate.x", "$JS.API.CONSUMER.MSG.NEXT.FETCH.fetcher"} {
		if err := nc.PublishRequest(ask, "outbox.due.mail.forged", nil); err != nil {
			t.Fatal(err)
		}
	}
	b, err := bustest.TryOpen(t, k.As("notifier"), channels("mail", "siem"))
	if err != nil {
		t.Fatal(err)
	}
	var sent atomic.Int64
	start(t, func(ctx context.Context) error {
		return b.ConsumeDeliveries(ctx, "mail", 1, func(context.Context, news.Delivery, bus.Meta) error { sent.Add(1); return nil })
	})
	var dead []news.DeadLetter
	eventually(t, "the forged delivery is a dead letter", func() bool {
		dead = nil
		err := b.ReadDead(ctxOf(t), time.Time{}, false, func(d news.DeadLetter, _ bus.Meta) error { dead = append(dead, d); return nil })
		return err == nil && len(dead) > 0
	})
	for _, d := range dead {
		if d.Reason != bus.DeadForwarded || d.Channel != "mail" {
			t.Errorf("%+v", d)
		}
	}
	settled(t, b, "channel-mail")
	if sent.Load() != 0 {
		t.Errorf("%d forged deliveries were sent", sent.Load())
	}
}

// TestMissingRightsAreToldAtStart takes single rights away, and then all of them.
func TestMissingRightsAreToldAtStart(t *testing.T) {
	t.Parallel()
	k := bustest.Keyed(t, cut(`"dead.matcher.*"`, `"$JS.API.CONSUMER.MSG.NEXT.FETCH.fetcher"`, `"$KV.sent.>"`, `"$JS.API.INFO"`))
	setUp(t, k)
	for user, lost := range map[string]string{"matcher": "dead.matcher.*", "fetcher": "$JS.API.CONSUMER.MSG.NEXT.FETCH.fetcher", "notifier": "$KV.sent.>", bus.RoleStatus: "$JS.API.INFO"} {
		text := refused(t, k.As(user))
		contains(t, text, "subject "+lost+": this key may not publish to it: grant the right to the user of "+user, "tocsin nats permissions", "subject $JS.API.INFO: ")
		want := 2
		if user == bus.RoleStatus {
			want = 1
		}
		if n := strings.Count(text, "\n") + 1; n != want {
			t.Errorf("%s: %d faults, want %d", user, n, want)
		}
	}
	all := allowed(t, bus.Permissions())
	none := bustest.Keyed(t, func(conf string) string {
		for _, subjects := range all {
			for _, s := range subjects {
				conf = strings.ReplaceAll(conf, "              \""+s+"\"\n", "")
			}
		}
		return strings.ReplaceAll(conf, "allow: [\n", "allow: [\n\"nothing\"\n")
	})
	for user, subjects := range all {
		text := refused(t, none.As(user))
		for _, s := range subjects {
			contains(t, text, "subject "+s+": this key")
		}
		if n := strings.Count(text, "\n") + 1; n != len(subjects) {
			t.Errorf("%s: %d faults for %d rights", user, n, len(subjects))
		}
	}
}

// allowed reads what the configuration allows each user to publish.
func allowed(t *testing.T, conf string) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	user, inside := "", false
	for line := range strings.Lines(conf) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "nkey: $tocsin_"):
			user = strings.TrimPrefix(line, "nkey: $tocsin_")
		case line == "allow: [":
			inside = true
		case line == "]":
			inside = false
		case inside:
			out[user] = append(out[user], strings.Trim(line, `"`))
		}
	}
	if len(out) != 5 || len(out["notifier"]) < 50 {
		t.Fatalf("the configuration is read as %v", out)
	}
	return out
}
