package notifier

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
)

// Verdicts of people about an alert: the closed list of LedgerEntry.Reason of an entry of feedback.
const (
	FeedbackUseful = "useful"
	FeedbackNoise  = "noise"
	FeedbackMute   = "mute" // and silence its story for a week
	FeedbackAck    = "ack"  // somebody looks after it; says nothing about its worth
)

// FeedbackVerdicts lists the verdicts that links offer.
func FeedbackVerdicts() []string { return []string{FeedbackUseful, FeedbackNoise, FeedbackMute} }

// muteSpan is how long a story is muted by its link.
const muteSpan = 7 * 24 * time.Hour

// FeedbackConfig says where people reach the pages of feedback. Without it there are no links.
type FeedbackConfig struct {
	strict.Pos
	URL strict.Text `yaml:"url"` // as people reach this program: https://tocsin.example.org
}

func (k *routeCheck) feedback(c *FeedbackConfig) {
	if c == nil {
		return
	}
	u, err := url.Parse(c.URL.Value)
	if link, _ := SafeLink(c.URL.Value); err != nil || link == "" || u.RawQuery != "" || u.Fragment != "" {
		p := c.URL.Pos
		if c.URL.Value == "" {
			p = c.Pos
		}
		k.faults.Add(p, "write it as https://tocsin.example.org", "feedback.url %q is no address of a page", cut(c.URL.Value))
	}
}

// FeedbackLink is one link of an alert.
type FeedbackLink struct{ Verdict, Name, URL string }

const headerFeedback = "feedback" // the address without the verdict; the recipient's own

// FeedbackLinks gives the links of a delivery, none when feedback is not configured. Render functions call it before they set headers of their own.
func FeedbackLinks(d *news.Delivery) []FeedbackLink {
	base := d.Headers[headerFeedback]
	if base == "" {
		return nil
	}
	var out []FeedbackLink
	names := map[string]string{FeedbackUseful: "Useful", FeedbackNoise: "Noise", FeedbackMute: "Mute this story"}
	for _, v := range FeedbackVerdicts() {
		out = append(out, FeedbackLink{v, names[v], base + "&v=" + v})
	}
	return out
}

// linkFeedback puts the signed address into the delivery of one alert.
func (n *Notifier) linkFeedback(d *news.Delivery) {
	c := n.o.Config.Feedback
	if c == nil || len(n.o.FeedbackKey) == 0 || len(d.Alerts) != 1 {
		return
	}
	q := url.Values{"a": {d.Alerts[0].ID}, "r": {strconv.Itoa(d.Alerts[0].Revision)}, "t": {strconv.FormatInt(d.PlannedAt.Unix(), 10)}, "d": {d.ID}}
	q.Set("s", n.sign(q))
	u, err := url.Parse(c.URL.Value)
	if err != nil {
		return // refused when the configuration was read
	}
	u = u.JoinPath("feedback")
	u.RawQuery = q.Encode()
	if d.Headers == nil {
		d.Headers = map[string]string{}
	}
	d.Headers[headerFeedback] = u.String()
}

// sign covers everything but the verdict: the page behind a link offers all of them.
func (n *Notifier) sign(q url.Values) string {
	h := hmac.New(sha256.New, n.o.FeedbackKey)
	for _, k := range []string{"a", "r", "t", "d"} {
		fmt.Fprintf(h, "feedback.%s=%d:%s|", k, len(q.Get(k)), q.Get(k))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}

// ErrForged is returned for links that this program did not make.
var ErrForged = errors.New("this link is not one of ours, or its key was changed")

// FeedbackRef is what a signed link names.
type FeedbackRef struct {
	Alert    news.AlertRef
	Delivery string
	At       time.Time // when the delivery was planned
}

// ReadFeedbackLink checks the signature of a link's query.
func (n *Notifier) ReadFeedbackLink(q url.Values) (FeedbackRef, error) {
	if len(n.o.FeedbackKey) == 0 || !hmac.Equal([]byte(n.sign(q)), []byte(q.Get("s"))) {
		return FeedbackRef{}, ErrForged
	}
	r, err1 := strconv.Atoi(q.Get("r"))
	t, err2 := strconv.ParseInt(q.Get("t"), 10, 64)
	if err1 != nil || err2 != nil {
		return FeedbackRef{}, ErrForged
	}
	return FeedbackRef{news.AlertRef{ID: q.Get("a"), Revision: r}, q.Get("d"), time.Unix(t, 0)}, nil
}

// AddFeedback keeps a verdict about an alert in the ledger; by names the delivery or the person. The same verdict by the same one counts once.
// FeedbackMute silences the alert's story as well.
func (n *Notifier) AddFeedback(ctx context.Context, a *news.Alert, verdict, by string) error {
	if !slices.Contains(append(FeedbackVerdicts(), FeedbackAck), verdict) {
		return fmt.Errorf("verdict %q: write useful, noise, mute or ack", verdict)
	}
	by = Shorten(Clean(by), maxLine)
	now := n.o.Now()
	if verdict == FeedbackMute {
		who := by
		if who == "" {
			who = "a reader"
		}
		_, err := n.AddSilence(ctx, Silence{Stories: []string{a.Story}, End: now.Add(muteSpan), Author: who, Comment: "muted by a link of alert " + a.ID})
		if err != nil {
			return err
		}
	}
	l := news.LedgerEntry{
		Schema: news.Schema, Event: news.EventFeedback, Delivery: news.DeliveryID(a.ID, a.Revision, news.EventFeedback, verdict, by),
		Alerts: []news.AlertRef{{ID: a.ID, Revision: a.Revision}}, Watchlist: a.Watchlist, Channel: feedbackChannel, Recipient: by, Reason: verdict, At: now,
	}
	for _, e := range a.Match.Entities {
		l.Entities = append(l.Entities, e.ID)
	}
	return n.ledger(ctx, l)
}

// feedbackChannel is the channel of entries of feedback.
const feedbackChannel = "feedback"

// noteFeedback counts a verdict for each entity of its alert, once. The caller holds foldMu.
func (n *Notifier) noteFeedback(l *news.LedgerEntry) {
	if n.feedback[l.Delivery] || l.Reason == FeedbackAck {
		return
	}
	n.feedback[l.Delivery] = true
	entities := l.Entities
	if len(entities) == 0 {
		entities = []string{""}
	}
	for _, e := range entities {
		n.m.verdict(l.Watchlist, e, l.Reason)
	}
}
