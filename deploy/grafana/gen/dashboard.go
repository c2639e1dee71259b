package main

import (
	"strconv"
	"strings"
)

// obj is a JSON object. Its keys are written sorted.
type obj map[string]any

// dashboard is one page of Grafana.
type dashboard struct {
	uid, title, about string
	from              string // how far back it looks when opened
	vars              []obj  // beside those of every dashboard
	panels            []panel
}

func (d dashboard) file() string { return strings.TrimPrefix(d.uid, "tocsin-") + ".json" }

func source() obj { return obj{"type": "prometheus", "uid": "${datasource}"} }

func (d dashboard) json() obj {
	vars := []any{
		obj{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1, "regex": "", "hide": 0, "current": obj{}, "options": []any{}, "multi": false, "includeAll": false},
		query("job", "Job", `label_values(tocsin_build_info, job)`),
		query("instance", "Instance", `label_values(tocsin_build_info{job=~"$job"}, instance)`),
	}
	for _, v := range d.vars {
		vars = append(vars, v)
	}
	return obj{
		"uid": d.uid, "title": "Tocsin / " + d.title, "description": d.about, "tags": []string{"tocsin"}, "schemaVersion": 42, "version": 1,
		"editable": false, "timezone": "browser", "graphTooltip": 1, "refresh": "30s", "time": obj{"from": "now-" + d.from, "to": "now"},
		"timepicker": obj{}, "fiscalYearStartMonth": 0, "weekStart": "", "liveNow": false, "style": "dark", "id": nil,
		"links":       links(d.uid),
		"templating":  obj{"list": vars},
		"annotations": obj{"list": annotations()},
		"panels":      place(d.panels),
	}
}

// query is a variable with the values that Prometheus has at the time that is shown.
func query(name, label, expr string) obj {
	return obj{
		"name": name, "label": label, "type": "query", "datasource": source(), "definition": expr, "query": obj{"query": expr, "refId": "V"},
		"refresh": 2, "sort": 1, "regex": "", "hide": 0, "multi": true, "includeAll": true, "allValue": ".*",
		"current": obj{"text": []string{"All"}, "value": []string{"$__all"}}, "options": []any{},
	}
}

// links lead from each dashboard to the others, and keep time and variables.
func links(self string) []any {
	var out []any
	for _, l := range []struct{ uid, title string }{
		{"tocsin-analyst", "Analyst"}, {"tocsin-silence", "Silence"}, {"tocsin-pipeline", "Pipeline"}, {"tocsin-delivery", "Delivery"}, {"tocsin-watchlists", "Watchlists"},
	} {
		if l.uid != self {
			out = append(out, obj{
				"type": "link", "title": l.title, "url": "/d/" + l.uid, "icon": "dashboard", "keepTime": true, "includeVars": true,
				"targetBlank": false, "asDropdown": false, "tags": []any{}, "tooltip": "",
			})
		}
	}
	return out
}

// annotations are alerts that the channel grafana wrote, and marks of reloads and releases that Prometheus knows.
func annotations() []any {
	return []any{
		obj{
			"name": "Alerts", "enable": true, "hide": false, "iconColor": "red", "builtIn": 0, "datasource": obj{"type": "grafana", "uid": "-- Grafana --"},
			"target": obj{"type": "tags", "tags": []string{"tocsin"}, "matchAny": false, "limit": 100},
		},
		mark("Reloads", "blue", `changes(tocsin_config_last_reload_success_timestamp_seconds{`+scope+`}[$__rate_interval]) > 0`, "{{what}} reloaded"),
		mark("Releases", "green", `tocsin_build_info{`+scope+`} unless tocsin_build_info{`+scope+`} offset 5m`, "version {{version}}"),
	}
}

func mark(name, colour, expr, title string) obj {
	return obj{
		"name": name, "enable": true, "hide": false, "iconColor": colour, "datasource": source(), "expr": expr, "titleFormat": title, "step": "60s",
		"useValueForTime": false,
	}
}

// width is that of Grafana's grid.
const width = 24

// place lays the panels out in rows, left to right, and numbers them.
func place(panels []panel) []any {
	var out []any
	x, y, tallest := 0, 0, 0
	for i, p := range panels {
		if x+p.w > width || p.row {
			x, y, tallest = 0, y+tallest, 0
		}
		j := p.json()
		j["id"], j["gridPos"] = i+1, obj{"x": x, "y": y, "w": p.w, "h": p.h}
		out = append(out, j)
		x, tallest = x+p.w, max(tallest, p.h)
	}
	return out
}

// refID names the targets of a panel: A, B, C.
func refID(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return "T" + strconv.Itoa(i)
}
