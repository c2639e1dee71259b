package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// composeFile is what TestComposeFile looks at in docker-compose.yml.
type composeFile struct {
	Services map[string]struct {
		Image       string
		MemLimit    string `yaml:"mem_limit"`
		CPUs        string
		PIDs        int      `yaml:"pids_limit"`
		CapDrop     []string `yaml:"cap_drop"`
		Healthcheck map[string]any
		Volumes     []string
		Ports       []string
		Secrets     []any
		Networks    any
	}
	Secrets  map[string]struct{ File string }
	Volumes  map[string]any
	Networks map[string]any
}

var pinned = regexp.MustCompile(`^[a-z0-9./-]+:(v?[0-9]+\.[0-9]+\.[0-9]+[a-z0-9.-]*(@sha256:[0-9a-f]{64})?|\$\{TOCSIN_VERSION:-dev\})$`)

// TestComposeFile holds docker-compose.yml to its promises where no container can be started: every image has a version, every service its limits,
// its health check and no right too many, what is mounted is there, and nothing is published beyond this machine.
func TestComposeFile(t *testing.T) {
	var c composeFile
	readYAML(t, "../../docker-compose.yml", &c)
	if len(c.Services) < 10 {
		t.Fatalf("%d services", len(c.Services))
	}
	for name, s := range c.Services {
		if !pinned.MatchString(s.Image) {
			t.Errorf("%s: image %q has no version", name, s.Image)
		}
		if s.MemLimit == "" || s.CPUs == "" || s.PIDs == 0 || !slices.Equal(s.CapDrop, []string{"ALL"}) {
			t.Errorf("%s lacks a limit, or keeps capabilities", name)
		}
		if (s.Healthcheck["test"] == nil) != (name == "setup") {
			t.Errorf("%s: health check %v", name, s.Healthcheck)
		}
		for _, v := range s.Volumes {
			from, _, _ := strings.Cut(v, ":")
			if _, named := c.Volumes[from]; named || strings.HasPrefix(from, "./deploy/compose/secrets/") {
				continue
			}
			if _, err := os.Stat(filepath.Join("../..", from)); err != nil {
				t.Errorf("%s mounts %s: %v", name, from, err)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s publishes %s beyond this machine", name, p)
			}
		}
		for _, x := range s.Secrets {
			if m, ok := x.(map[string]any); ok {
				x = m["source"]
			}
			if _, ok := c.Secrets[x.(string)]; !ok {
				t.Errorf("%s: secret %v is not defined", name, x)
			}
		}
	}
}

// TestComposeGrafana holds what Grafana and Prometheus are given in docker-compose.yml against one another: the folder of the dashboards, the
// address of the data source, the names that are scraped.
func TestComposeGrafana(t *testing.T) {
	var c composeFile
	readYAML(t, "../../docker-compose.yml", &c)
	var provider struct {
		Providers []struct{ Options struct{ Path string } }
	}
	readYAML(t, "../../deploy/grafana/provisioning/dashboards.yaml", &provider)
	want := "./deploy/grafana/dashboards:" + provider.Providers[0].Options.Path + ":ro"
	if !slices.Contains(c.Services["grafana"].Volumes, want) {
		t.Errorf("grafana lacks the volume %s", want)
	}
	var source struct{ Datasources []struct{ URL string } }
	readYAML(t, "../../deploy/compose/grafana.yaml", &source)
	if len(source.Datasources) != 1 || source.Datasources[0].URL != "http://prometheus:9090" {
		t.Errorf("data sources: %v", source)
	}
	var prom struct {
		Scrape []struct {
			DNS []struct {
				Names []string
				Port  int
			} `yaml:"dns_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	readYAML(t, "../../deploy/compose/prometheus.yml", &prom)
	d := prom.Scrape[0].DNS[0]
	if !slices.Equal(d.Names, []string{"fetcher", "matcher", "notifier"}) || d.Port != 8470 {
		t.Errorf("Prometheus scrapes %v", d)
	}
	for _, n := range d.Names {
		if _, ok := c.Services[n]; !ok {
			t.Errorf("Prometheus scrapes %s, which is no service", n)
		}
	}
}

// TestDeployedConfigurations reads each tocsin.yaml that is shipped for a way to run, as the roles without secrets do.
func TestDeployedConfigurations(t *testing.T) {
	for _, path := range []string{"deploy/compose/tocsin.yaml", "deploy/kubernetes/single/config.yaml", "deploy/kubernetes/cluster/config.yaml", "deploy/container.yaml"} {
		text, err := os.ReadFile(filepath.Join("../..", path))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		write(t, dir, "nkey", "seed")
		file := write(t, dir, "tocsin.yaml", strings.ReplaceAll(string(text), "/run/secrets/nkey", filepath.Join(dir, "nkey")))
		if _, faults := loadConfigFor(file, roles{matcher: true}); faults.Err() != nil {
			t.Errorf("%s: %v", path, faults.Err())
		}
		if _, faults := loadConfigFor(file, roles{true, true, true}); strings.Contains(path, "compose") && faults.Err() == nil {
			t.Errorf("%s: the notifier does without the password of its mail server", path)
		}
	}
}
