package main

import "strings"

// panel is one picture. What is zero is left out.
type panel struct {
	kind, title, about string
	unit               string
	w, h               int
	row                bool // begins a new row of the page
	targets            []target
	options            obj
	custom             obj   // of its fields
	field              obj   // further defaults of its fields
	overrides          []any // of single fields
	transform          []any
	timeFrom           string
}

// target is one question to Prometheus. Every metric in it carries scope.
type target struct {
	expr    string
	legend  string
	instant bool // only the last value, as a table
	heat    bool
}

// scope narrows every metric to what is chosen at the top of the page.
const scope = `job=~"$job", instance=~"$instance"`

// list narrows further to the chosen watchlists.
const list = scope + `, watchlist=~"$watchlist"`

// q writes an expression: {} after a metric becomes the scope, {list} that with watchlists, {more} the scope with further matchers.
func q(expr string) string {
	s := strings.NewReplacer("{}", "{"+scope+"}", "{list}", "{"+list+"}", "{+", "{"+scope+", ", "{list+", "{"+list+", ")
	return s.Replace(expr)
}

// quantile is written in the form for native histograms and in that for classic ones: what is stored decides which of them has values.
func quantile(p, metric, by string) string {
	with := func(labels string) string {
		labels = strings.Trim(labels, ", ")
		if labels == "" {
			return "sum"
		}
		return "sum by (" + labels + ")"
	}
	return q("histogram_quantile(" + p + ", " + with(by) + " (rate(" + metric + "{}[$__rate_interval])))" +
		" or histogram_quantile(" + p + ", " + with(by+", le") + " (rate(" + metric + "_bucket{}[$__rate_interval])))")
}

func (p panel) json() obj {
	var targets []any
	for i, t := range p.targets {
		o := obj{"refId": refID(i), "expr": t.expr, "datasource": source(), "editorMode": "code", "legendFormat": t.legend, "range": true, "instant": false, "format": "time_series"}
		if t.instant {
			o["range"], o["instant"], o["format"] = false, true, "table"
		}
		if t.heat {
			o["format"] = "heatmap"
		}
		targets = append(targets, o)
	}
	defaults := obj{"unit": p.unit, "custom": orEmpty(p.custom), "mappings": []any{}, "color": obj{"mode": "palette-classic"}}
	for k, v := range p.field {
		defaults[k] = v
	}
	o := obj{
		"type": p.kind, "title": p.title, "description": p.about, "options": orEmpty(p.options),
		"fieldConfig": obj{"defaults": defaults, "overrides": p.overrides},
	}
	if p.overrides == nil {
		o["fieldConfig"].(obj)["overrides"] = []any{}
	}
	if p.targets != nil {
		o["targets"], o["datasource"] = targets, source()
	}
	if p.transform != nil {
		o["transformations"] = p.transform
	}
	if p.timeFrom != "" {
		o["timeFrom"] = p.timeFrom
	}
	return o
}

func orEmpty(o obj) obj {
	if o == nil {
		return obj{}
	}
	return o
}

// ranged and last make targets.
func ranged(expr, legend string) target { return target{expr: q(expr), legend: legend} }
func last(expr string) target           { return target{expr: q(expr), instant: true} }

// series is lines over time.
func series(title, about, unit string, w int, targets ...target) panel {
	return panel{
		kind: "timeseries", title: title, about: about, unit: unit, w: w, h: 8, targets: targets,
		options: obj{"legend": obj{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []any{}}, "tooltip": obj{"mode": "multi", "sort": "desc"}},
		custom:  obj{"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": false, "stacking": obj{"mode": "none", "group": "A"}},
	}
}

// bars are counts over time, one on the other.
func bars(title, about, unit string, w int, targets ...target) panel {
	p := series(title, about, unit, w, targets...)
	p.custom = obj{"drawStyle": "bars", "lineWidth": 0, "fillOpacity": 80, "showPoints": "never", "stacking": obj{"mode": "normal", "group": "A"}}
	return p
}

// number is one figure. good and bad are the thresholds: bad colours from its value on.
func number(title, about, unit string, w int, t target, limits obj) panel {
	return panel{
		kind: "stat", title: title, about: about, unit: unit, w: w, h: 4, targets: []target{t},
		options: obj{
			"reduceOptions": obj{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}, "colorMode": "value", "graphMode": "area",
			"textMode": "auto", "justifyMode": "auto", "orientation": "auto",
		},
		field: obj{"color": obj{"mode": "thresholds"}, "thresholds": limits},
	}
}

// limits colours green below the first value, then yellow, then red.
func limits(warn, bad float64) obj {
	return obj{"mode": "absolute", "steps": []any{obj{"color": "green", "value": nil}, obj{"color": "yellow", "value": warn}, obj{"color": "red", "value": bad}}}
}

// atLeast colours red below a value.
func atLeast(good float64) obj {
	return obj{"mode": "absolute", "steps": []any{obj{"color": "red", "value": nil}, obj{"color": "green", "value": good}}}
}

// plain colours nothing.
func plain() obj { return obj{"mode": "absolute", "steps": []any{obj{"color": "text", "value": nil}}} }

// states is a timeline of words.
func states(title, about string, w int, words map[string][2]string, targets ...target) panel {
	options := obj{}
	i := 0
	for _, v := range sortedKeys(words) {
		options[v] = obj{"text": words[v][0], "color": words[v][1], "index": i}
		i++
	}
	p := panel{
		kind: "state-timeline", title: title, about: about, unit: "none", w: w, h: 8, targets: targets,
		options: obj{"showValue": "auto", "rowHeight": 0.8, "mergeValues": true, "legend": obj{"showLegend": true, "displayMode": "list", "placement": "bottom"}, "tooltip": obj{"mode": "single"}},
		custom:  obj{"lineWidth": 0, "fillOpacity": 80},
		field:   obj{"color": obj{"mode": "thresholds"}, "thresholds": plain()},
	}
	if words != nil {
		p.field["mappings"] = []any{obj{"type": "value", "options": options}}
	}
	return p
}

// ranking is a row of horizontal bars of the last value.
func ranking(title, about, unit string, w int, t target, display string) panel {
	return panel{
		kind: "bargauge", title: title, about: about, unit: unit, w: w, h: 8, targets: []target{t},
		options: obj{
			"displayMode": "gradient", "orientation": "horizontal", "showUnfilled": true, "valueMode": "color", "namePlacement": "auto", "sizing": "auto",
			"reduceOptions": obj{"calcs": []string{"lastNotNull"}, "fields": "", "values": true, "limit": 20}, "minVizWidth": 8, "minVizHeight": 16,
		},
		field: obj{"color": obj{"mode": "continuous-BlPu"}, "displayName": display, "min": 0},
	}
}
