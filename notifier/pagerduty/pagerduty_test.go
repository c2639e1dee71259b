package pagerduty

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"strings"
	"testing"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
	"tocsin/notifier/notifiertest"
)

var update = flag.Bool("update", false, "write the golden files anew")

const key = "CANARYROUTINGKEY0000000000000000"

func open(t testing.TB) (*notifiertest.Web, notifier.Channel) {
	t.Helper()
	w := notifiertest.Serve(t, notifiertest.Find(`"delivery":"`, `"`))
	w.Repeat = key
	w.Strip = func(b []byte) []byte { return bytes.Replace(b, []byte(`"routing_key":"`+key+`",`), nil, 1) }
	w.Answer = func(w http.ResponseWriter) {
		w.WriteHeader(http.StatusAccepted)
		w.Write([]byte(`{"status":"success","message":"Event processed","dedup_key":"k1"}`))
	}
	var c Config
	if fs := strict.Decode("t.yaml", []byte("routing_key_file: "+notifiertest.Secret(t, key)+"\nurl: "+w.URL+"/v2/enqueue"), 1<<10, &c); len(fs) > 0 {
		t.Fatal(fs)
	}
	ch, err := New(c, Options{ID: "duty", Client: w.Client()})
	if err != nil {
		t.Fatal(err)
	}
	return w, ch
}

func TestSuite(t *testing.T) {
	notifiertest.Run(t, func(t *testing.T) *notifiertest.Peer {
		w, ch := open(t)
		w.Check = func(_ *http.Request, body []byte) {
			var said struct {
				Key string `json:"routing_key"`
			}
			if json.Unmarshal(body, &said) != nil || said.Key != key {
				t.Errorf("the event does not carry its key: %.80s", body)
			}
		}
		return w.Peer(t, ch, key)
	})
}

func TestGolden(t *testing.T) {
	_, ch := open(t)
	notifiertest.Golden(t, &ch, *update)
}

func decode(t testing.TB, a *news.Alert) event {
	t.Helper()
	_, ch := open(t)
	var e event
	if err := json.Unmarshal(notifiertest.Plan(t, &ch, a).Body, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestLimits(t *testing.T) {
	e := decode(t, notifiertest.Huge())
	notifiertest.Whole(t, limit("summary"), e.Payload.Summary)
	notifiertest.Whole(t, limit("dedup_key"), e.Key)
	for _, s := range append(append(e.Payload.Details.New, e.Payload.Details.Why...), e.Payload.Details.Text, e.Payload.Group) {
		notifiertest.Whole(t, limit("text"), s)
	}
}

// TestUpdatesJoinOneIncident: every revision of an alert has its dedup_key, and each delivery its own id.
func TestUpdatesJoinOneIncident(t *testing.T) {
	a := notifiertest.Samples()[0].Alert
	first := decode(t, &a)
	a.Revision, a.Kind = 2, news.KindUpdate
	second := decode(t, &a)
	if first.Key != a.ID || second.Key != a.ID || first.Payload.Details.Delivery == second.Payload.Details.Delivery {
		t.Errorf("keys %q and %q, deliveries %q and %q", first.Key, second.Key, first.Payload.Details.Delivery, second.Payload.Details.Delivery)
	}
}

func TestSeverities(t *testing.T) {
	for i, want := range map[int]string{0: "error", 1: "critical", 2: "warning", 4: "info", 7: "info"} {
		if e := decode(t, &notifiertest.Samples()[i].Alert); e.Payload.Severity != want {
			t.Errorf("sample %d: %s, want %s", i, e.Payload.Severity, want)
		}
	}
}

func TestProviderID(t *testing.T) {
	_, ch := open(t)
	if r := ch.Send(t.Context(), notifiertest.Plan(t, &ch, &notifiertest.Samples()[0].Alert)); r.Verdict != notifier.Delivered || r.ProviderID != "k1" {
		t.Errorf("%+v", r)
	}
}

func TestNoKeyIsAFault(t *testing.T) {
	var c Config
	if err := c.Check().Err(); err == nil || !strings.Contains(err.Error(), "no routing_key_file") {
		t.Errorf("got %v", err)
	}
}

// TestADigestIsAnIncidentOfItsOwn: it joins no story's incident.
func TestADigestIsAnIncidentOfItsOwn(t *testing.T) {
	_, ch := open(t)
	d := notifiertest.Digest(t, &ch, 200)
	var e event
	if err := json.Unmarshal(d.Body, &e); err != nil || e.Key != d.ID || len(e.Payload.Details.Alerts) != maxLines+1 {
		t.Errorf("%v, key %q, %d alerts", err, e.Key, len(e.Payload.Details.Alerts))
	}
	notifiertest.Whole(t, limit("summary"), e.Payload.Summary)
}
