package newsroom

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Alert is what the webhook's body tells about one item, as far as the report needs it.
type Alert struct {
	ID        string
	Revision  int
	Kind      string // first, update, ...
	Watchlist string
	Severity  string
	URL       string   // of the item
	IDs       []string // entities and rules that were flagged; empty where a message names several items together
	New       []string // entities and rules that the update names as new, its item's or those of an update whose place it took
	Also      []string // addresses of further reports that it names
}

// cloudEvent is read with tolerance: unknown fields are ignored, a thing may be written as its id or as an object with an id, and an alert may
// carry one item, several, or a match that holds it.
type cloudEvent struct {
	Type string    `json:"type"`
	ID   string    `json:"id"`
	Data eventData `json:"data"`
}

type eventData struct {
	eventAlert
	Alerts []eventAlert `json:"alerts"` // of a digest or summary
}

type eventAlert struct {
	Alert     eventID     `json:"alert"`
	AlertID   string      `json:"id"`
	Revision  int         `json:"revision"`
	Kind      string      `json:"kind"`
	Watchlist eventID     `json:"watchlist"`
	Severity  string      `json:"severity"`
	Item      eventItem   `json:"item"`
	Items     []eventItem `json:"items"`
	Entities  []eventID   `json:"entities"`
	Rules     []eventID   `json:"rules"`
	Match     eventMatch  `json:"match"`
	New       []string    `json:"new"`
	Also      []eventItem `json:"also"`
}

type eventMatch struct {
	Item     eventItem `json:"item"`
	Entities []eventID `json:"entities"`
	Rules    []eventID `json:"rules"`
}

type eventItem struct {
	URL string `json:"url"`
}

type eventID struct{ ID string }

// UnmarshalJSON reads "x" and {"id": "x"} alike.
func (e *eventID) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		return json.Unmarshal(b, &e.ID)
	}
	var o struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	e.ID = o.ID
	return nil
}

// parseEvent reads a CloudEvents 1.0 body. An event that is about no item (a heartbeat, a test) has no alerts and is no error.
func parseEvent(body []byte) ([]Alert, error) {
	var e cloudEvent
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, fmt.Errorf("read event: %w", err)
	}
	if e.Type == "" || e.ID == "" {
		return nil, fmt.Errorf("read event: no type or id")
	}
	out := e.Data.alerts()
	for _, a := range e.Data.Alerts {
		out = append(out, a.alerts()...)
	}
	return out, nil
}

func (a *eventAlert) alerts() []Alert {
	var out []Alert
	for _, it := range append([]eventItem{a.Item, a.Match.Item}, a.Items...) {
		if it.URL != "" {
			out = append(out, Alert{
				ID: orElse(a.Alert.ID, a.AlertID), Revision: a.Revision, Kind: a.Kind, Watchlist: a.Watchlist.ID, Severity: a.Severity, URL: it.URL,
			})
		}
	}
	if len(out) != 1 {
		return out
	}
	for _, list := range [][]eventID{a.Entities, a.Rules, a.Match.Entities, a.Match.Rules} {
		for _, x := range list {
			out[0].IDs = append(out[0].IDs, x.ID)
		}
	}
	for _, f := range a.New {
		if kind, id, _ := strings.Cut(f, " "); kind == "entity" || kind == "rule" {
			out[0].New = append(out[0].New, id)
		}
	}
	for _, x := range a.Also {
		out[0].Also = append(out[0].Also, x.URL)
	}
	return out
}
