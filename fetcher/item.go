package fetcher

import (
	"slices"
	"strings"
	"time"

	"tocsin/news"
)

// toItem gives the item that an entry is: plain text within the limits of package news. It carries no identity yet. false: nothing to publish.
func toItem(e *Entry, res *Result, doc *Document) (news.Item, bool) {
	it := news.Item{
		Reason: news.ReasonNew, Feed: doc.Feed.ID, Outlet: doc.Feed.Outlet, Country: doc.Feed.Country, Tier: doc.Feed.Tier,
		Lang: primary(e.Lang, "und"), FirstSeen: doc.FirstSeen,
	}
	c := cutter{}
	it.GUID = c.bytes(oneLine(e.ID), news.MaxURL)
	it.URL = c.url(e.Link)
	it.Title = c.word(titleText(e.Title, e.TitleText), news.MaxTitle)
	summary, body := e.Summary, e.Content
	if summary == "" {
		summary, body = body, ""
	}
	it.Summary = c.word(plain(summary), news.MaxSummary)
	if body != "" && body != summary {
		it.Body = c.word(plain(body), news.MaxBody)
	}
	if it.Body == it.Summary {
		it.Body = ""
	}
	if it.Title == "" {
		it.Title, _ = cutWord(oneLine(it.Summary), 120)
	}
	for _, a := range e.Authors {
		if a = c.word(oneLine(plain(a)), 200); a != "" && len(it.Authors) < 16 {
			it.Authors = append(it.Authors, a)
		}
	}
	for _, cat := range e.Categories {
		if cat = c.word(oneLine(plain(cat)), 200); cat != "" && len(it.Categories) < news.MaxCategories && !slices.Contains(it.Categories, cat) {
			it.Categories = append(it.Categories, cat)
		}
	}
	date(&it, e)
	if c.cut {
		it.Flags = append(it.Flags, news.FlagTruncated)
	}
	if e.Degraded || len(res.Degraded) > 0 {
		it.Flags = append(it.Flags, news.FlagDegraded)
	}
	return it, it.Title != "" || it.URL != ""
}

// date keeps a usable date and otherwise the words that claimed one.
func date(it *news.Item, e *Entry) {
	switch {
	case e.Published.IsZero():
		it.PublishedClaimed = strings.Clone(e.Claimed)
		it.Flags = append(it.Flags, news.FlagNoDate)
	case e.Published.After(it.FirstSeen.Add(10 * time.Minute)):
		it.PublishedClaimed = strings.Clone(e.Claimed)
		it.Flags = append(it.Flags, news.FlagFutureDate)
	default:
		it.Published = e.Published.UTC()
	}
}

// cutter cuts fields and remembers that it did.
type cutter struct{ cut bool }

func (c *cutter) word(s string, n int) string {
	s, cut := cutWord(s, n)
	c.cut = c.cut || cut
	return s
}

func (c *cutter) bytes(s string, n int) string {
	if len(s) > n {
		c.cut = true
		return cutBytes(s, n)
	}
	return s
}

// url drops an address over the limit, because half an address leads nowhere, and one that no reader may follow.
func (c *cutter) url(s string) string {
	s = oneLine(s)
	if !webAddress(s) {
		return ""
	}
	if len(s) > news.MaxURL {
		c.cut = true
		return ""
	}
	return s
}
