package notifier

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/news"
)

// planned makes n deliveries of one channel and returns them in order.
func planned(t testing.TB, m *model, n *Notifier, items ...string) []news.Delivery {
	t.Helper()
	var out []news.Delivery
	for _, i := range items {
		throughAlerts(t, m, n, match(i))
		a := m.alerts[len(m.alerts)-1]
		for _, k := range news.SortedKeys(m.due) {
			if d := m.due[k]; d.Alerts[0].ID == a.ID {
				out = append(out, d)
			}
		}
	}
	return out
}

func later(t testing.TB, err error) time.Duration {
	t.Helper()
	var l *news.LaterError
	if !errors.As(err, &l) {
		t.Fatalf("got %v, want to be asked again later", err)
	}
	return l.After
}

func items(n int) (out []string) {
	for i := range n {
		out = append(out, "item"+string(rune('a'+i)))
	}
	return out
}

func TestRetriesFollowTheSchedule(t *testing.T) {
	for name, schedule := range map[string][]time.Duration{"http": nil, "mail": MailSchedule()} {
		t.Run(name, func(t *testing.T) {
			m, e := newModel(), &endpoint{answers: []Result{{Verdict: Retry, Status: "busy", Alive: true}}}
			ch := e.channel("desk")
			ch.Schedule = schedule
			n := m.start(t, config(t, oneRoute), ch)
			planned(t, m, n, "i1")
			begun := m.now
			m.run(t, n)
			want := ch.schedule()
			if e.calls != len(want) {
				t.Errorf("%d attempts, want %d", e.calls, len(want))
			}
			for i, l := range m.events(news.EventAttempt)[:len(want)-1] {
				gap := l.Next.Sub(l.At)
				if gap < want[1] || gap < want[i+1]*8/10 || gap > want[i+1]*12/10+time.Second {
					t.Errorf("after attempt %d: next in %s, the schedule says %s", l.Attempt, gap, want[i+1])
				}
			}
			if len(m.dead) != 1 || m.dead[0].Reason != deadExhausted || m.dead[0].Attempts != len(want) {
				t.Errorf("dead letters %+v", m.dead)
			}
			if took := m.now.Sub(begun); took > longest(want)+24*time.Hour {
				t.Errorf("at rest after %s", took)
			}
		})
	}
}

func TestSchedulesAreThoseOfTheirStandards(t *testing.T) {
	sum := func(s []time.Duration) (d time.Duration) {
		for _, x := range s {
			d += x
		}
		return d
	}
	if got := sum(HTTPSchedule()); got != 75*time.Hour+35*time.Minute+5*time.Second {
		t.Errorf("HTTP: %s", got)
	}
	if got := MailSchedule()[1]; got != 5*time.Minute {
		t.Errorf("mail: second attempt after %s, greylisting needs 5 min", got)
	}
}

func TestRetryAfterBeatsTheScheduleAndHoldsTheChannel(t *testing.T) {
	m, e := newModel(), &endpoint{answers: []Result{{Verdict: Retry, Status: "429", RetryAfter: 10 * time.Minute}, {Verdict: Delivered}}}
	n := m.start(t, config(t, oneRoute), e.channel("desk"))
	ds := planned(t, m, n, "i1", "i2")
	must(t, n.HandleDelivery(t.Context(), ds[0]))
	if at := m.retry[sentKey(&ds[0])].at; at.Sub(m.now) != 10*time.Minute {
		t.Errorf("armed in %s", at.Sub(m.now))
	}
	if wait := later(t, n.HandleDelivery(t.Context(), ds[1])); wait != 10*time.Minute {
		t.Errorf("the other delivery waits %s", wait)
	}
	if e.calls != 1 {
		t.Errorf("%d attempts", e.calls)
	}
	for in, want := range map[time.Duration]time.Duration{time.Millisecond: time.Second, 100 * time.Hour: 24 * time.Hour} {
		if got := delay(HTTPSchedule(), 1, "x", &Result{RetryAfter: in}); got != want {
			t.Errorf("asked for %s: %s", in, got)
		}
	}
}

