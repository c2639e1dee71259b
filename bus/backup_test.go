package bus_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/bus"
	"tocsin/bus/bustest"
	"tocsin/news"
)

func backupOf(t *testing.T, b *bus.Bus) *bytes.Buffer {
	t.Helper()
	var out bytes.Buffer
	if _, err := b.Backup(ctxOf(t), &out); err != nil {
		t.Fatal(err)
	}
	return &out
}

// restored opens what a backup gives in a new store: inside, or on a server of its own with keys.
func restored(t *testing.T, data []byte, o *bus.Options) *bus.Bus {
	t.Helper()
	o.Log, o.MaxStore, o.Channels = bustest.Log(t), 1<<30, []string{"mail"}
	if err := bus.Restore(ctxOf(t), *o, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	b, err := bustest.TryOpen(t, func(x *bus.Options) { *x = *o })
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestABackupCarriesEverythingOver takes a backup of a bus inside to a cluster's account and back again.
func TestABackupCarriesEverythingOver(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, channels("mail"))
	ctx := ctxOf(t)
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			it := item(fmt.Sprint("i", i))
			it.Body = fmt.Sprintf("%01000d", i)
			if _, err := b.PublishItem(ctx, it); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, err := b.State("sent").Put(ctx, "mail.x", []byte("sent"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := b.EnsureFetch(ctx, "f", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	done := start(t, func(ctx context.Context) error {
		return b.ConsumeItems(ctx, 4, func(context.Context, news.Item, bus.Meta) error { return nil })
	})
	settled(t, b, "matcher")
	done()
	want := readIDs(t, b, time.Time{})
	k := bustest.Keyed(t, nil)
	o := &bus.Options{}
	k.As(bus.UserAdmin)(o)
	out := restored(t, backupOf(t, b).Bytes(), o)
	back := restored(t, backupOf(t, out).Bytes(), &bus.Options{Dir: t.TempDir()})
	for name, x := range map[string]*bus.Bus{"outside": out, "inside again": back} {
		if got := readIDs(t, x, time.Time{}); len(got) != 300 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %d items", name, len(got))
		}
		if v, _, err := x.State("sent").Get(ctx, "mail.x"); err != nil || string(v) != "sent" {
			t.Errorf("%s: %q %v", name, v, err)
		}
		if created, err := x.EnsureFetch(ctx, "f", time.Now()); err != nil || created {
			t.Errorf("%s: the schedule of the feed is gone: %v", name, err)
		}
		// A server that goes on after a restore (2.15.2) knows no ids of what it has restored until it is started again.
		if dup, err := x.PublishItem(ctx, item("i7")); err != nil || !dup && x == back {
			t.Errorf("%s: a known item is stored again: %v", name, err)
		}
		var again atomic.Int64
		start(t, func(ctx context.Context) error {
			return x.ConsumeItems(ctx, 4, func(context.Context, news.Item, bus.Meta) error { again.Add(1); return nil })
		})
		settled(t, x, "matcher")
		if n := again.Load(); n < 256 || n > 257 && x == out {
			t.Errorf("%s: %d of 300 items are handed out again: it is to be what may have been under way", name, n)
		}
	}
	if err := bus.Restore(ctx, *o, bytes.NewReader(backupOf(t, out).Bytes())); err == nil {
		t.Error("a restore over streams is accepted")
	} else {
		contains(t, err.Error(), "stream ITEMS: it is there already", "empty account")
	}
	o.NKeyFile, o.Role = k.Seed("notifier"), "notifier"
	n, err := bustest.TryOpen(t, func(x *bus.Options) { *x = *o })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.Backup(ctx, &bytes.Buffer{}); err == nil {
		t.Error("the notifier's key makes backups")
	} else {
		contains(t, err.Error(), "may not", "user admin")
	}
}

func TestABrokenBackupIsRefused(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, channels("mail"))
	for i := range 20 {
		if _, err := b.PublishItem(ctxOf(t), item(fmt.Sprint("i", i))); err != nil {
			t.Fatal(err)
		}
	}
	data := backupOf(t, b).Bytes()
	if rows, err := bus.CheckBackup(bytes.NewReader(data)); err != nil || len(rows) != 13 || rows[2].Stream != "ITEMS" || rows[2].Messages != 20 || rows[2].Bytes == 0 {
		t.Errorf("%+v %v", rows, err)
	}
	for n := 0; n < len(data)-3*512; n += 1 + len(data)/97 { // after its last entry a tar file has only padding
		if _, err := bus.CheckBackup(bytes.NewReader(data[:n])); err == nil {
			t.Errorf("a backup that is cut after %d of %d bytes is whole", n, len(data))
		}
	}
	gap := bytes.Replace(bytes.Clone(data), []byte("ITEMS/000001"), []byte("ITEMT/000001"), 1)
	for name, bad := range map[string][]byte{"no tar": []byte("hello"), "another stream's piece": gap} {
		if _, err := bus.CheckBackup(bytes.NewReader(bad)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
