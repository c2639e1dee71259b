package watchlist

import (
	"bytes"
	"encoding/json"

	"tocsin/news"
)

// Schema is the JSON Schema (draft 2020-12) of a watchlist file, for editors: completion, descriptions, and the faults of shape. What needs
// more than one place of a file, or the grammar of queries, only Load can judge.
func Schema() []byte {
	s := object("A watchlist: the entities and rules that one kind of reader wants to hear about.", []string{"id"}, props{
		"id":       described(ref("id"), "Short name of the list; equals the file name without .yaml."),
		"title":    text1("Name of the list for people."),
		"severity": described(ref("severity"), "Severity of every entity and rule that states none. Default: medium."),
		"labels":   described(ref("labels"), "Labels for routes; every match of this list carries them."),
		"sources":  sourcesSchema(),
		"contexts": contextsSchema(),
		"entities": list("What is watched.", ref("entity")),
		"rules":    list("Queries, or sums of points, over entities and words.", ref("rule")),
	})
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "Tocsin watchlist"
	s["anyOf"] = []any{required("entities"), required("rules")}
	s["$defs"] = definitions()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		panic(err) // maps of strings and numbers always encode
	}
	return bytes.TrimSpace(b.Bytes())
}

type props = map[string]any

func ref(name string) props { return props{"$ref": "#/$defs/" + name} }

func described(p props, text string) props {
	p["description"] = text
	return p
}

func required(keys ...string) props { return props{"required": keys} }

func object(text string, need []string, p props) props {
	o := props{"type": "object", "description": text, "additionalProperties": false, "properties": p}
	if len(need) > 0 {
		o["required"] = need
	}
	return o
}

func list(text string, items props) props {
	return props{"type": "array", "description": text, "items": items}
}

// text1 is a text that is not blank. YAML reads 1000 as a number; the strict reader takes it as a text, and so does the schema.
func text1(text string) props {
	return props{"type": []string{"string", "number"}, "pattern": `\S`, "description": text}
}

// byLang is a list of items, or such lists under language codes.
func byLang(text string, items props) props {
	plain := props{"type": "array", "items": items}
	return props{"description": text, "anyOf": []any{
		plain,
		props{"type": "object", "propertyNames": ref("lang"), "additionalProperties": plain},
	}}
}

func definitions() props {
	return props{
		"id":        props{"type": "string", "pattern": kebab.String(), "maxLength": maxID, "description": "Lower-case letters and digits joined by hyphens; unique over all lists."},
		"severity":  props{"enum": news.Severities(), "description": "How much it matters, in rising order."},
		"lang":      props{"enum": append([]string{AnyLang}, Langs()...), "description": "Language code (BCP 47 primary subtag), or any."},
		"labels":    labelsSchema(),
		"term":      termSchema(),
		"terms":     byLang("Words, phrases, prefixes*, $contexts and @entities; a plain list counts in any language.", ref("term")),
		"condition": conditionSchema(),
		"within":    props{"type": "integer", "minimum": 1, "maximum": MaxWithin, "description": "Distance in words within one field. Without it: anywhere in the item."},
		"alias":     aliasSchema(),
		"sentence":  sentenceSchema(),
		"entity":    entitySchema(),
		"rule":      ruleSchema(),
	}
}

func labelsSchema() props {
	return props{
		"type": "object", "propertyNames": props{"pattern": labelKey.String()},
		"additionalProperties": props{"type": []string{"string", "number", "boolean"}, "pattern": `\S`},
		"description":          "Labels for routes: names of small letters and _, values of your choice.",
		"examples":             []any{props{"region": "afpak"}},
	}
}

func sourcesSchema() props {
	return object("Which items the list looks at. Empty: all.", nil, props{
		"langs": list("Languages of the items.", ref("lang")),
		"feeds": list("Feeds, by feed id or name of the outlet.", text1("Feed id or outlet.")),
	})
}

func contextsSchema() props {
	return props{
		"type": "object", "propertyNames": props{"pattern": kebab.String()}, "additionalProperties": ref("terms"),
		"description": "Named word sets, used as $name in needs, unless, queries and scores. Per language: {militancy: {en: [attack*], ur: [حملہ]}}.",
	}
}

