package notifier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tocsin/news"
)

// silenceBook holds the silences of the file and those made at run time.
type silenceBook struct {
	mu    sync.Mutex
	fixed []Silence
	made  []Silence
	rev   uint64
	read  time.Time
}

// storedSilences is the one value of bucket silences.
type storedSilences struct {
	Schema   int       `json:"schema"`
	Silences []Silence `json:"silences"`
}

const (
	maxSilences   = 500                 // made at run time and not over
	keepSilence   = 30 * 24 * time.Hour // after its end
	silenceAge    = 5 * time.Second     // how old the reading of the bucket may become
	silenceTries  = 5
	previewSpan   = 7 * 24 * time.Hour
	previewAlerts = 1000
)

func newSilenceBook(all []Silence) (*silenceBook, error) {
	b := &silenceBook{}
	for _, s := range all {
		if err := s.Prepare(s.Start); err != nil {
			return nil, fmt.Errorf("silence %s: %w", s.ID, err)
		}
		s.FromFile = true
		b.fixed = append(b.fixed, s)
	}
	return b, nil
}

// list gives every silence, those of the file first.
func (b *silenceBook) list() []Silence {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Concat(b.fixed, b.made)
}

// holds gives the silence that mutes an alert now, nil when none does.
func (b *silenceBook) holds(a *news.Alert, l Labels, now time.Time) *Silence {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, list := range [][]Silence{b.fixed, b.made} {
		for i := range list {
			if s := &list[i]; s.Active(now) && s.Holds(a, l) {
				found := *s
				return &found
			}
		}
	}
	return nil
}

func (b *silenceBook) active(now time.Time) (n int) {
	for _, s := range b.list() {
		if s.Active(now) {
			n++
		}
	}
	return n
}

// Silences gives every silence that is active, to come, or ended within 30 days.
func (n *Notifier) Silences() []Silence { return n.silences.list() }

// refreshSilences reads the bucket when the last reading is old.
func (n *Notifier) refreshSilences(ctx context.Context, age time.Duration) error {
	n.silences.mu.Lock()
	stale := n.o.Now().Sub(n.silences.read) >= age || n.silences.read.IsZero()
	n.silences.mu.Unlock()
	if n.o.LoadSilences == nil || !stale {
		return nil
	}
	made, rev, err := n.readSilences(ctx)
	if err != nil {
		return err
	}
	n.silences.mu.Lock()
	defer n.silences.mu.Unlock()
	if rev >= n.silences.rev {
		n.silences.made, n.silences.rev = made, rev
	}
	n.silences.read = n.o.Now()
	return nil
}

func (n *Notifier) readSilences(ctx context.Context) ([]Silence, uint64, error) {
	data, rev, err := n.o.LoadSilences(ctx)
	if errors.Is(err, news.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read silences: %w", err)
	}
	var st storedSilences
	if err := json.Unmarshal(data, &st); err != nil {
		return nil, 0, fmt.Errorf("read silences: %w", err)
	}
	for i := range st.Silences {
		if err := st.Silences[i].Prepare(st.Silences[i].Start); err != nil {
			return nil, 0, fmt.Errorf("read silence %s: %w", st.Silences[i].ID, err)
		}
	}
	return st.Silences, rev, nil
}

// changeSilences reads the stored silences, changes them, and writes them back unless somebody else was first: then it begins again.
func (n *Notifier) changeSilences(ctx context.Context, change func([]Silence) ([]Silence, error)) error {
	if n.o.SaveSilences == nil || n.o.LoadSilences == nil {
		return errors.New("silences cannot be made at run time here: write them into the file")
	}
	for range silenceTries {
		list, rev, err := n.readSilences(ctx)
		if err != nil {
			return err
		}
		if list, err = change(list); err != nil {
			return err
		}
		now := n.o.Now()
		list = slices.DeleteFunc(list, func(s Silence) bool { return now.Sub(s.End) > keepSilence })
		data, err := json.Marshal(storedSilences{Schema: 1, Silences: list})
		if err != nil {
			return fmt.Errorf("write silences: %w", err)
		}
		_, err = n.o.SaveSilences(ctx, data, rev)
		if errors.Is(err, news.ErrConflict) {
			continue
		}
		if err != nil {
			return fmt.Errorf("write silences: %w", err)
		}
		return n.refreshSilences(ctx, 0)
	}
	return fmt.Errorf("write silences: %w: try again", news.ErrConflict)
}

// AddSilence stores a silence and gives it with its id. The error says everything that is wrong with it.
func (n *Notifier) AddSilence(ctx context.Context, s Silence) (Silence, error) {
	now := n.o.Now()
	s.FromFile, s.Expired = false, time.Time{}
	if err := s.Prepare(now); err != nil {
		return s, err
	}
	if !s.End.After(now) {
		return s, fmt.Errorf("end %s is over already", s.End.Format(time.RFC3339))
	}
	text, err := json.Marshal(s)
	if err != nil {
		return s, fmt.Errorf("write silence: %w", err)
	}
	s.ID = news.DeliveryID(string(text), 0, "silence", s.Start.Format(time.RFC3339Nano), s.Author)[:12]
	err = n.changeSilences(ctx, func(list []Silence) ([]Silence, error) {
		open := 0
		for i := range list {
			if list[i].ID == s.ID {
				return list, nil
			}
			if list[i].End.After(now) {
				open++
			}
		}
		if open >= maxSilences {
			return nil, fmt.Errorf("%d silences are open already: expire some", open)
		}
		return append(list, s), nil
	})
	if err == nil {
		n.o.Log.Info("silence made", "reason", s.About())
	}
	return s, err
}

// ErrNoSilence is returned for the id of a silence that does not exist or is over.
var ErrNoSilence = errors.New("no open silence has this id")

// ExpireSilence ends a silence now.
func (n *Notifier) ExpireSilence(ctx context.Context, id string) error {
	for _, s := range n.Silences() {
		if s.FromFile && s.ID == id {
			return fmt.Errorf("silence %s stands in the file: remove it there", id)
		}
	}
	now := n.o.Now()
	return n.changeSilences(ctx, func(list []Silence) ([]Silence, error) {
		for i := range list {
			if s := &list[i]; s.ID == id && now.Before(s.End) && s.Expired.IsZero() {
				s.Expired = now
				return list, nil
			}
		}
		return nil, fmt.Errorf("%s: %w", id, ErrNoSilence)
	})
}

// PreviewSilence lists the alerts of the last 7 days that the silence would have muted, at most 1,000, and how many it looked at.
func (n *Notifier) PreviewSilence(ctx context.Context, s Silence) (muted []news.Alert, looked int, err error) {
	if err := s.Prepare(n.o.Now()); err != nil {
		return nil, 0, err
	}
	if n.o.Replay == nil {
		return nil, 0, errors.New("alerts cannot be read here")
	}
	err = n.o.Replay(ctx, n.o.Now().Add(-previewSpan), func(a news.Alert) error {
		if a.Kind == news.KindFold || a.Match.Item.Reason == news.ReasonCanary {
			return nil
		}
		looked++
		if s.Holds(&a, LabelsOf(&a)) && len(muted) < previewAlerts {
			muted = append(muted, a)
		}
		return nil
	})
	return muted, looked, err
}
