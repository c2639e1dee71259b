package fetcher

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tocsin/news"
)

// WebSub has hubs bring news at once (W3C WebSub). Callback is the public address under which Fetcher.WebSub is served, https and without a slash
// at its end; Key, 32 bytes or more, makes the address and the secret of each feed.
type WebSub struct {
	Callback string
	Key      []byte
}

const (
	leaseWanted = 10 * day
	leaseLeast  = 10 * time.Minute
	askAgain    = 6 * time.Hour // until a hub that did not verify is asked again
	subscribing = 15 * time.Second
)

// push is what is known of a feed's subscription. No secret is in it.
type push struct {
	At     time.Time     `json:"at,omitzero"` // last change
	Topic  string        `json:"topic,omitempty"`
	Asked  time.Time     `json:"asked,omitzero"`
	Until  time.Time     `json:"until,omitzero"` // end of the lease
	Lease  time.Duration `json:"lease,omitempty"`
	Last   time.Time     `json:"last,omitzero"` // last delivery with a good signature
	Got    uint64        `json:"got,omitempty"`
	Bad    uint64        `json:"bad,omitempty"` // deliveries without a good signature
	Denied string        `json:"denied,omitempty"`
}

func (s *push) active(now time.Time) bool { return s.Until.After(now) }

// renewAt is the time to ask again: at two thirds of the lease.
func (s *push) renewAt() time.Time { return s.Until.Add(-s.Lease / 3) }

// linkHeader gives the hub and the topic that the Link header names (RFC 8288; WebSub 4).
func linkHeader(h http.Header, base *url.URL) (hub, self string) {
	for _, line := range h.Values("Link") {
		for _, l := range splitLinks(line) {
			ref, err := base.Parse(l.target)
			if err != nil {
				continue
			}
			for _, rel := range strings.Fields(strings.ToLower(l.rel)) {
				switch rel {
				case "hub":
					setIfZero(&hub, ref.String())
				case "self":
					setIfZero(&self, ref.String())
				}
			}
		}
	}
	return hub, self
}

type headerLink struct{ target, rel string }

const maxLinks = 32

// splitLinks reads <target>; name=value; name="value", <target>... Commas and semicolons inside brackets and quotes separate nothing.
func splitLinks(s string) (out []headerLink) {
	for len(out) < maxLinks {
		open := strings.IndexByte(s, '<')
		if open < 0 {
			return out
		}
		end := strings.IndexByte(s[open:], '>')
		if end < 0 {
			return out
		}
		l := headerLink{target: strings.TrimSpace(s[open+1 : open+end])}
		s = s[open+end+1:]
		var rest string
		l.rel, rest = linkRel(s)
		out, s = append(out, l), rest
	}
	return out
}

// linkRel reads the parameters of one link and gives the first rel, and what follows the link's comma.
func linkRel(s string) (rel, rest string) {
	start, quoted := 0, false
	param := func(p string) {
		name, value, _ := strings.Cut(p, "=")
		if rel == "" && strings.EqualFold(strings.TrimSpace(name), "rel") {
			rel = strings.Trim(strings.TrimSpace(value), `"`)
		}
	}
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted:
		case s[i] == ';', s[i] == ',':
			param(s[start:i])
			if start = i + 1; s[i] == ',' {
				return rel, s[start:]
			}
		}
	}
	param(s[start:])
	return rel, ""
}

// hubs takes the hub and the topic of an answer: the Link header goes before the body (row 42).
func (p *poll) hubs(res *Result, a *answer) {
	hub, self := linkHeader(a.header, a.url)
	p.st.Hub = cutBytes(first(hub, res.Hub), news.MaxURL)
	p.st.Self = cutBytes(first(self, res.Self), news.MaxURL)
}

// wantsPush tells whether to ask the hub now, and notes it: the note is stored before the hub is asked, because it may verify at once.
func (p *poll) wantsPush() bool {
	s, now := &p.st.Push, p.f.o.Now()
	topic := first(p.st.Self, p.st.address(p.feed))
	switch {
	case p.f.o.WebSub == nil || p.st.Hub == "" || p.fault != nil || checkURL(p.st.Hub) != nil || len(topic) > news.MaxURL:
		return false
	case s.Topic == topic && s.active(now) && now.Before(s.renewAt()):
		return false
	case s.Topic == topic && now.Sub(s.Asked) < askAgain && !s.Asked.IsZero():
		return false
	}
	if s.Topic != topic {
		*s = push{}
	}
	s.Topic, s.Asked, s.At = topic, now, now
	return true
}

// subscribe asks the hub for deliveries. What it answers decides nothing: only its verification does.
func (p *poll) subscribe(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, subscribing)
	defer cancel()
	w := p.f.o.WebSub
	form := url.Values{
		"hub.mode": {"subscribe"}, "hub.topic": {p.st.Push.Topic}, "hub.callback": {w.callback(p.feed.ID)}, "hub.secret": {w.secret(p.feed.ID)},
		"hub.lease_seconds": {strconv.Itoa(int(leaseWanted / time.Second))},
	}
	status, err := p.f.postHub(ctx, p.feed, p.st.Hub, form)
	if err != nil || status/100 != 2 {
		p.f.o.Log.Debug("hub did not take the subscription", "feed", p.feed.ID, "status", status, "err", err)
	}
}

// postHub sends a form to a hub, by the guarded client, to the ports that a stranger may name.
func (f *Fetcher) postHub(ctx context.Context, fd *Feed, hub string, form url.Values) (int, error) {
	from, err := url.Parse(fd.URL)
	if err != nil {
		return 0, err
	}
	to, err := f.get.target(fd, from, hub)
	if err != nil {
		return 0, err
	}
	client, err := f.client(&Feed{})
	if err != nil {
		return 0, err
	}
	done, err := f.hosts.acquire(ctx, hostPort(to), false)
	if err != nil {
		return 0, err
	}
	defer done()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	req.Header.Set("User-Agent", f.o.UserAgent)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		return 0, f.get.classify(ctx, err, to)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	return resp.StatusCode, nil
}

func (w *WebSub) mac(what, feedID string) string {
	m := hmac.New(sha256.New, w.Key)
	fmt.Fprintf(m, "%s|%s", what, feedID)
	return hex.EncodeToString(m.Sum(nil))
}

// secret is known to the hub and to us alone: it is computed and never stored.
func (w *WebSub) secret(feedID string) string { return w.mac("secret", feedID) }

// callback is the feed's own address. Nobody can guess it.
func (w *WebSub) callback(feedID string) string {
	return strings.TrimRight(w.Callback, "/") + "/" + feedID + "-" + w.mac("callback", feedID)[:32]
}

// feedOf gives the id of the feed that a path of ours stands for; false for a path that we never gave away.
func (w *WebSub) feedOf(path string) (string, bool) {
	name := path[strings.LastIndexByte(path, '/')+1:]
	id, mac, ok := strings.Cut(name, "-")
	return id, ok && hmac.Equal([]byte(mac), []byte(w.mac("callback", id)[:32]))
}
