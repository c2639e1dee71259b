//go:build compose

package main

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/cmd/tocsin/newsroom"
)

const stampedVersion = "v0.0.0-test"

// TestComposeContainers brings docker-compose.yml up in an engine from which nothing can be pulled: the image of Tocsin is built here as
// deploy/Dockerfile does it, nats-server comes from its Go module, Prometheus is this machine's. Grafana and Mailpit are left out here and only
// here. TOCSIN_COMPOSE is the command of Compose.
func TestComposeContainers(t *testing.T) {
	bridge := bridgeAddress(t)
	sendNewsThrough(t, bridge, func(t testing.TB, w *newsroom.World) *cluster { return upContainers(t, w, bridge) })
}

// bridgeAddress is where containers reach this machine.
func bridgeAddress(t testing.TB) string {
	link, err := net.InterfaceByName("docker0")
	if err != nil {
		t.Fatal(err)
	}
	addrs, err := link.Addrs()
	if err != nil || len(addrs) == 0 {
		t.Fatalf("docker0 has no address: %v", err)
	}
	ip, _, err := net.ParseCIDR(addrs[0].String())
	if err != nil {
		t.Fatal(err)
	}
	return ip.String()
}

func docker(t testing.TB, args ...string) string {
	t.Helper()
	return command(t, ".", nil, "docker", args...)
}

// image builds an image from a folder and a Dockerfile of these lines; it is removed when the test ends.
func image(t testing.TB, dir, name, dockerfile string) string {
	t.Helper()
	name += fmt.Sprintf(":test%d", os.Getpid())
	write(t, dir, "Dockerfile", dockerfile)
	docker(t, "build", "-q", "-t", name, dir)
	t.Cleanup(func() { docker(t, "image", "rm", "-f", name) })
	return name
}

// tocsinImage lays out the image's files with deploy/rootfs and runs the last stage of deploy/Dockerfile on them.
func tocsinImage(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	command(t, "../..", []string{"VERSION=" + stampedVersion}, "sh", "deploy/rootfs", dir)
	_, last, ok := strings.Cut(swap(t, "deploy/Dockerfile", "--from=build ", "", "/out/", ""), "\nFROM scratch\n")
	if !ok {
		t.Fatal("the last stage of deploy/Dockerfile is not FROM scratch")
	}
	write(t, dir, ".dockerignore", "Dockerfile\n")
	return image(t, dir, "tocsin", "FROM scratch\nARG VERSION="+stampedVersion+"\n"+last)
}

// copyInto copies a program of this machine.
func copyInto(t testing.TB, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		t.Fatal(err)
	}
}

// busybox brings the shell and wget that the images of other people have, for the health checks in docker-compose.yml.
func busybox(t testing.TB, dir string) {
	t.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal("busybox is not installed: apt-get install busybox-static (Debian)")
	}
	for _, name := range []string{"sh", "wget"} {
		copyInto(t, path, filepath.Join(dir, "root/bin", name))
	}
}

func natsImage(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	busybox(t, dir)
	buildNATS(t, filepath.Join(dir, "root/bin/nats-server"))
	return image(t, dir, "tocsin-nats", "FROM scratch\nCOPY root/ /\nENTRYPOINT [\"/bin/nats-server\"]\n")
}

