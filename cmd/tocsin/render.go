package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
)

func renderCommand(s std) *cobra.Command {
	var config, channel, file, part string
	c := &cobra.Command{
		Use:   "render --channel ID --alert FILE",
		Short: "Show the bytes that a channel would send for an alert; send nothing",
		Long: `Show the bytes that a channel would send for an alert, as they would stand in the outbox: secrets are not in them. FILE holds one alert as JSON,
as ` + "`tocsin alerts --format jsonl`" + ` prints them; several are shown as a digest; - reads standard input. No running instance is needed.
The channel's own templates are used; when one fails the command says why and shows the built-in form, which would be sent.`,
		Example: `  tocsin alerts --format jsonl | tail -1 | tocsin render --config tocsin.yaml --channel desk-mail --alert -
  tocsin render --config tocsin.yaml --channel desk-mail --alert alert.json --part html > mail.html`,
		Args: cobra.NoArgs,
		RunE: func(_ *cobra.Command, _ []string) error {
			return render(s, config, channel, file, part)
		},
	}
	c.Flags().StringVar(&config, "config", "", "the operator's file, tocsin.yaml")
	c.Flags().StringVar(&channel, "channel", "", "id of the channel")
	c.Flags().StringVar(&file, "alert", "", "file with one alert as JSON, or several for a digest; - reads standard input")
	c.Flags().StringVar(&part, "part", "", "of a mail: text or html, decoded, instead of all of it")
	_ = c.MarkFlagRequired("channel")
	_ = c.MarkFlagRequired("alert")
	return c
}

func render(s std, config, channel, file, part string) error {
	if part != "" && part != "text" && part != "html" {
		return usage(fmt.Errorf("--part %q: write text or html", part))
	}
	ch, err := rehearsed(s, config, channel)
	if err != nil {
		return err
	}
	data, err := readInput(s, file)
	if err != nil {
		return err
	}
	alerts, err := decodeAlerts(data)
	if err != nil {
		return usage(fmt.Errorf("--alert %s: %w: give alerts as `tocsin alerts --format jsonl` prints them", file, err))
	}
	a := &alerts[0]
	d := news.Delivery{
		Schema: news.Schema, ID: news.DeliveryID(a.ID, a.Revision, "root", ch.ID, ch.Recipients[0]), Story: a.Story, Watchlist: a.Watchlist, Severity: a.Severity,
		Route: "root", Channel: ch.ID, Recipient: ch.Recipients[0], Reason: news.SendTest, FirstSeen: a.Match.Item.FirstSeen, PlannedAt: a.At,
	}
	for i := range alerts {
		d.Alerts = append(d.Alerts, news.AlertRef{ID: alerts[i].ID, Revision: alerts[i].Revision})
		d.Severity = max(d.Severity, alerts[i].Severity)
	}
	template, err := notifier.Rehearse(&ch, alerts, &d)
	if template != nil {
		fmt.Fprintf(s.err, "channel %s: its template fails, the built-in form is shown, as it would be sent: %s\n", channel, template)
	}
	if err != nil {
		return fmt.Errorf("channel %s: %w", channel, err)
	}
	if part == "" {
		return writeRendered(s, d.Body)
	}
	body, err := mailPart(d.Body, "text/"+strings.Replace(part, "text", "plain", 1))
	if err != nil {
		return usage(fmt.Errorf("channel %s: --part %s: %w", channel, part, err))
	}
	return writeRendered(s, bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")))
}

// rehearsed makes a configured channel that is asked for its bytes alone.
func rehearsed(s std, config, channel string) (notifier.Channel, error) {
	cfg, faults := loadConfig(config)
	if err := faults.Err(); err != nil {
		return notifier.Channel{}, usage(fmt.Errorf("the configuration is refused:\n%w", err))
	}
	i := slices.Index(cfg.channelIDs(), channel)
	if i < 0 {
		next := "the file has " + strings.Join(cfg.channelIDs(), ", ")
		if g := strict.Guess(channel, cfg.channelIDs()); g != "" {
			next = fmt.Sprintf("did you mean %q?", g)
		}
		return notifier.Channel{}, usage(fmt.Errorf("--channel %q is not configured: %s", channel, next))
	}
	k, _, _ := cfg.Channels[i].kind()
	ch, err := cfg.Channels[i].build(k, outside{guard: newGuard(nil), std: s})
	if err != nil {
		return notifier.Channel{}, usage(err)
	}
	return ch, nil
}

// decodeAlerts reads one alert or more, one JSON value after another.
func decodeAlerts(data []byte) ([]news.Alert, error) {
	var out []news.Alert
	for dec := json.NewDecoder(bytes.NewReader(data)); ; {
		var raw json.RawMessage
		err := dec.Decode(&raw)
		switch {
		case errors.Is(err, io.EOF) && len(out) > 0:
			return out, nil
		case errors.Is(err, io.EOF):
			return nil, errors.New("it is empty")
		case err != nil:
			return nil, err
		}
		a, err := news.Decode[news.Alert](raw)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
}

// mailPart is one part of a mail, decoded.
func mailPart(raw []byte, kind string) ([]byte, error) {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return nil, errors.New("only mails have parts")
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		return nil, errors.New("only mails have parts")
	}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err != nil {
			return nil, fmt.Errorf("this mail has no %s", kind)
		}
		if k, _, _ := mime.ParseMediaType(p.Header.Get("Content-Type")); k != kind {
			continue
		}
		switch p.Header.Get("Content-Transfer-Encoding") {
		case "quoted-printable":
			return io.ReadAll(quotedprintable.NewReader(p))
		case "base64":
			return io.ReadAll(base64.NewDecoder(base64.StdEncoding, p))
		}
		return io.ReadAll(p)
	}
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
