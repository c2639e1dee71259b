package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/cmd/tocsin/newsroom"
)

// TestBackupUnderLoadLosesNothing backs up a running instance while planted mentions flow, lets it go on, kills it, throws its store away and restores
// the backup: every mention arrives under one id, and what had arrived before the backup began does not arrive again.
func TestBackupUnderLoadLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("breaks processes of its own for a minute or two: nothing of this process runs at the same time")
	}
	t.Parallel()
	mentions := 200
	w, err := newsroom.Flood(mentions, 10, newsroom.Options{Seed: 11, Span: 16 * time.Second, Interval: time.Second, Keep: 10 * time.Minute, Window: mentions})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	dir, addr := t.TempDir(), freeAddr(t)
	config, file := floodConfig(t, w, dir, addr, ""), filepath.Join(dir, "backup.tar")
	p := start(t, config, addr)
	arrived := func(hooks, mails int) func() bool {
		return func() bool { h, m := arrivals(w); return len(h) >= hooks && len(m) >= mails }
	}
	waitFor(t, 120*time.Second, "some mentions", arrived(mentions/5, mentions/5))
	hooks, mails := arrivals(w)
	// One delivery at a time for each channel: when a second one comes, all that was counted is noted as sent.
	waitFor(t, 120*time.Second, "the next ones", arrived(len(hooks)+2, len(mails)+2))
	if out := expect(t, exitOK, "backup", file, "--config", config); !strings.Contains(out, "KV_sent") {
		t.Errorf("backup: %s", out)
	}
	atBackup, _ := arrivals(w)
	waitFor(t, 120*time.Second, "more after the backup", arrived(len(atBackup)+10, len(mails)+10))
	p.kill()
	if err := os.RemoveAll(filepath.Join(dir, "data")); err != nil {
		t.Fatal(err)
	}
	if out := expect(t, exitOK, "restore", file, "--config", config); !strings.HasSuffix(out, "restored\n") {
		t.Errorf("restore: %s", out)
	}
	if out := expect(t, exitFailed, "restore", file, "--config", config); !strings.Contains(out, "stream ITEMS: it is there already") {
		t.Errorf("a restore over a store: %s", out)
	}
	p = start(t, config, addr)
	waitArrived(t, w, p, mentions, 150*time.Second)
	waitFor(t, 120*time.Second, "the queue to be empty", func() bool {
		var rep ledgerReport
		if err := json.Unmarshal([]byte(p.get("/api/v1/ledger/check")), &rep); err != nil {
			t.Fatal(err)
		}
		return rep.Channels["hook"].Pending == 0 && rep.Channels["mail"].Pending == 0
	})
	allHooks, allMails := arrivals(w)
	t.Logf("webhook: %d ids, %d repeated; mail: %d ids, %d repeated; %d and %d before the backup", len(allHooks), repeats(allHooks), len(allMails), repeats(allMails), len(hooks), len(mails))
	if len(allHooks) != mentions || len(allMails) != mentions {
		t.Errorf("%d webhook ids and %d mail ids for %d mentions: something was told under two ids", len(allHooks), len(allMails), mentions)
	}
	for id := range hooks {
		if allHooks[id] != 1 {
			t.Errorf("webhook %s, sent before the backup, came %d times", id, allHooks[id])
		}
	}
	for id := range mails {
		if allMails[id] != 1 {
			t.Errorf("mail %s, sent before the backup, came %d times", id, allMails[id])
		}
	}
	if err := p.interrupt(40 * time.Second); err != nil {
		t.Error(err)
	}
	if out := expect(t, exitOK, "backup", file, "--config", config); !strings.Contains(out, "LEDGER") { // nobody runs: the store itself is read
		t.Errorf("backup of the store: %s", out)
	}
}
