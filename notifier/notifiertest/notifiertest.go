// Package notifiertest is the suite that every channel passes, and alerts to render. It promises that a channel which passes can be trusted by
// the sender of package notifier: its verdicts, its stable ids and bytes, its silence about secrets. What only one channel can do is tested
// beside that channel.
package notifiertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode"

	"tocsin/news"
	"tocsin/notifier"
)

// Fault is what an endpoint does wrong.
type Fault string

// The faults. A peer takes part in those that its kind of endpoint can have.
const (
	Busy    Fault = "busy"    // refuses for now, with an answer (503, 451)
	Broken  Fault = "broken"  // cannot be reached, or breaks off before it has the message
	Lost    Fault = "lost"    // takes the message and breaks off without an answer
	Hangs   Fault = "hangs"   // takes the message and never answers
	Nobody  Fault = "nobody"  // will never take it for this recipient (550 5.1.1, 410)
	Content Fault = "content" // does not take this content (554, 413)
	Login   Fault = "login"   // wants other credentials (401, 535)
)

// Received is one message as the endpoint has it.
type Received struct {
	ID   string // as the endpoint can see it
	Body []byte
}

// Peer is a channel with an endpoint under the test's control.
type Peer struct {
	Channel  notifier.Channel
	Set      func(f Fault)                   // what the endpoint does from now on; "" = works
	Received func() []Received               // complete messages, in order
	Verdicts map[Fault]notifier.Verdict      // the faults that the endpoint can have, with what the channel must say
	Checks   map[Fault]func(notifier.Result) // further checks of a result; may be nil
	Secrets  []string                        // must never be shown; the endpoint repeats them in its answers where it can
}

// Run runs the suite. open starts a fresh endpoint and a channel to it.
func Run(t *testing.T, open func(t *testing.T) *Peer) {
	t.Helper()
	for name, f := range map[string]func(*testing.T, *Peer){
		"delivers": delivers, "renders every sample": renders, "renders digests": digests, "short form": shortForm, "own text": ownText, "faults": faults, "same id and bytes": sameBytes,
		"obeys its context": obeys, "keeps secrets": keepsSecrets,
	} {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
}

// Plan renders an alert for the first recipient of a channel, as the notifier does.
func Plan(t testing.TB, c *notifier.Channel, a *news.Alert) *news.Delivery {
	t.Helper()
	d := draft(c, a)
	if err := c.Render(a, d); err != nil {
		t.Fatalf("render: %v", err)
	}
	return d
}

func draft(c *notifier.Channel, a *news.Alert) *news.Delivery {
	to := c.Recipients[0]
	return &news.Delivery{
		Schema: news.Schema, ID: news.DeliveryID(a.ID, a.Revision, "root", c.ID, to), Alerts: []news.AlertRef{{ID: a.ID, Revision: a.Revision}},
		Story: a.Story, Watchlist: a.Watchlist, Severity: a.Severity, Route: "root", Channel: c.ID, Recipient: to, Reason: news.SendFirst,
		FirstSeen: a.Match.Item.FirstSeen, PlannedAt: a.At, Expires: a.At.Add(100 * time.Hour),
	}
}

func first(t testing.TB, p *Peer) *news.Delivery { return Plan(t, &p.Channel, &Samples()[0].Alert) }

func delivers(t *testing.T, p *Peer) {
	d := first(t, p)
	r := p.Channel.Send(t.Context(), d)
	if r.Verdict != notifier.Delivered || r.Ambiguous {
		t.Fatalf("got %+v", r)
	}
	got := p.Received()
	if len(got) != 1 || got[0].ID != d.ID || !bytes.Equal(got[0].Body, d.Body) {
		t.Fatalf("the endpoint has %d messages %q, sent was %q:\n%s", len(got), got, d.ID, d.Body)
	}
}

func renders(t *testing.T, p *Peer) {
	for _, s := range Samples() {
		d, again := Plan(t, &p.Channel, &s.Alert), Plan(t, &p.Channel, &s.Alert)
		if !bytes.Equal(d.Body, again.Body) {
			t.Errorf("%s: the same alert gave other bytes the second time", s.Name)
		}
		if len(d.Body) == 0 || len(d.Body) > news.MaxDelivery {
			t.Errorf("%s: %d bytes", s.Name, len(d.Body))
		}
		if d.Subject == "" || strings.ContainsFunc(d.Subject, unicode.IsControl) {
			t.Errorf("%s: subject %q", s.Name, d.Subject)
		}
		if r := p.Channel.Send(t.Context(), d); r.Verdict != notifier.Delivered {
			t.Errorf("%s: got %+v", s.Name, r)
		}
	}
	if d := Plan(t, &p.Channel, HugeHeartbeat()); len(d.Body) > news.MaxDelivery {
		t.Errorf("a huge heartbeat has %d bytes", len(d.Body))
	}
	if got := len(p.Received()); got != len(Samples()) {
		t.Errorf("the endpoint has %d messages of %d", got, len(Samples()))
	}
}

func shortForm(t *testing.T, p *Peer) {
	if p.Channel.Short == nil {
		t.Fatal("no short form: an alert whose template fails would be lost")
	}
	a := &Samples()[0].Alert
	d := draft(&p.Channel, a)
	d.Subject = "Corridor security: BLA claims attack"
	if err := p.Channel.Short(d); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(d.Body), "BLA claims attack") {
		t.Errorf("the short form does not tell what happened: %q", d.Body)
	}
	if r := p.Channel.Send(t.Context(), d); r.Verdict != notifier.Delivered {
		t.Errorf("got %+v", r)
	}
}