func termSchema() props {
	const name = `[a-z0-9]+(-[a-z0-9]+)*`
	return props{
		"type": []string{"string", "number"}, "pattern": `^\s*(\$` + name + `|@` + name + `|[^*$@\s][^*]*\*?)\s*$`,
		"description": "A word or phrase, an open word such as militan*, a $context or an \"@entity\" (in quotes, YAML wants them).",
		"examples":    []string{"ambush", "line of control", "militan*", "$militancy", "@ttp"},
	}
}

func conditionSchema() props {
	o := object("What must stand near the alias.", nil, props{
		"any":    described(ref("terms"), "At least one of these."),
		"all":    described(ref("terms"), "Each of these."),
		"within": ref("within"),
	})
	o["anyOf"] = []any{required("any"), required("all")}
	return props{
		"description": "Words near an alias: a list (at least one of them), or {any: [...], all: [...], within: 40}.",
		"anyOf":       []any{props{"type": "array", "items": ref("term"), "minItems": 1}, o},
	}
}

func aliasSchema() props {
	text := text1("The written form, as it stands in news. Case, accents, Arabic letter variants and hyphens are forgiven.")
	text["maxLength"] = MaxAlias
	o := object("A written form with its conditions.", []string{"text"}, props{
		"text":       text,
		"case":       props{"enum": []string{"exact"}, "description": "exact: letter case and accents must be as written. For acronyms that are words too."},
		"needs":      described(ref("condition"), "Counts only with these near; replaces the needs of the entity."),
		"unless":     described(ref("condition"), "Does not count with these near; replaces the unless of the entity."),
		"within":     described(ref("within"), "Distance of needs, in words."),
		"inflect":    props{"type": "boolean", "description": "Whether endings of the language are forgiven. Default: by language, never for acronyms."},
		"unattested": props{"type": "boolean", "description": "true: nobody has seen this form in real text yet; a reader of the language should confirm it."},
	})
	return props{"anyOf": []any{text, o}}
}

func sentenceSchema() props {
	return props{"anyOf": []any{
		text1("A sentence as it could stand in news."),
		object("A sentence with its language.", []string{"text"}, props{"text": text1("The sentence."), "lang": ref("lang")}),
	}}
}

// common are the keys that entities and rules share.
func common(what string, p props) props {
	p["id"] = described(ref("id"), "Short name of the "+what+", unique over all lists.")
	p["about"] = text1("One line for people, shown in alerts.")
	p["severity"] = ref("severity")
	p["labels"] = ref("labels")
	p["flag"] = list("Sentences that must flag this "+what+". tocsin check and every reload prove them.", ref("sentence"))
	p["ignore"] = list("Sentences that must not flag this "+what+".", ref("sentence"))
	return p
}

func entitySchema() props {
	return object("One watched thing.", []string{"id", "name", "aliases"}, common("entity", props{
		"name":    text1("Name for people."),
		"kind":    props{"enum": Kinds(), "description": "What it is."},
		"aliases": byLang("Its written forms per language: {en: [Name, {text: ABC, case: exact, needs: [$militancy]}]}.", ref("alias")),
		"decoys":  described(ref("terms"), "Longer phrases inside which an alias does not count: TTK Prestige."),
		"needs":   described(ref("condition"), "For every alias without needs of its own."),
		"unless":  described(ref("condition"), "For every alias without unless of its own."),
	}))
}

func ruleSchema() props {
	o := object("A query, or a sum of points.", []string{"id"}, common("rule", props{
		"title": text1("Name for people."),
		"query": props{
			"type": "string", "pattern": `\S`, "maxLength": MaxQuery,
			"description": "Words, \"phrases\", prefix*, @entity, $context; AND OR NOT; NEAR/n, ONEAR/n (in that order); ATLEAST/n(...); title:(...) summary: body:; lang:ru; feed:id; case:\"TTP\".",
			"examples":    []string{`(@afghan-taliban OR @ttp) NEAR/40 (drone* OR UAV) AND NOT "drone show"`},
		},
		"score": object("Points for words; the rule holds when the points of the words that occur reach at_least.", []string{"at_least", "words"}, props{
			"at_least": props{"type": "integer", "minimum": 1, "description": "Points that an item must reach."},
			"words": props{
				"type": "object", "minProperties": 1, "propertyNames": ref("term"), "description": "Points of each word, once an item: {railway: 10, \"@bla\": 15, film: -20}.",
				"additionalProperties": props{"type": "integer", "minimum": -maxPoints, "maximum": maxPoints, "not": props{"const": 0}},
			},
		}),
	}))
	o["oneOf"] = []any{required("query"), required("score")}
	return o
}
