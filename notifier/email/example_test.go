package email

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"tocsin/news"
	"tocsin/notifier"
	"tocsin/notifier/notifiertest"
)

// TestShippedExamples: the templates that an operator is shown work for every kind of alert, and the alerts to try them on are alerts.
func TestShippedExamples(t *testing.T) {
	const dir = "../../deploy/examples/"
	c := config(t, plain+"templates: {subject: "+dir+"subject.tmpl, text: "+dir+"text.tmpl, html: "+dir+"page.tmpl}\n")
	m := maker0(t, plain)
	var err error
	if m.own, err = notifier.ReadTemplates(*c.Templates); err != nil {
		t.Fatal(err)
	}
	all := notifiertest.Entries()
	b, err := os.ReadFile(dir + "alerts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	langs := map[string]bool{}
	for line := range bytes.Lines(b) {
		a, err := news.Decode[news.Alert](line)
		if err != nil {
			t.Fatal(err)
		}
		if langs[a.Match.Item.Lang] = true; len(a.Match.Mentions) == 0 {
			t.Errorf("%s: nothing is marked", a.Match.Item.Title)
		}
		all = append(all, a)
	}
	if len(langs) != 8 {
		t.Errorf("%d languages in the examples", len(langs))
	}
	for i := range all {
		d := delivery(t, m.custom, &all[i], "analyst@example.net")
		lines(t, d.Body)
		_, text, page := open(t, d.Body)
		if !strings.Contains(text, notifier.NewView(&all[i], nil).Outlet) || !strings.Contains(page, "<h1 dir=") || strings.Contains(page, "<script>") {
			t.Errorf("%s: %q %q", d.Subject, text, page)
		}
	}
}
