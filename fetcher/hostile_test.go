package fetcher

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// hostile documents are made on the fly. Each must be refused (or read in part) within a bounded time and memory, and without end of the process.
func TestHostileDocuments(t *testing.T) {
	repeat := func(head, part string, n int, tail string) func(io.Writer) {
		return func(w io.Writer) {
			_, _ = io.WriteString(w, head)
			chunk := strings.Repeat(part, 1000)
			for range n / 1000 {
				if _, err := io.WriteString(w, chunk); err != nil {
					return
				}
			}
			_, _ = io.WriteString(w, tail)
		}
	}
	nested := func(n int) func(io.Writer) {
		return func(w io.Writer) {
			_, _ = io.WriteString(w, `<rss xmlns:x="u"><channel><item>`)
			for i := range n {
				fmt.Fprintf(w, `<x:a xmlns:p%d="urn:%d">`, i, i)
			}
		}
	}
	prefixes := func(n, items int) func(io.Writer) {
		return func(w io.Writer) {
			_, _ = io.WriteString(w, "<rss")
			for i := range n {
				fmt.Fprintf(w, ` xmlns:p%d="u%d"`, i, i)
			}
			repeat("><channel>", "<item/>", items, "</channel></rss>")(w)
		}
	}
	fine := `<item><title>Fine</title><link>https://herald.example/fine</link></item>`
	for name, c := range map[string]struct {
		write func(io.Writer)
		want  Reason
		items int
	}{
		"2,000,000 unclosed elements": {repeat(`<rss xmlns:x="u"><channel><item>`, "<x:a>", 2_000_000, ""), ReasonRefusedNesting, 0},
		"bomb beside a fine item":     {repeat(`<rss xmlns:x="u"><channel>`+fine+`<item>`, "<x:a>", 2_000_000, ""), ReasonRefusedNesting, 1},
		"16k nested namespaces":       {nested(16_000), ReasonRefusedNesting, 0},
		"900 prefixes, 50,000 items":  {prefixes(900, 50_000), ReasonRefusedSize, 0},
		"60 prefixes, 240,000 items":  {prefixes(60, 240_000), ReasonRefusedNesting, 0},
		"300,000 elements":            {repeat("<rss><channel>", "<item/>", 300_000, "</channel></rss>"), ReasonRefusedSize, 0},
		"mixed text in pieces":        {repeat(`<rss xmlns:x="u"><channel><item><x:a>`, "xxxx<![CDATA[y]]>", 300_000, "</x:a></item></channel></rss>"), ReasonRefusedNesting, 0},
		"2 GB of spaces":              {repeat("<rss>", strings.Repeat(" ", 1000), 2_000_000, ""), ReasonTooBig, 0},
		"JSON of empty objects":       {repeat(`{"version":"https://jsonfeed.org/version/1.1","items":[`, "{},", 5_000_000, "{}]}"), ReasonRefusedSize, 0},
		"JSON nested":                 {repeat(`{"version":"https://jsonfeed.org/version/1.1","items":[`, "[", 2_000_000, ""), ReasonUnparseable, 0},
		"HTML that multiplies":        {repeat(`<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://h.example/"><entry><title>t</title><content type="h&#116;ml">`+formatting(400), "&lt;/p>&lt;p>x", 300_000, "</content></entry></feed>"), "", 1},
		"XHTML that multiplies":       {repeat(`<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://h.example/"><entry><title>t</title><content type="xhtml"><![CDATA[`+strings.NewReplacer("&lt;", "<").Replace(formatting(400)), "</p><p>x", 300_000, "]]></content></entry></feed>"), "", 1},
		"long bases": {func(w io.Writer) {
			_, _ = io.WriteString(w, "<rss><channel>"+strings.Repeat(`<item xml:base="`+strings.Repeat("a/", 900)+`">`, 200))
			repeat("", `<link href="x"/>`, 200_000, "")(w)
		}, ReasonRefusedSize, 0},
		"root tag many times": {repeat("<rss "+strings.Repeat(`a="`+strings.Repeat("x", 100)+`" `, 35)+"><channel>", "<item><title>1 < 2</title><link>https://h.example/</link></item>", 100_000, "</channel></rss>"), "", -1},
		"20,000 items":        {repeat("<rss><channel>", "<item><title>t</title><link>https://h.example/</link></item>", 20_000, "</channel></rss>"), "", -1},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "")
			s.handle(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(w)
				c.write(z)
				_ = z.Close()
			})
			r := newRig(t, nil, Feed{URL: s.URL})
			took, grown := measure(func() { r.poll(0) })
			st := r.state(0)
			got := st.Reason
			if got == "" && c.want != "" {
				for _, re := range Reasons() {
					if r.counter("tocsin_feed_errors_total", string(re)) > 0 && re != ReasonCut {
						got = re
					}
				}
			}
			if got != c.want || c.items >= 0 && len(r.items) != c.items {
				t.Errorf("reason %s (%s), %d items", got, st.Error, len(r.items))
			}
			if took > 8*slowness*time.Second || grown > 400<<20 {
				t.Errorf("took %s, %d MiB", took, grown>>20)
			}
			t.Logf("%s, %d MiB at most, %s", took.Round(time.Millisecond), grown>>20, st.Error)
		})
	}
}

