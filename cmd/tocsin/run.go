package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"tocsin/news/strict"
)

func runCommand(s std) *cobra.Command {
	var file string
	var names []string
	c := &cobra.Command{
		Use:   "run",
		Short: "Watch the feeds and raise the alarm, until interrupted",
		Long: `Watch the feeds and raise the alarm, until interrupted (SIGINT or SIGTERM: an ordered stop, at most 25 s).
Edited watchlists and feed lists go live by themselves; SIGHUP and ` + "`tocsin reload`" + ` have them read at once.

Without --config the shipped feeds and watchlists are used, alerts appear in the terminal, and state is kept in ./tocsin-data.`,
		Example: "  tocsin run\n  tocsin run --config tocsin.yaml\n  tocsin run --config tocsin.yaml --roles fetcher,matcher",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := parseRoles(names)
			if err != nil {
				return usage(err)
			}
			return runConfig(c.Context(), s, file, r)
		},
	}
	c.Flags().StringVar(&file, "config", "", "the operator's file, tocsin.yaml")
	c.Flags().StringSliceVar(&names, "roles", nil, "parts to run here: fetcher,matcher,notifier (default all)")
	_ = c.RegisterFlagCompletionFunc("roles", cobra.FixedCompletions([]string{"fetcher", "matcher", "notifier"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func runConfig(ctx context.Context, s std, file string, r roles) error {
	cfg, faults := loadConfig(file)
	if err := faults.Err(); err != nil {
		return usage(fmt.Errorf("the configuration is refused:\n%w", err))
	}
	if cfg.Bus.URL.Value == "" && r != (roles{true, true, true}) {
		return usage(fmt.Errorf("--roles %s without bus.url: an embedded bus is reached by no other process: set bus.url, or run all roles", r))
	}
	log := newLogger(cfg.Log, s)
	in, err := open(ctx, cfg, r, log, s)
	if err != nil {
		return err
	}
	defer in.listenHangup()()
	log.Info("status page", "url", "http://"+in.listen.Addr().String()+"/")
	return in.run(ctx)
}

func checkCommand(s std) *cobra.Command {
	var file, lists string
	c := &cobra.Command{
		Use:     "check",
		Short:   "Read the configuration, watchlists and feed lists; run every list's own sentences",
		Long:    "Read everything that `tocsin run` would read, and start nothing. Every fault comes with its place, the fact and the next step.",
		Example: "  tocsin check --config tocsin.yaml\n  tocsin check --watchlists ./watchlists",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return check(s, file, lists)
		},
	}
	c.Flags().StringVar(&file, "config", "", "the operator's file, tocsin.yaml")
	c.Flags().StringVar(&lists, "watchlists", "", "check this folder of watchlists instead of the configured one")
	return c
}

func check(s std, file, lists string) error {
	cfg, faults := loadConfig(file)
	if lists == "" {
		lists = cfg.watchlistsDir()
	}
	x, warnings, err := loadIndex(lists)
	feeds, feedFaults := loadFeeds(&cfg)
	faults = append(append(faults, warnings...), feedFaults...)
	errs, warns := faults.Split()
	for _, f := range warns.Sort() {
		fmt.Fprintln(s.out, f.Error())
	}
	for _, f := range errs.Sort() {
		fmt.Fprintln(s.err, f.Error())
	}
	if err != nil {
		fmt.Fprintln(s.err, err)
	}
	if n := len(errs); n > 0 || err != nil {
		n += strings.Count(errText(err), "\n")
		return &exitError{code: exitUsage, silent: true, err: fmt.Errorf("%d faults", n)}
	}
	fmt.Fprintf(s.out, "ok: %s, %d feeds, %d channels\n", x.Summary(), len(feeds), len(cfg.Channels))
	return nil
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error() + "\n"
}

// watchlistsDir is where the configuration's watchlists lie, or shipped.
func (c *config) watchlistsDir() string {
	if v := c.Matcher.Watchlists.Value; v != shipped {
		return c.path(v)
	}
	return shipped
}

func versionCommand(s std) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Version of the program and of what it is built with", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintf(s.out, "tocsin %s %s %s/%s\n", programVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}

// readInput gives the content of a file, or of standard input for "-".
func readInput(s std, name string) ([]byte, error) {
	if name == "-" {
		return readAll(s.in, maxTextInput)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, usage(strict.Fault{Pos: strict.Pos{File: name}, Fact: cause(err).Error(), Next: "name a readable file, or - for standard input"})
	}
	defer f.Close()
	return readAll(f, maxTextInput)
}
