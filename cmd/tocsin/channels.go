package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"reflect"
	"regexp"
	"strings"
	"time"

	"tocsin/news"
	"tocsin/news/strict"
	"tocsin/notifier"
	"tocsin/notifier/alertmanager"
	"tocsin/notifier/discord"
	"tocsin/notifier/email"
	"tocsin/notifier/exec"
	"tocsin/notifier/file"
	"tocsin/notifier/grafana"
	"tocsin/notifier/mattermost"
	"tocsin/notifier/ntfy"
	"tocsin/notifier/pagerduty"
	"tocsin/notifier/slack"
	"tocsin/notifier/stdout"
	"tocsin/notifier/teams"
	"tocsin/notifier/telegram"
	"tocsin/notifier/webhook"
)

// channelConfig is one configured endpoint: an id and exactly one kind.
type channelConfig struct {
	strict.Pos
	ID       strict.Text     `yaml:"id"`
	Schedule []time.Duration `yaml:"schedule"` // delays before each attempt instead of the channel's own
	CAFile   strict.Text     `yaml:"ca_file"`  // further certificates to trust, for kinds that speak HTTP

	Templates *notifier.TemplateFiles `yaml:"templates"` // the operator's own text, for chats and phones; mails have theirs in email

	Email        *email.Config        `yaml:"email"`
	Webhook      *webhook.Config      `yaml:"webhook"`
	Slack        *slack.Config        `yaml:"slack"`
	Mattermost   *mattermost.Config   `yaml:"mattermost"`
	Teams        *teams.Config        `yaml:"teams"`
	Discord      *discord.Config      `yaml:"discord"`
	Telegram     *telegram.Config     `yaml:"telegram"`
	Ntfy         *ntfy.Config         `yaml:"ntfy"`
	PagerDuty    *pagerduty.Config    `yaml:"pagerduty"`
	Alertmanager *alertmanager.Config `yaml:"alertmanager"`
	Grafana      *grafana.Config      `yaml:"grafana"`
	Exec         *exec.Config         `yaml:"exec"`
	File         *file.Config         `yaml:"file"`
	Stdout       *stdout.Config       `yaml:"stdout"`
}

// webhookWait bounds the wait for the first byte of an answer; the channel's own timeout bounds the whole attempt and is at most this.
const webhookWait = time.Minute

func terminalChannel() channelConfig {
	return channelConfig{ID: strict.Text{Value: "terminal"}, Stdout: &stdout.Config{}}
}

var channelName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// outside is what channels reach people through.
type outside struct {
	guard *guard
	std   std
	mail  email.People // who asked not to be written to, and which addresses do not exist
}

// kind is one kind of channel: whether the entry states it, its check, and its maker. h is nil for kinds that speak no HTTP.
type kind struct {
	name  string
	on    bool
	check func() strict.Faults
	http  bool
	build func(o outside, h *http.Client) (notifier.Channel, error)
}

// kinds is the table of kinds.
func (c *channelConfig) kinds() []kind {
	id := c.ID.Value
	return []kind{
		{"email", c.Email != nil, c.Email.Check, false, func(o outside, _ *http.Client) (notifier.Channel, error) {
			return email.New(*c.Email, email.Options{ID: id, Dial: o.guard.dial, People: o.mail})
		}},
		{"webhook", c.Webhook != nil, c.Webhook.Check, true, func(_ outside, h *http.Client) (notifier.Channel, error) {
			return webhook.New(*c.Webhook, webhook.Options{ID: id, Client: h})
		}},
		{"slack", c.Slack != nil, c.Slack.Check, true, func(_ outside, h *http.Client) (notifier.Channel, error) {
			return slack.New(*c.Slack, slack.Options{ID: id, Client: h})
		}},
		{"mattermost", c.Mattermost != nil, c.Mattermost.Check, true, func(_ outside, h *http.Client) (notifier.Channel, error) {
			return mattermost.New(*c.Mattermost, mattermost.Options{ID: id, Client: h})
		}},
		{"teams", c.Teams != nil, c.Teams.Check, true, func(_ outside, h *http.Client) (notifier.Channel, error) {
			return teams.New(*c.Teams, teams.Options{ID: id, Client: h})
		}},
		{"discord", c.Discord != nil, c.Discord.Check, true, func(_ outside, h *http.Client) (notifier.Channel, error) {
			return discord.New(*c.Discord, discord.Options{ID: id, Client: h})
		}},
		{"telegram", c.Telegram != nil, c.Telegram.Check, true, func(_ outside, h *http.Client) (notifier.Channel, error) {
			return telegram.New(*c.Telegram, telegram.Options{ID: id, Client: h})
		}},
		{"ntfy", c.Ntfy != nil, c.Ntfy.Check, true, func(_ outside, h *http.Client) (notifier.Channel, error) {
			return ntfy.New(*c.Ntfy, ntfy.Options{ID: id, Client: h})
		}},
		{"pagerduty", c.PagerDuty != nil, c.PagerDuty.Check, true, func(_ outside, h *http.Client) (notifier.Channel, error) {
			return pagerduty.New(*c.PagerDuty, pagerduty.Options{ID: id, Client: h})
		}},
		{"alertmanager", c.Alertmanager != nil, c.Alertmanager.Check, true, func(_ outside, h *http.Client) (notifier.Channel, error) {
			return alertmanager.New(*c.Alertmanager, alertmanager.Options{ID: id, Client: h})
		}},
		{"grafana", c.Grafana != nil, c.Grafana.Check, true, func(_ outside, h *http.Client) (notifier.Channel, error) {
			return grafana.New(*c.Grafana, grafana.Options{ID: id, Client: h})
		}},
		{"exec", c.Exec != nil, c.Exec.Check, false, func(outside, *http.Client) (notifier.Channel, error) {
			return exec.New(*c.Exec, exec.Options{ID: id})
		}},
		{"file", c.File != nil, c.File.Check, false, func(outside, *http.Client) (notifier.Channel, error) {
			return file.New(*c.File, file.Options{ID: id})
		}},
		{"stdout", c.Stdout != nil, c.Stdout.Check, false, func(o outside, _ *http.Client) (notifier.Channel, error) {
			return stdout.New(*c.Stdout, stdout.Options{ID: id, Writer: o.std.out, Terminal: o.std.terminal(), NoColor: os.Getenv("NO_COLOR") != ""})
		}},
	}
}