func TestTheCircuitSparesWaitingDeliveries(t *testing.T) {
	m, e := newModel(), &endpoint{answers: []Result{{Verdict: Retry, Status: "connection refused"}}}
	o := m.options(t, config(t, oneRoute), e.channel("desk"))
	o.Pause = func(_ context.Context, ch string, until time.Time) error {
		m.paused[ch] = until
		return nil
	}
	n, err := New(o)
	must(t, err)
	ds := planned(t, m, n, items(8)...)
	for i := range 5 {
		must(t, n.HandleDelivery(t.Context(), ds[i]))
	}
	s := n.Channels()[0]
	if !s.Open || s.Failures != 5 || s.LastError != "connection refused" || !s.Since.Equal(m.now) {
		t.Fatalf("status %+v", s)
	}
	for i := 5; i < 8; i++ {
		later(t, n.HandleDelivery(t.Context(), ds[i]))
		if _, ok := m.sent[sentKey(&ds[i])]; ok {
			t.Error("a waiting delivery used up an attempt")
		}
	}
	if e.calls != 5 || !m.paused["desk"].Equal(s.NextProbe) {
		t.Errorf("%d attempts, paused until %s, probe at %s", e.calls, m.paused["desk"], s.NextProbe)
	}
	m.pass(s.NextProbe.Sub(m.now))
	must(t, n.HandleDelivery(t.Context(), ds[5])) // the probe fails
	later(t, n.HandleDelivery(t.Context(), ds[6]))
	if e.calls != 6 {
		t.Errorf("%d attempts after a failed probe", e.calls)
	}
	e.answers = []Result{{Verdict: Delivered}}
	m.pass(maxProbe)
	must(t, n.HandleDelivery(t.Context(), ds[6]))
	must(t, n.HandleDelivery(t.Context(), ds[7]))
	if s := n.Channels()[0]; s.Open || s.Failures != 0 || s.LastError != "" {
		t.Errorf("after a success: %+v", s)
	}
	m.run(t, n)
	if len(e.got) != 8 {
		t.Errorf("%d of 8 delivered", len(e.got))
	}
	balanced(t, m, n)
}

func TestOneProbeAtATime(t *testing.T) {
	g := newGate(&Channel{ID: "x"})
	now := time.Now()
	for range openAfter {
		p, _ := g.enter(now)
		g.leave(p, Result{Verdict: Retry}, now)
	}
	now = now.Add(time.Hour)
	p, _ := g.enter(now)
	if p != probe {
		t.Fatalf("pass %d", p)
	}
	if q, wait := g.enter(now); q != refused || wait <= 0 {
		t.Errorf("a second probe was let through")
	}
	g.cancel(p)
	if p, _ = g.enter(now); p != probe {
		t.Error("a cancelled probe blocks the channel")
	}
	last := time.Duration(0)
	for range 20 {
		g.leave(p, Result{Verdict: Retry}, now)
		wait := g.status().NextProbe.Sub(now)
		if wait < last || wait > maxProbe {
			t.Errorf("next probe in %s after %s", wait, last)
		}
		last = wait
		now = now.Add(wait)
		p, _ = g.enter(now)
	}
}

func TestAnswersAboutOneMessageDoNotOpenTheCircuit(t *testing.T) {
	for _, r := range []Result{{Verdict: Refused}, {Verdict: Permanent}, {Verdict: Retry, Alive: true}} {
		g := newGate(&Channel{ID: "x"})
		for range 20 {
			p, _ := g.enter(time.Now())
			g.leave(p, r, time.Now())
		}
		if g.status().Open {
			t.Errorf("%+v opened the circuit", r)
		}
	}
}

func TestAGoneEndpointTakesItsDeliveriesWithIt(t *testing.T) {
	m, e := newModel(), &endpoint{answers: []Result{{Verdict: Gone, Status: "410 Gone"}, {Verdict: Delivered}}}
	n := m.start(t, config(t, oneRoute), e.channel("desk"))
	planned(t, m, n, items(3)...)
	m.run(t, n)
	if len(m.dead) != 3 || e.calls != 1 || !n.Channels()[0].Gone {
		t.Fatalf("%d dead, %d attempts, %+v", len(m.dead), e.calls, n.Channels()[0])
	}
	for _, d := range m.dead {
		if d.Reason != deadGone {
			t.Errorf("reason %s", d.Reason)
		}
		must(t, n.RetryDead(t.Context(), d))
	}
	m.run(t, n)
	if len(e.got) != 3 {
		t.Errorf("%d of 3 delivered after the operator asked again", len(e.got))
	}
	balanced(t, m, n)
}

func TestAMisconfiguredChannelWaitsSlowly(t *testing.T) {
	m, e := newModel(), &endpoint{answers: []Result{{Verdict: Misconfigured, Status: "535"}}}
	n := m.start(t, config(t, oneRoute), e.channel("desk"))
	ds := planned(t, m, n, "i1")
	must(t, n.HandleDelivery(t.Context(), ds[0]))
	if wait := m.retry[sentKey(&ds[0])].at.Sub(m.now); wait < slowDelay {
		t.Errorf("next attempt in %s", wait)
	}
	if len(m.dead) != 0 {
		t.Error("dead at once")
	}
	m.run(t, n)
	if len(m.dead) != 1 {
		t.Errorf("%d dead at the end of the schedule", len(m.dead))
	}
}

