package news

import "time"

// Heartbeat is what an alert of KindHeartbeat tells of one watchlist over one span of time, so that nobody takes a broken watch for a quiet day.
// Its numbers are counted from the streams and from the stored states of feeds at the moment To.
type Heartbeat struct {
	From         time.Time      `json:"from"`                   // end of the heartbeat before, or when the watch began
	To           time.Time      `json:"to"`                     // when it was counted
	Zone         string         `json:"zone,omitempty"`         // IANA name of the zone that its times are told in; "" is UTC
	Matches      int            `json:"matches"`                // items that matched the list in the span, each once
	Alerts       int            `json:"alerts"`                 // alerts opened for the list in the span
	Items        int            `json:"items"`                  // items read in the span, from all feeds
	Newest       time.Time      `json:"newest,omitzero"`        // when the newest item was read
	Feeds        int            `json:"feeds"`                  // in the list, without paused ones
	Live         int            `json:"live"`                   // of them
	Paused       int            `json:"paused,omitempty"`       // by hand, not in Feeds
	Dead         []FeedTrouble  `json:"dead,omitempty"`         // longest first, at most MaxHeartbeatList
	Failing      []FeedTrouble  `json:"failing,omitempty"`      // the same
	Late         []FeedTrouble  `json:"late,omitempty"`         // the same
	Untried      int            `json:"untried,omitempty"`      // feeds never polled yet
	More         int            `json:"more,omitempty"`         // feeds in trouble beyond those listed
	Gaps         []CoverageGap  `json:"gaps,omitempty"`         // of the span, newest first, at most MaxHeartbeatList
	MoreGaps     int            `json:"more_gaps,omitempty"`    // beyond those listed
	Silences     []SilenceNote  `json:"silences,omitempty"`     // that mute now, at most MaxHeartbeatList
	MoreSilences int            `json:"more_silence,omitempty"` // beyond those listed
	Revision     string         `json:"revision"`               // of the watchlist that is live
	Refused      string         `json:"refused,omitempty"`      // first fault of newer lists that were refused: place, fact, next step
	RefusedSince time.Time      `json:"refused_since,omitzero"` // since when
	Troubles     []HealthRemark `json:"troubles,omitempty"`     // what else is wrong with the program itself
}

// MaxHeartbeatList bounds each list of a Heartbeat.
const MaxHeartbeatList = 20

// FeedTrouble is one feed that does not live.
type FeedTrouble struct {
	Feed     string        `json:"feed"`              // id
	Outlet   string        `json:"outlet"`            // name for people
	Since    time.Time     `json:"since,omitzero"`    // since when
	Reason   string        `json:"reason,omitempty"`  // short, for people: 404, no items, timeout
	Expected time.Duration `json:"expected,omitzero"` // longest usual silence, nanoseconds; with "no items"
}

// CoverageGap is a time in which items of a feed may have been missed.
type CoverageGap struct {
	Feed   string    `json:"feed"`
	Outlet string    `json:"outlet"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
	Kind   string    `json:"kind"`            // from the fetcher's closed list
	Lost   int       `json:"lost,omitempty"`  // items that may have been missed, estimated
	Feeds  int       `json:"feeds,omitempty"` // how many feeds have this gap, when it is more than one
}

// SilenceNote is one silence that mutes.
type SilenceNote struct {
	ID      string    `json:"id"`
	Until   time.Time `json:"until"`
	Author  string    `json:"author,omitempty"`
	Comment string    `json:"comment,omitempty"`
}

// HealthRemark is one thing that is wrong with the program itself.
type HealthRemark struct {
	Title string    `json:"title"`
	Since time.Time `json:"since,omitzero"`
}

// Location is the zone of its times; UTC when the name is not known here.
func (h *Heartbeat) Location() *time.Location {
	loc, err := time.LoadLocation(h.Zone)
	if err != nil || h.Zone == "Local" {
		return time.UTC
	}
	return loc
}
