package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// names is a DNS server for tests: every name has the address that lookup gives for its nth query.
func names(t *testing.T, lookup func(name string, n int) []netip.Addr) {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", c.LocalAddr().String())
	}}
	t.Cleanup(func() { net.DefaultResolver = before; _ = c.Close() })
	go func() {
		buf, asked := make([]byte, 1500), map[string]int{}
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return // closed
			}
			name, kind := question(buf[:n])
			var addrs []netip.Addr
			if kind == 1 {
				asked[name]++
				addrs = lookup(name, asked[name])
			}
			_, _ = c.WriteTo(respond(buf[:n], addrs), from) // who does not hear it asks again
		}
	}()
}

// question reads the name and type that a DNS message asks for (RFC 1035, 4.1.2).
func question(m []byte) (name string, kind uint16) {
	var labels []string
	i := 12
	for i < len(m) && m[i] != 0 {
		n := int(m[i])
		labels = append(labels, string(m[i+1:i+1+n]))
		i += n + 1
	}
	return strings.Join(labels, "."), binary.BigEndian.Uint16(m[i+1:])
}

// respond gives the message that says that the name of the question has these IPv4 addresses.
func respond(q []byte, addrs []netip.Addr) []byte {
	end := 12
	for q[end] != 0 {
		end += int(q[end]) + 1
	}
	m := append([]byte{}, q[:end+5]...)
	m[2], m[3] = 0x81, 0x80
	binary.BigEndian.PutUint16(m[6:], uint16(len(addrs)))
	m[8], m[9], m[10], m[11] = 0, 0, 0, 0
	for _, a := range addrs {
		m = append(m, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		ip := a.As4()
		m = append(m, ip[:]...)
	}
	return m
}

// hostile are hosts that lead, or would lead, into networks that nobody opened. A name stands for what a resolver may make of it: it resolves to
// 127.0.0.1 here.
func hostile() []string {
	return []string{
		"127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.254", "192.168.0.1", "192.168.255.1",
		"169.254.0.1", "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200", "100.127.255.254", "192.0.0.1", "192.0.0.192", "192.0.2.1",
		"198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "192.88.99.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
		"[::]", "[::1]", "[fe80::1]", "[fc00::1]", "[fd00::1]", "[fd00:ec2::254]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[2001::1]", "[2001:20::1]",
		"[100::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[::ffff:a9fe:a9fe]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]",
		"[64:ff9b:1::a00:1]", "[2002:7f00:1::]", "[2002:a00:1::]", "[2002:a9fe:a9fe::1]", "[2001:0:7f00:1::1]", "[5f00::1]",
		"localhost", "2130706433", "0x7f000001", "017700000001", "0x7f.1", "127.1", "127.0.1", "0177.0.0.1", "0x7f.0x0.0x0.0x1", "localtest.example", "metadata.google.internal",
	}
}

// TestNothingInsideIsDialled: whatever the spelling, an address inside is refused when it is dialled, before anything is sent.
func TestNothingInsideIsDialled(t *testing.T) {
	inside := netip.MustParseAddr("127.0.0.1")
	names(t, func(string, int) []netip.Addr { return []netip.Addr{inside} })
	var reached atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer srv.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(srv.URL, "http://"), ":")
	g := newGuard(nil)
	client, err := g.client("", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(hostile()); n < 40 {
		t.Errorf("only %d addresses", n)
	}
	for _, h := range hostile() {
		resp, err := client.Post("http://"+h+":"+port+"/", "application/json", strings.NewReader("{}"))
		if err == nil {
			_ = resp.Body.Close()
			t.Errorf("%s answers", h)
			continue
		}
		_, literal := netip.ParseAddr(strings.Trim(h, "[]"))
		if !strings.Contains(err.Error(), "is denied") && (literal == nil || !strings.Contains(err.Error(), "no such host")) {
			t.Errorf("%s: not refused by the guard: %v", h, err)
		}
		if c, err := g.dial(t.Context(), "tcp", h+":"+port); err == nil {
			_ = c.Close()
			t.Errorf("%s is dialled for mail", h)
		}
	}
	if reached.Load() != 0 {
		t.Errorf("a server inside was reached %d times", reached.Load())
	}
}

// TestANameThatMoves: a name that resolves to an open address first and to a forbidden one later reaches the open one alone.
func TestANameThatMoves(t *testing.T) {
	open, inside := netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.1")
	names(t, func(name string, n int) []netip.Addr {
		if strings.HasPrefix(name, "both") {
			return []netip.Addr{inside, open}
		}
		return [][]netip.Addr{{inside}, {open}}[n%2]
	})
	var outer, inner atomic.Int32
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	k, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, l, func(http.ResponseWriter, *http.Request) { outer.Add(1) })
	serveOn(t, k, func(http.ResponseWriter, *http.Request) { inner.Add(1) })
	client, err := newGuard([]netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}).client("", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		client.CloseIdleConnections()
		if resp, err := client.Get(fmt.Sprintf("http://%s.example:%s/", []string{"moves", "both"}[i%2], port)); err == nil {
			_ = resp.Body.Close()
		}
	}
	if inner.Load() != 0 || outer.Load() < 8 {
		t.Errorf("the forbidden address was reached %d times, the open one %d", inner.Load(), outer.Load())
	}
}

