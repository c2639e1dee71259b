package matcher

import "tocsin/news"

// ListInfo is what others may know of a watchlist that is live.
type ListInfo struct {
	ID, Title, Revision string
	Severity            news.Severity     // default of its entities and rules
	Labels              map[string]string // for routes
}

// Lists gives the live watchlists of people, sorted by id.
func (x *Index) Lists() []ListInfo {
	var out []ListInfo
	for _, l := range x.watched() {
		out = append(out, ListInfo{l.ID.Value, l.Title, l.Revision, orSeverity(l.Severity, news.SeverityNone), copyLabels(nil, l.Labels)})
	}
	return out
}
