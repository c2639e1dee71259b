package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tocsin/bus"
)

const backupPath = "/api/v1/backup"

func backupCommand(s std) *cobra.Command {
	var f clusterFlags
	var server string
	var check bool
	c := &cobra.Command{
		Use: "backup FILE", Short: "Write all streams and buckets into one file, while everything goes on",
		Long: `Write all streams and buckets into one file, while everything goes on. With the bus inside the running instance is asked for it, and without one the data
directory is read; on a cluster it needs the key of the admin user. The file holds what was read, sent and decided, mail addresses that left a list
included, but no secret of the configuration: keep tocsin.yaml, its secrets, watchlists and feed lists yourself.`,
		Example: "  tocsin backup tocsin-2026-11-25.tar --config tocsin.yaml\n  tocsin backup --check tocsin-2026-11-25.tar\n" +
			"  tocsin backup tocsin.tar --config tocsin.yaml --nkey-file keys/admin.nk      (a cluster)",
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if check {
				return checkBackup(s, args[0])
			}
			return writeBackup(c.Context(), s, &f, server, args[0])
		},
	}
	f.flags(c, bus.UserAdmin)
	c.Flags().StringVar(&server, "server", os.Getenv("TOCSIN_SERVER"), "address of the running instance with the bus inside, instead of http.listen of the file")
	c.Flags().BoolVar(&check, "check", false, "read FILE and tell whether it is complete")
	return c
}

func restoreCommand(s std) *cobra.Command {
	var f clusterFlags
	c := &cobra.Command{
		Use: "restore FILE", Short: "Put a backup into an empty store",
		Long: `Put a backup into an empty store: an empty data_dir, or a cluster that has no streams of Tocsin, with the key of the admin user. Nothing that is there is replaced.
Stop every process first. What was under way when the backup was made is done again, under the same ids. What came after it is read from the feeds
again, as far as they still hold it, and told again, under the same ids.`,
		Example: "  tocsin restore tocsin-2026-11-25.tar --config tocsin.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o, err := f.options(s, true)
			if err != nil {
				return err
			}
			if err := checkBackup(s, args[0]); err != nil {
				return err
			}
			file, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer file.Close()
			if err := bus.Restore(c.Context(), o, file); err != nil {
				return fmt.Errorf("restore %s:\n%w", args[0], err)
			}
			fmt.Fprintln(s.out, "restored")
			if o.URL != "" {
				fmt.Fprintln(s.out, "now start every nats-server again, one after the other: only then it knows the ids of what it has restored")
			}
			return nil
		},
	}
	f.flags(c, bus.UserAdmin)
	return c
}

// writeBackup writes beside the file first, so that FILE is whole or not there.
func writeBackup(ctx context.Context, s std, f *clusterFlags, server, path string) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".backup-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tmp.Close(), os.Remove(tmp.Name()))
		}
	}()
	if err = fillBackup(ctx, s, f, server, tmp); err != nil {
		return err
	}
	if _, err = tmp.Seek(0, io.SeekStart); err != nil {
		return err
	}
	rows, err := bus.CheckBackup(tmp)
	if err != nil {
		return err
	}
	if err = tmp.Sync(); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	writeBackupRows(s, rows)
	return tmp.Close()
}

// fillBackup asks whoever holds the store: the cluster, the running instance, or this process when nobody does.
func fillBackup(ctx context.Context, s std, f *clusterFlags, server string, w io.Writer) error {
	if server != "" {
		return askBackup(ctx, server, w)
	}
	o, err := f.options(s, true)
	if err != nil {
		return err
	}
	b, err := bus.Open(ctx, o)
	if errors.Is(err, bus.ErrLocked) {
		return askBackup(ctx, f.listen, w)
	}
	if err != nil {
		return fmt.Errorf("open the bus:\n%w", err)
	}
	_, err = b.Backup(ctx, w)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return errors.Join(err, b.Close(end))
}

func askBackup(ctx context.Context, server string, w io.Writer) error {
	c, err := newClient(server)
	if err != nil {
		return err
	}
	resp, err := c.do(ctx, http.MethodPost, backupPath, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(w, resp.Body)
	return err
}

func checkBackup(s std, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return usage(err)
	}
	defer file.Close()
	rows, err := bus.CheckBackup(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	writeBackupRows(s, rows)
	return nil
}

func writeBackupRows(s std, rows []bus.BackupRow) {
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "stream\tmessages\tMB\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%d\t%.1f\t\n", r.Stream, r.Messages, float64(r.Bytes)/(1<<20))
	}
	_ = w.Flush() // the output went away
}

// serveBackup streams a backup of the bus inside. One that breaks off lacks its end, which its reader notices.
func (in *instance) serveBackup(w http.ResponseWriter, r *http.Request) {
	if in.clustered() {
		http.Error(w, "the bus is a cluster: run tocsin backup with --nkey-file and the key of the admin user", http.StatusConflict)
		return
	}
	w.Header().Set("Content-Type", "application/x-tar")
	began := time.Now()
	if _, err := in.bus.Backup(r.Context(), w); err != nil {
		in.log.Error("backup broke off", "component", "bus", "err", err)
		return
	}
	in.log.Info("backup written", "component", "bus", "dur", time.Since(began).Round(time.Millisecond))
}

// reachable is an address of this machine for a listener: one that takes all addresses is reached on loopback.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}
