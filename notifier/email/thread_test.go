package email

import (
	"bytes"
	"mime"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/news"
)

// threads puts mails together as mail readers do (Jamie Zawinski's algorithm, without subjects): mails are one thread when the chains of their
// References and In-Reply-To meet, also in a mail that nobody has. It gives the subjects of each thread.
func threads(t *testing.T, raw [][]byte) map[string][]string {
	t.Helper()
	parent := map[string]string{}
	var top func(string) string
	top = func(id string) string {
		if p, ok := parent[id]; ok && p != id {
			return top(p)
		}
		return id
	}
	subjects := map[string]string{}
	for _, b := range raw {
		m, err := mail.ReadMessage(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		id := m.Header.Get("Message-Id")
		s, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if err != nil || id == "" || subjects[id] != "" {
			t.Fatalf("mail %q with subject %q: %v", id, s, err)
		}
		subjects[id] = s
		for _, ref := range slices.Concat(strings.Fields(m.Header.Get("References")), strings.Fields(m.Header.Get("In-Reply-To"))) {
			if a, b := top(ref), top(id); a != b {
				parent[b] = a
			}
		}
	}
	out := map[string][]string{}
	for id, s := range subjects {
		out[top(id)] = append(out[top(id)], s)
	}
	return out
}

// TestOneStoryIsOneThread: the first alert of a story and its updates are one thread with one subject for each watchlist and reader, whatever the
// headlines, severities and languages of the updates.
func TestOneStoryIsOneThread(t *testing.T) {
	m := &maker{domain: "alerts.example", from: &mail.Address{Address: "tocsin@alerts.example"}, names: map[string]string{}}
	at := time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC)
	var raw [][]byte
	for _, s := range []string{"bannu", "talks", "پل"} {
		for _, list := range []string{"armed-groups", "borders"} {
			for rev := 1; rev <= 4; rev++ {
				a := &news.Alert{
					ID: news.AlertID(s, list), Revision: rev, Kind: news.KindFirst, Story: news.ItemID("feed", s), Watchlist: list, Severity: news.SeverityMedium, At: at,
					Match: news.Match{Watchlist: list, Title: "List " + list, Item: news.Item{ID: "i", Title: "First report of " + s, Lang: "en"}},
				}
				if rev > 1 {
					a.Kind, a.Severity, a.Headline, a.Opened = news.KindUpdate, news.SeverityCritical, a.Match.Item.Title, news.SeverityMedium
					a.Match.Item.Title, a.New = "بنوں میں حملہ", []string{"lang ur"}
				}
				d := &news.Delivery{
					ID: news.DeliveryID(a.ID, rev, "root", "mail", "a@x.example"), Story: a.Story, Watchlist: list, Severity: a.Severity, Recipient: "a@x.example", PlannedAt: at,
				}
				if err := m.render(a, d); err != nil {
					t.Fatal(err)
				}
				raw = append(raw, d.Body)
			}
		}
	}
	got := threads(t, raw)
	if len(got) != 6 {
		t.Errorf("%d threads of 3 stories on 2 lists", len(got))
	}
	for root, subjects := range got {
		if slices.Sort(subjects); len(subjects) != 4 || subjects[0] != subjects[3] {
			t.Errorf("thread %s: %q", root, subjects)
		}
	}
	var bare [][]byte // without their chains: the test can fail
	for _, b := range raw {
		bare = append(bare, bytes.ReplaceAll(bytes.ReplaceAll(b, []byte("\nReferences:"), []byte("\nX-A:")), []byte("\nIn-Reply-To:"), []byte("\nX-B:")))
	}
	if n := len(threads(t, bare)); n != len(raw) {
		t.Errorf("%d threads of %d mails without chains", n, len(raw))
	}
}
