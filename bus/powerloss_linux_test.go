package bus_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tocsin/bus"
	"tocsin/bus/bustest"
)

// power is an ext4 file system in a file. Cutting it loses all that was not synced, journal included, as a machine without power does.
type power struct {
	t          *testing.T
	image, dir string
}

func newPower(t *testing.T) *power {
	t.Helper()
	p := &power{t: t, image: filepath.Join(t.TempDir(), "disk"), dir: t.TempDir()}
	f, err := os.Create(p.image)
	if err != nil {
		t.Fatal(err)
	}
	err = f.Truncate(3 << 30) // sparse; batches are used only where there is room
	if err2 := f.Close(); err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", p.image).CombinedOutput(); err != nil {
		t.Skipf("data test left out: no ext4 file system can be made here: %v %s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", p.image, p.dir).CombinedOutput(); err != nil {
		t.Skipf("data test left out: a file system of its own needs root and a loop device: %v %s", err, out)
	}
	t.Cleanup(func() { _ = syscall.Unmount(p.dir, syscall.MNT_DETACH) })
	return p
}

// cut ends every write to the file system at once: EXT4_IOC_SHUTDOWN without a flush of the log.
func (p *power) cut() {
	p.t.Helper()
	const shutdown, withoutFlush = 0x8004587d, 2
	f, err := os.Open(p.dir)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	if err := unix.IoctlSetPointerInt(int(f.Fd()), shutdown, withoutFlush); err != nil {
		p.t.Fatalf("cut the power: %v", err)
	}
}

// restore mounts it again; the journal is played back.
func (p *power) restore() {
	p.t.Helper()
	if err := syscall.Unmount(p.dir, 0); err != nil {
		p.t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-o", "loop", p.image, p.dir).CombinedOutput(); err != nil {
		p.t.Fatalf("mount again: %v %s", err, out)
	}
}

// TestNothingAckedIsLostByPowerLoss cuts the power below a store under load, twice each for single publishes and for crowds that go to disk
// together. The program lives on for a moment; what it acknowledges then is reported and not judged: a sync that is under way when ext4 is shut
// down may return without an error once its transaction was thrown away, which no machine without power lives to see.
func TestNothingAckedIsLostByPowerLoss(t *testing.T) {
	const before = 300 // acknowledgements, then the cut
	p := newPower(t)
	for round, role := range []string{"publish", "crowd", "publish", "crowd"} {
		dir := filepath.Join(p.dir, fmt.Sprint("data", round))
		cmd, lines := spawn(t, role, dir)
		var acked []string
		for lines.Scan() {
			id, ok := strings.CutPrefix(lines.Text(), "acked ")
			if !ok {
				continue // what fails after the cut
			}
			if acked = append(acked, id); len(acked) == before {
				p.cut()
				time.AfterFunc(500*time.Millisecond, func() { _ = cmd.Process.Kill() })
			}
		}
		_ = cmd.Wait()
		p.restore()
		b := bustest.Open(t, func(o *bus.Options) { o.Dir = dir })
		stored := readIDs(t, b, time.Time{})
		slices.Sort(stored)
		lost := slices.DeleteFunc(slices.Clone(acked), func(id string) bool { _, ok := slices.BinarySearch(stored, id); return ok })
		if len(acked) < before || slices.ContainsFunc(lost, func(id string) bool { return slices.Contains(acked[:before], id) }) {
			t.Errorf("round %d (%s): of %d acknowledged, %d before the cut, lost: %q", round, role, len(acked), before, lost)
		}
		t.Logf("round %d (%s): %d acknowledged, %d stored, not stored of those after the cut: %q", round, role, len(acked), len(stored), lost)
		closeBus(t, b)
	}
}
