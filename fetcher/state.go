package fetcher

import (
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"tocsin/news"
)

// stateVersion is the version of the stored form. An older program does not read a newer form; this one reads its own and starts afresh
// from none.
const stateVersion = 1

// maxState is the largest stored state in bytes.
const maxState = 64 << 10

// state is what is known of one feed: one JSON value, written by compare-and-set after the items of a poll are stored. It holds no secret.
type state struct {
	Version int    `json:"v"`
	Listed  string `json:"listed"`            // mark of the list's address when this was written
	Adopted string `json:"adopted,omitempty"` // address taken over after a permanent redirect
	Since   int64  `json:"adopted_at,omitempty"`

	ValidatorURL string `json:"val_url,omitempty"` // mark of the address that gave them
	ETag         []byte `json:"etag,omitempty"`
	LastModified []byte `json:"modified,omitempty"`
	EverVal      bool   `json:"ever_val,omitempty"`
	BodyHash     []byte `json:"body,omitempty"`
	Kind         string `json:"kind,omitempty"`
	KindChanged  bool   `json:"kind_changed,omitempty"`

	Fresh     time.Duration `json:"fresh,omitempty"` // max-age or Expires of the last answer
	TTL       time.Duration `json:"ttl,omitempty"`
	Period    time.Duration `json:"period,omitempty"`
	SkipHours uint32        `json:"skip_hours,omitempty"`
	SkipDays  uint8         `json:"skip_days,omitempty"`

	FirstTry      time.Time     `json:"first_try,omitzero"`
	LastTry       time.Time     `json:"last_try,omitzero"`
	LastSuccess   time.Time     `json:"last_success,omitzero"`
	LastItem      time.Time     `json:"last_item,omitzero"`   // when the newest item is from
	LastFull      time.Time     `json:"last_full,omitzero"`   // last 200
	LastForced    time.Time     `json:"last_forced,omitzero"` // last GET without validators because of a stuck cache
	Next          time.Time     `json:"next,omitzero"`
	Interval      time.Duration `json:"interval,omitempty"` // wanted distance of polls, without jitter
	Poll          uint64        `json:"poll"`
	Failures      int           `json:"failures,omitempty"`
	FailingSince  time.Time     `json:"failing_since,omitzero"`
	Reason        Reason        `json:"reason,omitempty"`
	Error         string        `json:"error,omitempty"`
	Status        int           `json:"status,omitempty"`
	NotFoundInRow int           `json:"not_found,omitempty"`
	RetryUntil    time.Time     `json:"retry_until,omitzero"`
	Gone          bool          `json:"gone,omitempty"`
	Notes         []string      `json:"notes,omitempty"` // what was mended in the last document

	Gaps    []uint32  `json:"gaps,omitempty"`    // seconds between items, the newest last
	Days    []dayGap  `json:"days,omitempty"`    // longest silence of each of the last 28 days with items
	Overlap []uint8   `json:"overlap,omitempty"` // percent of each of the last changed documents that was known
	Hurry   uint8     `json:"hurry,omitempty"`   // how often the interval was halved
	LastGap time.Time `json:"last_gap,omitzero"` // when entries may have been missed
	Lost    uint64    `json:"lost,omitempty"`
	Items   uint64    `json:"items,omitempty"`

	Mode string  `json:"mode,omitempty"` // "" = ids are identity, "link" = they are not
	Seen seenSet `json:"seen"`
	Hub  string  `json:"hub,omitempty"`
	Self string  `json:"self,omitempty"`
	Push push    `json:"push,omitzero"`

	Polls    pollLog  `json:"polls,omitempty"`
	GapNotes []Gap    `json:"gap_notes,omitempty"`
	Zone     zoneRun  `json:"zone,omitzero"`
	Bad      []byte   `json:"bad,omitempty"`       // head of the last body that was no feed, redacted
	BadEntry []byte   `json:"bad_entry,omitempty"` // first entry of the last document that was beyond repair, redacted
	Pages    []uint64 `json:"pages,omitempty"`     // entries whose article is still wanted
	Last     []byte   `json:"last,omitempty"`      // 4 bytes of each of the first entries of the last document, in its order
	Gones    []Gone   `json:"gones,omitempty"`     // items that the outlet took back, the newest last
	GoneSum  uint64   `json:"gone_sum,omitempty"`

	learnt time.Duration // expected interval of a view, which has no gaps
}

const (
	maxGaps    = 128
	maxOverlap = 4
	maxNotes   = 5
)

func (s *state) validators() validators {
	return validators{url: s.ValidatorURL, etag: s.ETag, lastModified: s.LastModified}
}

// encode writes the state within maxState bytes.
func (s *state) encode() ([]byte, error) {
	s.Version = stateVersion
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode state: %w", err)
	}
	if len(b) > maxState && (s.Bad != nil || s.BadEntry != nil || len(s.Seen.history) > 0) {
		// What is for people, and the edits of long ago, make room for what was seen.
		s.Bad, s.BadEntry, s.Seen.history = nil, nil, s.Seen.history[:0]
		return s.encode()
	}
	if len(b) > maxState {
		return nil, fmt.Errorf("encode state: %d bytes, the limit is %d", len(b), maxState)
	}
	return b, nil
}

