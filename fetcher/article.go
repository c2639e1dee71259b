package fetcher

// Values of Feed.FullText.
const (
	FullTextNever  = "never"
	FullTextShort  = "short" // only where the feed itself brings under 500 characters
	FullTextAlways = "always"
)
