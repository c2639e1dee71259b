package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestReferenceConfig reads deploy/tocsin.yaml: it has no fault and states the defaults.
func TestReferenceConfig(t *testing.T) {
	c, faults := loadConfig("../../deploy/tocsin.yaml")
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	d, _ := loadConfig("")
	if c.DataDir != d.DataDir || c.HTTP.Listen.Value != d.HTTP.Listen.Value || c.Bus.MaxStore != d.Bus.MaxStore || c.Fetcher.Workers != d.Fetcher.Workers ||
		c.Fetcher.MinInterval != d.Fetcher.MinInterval || c.Fetcher.HostGap != d.Fetcher.HostGap || c.Matcher.Workers != d.Matcher.Workers || c.watchlistsDir() != d.watchlistsDir() {
		t.Errorf("deploy/tocsin.yaml states %+v, the defaults are %+v", c, d)
	}
	if feeds, faults := loadFeeds(&c); len(faults) > 0 || len(feeds) < 60 {
		t.Errorf("%d shipped feeds, faults %v", len(feeds), faults)
	}
}

// TestReferenceExamples uncomments every example of deploy/tocsin.yaml: they are read without a fault but for the secrets that are not there.
func TestReferenceExamples(t *testing.T) {
	text, err := os.ReadFile("../../deploy/tocsin.yaml")
	if err != nil {
		t.Fatal(err)
	}
	open := regexp.MustCompile(`(?m)^( {0,8})# ( *[a-z-].*)$`).ReplaceAllString(string(text), "$1$2")
	open = strings.Replace(open, "routes: []\n", "routes:\n", 1)
	open = strings.Replace(open, "Configuration of Tocsin", "# Configuration of Tocsin", 1)
	path := write(t, t.TempDir(), "tocsin.yaml", open)
	c, faults := loadConfig(path)
	for _, f := range faults {
		if !strings.Contains(f.Fact, "secrets/") {
			t.Errorf("example: %s", f.Error())
		}
	}
	if len(c.Channels) != 14 || len(c.Notifier.Route.Routes) != 4 {
		t.Errorf("%d channels and %d routes were read from the examples", len(c.Channels), len(c.Notifier.Route.Routes))
	}
}

func TestByteSize(t *testing.T) {
	for in, want := range map[string]int64{"1": 1, "10GiB": 10 << 30, "512 MiB": 512 << 20, "3kB": 3000} {
		var b byteSize
		if err := b.UnmarshalText([]byte(in)); err != nil || int64(b) != want {
			t.Errorf("%q is read as %d, %v, want %d", in, b, err, want)
		}
	}
	for _, in := range []string{"", "x", "-1", "0", "9999999999TiB", "1.5GiB"} {
		var b byteSize
		if err := b.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q is accepted as %d", in, b)
		}
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"": now.Add(-24 * time.Hour), "7d": now.Add(-7 * 24 * time.Hour), "90m": now.Add(-90 * time.Minute),
		"2026-11-24": time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC), "2026-11-25T08:00:00Z": now.Add(-4 * time.Hour),
	} {
		if got, err := parseSince(in, now); err != nil || !got.Equal(want) {
			t.Errorf("since %q is %s, %v, want %s", in, got, err, want)
		}
	}
	if _, err := parseSince("yesterday", now); err == nil {
		t.Error("yesterday is accepted")
	}
}

// TestGuard dials addresses of every special kind, and what the operator opened.
func TestGuard(t *testing.T) {
	allow, err := parseNetworks([]string{"10.1.0.0/16", "127.0.0.1", "169.254.0.0/16"})
	if err != nil {
		t.Fatal(err)
	}
	g := newGuard(allow)
	for _, addr := range []string{
		"10.2.0.1:80", "127.0.0.2:80", "192.168.1.1:443", "172.16.0.1:80", "169.254.169.254:80", "100.100.100.200:80", "0.0.0.0:80", "100.64.0.1:80",
		"[::1]:80", "[fe80::1]:80", "[fc00::1]:80", "[fd00:ec2::254]:80", "[::ffff:10.2.0.1]:80", "[64:ff9b::a02:1]:80", "[2002:a02:1::]:80", "224.0.0.1:80", "255.255.255.255:80", "[2001:db8::1]:80", "198.18.0.1:80",
	} {
		if err := g.control("tcp4", addr, nil); strings.HasPrefix(addr, "[") {
			err = g.control("tcp6", addr, nil)
			if err == nil {
				t.Errorf("%s is let through", addr)
			}
		} else if err == nil {
			t.Errorf("%s is let through", addr)
		}
	}
	for _, addr := range []string{"10.1.2.3:8080", "127.0.0.1:25", "169.254.1.1:80", "8.8.8.8:443"} {
		if err := g.control("tcp4", addr, nil); err != nil {
			t.Errorf("%s is refused: %v", addr, err)
		}
	}
	if _, err := parseNetworks([]string{"10.0.0.0/99", "here"}); err == nil || strings.Count(err.Error(), "is not a network") != 2 {
		t.Errorf("wrong networks: %v", err)
	}
}