// decodeState reads a stored state. One that cannot be read is an error: our own store is broken.
func decodeState(b []byte) (*state, error) {
	s := &state{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, fmt.Errorf("decode state: %w", err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("decode state: version %d, this program reads %d: upgrade it", s.Version, stateVersion)
	}
	return s, nil
}

// moved starts a new address of the list: what belonged to the old one is forgotten, what was seen stays.
func (s *state) moved(listed string) {
	if s.Listed == listed {
		return
	}
	s.Listed = listed
	s.Adopted, s.Since, s.Gone = "", 0, false
	s.dropValidators()
	s.Failures, s.NotFoundInRow, s.Reason, s.Error = 0, 0, "", ""
	s.RetryUntil, s.FailingSince, s.Next = time.Time{}, time.Time{}, time.Time{}
}

func (s *state) dropValidators() {
	s.ValidatorURL, s.ETag, s.LastModified, s.BodyHash = "", nil, nil, nil
}

// address is where the next poll goes. Credentials in the listed address go along while the origin is the same; they are never stored.
func (s *state) address(f *Feed) string {
	if s.Adopted == "" {
		return f.URL
	}
	own, err := url.Parse(f.URL)
	u, err2 := url.Parse(s.Adopted)
	if err == nil && err2 == nil && own.User != nil && sameOrigin(u, f.URL) {
		u.User = own.User
		return u.String()
	}
	return s.Adopted
}

// merge takes over what another worker stored meanwhile: the union of what was seen, and the newer of each time.
func (s *state) merge(other *state) {
	s.Seen.merge(&other.Seen)
	s.Poll = max(s.Poll, other.Poll)
	s.Polls.merge(other.Polls)
	if other.Push.At.After(s.Push.At) {
		s.Push = other.Push
	}
	s.Items, s.Lost = max(s.Items, other.Items), max(s.Lost, other.Lost)
	if other.LastItem.After(s.LastItem) {
		s.LastItem = other.LastItem
	}
	if other.LastSuccess.After(s.LastSuccess) {
		s.LastSuccess = other.LastSuccess
		s.ValidatorURL, s.ETag, s.LastModified, s.BodyHash = other.ValidatorURL, other.ETag, other.LastModified, other.BodyHash
		s.Failures, s.Reason, s.Error = other.Failures, other.Reason, other.Error
	}
	if other.Gone && s.Listed == other.Listed && other.LastTry.After(s.LastTry) {
		s.Gone = true
	}
}

// setBack notices that the clock was set back since the last try, by over a minute. The feed is then due, because its next poll was planned by a
// time that never was; what is left of a Retry-After is waited for in full once more. It tells whether there is something to store.
func (s *state) setBack(now time.Time) bool {
	if !s.LastTry.After(now.Add(time.Minute)) {
		return false
	}
	wait := s.RetryUntil.Sub(s.LastTry)
	s.LastTry, s.Next = now, now
	if wait <= 0 {
		return false // the poll that follows stores its own times
	}
	s.RetryUntil = now.Add(wait)
	s.Next = s.RetryUntil
	return true
}

// addGaps learns the distances of new items, oldest first.
func (s *state) addGaps(whens []time.Time) {
	for _, t := range whens {
		if !s.LastItem.IsZero() && t.After(s.LastItem) {
			if gap := t.Sub(s.LastItem); gap >= time.Second {
				n := uint32(min(gap/time.Second, 400*24*3600))
				s.Gaps = append(s.Gaps, n)
				s.noteDay(t, n)
			}
		}
		if t.After(s.LastItem) {
			s.LastItem = t
		}
	}
	if n := len(s.Gaps); n > maxGaps {
		s.Gaps = s.Gaps[n-maxGaps:]
	}
}

// fail notes a failed poll.
func (s *state) fail(f *Fault, now time.Time) {
	s.Failures++
	if s.FailingSince.IsZero() {
		s.FailingSince = now
	}
	s.Reason, s.Error, s.Status = f.Reason, short(f.Detail, 300), f.Status
	if f.Status == 404 {
		s.NotFoundInRow++
	} else {
		s.NotFoundInRow = 0
	}
	if f.RetryAfter > 0 {
		s.RetryUntil = now.Add(f.RetryAfter)
	}
	s.Gone = f.Reason == ReasonGone
}

// succeed notes a poll that reached the feed.
func (s *state) succeed(status int, now time.Time) {
	s.LastSuccess, s.Status = now, status
	s.Failures, s.NotFoundInRow, s.Reason, s.Error = 0, 0, "", ""
	s.FailingSince, s.RetryUntil = time.Time{}, time.Time{}
}

// listedMark stands for the feed's address in the list.
func listedMark(f *Feed) string { return news.FeedID(f.URL) }
