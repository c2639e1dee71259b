package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tocsin/cmd/tocsin/page"
	"tocsin/news/strict"
	"tocsin/notifier"
	"tocsin/notifier/feed"
)

// config is tocsin.yaml: the operator's file. Each room owns its part; this struct only composes them.
type config struct {
	DataDir  string          `yaml:"data_dir"`
	Log      logConfig       `yaml:"log"`
	HTTP     httpConfig      `yaml:"http"`
	Bus      busConfig       `yaml:"bus"`
	Fetcher  fetcherConfig   `yaml:"fetcher"`
	Matcher  matcherConfig   `yaml:"matcher"`
	Notifier notifier.Config `yaml:"notifier"`
	Health   healthConfig    `yaml:"health"`
	Channels []channelConfig `yaml:"channels"`
	// AllowExec lets channels of kind exec run programs on this machine.
	AllowExec bool `yaml:"allow_exec"`

	dir  string // folder of the file; relative paths in it start there
	mute bool   // channels are another process's: what they need is not needed here
}

type logConfig struct {
	Level  slog.Level `yaml:"level"`
	Format string     `yaml:"format"`
}

type httpConfig struct {
	strict.Pos
	Listen strict.Text `yaml:"listen"`

	TokenFile strict.Text `yaml:"token_file"` // whoever asks for anything needs it
	CertFile  strict.Text `yaml:"cert_file"`
	KeyFile   strict.Text `yaml:"key_file"`

	Feeds feed.Config `yaml:"feeds"` // alerts as RSS, Atom and JSON Feed
	Page  page.Config `yaml:"page"`  // the status page
}

type busConfig struct {
	URL      strict.Text `yaml:"url"`
	NKeyFile strict.Text `yaml:"nkey_file"`
	CAFile   strict.Text `yaml:"ca_file"`
	CertFile strict.Text `yaml:"cert_file"`
	KeyFile  strict.Text `yaml:"key_file"`

	SystemNKeyFile strict.Text `yaml:"system_nkey_file"`

	Listen   strict.Text `yaml:"listen"`
	MaxStore byteSize    `yaml:"max_store"`
	Replicas int         `yaml:"replicas"`
	Setup    bool        `yaml:"setup"`
}

type fetcherConfig struct {
	Feeds         []strict.Text `yaml:"feeds"`
	AllowNetworks []strict.Text `yaml:"allow_networks"`
	Contact       string        `yaml:"contact"`
	Workers       int           `yaml:"workers"`
	MinInterval   time.Duration `yaml:"min_interval"`
	HostGap       time.Duration `yaml:"host_gap"`
	WebSub        *websubConfig `yaml:"websub"`
}

type matcherConfig struct {
	Watchlists strict.Text `yaml:"watchlists"`
	Workers    int         `yaml:"workers"`
}

// byteSize reads 512MiB, 10GB or a plain number of bytes.
type byteSize int64

// UnmarshalText reads a size with an optional unit of powers of 1024 (KiB, MiB, GiB, TiB) or 1000 (kB, MB, GB, TB).
func (b *byteSize) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	factor := int64(1)
	for _, u := range []struct {
		name string
		n    int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}} {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			s, factor = strings.TrimSpace(rest), u.n
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > (1<<62)/factor {
		return fmt.Errorf("size %q: write it as 512MiB or 10GiB", text)
	}
	*b = byteSize(n * factor)
	return nil
}

const shipped = "shipped" // names the lists inside the program

func defaultConfig() config {
	return config{
		DataDir: "tocsin-data",
		Log:     logConfig{Format: "text"},
		HTTP:    httpConfig{Listen: strict.Text{Value: "127.0.0.1:8470"}},
		Bus:     busConfig{MaxStore: 10 << 30},
		Fetcher: fetcherConfig{Workers: 64, MinInterval: time.Minute, HostGap: time.Second},
		Matcher: matcherConfig{Watchlists: strict.Text{Value: shipped}, Workers: 64},
		Health:  defaultHealth(),
		dir:     ".",
	}
}

// maxConfig bounds tocsin.yaml.
const maxConfig = 1 << 20

// loadConfig reads the operator's file strictly; path "" gives the defaults. Every fault of the file comes at once.
func loadConfig(path string) (config, strict.Faults) {
	return loadConfigFor(path, roles{true, true, true})
}

// loadConfigFor is loadConfig for a process of these roles: one file serves all of them, and only the notifier needs the secrets of channels.
func loadConfigFor(path string, r roles) (config, strict.Faults) {
	c := defaultConfig()
	c.mute = !r.notifier
	var faults strict.Faults
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			faults.Add(strict.Pos{File: path}, "name a readable file with --config", "%s", cause(err))
			return c, faults
		}
		c.dir = filepath.Dir(path)
		faults = strict.Decode(path, data, maxConfig, &c)
	}
	c.fillChannels()
	c.resolveChannels()
	c.HTTP.Feeds.TokenFile.Value = c.path(c.HTTP.Feeds.TokenFile.Value)
	c.HTTP.TokenFile.Value = c.path(c.HTTP.TokenFile.Value)
	c.HTTP.Page.TokenFile.Value = c.path(c.HTTP.Page.TokenFile.Value)
	faults = append(faults, c.check(path)...)
	return c, faults.Sort()
}

