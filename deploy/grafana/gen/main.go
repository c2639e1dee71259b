// Command gen writes the dashboards of Tocsin as classic JSON (schemaVersion 42) for Grafana 11 and later. It owns their content and layout; what
// lies in deploy/grafana/dashboards is its output, and a test compares both. It promises the same bytes for the same program, no plugin, no fixed
// data source and no library panel. Importing them is left to Grafana's provisioning files beside it.
//
//	go run ./deploy/grafana/gen deploy/grafana/dashboards
//	go run ./deploy/grafana/gen -alerts 'https://desk.example.org/alerts.rss?token=...' FOLDER
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	alerts := flag.String("alerts", "http://127.0.0.1:8470/alerts.rss", "where the browsers of analysts find the `feed` of alerts")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: gen [-alerts ADDRESS] FOLDER")
		os.Exit(2)
	}
	if err := write(flag.Arg(0), *alerts); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func write(dir, alerts string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, d := range []dashboard{analyst(alerts), silence(), pipeline(), delivery(), watchlists()} {
		b, err := encode(d.json())
		if err != nil {
			return fmt.Errorf("dashboard %s: %w", d.uid, err)
		}
		if err := os.WriteFile(filepath.Join(dir, d.file()), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// encode writes JSON with sorted keys, two spaces and plain <, > and &.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}
