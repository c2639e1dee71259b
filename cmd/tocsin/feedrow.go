package main

import (
	"context"
	"slices"
	"time"

	"tocsin/fetcher"
)

// feedRow is how the instance tells of one feed: on the status page, over HTTP and to `tocsin feeds list --live`.
type feedRow struct {
	ID          string    `json:"id"`
	URL         string    `json:"url"`
	Outlet      string    `json:"outlet"`
	Lang        string    `json:"lang"`
	Country     string    `json:"country"`
	State       string    `json:"state"`
	Reason      string    `json:"reason"`
	Error       string    `json:"error,omitempty"`
	Status      int       `json:"status,omitempty"`
	Since       time.Time `json:"since,omitzero"`
	LastTry     time.Time `json:"last_try,omitzero"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	LastItem    time.Time `json:"last_item,omitzero"`
	Next        time.Time `json:"next,omitzero"`
	Failures    int       `json:"failures"`
	Interval    float64   `json:"interval_seconds"`
	Expected    float64   `json:"expected_seconds"`
	Items       uint64    `json:"items"`
	Lost        uint64    `json:"possibly_lost"`
	Kind        string    `json:"kind,omitempty"`
	Adopted     string    `json:"adopted,omitempty"`
	Notes       []string  `json:"notes,omitempty"`
	Insecure    bool      `json:"insecure,omitempty"`
}

// feedRows are the feeds with what needs a look first.
func (in *instance) feedRows(ctx context.Context) ([]feedRow, error) {
	all, err := in.fetch.Status(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]feedRow, len(all))
	for i := range all {
		rows[i] = rowOf(&all[i])
	}
	order := []string{fetcher.StateDead, fetcher.StateFailing, fetcher.StateLate, fetcher.StateNew, fetcher.StateLive, fetcher.StatePaused}
	slices.SortStableFunc(rows, func(a, b feedRow) int { return slices.Index(order, a.State) - slices.Index(order, b.State) })
	return rows, nil
}

func rowOf(f *fetcher.FeedStatus) feedRow {
	return feedRow{
		ID: f.Feed.ID, URL: f.Feed.URL, Outlet: f.Feed.Outlet, Lang: f.Feed.Lang, Country: f.Feed.Country,
		State: f.State, Reason: string(f.Reason), Error: f.LastError, Status: f.LastStatus, Since: f.Since,
		LastTry: f.LastTry, LastSuccess: f.LastSuccess, LastItem: f.LastItem, Next: f.Next, Failures: f.Failures,
		Interval: f.Interval.Seconds(), Expected: f.Expected.Seconds(), Items: f.Items, Lost: f.Lost,
		Kind: f.Kind, Adopted: f.Adopted, Notes: f.Notes, Insecure: f.Feed.Insecure,
	}
}
