package main_test

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// A room is a package of the house: which of ours and which modules from outside it may import. Standard packages are free but for aloneStd.
type room struct {
	dir     string // "notifier/*" stands for every channel
	floor   int
	ours    []string
	outside []string
	tests   []string // of ours, for its tests alone
}

const prometheusModule = "github.com/prometheus/client_golang/prometheus"

// floors is the table of architecture: a package imports only from floors below its own, and a module stands with everyone who may import it.
func floors() []room {
	return []room{
		{dir: "news", floor: 1},
		{dir: "news/strict", floor: 1, outside: []string{"go.yaml.in/yaml/v3"}},
		{dir: "watchlists", floor: 1},
		{dir: "matcher/fold", floor: 1, outside: []string{"golang.org/x/text"}},
		{
			dir: "bus", floor: 2, ours: []string{"news"},
			outside: []string{"github.com/nats-io/nats.go", "github.com/nats-io/nats-server/v2", "github.com/gofrs/flock", "github.com/nats-io/nkeys", "golang.org/x/sys", prometheusModule},
		},
		{
			dir: "fetcher", floor: 2, ours: []string{"news", "news/strict"},
			outside: []string{
				"github.com/mmcdole/gofeed", "golang.org/x/net", "golang.org/x/text/encoding", "golang.org/x/text/transform",
				"github.com/andybalholm/brotli", "codeberg.org/readeck/go-readability/v2", prometheusModule,
			},
		},
		{dir: "matcher/watchlist", floor: 2, ours: []string{"news", "news/strict"}},
		{dir: "notifier/story", floor: 2, ours: []string{"news"}, tests: []string{"matcher"}},
		{dir: "notifier", floor: 3, ours: []string{"news", "news/strict", "notifier/story"}, outside: []string{"github.com/clipperhouse/uax29/v2", prometheusModule}},
		{dir: "bus/bustest", floor: 3, ours: []string{"news", "bus"}, outside: []string{"github.com/nats-io/nats.go", "github.com/nats-io/nats-server/v2", prometheusModule}},
		{dir: "matcher", floor: 3, ours: []string{"news", "news/strict", "matcher/fold", "matcher/watchlist"}, outside: []string{prometheusModule}},
		{dir: "notifier/notifiertest", floor: 4, ours: []string{"news", "news/strict", "notifier"}, outside: []string{prometheusModule}},
		{
			dir: "notifier/email", floor: 4, ours: []string{"news", "news/strict", "notifier"},
			outside: []string{
				"github.com/wneessen/go-mail", "github.com/emersion/go-smtp", "github.com/emersion/go-sasl", "github.com/emersion/go-msgauth",
				prometheusModule,
			},
		},
		{dir: "notifier/*", floor: 4, ours: []string{"news", "news/strict", "notifier"}, outside: []string{prometheusModule}},
		{dir: "cmd/tocsin/newsroom", floor: 3, ours: []string{"news", "news/strict"}, outside: []string{"github.com/emersion/go-smtp", "github.com/emersion/go-sasl", "golang.org/x/text/encoding"}, tests: []string{"matcher", "matcher/watchlist", "watchlists", "notifier/story"}},
		{dir: "cmd/tocsin/page", floor: 4, ours: []string{"news", "news/strict", "matcher/fold", "bus", "fetcher", "notifier"}},
		{
			dir: "cmd/tocsin", floor: 5, ours: []string{"*"},
			outside: []string{"github.com/spf13/cobra", "golang.org/x/term", "code.dny.dev/ssrf", "github.com/prometheus/client_golang", "go.opentelemetry.io/otel"},
		},
		{dir: "cmd/test", floor: 1},
		{dir: "cmd/pictures", floor: 1},
		{dir: "deploy/grafana/gen", floor: 1},
	}
}

