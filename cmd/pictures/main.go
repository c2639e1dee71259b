// Command pictures makes the pictures in README.md: mails in light and dark, a digest, alerts in the terminal, and the status page of a running
// demo. It is run by hand, needs Chromium and fonts for all scripts, and promises that every picture shows what the program itself writes, that
// no page is wider than its window, and that a picture stays under 150 KB. What stands in them is left to tocsin and to deploy/examples.
//
//	go run ./cmd/pictures -chromium /usr/bin/chromium -out docs/pictures
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// maxPicture is the largest picture in bytes: README must open quickly.
const maxPicture = 150 << 10

func main() {
	program := flag.String("chromium", "chromium", "the browser's `program`")
	out := flag.String("out", "docs/pictures", "`folder` to write to")
	flag.Parse()
	if err := run(context.Background(), *program, *out); err != nil {
		fmt.Fprintln(os.Stderr, "pictures:", err)
		os.Exit(1)
	}
}

// studio is where pictures are made.
type studio struct {
	dir    string // for what lies between
	out    string
	tocsin string
	alerts []string // lines of JSON
	b      *browser
}

func run(ctx context.Context, program, out string) error {
	dir, err := os.MkdirTemp("", "pictures")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s := &studio{dir: dir, out: out, tocsin: filepath.Join(dir, "tocsin")}
	if _, err := command(ctx, "", "go", "build", "-o", s.tocsin, "./cmd/tocsin"); err != nil {
		return err
	}
	examples, err := os.ReadFile("deploy/examples/alerts.jsonl")
	if err != nil {
		return fmt.Errorf("%w: run it in the top folder of the repository", err)
	}
	s.alerts = strings.Split(strings.TrimSpace(string(examples)), "\n")
	if s.b, err = openBrowser(program); err != nil {
		return err
	}
	defer s.b.close()
	for _, make := range []func(context.Context) error{s.mails, s.digest, s.terminal, s.status} {
		if err := make(ctx); err != nil {
			return err
		}
	}
	return nil
}

// command runs a program and gives what it writes.
func command(ctx context.Context, in, name string, args ...string) ([]byte, error) {
	var out, said bytes.Buffer
	c := exec.CommandContext(ctx, name, args...)
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(in), &out, &said
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, said.String())
	}
	return out.Bytes(), nil
}

// render asks tocsin what a channel would send for alerts.
func (s *studio) render(ctx context.Context, alerts []string, args ...string) ([]byte, error) {
	config := filepath.Join(s.dir, "tocsin.yaml")
	err := os.WriteFile(config, []byte(`channels:
  - {id: mail, email: {server: mail.example.org, from: tocsin@example.org, to: [desk@example.org], location: Asia/Karachi}}
  - {id: screen, stdout: {color: always}}
notifier: {route: {channels: [screen]}}
`), 0o600)
	if err != nil {
		return nil, err
	}
	return command(ctx, strings.Join(alerts, "\n"), s.tocsin, append([]string{"render", "--config", config, "--alert", "-"}, args...)...)
}

// show puts a page into a file and makes a picture of it.
func (s *studio) show(name string, page []byte, l look, most int) error {
	file := filepath.Join(s.dir, name+".html")
	if err := os.WriteFile(file, page, 0o600); err != nil {
		return err
	}
	return s.shoot(name, "file://"+file, l, most)
}

func (s *studio) shoot(name, address string, l look, most int) error {
	raw, err := s.b.picture(address, l, most)
	if err != nil {
		return err
	}
	small, err := reduce(raw)
	if err != nil {
		return fmt.Errorf("picture %s: %w", name, err)
	}
	if len(small) > maxPicture {
		return fmt.Errorf("picture %s has %d bytes, the limit is %d: show less of it", name, len(small), maxPicture)
	}
	if err := os.MkdirAll(s.out, 0o755); err != nil {
		return err
	}
	fmt.Printf("%s.png %d bytes\n", name, len(small))
	return os.WriteFile(filepath.Join(s.out, name+".png"), small, 0o644)
}

// mails are one alert in Urdu as it looks on a desk in light mode, and one in English on a phone in dark mode.
func (s *studio) mails(ctx context.Context) error {
	for i, l := range []look{{Width: 390, Scale: 1.5, Dark: true, Phone: true}, {Width: 640, Scale: 1}} {
		page, err := s.render(ctx, s.alerts[i:i+1], "--channel", "mail", "--part", "html")
		if err != nil {
			return err
		}
		if err := s.show([]string{"mail-dark", "mail-light"}[i], page, l, 1200); err != nil {
			return err
		}
	}
	return nil
}

func (s *studio) digest(ctx context.Context) error {
	page, err := s.render(ctx, s.alerts, "--channel", "mail", "--part", "html")
	if err != nil {
		return err
	}
	return s.show("digest", page, look{Width: 640, Scale: 1}, 1100)
}

func (s *studio) terminal(ctx context.Context) error {
	var screen []byte
	for _, i := range []int{0, 1, 2, 6, 7} { // English, Urdu, Pashto, Chinese, Hindi
		one, err := s.render(ctx, s.alerts[i:i+1], "--channel", "screen")
		if err != nil {
			return err
		}
		screen = append(screen, one...)
	}
	return s.show("terminal", ansi(string(screen)), look{Width: 960, Scale: 1, Dark: true}, 1000)
}
