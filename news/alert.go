package news

import "time"

// Kinds of an alert record: the closed list of Alert.Kind.
const (
	KindFirst  = "first"  // opens the alert
	KindUpdate = "update" // something new is known
	KindFold   = "fold"   // nothing new; counted, not sent
	KindHealth = "health" // about Tocsin itself
	KindTest   = "test"   // asked for by an operator

	KindHeartbeat = "heartbeat" // what was watched, so that silence can be believed
)

// Reasons of a delivery or of its absence: the closed list of Delivery.Reason and LedgerEntry.Reason for planned and suppressed entries.
const (
	SendFirst       = "first"
	SendUpdate      = "update"
	SendDigest      = "digest"
	SendHealth      = "health"
	SendTest        = "test"
	SendReplay      = "replay"
	SendHeartbeat   = "heartbeat"
	SendCanary      = "canary"       // the program's own test item, for the null endpoint
	SendSummary     = "summary"      // stands for alerts that a throttle, a group or quiet hours held
	SuppressFold    = "fold"         // nothing new in it
	SuppressNoRoute = "no_route"     // no route names a channel
	SuppressTooOld  = "too_old"      // older than max_alert_age
	SuppressOldNews = "backfill"     // from the backlog of a new feed
	SuppressCanary  = "canary"       // the program's own test item, as written by earlier versions
	SuppressSilence = "silenced"     // muted by an operator
	SuppressInhibit = "inhibited"    // held back by another alert
	SuppressQuiet   = "quiet_drop"   // came in quiet hours that drop
	SuppressGone    = "unsubscribed" // the recipient asked not to be written to
)

// Reasons of a held entry: what it waits for.
const (
	HoldQuiet    = "quiet"    // the end of quiet hours
	HoldDigest   = "digest"   // the next digest
	HoldGroup    = "group"    // the rest of its group
	HoldThrottle = "throttle" // the next summary
	HoldUpdate   = "update"   // the time of the next update of its story
	HoldOutage   = "outage"   // not held, but planned while its endpoint was away, and folded into one message when that came back
)

// Alert is one record of what a person is told about one story for one watchlist. An alert has revisions: first, then updates and folds.
type Alert struct {
	Schema    int       `json:"schema"`
	ID        string    `json:"id"`       // AlertID: the same for every revision
	Revision  int       `json:"revision"` // 1 is the first
	Kind      string    `json:"kind"`     // KindFirst, KindUpdate, ...
	Story     string    `json:"story"`    // id of the story
	Watchlist string    `json:"watchlist"`
	Severity  Severity  `json:"severity"`
	New       []string  `json:"new,omitempty"` // what is new in an update, readable: "entity bla", "severity critical"
	Match     Match     `json:"match"`         // the match that made this revision
	Items     int       `json:"items"`         // items in the story so far
	Outlets   []string  `json:"outlets,omitempty"`
	OpenedAt  time.Time `json:"opened_at"` // when revision 1 was made
	At        time.Time `json:"at"`        // when this revision was made

	Opened    Severity     `json:"opened_severity,omitempty"` // update, fold: severity of that revision
	Headline  string       `json:"headline,omitempty"`        // update, fold: title of the first revision that people were told; threads keep it
	Old       bool         `json:"old,omitempty"`             // from the backlog of a new feed, or older than max_alert_age: never sent at once
	Before    string       `json:"before,omitempty"`          // update by an edit: the item's title until then
	Also      []Source     `json:"also,omitempty"`            // reports that brought nothing new since people were last told, oldest first, at most MaxSources
	AlsoMore  int          `json:"also_more,omitempty"`       // further such reports
	Due       time.Time    `json:"due,omitzero"`              // update: not before; one that comes until then takes its place and tells its news as well
	Joined    *StoryLink   `json:"joined,omitempty"`          // why the item belongs to its story; nil when it opened it
	Nearest   *StoryLink   `json:"nearest,omitempty"`         // the nearest story that it does not belong to, and what was missing
	Merged    []StoryMerge `json:"merged,omitempty"`          // stories that became one because of this item, in order
	Heartbeat *Heartbeat   `json:"heartbeat,omitempty"`       // of KindHeartbeat
}

// Key is the de-duplication id of this revision on the bus.
func (a *Alert) Key() string { return a.ID + "." + itoa(a.Revision) }

// AlertRef names one revision of an alert.
type AlertRef struct {
	ID       string `json:"id"`
	Revision int    `json:"revision"`
}