// kind gives the kind that the entry states; n tells how many it states, and only 1 is right.
func (c *channelConfig) kind() (k kind, names []string, n int) {
	for _, x := range c.kinds() {
		names = append(names, x.name)
		if x.on {
			k, n = x, n+1
		}
	}
	return k, names, n
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
		faults = append(faults, c.checkChannel(ch, at)...)
	}
	return faults
}

func (c *config) checkChannel(ch *channelConfig, at strict.Pos) strict.Faults {
	var faults strict.Faults
	k, names, n := ch.kind()
	if n != 1 {
		faults.Add(at, "write exactly one of "+strings.Join(names, ", "), "channel %q states %d kinds", ch.ID.Value, n)
		return faults
	}
	if len(ch.Schedule) > 0 && ch.Schedule[0] != 0 {
		faults.Add(at, "begin with 0s: the first attempt goes at once", "schedule of channel %q begins with %s", ch.ID.Value, ch.Schedule[0])
	}
	if ch.Exec != nil && !c.AllowExec {
		faults.Add(at, "write allow_exec: true at the top of this file if programs may be run", "channel %q runs a program", ch.ID.Value)
	}
	more := k.check()
	if more.Err() == nil && !c.mute {
		if _, err := ch.build(k, outside{guard: newGuard(nil), std: std{out: io.Discard}}); err != nil {
			next := "mend what it names"
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
				next = "create the file, readable by this user"
			}
			more.Add(at, next, "%s", err)
		}
	}
	return append(faults, more...)
}

// resolveChannels makes every path in the channels start at the file's folder: the keys named *_file, references to files, and path.
func (c *config) resolveChannels() {
	for i := range c.Channels {
		c.resolve(reflect.ValueOf(&c.Channels[i]))
		all := []*notifier.TemplateFiles{c.Channels[i].Templates}
		if e := c.Channels[i].Email; e != nil {
			all = append(all, e.Templates)
		}
		for _, f := range all {
			if f == nil {
				continue
			}
			for _, t := range []*strict.Text{&f.Subject, &f.Text, &f.HTML} {
				t.Value = c.path(t.Value)
			}
		}
	}
}

func (c *config) resolve(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			c.resolve(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			c.resolve(v.Index(i))
		}
	case reflect.Struct:
		if r, ok := v.Addr().Interface().(*notifier.SecretRef); ok && r.Kind == "file" {
			r.Name = c.path(r.Name)
			return
		}
		for i := range v.NumField() {
			f, key := v.Field(i), v.Type().Field(i).Tag.Get("yaml")
			if !v.Type().Field(i).IsExported() {
				continue
			}
			if t, ok := f.Addr().Interface().(*strict.Text); ok {
				if key == "path" || strings.HasSuffix(key, "_file") {
					t.Value = c.path(t.Value)
				}
			} else if key != "" {
				c.resolve(f)
			}
		}
	}
}

// buildChannels makes every configured channel. All of them reach the network through the guard.
func (c *config) buildChannels(o outside) ([]notifier.Channel, error) {
	var out []notifier.Channel
	for i := range c.Channels {
		ch := &c.Channels[i]
		k, _, _ := ch.kind()
		if c.mute {
			out = append(out, elsewhere(ch.ID.Value, k.name))
			continue
		}
		n, err := ch.build(k, o)
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

// elsewhere stands for a channel that another process sends to: routes may name it, and nothing of it is opened here.
func elsewhere(id, kind string) notifier.Channel {
	refuse := fmt.Errorf("channel %s is served where the notifier runs", id)
	return notifier.Channel{
		ID: id, Type: kind, Recipients: []string{""},
		Render: func(*news.Alert, *news.Delivery) error { return refuse },
		Send: func(context.Context, *news.Delivery) notifier.Result {
			return notifier.Result{Verdict: notifier.Retry, Status: refuse.Error(), Alive: true}
		},
	}
}

func (c *channelConfig) build(k kind, o outside) (notifier.Channel, error) {
	ch, err := c.open(k, o)
	if err == nil && c.Templates != nil {
		err = notifier.UseText(&ch, *c.Templates)
	}
	return ch, err
}

func (c *channelConfig) open(k kind, o outside) (notifier.Channel, error) {
	if !k.http {
		return k.build(o, nil)
	}
	h, err := o.guard.client(c.CAFile.Value, webhookWait)
	if err != nil {
		return notifier.Channel{}, err
	}
	return k.build(o, h)
}
