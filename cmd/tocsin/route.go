package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/notifier"
)

func routeCommand(s std) *cobra.Command {
	c := &cobra.Command{
		Use: "route", Short: "Which way an alert would go", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(routeTestCommand(s))
	return c
}

func routeTestCommand(s std) *cobra.Command {
	var config, when string
	c := &cobra.Command{
		Use: "test LABEL=VALUE...", Short: "The routes that take an alert with these labels, their channels, and when it would be sent",
		Example: "  tocsin route test --config tocsin.yaml severity=high watchlist=armed-groups\n  tocsin route test severity=low entity=bla entity=ttp --at 2026-03-29T02:30:00+02:00",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			at := time.Now()
			if when != "" {
				var err error
				if at, err = parseMoment(when); err != nil {
					return usage(err)
				}
			}
			labels, err := parseLabels(args)
			if err != nil {
				return usage(err)
			}
			cfg, faults := loadConfig(config)
			if err := faults.Err(); err != nil {
				return usage(err)
			}
			ways, err := notifier.TryRoutes(cfg.Notifier, labels, at)
			if err != nil {
				return usage(err)
			}
			for _, w := range ways {
				fmt.Fprintf(s.out, "%s\n  to    %s\n  when  %s\n", w.Path, strings.Join(w.Channels, ", "), w.Timing)
			}
			return nil
		},
	}
	c.Flags().StringVar(&config, "config", "", "the operator's file")
	c.Flags().StringVar(&when, "at", "", "at this time instead of now")
	return c
}

// parseLabels reads name=value pairs; a name that stands twice has both values.
func parseLabels(args []string) (notifier.Labels, error) {
	out := notifier.Labels{}
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is not a label: write it as severity=high", a)
		}
		out[name] = append(out[name], strings.Trim(value, `"`))
	}
	return out, nil
}