func serveOn(t *testing.T, l net.Listener, f http.HandlerFunc) {
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: f, ReadHeaderTimeout: time.Minute}}
	s.Start()
	t.Cleanup(s.Close)
}

// TestNetworksAreOpenedByCIDR: a range opens what lies in it and no more, and a metadata service only when it is named alone.
func TestNetworksAreOpenedByCIDR(t *testing.T) {
	allow, err := parseNetworks([]string{"10.20.0.0/16", "fd12:3456::/32", "169.254.0.0/16", "192.168.7.9"})
	if err != nil {
		t.Fatal(err)
	}
	g := newGuard(allow)
	for addr, ok := range map[string]bool{
		"10.20.0.1": true, "10.20.255.254": true, "10.21.0.1": false, "10.19.255.255": false, "fd12:3456::1": true, "fd12:3457::1": false, "192.168.7.9": true,
		"192.168.7.8": false, "169.254.1.1": true, "169.254.169.254": false, "::ffff:10.21.0.1": false, "127.0.0.1": false, "1.1.1.1": true, "2606:4700::1111": true,
	} {
		network := "tcp4"
		if strings.Contains(addr, ":") {
			network = "tcp6"
		}
		if err := g.control(network, net.JoinHostPort(addr, "443"), nil); (err == nil) != ok {
			t.Errorf("%s: %v", addr, err)
		}
	}
	named, err := parseNetworks([]string{"169.254.169.254/32"})
	if err != nil {
		t.Fatal(err)
	}
	if err := newGuard(named).control("tcp4", "169.254.169.254:80", nil); err != nil {
		t.Errorf("a metadata service that was named: %v", err)
	}
}

// webChannels configures every kind of channel that speaks HTTP, at one server. secret names the file that holds each of their secrets.
func webChannels(t testing.TB, dir, server string) (yaml string, ids []string) {
	t.Helper()
	file := func(name, text string) string { write(t, dir, name, text); return name }
	hook := func(kind string) string {
		return fmt.Sprintf("%s: {url_file: %s, allow_http: true}", kind, file(kind+".url", server+"/hooks/CANARY-"+kind+"-url"))
	}
	for _, c := range []string{
		fmt.Sprintf("webhook: {url_file: %s, secret_file: %s, allow_http: true}", file("webhook.url", server+"/hooks/CANARY-webhook-url"), file("webhook.key", "whsec_CANARYwebhookkeyCANARYwebhookkeyAAAA")),
		hook("slack"), hook("mattermost"), hook("teams"), hook("discord"),
		fmt.Sprintf("telegram: {server: %q, token_file: %s, chat: \"-100123\", allow_http: true}", server, file("telegram.token", "123456:CANARY-telegram-token")),
		fmt.Sprintf("ntfy: {server: %q, topic_file: %s, token_file: %s, allow_http: true}", server, file("ntfy.topic", "CANARY-ntfy-topic"), file("ntfy.token", "CANARY-ntfy-token")),
		fmt.Sprintf("pagerduty: {url: \"%s/v2/enqueue\", routing_key_file: %s, allow_http: true}", server, file("pagerduty.key", "CANARYpagerdutykeyCANARYpagerduty")),
		fmt.Sprintf("alertmanager: {url: %q, token_file: %s, allow_http: true}", server, file("am.token", "CANARY-alertmanager-token")),
		fmt.Sprintf("grafana: {url: %q, token_file: %s, allow_http: true}", server, file("grafana.token", "CANARY-grafana-token")),
	} {
		id, _, _ := strings.Cut(c, ":")
		ids = append(ids, id)
		yaml += fmt.Sprintf("  - id: %s\n    schedule: [0s]\n    %s\n", id, c)
	}
	return yaml, ids
}

