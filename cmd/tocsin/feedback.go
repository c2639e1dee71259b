package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/bus"
	"tocsin/news"
	"tocsin/notifier"
)

// feedbackKeyFile lies in the data directory. Whoever has it can make links of feedback.
const feedbackKeyFile = "feedback.key"

// feedbackKey reads the key of the links of feedback, or makes one at the first start.
func feedbackKey(dir string) ([]byte, error) {
	path := filepath.Join(dir, feedbackKeyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make the key of feedback links: %w", err)
		}
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		text = []byte(hex.EncodeToString(key) + "\n")
		err = writeNew(path, text)
	}
	if err != nil {
		return nil, fmt.Errorf("key of feedback links: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) < 32 {
		return nil, fmt.Errorf("%s holds no key: remove it, and a new one is made; older links end then", path)
	}
	return key, nil
}

// writeNew writes a whole file under another name first: a crash leaves no half of a key.
func writeNew(path string, text []byte) error {
	next := path + ".new"
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// feedbackPath is where links of feedback lead. Their signature stands for the header that other writes need.
const feedbackPath = "/feedback"

// feedbackHost is the host name that the links carry, "" when there are none.
func (in *instance) feedbackHost() string {
	if in.cfg.Notifier.Feedback == nil {
		return ""
	}
	u, err := url.Parse(in.cfg.Notifier.Feedback.URL.Value)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// firstAlert gives the first stored alert since a time that is wanted; news.ErrNotFound when there is none.
func (in *instance) firstAlert(ctx context.Context, since time.Time, want func(*news.Alert) bool) (*news.Alert, error) {
	var found *news.Alert
	err := in.bus.ReadAlerts(ctx, since, false, func(a news.Alert, _ bus.Meta) error {
		if want(&a) {
			found = &a
			return errStopReading
		}
		return nil
	})
	switch {
	case found != nil:
		return found, nil
	case err != nil:
		return nil, err
	}
	return nil, news.ErrNotFound
}

var feedbackPage = template.Must(template.New("feedback").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex"><title>Feedback</title>
<style>:root{color-scheme:light dark}body{font:16px/1.5 sans-serif;max-width:36em;margin:2em auto;padding:0 1em}button{font:inherit;padding:.5em 1em;margin:0 .5em .5em 0}</style></head><body>
{{- if .Done }}
<h1>Thank you</h1><p>“{{ .Done }}” is kept for this alert.</p>
{{- else }}
<h1>What was this alert worth?</h1>
<p dir="auto">{{ .Title }}</p>
<form method="post" action="{{ .Action }}">
{{- range $k, $v := .Hidden }}<input type="hidden" name="{{ $k }}" value="{{ $v }}">{{ end }}
{{- range .Verdicts }}<button name="v" value="{{ .Verdict }}">{{ if eq .Verdict $.Chosen }}<b>{{ .Name }}</b>{{ else }}{{ .Name }}{{ end }}</button>{{ end }}
</form>
{{- end }}
</body></html>
`))

type feedbackView struct {
	Done, Title, Action, Chosen string
	Hidden                      map[string]string
	Verdicts                    []notifier.FeedbackLink
}

// serveFeedback shows what a signed link is about and asks; only POST keeps a verdict, because mail scanners follow links.
func (in *instance) serveFeedback(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "the form cannot be read", http.StatusBadRequest)
		return
	}
	ref, err := in.notify.ReadFeedbackLink(r.Form)
	if err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	a, err := in.firstAlert(r.Context(), ref.At.Add(-31*24*time.Hour), func(a *news.Alert) bool {
		return a.ID == ref.Alert.ID && a.Revision == ref.Alert.Revision
	})
	if err != nil {
		http.Error(w, "this alert is no longer stored", http.StatusNotFound)
		return
	}
	v := feedbackView{
		Title: notifier.NewView(a, nil).Subject(), Action: r.URL.Path, Chosen: r.Form.Get("v"), Hidden: map[string]string{},
		Verdicts: []notifier.FeedbackLink{{Verdict: "useful", Name: "Useful"}, {Verdict: "noise", Name: "Noise"}, {Verdict: "mute", Name: "Mute this story"}},
	}
	for _, k := range []string{"a", "r", "t", "d", "s"} {
		v.Hidden[k] = r.Form.Get(k)
	}
	if r.Method == http.MethodPost {
		verdict := r.PostForm.Get("v")
		if verdict == notifier.FeedbackAck {
			verdict = ""
		}
		if err := in.notify.AddFeedback(r.Context(), a, verdict, "delivery "+ref.Delivery); err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		v.Done = verdict
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = feedbackPage.Execute(w, v) // the reader went away
}

// serveFeedbackAPI keeps a verdict of the command line: ?alert=, the beginning of an id, &verdict=, &by=.
func (in *instance) serveFeedbackAPI(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	id := q.Get("alert")
	if len(id) < shortestID {
		http.Error(w, fmt.Sprintf("say which: at least %d letters of the alert's id", shortestID), http.StatusBadRequest)
		return
	}
	a, err := in.firstAlert(r.Context(), time.Now().Add(-30*24*time.Hour), func(a *news.Alert) bool { return strings.HasPrefix(a.ID, id) })
	if err != nil {
		http.Error(w, "no alert of the last 30 days has an id that begins with "+id, http.StatusNotFound)
		return
	}
	if err := in.notify.AddFeedback(r.Context(), a, q.Get("verdict"), q.Get("by")); err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	writeJSON(w, map[string]string{"alert": a.ID, "verdict": q.Get("verdict")})
}

func feedbackCommand(s std) *cobra.Command {
	var server, by string
	c := &cobra.Command{
		Use: "feedback ALERT useful|noise|mute", Short: "Say what an alert was worth; mute silences its story for a week", Args: cobra.ExactArgs(2),
		Example: "  tocsin feedback qoj5vgcyv6m7 noise",
		RunE:    func(c *cobra.Command, args []string) error { return sendFeedback(c, s, server, args[0], args[1], by) },
	}
	serverFlag(c, &server)
	c.Flags().StringVar(&by, "by", os.Getenv("USER"), "who says so")
	return c
}

func sendFeedback(c *cobra.Command, s std, server, alert, verdict, by string) error {
	cl, err := newClient(server)
	if err != nil {
		return err
	}
	resp, err := cl.do(c.Context(), http.MethodPost, "/api/v1/feedback", url.Values{"alert": {alert}, "verdict": {verdict}, "by": {by}})
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "%s: %s\n", alert, verdict)
	return resp.Body.Close()
}
