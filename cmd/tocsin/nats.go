package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tocsin/bus"
	"tocsin/notifier/email"
)

func natsCommand(s std) *cobra.Command {
	c := &cobra.Command{
		Use: "nats", Short: "Prepare and look at the NATS cluster that carries the bus",
		Long: `Prepare and look at the NATS cluster that carries the bus. A process with the bus inside needs none of this.

  tocsin nats keys keys/                          one key for each role, and keys.conf with the public ones
  tocsin nats permissions > keys/accounts.conf    what each key may do, for nats-server's configuration
  tocsin nats setup --config tocsin.yaml --nkey-file keys/admin.nk
  tocsin nats status --config tocsin.yaml --nkey-file keys/status.nk`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(natsKeysCommand(s), natsPermissionsCommand(s), natsSetupCommand(s), natsStatusCommand(s))
	return c
}

func natsKeysCommand(s std) *cobra.Command {
	return &cobra.Command{
		Use: "keys FOLDER", Short: "Make a key for each role that has none yet",
		Long: `Make an nkey for each user of the cluster: its seed in FOLDER/<user>.nk, which only you may read, and all public keys in FOLDER/keys.conf.
Seeds that are there are kept. Give each machine the seed of its own role (bus.nkey_file) and no other; keep admin.nk away from all of them.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			made, err := bus.MakeKeys(args[0])
			for _, path := range made {
				fmt.Fprintln(s.out, "wrote", path)
			}
			return err
		},
	}
}

func natsPermissionsCommand(s std) *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "permissions", Short: "Print the accounts and rights for nats-server's configuration",
		Long: `Print the accounts for nats-server's configuration: one user for each role, with the rights that it needs and no others.
Have the configuration of every server include it. It includes keys.conf itself, which must lie beside it (see tocsin nats keys).
After an update of Tocsin print it again and have the servers read it (nats-server --signal reload) before the new version starts.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if out == "" {
				fmt.Fprint(s.out, bus.Permissions())
				return nil
			}
			if err := os.WriteFile(out, []byte(bus.Permissions()), 0o644); err != nil {
				return err
			}
			fmt.Fprintln(s.out, "wrote", out)
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", "", "write this file instead, such as keys/accounts.conf")
	return c
}

// clusterFlags say which cluster, and who asks it.
type clusterFlags struct {
	file, url, key string
	listen         string // address of the instance of that file
}

func (f *clusterFlags) flags(c *cobra.Command, key string) {
	c.Flags().StringVar(&f.file, "config", "", "the operator's file, tocsin.yaml")
	c.Flags().StringVar(&f.url, "url", "", "the cluster, instead of bus.url of the file")
	c.Flags().StringVar(&f.key, "nkey-file", "", "seed of the "+key+" user, instead of bus.nkey_file of the file")
}

// options reads the file for a command that talks to the bus. Only with embedded that may be the one inside.
func (f *clusterFlags) options(s std, embedded bool) (bus.Options, error) {
	cfg, faults := loadConfig(f.file)
	if err := faults.Err(); err != nil {
		return bus.Options{}, usage(fmt.Errorf("the configuration is refused:\n%w", err))
	}
	if f.url != "" {
		cfg.Bus.URL.Value = f.url
	}
	if cfg.Bus.URL.Value == "" && !embedded {
		return bus.Options{}, usage(errors.New("no cluster is named: set bus.url in the file, or give --url"))
	}
	cfg.Log.Level = max(cfg.Log.Level, slog.LevelWarn) // the output tells the rest
	in := &instance{cfg: cfg, log: newLogger(cfg.Log, s), guard: newGuard(nil)}
	var err error
	if in.channels, err = cfg.buildChannels(outside{in.guard, s, email.People{}}); err != nil {
		return bus.Options{}, usage(err)
	}
	o := in.busOptions()
	o.Registerer, f.listen = nil, "http://"+reachable(cfg.HTTP.Listen.Value)
	if cfg.HTTP.CertFile.Value != "" {
		f.listen = "https://" + reachable(cfg.HTTP.Listen.Value)
	}
	if f.key != "" {
		if o.NKeyFile, err = filepath.Abs(f.key); err != nil {
			return o, err
		}
	}
	return o, nil
}

func natsSetupCommand(s std) *cobra.Command {
	var f clusterFlags
	c := &cobra.Command{
		Use: "setup", Short: "Make the streams, consumers and buckets of the cluster, or bring them up to date",
		Long: `Make the streams, consumers and buckets on the cluster, or change those that differ from what this version needs. It needs the key of the admin user, and the
file of the notifier: each channel has a consumer, and messages of channels that are not in the file become dead letters.
It may be run again at any time; what is as it should be is left alone. Stop no role for it.`,
		Example: "  tocsin nats setup --config tocsin.yaml --nkey-file keys/admin.nk",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := f.options(s, false)
			if err != nil {
				return err
			}
			done, err := bus.Setup(c.Context(), o)
			if err != nil {
				return fmt.Errorf("set up the cluster:\n%w", err)
			}
			for _, what := range done {
				fmt.Fprintln(s.out, what)
			}
			if len(done) == 0 {
				fmt.Fprintln(s.out, "nothing to do: streams, consumers and buckets are as this version needs them")
			}
			return nil
		},
	}
	f.flags(c, bus.UserAdmin)
	return c
}

func natsStatusCommand(s std) *cobra.Command {
	var f clusterFlags
	c := &cobra.Command{
		Use: "status", Short: "What the cluster holds, and whether it is as this version needs it",
		Long: `Compare streams, consumers and buckets with what this version needs, and print what they hold. It changes nothing: the key of the status user is enough.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o, err := f.options(s, false)
			if err != nil {
				return err
			}
			o.Role, o.Setup = bus.RoleStatus, false
			b, err := bus.Open(c.Context(), o)
			if err != nil {
				return fmt.Errorf("the cluster is not as it must be:\n%w", err)
			}
			st, err := b.Status(c.Context())
			if err == nil {
				writeBusStatus(s, &st)
			}
			ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Context()), 5*time.Second)
			defer cancel()
			return errors.Join(err, b.Close(ctx))
		},
	}
	f.flags(c, bus.RoleStatus)
	return c
}

func writeBusStatus(s std, st *bus.Status) {
	sync := "not known: name bus.system_nkey_file"
	if st.SyncKnown {
		sync = fmt.Sprint(st.SyncAlways)
	}
	fmt.Fprintf(s.out, "nats-server %s at %s, %d copies, every write synced: %s\n\n", st.Server, st.URL, st.Replicas, sync)
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "stream\tmessages\tMB\tlast\t")
	for _, x := range st.Streams {
		last := "-"
		if !x.Last.IsZero() {
			last = x.Last.UTC().Format("2006-01-02 15:04:05")
		}
		fmt.Fprintf(w, "%s\t%d\t%.1f\t%s\t\n", x.Name, x.Messages, float64(x.Bytes)/(1<<20), last)
	}
	fmt.Fprintln(w, "\t\t\t\t\nconsumer\twaiting\tunder way\tasking\t")
	for _, x := range st.Consumers {
		fmt.Fprintf(w, "%s/%s\t%d\t%d\t%d\t\n", x.Stream, x.Name, x.Pending, x.AckPending, x.Waiting)
	}
	_ = w.Flush() // the output went away
}
