package watchlist

import (
	"testing"
	"testing/fstest"
)

const sample = `id: armed-groups
title: Armed groups
severity: high
labels: {region: afpak}
contexts:
  militancy: {en: [militant*, attack*], ur: [حملہ]}
entities:
  - id: ttk
    name: Tehrik-e-Taliban Kashmir
    kind: organisation
    aliases:
      en:
        - Tehrik-e-Taliban Kashmir
        - {text: TTK, case: exact, needs: {any: [$militancy, kashmir], within: 40}, unless: [prestige]}
      ur: [تحریک طالبان کشمیر]
    decoys: [TTK Prestige]
    flag: ["The TTK claimed the ambush near the Line of Control."]
    ignore: ["TTK Prestige shares rose 4%."]
rules:
  - id: drones
    title: Drones
    severity: critical
    query: '@ttk NEAR/40 (drone* OR 无人机) AND NOT "drone show"'
    flag: ["TTK drones."]
  - id: rail
    score: {at_least: 20, words: {railway: 10, "@ttk": 15, blast*: 10}}
    flag: ["TTK blast on railway."]
`

func TestLoad(t *testing.T) {
	set, fs := Load(fstest.MapFS{"armed-groups.yaml": {Data: []byte(sample)}})
	if len(fs) > 0 {
		t.Fatal(fs)
	}
	l := set.Lists[0]
	if len(l.Entities) != 1 || len(l.Rules) != 2 || len(l.Entities[0].Aliases) != 3 || l.Rules[0].Query.String() == "" {
		t.Fatalf("read %+v", l)
	}
}
