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
	cfg, faults := loadConfigFor(file, r)
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
	log.Info("status page", "url", in.address())
	return in.run(ctx)
}

type checkFlags struct {
	file, lists string
	roles       []string
	verbose     bool
	history     historyFlags
}

func checkCommand(s std) *cobra.Command {
	var f checkFlags
	c := &cobra.Command{
		Use:   "check",
		Short: "Read the configuration, watchlists and feed lists; run every list's own sentences",
		Long: `Read everything that ` + "`tocsin run`" + ` would read, and start nothing. Every fault comes with its place, the fact and the next step.

With --history the watchlists are tried on stored items, those of the running instance or of files: which entities, rules and aliases never fired,
and which fire too often.`,
		Example: "  tocsin check --config tocsin.yaml\n  tocsin check --watchlists ./watchlists\n  tocsin check --watchlists ./watchlists --history --since 30d",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f.history.source.sinceSet = c.Flags().Changed("since")
			return check(c.Context(), s, &f)
		},
	}
	c.Flags().StringVar(&f.file, "config", "", "the operator's file, tocsin.yaml")
	c.Flags().StringSliceVar(&f.roles, "roles", nil, "parts that run on this machine (default all): only the notifier needs the secrets of channels")
	c.Flags().StringVar(&f.lists, "watchlists", "", "check this folder of watchlists instead of the configured one")
	c.Flags().BoolVar(&f.verbose, "verbose", false, "list unattested aliases, and with --history every alias that never counted")
	c.Flags().BoolVar(&f.history.on, "history", false, "try the watchlists on stored items too")
	c.Flags().Float64Var(&f.history.often, "often", 20, "alerts a day from which --history calls an entity or rule too often")
	f.history.source.flags(c)
	return c
}

func check(ctx context.Context, s std, f *checkFlags) error {
	r, err := parseRoles(f.roles)
	if err != nil {
		return usage(err)
	}
	cfg, faults := loadConfigFor(f.file, r)
	l := lists{name: f.lists}
	if l.name == "" {
		l.name = cfg.watchlistsDir()
	}
	set, setFaults := loadSet(l.name)
	x, warnings, err := compileSet(set, setFaults)
	faults = append(faults, warnings...)
	var rest string
	if f.file != "" || f.lists == "" { // a folder of watchlists alone says nothing about feeds
		feeds, feedFaults := loadFeeds(&cfg)
		faults = append(faults, feedFaults...)
		rest = fmt.Sprintf(", %d feeds, %d channels", len(feeds), len(cfg.Channels))
	}
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
	l.set, l.index = set, x
	l.writeUnattested(s, f.verbose)
	fmt.Fprintf(s.out, "ok: %s%s\n", x.Summary(), rest)
	if f.history.on {
		return checkHistory(ctx, s, &f.history, l, f.verbose)
	}
	return nil
}

// writeUnattested tells how many aliases wait for a reader of their language, and with verbose which.
func (l *lists) writeUnattested(s std, verbose bool) {
	aliases, of := unattested(l.set)
	if verbose {
		for i, a := range aliases {
			fmt.Fprintf(s.out, "%s: %s alias %q of %q is unattested: a reader of the language should confirm it\n", place(a.Pos), a.Lang, a.Text, of[i].ID.Value)
		}
	}
	if n := len(aliases); n > 0 && !verbose {
		fmt.Fprintf(s.out, "unattested aliases: %d; --verbose lists them\n", n)
	}
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
