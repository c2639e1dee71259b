package matcher

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"tocsin/matcher/watchlist"
	"tocsin/watchlists"
)

// dataDir is the folder of shared data.
func dataDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("TOCSIN_DATA")
	if dir == "" {
		t.Skip("data test left out: TOCSIN_DATA is not set")
	}
	return dir
}

func shippedIndex(t testing.TB) *Index {
	t.Helper()
	set, faults := watchlist.Load(watchlists.Lists)
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	x, err := Compile(set)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func readLabelled(t testing.TB, file string) (items []Labelled) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var l Labelled
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		items = append(items, l)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return items
}

func TestShippedListsOnLabelled(t *testing.T) {
	items := readLabelled(t, filepath.Join(dataDir(t), "labelled.jsonl"))
	r := Score(items, shippedIndex(t))
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", b.String())
	if p := r.All.Precision(); p < 0.97 {
		t.Errorf("precision %.3f, want at least 0.97", p)
	}
	if p := r.All.Recall(); p < 0.95 {
		t.Errorf("recall %.3f, want at least 0.95", p)
	}
	if share := zeroShare(r.HardFlagged, r.HardItems); share > 0.03 {
		t.Errorf("%.1f %% of the hard negatives are flagged, want at most 3 %%", 100*share)
	}
}
