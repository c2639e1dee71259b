package news

import "time"

// Reasons why an item was published: the closed list of Item.Reason.
const (
	ReasonNew      = "new"      // first time seen
	ReasonEdited   = "edited"   // a later revision with changed title, link or text
	ReasonFullText = "fulltext" // a later revision that adds the article's text
	ReasonCanary   = "canary"   // a test item of the program itself; never reaches people
)

// CanaryChannel is the null endpoint that the deliveries of canaries go to. No channel of people may have this name.
const CanaryChannel = "canary"

// Flags of an item: what a reader should know about how it was read. The closed list of Item.Flags.
const (
	FlagDegraded   = "degraded"    // read from a damaged document
	FlagTruncated  = "truncated"   // a field was cut at its limit
	FlagFutureDate = "future_date" // the feed claims a date in the future; see PublishedClaimed
	FlagNoDate     = "no_date"     // the feed gives no readable date
)

// Limits of an item's fields in bytes, and of its lists in entries. Producers cut at a word and set FlagTruncated.
const (
	MaxTitle      = 1 << 10
	MaxSummary    = 16 << 10
	MaxBody       = 64 << 10
	MaxURL        = 2 << 10
	MaxCategories = 32
)

// Item is one piece of published news: one revision of one entry of one feed. All text is plain text, no markup, valid UTF-8.
type Item struct {
	Schema           int       `json:"schema"`
	ID               string    `json:"id"`                 // ItemID: the same for every revision
	Revision         string    `json:"revision"`           // ContentHash of this revision
	Previous         string    `json:"previous,omitempty"` // revision that this one replaces
	Changed          []string  `json:"changed,omitempty"`  // fields that differ from the previous revision: title, url, text
	Reason           string    `json:"reason"`             // ReasonNew, ReasonEdited, ...
	Feed             string    `json:"feed"`               // FeedID
	Outlet           string    `json:"outlet,omitempty"`   // name of the outlet, from the feed list
	Country          string    `json:"country,omitempty"`  // ISO 3166-1 alpha-2, from the feed list
	Tier             int       `json:"tier,omitempty"`     // source tier of the feed, 1 is highest, 0 unknown
	Lang             string    `json:"lang"`               // BCP 47 primary subtag, "und" when unknown
	GUID             string    `json:"guid,omitempty"`     // identity text as the feed gave it
	URL              string    `json:"url,omitempty"`      // absolute link to the article
	Title            string    `json:"title,omitempty"`
	Summary          string    `json:"summary,omitempty"`
	Body             string    `json:"body,omitempty"`
	Authors          []string  `json:"authors,omitempty"`
	Categories       []string  `json:"categories,omitempty"`
	Published        time.Time `json:"published,omitzero"`          // what the feed says, if it lies between 1990 and FirstSeen + 10 min
	PublishedClaimed string    `json:"published_claimed,omitempty"` // an unusable date as the feed wrote it
	FirstSeen        time.Time `json:"first_seen"`                  // our clock when the answer's headers came
	Backfill         bool      `json:"backfill,omitempty"`          // from the first document of a new feed: no instant alert
	Flags            []string  `json:"flags,omitempty"`
}

// Key is the de-duplication id of this revision on the bus. The item id alone would swallow edits.
func (it *Item) Key() string { return it.ID + "." + it.Revision }

// When is the time that orders items: published when the feed gave a usable date, else first seen.
func (it *Item) When() time.Time {
	if it.Published.IsZero() {
		return it.FirstSeen
	}
	return it.Published
}

// Fields gives the searchable text of the item in a fixed order: title, summary, body.
func (it *Item) Fields() [3]Field {
	return [3]Field{{"title", it.Title}, {"summary", it.Summary}, {"body", it.Body}}
}

// Field is one named text of an item.
type Field struct{ Name, Text string }
