package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/news"
)

// openInstance opens an instance in this process, as roles notifier; the given text is the rest of its tocsin.yaml. Its stages are for the test to
// run.
func openInstance(t testing.TB, dir, rest string) *instance {
	t.Helper()
	write(t, dir, "feeds.yaml", "feeds: []\n")
	write(t, dir, "lists/a.yaml", "id: a\ntitle: A\nentities:\n  - id: front\n    name: Front\n    aliases:\n      en: [Xylophone Front]\n")
	text := fmt.Sprintf("data_dir: data\nhttp: {listen: %q}\nbus: {max_store: 1GiB}\nfetcher: {feeds: [feeds.yaml], allow_networks: [127.0.0.1]}\nmatcher: {watchlists: lists}\n", freeAddr(t))
	cfg, faults := loadConfig(write(t, dir, "tocsin.yaml", text+rest))
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	in, err := open(t.Context(), cfg, roles{notifier: true}, slog.New(slog.DiscardHandler), std{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
		defer stop()
		if err := in.bus.Close(ctx); err != nil {
			t.Error(err)
		}
		_ = in.listen.Close() // nothing was served on it
	})
	return in
}

// runStages runs the stages whose names begin so until stop is called or the test ends.
func (in *instance) runStages(t testing.TB, names ...string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, s := range in.pipeline() {
		if slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(s.name, n) }) {
			wg.Go(func() {
				if err := s.run(ctx); err != nil {
					t.Error(s.name, err)
				}
			})
		}
	}
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop
}

// newsAlert is a first alert with an id and a story of its own.
func newsAlert(i int) news.Alert {
	a := testAlert(time.Now().UTC())
	a.Kind = news.KindFirst
	a.ID, a.Story = fmt.Sprintf("alert%07d", i), fmt.Sprintf("story%07d", i)
	return a
}

func (in *instance) publish(t testing.TB, a news.Alert) {
	t.Helper()
	if _, err := in.bus.PublishAlert(t.Context(), a); err != nil {
		t.Fatal(err)
	}
}
