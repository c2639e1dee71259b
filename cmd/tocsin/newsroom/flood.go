package newsroom

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"

	"tocsin/news"
)

// floodList is how many entities one watchlist of a Flood holds; a file stays far under the limit of 1 MiB.
const floodList = 1000

// Flood opens a world with n planted mentions over the given number of feeds, released evenly over Options.Span, without background or decoys.
// Every mention has a made-up name of its own, so that no two of them are one story; WatchlistsYAML holds the lists that watch for the names,
// and Lists their ids, which are also the lists to judge. It is meant for crash and soak tests.
func Flood(n, feeds int, o Options) (*World, error) {
	if n < 1 || feeds < 1 {
		return nil, fmt.Errorf("flood of %d mentions over %d feeds: both must be at least 1", n, feeds)
	}
	o = o.withDefaults()
	rng := rand.New(rand.NewPCG(uint64(o.Seed), 0x666c6f6f64))
	p := plan{lists: map[string]string{}, extra: map[string][]byte{}}
	shapes := []string{"rss2", "atom", "json", "rss1"}
	for i := range feeds {
		spec := outletSpec{ID: fmt.Sprintf("flood-%02d", i), Name: fmt.Sprintf("Flood Gazette %d", i), Lang: "en", Country: "PK", Tier: 2, Format: shapes[i%len(shapes)]}
		if i%3 == 0 {
			spec.Traits = []string{"gzip"}
		}
		p.outlets = append(p.outlets, newOutlet(spec))
	}
	names := newNames(rng)
	for i := range n {
		id, list, name := fmt.Sprintf("name-%06d", i), fmt.Sprintf("flood-%03d", i/floodList), names.next()
		p.lists[id] = list
		it := &item{outlet: p.outlets[i%feeds], guid: id, at: share(o.Span, float64(i)/float64(n))}
		it.Item = Item{ID: id, Kind: Planted, Outlet: it.outlet.ID, Lang: "en", Expect: []string{id}}
		it.Title, it.Text = floodText(names, name)
		it.outlet.items = append(it.outlet.items, it)
		p.items = append(p.items, it)
		p.extra[list+".yaml"] = floodEntity(p.extra[list+".yaml"], list, id, name)
	}
	return open(o, p)
}

// Lists are the ids of the watchlists that this world's truth knows, sorted.
func (w *World) Lists() []string {
	set := map[string]bool{}
	for _, l := range w.lists {
		set[l] = true
	}
	return news.SortedKeys(set)
}

func floodEntity(yaml []byte, list, id, name string) []byte {
	b := bytes.NewBuffer(yaml)
	if b.Len() == 0 {
		fmt.Fprintf(b, "id: %s\ntitle: Made-up names %s\nseverity: high\nentities:\n", list, strings.TrimPrefix(list, "flood-"))
	}
	fmt.Fprintf(b, "  - id: %s\n    name: %s\n    kind: organisation\n    aliases: {en: [%[2]s]}\n    flag: [\"A speaker of %[2]s denied it.\"]\n", id, name)
	return b.Bytes()
}

// floodText tells one made-up event. Every word of weight is made up as well, so that whatever joins reports by what they share joins no two of these.
func floodText(n *names, name string) (title, text string) {
	word := func() string { return strings.ToLower(n.next()) }
	title = fmt.Sprintf("%s %s the %s in %s", name, word(), word(), n.next())
	return title, fmt.Sprintf("The %s of %s %s it, and %s was %s.", word(), n.next(), word(), n.next(), word())
}

// names makes pronounceable names, each once.
type names struct {
	rng  *rand.Rand
	used map[string]bool
}

func newNames(rng *rand.Rand) *names { return &names{rng: rng, used: map[string]bool{}} }

func (n *names) next() string {
	const onset, vowel, coda = "bdfgjklmnprstvz", "aeiou", "lmnrsk"
	for {
		var b strings.Builder
		for range 3 {
			b.WriteByte(onset[n.rng.IntN(len(onset))])
			b.WriteByte(vowel[n.rng.IntN(len(vowel))])
		}
		b.WriteByte(coda[n.rng.IntN(len(coda))])
		b.WriteByte("aeiou"[n.rng.IntN(5)])
		b.WriteByte("nrst"[n.rng.IntN(4)])
		s := strings.ToUpper(b.String()[:1]) + b.String()[1:]
		if !n.used[s] {
			n.used[s] = true
			return s
		}
	}
}