// measure runs f and tells the processor time that the process used, and how far its heap grew meanwhile.
func measure(f func()) (time.Duration, uint64) {
	debug.FreeOSMemory()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	stop, peak := make(chan bool), make(chan uint64)
	go func() {
		var most uint64
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	start := processorTime()
	f()
	took := processorTime() - start
	close(stop)
	most := <-peak
	return took, most - min(most, before.HeapAlloc)
}

func TestBombAmongFineItemsLosesOnlyItself(t *testing.T) {
	var b bytes.Buffer
	b.WriteString(`<rss xmlns:x="u"><channel><title>t</title>`)
	for i := range 20 {
		fmt.Fprintf(&b, "<item><title>Item %d</title><link>https://herald.example/%d</link></item>", i, i)
		if i == 10 {
			b.WriteString("<item><title>bomb</title>" + strings.Repeat("<x:a>", 1000) + "</item>")
		}
	}
	b.WriteString("</channel></rss>")
	res, err := Parse(Document{Body: b.Bytes()})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Entries) != 20 || res.Dropped != 1 || res.Refused == nil || res.Refused.Reason != ReasonRefusedNesting {
		t.Errorf("%d entries, %d dropped, refused %v", len(res.Entries), res.Dropped, res.Refused)
	}
}

func TestNothingIsExpanded(t *testing.T) {
	doc := `<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "AAAAAAAAAA"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">
<!ENTITY file SYSTEM "file:///etc/passwd"><!ENTITY % remote SYSTEM "http://169.254.169.254/x">%remote;]>
<rss><channel><item><title>x &c; &file;</title><link>https://herald.example/1</link></item></channel></rss>`
	res, err := Parse(Document{Body: []byte(doc)})
	if err != nil {
		t.Fatal(err)
	}
	if got := res.Entries[0].Title; strings.Contains(got, "AAAA") || strings.Contains(got, "root:") || len(got) > 40 {
		t.Errorf("title %q", got)
	}
	many := strings.Repeat("&a;", 1_000_000)
	if out := expand([]byte(`<!ENTITY a "`+strings.Repeat("A", 256)+`">`), []byte(many)); len(out) != len(many) {
		t.Errorf("grew to %d bytes", len(out))
	}
}

func TestPanicInParsingStaysAFaultOfOneFeed(t *testing.T) {
	s := newSite(t, `{"version":"https://jsonfeed.org/version/1","items":[null]}`)
	r := newRig(t, nil, Feed{URL: s.URL})
	r.poll(0)
	if st := r.state(0); st.Failures > 1 || len(r.items) != 0 {
		t.Errorf("%+v", st)
	}
	_, err := guard(func() (Result, error) { panic("made for this test") })
	var broken *panicFault
	if f := asFault(err); f.Reason != ReasonUnparseable || !asPanic(err, &broken) || !strings.Contains(string(broken.stack), "hostile_test") {
		t.Errorf("fault %v", f)
	}
}

// formatting writes n open formatting elements in a paragraph, each different, as escaped markup.
func formatting(n int) string {
	var b strings.Builder
	b.WriteString("&lt;p>")
	for i := range n {
		fmt.Fprintf(&b, "&lt;b id=x%d>", i)
	}
	return b.String()
}