// Delivery is one alert (or digest) for one recipient of one channel, rendered once: every attempt sends the same bytes under the same id.
type Delivery struct {
	Schema    int               `json:"schema"`
	ID        string            `json:"id"` // DeliveryID
	Alerts    []AlertRef        `json:"alerts"`
	Story     string            `json:"story,omitempty"`
	Watchlist string            `json:"watchlist,omitempty"`
	Severity  Severity          `json:"severity,omitempty"`
	Route     string            `json:"route"`
	Channel   string            `json:"channel"`             // id of the configured channel
	Recipient string            `json:"recipient,omitempty"` // mail address, chat room; "" when the channel has one endpoint
	Reason    string            `json:"reason"`
	Subject   string            `json:"subject,omitempty"` // one line, for ledgers and dead letters
	Headers   map[string]string `json:"headers,omitempty"` // what the channel needs beside the body, never a secret
	Body      []byte            `json:"body"`              // rendered bytes
	Attempt   int               `json:"attempt"`           // attempts made so far
	FirstSeen time.Time         `json:"first_seen,omitzero"`
	PlannedAt time.Time         `json:"planned_at"`
	Expires   time.Time         `json:"expires"`          // after this it becomes a dead letter
	Replay    int               `json:"replay,omitempty"` // how often an operator asked for it again
}

// MaxDelivery is the largest rendered body in bytes; larger ones are refused when they are rendered.
const MaxDelivery = 256 << 10

// Events of the ledger: the closed list of LedgerEntry.Event.
const (
	EventPlanned    = "planned"
	EventSuppressed = "suppressed"
	EventHeld       = "held"     // waits until Next; pending
	EventFeedback   = "feedback" // a person's verdict, in Reason; about no delivery
	EventBundled    = "bundled"  // from now on Delivery stands for Entries, whatever becomes of it
	EventAttempt    = "attempt"
	EventDelivered  = "delivered"
	EventDead       = "dead"
	EventReplayed   = "replayed"
)

// LedgerEntry records what became of one delivery at one moment. The ledger is append-only.
type LedgerEntry struct {
	Schema     int           `json:"schema"`
	Event      string        `json:"event"`
	Delivery   string        `json:"delivery"`
	Alerts     []AlertRef    `json:"alerts,omitempty"`
	Entities   []string      `json:"entities,omitempty"` // feedback: of the alert
	Entries    []string      `json:"entries,omitempty"`  // bundled: the ids that these alerts would have alone
	Watchlist  string        `json:"watchlist,omitempty"`
	Route      string        `json:"route,omitempty"`
	Channel    string        `json:"channel"`
	Recipient  string        `json:"recipient,omitempty"`
	Attempt    int           `json:"attempt,omitempty"`
	Reason     string        `json:"reason,omitempty"` // from a closed list: Send..., Suppress..., or the channel verdict
	Status     string        `json:"status,omitempty"` // what the endpoint said in one line, redacted
	ProviderID string        `json:"provider_id,omitempty"`
	Ambiguous  bool          `json:"ambiguous,omitempty"` // the endpoint may have it although no answer came
	Duration   time.Duration `json:"duration,omitempty"`  // of the attempt, nanoseconds
	Next       time.Time     `json:"next,omitzero"`       // when the next attempt is due
	At         time.Time     `json:"at"`
}

// Key is the de-duplication id of this entry on the bus.
func (l *LedgerEntry) Key() string { return l.Delivery + "." + l.Event + "." + itoa(l.Attempt) }

// DeadLetter is what could not be processed or delivered, with its bytes, kept where a person can see it and try it again.
type DeadLetter struct {
	Schema   int       `json:"schema"`
	Stage    string    `json:"stage"` // matcher, notifier, router, channel
	ID       string    `json:"id"`    // id of the message: item, match, alert or delivery
	Channel  string    `json:"channel,omitempty"`
	Reason   string    `json:"reason"`  // from a closed list
	Error    string    `json:"error"`   // the last error, redacted
	Subject  string    `json:"subject"` // subject that it was read from
	Summary  string    `json:"summary,omitempty"`
	Payload  []byte    `json:"payload"`
	Attempts int       `json:"attempts"`
	Sequence uint64    `json:"sequence"` // in the stream that it was read from
	At       time.Time `json:"at"`
}

// Key is the de-duplication id of this dead letter on the bus.
func (d *DeadLetter) Key() string { return d.Stage + "." + d.ID + "." + utoa(d.Sequence) }

// SentRecord guards a delivery against being sent twice: the value of bucket sent under "<channel>.<delivery id>".
type SentRecord struct {
	State      string    `json:"state"` // sending, waiting, sent, dead
	Attempt    int       `json:"attempt"`
	At         time.Time `json:"at"`
	ProviderID string    `json:"provider_id,omitempty"`
}

// States of a SentRecord.
const (
	SentSending = "sending"
	SentWaiting = "waiting"
	SentDone    = "sent"
	SentDead    = "dead"
	SentFolded  = "folded" // another delivery stands for it, if the ledger says so
)
