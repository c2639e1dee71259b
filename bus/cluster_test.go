package bus_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"tocsin/bus"
	"tocsin/bus/bustest"
	"tocsin/news"
)

// cluster runs three servers that keep three copies of everything.
func cluster(t *testing.T) (servers []*server.Server, urls string) {
	t.Helper()
	var routes []*url.URL
	var ports []int
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
		routes = append(routes, &url.URL{Scheme: "nats", Host: l.Addr().String()})
		l.Close()
	}
	var wg sync.WaitGroup
	servers = make([]*server.Server, 3)
	for i := range 3 {
		wg.Go(func() {
			servers[i] = bustest.Server(t, func(o *server.Options) {
				o.ServerName, o.Routes = fmt.Sprint("n", i), routes
				o.Cluster = server.ClusterOpts{Name: "C", Host: "127.0.0.1", Port: ports[i]}
			})
		})
	}
	wg.Wait()
	eventually(t, "the cluster has a leader", func() bool {
		for _, s := range servers {
			if s.JetStreamIsLeader() {
				return len(s.JetStreamClusterPeers()) == 3
			}
		}
		return false
	})
	var all []string
	for _, s := range servers {
		all = append(all, s.ClientURL())
	}
	return servers, strings.Join(all, ",")
}

// The whole of the product's use of a cluster, with one server killed in the middle.
func TestCluster(t *testing.T) {
	t.Parallel()
	servers, urls := cluster(t)
	contains(t, refused(t, at(urls), func(o *bus.Options) { o.Replicas = 1 }), "one copy in a cluster is lost with its server")
	b, err := bustest.TryOpen(t, at(urls), channels("mail"), func(o *bus.Options) { o.Setup = true })
	if err != nil {
		t.Fatal(err)
	}
	ctx := ctxOf(t)
	if st, err := b.Status(ctx); err != nil || st.Replicas != 3 {
		t.Errorf("%+v %v", st, err)
	}
	other, err := bustest.TryOpen(t, at(urls), channels("mail")) // the same table, only compared
	if err != nil {
		t.Fatal(err)
	}
	closeBus(t, other)

	s := b.State("sent")
	rev, err := s.Put(ctx, "k", []byte("1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(ctx, "k", []byte("2"), 0); !errors.Is(err, news.ErrConflict) {
		t.Errorf("second create: %v", err)
	}
	if _, err := s.Put(ctx, "k", []byte("2"), rev+7); !errors.Is(err, news.ErrConflict) {
		t.Errorf("wrong revision: %v", err)
	}
	if created, err := b.EnsureFetch(ctx, "f", time.Now().Add(time.Second)); err != nil || !created {
		t.Error(created, err)
	}
	if created, err := b.EnsureFetch(ctx, "f", time.Now()); err != nil || created {
		t.Error(created, err)
	}
	var mu sync.Mutex
	polls, seen := 0, map[string]bool{}
	start(t, func(ctx context.Context) error {
		return b.ConsumeDue(ctx, 1, func(context.Context, string) error { mu.Lock(); defer mu.Unlock(); polls++; return nil })
	})
	start(t, func(ctx context.Context) error {
		return b.ConsumeItems(ctx, 2, func(_ context.Context, it news.Item, _ bus.Meta) error {
			mu.Lock()
			defer mu.Unlock()
			seen[it.ID] = true
			return nil
		})
	})
	for i := range 60 {
		if i == 20 {
			for _, s := range servers {
				if s.JetStreamIsStreamLeader("$G", "ITEMS") {
					s.Shutdown()
					break // only one: its office passes to the next at once
				}
			}
		}
		began := time.Now()
		if _, err := b.PublishItem(ctx, item(fmt.Sprint(i))); err != nil {
			t.Fatalf("item %d after %s: %v", i, time.Since(began), err)
		}
		if d := time.Since(began); d > time.Second {
			t.Logf("item %d took %s: an election", i, d)
		}
	}
	// What was under way to a consumer whose leader died comes again after its AckWait: 30 s for items, 60 s for polls.
	within(t, 80*time.Second, "every item and the poll", func() bool { mu.Lock(); defer mu.Unlock(); return len(seen) == 60 && polls == 1 })
	if got := readIDs(t, b, time.Time{}); len(got) != 60 {
		t.Errorf("%d items stored", len(got))
	}
}
