//go:build chaos

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tocsin/cmd/tocsin/newsroom"
)

// natsNode is one server of a cluster, as a process of its own.
type natsNode struct {
	name, config, client, monitor string
	dir                           string
	links                         []*link // all connections between it and the others
	p                             *proc
}

// natsCluster are three servers that keep three copies and sync every write. They reach one another through links of the test, which can be cut.
type natsCluster struct {
	t     testing.TB
	nodes [3]*natsNode
}

// startCluster makes a cluster and waits for its leader. dirs may name directories for some of the nodes.
func startCluster(t testing.TB, dirs ...string) *natsCluster {
	t.Helper()
	c := &natsCluster{t: t}
	var routes [3]string // addresses of the cluster's own listeners
	for i := range c.nodes {
		routes[i] = freeAddr(t)
		c.nodes[i] = &natsNode{name: fmt.Sprint("n", i), client: freeAddr(t), monitor: freeAddr(t), dir: t.TempDir()}
		if i < len(dirs) {
			c.nodes[i].dir = dirs[i]
		}
	}
	for i, n := range c.nodes {
		var ways []string
		for j, to := range c.nodes {
			if i != j {
				l := openLink(t, routes[j])
				n.links, to.links = append(n.links, l), append(to.links, l)
				ways = append(ways, fmt.Sprintf("%q", "nats://"+l.addr))
			}
		}
		n.config = write(t, t.TempDir(), "nats.conf", fmt.Sprintf(`
server_name: %s
listen: %q
http: %q
max_payload: 1MB
jetstream { store_dir: %q, sync_interval: always, max_file_store: 8GB }
cluster { name: C, listen: %q, advertise: "127.0.0.1:1", routes: [%s] } # nobody is at that port: routes lead through the links only
`, n.name, n.client, n.monitor, n.dir, routes[i], strings.Join(ways, ", ")))
		n.start(t)
	}
	waitFor(t, time.Minute, "the cluster to have a leader that sees all", func() bool { return c.leader("") != nil && c.whole() })
	return c
}

func (n *natsNode) start(t testing.TB) {
	cmd := exec.Command("nats-server", "-c", n.config)
	n.p = startCommand(t, cmd, n.config, n.monitor)
}

func (n *natsNode) signal(s syscall.Signal) { _ = n.p.cmd.Process.Signal(s) }

func (n *natsNode) cut(cut bool) {
	for _, l := range n.links {
		l.set(cut)
	}
}

// urls is what bus.url holds.
func (c *natsCluster) urls() string {
	var out []string
	for _, n := range c.nodes {
		out = append(out, "nats://"+n.client)
	}
	return strings.Join(out, ",")
}

type jsz struct {
	Meta struct {
		Leader string `json:"leader"`
		Size   int    `json:"cluster_size"`
	} `json:"meta_cluster"`
	Accounts []struct {
		Streams []struct {
			Name    string
			Cluster struct{ Leader string }
			State   struct {
				Messages int `json:"messages"`
			}
		} `json:"stream_detail"`
	} `json:"account_details"`
}

func (n *natsNode) state() (s jsz, ok bool) {
	client := http.Client{Timeout: time.Second}
	resp, err := client.Get("http://" + n.monitor + "/jsz?streams=true")
	if err != nil {
		return s, false
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s) == nil
}

// leader is the node that leads a stream, or everything when it is "". nil while there is none, or it does not answer.
func (c *natsCluster) leader(stream string) *natsNode {
	for _, n := range c.nodes {
		s, ok := n.state()
		if !ok {
			continue
		}
		name := s.Meta.Leader
		for _, a := range s.Accounts {
			for _, x := range a.Streams {
				if x.Name == stream {
					name = x.Cluster.Leader
				}
			}
		}
		for _, l := range c.nodes {
			if l.name == name {
				return l
			}
		}
	}
	return nil
}

// whole tells that every node answers and knows a leader among three.
func (c *natsCluster) whole() bool {
	for _, n := range c.nodes {
		if s, ok := n.state(); !ok || s.Meta.Leader == "" || s.Meta.Size != 3 {
			return false
		}
	}
	return true
}

