package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	askServers = "$SYS.REQ.SERVER.PING.JSZ" // every server answers; only the system account may ask
	askBudget  = 3 * time.Second
	askQuiet   = 500 * time.Millisecond // after the last answer
)

// syncState is what is known about the servers' sync_always.
type syncState struct {
	mu            sync.Mutex
	known, always bool
}

func (s *syncState) set(known, always bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known, s.always = known, always
}

func (s *syncState) get() (known, always bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known, s.always
}

// checkSync asks every server whether it syncs each write. With the default, a power cut loses the last two minutes of acknowledged messages.
func (b *Bus) checkSync(ctx context.Context) (faults Faults) {
	answers, err := b.askSync(ctx)
	if err != nil || len(answers) == 0 {
		b.log.Warn("servers could not be asked whether they sync every write, check sync_interval: always on each", "component", "bus",
			"url", redactURL(b.opts.URL), "err", err)
		return nil
	}
	for name, always := range answers {
		if !always {
			faults.add("server "+name, "it acknowledges messages that are not on disk yet", `set "sync_interval: always" in its jetstream block and restart it`)
		}
	}
	b.sync.set(true, len(faults) == 0)
	b.metrics.syncAlways.Set(boolFloat(len(faults) == 0))
	return faults
}

// askSync gives the answer of each server. It asks with the system key when there is one, else with the product's own connection.
func (b *Bus) askSync(ctx context.Context) (map[string]bool, error) {
	nc := b.link.nc
	if b.opts.SystemNKey != "" {
		opts, faults := credentials(b.opts, b.opts.SystemNKey)
		if err := faults.err(); err != nil {
			return nil, err
		}
		sys, err := nats.Connect(redactURL(b.opts.URL), append(opts, nats.Name("tocsin-doctor"), nats.Timeout(dialTimeout))...)
		if err != nil {
			return nil, fmt.Errorf("connect to the system account: %s", cause(err))
		}
		defer sys.Close()
		nc = sys
	}
	return collectSync(ctx, nc)
}

func collectSync(ctx context.Context, nc *nats.Conn) (map[string]bool, error) {
	inbox := nc.NewRespInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := nc.PublishRequest(askServers, inbox, []byte(`{"config":true}`)); err != nil {
		return nil, err
	}
	answers := map[string]bool{}
	ctx, cancel := context.WithTimeout(ctx, askBudget)
	defer cancel()
	for wait := askBudget; ; wait = askQuiet {
		quiet, done := context.WithTimeout(ctx, wait)
		m, err := sub.NextMsgWithContext(quiet)
		done()
		switch {
		case err != nil && len(answers) > 0:
			return answers, nil
		case err != nil:
			return nil, errors.New("no answer to " + askServers)
		case m.Header.Get("Status") == "503":
			return nil, errors.New("this key is not of the system account")
		}
		if name, always, ok := readSync(m.Data); ok {
			answers[name] = always
		}
	}
}

// readSync reads one server's answer. sync_interval is no help: it shows 2 min even under "always". Servers without JetStream do not count.
func readSync(data []byte) (name string, always, ok bool) {
	var a struct {
		Server struct{ Name, ID string }
		Data   struct {
			Disabled bool
			Config   struct {
				SyncAlways bool   `json:"sync_always"`
				StoreDir   string `json:"store_dir"`
			}
		}
	}
	if err := json.Unmarshal(data, &a); err != nil || a.Data.Disabled || a.Data.Config.StoreDir == "" {
		return "", false, false
	}
	name = strings.TrimSpace(a.Server.Name)
	if name == "" {
		name = a.Server.ID
	}
	return name, a.Data.Config.SyncAlways, true
}
