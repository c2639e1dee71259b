package main

func watchlists() dashboard {
	return dashboard{
		uid: "tocsin-watchlists", title: "Watchlists", from: "7d", vars: []obj{watchlistVar()},
		about: "How good the lists are: what hits, what it costs, what never hits, what people thought of it, and whether the last edit went live.",
		panels: []panel{
			states("Last load of files", "Refused: the edit has no effect, and what was accepted last keeps running. `tocsin reload` prints the faults.", 12,
				map[string][2]string{"0": {"refused", "red"}, "1": {"accepted", "green"}}, ranged(`min by (what) (tocsin_config_last_reload_successful{})`, "{{what}}")),
			table("Live lists", "Revision and size of each list.", 12,
				[]target{last(`max by (watchlist, version) (tocsin_watchlist_info{list})`), last(`max by (watchlist) (tocsin_watchlist_entities{list})`)},
				column{field: "watchlist", name: "Watchlist"}, column{field: "version", name: "Revision"}, column{field: value(1, 2), name: "Entities"}),
			series("Last accepted", "How long ago files of each kind were last accepted.", "s", 12, ranged(`time() - max by (what) (tocsin_config_last_reload_success_timestamp_seconds{})`, "{{what}}")),
			series("Matches", "Matches of each list.", "cps", 12, ranged(`sum by (watchlist) (rate(tocsin_matches_total{list}[$__rate_interval]))`, "{{watchlist}}")),
			table("Hits too often", "The entities and rules with most matches in the chosen time. An alias that is an everyday word stands here.", 12,
				[]target{last(`topk(15, sum by (watchlist, entity) (increase(tocsin_matches_total{list}[$__range])) > 0)`)},
				column{field: "watchlist", name: "Watchlist"}, column{field: "entity", name: "Entity or rule"}, column{field: "Value", name: "Matches"}),
			table("Never hits", "Entities and rules without a match in the chosen time. Is the spelling right, is the language watched?", 12,
				[]target{last(`sum by (watchlist, entity) (increase(tocsin_matches_total{list}[$__range])) == 0`)},
				column{field: "watchlist", name: "Watchlist"}, column{field: "entity", name: "Entity or rule"}),
			ranking("Cost of rules", "Processor time of each rule in the chosen time; the twenty dearest.", "s", 12,
				last(`topk(20, sum by (watchlist, rule) (increase(tocsin_rule_cost_seconds_total{list}[$__range])))`), "${__field.labels.rule}"),
			ranking("Hits of rules", "Items for which each rule held; the twenty with most.", "short", 12,
				last(`topk(20, sum by (watchlist, rule) (increase(tocsin_rule_hits_total{list}[$__range])))`), "${__field.labels.rule}"),
			table("Precision by feedback", "Share of verdicts that say useful, of useful and noise, since 30 days before the last start. Few verdicts say little.", 12,
				[]target{
					last(`sum by (watchlist, entity) (tocsin_feedback_total{list+verdict="useful"}) / sum by (watchlist, entity) (tocsin_feedback_total{list+verdict=~"useful|noise"})`),
					last(`sum by (watchlist, entity) (tocsin_feedback_total{list})`),
				},
				column{field: "watchlist", name: "Watchlist"}, column{field: "entity", name: "Entity or rule"},
				column{field: value(0, 2), name: "Precision", unit: "percentunit"}, column{field: value(1, 2), name: "Verdicts"}),
			series("Verdicts", "What people said of alerts, since 30 days before the last start.", "short", 12, ranged(`sum by (verdict) (tocsin_feedback_total{list})`, "{{verdict}}")),
		},
	}
}
