package fetcher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"tocsin/news"
)

// statusFault words a status that brings no document; nil for 200.
func statusFault(a *answer, now time.Time) *Fault {
	f := &Fault{Status: a.status}
	switch s := a.status; {
	case s == http.StatusOK && len(strings.TrimSpace(string(a.body[:min(len(a.body), 64)]))) > 0:
		return nil
	case s == http.StatusOK:
		f.Reason, f.Detail = ReasonEmpty, "200 with an empty body"
	case s == http.StatusGone:
		f.Reason, f.Detail = ReasonGone, "410: the feed is gone for good: remove it, or resume it if you know better"
	case s == http.StatusTooManyRequests, s == http.StatusServiceUnavailable && !challenged(a):
		f.Reason, f.RetryAfter = ReasonThrottled, retryAfter(a.header, now)
		f.Detail = fmt.Sprintf("%d: the server asks for fewer requests", s)
	case s == http.StatusUnauthorized, s == http.StatusForbidden, s == http.StatusUnavailableForLegalReasons, challenged(a):
		f.Reason, f.Detail = ReasonBlocked, fmt.Sprintf("%d: the server refuses us: ask its operator, or give credentials under headers:", s)
	case s >= 500:
		f.Reason, f.Detail = Reason5xx, fmt.Sprintf("%d %s", s, http.StatusText(s))
	case s >= 400:
		f.Reason, f.Detail = Reason4xx, fmt.Sprintf("%d %s", s, http.StatusText(s))
	case s >= 300:
		f.Reason, f.Detail = ReasonRedirect, fmt.Sprintf("%d is no redirect that can be followed", s)
	default:
		f.Reason, f.Detail = ReasonEmpty, fmt.Sprintf("%d carries no document that was asked for", s)
	}
	return f
}

// challenged knows pages that want to tell people from programs.
func challenged(a *answer) bool {
	return strings.EqualFold(a.header.Get("Cf-Mitigated"), "challenge") || challenge.Match(a.body[:min(len(a.body), 4096)])
}

// failed notes a fault of the feed, unless it is our own network that is down.
func (p *poll) failed(fl *Fault, err error) {
	p.fault, p.said = fl, fl
	p.f.metrics.fault(p.feed.ID, fl.Reason)
	var broken *panicFault
	if asPanic(err, &broken) {
		p.f.o.Log.Error("parser failed on a document", "feed", p.feed.ID, "reason", string(fl.Reason), "err", fl.Detail+"\n"+string(broken.stack))
	} else {
		p.f.o.Log.Debug("poll failed", "feed", p.feed.ID, "reason", string(fl.Reason), "status", fl.Status, "err", fl.Detail)
	}
	if fl.Reason == ReasonDNS || fl.Reason == ReasonConnect {
		p.f.network.note(p.st.address(p.feed), true)
		if p.f.network.down() {
			p.st.Reason, p.st.Error = fl.Reason, "our own network seems to be down: "+short(fl.Detail, 200)
			p.fault = nil // no failure count grows; the next poll comes after the usual interval
			return
		}
	}
	p.st.fail(fl, p.now)
	p.unread(fl.Reason)
	if fl.Reason == ReasonGone && p.st.Gone {
		p.f.o.Log.Warn("feed is gone, polling stops", "feed", p.feed.ID)
	}
}

// save writes the state by compare-and-set. A conflict means that another worker polled: what it stored is merged.
func (f *Fetcher) save(ctx context.Context, fd *Feed, st *state, rev uint64) error {
	for range 4 {
		data, err := st.encode()
		if err != nil {
			return fmt.Errorf("feed %s: %w", fd.ID, err)
		}
		err = f.o.SaveState(ctx, fd.ID, data, rev)
		if !errors.Is(err, news.ErrConflict) {
			if err != nil {
				return fmt.Errorf("save state of feed %s: %w", fd.ID, err)
			}
			return nil
		}
		other, r, err := f.load(ctx, fd)
		if err != nil {
			return err
		}
		st.merge(other)
		rev = r
	}
	return fmt.Errorf("save state of feed %s: %w", fd.ID, news.ErrConflict)
}