// testModules may be imported by tests of any room: comparison, scripts, and other people's implementations that ours are measured against.
func testModules() []string {
	return []string{
		"go.opentelemetry.io/proto/otlp", "google.golang.org/protobuf/proto",
		"github.com/google/go-cmp", "github.com/rogpeppe/go-internal/testscript", "github.com/prometheus/client_golang",
		"github.com/coregx/ahocorasick", "github.com/clipperhouse/uax29/v2", "github.com/santhosh-tekuri/jsonschema/v6",
		"github.com/standard-webhooks/standard-webhooks/libraries", "github.com/mmcdole/gofeed", "go.yaml.in/yaml/v3", "golang.org/x/net/websocket",
	}
}

// testRooms of ours may be imported by tests of any room that lies above floor 1.
func testRooms() []string {
	return []string{"news", "news/strict", "watchlists", "bus/bustest", "notifier/notifiertest"}
}

// aloneStd are standard packages that one room alone may import, and those that none may.
func aloneStd() map[string][]string {
	return map[string][]string{
		"os/signal":      {"cmd/tocsin"},
		"net/http/pprof": {"cmd/tocsin"},
		"os/exec":        {"cmd/test", "cmd/pictures", "notifier/exec"},
		"testing":        {"bus/bustest", "notifier/notifiertest"},
		"unsafe":         {"matcher/fold"}, // one conversion on the hottest path
		"plugin":         nil,
	}
}

// aloneFile are modules that one file alone may import.
func aloneFile() map[string]string {
	return map[string]string{"code.dny.dev/ssrf": "cmd/tocsin/guard.go"}
}

func TestFloors(t *testing.T) {
	for _, f := range checkFloors(readTree(t)) {
		t.Error(f)
	}
}

func checkFloors(t *tree) (out []string) {
	for _, f := range t.folders {
		r, ok := roomOf(f.dir)
		if !ok {
			out = append(out, fmt.Sprintf("%s:1: package %s is not in the table of floors: a new room needs its reason in DESIGN.md", f.dir, f.dir))
			continue
		}
		for _, s := range slices.Concat(f.files, f.tests) {
			out = append(out, checkImports(t, r, f, s)...)
		}
	}
	return out
}

func roomOf(dir string) (room, bool) {
	for _, r := range floors() {
		if ok, _ := path.Match(r.dir, dir); ok {
			return r, true
		}
	}
	return room{}, false
}

func checkImports(t *tree, r room, f *folder, s *source) (out []string) {
	for _, im := range s.ast.Imports {
		p := importPath(im)
		if why := refuse(r, f.dir, s, p); why != "" {
			out = append(out, t.at(im.Pos(), "%s imports %s: %s", f.dir, p, why))
		}
	}
	return out
}

// refuse says why a file may not import a package, "" when it may.
func refuse(r room, dir string, s *source, p string) string {
	first, _, _ := strings.Cut(p, "/")
	switch {
	case first == module:
		own := strings.TrimPrefix(p, module+"/")
		return refuseOurs(r, dir, s, own)
	case !strings.Contains(first, "."):
		rooms, alone := aloneStd()[p]
		if alone && !s.isTest() && !slices.Contains(rooms, dir) {
			return fmt.Sprintf("only %v may", rooms)
		}
		return ""
	case s.isTest() && within(p, testModules()):
		return ""
	case !within(p, r.outside):
		return "the module is not this room's: see the table of floors"
	}
	for m, file := range aloneFile() {
		if within(p, []string{m}) && s.path != file && !s.isTest() {
			return "only " + file + " may"
		}
	}
	return ""
}

func refuseOurs(r room, dir string, s *source, own string) string {
	switch {
	case own == dir && s.isTest(), slices.Contains(r.ours, own), slices.Contains(r.ours, "*"):
		return ""
	case s.isTest() && slices.Contains(r.tests, own):
		return ""
	case s.isTest() && r.floor > 1 && slices.Contains(testRooms(), own):
		return ""
	}
	if other, ok := roomOf(own); ok && other.floor >= r.floor && !s.isTest() {
		return fmt.Sprintf("floor %d does not import from floor %d", r.floor, other.floor)
	}
	return "rooms do not know each other: take a function instead"
}

