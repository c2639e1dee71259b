package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"time"

	"tocsin/news/strict"
	"tocsin/notifier"
	"tocsin/notifier/email"
	"tocsin/notifier/file"
	"tocsin/notifier/stdout"
	"tocsin/notifier/webhook"
)

// channelConfig is one configured endpoint: an id and exactly one kind.
type channelConfig struct {
	strict.Pos
	ID       strict.Text     `yaml:"id"`
	Schedule []time.Duration `yaml:"schedule"` // delays before each attempt instead of the channel's own
	Email    *email.Config   `yaml:"email"`
	Webhook  *webhook.Config `yaml:"webhook"`
	File     *file.Config    `yaml:"file"`
	Stdout   *stdout.Config  `yaml:"stdout"`
}

// webhookWait bounds the wait for the first byte of an answer; the channel's own timeout bounds the whole attempt and is at most this.
const webhookWait = time.Minute

func terminalChannel() channelConfig {
	return channelConfig{ID: strict.Text{Value: "terminal"}, Stdout: &stdout.Config{}}
}

var channelName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// kinds tells which kinds the entry states.
func (c *channelConfig) kinds() []string {
	var k []string
	for _, x := range []struct {
		on   bool
		name string
	}{{c.Email != nil, "email"}, {c.Webhook != nil, "webhook"}, {c.File != nil, "file"}, {c.Stdout != nil, "stdout"}} {
		if x.on {
			k = append(k, x.name)
		}
	}
	return k
}

func (c *config) checkChannels(path string) strict.Faults {
	var faults strict.Faults
	seen := map[string]strict.Pos{}
	for i := range c.Channels {
		ch := &c.Channels[i]
		at := ch.Pos
		if at.File == "" {
			at.File = path
		}
		if !channelName.MatchString(ch.ID.Value) {
			faults.Add(at, "give it an id of small letters, digits, - and _, as in desk-mail", "channel id %q is not usable", ch.ID.Value)
		}
		if first, ok := seen[ch.ID.Value]; ok {
			faults.Add(ch.ID.Pos, "give each channel its own id", "channel id %q stands twice, first at line %d", ch.ID.Value, first.Line)
		}
		seen[ch.ID.Value] = at
		if k := ch.kinds(); len(k) != 1 {
			faults.Add(at, "write exactly one of email, webhook, file, stdout", "channel %q states %d kinds", ch.ID.Value, len(k))
			continue
		}
		if len(ch.Schedule) > 0 && ch.Schedule[0] != 0 {
			faults.Add(at, "begin with 0s: the first attempt goes at once", "schedule of channel %q begins with %s", ch.ID.Value, ch.Schedule[0])
		}
		more := ch.check()
		if more.Err() == nil {
			if _, err := ch.build(newGuard(nil), std{out: io.Discard}); err != nil {
				next := "mend what it names"
				if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
					next = "create the file, readable by this user"
				}
				more.Add(at, next, "%s", err)
			}
		}
		faults = append(faults, more...)
	}
	return faults
}

func (c *channelConfig) check() strict.Faults {
	switch {
	case c.Email != nil:
		return c.Email.Check()
	case c.Webhook != nil:
		return c.Webhook.Check()
	case c.File != nil:
		return c.File.Check()
	}
	return c.Stdout.Check()
}

// resolveChannels makes every path in the channels start at the file's folder.
func (c *config) resolveChannels() {
	text := func(ts ...*strict.Text) {
		for _, t := range ts {
			t.Value = c.path(t.Value)
		}
	}
	secret := func(r *notifier.SecretRef) {
		if r.Kind == "file" {
			r.Name = c.path(r.Name)
		}
	}
	for i := range c.Channels {
		ch := &c.Channels[i]
		if e := ch.Email; e != nil {
			text(&e.CAFile, &e.PasswordFile)
			secret(&e.Password)
			if e.Templates != nil {
				text(&e.Templates.Subject, &e.Templates.Text, &e.Templates.HTML)
			}
			if e.DKIM != nil {
				text(&e.DKIM.KeyFile)
			}
		}
		if w := ch.Webhook; w != nil {
			text(&w.URLFile, &w.SecretFile)
			secret(&w.Secret)
			for i := range w.Secrets {
				secret(&w.Secrets[i])
			}
		}
		if f := ch.File; f != nil {
			text(&f.Path)
		}
	}
}

// buildChannels makes every configured channel. All of them reach the network through the guard.
func (c *config) buildChannels(g *guard, s std) ([]notifier.Channel, error) {
	var out []notifier.Channel
	for i := range c.Channels {
		ch := &c.Channels[i]
		n, err := ch.build(g, s)
		if err != nil {
			return nil, fmt.Errorf("channel %s: %w", ch.ID.Value, err)
		}
		if len(ch.Schedule) > 0 {
			n.Schedule = ch.Schedule
		}
		out = append(out, n)
	}
	return out, nil
}

func (c *channelConfig) build(g *guard, s std) (notifier.Channel, error) {
	switch id := c.ID.Value; {
	case c.Email != nil:
		return email.New(*c.Email, email.Options{ID: id, Dial: g.dial})
	case c.Webhook != nil:
		h, err := g.client("", webhookWait)
		if err != nil {
			return notifier.Channel{}, err
		}
		return webhook.New(*c.Webhook, webhook.Options{ID: id, Client: h})
	case c.File != nil:
		return file.New(*c.File, file.Options{ID: id})
	default:
		return stdout.New(*c.Stdout, stdout.Options{ID: id, Writer: s.out, Terminal: s.terminal(), NoColor: os.Getenv("NO_COLOR") != ""})
	}
}
