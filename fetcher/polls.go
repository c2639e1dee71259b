package fetcher

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"
)

// PollNote is one poll as people see it.
type PollNote struct {
	At      time.Time     `json:"at"`
	Reason  Reason        `json:"reason,omitempty"` // why it brought less than it should, "" when all was well
	Status  int           `json:"status,omitempty"` // HTTP, 0 when no answer came
	Entries int           `json:"entries"`          // in the document; 0 for an unchanged one
	New     int           `json:"new"`              // items published, revisions too
	Took    time.Duration `json:"took"`             // in steps of 10 ms, at most 11 min
}

const (
	maxPolls  = 20
	noteBytes = 13
)

// pollLog is the last maxPolls polls, oldest first. Stored it is 13 bytes a poll, so that a feed's state stays small.
type pollLog []PollNote

func (l *pollLog) add(n PollNote) {
	*l = append(*l, n)
	if more := len(*l) - maxPolls; more > 0 {
		*l = slices.Clone((*l)[more:])
	}
}

// merge takes the polls of another worker in between ours.
func (l *pollLog) merge(other pollLog) {
	all := slices.Clone(*l)
	for _, n := range other {
		same := func(m PollNote) bool { return m.At.Unix() == n.At.Unix() }
		if !slices.ContainsFunc(all, same) {
			all = append(all, n)
		}
	}
	slices.SortStableFunc(all, func(a, b PollNote) int { return a.At.Compare(b.At) })
	*l = all[max(0, len(all)-maxPolls):]
}

// MarshalJSON packs the notes.
func (l pollLog) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, len(l)*noteBytes)
	le := binary.LittleEndian
	small := func(n int) uint16 { return uint16(min(max(n, 0), 1<<16-1)) }
	for _, n := range l {
		b = le.AppendUint32(b, uint32(max(n.At.Unix(), 0)))
		b = append(b, byte(slices.Index(Reasons(), n.Reason)+1))
		b = le.AppendUint16(b, small(n.Status))
		b = le.AppendUint16(b, small(n.Entries))
		b = le.AppendUint16(b, small(n.New))
		b = le.AppendUint16(b, small(int(n.Took/(10*time.Millisecond))))
	}
	return json.Marshal(b)
}

// UnmarshalJSON reads the packed notes. A reason that this program does not know is left out.
func (l *pollLog) UnmarshalJSON(text []byte) error {
	var b []byte
	if err := json.Unmarshal(text, &b); err != nil {
		return err
	}
	le, known := binary.LittleEndian, Reasons()
	*l = nil
	for ; len(b) >= noteBytes; b = b[noteBytes:] {
		n := PollNote{
			At: time.Unix(int64(le.Uint32(b)), 0).UTC(), Status: int(le.Uint16(b[5:])), Entries: int(le.Uint16(b[7:])),
			New: int(le.Uint16(b[9:])), Took: time.Duration(le.Uint16(b[11:])) * 10 * time.Millisecond,
		}
		if i := int(b[4]); i > 0 && i <= len(known) {
			n.Reason = known[i-1]
		}
		l.add(n)
	}
	return nil
}

// note writes the poll into the log of the state.
func (p *poll) note() {
	n := PollNote{At: p.now, Entries: p.entries, New: p.published, Took: p.f.o.Now().Sub(p.now), Status: p.st.Status, Reason: p.partly}
	if p.said != nil {
		n.Reason, n.Status = p.said.Reason, p.said.Status
	}
	p.st.Polls.add(n)
}
