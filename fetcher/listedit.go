package fetcher

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"tocsin/news"
)

var (
	plainScalar = regexp.MustCompile(`^[\p{L}][\p{L}\p{M}\p{N} _./-]*$`)
	feedsKey    = regexp.MustCompile(`(?m)^feeds:[ \t]*(\[[ \t]*\])?[ \t]*(#.*)?$`)
	yamlWord    = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|null|y|n)$`)
)

// AppendFeeds writes feeds at the end of a YAML feed list and leaves every other byte as it is, comments included. name is for the places of
// faults. The edit is read back: when the list would then hold anything else than the old feeds and the new ones, nothing is changed and the
// error says what to do by hand. Empty data makes a new list.
func AppendFeeds(name string, data []byte, feeds ...Feed) ([]byte, error) {
	if len(bytes.TrimSpace(data)) == 0 {
		data = append(bytes.Clone(data), "feeds:\n"...)
	}
	old, faults := readYAML(name, data)
	if err := faults.Err(); err != nil && !emptyFeeds(data) {
		return nil, err
	}
	var out bytes.Buffer
	indent := "  "
	loc := feedsKey.FindIndex(data)
	switch {
	case loc == nil:
		return nil, byHand(name, feeds, "no line begins with feeds:")
	case len(old) == 0:
		out.Write(feedsKey.ReplaceAll(data, []byte("feeds: $2")))
	default:
		out.Write(data)
		indent = indentOf(data, old[len(old)-1].Line)
	}
	text := strings.TrimRight(out.String(), " \t\n")
	out.Reset()
	out.WriteString(text + "\n")
	for i := range feeds {
		out.WriteString(indent + feedLine(&feeds[i]) + "\n")
	}
	again, faults := readYAML(name, out.Bytes())
	if err := faults.Err(); err != nil || !sameFeeds(again, append(addresses(old), addresses(feeds)...)) {
		return nil, byHand(name, feeds, "the list ends in a way that lines cannot be added to")
	}
	return out.Bytes(), nil
}

func emptyFeeds(data []byte) bool { return feedsKey.Match(data) }

// RemoveFeed takes a feed out of the YAML feed list that it was read from, by its place and its address. Every other byte stays, comment lines
// above it too. The edit is read back as in AppendFeeds.
func RemoveFeed(name string, data []byte, f Feed) ([]byte, error) {
	at := f.Pos
	old, faults := readYAML(name, data)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	var kept []string
	gone := -1
	for i := range old {
		if old[i].Line == at.Line && old[i].Col == at.Col && strings.TrimSpace(old[i].URL) == f.URL {
			gone = i
			continue
		}
		kept = append(kept, old[i].URL)
	}
	if gone < 0 {
		return nil, fmt.Errorf("%s: no feed stands there any more: look again", at)
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	from, to := at.Line-1, entryEnd(lines, at.Line-1)
	var out []byte
	for i, l := range lines {
		if i < from || i >= to {
			out = append(out, l...)
		}
	}
	if len(kept) == 0 {
		out = feedsKey.ReplaceAll(out, []byte("feeds: [] $2"))
	}
	again, faults := readYAML(name, out)
	if err := faults.Err(); err != nil || !sameFeeds(again, kept) {
		return nil, fmt.Errorf("%s: the feed shares its line with others: remove it by hand", at)
	}
	return out, nil
}

// entryEnd is the line behind the list entry that begins at line from: the next one that is not deeper than its dash. Blank and comment lines
// before that stay.
func entryEnd(lines [][]byte, from int) int {
	depth := func(l []byte) int { return len(l) - len(bytes.TrimLeft(l, " ")) }
	end := from + 1
	for i := from + 1; i < len(lines); i++ {
		l := bytes.TrimSpace(lines[i])
		if len(l) == 0 || l[0] == '#' {
			continue
		}
		if depth(lines[i]) <= depth(lines[from]) {
			break
		}
		end = i + 1
	}
	return end
}

// indentOf is what stands before the dash of the entry at a line.
func indentOf(data []byte, line int) string {
	lines := bytes.Split(data, []byte("\n"))
	if line < 1 || line > len(lines) {
		return "  "
	}
	l := lines[line-1]
	return string(l[:len(l)-len(bytes.TrimLeft(l, " "))])
}

// feedLine writes a feed as one list entry of flow style, as the shipped lists do.
func feedLine(f *Feed) string {
	parts := []string{"url: " + quoted(f.URL)}
	for _, p := range []struct{ key, value string }{
		{"was", f.Was}, {"outlet", f.Outlet}, {"lang", f.Lang}, {"country", f.Country}, {"zone", f.Zone}, {"charset", f.Charset}, {"full_text", f.FullText}, {"note", f.Note},
	} {
		if p.value != "" {
			parts = append(parts, p.key+": "+scalar(p.value))
		}
	}
	if f.Tier > 0 {
		parts = append(parts, fmt.Sprintf("tier: %d", f.Tier))
	}
	if f.Paused {
		parts = append(parts, "paused: true")
	}
	if len(f.Tags) > 0 {
		var tags []string
		for _, t := range f.Tags {
			tags = append(tags, scalar(t))
		}
		parts = append(parts, "tags: ["+strings.Join(tags, ", ")+"]")
	}
	return "- {" + strings.Join(parts, ", ") + "}"
}

// quoted is a double-quoted YAML scalar: JSON's strings are that.
func quoted(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always encodes
	return strings.TrimSpace(b.String())
}

func scalar(s string) string {
	if plainScalar.MatchString(s) && !yamlWord.MatchString(s) && strings.TrimSpace(s) == s {
		return s
	}
	return quoted(s)
}

func addresses(feeds []Feed) (out []string) {
	for i := range feeds {
		out = append(out, feeds[i].URL)
	}
	return out
}

func sameFeeds(feeds []Feed, want []string) bool {
	got := addresses(feeds)
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		if news.CanonicalURL(got[i]) != news.CanonicalURL(want[i]) {
			return false
		}
	}
	return true
}

func byHand(name string, feeds []Feed, fact string) error {
	var lines []string
	for i := range feeds {
		lines = append(lines, "  "+feedLine(&feeds[i]))
	}
	return fmt.Errorf("%s: %s: write there by hand:\n%s", name, fact, strings.Join(lines, "\n"))
}