func TestOldDeliveriesDieVisibly(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := m.start(t, config(t, oneRoute), e.channel("desk"))
	ds := planned(t, m, n, "i1")
	m.pass(100 * time.Hour)
	must(t, n.HandleDelivery(t.Context(), ds[0]))
	if len(m.dead) != 1 || m.dead[0].Reason != deadExpired || e.calls != 0 {
		t.Errorf("dead %+v, %d attempts", m.dead, e.calls)
	}
	ds[0].Channel, ds[0].ID = "removed", "other"
	must(t, n.HandleDelivery(t.Context(), ds[0]))
	if len(m.dead) != 2 || m.dead[1].Reason != deadNoChannel {
		t.Errorf("dead %+v", m.dead)
	}
}

// TestTheGuardStopsASecondSender: what another sender holds is left to it until AckWait is over, and then sent as ambiguous.
func TestTheGuardStopsASecondSender(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := m.start(t, config(t, oneRoute), e.channel("desk"))
	ds := planned(t, m, n, "i1")
	b, _ := json.Marshal(sentState{SentRecord: news.SentRecord{State: news.SentSending, Attempt: 1, At: m.now}})
	m.sent[sentKey(&ds[0])] = cell{b, 7}
	m.pass(10 * time.Second)
	if wait := later(t, n.HandleDelivery(t.Context(), ds[0])); wait != 20*time.Second || e.calls != 0 {
		t.Errorf("waits %s, %d attempts", wait, e.calls)
	}
	m.pass(20 * time.Second)
	must(t, n.HandleDelivery(t.Context(), ds[0]))
	a := m.events(news.EventAttempt)
	if e.calls != 1 || len(a) != 1 || !a[0].Ambiguous || a[0].Attempt != 1 {
		t.Errorf("%d attempts, ledger %+v", e.calls, a)
	}
	if d := m.events(news.EventDelivered); len(d) != 1 || d[0].Attempt != 2 {
		t.Errorf("delivered %+v", d)
	}
	must(t, n.HandleDelivery(t.Context(), ds[0]))
	if e.calls != 1 || len(m.events(news.EventDelivered)) != 1 {
		t.Error("a delivered message was sent again")
	}
}

// TestWhatADeadProcessHeldGoesOnAtOnce: where no other process can send, nothing is left of a process that has ended.
func TestWhatADeadProcessHeldGoesOnAtOnce(t *testing.T) {
	for _, state := range []string{news.SentSending, news.SentFolded} {
		for _, before := range []bool{true, false} {
			m, e := newModel(), &endpoint{}
			m.alone = true
			n := m.start(t, config(t, oneRoute), e.channel("desk"))
			d := planned(t, m, n, "i1")[0]
			hold := func() { m.guard(t, &d, sentState{SentRecord: news.SentRecord{State: state, Attempt: 1, At: m.now}}) }
			if before {
				hold()
			}
			m.pass(time.Second)
			n = m.start(t, config(t, oneRoute), e.channel("desk"))
			if !before {
				hold()
				later(t, n.HandleDelivery(t.Context(), d))
				continue
			}
			must(t, n.HandleDelivery(t.Context(), d))
			if ambiguous := m.events(news.EventAttempt); e.calls != 1 || (len(ambiguous) == 1) != (state == news.SentSending) {
				t.Errorf("%s: %d attempts, ledger %s", state, e.calls, m.story())
			}
			balanced(t, m, n)
		}
	}
}

func TestALostCompareAndSetIsNeverAcknowledged(t *testing.T) {
	for _, r := range []Result{{Verdict: Delivered}, {Verdict: Retry, Status: "busy"}, {Verdict: Permanent, Status: "550"}} {
		t.Run(r.Verdict.String(), func(t *testing.T) {
			m, e := newModel(), &endpoint{answers: []Result{r}}
			n := m.start(t, config(t, oneRoute), e.channel("desk"))
			ds := planned(t, m, n, "i1")
			key := sentKey(&ds[0])
			e.hook = func() { // another sender takes over while this one is sending
				b, _ := json.Marshal(sentState{SentRecord: news.SentRecord{State: news.SentSending, Attempt: 2, At: m.now}})
				m.sent[key] = cell{b, m.sent[key].rev + 1}
			}
			err := n.HandleDelivery(t.Context(), ds[0])
			if r.Verdict == Delivered {
				must(t, err)
				if stateOf(m.sent[key].data) != news.SentDone || len(m.events(news.EventDelivered)) != 1 {
					t.Error("a delivery that was made is not recorded")
				}
				return
			}
			later(t, err)
			if len(m.dead) != 0 || len(m.retry) != 0 {
				t.Error("acted on a delivery that another sender holds")
			}
		})
	}
	m, e := newModel(), &endpoint{}
	o := m.options(t, config(t, oneRoute), e.channel("desk"))
	o.SaveSent = func(context.Context, string, []byte, uint64) (uint64, error) { return 0, news.ErrConflict }
	n, err := New(o)
	must(t, err)
	ds := planned(t, m, n, "i1")
	later(t, n.HandleDelivery(t.Context(), ds[0]))
	if e.calls != 0 {
		t.Error("sent without the guard")
	}
}

