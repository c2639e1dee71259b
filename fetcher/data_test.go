package fetcher

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/mmcdole/gofeed"

	"tocsin/news"
)

func dataDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("TOCSIN_DATA")
	if dir == "" {
		t.Skip("data test left out: TOCSIN_DATA is not set")
	}
	return dir
}

// assertion is one line of core.jsonl.
type assertion struct {
	Path     string            `json:"path"`
	On       string            `json:"on"`
	Index    int               `json:"index"`
	Field    string            `json:"field"`
	Expected json.RawMessage   `json:"expected"`
	Headers  map[string]string `json:"headers"`
}

type corpus struct {
	docs       map[string][]byte
	headers    map[string]map[string]string
	assertions []assertion
}

func loadCorpus(t *testing.T) *corpus {
	t.Helper()
	dir := filepath.Join(dataDir(t), "feedparser-tests")
	c := &corpus{docs: map[string][]byte{}}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(filepath.Join(dir, "documents.tar.gz"))
	must(err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	must(err)
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		must(err)
		b, err := io.ReadAll(tr)
		must(err)
		c.docs[strings.TrimPrefix(h.Name, "./")] = b
	}
	b, err := os.ReadFile(filepath.Join(dir, "headers.json"))
	must(err)
	must(json.Unmarshal(b, &c.headers))
	b, err = os.ReadFile(filepath.Join(dir, "core.jsonl"))
	must(err)
	for sc := bufio.NewScanner(bytes.NewReader(b)); sc.Scan(); {
		var a assertion
		must(json.Unmarshal(sc.Bytes(), &a))
		c.assertions = append(c.assertions, a)
	}
	return c
}

func (c *corpus) document(path string, known bool) Document {
	h := c.headers[path]
	d := Document{Body: c.docs[path], ContentType: h["content-type"], ContentLocation: h["content-location"], FirstSeen: time.Now()}
	if known {
		d.URL = "http://127.0.0.1:8097/" + path
	}
	return d
}

// holds tells whether an assertion holds for a result.
func (a *assertion) holds(res *Result) (got string, ok bool) {
	var title, id, link string
	var updated, published time.Time
	if a.On == "feed" {
		title, id, link, updated, published = res.Title, res.ID, res.Link, res.Updated, res.Issued
	} else {
		if a.Index >= len(res.Entries) {
			return "no such entry", false
		}
		e := res.Entries[a.Index]
		title, id, link, updated, published = e.Title, e.ID, e.Link, e.Updated, e.Published
		if strings.HasPrefix(id, "/") {
			// feedparser shows relative ids resolved; identity keeps them as they stand.
			id = resolve(e.Base, id)
		}
	}
	switch a.Field {
	case "title":
		got = title
	case "id", "guid":
		got = id
	case "link":
		got = link
	case "updated_parsed", "published_parsed":
		tm := updated
		if a.Field == "published_parsed" {
			tm = published
		}
		var want []int
		_ = json.Unmarshal(a.Expected, &want)
		return tm.String(), len(want) > 5 && tm.Equal(time.Date(want[0], time.Month(want[1]), want[2], want[3], want[4], want[5], 0, time.UTC))
	}
	var want string
	_ = json.Unmarshal(a.Expected, &want)
	return got, got == want
}

// score counts the tests (by path) of which every assertion holds.
func (c *corpus) score(t *testing.T, known bool) (passed, total int) {
	t.Helper()
	failed := map[string]string{}
	paths := map[string]bool{}
	for _, a := range c.assertions {
		paths[a.Path] = true
		res, err := Parse(c.document(a.Path, known))
		if err != nil {
			failed[a.Path] = err.Error()
			continue
		}
		if got, ok := a.holds(&res); !ok {
			failed[a.Path] = fmt.Sprintf("%s %s: got %q, want %s", a.On, a.Field, got, a.Expected)
		}
	}
	if testing.Verbose() {
		var names []string
		for p := range failed {
			names = append(names, p)
		}
		sort.Strings(names)
		for _, p := range names {
			t.Logf("not met: %s: %s", p, failed[p])
		}
	}
	return len(paths) - len(failed), len(paths)
}

// Floors that this reader reached. Not read are 15 documents in CDF, a dead format, and one that holds nothing and is meant to fail.
const (
	floorRead    = 2090
	floorUnknown = 480
	floorKnown   = 494
)

func TestFeedparserDocuments(t *testing.T) {
	c := loadCorpus(t)
	raw, read := 0, 0
	var unread []string
	for path := range c.docs {
		_, rawErr := gofeed.NewParser().Parse(bytes.NewReader(c.docs[path]))
		if rawErr == nil {
			raw++
		}
		if _, err := Parse(c.document(path, false)); err == nil {
			read++
		} else {
			unread = append(unread, fmt.Sprintf("%s: %v (gofeed: %v)", path, err, rawErr))
		}
	}
	sort.Strings(unread)
	t.Logf("%d documents, read by gofeed alone %d, read here %d; not read:\n%s", len(c.docs), raw, read, strings.Join(unread, "\n"))
	if read < floorRead {
		t.Errorf("%d documents read, the floor is %d", read, floorRead)
	}
}

