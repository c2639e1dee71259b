package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tocsin/bus/bustest"
)

// TestKilledRoleShowsOnThePage runs one role in a process of its own and the others in a second, kills the first as kill -9 does, and waits until
// the page of the second says so; then it starts it again and waits until the page is content.
func TestKilledRoleShowsOnThePage(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes and waits until that shows")
	}
	for _, role := range []string{"fetcher", "matcher", "notifier"} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			s := bustest.Server(t)
			dir := t.TempDir()
			write(t, dir, "feeds.yaml", quietFeeds)
			write(t, dir, "lists/a.yaml", list("a", "Xylophone Front"))
			config := func(name, addr string) string {
				return write(t, dir, name, strings.NewReplacer(
					"data_dir: data", fmt.Sprintf("bus: {url: %q, setup: true, max_store: 1GiB}", s.ClientURL()), "127.0.0.1:0", addr).Replace(quietConfig))
			}
			rest := strings.Join(without([]string{"fetcher", "matcher", "notifier"}, role), ",")
			watching, alone := freeAddr(t), freeAddr(t)
			page := start(t, config("rest.yaml", watching), watching, "--roles", rest)
			page.waitReady(2 * time.Minute)
			lonely := config("alone.yaml", alone)
			p := start(t, lonely, alone, "--roles", role)
			p.waitReady(2 * time.Minute)
			missing := "nobody does the work of " + role
			waitFor(t, 2*time.Minute, "the role to work", func() bool {
				return strings.Contains(page.get("/system"), "<th scope=\"row\">"+role+"<td><span class=\"state good\">works") && !strings.Contains(page.get("/"), missing)
			})
			p.kill()
			killed := time.Now()
			waitFor(t, 2*time.Minute, "the page to say that "+role+" is gone", func() bool { return strings.Contains(page.get("/"), missing) })
			t.Logf("the page says so %s after the kill", time.Since(killed).Round(time.Second))
			start(t, lonely, alone, "--roles", role).waitReady(2 * time.Minute)
			waitFor(t, 2*time.Minute, "the page to be content again", func() bool { return !strings.Contains(page.get("/"), missing) })
		})
	}
}

func without(all []string, one string) (out []string) {
	for _, s := range all {
		if s != one {
			out = append(out, s)
		}
	}
	return out
}
