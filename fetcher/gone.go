package fetcher

import (
	"encoding/binary"
	"slices"
	"time"
)

// Gone is an item whose entry the outlet took back. The item stays: news is not unsaid, and nobody is alerted.
type Gone struct {
	Item string    `json:"item"` // news.Item.ID
	At   time.Time `json:"at"`   // when we saw it
}

const (
	maxGones = 8
	maxLast  = 200
)

// takenBack marks items whose entries the outlet took back: those that the feed names as deleted (RFC 6721), and those that are missing between
// neighbours that both still stand there, in the same order as before. What is missing at an end may just have scrolled away.
func (p *poll) takenBack(res *Result) {
	if res.Ended {
		p.remark("the feed says that it has ended (expired): nothing more will come")
	}
	now := make([]uint32, 0, len(p.order))
	for _, id := range p.order {
		now = append(now, uint32(id>>32))
	}
	var gone []uint32
	if before := unpack(p.st.Last); !p.pushed && !res.Cut && res.Dropped == 0 {
		gone = between(before, now)
	}
	for _, ref := range res.Deleted {
		gone = append(gone, uint32(keyOf(p.feed.ID, ref).short()>>32))
	}
	p.st.Last = pack(now[:min(len(now), maxLast)])
	p.st.markGone(gone, now, p.now)
	p.f.metrics.item("gone", len(gone))
}

// between gives what of before is missing in now between two that are there. It gives nothing where those that are there changed their order.
func between(before, now []uint32) (missing []uint32) {
	at := make(map[uint32]int, len(now))
	for i, id := range now {
		at[id] = i
	}
	last, pending := -1, []uint32(nil)
	for _, id := range before {
		i, there := at[id]
		switch {
		case !there && last >= 0:
			pending = append(pending, id)
		case there && i < last:
			return nil
		case there:
			last, missing, pending = i, append(missing, pending...), nil
		}
	}
	return missing
}

// markGone notes items as gone, and takes the mark from those that came back.
func (s *state) markGone(gone, now []uint32, at time.Time) {
	item := map[uint32]string{}
	for _, e := range s.Seen.whole {
		id := e.item.String()
		if a, ok := s.Seen.alias[e.item.short()]; ok {
			id = a
		}
		item[uint32(e.item.short()>>32)] = id
	}
	for _, id := range now {
		s.Gones = slices.DeleteFunc(s.Gones, func(g Gone) bool { return g.Item == item[id] })
	}
	for _, id := range gone {
		same := func(g Gone) bool { return g.Item == item[id] }
		if item[id] == "" || slices.ContainsFunc(s.Gones, same) {
			continue
		}
		s.Gones = append(s.Gones, Gone{item[id], at.UTC().Truncate(time.Second)})
		s.GoneSum++
	}
	if more := len(s.Gones) - maxGones; more > 0 {
		s.Gones = slices.Clone(s.Gones[more:])
	}
}

func pack(ids []uint32) []byte {
	b := make([]byte, 0, 4*len(ids))
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint32(b, id)
	}
	return b
}

func unpack(b []byte) (ids []uint32) {
	for ; len(b) >= 4; b = b[4:] {
		ids = append(ids, binary.LittleEndian.Uint32(b))
	}
	return ids
}
