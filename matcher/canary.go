package matcher

import (
	"tocsin/matcher/watchlist"
	"tocsin/news"
	"tocsin/news/strict"
)

// The reserved list and entity that the program's own test items match, and the title that such an item must hold. Only items whose Reason is
// news.ReasonCanary match them, and those match nothing else.
const (
	CanaryList   = "tocsin"
	CanaryEntity = "canary"
	CanaryTitle  = "Tocsin canary: this is a test"
)

func canaryList() *watchlist.List {
	l := &watchlist.List{ID: strict.Text{Value: CanaryList}, Title: "The program's own test items", Severity: news.SeverityInfo}
	l.Entities = []*watchlist.Entity{{
		List: l, ID: strict.Text{Value: CanaryEntity}, Name: "Canary", Kind: "event", About: "A test item of Tocsin itself.",
		Aliases: []*watchlist.Alias{{Lang: watchlist.AnyLang, Text: "Tocsin canary"}},
	}}
	return l
}

// watched are the lists of people: all but the reserved one, which stands last.
func (x *Index) watched() []list { return x.lists[:len(x.lists)-1] }

// reserved tells whether l is the number of the reserved list.
func (x *Index) reserved(l int32) bool { return int(l) == len(x.lists)-1 }
