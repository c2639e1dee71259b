package fetcher

import (
	"bufio"
	"bytes"
	"net/url"
	"strings"
	"time"
)

// robots is what a host's robots.txt says to us (RFC 9309).
type robots struct {
	rules []robotsRule
	deny  bool // it could not be read: nothing may be fetched
	until time.Time
}

type robotsRule struct {
	allow bool
	path  string
}

const (
	maxRobots   = 512 << 10 // RFC 9309 asks for 500 KiB at least
	robotsKept  = day
	robotsAgain = time.Hour // until an unreadable one is asked again
	maxRules    = 10_000
	product     = "tocsin"
)

// parseRobots gives the rules of the groups for our product, else of those for everyone.
func parseRobots(text []byte) []robotsRule {
	var ours, all []robotsRule
	var named, forUs, forAll, agents bool
	s := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	s.Buffer(make([]byte, 0, 4096), maxRobots)
	for s.Scan() {
		line, _, _ := strings.Cut(s.Text(), "#")
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch key = strings.ToLower(strings.TrimSpace(key)); key {
		case "user-agent":
			if !agents {
				forUs, forAll = false, false
			}
			agents = true
			token, _, _ := strings.Cut(strings.ToLower(value), "/")
			forUs = forUs || token == product
			forAll = forAll || token == "*"
			named = named || forUs
		case "allow", "disallow":
			agents = false
			r := robotsRule{key == "allow", value}
			if value == "" || len(ours)+len(all) >= maxRules {
				continue
			}
			if forUs {
				ours = append(ours, r)
			}
			if forAll {
				all = append(all, r)
			}
		}
	}
	if named {
		return ours
	}
	return all
}

// allows tells whether the address may be fetched: the longest rule that fits decides, allow before disallow.
func (r *robots) allows(u *url.URL) bool {
	if r.deny {
		return false
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	best, allowed := -1, true
	for _, rule := range r.rules {
		if n := len(rule.path); n >= best && fits(rule.path, path) && (n > best || rule.allow) {
			best, allowed = n, rule.allow
		}
	}
	return allowed
}

// fits matches a rule: * stands for anything, $ at the end for the end. It never goes back over more than one *.
func fits(rule, path string) bool {
	rule, anchored := strings.CutSuffix(rule, "$")
	parts := strings.Split(rule, "*")
	if !strings.HasPrefix(path, parts[0]) {
		return false
	}
	rest := path[len(parts[0]):]
	for i, p := range parts[1:] {
		if last := i == len(parts)-2; last && anchored {
			return strings.HasSuffix(rest, p)
		}
		at := strings.Index(rest, p)
		if at < 0 {
			return false
		}
		rest = rest[at+len(p):]
	}
	return !anchored || rest == ""
}
