package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// pingBudget bounds one request to a watchdog.
const pingBudget = 15 * time.Second

// address reads the file with the watchdog's address. Its error never shows it.
func (p *pingConfig) address(c *config) (string, error) {
	data, err := os.ReadFile(c.path(p.URLFile.Value))
	if err != nil {
		return "", errors.New("health.ping: cannot read " + p.URLFile.Value + ": " + cause(err).Error())
	}
	raw := strings.TrimSpace(string(data))
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "https" && !(p.AllowHTTP && u.Scheme == "http") {
		return "", errors.New("health.ping: " + p.URLFile.Value + " holds no https address")
	}
	return raw, nil
}

// pingWatchdog asks the watchdog's address as long as canaries arrive: a request says that the whole pipeline worked a moment ago.
func (in *instance) pingWatchdog(ctx context.Context) error {
	p := in.cfg.Health.Ping
	addr, err := p.address(&in.cfg)
	if err != nil {
		return err
	}
	client, err := in.guard.client("", pingBudget)
	if err != nil {
		return err
	}
	failed := false
	for pause(ctx, p.every()) {
		if time.Since(in.canarySeen()) > in.cfg.Health.canaryLost() {
			continue
		}
		status, err := pingOnce(ctx, client, addr)
		if bad := err != nil || status >= 400; bad != failed {
			failed = bad
			if bad {
				in.log.Warn("watchdog cannot be reached", "component", "health", "status", status)
			} else {
				in.log.Info("watchdog is reached again", "component", "health")
			}
		}
	}
	return nil
}

func pingOnce(ctx context.Context, client *http.Client, addr string) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, pingBudget)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, addr, nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10)) // what it says is of no use
	return resp.StatusCode, nil
}