// link carries TCP connections to one address until it is cut. A cut loses everything without a word, as a network does; when it is mended the old
// connections break.
type link struct {
	addr, to string

	mu    sync.Mutex
	off   chan struct{} // closed while it is whole
	conns map[net.Conn]bool
}

func openLink(t testing.TB, to string) *link {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &link{addr: l.Addr().String(), to: to, off: make(chan struct{}), conns: map[net.Conn]bool{}}
	close(x.off)
	t.Cleanup(func() {
		_ = l.Close()
		x.set(false)
		x.drop()
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go x.carry(c)
		}
	}()
	return x
}

func (l *link) set(cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.off:
		if cut {
			l.off = make(chan struct{})
		}
	default:
		if !cut {
			close(l.off)
			for c := range l.conns {
				_ = c.Close()
			}
		}
	}
}

func (l *link) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.Close()
	}
}

// whole waits until the link is not cut.
func (l *link) whole() {
	l.mu.Lock()
	off := l.off
	l.mu.Unlock()
	<-off
}

func (l *link) carry(a net.Conn) {
	defer a.Close()
	l.whole()
	b, err := net.DialTimeout("tcp", l.to, 5*time.Second)
	if err != nil {
		return
	}
	defer b.Close()
	l.mu.Lock()
	l.conns[a], l.conns[b] = true, true
	l.mu.Unlock()
	var wg sync.WaitGroup
	for _, x := range [][2]net.Conn{{a, b}, {b, a}} {
		wg.Go(func() {
			_ = l.pump(x[1], x[0])
			_, _ = x[0].Close(), x[1].Close()
		})
	}
	wg.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, a)
	delete(l.conns, b)
}

func (l *link) pump(to io.Writer, from io.Reader) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return err
		}
		l.whole()
		if _, err := to.Write(buf[:n]); err != nil {
			return err
		}
	}
}

// crew are the processes of Tocsin on a cluster.
type crew struct {
	t    testing.TB
	bus  string
	dir  string
	text string // of the configuration
	all  map[string]*proc
	made map[string]string // configurations by name
	bin  map[string]string // the program of a process
}

// startCrew makes the streams, then runs so many processes of each role.
func startCrew(t testing.TB, w *newsroom.World, bus string, each int, extra, bin string) *crew {
	t.Helper()
	c := &crew{t: t, bus: bus, dir: t.TempDir(), all: map[string]*proc{}, made: map[string]string{}, bin: map[string]string{}}
	text, err := os.ReadFile(floodConfig(t, w, c.dir, "ADDRESS", extra))
	if err != nil {
		t.Fatal(err)
	}
	c.text = strings.Replace(string(text), "bus: {max_store: 1GiB}", fmt.Sprintf("bus: {url: %q, max_store: 1GiB, setup: true}", bus), 1)
	for i := range each {
		for _, role := range []string{"fetcher", "matcher", "notifier"} {
			c.bin[fmt.Sprint(role, i)] = bin
			c.start(fmt.Sprint(role, i))
		}
		for _, p := range c.all { // the first of each make the streams
			p.waitReady(2 * time.Minute)
		}
	}
	return c
}

// start runs a process, named after its role and a digit.
func (c *crew) start(name string) *proc {
	c.t.Helper()
	addr := freeAddr(c.t)
	text := strings.Replace(c.text, "ADDRESS", addr, 1)
	text = strings.Replace(text, "data_dir: data", "data_dir: "+filepath.Join(c.dir, name), 1)
	cmd := exec.Command(c.bin[name], "run", "--config", write(c.t, c.dir, name+".yaml", text), "--roles", strings.TrimRight(name, "0123456789"))
	c.all[name] = startCommand(c.t, cmd, "", addr)
	return c.all[name]
}

// planning is the notifier that plans, "" while none says so.
func (c *crew) planning() string {
	best, at := "", -1
	for name, p := range c.all {
		out := p.output()
		plans, lost := strings.LastIndex(out, `"this process plans"`), strings.LastIndex(out, `"another process may lead now"`)
		select {
		case <-p.done:
		default:
			if plans > lost && plans > at {
				best, at = name, plans
			}
		}
	}
	return best
}

// anyone is a process that answers, for questions to the whole.
func (c *crew) anyone(role string) *proc {
	for name, p := range c.all {
		if strings.HasPrefix(name, role) {
			return p
		}
	}
	return nil
}
