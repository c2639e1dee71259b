// Package news holds the words that every room of Tocsin shares, as types: Item, Match, Alert, Delivery, the ledger entry and the dead letter,
// with their stable ids and their form on the wire. It promises that ids are deterministic (the same input gives the same id in every process
// and for ever), that a decoded value is within its size limits, and that a value written by the previous schema version still reads.
// It owns no behaviour: fetching, matching and delivering live in the rooms, and everything NATS lives in package bus.
package news

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"sort"
	"strings"
	"time"
)

// Schema is the version of the wire form that this program writes. Readers accept Schema and Schema-1.
const Schema = 1

// ErrConflict is returned by state functions when a compare-and-set lost: another worker wrote the key first. Read again and merge.
var ErrConflict = errors.New("state was changed by another worker")

// ErrNotFound is returned by lookups for an id that is not stored, or no longer.
var ErrNotFound = errors.New("not found")

// LaterError asks the bus to bring a message back after a delay instead of acknowledging it.
type LaterError struct {
	After time.Duration // how long to wait before the message comes back
	Cause error         // why; may be nil
}

// Later wraps cause so that the message is redelivered after d.
func Later(d time.Duration, cause error) error { return &LaterError{After: d, Cause: cause} }

// Error tells the delay and the cause.
func (e *LaterError) Error() string {
	if e.Cause == nil {
		return fmt.Sprintf("again in %s", e.After)
	}
	return fmt.Sprintf("again in %s: %v", e.After, e.Cause)
}

// Unwrap gives the cause.
func (e *LaterError) Unwrap() error { return e.Cause }

// CanonicalURL is the form of a feed's address that identifies it: scheme and host in lower case, default port and fragment cut,
// path and query untouched. http and https stay different. An address that does not parse is returned trimmed.
func CanonicalURL(raw string) string {
	raw = strings.TrimSpace(raw)
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return raw
	}
	u.Scheme = strings.ToLower(u.Scheme)
	u.Host = strings.ToLower(u.Host)
	if p := u.Port(); (u.Scheme == "http" && p == "80") || (u.Scheme == "https" && p == "443") {
		u.Host = strings.TrimSuffix(u.Host, ":"+p)
	}
	u.Fragment, u.RawFragment = "", ""
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// FeedID identifies a feed for ever by the address under which it was first listed: 16 characters of base32(sha256(canonical URL)).
func FeedID(rawURL string) string { return hash32(16, CanonicalURL(rawURL)) }

// ItemID identifies an item by its feed and the identity text of its entry (guid, else link, else title and date): 32 hex digits.
func ItemID(feedID, identity string) string { return hashHex(32, feedID, identity) }

// ContentHash identifies the content of one revision of an item: 16 hex digits over title, link and text, white space folded.
func ContentHash(title, link, text string) string {
	f := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	return hashHex(16, f(title), link, f(text))
}

// MatchID identifies the match of one item revision for one revision of a watchlist: 32 hex digits.
func MatchID(itemID, itemRevision, watchlist, watchlistRevision string) string {
	return hashHex(32, itemID, itemRevision, watchlist, watchlistRevision)
}

// AlertID identifies what a person is told about one story for one watchlist: 26 characters, over all its revisions.
func AlertID(story, watchlist string) string { return hash32(26, story, watchlist) }

// DeliveryID identifies one alert revision for one recipient of one channel on one route: 26 characters, the same for every attempt.
// It holds no dot, because Standard Webhooks signs "id.timestamp.body".
func DeliveryID(alertID string, revision int, route, channel, recipient string) string {
	return hash32(26, alertID, fmt.Sprint(revision), route, channel, recipient)
}

func digest(parts []string) [32]byte { return sha256.Sum256([]byte(strings.Join(parts, "|"))) }

func hashHex(n int, parts ...string) string {
	sum := digest(parts)
	return hex.EncodeToString(sum[:])[:n]
}

func hash32(n int, parts ...string) string {
	sum := digest(parts)
	return base32Lower.EncodeToString(sum[:])[:n]
}

// Severity orders what is watched by how much it matters. The zero value is SeverityNone, which means "not stated".
type Severity int

// The severities, in rising order.
const (
	SeverityNone Severity = iota
	SeverityInfo
	SeverityLow
	SeverityMedium
	SeverityHigh
	SeverityCritical
)

// Severities lists the names a person may write, in rising order.
func Severities() []string { return []string{"info", "low", "medium", "high", "critical"} }

// String is the name of the severity, "" for SeverityNone.
func (s Severity) String() string {
	if s <= SeverityNone || s > SeverityCritical {
		return ""
	}
	return Severities()[s-1]
}

// MarshalText writes the name.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a name; anything but the five names and the empty text is an error.
func (s *Severity) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*s = SeverityNone
		return nil
	}
	for i, n := range Severities() {
		if n == string(b) {
			*s = Severity(i + 1)
			return nil
		}
	}
	return fmt.Errorf("severity %q is not one of %s", b, strings.Join(Severities(), ", "))
}

// SortedKeys returns the keys of m in order, for output that does not change from run to run.
func SortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}
