package alertmanager

import (
	"encoding/json"
	"flag"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
	"tocsin/notifier/notifiertest"
)

var update = flag.Bool("update", false, "write the golden files anew")

const token = "CANARYTOKEN"

func open(t testing.TB, more string) (*notifiertest.Web, notifier.Channel) {
	t.Helper()
	w := notifiertest.Serve(t, notifiertest.Find(`"delivery":"`, `"`))
	w.Repeat = token
	var c Config
	if fs := strict.Decode("t.yaml", []byte("token_file: "+notifiertest.Secret(t, token)+"\nurl: "+w.URL+"/\n"+more), 1<<10, &c); len(fs) > 0 {
		t.Fatal(fs)
	}
	ch, err := New(c, Options{ID: "am", Client: w.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return w, ch
}

func TestSuite(t *testing.T) {
	notifiertest.Run(t, func(t *testing.T) *notifiertest.Peer {
		w, ch := open(t, "")
		w.Check = func(r *http.Request, _ []byte) {
			if r.URL.Path != "/api/v2/alerts" || r.Header.Get("Authorization") != "Bearer "+token {
				t.Errorf("path %s, authorization %q", r.URL.Path, r.Header.Get("Authorization"))
			}
		}
		return w.Peer(t, ch, token)
	})
}

func TestGolden(t *testing.T) {
	_, ch := open(t, "labels: {team: desk}")
	notifiertest.Golden(t, &ch, *update)
}

func decode(t testing.TB, a *news.Alert, more string) alert {
	t.Helper()
	_, ch := open(t, more)
	var out []alert
	if err := json.Unmarshal(notifiertest.Plan(t, &ch, a).Body, &out); err != nil || len(out) != 1 {
		t.Fatal(err, len(out))
	}
	return out[0]
}

func TestLimits(t *testing.T) {
	x := decode(t, notifiertest.Huge(), "")
	for k, s := range x.Annotations {
		if k != "link" {
			notifiertest.Whole(t, notifier.LimitOf("alertmanager", "annotation"), s)
		}
	}
}

// TestRevisionsAreOneAlert: an update has the labels of the first revision and ends later.
func TestRevisionsAreOneAlert(t *testing.T) {
	a := notifiertest.Samples()[0].Alert
	first := decode(t, &a, "ends_after: 2h")
	a.Revision, a.Kind, a.At = 2, news.KindUpdate, a.At.Add(time.Hour)
	second := decode(t, &a, "ends_after: 2h")
	if d := cmp.Diff(first.Labels, second.Labels); d != "" {
		t.Errorf("labels differ:\n%s", d)
	}
	if !first.StartsAt.Equal(second.StartsAt) || !second.EndsAt.Equal(first.EndsAt.Add(time.Hour)) || !first.EndsAt.Equal(a.OpenedAt.Add(2*time.Hour)) {
		t.Errorf("from %s to %s, then from %s to %s", first.StartsAt, first.EndsAt, second.StartsAt, second.EndsAt)
	}
}

// TestAnEndIsAlwaysSet: without endsAt Alertmanager reports "resolved" after five minutes.
func TestAnEndIsAlwaysSet(t *testing.T) {
	_, ch := open(t, "")
	d := notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert)
	for range 2 {
		var out []alert
		if err := json.Unmarshal(d.Body, &out); err != nil || !out[0].EndsAt.After(out[0].StartsAt) {
			t.Errorf("%v %+v", err, out)
		}
		if err := ch.Short(d); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckFindsFaults(t *testing.T) {
	for yaml, want := range map[string]string{
		"{}": "no url", "url: http://am:9093": "allow_http", "{url: https://am, labels: {a-b: c}}": "cannot be the name", "{url: https://am, labels: {story: c}}": "set by the program",
		"{url: https://am, labels: {severity: c}}": "set by the program", "url: https://u:CANARY@am": "holds a password",
	} {
		var c Config
		fs := append(strict.Decode("t.yaml", []byte(yaml), 1<<10, &c), c.Check()...)
		if !strings.Contains(fs.Error(), want) || strings.Contains(fs.Error(), "CANARY") {
			t.Errorf("%s: %q, want %q", yaml, fs.Error(), want)
		}
	}
}

func TestADigestIsAListOfAlerts(t *testing.T) {
	_, ch := open(t, "labels: {team: desk}")
	d := notifiertest.Digest(t, &ch, 30)
	var all []alert
	if err := json.Unmarshal(d.Body, &all); err != nil || len(all) != 30 {
		t.Fatal(err, len(all))
	}
	for _, x := range all {
		if x.Annotations["delivery"] != d.ID || x.Labels["team"] != "desk" || !x.EndsAt.After(x.StartsAt) {
			t.Errorf("%+v", x)
		}
	}
}
