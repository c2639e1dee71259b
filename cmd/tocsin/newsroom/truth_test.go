package newsroom

import (
	"testing"
	"testing/fstest"
	"time"

	"tocsin/matcher/watchlist"
)

func TestFloodWatchlistsLoad(t *testing.T) {
	w, err := Flood(2500, 3, Options{Span: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	files := fstest.MapFS{}
	for name, data := range w.WatchlistsYAML() {
		files[name] = &fstest.MapFile{Data: data}
	}
	set, faults := watchlist.Load(files)
	for _, f := range faults {
		t.Error(f)
	}
	n := 0
	for _, l := range set.Lists {
		n += len(l.Entities)
	}
	if len(w.Lists()) != 3 || n != 2500 {
		t.Errorf("%d lists with %d names", len(w.Lists()), n)
	}
}

func TestOpenBeginsAnew(t *testing.T) {
	w := start(t, Options{Span: 300 * time.Millisecond, Noise: 4})
	time.Sleep(400 * time.Millisecond)
	done, total := w.Progress()
	w.Open()
	again, _ := w.Progress()
	if done != total || again >= total {
		t.Errorf("%d of %d published, after Open %d", done, total, again)
	}
}
