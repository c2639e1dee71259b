package main

import (
	"maps"
	"slices"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// column is one column of a table: the label or value that it shows, under which name and in which unit.
type column struct {
	field, name, unit string
	words             map[string]string // names of numbers
}

// table joins the last values of its targets by their labels and shows the named columns in this order.
func table(title, about string, w int, targets []target, columns ...column) panel {
	names, order, keep := obj{}, obj{}, []any{}
	var overrides []any
	for i, c := range columns {
		names[c.field], order[c.field] = c.name, i
		keep = append(keep, c.field)
		properties := []any{}
		if c.unit != "" {
			properties = append(properties, obj{"id": "unit", "value": c.unit})
		}
		if c.words != nil {
			options := obj{}
			for i, v := range sortedKeys(c.words) {
				options[v] = obj{"text": c.words[v], "index": i}
			}
			properties = append(properties, obj{"id": "mappings", "value": []any{obj{"type": "value", "options": options}}})
		}
		if len(properties) > 0 {
			overrides = append(overrides, obj{"matcher": obj{"id": "byName", "options": c.name}, "properties": properties})
		}
	}
	return panel{
		kind: "table", title: title, about: about, unit: "short", w: w, h: 10, targets: targets,
		options:   obj{"showHeader": true, "cellHeight": "sm", "footer": obj{"show": false, "reducer": []string{"sum"}, "fields": ""}},
		custom:    obj{"align": "auto", "cellOptions": obj{"type": "auto"}, "inspect": false, "filterable": true},
		overrides: overrides,
		transform: []any{
			obj{"id": "merge", "options": obj{}},
			obj{"id": "filterFieldsByName", "options": obj{"include": obj{"names": keep}}},
			obj{"id": "organize", "options": obj{"renameByName": names, "indexByName": order, "excludeByName": obj{}}},
		},
	}
}

// value is the field in which the answer to the n-th of several targets stands.
func value(n, of int) string {
	if of == 1 {
		return "Value"
	}
	return "Value #" + refID(n)
}