// ownText sends what an operator's template wrote: all of it when it is short, as much as fits when it is long, and nobody is called by it.
func ownText(t *testing.T, p *Peer) {
	if p.Channel.RenderText == nil { // read by machines, or with templates of its own
		delivers(t, p)
		return
	}
	a := Caller()
	for name, text := range map[string]string{
		"short": "first line\n\n\u2068@everyone <!channel> <@U1>\u2069", "long": strings.Repeat("\u2068👩\u200D👩\u200D👧 @all क्षि <!here>\u2069 word *b*\n", 2000),
	} {
		d := draft(&p.Channel, a)
		d.Subject = "Corridor security: BLA claims attack"
		if err := p.Channel.RenderText(notifier.NewView(a, nil), text, d); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var v any
		if err := json.Unmarshal(d.Body, &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sound(t, name, v)
		if p.Channel.Type != "ntfy" { // nobody can be called there
			Calls(t, string(d.Body))
		}
		if name == "short" && !strings.Contains(string(d.Body), "first line") {
			t.Errorf("the text is not there: %s", d.Body)
		}
		if r := p.Channel.Send(t.Context(), d); r.Verdict != notifier.Delivered || len(d.Body) > news.MaxDelivery {
			t.Errorf("%s: %+v, %d bytes", name, r, len(d.Body))
		}
	}
}

func faults(t *testing.T, p *Peer) {
	if len(p.Verdicts) == 0 {
		t.Fatal("the peer names no fault")
	}
	for f, want := range p.Verdicts {
		d := first(t, p)
		p.Set(f)
		ctx, stop := patience(t, f)
		r := p.Channel.Send(ctx, d)
		stop()
		if r.Verdict != want {
			t.Errorf("%s: verdict %s, want %s (%+v)", f, r.Verdict, want, r)
		}
		if want := f == Lost || f == Hangs; r.Ambiguous != want {
			t.Errorf("%s: ambiguous is %v, want %v (%+v)", f, r.Ambiguous, want, r)
		}
		if r.Status == "" || len(r.Status) > 4<<10 {
			t.Errorf("%s: status %q", f, r.Status)
		}
		if check := p.Checks[f]; check != nil {
			check(r)
		}
	}
}

// sameBytes sends one delivery through every fault and then well: whatever reached the endpoint carries one id and one body.
func sameBytes(t *testing.T, p *Peer) {
	d := first(t, p)
	before := *d
	body := bytes.Clone(d.Body)
	for f := range p.Verdicts {
		p.Set(f)
		ctx, stop := patience(t, f)
		p.Channel.Send(ctx, d)
		stop()
	}
	p.Set("")
	if r := p.Channel.Send(t.Context(), d); r.Verdict != notifier.Delivered {
		t.Fatalf("after the faults: %+v", r)
	}
	if d.ID != before.ID || d.Subject != before.Subject || !bytes.Equal(d.Body, body) {
		t.Error("Send changed the delivery")
	}
	got := p.Received()
	if len(got) == 0 {
		t.Fatal("nothing was received")
	}
	for _, g := range got {
		if g.ID != d.ID || !bytes.Equal(g.Body, body) {
			t.Errorf("received id %q (sent %q), %d bytes of %d", g.ID, d.ID, len(g.Body), len(body))
		}
	}
}

// patience is how long an attempt may take: long for an endpoint that answers, so that a slow machine changes no verdict.
func patience(t *testing.T, f Fault) (context.Context, context.CancelFunc) {
	if f == Hangs {
		return context.WithTimeout(t.Context(), 500*time.Millisecond)
	}
	return context.WithTimeout(t.Context(), 20*time.Second)
}

func obeys(t *testing.T, p *Peer) {
	d := first(t, p)
	ended, stop := context.WithCancel(t.Context())
	stop()
	if r := p.Channel.Send(ended, d); r.Verdict != notifier.Retry || r.Ambiguous {
		t.Errorf("with an ended context: %+v", r)
	}
	if _, ok := p.Verdicts[Hangs]; !ok {
		return
	}
	p.Set(Hangs)
	ctx, stop := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer stop()
	begun := time.Now()
	if r := p.Channel.Send(ctx, d); r.Verdict != notifier.Retry {
		t.Errorf("hanging endpoint: %+v", r)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("returned %s after its context ended", took)
	}
}

func keepsSecrets(t *testing.T, p *Peer) {
	look := func(where, s string) {
		for _, x := range p.Secrets {
			if strings.Contains(s, x) {
				t.Errorf("%s shows a secret: %s", where, s)
			}
		}
	}
	for _, s := range Samples() {
		d := Plan(t, &p.Channel, &s.Alert)
		look(s.Name+" body", string(d.Body))
		look(s.Name+" subject", d.Subject)
		for k, v := range d.Headers {
			look(s.Name+" header "+k, v)
		}
	}
	all := []Fault{""}
	for f := range p.Verdicts {
		all = append(all, f)
	}
	d := first(t, p)
	for _, f := range all {
		p.Set(f)
		ctx, stop := patience(t, f)
		r := p.Channel.Send(ctx, d)
		stop()
		look(string(f)+" status", r.Status)
		look(string(f)+" response", r.Response)
		look(string(f)+" provider id", r.ProviderID)
	}
}

// digests renders all samples as one digest, then many: one message that names every alert, or the wish for two, with the same bytes each time.
func digests(t *testing.T, p *Peer) {
	if p.Channel.RenderDigest == nil {
		return // the notifier makes an alert of it, and alerts are rendered above
	}
	var entries []news.Alert
	for _, s := range Samples() {
		entries = append(entries, s.Alert)
	}
	for _, times := range []int{1, 20} {
		var many []news.Alert
		for range times {
			many = append(many, entries...)
		}
		var bodies [][]byte
		for range 2 {
			d := draft(&p.Channel, &entries[0])
			d.Story, d.Reason, d.Watchlist = "", news.SendDigest, ""
			err := p.Channel.RenderDigest(many, d)
			if errors.Is(err, notifier.ErrTooLarge) && times > 1 {
				return
			}
			if err != nil {
				t.Fatalf("%d alerts: %v", len(many), err)
			}
			if d.Subject == "" || len(d.Body) == 0 {
				t.Errorf("%d alerts: subject %q, %d bytes", len(many), d.Subject, len(d.Body))
			}
			bodies = append(bodies, d.Body)
		}
		if !bytes.Equal(bodies[0], bodies[1]) {
			t.Errorf("%d alerts: the second rendering differs", len(many))
		}
	}
	d := draft(&p.Channel, &entries[0])
	d.Reason = news.SendDigest
	if err := p.Channel.RenderDigest(entries, d); err != nil {
		t.Fatal(err)
	}
	if r := p.Channel.Send(t.Context(), d); r.Verdict != notifier.Delivered {
		t.Errorf("a digest is answered with %s: %s", r.Verdict, r.Status)
	}
}
