package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tocsin/bus"
	"tocsin/cmd/tocsin/newsroom"
	"tocsin/news"
)

type demoFlags struct {
	length  time.Duration
	seed    int64
	dir     string
	verbose bool
}

func demoCommand(s std) *cobra.Command {
	f := demoFlags{seed: 1}
	c := &cobra.Command{
		Use:   "demo",
		Short: "A complete safe world on this machine: feeds, decoys, mail and webhook, alerts live in the terminal",
		Long: `Start a simulated newsroom on loopback (feeds in eight languages, broken ones among them, planted mentions, decoys), a mail server and a webhook
receiver, and run Tocsin on them with the shipped watchlists. Nothing leaves this machine, and no file is kept unless --dir says where.

With --for the demo ends by itself and prints what was planted, alerted, missed, false and duplicate; exit status 1 if any of it is wrong.`,
		Example: "  tocsin demo\n  tocsin demo --for 60s",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return demo(c.Context(), s, f) },
	}
	c.Flags().DurationVar(&f.length, "for", 0, "end after this time with a report (20s or more)")
	c.Flags().Int64Var(&f.seed, "seed", f.seed, "order and times of the simulated news")
	c.Flags().StringVar(&f.dir, "dir", "", "keep configuration, data and mails in this folder")
	c.Flags().BoolVar(&f.verbose, "verbose", false, "show the program's log as well")
	return c
}

// demoSettle is kept free at the end of --for, so that the last planted item can be fetched and delivered.
const demoSettle = 8 * time.Second

func demo(ctx context.Context, s std, f demoFlags) error {
	if f.length != 0 && f.length < 20*time.Second {
		return usage(fmt.Errorf("--for %s: give it 20s or more, the newsroom needs time to publish", f.length))
	}
	dir := f.dir
	if dir == "" {
		tmp, err := os.MkdirTemp("", "tocsin-demo-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		dir = tmp
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	if f.verbose {
		log = slog.New(slog.NewTextHandler(s.err, nil))
	}
	span := 40 * time.Second
	if f.length > 0 {
		span = f.length - demoSettle - 4*time.Second
	}
	world, err := newsroom.Start(newsroom.Options{Seed: f.seed, Span: span, Interval: time.Second, Log: log})
	if err != nil {
		return fmt.Errorf("start the newsroom: %w", err)
	}
	defer world.Close()
	file, err := writeDemoConfig(dir, world)
	if err != nil {
		return err
	}
	return demoRun(ctx, s, f, file, world, log)
}

func demoRun(ctx context.Context, s std, f demoFlags, file string, world *newsroom.World, log *slog.Logger) error {
	cfg, faults := loadConfig(file)
	if err := faults.Err(); err != nil {
		return fmt.Errorf("the demo's own configuration: %w", err)
	}
	in, err := open(ctx, cfg, roles{true, true, true}, log, s)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "A simulated newsroom of %d feeds runs on this machine. Status page: http://%s/  Mail and webhook receivers: %s, %s\n\n",
		len(world.Feeds()), in.listen.Addr(), world.SMTPAddr, world.WebhookURL)
	runCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	if f.length > 0 {
		stop := time.AfterFunc(f.length, cancel)
		defer stop.Stop()
	}
	folds := make(chan error, 1)
	go func() { folds <- in.readFolds(runCtx, world) }()
	if err := errors.Join(in.run(runCtx), <-folds); err != nil {
		return err
	}
	if f.dir != "" {
		if err := keepMails(filepath.Join(f.dir, "mails"), world); err != nil {
			return err
		}
	}
	report := world.Report(newsroom.Judged())
	fmt.Fprintf(s.out, "\n%s", report.Table())
	if f.length > 0 && !report.OK() {
		return failed(errors.New("the demo saw a wrong alert"))
	}
	return nil
}

// readFolds tells the newsroom what was joined to an alert without a message, for its report.
func (in *instance) readFolds(ctx context.Context, world *newsroom.World) error {
	return in.bus.ReadAlerts(ctx, time.Time{}, true, func(a news.Alert, _ bus.Meta) error {
		if a.Kind == news.KindFold {
			world.AddFold(newsroom.Fold{Alert: a.ID, Watchlist: a.Watchlist, URL: a.Match.Item.URL, IDs: a.Match.IDs()})
		}
		return nil
	})
}

// keepMails writes what the mail server took, one file each, for a mail reader.
func keepMails(dir string, w *newsroom.World) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for i, m := range w.Mails() {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d.eml", i+1)), m.Raw, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// writeDemoConfig writes a configuration as an operator would: the demo runs through the same door as `tocsin run`.
func writeDemoConfig(dir string, w *newsroom.World) (string, error) {
	listen := "127.0.0.1:8470"
	if l, err := net.Listen("tcp", listen); err != nil {
		listen = "127.0.0.1:0"
	} else if err := l.Close(); err != nil {
		return "", err
	}
	files := map[string]string{
		"feeds.yaml":     string(w.FeedsYAML()),
		"webhook.secret": w.WebhookSecret,
		"mail.password":  w.SMTPPassword,
		"ca.pem":         string(w.CAPEM),
		"tocsin.yaml":    demoYAML(listen, w),
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "tocsin.yaml"), nil
}

func demoYAML(listen string, w *newsroom.World) string {
	return strings.NewReplacer("LISTEN", listen, "WEBHOOK", w.WebhookURL, "SMTP", w.SMTPAddr, "USER", w.SMTPUser).Replace(`# Configuration of the demo, as an operator would write it.
data_dir: data
http: {listen: "LISTEN"}
fetcher:
  feeds: [feeds.yaml]
  allow_networks: [127.0.0.1/32]
  min_interval: 1s
  host_gap: 0s
channels:
  - id: terminal
    stdout: {}
  - id: hook
    webhook: {url: "WEBHOOK", secret_file: webhook.secret, allow_http: true}
  - id: mail
    email:
      server: "SMTP"
      tls: starttls
      ca_file: ca.pem
      username: "USER"
      password_file: mail.password
      from: tocsin@example.org
      to: [desk@example.org]
notifier:
  max_alert_age: 72h
  stories: {update_interval: 5s} # half an hour outside this demo
  route: {channels: [terminal, hook, mail]}
`)
}
