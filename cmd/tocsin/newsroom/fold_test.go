package newsroom

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestFoldsAreHeldAgainstTheTruth: a mention counts as folded when the alert that took it in tells the same event and names what is mentioned; by
// any other alert it is hidden, and a fold that no truth asks for is as false as an alert.
func TestFoldsAreHeldAgainstTheTruth(t *testing.T) {
	w := start(t, Options{Span: time.Millisecond, Noise: -1, Slow: time.Millisecond, Window: 10_000})
	fetchAll(t, w)
	url := map[string]string{}
	for _, it := range w.Items() {
		url[it.ID] = it.URL
	}
	post := func(id, alert, kind, item string, also, added []string, ids ...string) {
		var e map[string]any
		if err := json.Unmarshal([]byte(event(kind, "armed-groups", url[item], ids...)), &e); err != nil {
			t.Fatal(err)
		}
		data := e["data"].(map[string]any)
		var reports []any
		for _, x := range also {
			reports = append(reports, map[string]string{"url": url[x]})
		}
		data["alert"], data["also"], data["new"] = alert, reports, added
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if got := send(t, w, id, string(b), time.Now()); got != http.StatusNoContent {
			t.Fatalf("post %s: %d", id, got)
		}
	}
	fold := func(alert, item string, ids ...string) {
		w.AddFold(Fold{Alert: alert, Watchlist: "armed-groups", URL: url[item], IDs: ids})
	}
	post("1", "bannu", "first", "bannu-post-kohsar", nil, nil, "ttp")
	post("2", "bannu", "update", "bannu-post-mashal", []string{"bannu-post-wire"}, []string{"lang ur"}, "ttp")
	fold("bannu", "bannu-post-khyber", "ttp")
	fold("bannu", "khawarij-tank", "ttp")          // another event
	fold("bannu", "phishing-playbook", "ttp")      // a decoy
	fold("elsewhere", "bannu-post-zhongya", "ttp") // an alert that nobody was sent
	post("3", "drones", "first", "bagram-drones", nil, nil, "taliban-drones")
	fold("drones", "drones-mizan", "afghan-taliban") // the alert does not name the Taliban
	post("4", "mixed", "first", "ttp-peshawar", nil, nil, "ttp")
	post("5", "mixed", "update", "ttp-mohmand", nil, []string{"lang ps"}, "ttp")
	post("6", "mixed", "update", "ttp-dik", []string{"ttp-convoy"}, []string{"lang ur"}, "ttp") // another event, but people read of it
	r := w.Report([]string{"armed-groups"})
	states := map[string]string{}
	for _, row := range r.Rows {
		states[row.Item.ID] = row.State
	}
	for item, want := range map[string]string{
		"bannu-post-kohsar": Alerted, "bannu-post-mashal": Alerted, "bannu-post-wire": Folded, "bannu-post-khyber": Folded, "khawarij-tank": Hidden,
		"phishing-playbook": False, "bannu-post-zhongya": Hidden, "drones-mizan": Hidden, "drones-zhongya": Missed, "ttp-peshawar": Alerted, "ttp-mohmand": Alerted, "ttp-convoy": Folded,
	} {
		if states[item] != want {
			t.Errorf("%s is %q, want %q", item, states[item], want)
		}
	}
	if r.Mixed != 1 || r.Updates != 3 || r.Folded != 3 || r.OK() {
		t.Errorf("mixed %d, updates %d, folded %d", r.Mixed, r.Updates, r.Folded)
	}
	for _, want := range []string{"hidden", "mixed", "updates"} {
		if !strings.Contains(r.Table(), want) {
			t.Errorf("the table lacks %q:\n%s", want, r.Table())
		}
	}
}
