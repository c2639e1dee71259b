package fetcher

import (
	"net/url"
	"slices"
	"sync"
	"time"

	"tocsin/news"
)

// wanted is an item whose article is still to be read.
type wanted struct {
	feed  string
	item  news.Item
	key   uint64
	tries int
	after time.Time
}

// articles is the queue of articles to read. It is in memory; the ids in it stand in the feeds' states, so that a restart finds them again.
type articles struct {
	mu     sync.Mutex
	queue  []*wanted
	held   map[uint64]bool // queued or in hand
	ended  map[string]map[uint64]bool
	inHand map[string]bool // hosts of which an article is in hand: one at a time, so that a slow host holds one reader
	robots map[string]*robots
	asking map[string]chan struct{} // hosts whose robots.txt is on its way; closed when it is there
	counts map[string]int
	day    int64
	texts  map[string]map[uint64]int
	signal chan struct{}
}

func newArticles() *articles {
	return &articles{
		held: map[uint64]bool{}, ended: map[string]map[uint64]bool{}, inHand: map[string]bool{}, robots: map[string]*robots{},
		asking: map[string]chan struct{}{}, counts: map[string]int{}, texts: map[string]map[uint64]int{}, signal: make(chan struct{}, 1),
	}
}

func (q *articles) add(w *wanted) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.held[w.key] || len(q.queue) >= maxWanted {
		return q.held[w.key]
	}
	q.held[w.key] = true
	q.queue = append(q.queue, w)
	select {
	case q.signal <- struct{}{}:
	default:
	}
	return true
}

// take gives the first article that may be read now.
func (q *articles) take(now time.Time, free func(host string) bool) *wanted {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, w := range q.queue {
		host := w.host()
		if !w.after.After(now) && !q.inHand[host] && free(host) {
			q.queue = slices.Delete(q.queue, i, i+1)
			q.inHand[host] = true
			return w
		}
	}
	return nil
}

// release lets others take articles of the host.
func (q *articles) release(w *wanted) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.inHand, w.host())
}

// host keys the host of the article, "" when its address cannot be read.
func (w *wanted) host() string {
	u, err := url.Parse(w.item.URL)
	if err != nil {
		return ""
	}
	return hostPort(u)
}

// end forgets an article that was read or given up; the feed's next poll takes it out of the state.
func (q *articles) end(w *wanted) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.held, w.key)
	if q.ended[w.feed] == nil {
		q.ended[w.feed] = map[uint64]bool{}
	}
	q.ended[w.feed][w.key] = true
}

func (q *articles) again(w *wanted, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w.after = at
	q.queue = append(q.queue, w)
}

// settle takes the ended ones out of a feed's list and tells whether others are not in the queue.
func (q *articles) settle(feed string, keys []uint64) (left []uint64, forgotten bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, k := range keys {
		if q.ended[feed][k] {
			continue
		}
		left = append(left, k)
		forgotten = forgotten || !q.held[k] && len(q.queue) < maxWanted/2
	}
	return left, forgotten
}

func (q *articles) saved(feed string, keys []uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for k := range q.ended[feed] {
		if !slices.Contains(keys, k) {
			delete(q.ended[feed], k)
		}
	}
	if len(q.ended[feed]) == 0 {
		delete(q.ended, feed)
	}
}

// budget counts one page against the host's day.
func (q *articles) budget(host string, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if d := now.Unix() / 86400; d != q.day {
		q.day, q.counts, q.texts = d, map[string]int{}, map[string]map[uint64]int{}
	}
	q.counts[host]++
	return q.counts[host] <= pagesPerDay
}

// common tells whether the host showed the same text on other pages today.
func (q *articles) common(host, text string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.texts[host] == nil {
		q.texts[host] = map[uint64]int{}
	}
	h := hash64(text)
	q.texts[host][h]++
	return q.texts[host][h] >= samePages
}

// known gives what is known of a host, else the signal to wait for; neither means that the caller is the one to ask.
func (q *articles) known(key string, now time.Time) (*robots, <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r := q.robots[key]; r != nil && !now.After(r.until) {
		return r, nil
	}
	if c := q.asking[key]; c != nil {
		return nil, c
	}
	q.asking[key] = make(chan struct{})
	return nil, nil
}

func (q *articles) learn(key string, r *robots, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	close(q.asking[key])
	delete(q.asking, key)
	if err != nil {
		return
	}
	if len(q.robots) > 10_000 {
		clear(q.robots)
	}
	q.robots[key] = r
}
