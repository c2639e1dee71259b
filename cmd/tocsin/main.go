// Package main is the command tocsin: it reads the configuration, wires the rooms (bus, fetcher, matcher, notifier) to one another and gives
// them to people as subcommands, an HTTP status page and metrics. It promises an ordered start and stop, exit codes that scripts can trust, and
// errors that name the place, the fact and the next step. What happens inside a room is left to that room's package.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // zones of digests and quiet hours: a minimal image has none

	"github.com/spf13/cobra"
)

// Exit codes, documented in `tocsin --help`.
const (
	exitOK     = 0
	exitFailed = 1 // the work ran and found something wrong, or could not be done
	exitUsage  = 2 // the command line, the configuration or the input is wrong
)

// exitError carries an exit code with an error that was, or was not, shown already.
type exitError struct {
	code   int
	err    error
	silent bool
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// usage marks an error as the caller's: exit code 2.
func usage(err error) error { return &exitError{code: exitUsage, err: err} }

// failed ends with exit code 1 without a further message: the output said it already.
func failed(err error) error { return &exitError{code: exitFailed, err: err, silent: true} }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], std{os.Stdin, os.Stdout, os.Stderr})
	stop()
	os.Exit(code)
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, args []string, io std) int {
	root := rootCommand(io)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var x *exitError
	if !errors.As(err, &x) {
		x = &exitError{code: exitFailed, err: err}
	}
	if !x.silent {
		fmt.Fprintln(io.err, "tocsin:", err)
	}
	return x.code
}

const longHelp = `Tocsin watches news feeds for the names you care about and raises the alarm.

  tocsin demo                          a complete safe world on this machine: feeds, decoys, mail and webhook
  tocsin run                           the shipped feeds and watchlists, alerts in the terminal
  tocsin run --config tocsin.yaml      your own; deploy/tocsin.yaml explains every key
  tocsin check --config tocsin.yaml    read everything, start nothing

Exit status: 0 done; 1 the work found something wrong or could not be done; 2 the command line, configuration or input is wrong.`

func rootCommand(io std) *cobra.Command {
	root := &cobra.Command{
		Use:           "tocsin",
		Short:         "Watch news feeds for the names you care about, and raise the alarm",
		Long:          longHelp,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(io.in)
	root.SetOut(io.out)
	root.SetErr(io.err)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage(fmt.Errorf("%w: see `%s --help`", err, c.CommandPath()))
	})
	root.AddGroup(
		&cobra.Group{ID: "run", Title: "Run:"},
		&cobra.Group{ID: "lists", Title: "Watchlists and feeds:"},
		&cobra.Group{ID: "see", Title: "See what happened (in the running instance):"},
		&cobra.Group{ID: "store", Title: "The store:"},
	)
	grouped := func(id string, cs ...*cobra.Command) {
		for _, c := range cs {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	grouped("see", sendCommand(io), suppressedCommand(io))
	grouped("lists", renderCommand(io))
	grouped("run", runCommand(io), demoCommand(io), checkCommand(io), reloadCommand(io), healthCommand(io))
	grouped("lists", matchCommand(io), explainCommand(io), scoreCommand(io), backtestCommand(io), schemaCommand(io), feedsCommand(io))
	grouped("see", streamCommands(io)...)
	grouped("see", whyCommand(io), deadCommand(io), storiesCommand(io), ledgerCommand(io), silenceCommand(io), routeCommand(io), feedbackCommand(io))
	grouped("store", backupCommand(io), restoreCommand(io), natsCommand(io))
	root.AddCommand(versionCommand(io))
	return root
}
