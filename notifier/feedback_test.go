package notifier

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"tocsin/news"
)

const withFeedback = "feedback: {url: 'https://tocsin.example.org/desk'}\n" + oneRoute

// linked starts a notifier with links of feedback, whose channel writes them into its bodies.
func linked(t *testing.T, m *model, e *endpoint, key string) *Notifier {
	t.Helper()
	ch := e.channel("desk")
	ch.Render = func(_ *news.Alert, d *news.Delivery) error {
		var b strings.Builder
		for _, l := range FeedbackLinks(d) {
			b.WriteString(l.URL + "\n")
		}
		d.Subject, d.Body = "x", []byte(b.String()+".")
		return nil
	}
	o := m.options(t, config(t, withFeedback), ch)
	o.FeedbackKey = []byte(key)
	m.book(&o)
	n, err := New(o)
	must(t, err)
	must(t, n.Restore(t.Context()))
	return n
}

func TestFeedbackLinksAreSigned(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := linked(t, m, e, "key")
	throughAlerts(t, m, n, match("i1"))
	m.deliver(t, n)
	lines := strings.Split(string(e.got[0].Body), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "https://tocsin.example.org/desk/feedback?") {
		t.Fatalf("links %q", lines)
	}
	u, err := url.Parse(lines[1])
	must(t, err)
	ref, err := n.ReadFeedbackLink(u.Query())
	if err != nil || ref.Alert.ID != m.alerts[0].ID || ref.Alert.Revision != 1 || ref.Delivery != e.got[0].ID || u.Query().Get("v") != FeedbackNoise {
		t.Errorf("%+v, %v", ref, err)
	}
	for _, k := range []string{"a", "r", "t", "d", "s"} {
		q := u.Query()
		q.Set(k, q.Get(k)+"1")
		if _, err := n.ReadFeedbackLink(q); !errors.Is(err, ErrForged) {
			t.Errorf("with another %s: %v", k, err)
		}
	}
	if _, err := linked(t, newModel(), &endpoint{}, "other").ReadFeedbackLink(u.Query()); !errors.Is(err, ErrForged) {
		t.Errorf("under another key: %v", err)
	}
	if _, err := linked(t, newModel(), &endpoint{}, "").ReadFeedbackLink(u.Query()); !errors.Is(err, ErrForged) {
		t.Errorf("without a key: %v", err)
	}
}

func TestVerdictsAreCountedOnceAndKept(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := linked(t, m, e, "key")
	throughAlerts(t, m, n, match("i1", func(x *news.Match) { x.Entities = append(x.Entities, news.EntityHit{ID: "gwadar"}) }), match("i2"))
	for range 2 {
		must(t, n.AddFeedback(t.Context(), &m.alerts[0], FeedbackUseful, "ana"))
	}
	must(t, n.AddFeedback(t.Context(), &m.alerts[1], FeedbackNoise, "ana"))
	must(t, n.AddFeedback(t.Context(), &m.alerts[1], FeedbackAck, "ana"))
	if err := n.AddFeedback(t.Context(), &m.alerts[1], "great", "ana"); err == nil {
		t.Error("a verdict that is not in the list is kept")
	}
	for restart := range 2 {
		for verdict, want := range map[[2]string]float64{{"bla", "useful"}: 1, {"gwadar", "useful"}: 1, {"bla", "noise"}: 1, {"gwadar", "noise"}: 0, {"bla", "ack"}: 0} {
			if got := testutil.ToFloat64(n.m.feedback.WithLabelValues("armed-groups", verdict[0], verdict[1])); got != want {
				t.Errorf("start %d: %v counts %g, want %g", restart, verdict, got, want)
			}
		}
		n = linked(t, m, e, "key")
	}
	balanced(t, m, n)
}

func TestMuteSilencesTheStory(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := linked(t, m, e, "key")
	throughAlerts(t, m, n, match("i1"))
	must(t, n.AddFeedback(t.Context(), &m.alerts[0], FeedbackMute, "delivery x"))
	throughAlerts(t, m, n, match("i1", edited("r2"), severity(news.SeverityCritical)), match("i2"))
	sup := m.events(news.EventSuppressed)
	if len(sup) != 1 || sup[0].Reason != news.SuppressSilence || sup[0].Alerts[0].ID != m.alerts[0].ID {
		t.Errorf("suppressed %+v", sup)
	}
}
