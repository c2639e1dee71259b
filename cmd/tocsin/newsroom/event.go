package newsroom

import (
	"encoding/json"
	"fmt"
)

// Alert is what the webhook's body tells about one alert, as far as the report needs it.
type Alert struct {
	ID        string
	Revision  int
	Kind      string // first, update, ...
	Watchlist string
	Severity  string
	URL       string   // of the item
	IDs       []string // entities and rules that were flagged
}

// cloudEvent is read with tolerance: unknown fields are ignored, and an alert may carry its item itself or inside its match.
type cloudEvent struct {
	Type string    `json:"type"`
	ID   string    `json:"id"`
	Data eventData `json:"data"`
}

type eventData struct {
	eventAlert
	Alert  *eventAlert  `json:"alert"`
	Alerts []eventAlert `json:"alerts"` // of a digest or summary
}

type eventAlert struct {
	ID        string     `json:"id"`
	AlertID   string     `json:"alert_id"`
	Revision  int        `json:"revision"`
	Kind      string     `json:"kind"`
	Watchlist string     `json:"watchlist"`
	Severity  string     `json:"severity"`
	Item      eventItem  `json:"item"`
	Entities  []eventID  `json:"entities"`
	Rules     []eventID  `json:"rules"`
	Match     eventMatch `json:"match"`
}

type eventMatch struct {
	Item     eventItem `json:"item"`
	Entities []eventID `json:"entities"`
	Rules    []eventID `json:"rules"`
}

type eventItem struct {
	URL string `json:"url"`
}

type eventID struct {
	ID string `json:"id"`
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
	all := append([]eventAlert{e.Data.eventAlert}, e.Data.Alerts...)
	if e.Data.Alert != nil {
		all = append(all, *e.Data.Alert)
	}
	var out []Alert
	for _, a := range all {
		if x := a.alert(); x.URL != "" {
			out = append(out, x)
		}
	}
	return out, nil
}

func (a *eventAlert) alert() Alert {
	out := Alert{
		ID: orElse(a.AlertID, a.ID), Revision: a.Revision, Kind: a.Kind, Watchlist: a.Watchlist, Severity: a.Severity,
		URL: orElse(a.Item.URL, a.Match.Item.URL),
	}
	for _, list := range [][]eventID{a.Entities, a.Rules, a.Match.Entities, a.Match.Rules} {
		for _, x := range list {
			out.IDs = append(out.IDs, x.ID)
		}
	}
	return out
}