// TestNoChannelFollowsRedirects sends every channel that speaks HTTP to a server that points elsewhere.
func TestNoChannelFollowsRedirects(t *testing.T) {
	var asked, stolen atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	defer thief.Close()
	codes := []int{301, 302, 303, 307, 308}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		http.Redirect(w, r, thief.URL+"/take", codes[int(asked.Add(1))%len(codes)])
	}))
	defer srv.Close()
	dir := t.TempDir()
	yaml, ids := webChannels(t, dir, srv.URL)
	in := openInstance(t, dir, "channels:\n"+yaml)
	if kinds := len((&channelConfig{}).webKinds()); len(ids) != kinds {
		t.Fatalf("%d channels are tried, %d kinds speak HTTP", len(ids), kinds)
	}
	in.runStages(t, "channel")
	for _, id := range ids {
		if _, err := in.notify.Test(t.Context(), id, testAlert(time.Now())); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, time.Minute, "every delivery to die", func() bool {
		n := 0
		for _, c := range in.notify.Ledger() {
			n += c.Dead
		}
		return n == len(ids)
	})
	if stolen.Load() != 0 || int(asked.Load()) < len(ids) {
		t.Errorf("%d requests, %d went elsewhere", asked.Load(), stolen.Load())
	}
	for _, c := range in.notify.Channels() {
		if !strings.Contains(c.LastError, "not followed") || strings.Contains(c.LastError, "/take") {
			t.Errorf("%s says %q", c.ID, c.LastError)
		}
	}
}

// webKinds are the kinds that speak HTTP.
func (c *channelConfig) webKinds() (out []kind) {
	for _, k := range c.kinds() {
		if k.http {
			out = append(out, k)
		}
	}
	return out
}

// TestProxiesOfTheEnvironmentAreIgnored: a proxy would dial for us what the guard forbids.
func TestProxiesOfTheEnvironmentAreIgnored(t *testing.T) {
	t.Parallel()
	var proxied atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { proxied.Add(1) }))
	defer proxy.Close()
	dir, addr := t.TempDir(), freeAddr(t)
	write(t, dir, "feeds.yaml", "feeds:\n  - {url: \"http://192.0.2.10/feed.xml\", outlet: Far, lang: en}\n")
	write(t, dir, "lists/a.yaml", "id: a\ntitle: A\nentities:\n  - id: front\n    name: Front\n    aliases:\n      en: [Xylophone Front]\n")
	config := write(t, dir, "tocsin.yaml", fmt.Sprintf(`
data_dir: data
http: {listen: %q}
fetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.0/8], min_interval: 1s}
matcher: {watchlists: lists}
channels:
  - {id: hook, webhook: {url: "http://192.0.2.10/x", allow_http: true}, schedule: [0s]}
`, addr))
	var env []string
	for _, k := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		env = append(env, k+"="+proxy.URL)
	}
	p := launch(t, config, addr, env)
	p.waitReady(2 * time.Minute)
	if out, code := p.command("send", "--test", "hook"); code != exitFailed || !strings.Contains(out, "192.0.2.10 is denied") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	waitFor(t, 30*time.Second, "the feed's poll", func() bool { return strings.Contains(p.get("/api/v1/feeds"), "denied_address") })
	if proxied.Load() != 0 {
		t.Errorf("the proxy was asked %d times", proxied.Load())
	}
	if resp, err := proxyClient(t, proxy.URL).Get("http://192.0.2.10/x"); err != nil || resp.Body.Close() != nil || proxied.Load() != 1 {
		t.Errorf("a client that heeds the proxy does not reach it: %v", err)
	}
}

// proxyClient is what a careless client would be.
func proxyClient(t *testing.T, proxy string) *http.Client {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, proxy, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(r.URL)}}
}