func TestFeedparserAssertions(t *testing.T) {
	c := loadCorpus(t)
	t.Run("address unknown", func(t *testing.T) {
		passed, total := c.score(t, false)
		t.Logf("%d of %d", passed, total)
		if passed < floorUnknown {
			t.Errorf("%d of %d, the floor is %d", passed, total, floorUnknown)
		}
	})
	t.Run("address known", func(t *testing.T) {
		passed, total := c.score(t, true)
		t.Logf("%d of %d", passed, total)
		if passed < floorKnown {
			t.Errorf("%d of %d, the floor is %d", passed, total, floorKnown)
		}
	})
}

// TestRealDocuments polls every document of the data set over HTTP. Each must end as items or as a reason, and all but one were read.
func TestRealDocuments(t *testing.T) {
	dir := filepath.Join(dataDir(t), "feeds")
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var feeds []Feed
	bodies := map[string][]byte{}
	srv := newSite(t, "")
	srv.handle(func(w http.ResponseWriter, q *http.Request) {
		_, _ = w.Write(bodies[strings.TrimPrefix(q.URL.Path, "/")])
	})
	for _, f := range files {
		if filepath.Base(f) == "INDEX.json" {
			continue
		}
		name := fmt.Sprint(len(feeds))
		if bodies[name], err = os.ReadFile(f); err != nil {
			t.Fatal(err)
		}
		feeds = append(feeds, Feed{URL: srv.URL + "/" + name, Note: filepath.Base(f)})
	}
	r := newRig(t, nil, feeds...)
	var raw, read, cleaned, items, lost int
	for i, fd := range feeds {
		before := len(r.items)
		r.poll(i)
		st := r.state(i)
		body := bodies[fmt.Sprint(i)]
		_, rawErr := gofeed.NewParser().Parse(bytes.NewReader(body))
		if rawErr == nil {
			raw++
		}
		cleanErr := cleanOnly(body)
		if cleanErr == nil {
			cleaned++
		}
		if st.Failures == 0 {
			read++
			items += len(r.items) - before
			continue
		}
		t.Logf("%s: %s: %s (gofeed: %v, cleaned: %v)", fd.Note, st.Reason, st.Error, rawErr, cleanErr)
		if cleanErr == nil && rawErr == nil {
			lost++
		}
		if !slices.Contains(Reasons(), st.Reason) {
			t.Errorf("%s: reason %q is not in the list", fd.Note, st.Reason)
		}
	}
	t.Logf("%d documents: read by gofeed alone %d, cleaned %d, read here %d with %d items", len(feeds), raw, cleaned, read, items)
	if len(feeds) < 434 || read < len(feeds)-1 || lost > 0 {
		t.Errorf("%d of %d documents read, %d that gofeed alone reads are not", read, len(feeds), lost)
	}
	sensible(t, r.items)
}

func cleanOnly(body []byte) error {
	text, _, err := toUTF8(body, charsetHints{})
	if err != nil {
		return err
	}
	_, err = gofeed.NewParser().Parse(bytes.NewReader(dropIllegal(dropDeclarations(text))))
	return err
}

// sensible checks what every item must be, whatever document it came from.
func sensible(t *testing.T, items []news.Item) {
	t.Helper()
	noGUID, noLink, noDate, marked := 0, 0, 0, 0
	for i := range items {
		it := &items[i]
		for _, f := range it.Fields() {
			if !utf8.ValidString(f.Text) || strings.ContainsRune(f.Text, utf8.RuneError) {
				t.Errorf("%s of %q is not clean text", f.Name, it.Title)
			}
		}
		switch {
		case it.ID == "" || it.Revision == "" || it.Lang == "" || it.FirstSeen.IsZero() || it.Title == "" && it.URL == "":
			t.Errorf("incomplete item %+v", it)
		case len(it.Title) > news.MaxTitle || len(it.Summary) > news.MaxSummary || len(it.Body) > news.MaxBody || len(it.URL) > news.MaxURL:
			t.Errorf("item over its limits: %q", it.Title)
		}
		if it.GUID == "" {
			noGUID++
		}
		if it.URL == "" {
			noLink++
		}
		if it.Published.IsZero() {
			noDate++
		}
		if slices.Contains(it.Flags, news.FlagNoDate) && it.PublishedClaimed != "" {
			t.Errorf("date %q of %q was not read", it.PublishedClaimed, it.Title)
		}
		if markupTag.MatchString(it.Title) {
			marked++
		}
	}
	t.Logf("%d items: %d without guid, %d without link, %d without date, %d titles with a tag in them", len(items), noGUID, noLink, noDate, marked)
	if noLink*100 > len(items) || noDate*100 > 6*len(items) || marked > 0 {
		t.Errorf("too many items without link or date, or with markup")
	}
}
