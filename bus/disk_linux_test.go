package bus_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"tocsin/bus"
	"tocsin/bus/bustest"
	"tocsin/news"
)

// smallDisk mounts a file system of 32 MB. Where that is not allowed it runs the test again in a namespace of its own, where it is; then, or
// where even that is forbidden, ok is false.
func smallDisk(t *testing.T) (dir string, ok bool) {
	t.Helper()
	dir = t.TempDir()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=32m")
	if err == nil {
		t.Cleanup(func() {
			if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
		return dir, true
	}
	const forbidden = "not even in a namespace of its own"
	if os.Getenv("BUS_TEST_NAMESPACE") != "" {
		t.Fatal(forbidden, err)
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "BUS_TEST_NAMESPACE=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err == nil:
		t.Logf("passed in a namespace:\n%s", out)
	case errors.As(err, &exit) && !strings.Contains(string(out), forbidden):
		t.Errorf("failed in a namespace:\n%s", out)
	default:
		t.Logf("no small disk can be made here (%v): only the reserve is tested, by TestReserve", err)
	}
	return "", false
}

func ballast(t *testing.T, dir string, leave int64) (file string) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(dir, "ballast")
	if err := os.WriteFile(file, make([]byte, int64(st.Bavail)*st.Bsize-leave), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// fill publishes until the store is full, and gives what was acked.
func fill(t *testing.T, b *bus.Bus, prefix string) (acked []string, took time.Duration, err error) {
	t.Helper()
	it := item("x")
	it.Body = strings.Repeat("0123456789abcdef", 4<<10)
	for i := 0; ; i++ {
		it.ID = fmt.Sprint(prefix, i)
		d := delivery(it.ID) // OUTBOX is not compressed
		d.Body = []byte(it.Body)
		began := time.Now()
		if _, err := b.PublishDelivery(ctxOf(t), d); err != nil {
			return acked, time.Since(began), err
		}
		if acked = append(acked, it.ID); i > 1000 {
			t.Fatal("the disk does not get full")
		}
	}
}

func TestFullDiskWithoutReserve(t *testing.T) {
	t.Parallel()
	dir, ok := smallDisk(t)
	if !ok {
		return
	}
	fullDisk(t, dir, -1)
}

func TestFullDiskWithReserve(t *testing.T) {
	t.Parallel()
	dir, ok := smallDisk(t)
	if !ok {
		return
	}
	fullDisk(t, dir, 4<<20)
}

func fullDisk(t *testing.T, dir string, reserve int64) {
	reg := prometheus.NewRegistry()
	b := bustest.Open(t, channels("mail"), func(o *bus.Options) { o.Dir, o.DiskReserve, o.Registerer = dir, reserve, reg })
	if _, err := b.State("sent").Put(ctxOf(t), "k", []byte("v"), 0); err != nil {
		t.Fatal(err)
	}
	file := ballast(t, dir, 8<<20)
	acked, took, err := fill(t, b, "a")
	t.Logf("full after %d deliveries; the last publish took %s: %v", len(acked), took, err)
	if !errors.Is(err, bus.ErrStoreFull) || len(acked) == 0 {
		t.Fatalf("after %d: %v", len(acked), err)
	}
	contains(t, err.Error(), dir, "free space on this disk", "goes on by itself")
	if took > 10*time.Second {
		t.Errorf("it took %s to tell", took)
	}
	began := time.Now()
	if _, err := b.PublishItem(ctxOf(t), item("meanwhile")); !errors.Is(err, bus.ErrStoreFull) || time.Since(began) > 2*time.Second {
		t.Errorf("the next publish, after %s: %v", time.Since(began), err)
	}
	if _, err := b.State("sent").Put(ctxOf(t), "k2", []byte("v"), 0); !errors.Is(err, bus.ErrStoreFull) {
		t.Errorf("a state write: %v", err)
	}
	if v, _, err := b.State("sent").Get(ctxOf(t), "k"); err != nil || string(v) != "v" {
		t.Errorf("what is stored cannot be read: %q %v", v, err)
	}
	if st, err := b.Status(ctxOf(t)); err != nil || st.StoreFull == "" {
		t.Errorf("the status does not tell: %+v %v", st, err)
	}
	if err := testutil.GatherAndCompare(reg, strings.NewReader("# HELP tocsin_bus_store_full 1 while the store has no room and publishes are refused.\n"+
		"# TYPE tocsin_bus_store_full gauge\ntocsin_bus_store_full 1\n"), "tocsin_bus_store_full"); err != nil {
		t.Error(err)
	}

	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	eventually(t, "publishing goes on by itself", func() bool {
		_, err := b.PublishItem(ctxOf(t), item("afterwards"))
		return err == nil
	})
	t.Logf("publishing goes on %s after there was room again", time.Since(began))
	var mu sync.Mutex
	left := map[string]bool{}
	for _, id := range acked {
		left[id] = true
	}
	start(t, func(ctx context.Context) error {
		return b.ConsumeDeliveries(ctx, "mail", 2, func(_ context.Context, d news.Delivery, _ bus.Meta) error {
			mu.Lock()
			defer mu.Unlock()
			delete(left, d.ID)
			return nil
		})
	})
	eventually(t, "every acked delivery is there", func() bool { mu.Lock(); defer mu.Unlock(); return len(left) == 0 })
}

// The reserve needs no small disk: one that is larger than the disk is as good.
func TestReserve(t *testing.T) {
	t.Parallel()
	b := bustest.Open(t, func(o *bus.Options) { o.DiskReserve = 1 << 60 })
	began := time.Now()
	_, err := b.PublishItem(ctxOf(t), item("x"))
	if !errors.Is(err, bus.ErrStoreFull) || time.Since(began) > time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	if err := b.ArmFetch(ctxOf(t), "f", time.Now()); !errors.Is(err, bus.ErrStoreFull) {
		t.Errorf("a schedule: %v", err)
	}
}
