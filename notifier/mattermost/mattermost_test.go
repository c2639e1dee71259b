package mattermost

import (
	"encoding/json"
	"flag"
	"strings"
	"testing"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
	"tocsin/notifier/notifiertest"
)

var update = flag.Bool("update", false, "write the golden files anew")

const path = "/hooks/CANARYTOKEN"

func open(t testing.TB) (*notifiertest.Web, notifier.Channel) {
	t.Helper()
	w := notifiertest.Serve(t, notifiertest.Find(`"tocsin_delivery":"`, `"`))
	w.Repeat = path
	var c Config
	if fs := strict.Decode("t.yaml", []byte("url_file: "+notifiertest.Secret(t, w.URL+path)), 1<<10, &c); len(fs) > 0 {
		t.Fatal(fs)
	}
	ch, err := New(c, Options{ID: "desk", Client: w.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return w, ch
}

func TestSuite(t *testing.T) {
	notifiertest.Run(t, func(t *testing.T) *notifiertest.Peer {
		w, ch := open(t)
		return w.Peer(t, ch, path)
	})
}

func TestGolden(t *testing.T) {
	_, ch := open(t)
	notifiertest.Golden(t, &ch, *update)
}

func text(t testing.TB, a *news.Alert) string {
	t.Helper()
	_, ch := open(t)
	var m message
	if err := json.Unmarshal(notifiertest.Plan(t, &ch, a).Body, &m); err != nil {
		t.Fatal(err)
	}
	return m.Text
}

func TestLimits(t *testing.T) {
	notifiertest.Whole(t, limit("text"), text(t, notifiertest.Huge()))
	notifiertest.Whole(t, limit("text"), text(t, notifiertest.HugeHeartbeat()))
}

func TestNobodyIsCalled(t *testing.T) {
	s := text(t, notifiertest.Caller())
	notifiertest.Calls(t, s)
	for _, markup := range []string{"[x](", " *b*", " _i_", "~s~", " `c`"} {
		if strings.Contains(s, markup) {
			t.Errorf("markup of an item came through: %q in %q", markup, s)
		}
	}
}

func TestNoAddressIsAFault(t *testing.T) {
	var c Config
	if err := c.Check().Err(); err == nil || !strings.Contains(err.Error(), "type mattermost has no url_file") {
		t.Errorf("got %v", err)
	}
}

func TestDigestKeepsLimits(t *testing.T) {
	_, ch := open(t)
	var m message
	if err := json.Unmarshal(notifiertest.Digest(t, &ch, 200).Body, &m); err != nil {
		t.Fatal(err)
	}
	notifiertest.Whole(t, limit("text"), m.Text)
	notifiertest.Calls(t, m.Text)
	if strings.Count(m.Text, "\n") < 30 || !strings.Contains(m.Text, " more") {
		t.Errorf("the digest names too few: %q", m.Text)
	}
}