// cause strips the path from a file error, because the place names it already.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// fillChannels gives a configuration without channels the terminal, so that the smallest file already shows alerts.
func (c *config) fillChannels() {
	if len(c.Channels) == 0 {
		c.Channels = []channelConfig{terminalChannel()}
	}
	if c.Notifier.Route == nil {
		c.Notifier.Route = &notifier.Route{}
		for _, ch := range c.Channels {
			c.Notifier.Route.Channels = append(c.Notifier.Route.Channels, ch.ID)
		}
	}
}

func (c *config) check(path string) strict.Faults {
	var faults strict.Faults
	at := func(p strict.Pos) strict.Pos {
		if p.File == "" {
			p.File = path
		}
		return p
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		faults.Add(strict.Pos{File: path}, "write text or json", "log.format %q is not known", c.Log.Format)
	}
	if _, _, err := net.SplitHostPort(c.HTTP.Listen.Value); err != nil {
		faults.Add(at(c.HTTP.Listen.Pos), "write host:port, as in 127.0.0.1:8470", "http.listen %q is not an address", c.HTTP.Listen.Value)
	}
	for _, n := range c.Fetcher.AllowNetworks {
		if _, err := parseNetworks([]string{n.Value}); err != nil {
			faults.Add(at(n.Pos), "write it as 10.1.0.0/16 or fd00::/8", "%q is not a network", n.Value)
		}
	}
	for _, t := range []strict.Text{c.Bus.NKeyFile, c.Bus.CAFile, c.Bus.CertFile, c.Bus.KeyFile, c.Bus.SystemNKeyFile} {
		if t.Value == "" {
			continue
		}
		if _, err := os.ReadFile(c.path(t.Value)); err != nil {
			faults.Add(at(t.Pos), "create the file, readable by this user, or remove the key", "cannot read %s: %s", t.Value, cause(err))
		}
	}
	faults = append(faults, c.Fetcher.WebSub.check(c, at)...)
	if c.Fetcher.Workers < 1 || c.Matcher.Workers < 1 {
		faults.Add(strict.Pos{File: path}, "write 1 or more", "workers must be positive")
	}
	faults = append(faults, c.checkDoor(at)...)
	faults = append(faults, c.HTTP.Feeds.Check()...)
	for _, t := range []strict.Text{c.HTTP.Feeds.TokenFile, c.HTTP.Page.TokenFile} {
		if t.Value == "" {
			continue
		}
		if _, err := notifier.FileRef(t).Read(); err != nil {
			faults.Add(at(t.Pos), "create the file, readable by this user, or remove the key", "%s", err)
		}
	}
	faults = append(faults, c.checkChannels(path)...)
	faults = append(faults, c.checkHealth(path)...)
	return append(faults, c.Notifier.Check(c.channelIDs())...)
}

func (c *config) channelIDs() []string {
	ids := make([]string, len(c.Channels))
	for i, ch := range c.Channels {
		ids[i] = ch.ID.Value
	}
	return ids
}

// path resolves a path of the file against the file's folder.
func (c *config) path(p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(c.dir, p)
}

// networks are the ranges that the operator opened. check has read them already.
func (c *config) networks() []string {
	out := make([]string, len(c.Fetcher.AllowNetworks))
	for i, n := range c.Fetcher.AllowNetworks {
		out[i] = n.Value
	}
	return out
}

// roles are the parts of the pipeline that one process runs.
type roles struct{ fetcher, matcher, notifier bool }

func parseRoles(names []string) (roles, error) {
	if len(names) == 0 {
		return roles{true, true, true}, nil
	}
	var r roles
	for _, n := range names {
		switch n {
		case "fetcher":
			r.fetcher = true
		case "matcher":
			r.matcher = true
		case "notifier":
			r.notifier = true
		default:
			next := "roles are fetcher, matcher and notifier"
			if g := strict.Guess(n, []string{"fetcher", "matcher", "notifier"}); g != "" {
				next = fmt.Sprintf("did you mean %q?", g)
			}
			return r, fmt.Errorf("--roles: role %q is not known: %s", n, next)
		}
	}
	return r, nil
}

// single names the one role of a process, "" when it has several: which rights it needs on an external bus.
func (r roles) single() string {
	if s := r.String(); !strings.Contains(s, ",") {
		return s
	}
	return ""
}

func (r roles) String() string {
	var names []string
	for _, x := range []struct {
		on   bool
		name string
	}{{r.fetcher, "fetcher"}, {r.matcher, "matcher"}, {r.notifier, "notifier"}} {
		if x.on {
			names = append(names, x.name)
		}
	}
	return strings.Join(names, ",")
}
