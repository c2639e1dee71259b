package grafana

import (
	"encoding/json"
	"flag"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
	"tocsin/notifier/notifiertest"
)

var update = flag.Bool("update", false, "write the golden files anew")

const token = "glsa_CANARYTOKEN"

func open(t testing.TB) (*notifiertest.Web, notifier.Channel) {
	t.Helper()
	w := notifiertest.Serve(t, notifiertest.Find(`"delivery:`, `"`))
	w.Repeat = token
	w.Answer = func(w http.ResponseWriter) { w.Write([]byte(`{"message":"Annotation added","id":77}`)) }
	var c Config
	if fs := strict.Decode("t.yaml", []byte("token_file: "+notifiertest.Secret(t, token)+"\nurl: "+w.URL+"\ntags: [news]"), 1<<10, &c); len(fs) > 0 {
		t.Fatal(fs)
	}
	ch, err := New(c, Options{ID: "graphs", Client: w.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return w, ch
}

func TestSuite(t *testing.T) {
	notifiertest.Run(t, func(t *testing.T) *notifiertest.Peer {
		w, ch := open(t)
		w.Check = func(r *http.Request, _ []byte) {
			if r.URL.Path != "/api/annotations" || r.Header.Get("Authorization") != "Bearer "+token {
				t.Errorf("path %s, authorization %q", r.URL.Path, r.Header.Get("Authorization"))
			}
		}
		return w.Peer(t, ch, token)
	})
}

func TestGolden(t *testing.T) {
	_, ch := open(t)
	notifiertest.Golden(t, &ch, *update)
}

func decode(t testing.TB, a *news.Alert) annotation {
	t.Helper()
	_, ch := open(t)
	var x annotation
	if err := json.Unmarshal(notifiertest.Plan(t, &ch, a).Body, &x); err != nil {
		t.Fatal(err)
	}
	return x
}

func TestLimits(t *testing.T) {
	x := decode(t, notifiertest.Huge())
	for _, s := range x.Tags {
		notifiertest.Whole(t, notifier.LimitOf("grafana", "tag"), s)
	}
	for _, s := range strings.Split(x.Text, "<br>\n") {
		if !strings.HasPrefix(s, "<a href") {
			notifiertest.Whole(t, notifier.LimitOf("grafana", "line").Less(-len("why: ")), s)
		}
	}
}

// TestTextIsEscaped: Grafana shows the text as HTML, and nothing of an item may be a tag there.
func TestTextIsEscaped(t *testing.T) {
	for _, a := range []*news.Alert{&notifiertest.Samples()[9].Alert, notifiertest.Caller()} {
		x := decode(t, a)
		rest := strings.ReplaceAll(x.Text, "<br>\n", "")
		if i := strings.Index(rest, "<a href"); i >= 0 {
			rest = rest[:i]
		}
		if strings.ContainsAny(rest, "<>") {
			t.Errorf("a tag came through: %s", x.Text)
		}
	}
}

func TestTimeAndTags(t *testing.T) {
	a := &notifiertest.Samples()[0].Alert
	x := decode(t, a)
	if x.Time != a.At.UnixMilli() || !slices.Contains(x.Tags, "news") || !slices.Contains(x.Tags, "watchlist:corridor-security") || !slices.Contains(x.Tags, "entity:entity") {
		t.Errorf("%+v", x)
	}
}

func TestProviderID(t *testing.T) {
	_, ch := open(t)
	if r := ch.Send(t.Context(), notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert)); r.ProviderID != "77" {
		t.Errorf("%+v", r)
	}
}

func TestCheckFindsFaults(t *testing.T) {
	for yaml, want := range map[string]string{"{}": "no url", "url: https://g": "no token_file", "{url: http://g, token_file: /x}": "allow_http"} {
		var c Config
		fs := append(strict.Decode("t.yaml", []byte(yaml), 1<<10, &c), c.Check()...)
		if !strings.Contains(fs.Error(), want) {
			t.Errorf("%s: %q, want %q", yaml, fs.Error(), want)
		}
	}
}

func TestDigestNamesAndCounts(t *testing.T) {
	_, ch := open(t)
	var x annotation
	if err := json.Unmarshal(notifiertest.Digest(t, &ch, 200).Body, &x); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(x.Text, "<br>\n"); n != maxLines+1 || !strings.HasSuffix(x.Text, "and 150 more") || strings.ContainsAny(strings.ReplaceAll(x.Text, "<br>", ""), "<>") {
		t.Errorf("%d lines: %s", n, x.Text)
	}
}
