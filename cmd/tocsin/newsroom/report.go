package newsroom

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"tocsin/news"
)

// States of a Row.
const (
	Alerted   = "alerted"   // a webhook told it, with every id that the truth asks for
	Folded    = "folded"    // joined to an alert that names all that the truth asks for, and that lists the item or tells the same event
	Missed    = "missed"    // served, but neither told nor joined to an alert
	Hidden    = "hidden"    // joined to an alert of another event that does not list it, or to one that does not name what it mentions
	Partial   = "partial"   // told, but without an id that the truth asks for
	False     = "false"     // told, although nothing of that watchlist is mentioned, or with an id that is not
	Allowed   = "allowed"   // told; the truth does not ask for it, but the text names it
	Waiting   = "waiting"   // not served yet
	Duplicate = "duplicate" // told as new more than once
)

// Row is the verdict on one item for one watchlist.
type Row struct {
	Item      Item
	Watchlist string
	State     string
	Want      []string      // ids of this watchlist in the truth
	Got       []string      // ids that the alerts named
	Latency   time.Duration // from first served to first told; 0 when not told
	Webhooks  []string      // webhook ids that told it as new
}

// Report says how what came out at the webhook compares with the truth. Counts are of pairs of item and watchlist, of the judged lists only.
type Report struct {
	Planted    int // pairs that the truth asks for
	Alerted    int // of these
	Folded     int // of these
	Allowed    int // pairs beside the planted ones that were rightly told
	Missed     int // Missed, Hidden and Partial rows
	False      int
	Duplicates int // rows told as new under two webhook ids
	Repeats    int // webhook ids that were taken in more than once
	Waiting    int // pairs whose item was not served yet
	Splits     int // stories of the truth that were told as new more than once; a matter of taste, not of OK
	Mixed      int // alerts that told items of different events as one; of those that nobody was told at all Missed counts
	Updates    int // messages that told something new of a story
	Unread     int // webhook bodies that could not be read
	Forged     int // requests with a wrong signature
	P50, P99   time.Duration
	Rows       []Row // sorted by state, item and watchlist
}

// Judged are the watchlists whose every mention is part of the truth. Places and people occur all over the texts and are left out.
func Judged() []string {
	return []string{"armed-groups", "borders", "corridors", "diplomacy", "separatism", "technology"}
}

// OK is true when everything planted was told, nothing else was, and nothing twice.
func (r Report) OK() bool {
	return r.Missed+r.False+r.Duplicates+r.Repeats+r.Waiting+r.Unread+r.Forged == 0 && r.Planted > 0
}

type pair struct{ url, list string }

// told is what the webhooks said about one pair.
type told struct {
	ids   map[string]bool
	first time.Time
	fresh map[string]bool // webhook ids of kind first
}

// Report judges what came until now. judged nil means Judged().
func (w *World) Report(judged []string) Report {
	if judged == nil {
		judged = Judged()
	}
	r := Report{Forged: w.Forged()}
	seen, threads := w.told(judged, &r)
	w.folds.join(threads)
	stories := map[pair]int{}
	var lat []time.Duration
	for _, it := range w.items {
		for _, list := range judged {
			row := w.judge(it, list, seen, threads)
			if row.State == "" {
				continue
			}
			if row.Latency > 0 {
				lat = append(lat, row.Latency)
			}
			if it.Story != "" && len(row.Webhooks) > 0 {
				stories[pair{it.Story, list}]++
			}
			r.Rows = append(r.Rows, row)
		}
	}
	r.Mixed = w.mixed(threads)
	r.count()
	for _, n := range stories {
		if n > 1 {
			r.Splits++
		}
	}
	r.P50, r.P99 = quantile(lat, 0.50), quantile(lat, 0.99)
	return r
}

func (w *World) told(judged []string, r *Report) (map[pair]*told, map[string]*thread) {
	seen, threads := map[pair]*told{}, map[string]*thread{}
	kept := map[string]int{}
	for _, h := range w.Hits() {
		if !h.Kept {
			continue
		}
		if kept[h.ID]++; kept[h.ID] == 2 {
			r.Repeats++
		}
		if h.Err != nil {
			r.Unread++
		}
		for _, a := range h.Alerts {
			if !slices.Contains(judged, a.Watchlist) {
				continue
			}
			threadOf(threads, a.ID, a.Watchlist).tell(&a)
			if a.Kind == news.KindUpdate && kept[h.ID] == 1 {
				r.Updates++
			}
			p := pair{a.URL, a.Watchlist}
			t := seen[p]
			if t == nil {
				t = &told{ids: map[string]bool{}, fresh: map[string]bool{}, first: h.At}
				seen[p] = t
			}
			for _, id := range a.IDs {
				t.ids[id] = true
			}
			if a.Kind == news.KindFirst {
				t.fresh[h.ID] = true
			}
		}
	}
	return seen, threads
}