// TestTheEndOfTheProgramIsNotAnAttempt: what was cut off before it left is as if it had not been tried; what may have left is recorded.
func TestTheEndOfTheProgramIsNotAnAttempt(t *testing.T) {
	for _, ambiguous := range []bool{false, true} {
		m, e := newModel(), &endpoint{answers: []Result{{Verdict: Retry, Status: "cancelled", Ambiguous: ambiguous}, {Verdict: Delivered}}}
		n := m.start(t, config(t, oneRoute), e.channel("desk"))
		ds := planned(t, m, n, "i1")
		ctx, stop := context.WithCancel(t.Context())
		e.hook = stop
		err := n.HandleDelivery(ctx, ds[0])
		var st sentState
		must(t, json.Unmarshal(m.sent[sentKey(&ds[0])].data, &st))
		if ambiguous {
			must(t, err)
			if st.State != news.SentWaiting || st.Attempt != 1 || !m.events(news.EventAttempt)[0].Ambiguous {
				t.Errorf("record %+v", st)
			}
			continue
		}
		later(t, err)
		if st.State != news.SentWaiting || st.Attempt != 0 {
			t.Errorf("record %+v", st)
		}
		e.hook = nil
		must(t, n.HandleDelivery(t.Context(), ds[0]))
		if d := m.events(news.EventDelivered); len(d) != 1 || d[0].Attempt != 1 {
			t.Errorf("delivered %+v", d)
		}
	}
}

func TestAPanickingChannelIsARetry(t *testing.T) {
	m, e := newModel(), &endpoint{}
	ch := e.channel("desk")
	send, calls := ch.Send, 0
	ch.Send = func(ctx context.Context, d *news.Delivery) Result {
		if calls++; calls == 1 {
			panic("nil pointer")
		}
		return send(ctx, d)
	}
	n := m.start(t, config(t, oneRoute), ch)
	planned(t, m, n, "i1")
	m.run(t, n)
	if len(e.got) != 1 || !m.events(news.EventAttempt)[0].Ambiguous {
		t.Errorf("received %d, ledger %s", len(e.got), m.story())
	}
}

// TestAnUpdateDoesNotOvertakeItsFirstInFlight: one delivery in flight for each story and recipient.
func TestAnUpdateDoesNotOvertakeItsFirstInFlight(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := m.start(t, config(t, noPause), e.channel("desk"))
	throughAlerts(t, m, n, match("i1"), match("i1", edited("r2", withEntity("ttp"))), match("i2"))
	var first, second, other news.Delivery
	for _, d := range m.due {
		switch {
		case d.Story == "i2":
			other = d
		case d.Alerts[0].Revision == 1:
			first = d
		default:
			second = d
		}
	}
	var same, unrelated error
	e.hook = func() {
		e.hook = nil
		e.mu.Unlock()
		same = n.HandleDelivery(t.Context(), second)
		unrelated = n.HandleDelivery(t.Context(), other)
		e.mu.Lock()
	}
	must(t, n.HandleDelivery(t.Context(), first))
	later(t, same)
	must(t, unrelated)
}