func within(p string, modules []string) bool {
	return slices.ContainsFunc(modules, func(m string) bool { return p == m || strings.HasPrefix(p, m+"/") })
}

// TestFloorsTable keeps the table itself honest: whatever a room may import of ours lies on a lower floor.
func TestFloorsTable(t *testing.T) {
	for _, r := range floors() {
		for _, own := range r.ours {
			if own == "*" {
				continue
			}
			below, ok := roomOf(own)
			if !ok || below.floor >= r.floor {
				t.Errorf("%s (floor %d) may import %s (floor %d)", r.dir, r.floor, own, below.floor)
			}
		}
	}
}

func TestFloorsCanFail(t *testing.T) {
	const use = "package x\nimport _ "
	for _, c := range []struct{ file, imports, want string }{
		{"matcher/a.go", "tocsin/fetcher", "matcher imports tocsin/fetcher: rooms do not know"},
		{"fetcher/a.go", "tocsin/matcher", "floor 2 does not import from floor 3"},
		{"notifier/a.go", "tocsin/bus", "notifier imports tocsin/bus"},
		{"fetcher/a_test.go", "tocsin/bus", "rooms do not know each other"},
		{"bus/a.go", "tocsin/news/strict", "bus imports tocsin/news/strict"},
		{"news/a.go", "go.yaml.in/yaml/v3", "not this room's"},
		{"matcher/watchlist/a.go", "go.yaml.in/yaml/v3", "not this room's"},
		{"notifier/webhook/a.go", "github.com/wneessen/go-mail", "not this room's"},
		{"notifier/webhook/a.go", "tocsin/notifier/email", "floor 4 does not import from floor 4"},
		{"cmd/tocsin/serve.go", "code.dny.dev/ssrf", "only cmd/tocsin/guard.go may"},
		{"cmd/tocsin/main.go", "github.com/google/go-cmp/cmp", "not this room's"},
		{"bus/a.go", "os/signal", "only [cmd/tocsin] may"},
		{"matcher/a.go", "unsafe", "only [matcher/fold] may"},
		{"matcher/a.go", "testing", "only ["},
		{"news/a_test.go", "tocsin/bus/bustest", "rooms do not know each other"},
		{"cmd/tocsin/newsroom/a.go", "tocsin/matcher/watchlist", "rooms do not know each other"},
		{"extra/a.go", "fmt", "extra:1: package extra is not in the table"},
		{"notifier/email/parts/a.go", "fmt", "not in the table"},
	} {
		found := checkFloors(mustGrow(t, map[string]string{c.file: use + `"` + c.imports + `"`}))
		if len(found) != 1 || !strings.Contains(found[0], c.want) {
			t.Errorf("%s importing %s gives %q, want %q", c.file, c.imports, found, c.want)
		}
	}
	for _, c := range []struct{ file, imports string }{
		{"matcher/a.go", "tocsin/matcher/fold"},
		{"matcher/a_test.go", "tocsin/watchlists"},
		{"notifier/email/a.go", "github.com/wneessen/go-mail"},
		{"notifier/webhook/a.go", "tocsin/notifier"},
		{"bus/a.go", prometheusModule},
		{"cmd/tocsin/guard.go", "code.dny.dev/ssrf"},
		{"cmd/tocsin/main.go", "os/signal"},
		{"fetcher/a.go", "golang.org/x/net/html/charset"},
		{"fetcher/a_test.go", "github.com/google/go-cmp/cmp"},
		{"fetcher/a_test.go", "tocsin/fetcher"},
		{"cmd/tocsin/newsroom/a_test.go", "tocsin/matcher/watchlist"},
	} {
		if found := checkFloors(mustGrow(t, map[string]string{c.file: use + `"` + c.imports + `"`})); len(found) != 0 {
			t.Errorf("%s importing %s is refused: %q", c.file, c.imports, found)
		}
	}
}