// judge gives the row of one pair; State "" when there is nothing to say.
func (w *World) judge(it *item, list string, seen map[pair]*told, threads map[string]*thread) Row {
	row := Row{Item: it.Item, Watchlist: list, Want: w.of(list, it.Expect)}
	row.Item.URL = it.url
	t := seen[pair{it.url, list}]
	if t == nil {
		if row.State = w.joined(it, &row, threads); row.State != "" {
			return row
		}
	}
	switch {
	case t == nil && len(row.Want) == 0:
		return row
	case t == nil && it.served().IsZero():
		row.State = Waiting
		return row
	case t == nil:
		row.State = Missed
		return row
	}
	row.Got, row.Webhooks = w.of(list, news.SortedKeys(t.ids)), news.SortedKeys(t.fresh)
	if s := it.served(); !s.IsZero() {
		row.Latency = t.first.Sub(s)
	}
	extra := slices.ContainsFunc(row.Got, func(id string) bool { return !slices.Contains(it.Expect, id) && !slices.Contains(it.Allow, id) })
	lacks := len(t.ids) > 0 && slices.ContainsFunc(row.Want, func(id string) bool { return !t.ids[id] })
	switch {
	case extra || len(row.Want) == 0 && len(w.of(list, it.Allow)) == 0:
		row.State = False
	case lacks:
		row.State = Partial
	case len(row.Webhooks) > 1:
		row.State = Duplicate
	case len(row.Want) == 0:
		row.State = Allowed
	default:
		row.State = Alerted
	}
	return row
}

// of keeps the ids that belong to list. Ids of which the script knows nothing stay: they were not foreseen.
func (w *World) of(list string, ids []string) []string {
	var out []string
	for _, id := range ids {
		if l, ok := w.lists[id]; !ok || l == list {
			out = append(out, id)
		}
	}
	return out
}

func (r *Report) count() {
	for _, row := range r.Rows {
		if len(row.Want) > 0 {
			r.Planted++
		}
		switch row.State {
		case Alerted:
			r.Alerted++
		case Folded:
			r.Folded++
		case Allowed:
			r.Allowed++
		case Missed, Partial, Hidden:
			r.Missed++
		case False:
			r.False++
		case Waiting:
			r.Waiting++
		}
		if len(row.Webhooks) > 1 {
			r.Duplicates++
		}
	}
	slices.SortStableFunc(r.Rows, func(a, b Row) int {
		return strings.Compare(a.State+"\x00"+a.Item.ID+"\x00"+a.Watchlist, b.State+"\x00"+b.Item.ID+"\x00"+b.Watchlist)
	})
}

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Sorted(slices.Values(d))
	return d[min(len(d)-1, int(q*float64(len(d))))]
}

// Table renders the report for a terminal: the counts, one line for each row that is not as it should be, and the slowest rows.
func (r Report) Table() string {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "planted\talerted\tfolded\tmissed\tfalse\tduplicate\trepeats\twaiting\tallowed\tupdates\tsplits\tmixed\tp50\tp99")
	fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\n", r.Planted, r.Alerted, r.Folded, r.Missed, r.False, r.Duplicates, r.Repeats, r.Waiting,
		r.Allowed, r.Updates, r.Splits, r.Mixed, r.P50.Round(time.Millisecond), r.P99.Round(time.Millisecond))
	_ = w.Flush() // into memory
	good := []string{Alerted, Folded, Allowed}
	r.rows(&b, "\nstate\twatchlist\titem\tlang\toutlet\twant\tgot", func(row Row) string {
		if slices.Contains(good, row.State) {
			return ""
		}
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\t%s\t%s", row.State, row.Watchlist, row.Item.ID, row.Item.Lang, row.Item.Outlet,
			orElse(strings.Join(row.Want, ","), "-"), orElse(strings.Join(row.Got, ","), "-"))
	})
	r.rows(&b, "\nslowest\twatchlist\titem\toutlet", func(row Row) string {
		if row.Latency < r.P99 || row.Latency <= 0 {
			return ""
		}
		return fmt.Sprintf("%s\t%s\t%s\t%s", row.Latency.Round(time.Millisecond), row.Watchlist, row.Item.ID, row.Item.Outlet)
	})
	return b.String()
}

// rows writes the lines that f gives, under a head when there is any.
func (r Report) rows(b *bytes.Buffer, head string, f func(Row) string) {
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, row := range r.Rows {
		line := f(row)
		if line == "" {
			continue
		}
		if head != "" {
			fmt.Fprintln(w, head)
			head = ""
		}
		fmt.Fprintln(w, line)
	}
	_ = w.Flush() // into memory
}