func TestDeadLettersComeBack(t *testing.T) {
	m, e := newModel(), &endpoint{answers: []Result{{Verdict: Permanent, Status: "550 5.1.1"}}}
	n := m.start(t, config(t, oneRoute), e.channel("desk"))
	ds := planned(t, m, n, "i1")
	m.run(t, n)
	first := m.dead[0]
	if first.Summary == "" || first.Error != "550 5.1.1" || first.Stage != "channel" || first.ID != ds[0].ID || first.Attempts != 1 {
		t.Fatalf("dead letter %+v", first)
	}
	must(t, n.RetryDead(t.Context(), first))
	must(t, n.RetryDead(t.Context(), first)) // the operator asks twice
	if len(m.due) != 1 || len(m.events(news.EventReplayed)) != 1 {
		t.Fatalf("due %d, replayed %d", len(m.due), len(m.events(news.EventReplayed)))
	}
	m.run(t, n) // dies again, with a letter of its own
	if len(m.dead) != 2 || m.dead[1].Key() == first.Key() || len(m.events(news.EventDead)) != 2 {
		t.Fatalf("%d dead letters, %s", len(m.dead), m.story())
	}
	balanced(t, m, n)
	e.answers = []Result{{Verdict: Delivered, Status: "ok"}}
	must(t, n.RetryDead(t.Context(), m.dead[1]))
	m.pass(48 * time.Hour)
	m.run(t, n)
	if len(e.got) != 1 || e.got[0].ID != ds[0].ID || !slices.Equal(e.got[0].Body, ds[0].Body) {
		t.Errorf("received %+v", e.got)
	}
	if l := m.events(news.EventDelivered); len(l) != 1 || l[0].Reason != news.SendReplay {
		t.Errorf("ledger %+v", l)
	}
	balanced(t, m, n)
	if err := n.RetryDead(t.Context(), first); !errors.Is(err, ErrDelivered) {
		t.Errorf("a delivered letter: %v", err)
	}
}

// TestEachDeathIsALetterOfItsOwn: the bus drops what has the same key, so no two deaths and no two replays may share one, even when no attempt
// lies between them or an old copy of the message comes late.
func TestEachDeathIsALetterOfItsOwn(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := m.start(t, config(t, oneRoute), e.channel("desk"))
	ds := planned(t, m, n, "i1")
	for i := range 3 {
		m.pass(120 * time.Hour)
		must(t, n.HandleDelivery(t.Context(), ds[0]))
		if len(m.dead) != i+1 || len(m.events(news.EventDead)) != i+1 || len(m.events(news.EventReplayed)) != i {
			t.Fatalf("death %d: %d letters, %s", i+1, len(m.dead), m.story())
		}
		must(t, n.RetryDead(t.Context(), m.dead[i]))
	}
	balanced(t, m, n)
}

func TestRetryDeadRefusesWhatItCannotSend(t *testing.T) {
	m, e := newModel(), &endpoint{}
	n := m.start(t, config(t, oneRoute), e.channel("desk"))
	ds := planned(t, m, n, "i1")
	payload := func(change func(*news.Delivery)) []byte {
		d := ds[0]
		change(&d)
		b, err := news.Encode(d)
		must(t, err)
		return b
	}
	for name, dl := range map[string]news.DeadLetter{
		"another stage":   {Stage: "matcher", Payload: payload(func(*news.Delivery) {})},
		"not a delivery":  {Stage: "channel", Payload: []byte("{")},
		"unknown channel": {Stage: "channel", Payload: payload(func(d *news.Delivery) { d.Channel = "x" })},
		"no bytes":        {Stage: "channel", Payload: payload(func(d *news.Delivery) { d.Body = nil })},
	} {
		if err := n.RetryDead(t.Context(), dl); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	must(t, n.HandleDelivery(t.Context(), ds[0]))
	if len(m.events(news.EventReplayed)) != 0 {
		t.Error("a refused retry stands in the ledger")
	}
}

func TestARefusedMessageGoesOnceMoreInShort(t *testing.T) {
	m, e := newModel(), &endpoint{answers: []Result{{Verdict: Refused, Status: "413"}, {Verdict: Retry, Status: "busy"}, {Verdict: Delivered}}}
	n := m.start(t, config(t, oneRoute), e.channel("desk"))
	ds := planned(t, m, n, "i1")
	m.run(t, n)
	if len(e.got) != 1 || e.got[0].ID != ds[0].ID || !strings.HasPrefix(string(e.got[0].Body), "short") {
		t.Errorf("received %+v", e.got)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	m := newModel()
	good := func() Options { return m.options(t, config(t, oneRoute), (&endpoint{}).channel("desk")) }
	for name, change := range map[string]func(*Options){
		"no publisher":     func(o *Options) { o.PublishDead = nil },
		"channel twice":    func(o *Options) { o.Channels = append(o.Channels, o.Channels[0]) },
		"no recipients":    func(o *Options) { o.Channels[0].Recipients = nil },
		"unknown channel":  func(o *Options) { o.Channels[0].ID = "other" },
		"endless schedule": func(o *Options) { o.Channels[0].Schedule = []time.Duration{0, 29 * 24 * time.Hour} },
	} {
		o := good()
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
