package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tocsin/news"
	"tocsin/news/strict"
)

func renderCommand(s std) *cobra.Command {
	var config, channel, file string
	c := &cobra.Command{
		Use:   "render --channel ID --alert FILE",
		Short: "Show the bytes that a channel would send for an alert; send nothing",
		Long: `Show the bytes that a channel would send for an alert, as they would stand in the outbox: secrets are not in them. FILE holds one alert as JSON,
as ` + "`tocsin alerts --format jsonl`" + ` prints them; - reads standard input. No running instance is needed.`,
		Example: "  tocsin alerts --format jsonl | tail -1 | tocsin render --config tocsin.yaml --channel desk-mail --alert -",
		Args:    cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			return render(s, config, channel, file)
		},
	}
	c.Flags().StringVar(&config, "config", "", "the operator's file, tocsin.yaml")
	c.Flags().StringVar(&channel, "channel", "", "id of the channel")
	c.Flags().StringVar(&file, "alert", "", "file with one alert as JSON; - reads standard input")
	_ = c.MarkFlagRequired("channel")
	_ = c.MarkFlagRequired("alert")
	return c
}

func render(s std, config, channel, file string) error {
	cfg, faults := loadConfig(config)
	if err := faults.Err(); err != nil {
		return usage(fmt.Errorf("the configuration is refused:\n%w", err))
	}
	i := slices.Index(cfg.channelIDs(), channel)
	if i < 0 {
		next := "the file has " + strings.Join(cfg.channelIDs(), ", ")
		if g := strict.Guess(channel, cfg.channelIDs()); g != "" {
			next = fmt.Sprintf("did you mean %q?", g)
		}
		return usage(fmt.Errorf("--channel %q is not configured: %s", channel, next))
	}
	data, err := readInput(s, file)
	if err != nil {
		return err
	}
	a, err := news.Decode[news.Alert](data)
	if err != nil {
		return usage(fmt.Errorf("--alert %s: %w: give one alert as `tocsin alerts --format jsonl` prints it", file, err))
	}
	k, _, _ := cfg.Channels[i].kind()
	ch, err := cfg.Channels[i].build(k, outside{guard: newGuard(nil), std: s})
	if err != nil {
		return usage(err)
	}
	d := news.Delivery{
		Schema: news.Schema, ID: news.DeliveryID(a.ID, a.Revision, "root", ch.ID, ch.Recipients[0]), Alerts: []news.AlertRef{{ID: a.ID, Revision: a.Revision}},
		Story: a.Story, Watchlist: a.Watchlist, Severity: a.Severity, Route: "root", Channel: ch.ID, Recipient: ch.Recipients[0], Reason: news.SendTest, PlannedAt: a.At,
	}
	if err := ch.Render(&a, &d); err != nil {
		return fmt.Errorf("channel %s: %w", channel, err)
	}
	return writeRendered(s, d.Body)
}

// writeRendered gives the bytes as they are, with a line end where they have none.
func writeRendered(s std, body []byte) error {
	if _, err := s.out.Write(body); err != nil {
		return err
	}
	if !strings.HasSuffix(string(body), "\n") {
		fmt.Fprintln(s.out)
	}
	return nil
}
