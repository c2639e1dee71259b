package newsroom

import (
	"slices"
	"sync"
)

// Fold says that an alert took an item in without telling anyone of it: nothing in it was new. The program under test keeps such records, the
// webhook does not see them, so whoever runs the program hands them in.
type Fold struct {
	Alert     string // id of the alert
	Watchlist string
	URL       string   // of the item
	IDs       []string // entities and rules that the record names
}

type foldBook struct {
	mu  sync.Mutex
	all []Fold
}

// AddFold notes a fold for Report.
func (w *World) AddFold(f Fold) {
	w.folds.mu.Lock()
	defer w.folds.mu.Unlock()
	w.folds.all = append(w.folds.all, f)
}

// thread is all that is known of one alert.
type thread struct {
	list string
	told map[string]bool     // addresses of the items that messages showed
	ids  map[string]bool     // that messages named
	also map[string][]string // addresses of items that were joined without a message of their own, with the ids of their records
	name map[string]bool     // addresses of those that a message names beside its item
}

func threadOf(threads map[string]*thread, id, list string) *thread {
	t := threads[id]
	if t == nil {
		t = &thread{list: list, told: map[string]bool{}, ids: map[string]bool{}, also: map[string][]string{}, name: map[string]bool{}}
		threads[id] = t
	}
	return t
}

// tell takes in a message.
func (t *thread) tell(a *Alert) {
	t.told[a.URL] = true
	for _, id := range slices.Concat(a.IDs, a.New) {
		t.ids[id] = true
	}
	for _, url := range a.Also {
		t.name[url] = true
		t.also[url] = append(t.also[url], a.New...)
	}
}

// join adds the folds that were handed in.
func (b *foldBook) join(threads map[string]*thread) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range b.all {
		t := threadOf(threads, f.Alert, f.Watchlist)
		t.also[f.URL] = append(t.also[f.URL], f.IDs...)
	}
}

// joined judges an item that no message showed, by the alert that took it in; "" when none did. The messages of that alert must name what the item
// mentions; and either one of them names the item itself, title and link, or they tell the same event: a fold must not hide news.
func (w *World) joined(it *item, row *Row, threads map[string]*thread) string {
	state := ""
	for _, t := range threads {
		if ids, ok := t.also[it.url]; ok && t.list == row.Watchlist {
			row.Got = w.of(row.Watchlist, ids)
			if state = w.judgeFold(it, row, t); state == Folded || state == False {
				return state
			}
		}
	}
	return state
}

func (w *World) judgeFold(it *item, row *Row, t *thread) string {
	same := func(o *item) bool { return it.Story != "" && o.Story == it.Story && t.told[o.url] }
	switch {
	case slices.ContainsFunc(row.Got, func(id string) bool { return !slices.Contains(it.Expect, id) && !slices.Contains(it.Allow, id) }),
		len(row.Want) == 0 && len(w.of(row.Watchlist, it.Allow)) == 0:
		return False
	case len(row.Want) == 0:
		return Allowed
	case !t.name[it.url] && !slices.ContainsFunc(w.items, same), slices.ContainsFunc(row.Want, func(id string) bool { return !t.ids[id] }):
		return Hidden
	}
	return Folded
}

// mixed counts the alerts whose messages showed items of different events.
func (w *World) mixed(threads map[string]*thread) (n int) {
	for _, t := range threads {
		events := map[string]bool{}
		for _, it := range w.items {
			if t.told[it.url] || t.name[it.url] && it.Kind == Planted {
				events[orElse(it.Story, it.ID)] = true
			}
		}
		if len(events) > 1 {
			n++
		}
	}
	return n
}
