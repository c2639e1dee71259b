package fetcher

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/mmcdole/gofeed"
)

// maxObjects bounds the objects of a document: each may become a large value. Depth is safe, encoding/json stops at 10,000.
const maxObjects = 250_000

// parseJSON reads JSON Feed 1.0 and 1.1 (jsonfeed.org). What follows the first value is ignored.
func parseJSON(text []byte, doc *Document) (Result, error) {
	if n := jsonObjects(text); n > maxObjects {
		return Result{}, fault(ReasonRefusedSize, "more than %d objects", maxObjects)
	}
	var value json.RawMessage
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&value); err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return Result{}, fault(ReasonCut, "the document ends too early")
		}
		return Result{}, fault(ReasonUnparseable, "%s", short(err.Error(), 160))
	}
	var probe struct {
		Version any               `json:"version"`
		Expired any               `json:"expired"`
		Items   []json.RawMessage `json:"items"`
		Hubs    []struct {
			Type string `json:"type"`
			URL  string `json:"url"`
		} `json:"hubs"`
	}
	err := json.Unmarshal(value, &probe)
	if v, _ := probe.Version.(string); !strings.Contains(v, "jsonfeed.org") && probe.Items == nil {
		return Result{}, fault(ReasonNotFeed, "JSON without version and items of a JSON Feed")
	}
	feed, dropped, err := parseJSONFeed(value, err)
	if err != nil {
		return Result{}, fault(ReasonUnparseable, "%s", short(err.Error(), 160))
	}
	f := filler{doc: doc, feed: feed, out: &outline{}}
	res := f.result()
	res.Dropped += dropped
	res.Ended = probe.Expired == true
	for _, h := range probe.Hubs {
		if strings.EqualFold(h.Type, "websub") && res.Hub == "" {
			res.Hub = h.URL
		}
	}
	return res, nil
}

// parseJSONFeed lets gofeed read the value; when a field has the wrong type, the value is written anew with fields of the right types.
func parseJSONFeed(value []byte, probed error) (*gofeed.Feed, int, error) {
	feed, err := newParser().Parse(bytes.NewReader(value))
	if err == nil && probed == nil {
		return feed, 0, nil
	}
	fixed, dropped := coerceFeed(value)
	if fixed == nil {
		return nil, 0, errors.Join(err, probed)
	}
	feed, err = newParser().Parse(bytes.NewReader(fixed))
	return feed, dropped, err
}

// coerceFeed keeps the fields that gofeed reads, in the types that it wants. Items that are no objects are dropped.
func coerceFeed(value []byte) (fixed []byte, dropped int) {
	var in map[string]any
	if json.Unmarshal(value, &in) != nil {
		return nil, 0
	}
	out := map[string]any{"version": "https://jsonfeed.org/version/1.1"}
	texts(in, out, "version", "title", "home_page_url", "feed_url", "description", "language", "next_url")
	list, _ := in["items"].([]any)
	items := []any{}
	for _, x := range list {
		item, ok := x.(map[string]any)
		if !ok {
			dropped++
			continue
		}
		o := map[string]any{}
		texts(item, o, "id", "url", "external_url", "title", "content_html", "content_text", "summary", "date_published", "date_modified", "language")
		o["tags"] = textList(item["tags"])
		o["authors"] = authors(item["authors"], item["author"])
		items = append(items, o)
	}
	out["items"] = items
	fixed, err := json.Marshal(out)
	if err != nil {
		return nil, 0
	}
	return fixed, dropped
}

// texts copies fields that are texts or numbers, as texts.
func texts(in, out map[string]any, names ...string) {
	for _, n := range names {
		switch v := in[n].(type) {
		case string:
			out[n] = v
		case float64:
			b, err := json.Marshal(v)
			if err == nil {
				out[n] = string(b)
			}
		}
	}
}

// textList takes a list of texts, or one text with commas.
func textList(v any) []string {
	var out []string
	switch v := v.(type) {
	case string:
		for _, s := range strings.Split(v, ",") {
			if s = strings.TrimSpace(s); s != "" {
				out = append(out, s)
			}
		}
	case []any:
		for _, x := range v {
			if s, ok := x.(string); ok {
				out = append(out, s)
			}
		}
	}
	return out
}

// authors takes objects with a name, or plain names.
func authors(list, one any) []any {
	all, ok := list.([]any)
	if !ok {
		all = []any{list, one}
	}
	out := []any{}
	for _, a := range all {
		switch a := a.(type) {
		case string:
			out = append(out, map[string]any{"name": a})
		case map[string]any:
			if name, ok := a["name"].(string); ok {
				out = append(out, map[string]any{"name": name})
			}
		}
	}
	return out
}

// jsonObjects counts the objects of a document outside its texts.
func jsonObjects(text []byte) int {
	n, inText := 0, false
	for i := 0; i < len(text); i++ {
		switch b := text[i]; {
		case inText && b == '\\':
			i++
		case b == '"':
			inText = !inText
		case !inText && b == '{':
			n++
		}
	}
	return n
}
