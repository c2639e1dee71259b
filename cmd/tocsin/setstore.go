package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"tocsin/news"
)

// setStore keeps the accepted watchlists in the bucket watchlists, as one whole: an instance with a folder puts them there, the matchers of a
// cluster follow, and a start whose folder is broken falls back on them. The archive lies in parts, because a list may be larger than one message;
// two slots take turns, so that the set before stays whole until the record "set" names the new one.
type setStore struct {
	get func(ctx context.Context, key string) (value []byte, rev uint64, err error)
	put func(ctx context.Context, key string, value []byte, rev uint64) (uint64, error)
}

const (
	setKey     = "set"
	partSize   = 512 << 10
	maxBefore  = 64
	saveTries  = 8
	fetchTries = 10
)

// storedSet is the record under setKey.
type storedSet struct {
	Revision string    `json:"revision"` // of the set, as it stands in matches
	Slot     string    `json:"slot"`
	Parts    int       `json:"parts"`
	SHA256   string    `json:"sha256"` // of the archive
	At       time.Time `json:"at"`
	Before   []string  `json:"before,omitempty"` // revisions that stood here before, the newest last: a folder that holds one of them is out of date
}

// record reads the record. news.ErrNotFound when nothing was ever accepted.
func (s *setStore) record(ctx context.Context) (storedSet, uint64, error) {
	var r storedSet
	b, rev, err := s.get(ctx, setKey)
	if err != nil {
		return r, 0, err
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, rev, fmt.Errorf("read the record of the stored watchlists: %w", err)
	}
	return r, rev, nil
}

// save makes the archive the stored set, over whatever stands there. Another writer at the same moment makes it begin again.
func (s *setStore) save(ctx context.Context, revision string, archive []byte, now time.Time) error {
	var err error
	for range saveTries {
		if err = s.trySave(ctx, revision, archive, now); !errors.Is(err, news.ErrConflict) {
			return err
		}
	}
	return err
}

func (s *setStore) trySave(ctx context.Context, revision string, archive []byte, now time.Time) error {
	old, rev, err := s.record(ctx)
	if err != nil && !errors.Is(err, news.ErrNotFound) && rev == 0 {
		return err
	}
	if old.Revision == revision {
		return nil
	}
	slot := "a"
	if old.Slot == slot {
		slot = "b"
	}
	sum := sha256.Sum256(archive)
	r := storedSet{Revision: revision, Slot: slot, SHA256: hex.EncodeToString(sum[:]), At: now.UTC(), Before: old.Before}
	if old.Revision != "" {
		r.Before = append(slices.DeleteFunc(slices.Clone(r.Before), func(b string) bool { return b == revision || b == old.Revision }), old.Revision)
		r.Before = r.Before[max(0, len(r.Before)-maxBefore):]
	}
	for part := range slices.Chunk(archive, partSize) {
		if err := s.overwrite(ctx, partKey(slot, r.Parts), part); err != nil {
			return err
		}
		r.Parts++
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = s.put(ctx, setKey, b, rev)
	return err
}

func partKey(slot string, n int) string { return fmt.Sprintf("%s.%d", slot, n) }

func (s *setStore) overwrite(ctx context.Context, key string, value []byte) error {
	_, rev, err := s.get(ctx, key)
	if err != nil && !errors.Is(err, news.ErrNotFound) {
		return err
	}
	_, err = s.put(ctx, key, value, rev)
	return err
}

var errSetIncomplete = errors.New("the stored watchlists are not whole: another instance may be writing them")

// archive gives the newest stored set. A set that is being replaced, or whose parts have not reached the asked server yet, is asked for again.
func (s *setStore) archive(ctx context.Context) (storedSet, []byte, error) {
	for try := 1; ; try++ {
		r, _, err := s.record(ctx)
		if err != nil {
			return r, nil, err
		}
		b, err := s.parts(ctx, r)
		if err == nil || !errors.Is(err, errSetIncomplete) || try == fetchTries {
			return r, b, err
		}
		select {
		case <-ctx.Done():
			return r, nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (s *setStore) parts(ctx context.Context, r storedSet) ([]byte, error) {
	var b bytes.Buffer
	for n := range r.Parts {
		part, _, err := s.get(ctx, partKey(r.Slot, n))
		if errors.Is(err, news.ErrNotFound) {
			return nil, errSetIncomplete
		}
		if err != nil {
			return nil, err
		}
		b.Write(part)
	}
	if sum := sha256.Sum256(b.Bytes()); hex.EncodeToString(sum[:]) != r.SHA256 {
		return nil, errSetIncomplete
	}
	return b.Bytes(), nil
}
