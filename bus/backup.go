package bus

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A backup is a tar file: about.json, then for each stream NAME/stream.json and its snapshot in pieces NAME/000001 and so on, and end.json with the
// number of entries before it. A snapshot is what the server makes of a stream: messages, and where its consumers stand.

const (
	backupFormat  = 1
	backupPiece   = 512 << 10
	backupSilence = 30 * time.Second // a server that sends nothing for so long has given up
)

// backupOrder names the streams in the order in which they are read: who is acknowledged comes before what was stored for that, so that whatever
// lies between two snapshots is worked on again after a restore, under the same ids, and nothing is lost. Streams that are not named come last.
var backupOrder = []string{
	streamFetch, "KV_feedstate", streamItems, streamMatches, streamAlerts, streamOutbox, "KV_sent", streamLedger, streamDead,
}

// backupAbout is the first entry.
type backupAbout struct {
	Format  int       `json:"format"`
	At      time.Time `json:"at"`
	Server  string    `json:"server"`
	Streams []string  `json:"streams"`
}

// backupStream tells of one stream. Both parts are the server's own.
type backupStream struct {
	Config json.RawMessage `json:"config"`
	State  json.RawMessage `json:"state"`
}

// backupEnd is the last entry: a file without it is cut.
type backupEnd struct {
	Entries int `json:"entries"`
}

// BackupRow tells what a backup holds of one stream.
type BackupRow struct {
	Stream   string
	Messages uint64
	Bytes    int64 // in the backup
}

// Backup writes all streams and buckets to w while work goes on. On an external server it needs an administrator's key.
func (b *Bus) Backup(ctx context.Context, w io.Writer) ([]BackupRow, error) {
	ctx, leave, err := b.enter(ctx)
	if err != nil {
		return nil, fmt.Errorf("back up: %w", err)
	}
	defer leave()
	out := &backupWriter{tar: tar.NewWriter(w), at: time.Now()}
	names := b.backupStreams()
	if err := out.object("about.json", backupAbout{backupFormat, out.at.UTC(), b.link.nc.ConnectedServerVersion(), names}); err != nil {
		return nil, fmt.Errorf("back up: %w", err)
	}
	var rows []BackupRow
	for _, name := range names {
		row, err := b.snapshot(ctx, name, out)
		if err != nil {
			return rows, fmt.Errorf("back up stream %s: %w", name, err)
		}
		rows = append(rows, row)
	}
	if err := out.object("end.json", backupEnd{out.entries}); err != nil {
		return rows, fmt.Errorf("back up: %w", err)
	}
	return rows, out.tar.Close()
}

func (b *Bus) backupStreams() []string {
	names := slices.Clone(backupOrder)
	for _, s := range b.layout.streams() {
		if !slices.Contains(names, s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}

type backupWriter struct {
	tar     *tar.Writer
	at      time.Time
	entries int
}

func (w *backupWriter) object(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.file(name, data)
}

func (w *backupWriter) file(name string, data []byte) error {
	if err := w.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(data)), ModTime: w.at}); err != nil {
		return err
	}
	_, err := w.tar.Write(data)
	w.entries++
	return err
}

// snapshot has the server send one stream, and checks every message of it on the way.
func (b *Bus) snapshot(ctx context.Context, name string, out *backupWriter) (row BackupRow, err error) {
	row.Stream = name
	nc := b.link.nc
	inbox := nc.NewRespInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return row, err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := sub.SetPendingLimits(-1, -1); err != nil { // the server sends no more than its window ahead
		return row, err
	}
	ask := map[string]any{"deliver_subject": inbox, "chunk_size": backupPiece, "jsck": true}
	var answer struct {
		backupStream
		Error *jetstream.APIError `json:"error"`
	}
	if err := b.request(ctx, "$JS.API.STREAM.SNAPSHOT."+name, ask, &answer); err != nil {
		return row, err
	}
	if answer.Error != nil {
		return row, answer.Error
	}
	var state jetstream.StreamState
	if err := json.Unmarshal(answer.State, &state); err != nil {
		return row, err
	}
	row.Messages = state.Msgs
	if err := out.object(name+"/stream.json", answer.backupStream); err != nil {
		return row, err
	}
	for n := 1; ; n++ {
		m, err := nextPiece(ctx, sub)
		if err != nil || m == nil {
			return row, err
		}
		row.Bytes += int64(len(m.Data))
		if err := out.file(fmt.Sprintf("%s/%06d", name, n), m.Data); err != nil {
			return row, err
		}
		if m.Reply != "" {
			if err := nc.Publish(m.Reply, nil); err != nil {
				return row, err
			}
		}
	}
}

// nextPiece gives nil at the end.
func nextPiece(ctx context.Context, sub *nats.Subscription) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, backupSilence, errors.New("the server stopped in the middle"))
	defer cancel()
	m, err := sub.NextMsgWithContext(ctx)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, err
	}
	if len(m.Data) > 0 {
		return m, nil
	}
	if status := m.Header.Get("Status"); status != "" && status != "204" {
		return nil, fmt.Errorf("the server ends with %s %s", status, m.Header.Get("Description"))
	}
	return nil, nil
}

// request asks the server's API and reads its answer.
func (b *Bus) request(ctx context.Context, subject string, ask, answer any) error {
	data, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	return patiently(ctx, func(ctx context.Context) error {
		m, err := b.link.nc.RequestWithContext(ctx, subject, data)
		if err != nil {
			if denied := b.link.deniedPublish(subject); denied != "" {
				return fault(b.place(), "this key may not do that: "+denied, "use the key of the user "+UserAdmin, err)
			}
			return err
		}
		return json.Unmarshal(m.Data, answer)
	})
}

// streamOf is the stream that an entry of a backup belongs to.
func streamOf(entry string) (stream, rest string) {
	stream, rest, _ = strings.Cut(entry, "/")
	return stream, rest
}
