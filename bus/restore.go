package bus

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

// CheckBackup reads a whole backup and tells whether it is complete.
func CheckBackup(r io.Reader) ([]BackupRow, error) {
	var rows []BackupRow
	err := readBackup(r, func(name string, s *backupStream, piece []byte) error {
		if s != nil {
			var state jetstream.StreamState
			if err := json.Unmarshal(s.State, &state); err != nil {
				return err
			}
			rows = append(rows, BackupRow{Stream: name, Messages: state.Msgs})
			return nil
		}
		rows[len(rows)-1].Bytes += int64(len(piece))
		return nil
	})
	return rows, err
}

// readBackup calls f for each stream with its description, and then with each piece of its snapshot.
func readBackup(r io.Reader, f func(name string, s *backupStream, piece []byte) error) error {
	in, entries, open := tar.NewReader(r), 0, ""
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return errors.New("the backup is cut: its end is missing")
		}
		if err != nil {
			return fmt.Errorf("the backup cannot be read: %w", err)
		}
		if h.Size > 2*backupPiece {
			return fmt.Errorf("the backup cannot be read: %s has %d bytes", h.Name, h.Size)
		}
		data, err := io.ReadAll(in)
		if err != nil {
			return fmt.Errorf("the backup is cut in %s: %w", h.Name, err)
		}
		name, rest := streamOf(h.Name)
		switch {
		case h.Name == "end.json":
			var end backupEnd
			if err := json.Unmarshal(data, &end); err != nil || end.Entries != entries {
				return fmt.Errorf("the backup lacks something: it has %d entries, and says %s", entries, data)
			}
			return nil
		case entries == 0:
			var about backupAbout
			if err := json.Unmarshal(data, &about); err != nil || h.Name != "about.json" || about.Format != backupFormat {
				return errors.New("this is no backup that this version can read")
			}
		case rest == "stream.json":
			open = name
			s := &backupStream{}
			if err := json.Unmarshal(data, s); err != nil {
				return fmt.Errorf("the backup cannot be read: %s: %w", h.Name, err)
			}
			if err := f(name, s, nil); err != nil {
				return err
			}
		case name != open:
			return fmt.Errorf("the backup is in disorder at %s", h.Name)
		default:
			if err := f(name, nil, data); err != nil {
				return err
			}
		}
		entries++
	}
}

// Restore puts a backup into an empty store: the data directory of an embedded bus, or an external server without the streams of the table, with an
// administrator's key. r must have passed CheckBackup. What was under way when the backup was made is handed out again, under the same ids. Errors
// as those of Open.
func Restore(ctx context.Context, o Options, r io.Reader) error {
	o.restore = true
	b, err := Open(ctx, o)
	if err != nil {
		return err
	}
	err = b.restore(ctx, r)
	return errors.Join(err, b.Close(ctx))
}

// empty refuses a server that holds any stream of the table.
func (b *Bus) empty(ctx context.Context) (faults Faults) {
	for _, want := range b.layout.streams() {
		_, err := withBudget(ctx, func(ctx context.Context) (jetstream.Stream, error) { return b.js.Stream(ctx, want.Name) })
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
		case err != nil:
			faults.add("stream "+want.Name, lookupFact(err), "use the key of the user "+UserAdmin)
		default:
			faults.add("stream "+want.Name, "it is there already, and a restore replaces nothing", "restore into an empty data_dir or an empty account")
		}
	}
	return faults
}

func (b *Bus) restore(ctx context.Context, r io.Reader) error {
	to, last := "", ""
	finish := func() error {
		if to == "" {
			return nil
		}
		err := b.restorePiece(ctx, to, nil)
		to = ""
		return err
	}
	err := readBackup(r, func(name string, s *backupStream, piece []byte) (err error) {
		if s != nil {
			if err = finish(); err == nil {
				to, err = b.beginRestore(ctx, name, s)
			}
		} else {
			err = b.restorePiece(ctx, to, piece)
		}
		if last = name; err != nil {
			return fmt.Errorf("restore stream %s: %w", name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := finish(); err != nil {
		return fmt.Errorf("restore stream %s: %w", last, err)
	}
	if err := b.resumeRestored(ctx); err != nil {
		return err
	}
	return b.setup(ctx) // the backup may be of an older version, or of a bus inside
}

// beginRestore announces a stream and gives the subject that takes its pieces. Its configuration is that of the table for this server.
func (b *Bus) beginRestore(ctx context.Context, name string, s *backupStream) (to string, err error) {
	table := b.layout.streams()
	i := slices.IndexFunc(table, func(c jetstream.StreamConfig) bool { return c.Name == name })
	if i < 0 {
		return "", errors.New("this version knows no stream of that name")
	}
	var answer struct {
		To    string              `json:"deliver_subject"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := b.request(ctx, "$JS.API.STREAM.RESTORE."+name, map[string]any{"config": table[i], "state": s.State}, &answer); err != nil {
		return "", err
	}
	if answer.Error != nil {
		return "", answer.Error
	}
	return answer.To, nil
}

// restorePiece sends one piece; nil is the end, which the server answers when the stream stands.
func (b *Bus) restorePiece(ctx context.Context, to string, piece []byte) error {
	ctx, cancel := context.WithTimeout(ctx, setupBudget)
	defer cancel()
	m, err := b.link.nc.RequestWithContext(ctx, to, piece)
	if err != nil {
		return err
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if len(m.Data) == 0 {
		return nil
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return err
	}
	if answer.Error != nil {
		return answer.Error
	}
	return nil
}

// resumeRestored hands out again what may have been under way, as after a crash.
func (b *Bus) resumeRestored(ctx context.Context) error {
	var faults Faults
	for _, spec := range b.layout.consumers() {
		err := patiently(ctx, func(ctx context.Context) error { return b.resume(ctx, spec) })
		if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			faults.add("consumer "+spec.stream+"/"+spec.name, "it cannot be set back after the restore: "+cause(err), "start again with an empty store")
		}
	}
	return faults.err()
}