func prometheusImage(t testing.TB) string {
	t.Helper()
	dir, path := t.TempDir(), prometheusPath(t)
	busybox(t, dir)
	copyInto(t, path, filepath.Join(dir, "root/bin/prometheus"))
	for _, lib := range sharedLibraries(t, path) {
		copyInto(t, lib, filepath.Join(dir, "root", lib))
	}
	if err := os.MkdirAll(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	return image(t, dir, "tocsin-prometheus", "FROM scratch\nCOPY root/ /\nCOPY --chown=65534:65534 empty /prometheus\nUSER 65534:65534\nENTRYPOINT [\"/bin/prometheus\"]\n")
}

// composeProject is docker-compose.yml with the images of this test, under a name of its own.
type composeProject struct {
	t    testing.TB
	name string
	args []string
	env  []string
}

func (p *composeProject) run(args ...string) string {
	p.t.Helper()
	words := slices.Concat(strings.Fields(os.Getenv("TOCSIN_COMPOSE")), p.args, args)
	return command(p.t, "../..", p.env, words[0], words[1:]...)
}

// containers are those of a service, all of them when it is "".
func (p *composeProject) containers(service string) []string {
	args := []string{"ps", "-a", "-q", "--filter", "label=com.docker.compose.project=" + p.name}
	if service != "" {
		args = append(args, "--filter", "label=com.docker.compose.service="+service)
	}
	return strings.Fields(docker(p.t, args...))
}

// waitHealthy asks each container of the services by its own health check until it is well. The engine asks too, but only every half minute.
func (p *composeProject) waitHealthy(services ...string) {
	p.t.Helper()
	for _, s := range services {
		for _, id := range p.containers(s) {
			var check []string
			if err := json.Unmarshal([]byte(docker(p.t, "inspect", "-f", "{{json .Config.Healthcheck.Test}}", id)), &check); err != nil || len(check) < 2 || check[0] != "CMD" {
				p.t.Fatalf("%s has the health check %q: %v", s, check, err)
			}
			waitFor(p.t, 3*time.Minute, s+" to be well", func() bool {
				err := exec.Command("docker", append([]string{"exec", id}, check[1:]...)...).Run()
				time.Sleep(200 * time.Millisecond) // each question is a process in the container
				return err == nil
			})
			checkContainer(p.t, id)
		}
	}
}

func upContainers(t testing.TB, w *newsroom.World, bridge string) *cluster {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil { // containers of other users read in it
		t.Fatal(err)
	}
	ours, nats, prometheus := tocsinImage(t), natsImage(t), prometheusImage(t)
	secrets := filepath.Join(dir, "secrets")
	command(t, "../..", []string{"TOCSIN=tocsin"}, "sh", "deploy/compose/make-secrets", secrets)
	public := func(name, text string) string { // readable by the containers' users, as make-secrets leaves them
		path := write(t, dir, name, text)
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	public("secrets/mail_ca", string(w.CAPEM))
	public("secrets/mail_password", w.SMTPPassword)
	public("secrets/hook", w.WebhookSecret)
	feeds := filepath.Dir(public("feeds/newsroom.yaml", string(w.FeedsYAML())))
	if err := os.Chmod(feeds, 0o755); err != nil {
		t.Fatal(err)
	}
	config := public("tocsin.yaml", newsroomConfig(t, w, bridge, "/run/secrets"))
	over := "services:\n"
	for _, n := range []string{"nats1", "nats2", "nats3"} {
		over += fmt.Sprintf("  %s: {image: %q, volumes: [\"%s:/etc/nats/keys.conf:ro\"]}\n", n, nats, filepath.Join(secrets, "keys.conf"))
	}
	for _, r := range []string{"setup", "fetcher", "matcher", "notifier"} {
		over += fmt.Sprintf("  %s:\n    image: %q\n    volumes: [\"%s:/etc/tocsin/tocsin.yaml:ro\", \"%s:/etc/tocsin/feeds:ro\"]\n", r, ours, config, feeds)
		if r == "setup" || r == "notifier" {
			over += "    secrets: [hook]\n"
		}
	}
	over += fmt.Sprintf("  prometheus: {image: %q}\nsecrets:\n", prometheus)
	for _, s := range []string{"mail_ca", "mail_key", "mail_users", "mail_password", "grafana_password", "hook", "nkey_admin", "nkey_fetcher", "nkey_matcher", "nkey_notifier"} {
		file := s
		if user, ok := strings.CutPrefix(s, "nkey_"); ok {
			file = user + ".nk"
		}
		over += fmt.Sprintf("  %s: {file: %q}\n", s, filepath.Join(secrets, file))
	}
	desk, prom := freeAddr(t), freeAddr(t)
	p := &composeProject{t: t, name: fmt.Sprintf("tocsintest%d", os.Getpid())}
	p.args = []string{"-p", p.name, "-f", "docker-compose.yml", "-f", write(t, dir, "override.yml", over)}
	p.env = []string{"COMPOSE_PROFILES=cluster", "TOCSIN_PORT=" + port(desk), "PROMETHEUS_PORT=" + port(prom)}
	t.Cleanup(func() { p.run("down", "-v", "--remove-orphans", "-t", "5") })
	p.run("up", "-d", "--no-build", "nats1", "nats2", "nats3", "matcher", "notifier", "prometheus")
	p.waitHealthy("nats1", "nats2", "nats3", "matcher", "notifier", "prometheus")
	return &cluster{
		desk: desk, prometheus: prom,
		fetch: func() {
			p.run("up", "-d", "--no-build", "fetcher")
			p.waitHealthy("fetcher")
		},
		kill: func(service string) { docker(t, "kill", p.containers(service)[0]) },
		jsz: func(node string) []byte {
			return []byte(docker(t, "exec", p.containers(node)[0], "wget", "-q", "-O", "-", "http://127.0.0.1:8222/jsz?streams=true&config=true"))
		},
		logs: func() string { return tail(p.run("logs", "--no-color", "--tail", "40"), 20_000) },
	}
}

func port(addr string) string { _, port, _ := strings.Cut(addr, ":"); return port }

// checkContainer looks at a running container: a root file system that nobody can write to, no rights, limits, a health check.
func checkContainer(t testing.TB, id string) {
	t.Helper()
	var all []struct {
		Name   string
		Config struct {
			User        string
			Healthcheck *struct{ Test []string }
		}
		HostConfig struct {
			ReadonlyRootfs           bool
			Privileged               bool
			CapDrop, SecurityOpt     []string
			Memory, NanoCpus         int64
			PidsLimit                int64
			RestartPolicy, LogConfig any
		}
	}
	if err := json.Unmarshal([]byte(docker(t, "inspect", id)), &all); err != nil || len(all) != 1 {
		t.Fatalf("inspect %s: %v", id, err)
	}
	c := all[0]
	h := c.HostConfig
	if !h.ReadonlyRootfs || h.Privileged || !slices.Contains(h.CapDrop, "ALL") || !slices.Contains(h.SecurityOpt, "no-new-privileges:true") {
		t.Errorf("%s has more rights than it needs: %+v", c.Name, h)
	}
	if h.Memory == 0 || h.NanoCpus == 0 || h.PidsLimit == 0 || c.Config.Healthcheck == nil {
		t.Errorf("%s lacks a limit or its health check: %+v", c.Name, h)
	}
	if user := cmp.Or(c.Config.User, "root"); !strings.Contains(c.Name, "nats") && (user == "root" || strings.HasPrefix(user, "0")) {
		t.Errorf("%s runs as %s", c.Name, user)
	}
}

// TestComposeImage looks into the image: the program, its certificates and its configuration, and no shell, no second program, nothing that gives
// rights away.
func TestComposeImage(t *testing.T) {
	name := tocsinImage(t)
	if got := docker(t, "run", "--rm", "--read-only", "--cap-drop", "ALL", "--network", "none", name, "version"); !strings.HasPrefix(got, "tocsin "+stampedVersion+" ") {
		t.Errorf("version says %q", got)
	}
	if got := strings.TrimSpace(docker(t, "image", "inspect", "-f", "{{.Config.User}} {{json .Config.Healthcheck.Test}}", name)); got != `65532:65532 ["CMD","/usr/bin/tocsin","health"]` {
		t.Errorf("user and health check are %s", got)
	}
	for _, shell := range []string{"/bin/sh", "/bin/bash", "/bin/busybox", "sh"} {
		if out, err := exec.Command("docker", "run", "--rm", "--network", "none", "--entrypoint", shell, name, "-c", "true").CombinedOutput(); err == nil {
			t.Errorf("%s runs in it: %s", shell, out)
		}
	}
	id := strings.TrimSpace(docker(t, "create", name))
	defer docker(t, "rm", "-v", id)
	list := command(t, ".", nil, "sh", "-c", "docker export "+id+" | tar -tv")
	var files []string
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		if strings.HasPrefix(f[0], "d") || f[2] == "0" { // folders, and the empty files that the engine puts there
			continue
		}
		if strings.ContainsAny(f[0], "sS") {
			t.Errorf("it runs with another's rights: %s", line)
		}
		files = append(files, f[5])
	}
	slices.Sort(files)
	if want := []string{"etc/ssl/certs/ca-certificates.crt", "etc/tocsin/tocsin.yaml", "usr/bin/tocsin"}; !slices.Equal(files, want) {
		t.Errorf("it holds %q, want %q\n%s", files, want, list)
	}
}

// TestComposeBuildIsReproducible builds the image's program here and in a copy of the tree elsewhere: static, and the same bytes.
func TestComposeBuildIsReproducible(t *testing.T) {
	dir := t.TempDir()
	copied := filepath.Join(dir, "copy")
	if err := os.Mkdir(copied, 0o755); err != nil {
		t.Fatal(err)
	}
	command(t, "../..", nil, "sh", "-c", "git ls-files -z | xargs -0 cp --parents -t '"+copied+"'")
	var programs [2][]byte
	for i, tree := range []string{"../..", copied} {
		out := filepath.Join(dir, fmt.Sprint(i))
		command(t, tree, []string{"VERSION=" + stampedVersion}, "sh", "deploy/rootfs", out)
		b, err := os.ReadFile(filepath.Join(out, "root/usr/bin/tocsin"))
		if err != nil {
			t.Fatal(err)
		}
		programs[i] = b
	}
	if !bytes.Equal(programs[0], programs[1]) {
		t.Error("the same tree in another folder makes another program")
	}
	f, err := elf.NewFile(bytes.NewReader(programs[0]))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("it is not static: %s", p.Type)
		}
	}
}
