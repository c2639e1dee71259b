package page

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
)

func cleanName(s string) string {
	return notifier.Shorten(strings.TrimSpace(notifier.Clean(s)), maxName)
}

// serveAct does what a person who signed in asks for, then leads back to where they were with a word on what became of it.
func (p *Page) serveAct(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read", http.StatusBadRequest)
		return
	}
	v := p.doors.visitor(r)
	switch {
	case !v.Can:
		p.refuse(w, r, "This page only reads: no token is configured (http.page.token_file).")
		return
	case !v.In:
		http.Redirect(w, r, "/signin?back="+url.QueryEscape(ownPath(r.PostForm.Get("back"))), http.StatusSeeOther)
		return
	case !v.sent(r.PostForm.Get("form")):
		p.refuse(w, r, "This form was not made for your session: load the page again.")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), actWithin)
	defer cancel()
	said, err := p.act(ctx, r.PathValue("what"), r.PostForm, v)
	if err != nil {
		said = "Not done: " + err.Error()
	} else {
		p.o.Log.Info("status page: action", "component", "page", "reason", r.PathValue("what"), "status", said)
	}
	back, q := ownPath(r.PostForm.Get("back")), url.Values{"said": {notifier.Shorten(said, 300)}}
	if err != nil {
		q.Set("bad", "1")
	}
	http.Redirect(w, r, withQuery(back, q), http.StatusSeeOther)
}

const actWithin = 20 * time.Second

func (p *Page) refuse(w http.ResponseWriter, r *http.Request, why string) {
	p.show(w, r, "refused", "Not allowed", http.StatusForbidden, why)
}

func withQuery(path string, q url.Values) string {
	u, err := url.Parse(path)
	if err != nil {
		return "/?" + q.Encode()
	}
	old := u.Query()
	old.Del("bad")
	for k := range q {
		old.Set(k, q.Get(k))
	}
	u.RawQuery = old.Encode()
	return u.String()
}

var errNotOffered = errors.New("this process does not do that: ask one with the role it needs")

func (p *Page) act(ctx context.Context, what string, form url.Values, v visitor) (said string, err error) {
	who := cmp.Or(v.Name, "the status page")
	switch what {
	case "ack", "useful", "noise", "mute":
		return p.actFeedback(ctx, what, form.Get("alert"), who)
	case "silence":
		return p.actSilence(ctx, form, who)
	case "expire":
		return "The silence is over.", run(p.o.Do.Expire, ctx, form.Get("id"))
	case "retry":
		return "Given back to its stage.", number(p.o.Do.RetryDead, ctx, form.Get("number"))
	case "drop":
		return "The dead letter is removed.", number(p.o.Do.DropDead, ctx, form.Get("number"))
	case "poll":
		return "The feed is polled now.", run(p.o.Do.Poll, ctx, form.Get("feed"))
	case "reload":
		if p.o.Do.Reload == nil {
			return "", errNotOffered
		}
		return "The lists were read again.", p.o.Do.Reload(ctx)
	}
	return "", fmt.Errorf("action %q is not known", notifier.Shorten(notifier.Clean(what), 20))
}

func run(do func(context.Context, string) error, ctx context.Context, id string) error {
	if do == nil {
		return errNotOffered
	}
	return do(ctx, id)
}

func number(do func(context.Context, uint64) error, ctx context.Context, text string) error {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is not the number of a dead letter", notifier.Shorten(notifier.Clean(text), 20))
	}
	if do == nil {
		return errNotOffered
	}
	return do(ctx, n)
}

func (p *Page) actFeedback(ctx context.Context, verdict, seq, who string) (string, error) {
	n, err := strconv.ParseUint(seq, 10, 64)
	if err != nil {
		return "", errors.New("the form names no alert")
	}
	e, ok := p.book.at(filter{}, n)
	switch {
	case !ok:
		return "", errors.New("this alert is no longer kept here: use the command line")
	case p.o.Do.Feedback == nil:
		return "", errNotOffered
	}
	if err := p.o.Do.Feedback(ctx, e.View.Alert, verdict, who); err != nil {
		return "", err
	}
	switch verdict {
	case "ack":
		p.Entry(&news.LedgerEntry{
			Event: news.EventFeedback, Reason: verdict, Recipient: who, At: p.o.Now(), Alerts: []news.AlertRef{{ID: e.View.Alert.ID, Revision: e.View.Alert.Revision}},
		})
		return "You look after it.", nil
	case "mute":
		return "This story is muted for a week.", nil
	}
	return "Kept: " + verdict + ".", nil
}

func (p *Page) actSilence(ctx context.Context, form url.Values, who string) (string, error) {
	if p.o.Do.Silence == nil {
		return "", errNotOffered
	}
	lasts, err := strict.ParseDuration(form.Get("for"))
	if err != nil {
		return "", fmt.Errorf("how long: write 2h or 7d, not %q", notifier.Shorten(notifier.Clean(form.Get("for")), 20))
	}
	now := p.o.Now()
	s := notifier.Silence{
		Words: split(form.Get("words")), Entities: split(form.Get("entities")), Sources: split(form.Get("sources")), Matchers: lines(form.Get("matchers")),
		Author: who, Comment: cleanName(form.Get("comment")), Start: now, End: now.Add(lasts),
	}
	if s, err = p.o.Do.Silence(ctx, s); err != nil {
		return "", err
	}
	return "Muted until " + s.End.UTC().Format("2 Jan 15:04") + " UTC.", nil
}

// split reads a list with commas.
func split(s string) (out []string) {
	for _, x := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == '،' || r == '、' || r == '\n' }) {
		if x = strings.TrimSpace(x); x != "" {
			out = append(out, x)
		}
	}
	return out
}

func lines(s string) (out []string) {
	for x := range strings.Lines(s) {
		if x = strings.TrimSpace(x); x != "" {
			out = append(out, x)
		}
	}
	return out
}
