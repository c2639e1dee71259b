package main

func watchlistVar() obj {
	return query("watchlist", "Watchlist", `label_values(tocsin_watchlist_info{job=~"$job", instance=~"$instance"}, watchlist)`)
}

func analyst(alerts string) dashboard {
	return dashboard{
		uid: "tocsin-analyst", title: "Analyst", from: "24h", vars: []obj{watchlistVar()},
		about: "What was found: the latest alerts, who is mentioned how often, and when it was last. Whether silence can be trusted stands on Silence.",
		panels: []panel{
			news(alerts),
			bars("Alerts", "First alerts of each list by severity. Updates and repetitions are left out.", "short", 14,
				ranged(`sum by (watchlist, severity) (increase(tocsin_alerts_total{list+kind="first"}[$__rate_interval]))`, "{{watchlist}} {{severity}}")),
			number("Alerts in this time", "First alerts, all chosen lists.", "short", 4,
				last(`sum(increase(tocsin_alerts_total{list+kind="first"}[$__range]))`), plain()),
			number("Feeds alive", "Share of the feeds that are reached and bring items as often as they usually do. Below 1 silence says less.", "percentunit", 4,
				ranged(`sum(tocsin_feeds{+state="live"}) / sum(tocsin_feeds{+state!="paused"})`, "alive"), atLeast(0.9)),
			number("Active silences", "Silences that mute alerts now. `tocsin silence list` names them.", "short", 3,
				ranged(`max(tocsin_silences_active{})`, "silences"), limits(1, 20)),
			number("Last match", "When anything watched was last mentioned.", "dateTimeFromNow", 3,
				ranged(`1000 * max(tocsin_entity_last_match_timestamp_seconds{list})`, "last match"), plain()),
			ranking("Matches by entity", "Items of the chosen time that mention each entity or meet each rule; the twenty with most.", "short", 12,
				last(`topk(20, sum by (watchlist, entity) (increase(tocsin_matches_total{list}[$__range])) > 0)`), "${__field.labels.entity}"),
			table("Last match of each entity", "When each entity or rule was last mentioned. Those that never were since the start are not listed; see Watchlists.", 12,
				[]target{last(`1000 * max by (watchlist, entity) (tocsin_entity_last_match_timestamp_seconds{list})`)},
				column{field: "watchlist", name: "Watchlist"}, column{field: "entity", name: "Entity"}, column{field: "Value", name: "Last match", unit: "dateTimeFromNow"}),
			activity("Story activity", "Alerts and updates of each list: where a story goes on, the colour stays.", 12, "",
				ranged(`sum by (watchlist) (increase(tocsin_alerts_total{list+kind=~"first|update"}[$__rate_interval]))`, "{{watchlist}}")),
			activity("Heat of the week", "Matches of each list over the last seven days, whatever time is chosen above.", 12, "7d",
				ranged(`sum by (watchlist) (increase(tocsin_matches_total{list}[$__rate_interval]))`, "{{watchlist}}")),
			share("Languages", "Items of the chosen time by the language of their feed.", "lang"),
			share("Outlets", "Items of the chosen time by outlet; the ten with most.", "outlet"),
			share("Countries", "Items of the chosen time by the country of their feed.", "country"),
		},
	}
}

// news shows headlines without a plugin. The browser loads the feed, so the address must be reachable from the analyst's desk, http.feeds.origins
// must name Grafana's origin, and with a token it ends in ?token=... The panel knows no variables.
func news(alerts string) panel {
	return panel{
		kind: "news", title: "Latest alerts", unit: "none", w: 10, h: 16,
		about:   "Loaded by your browser, not by Grafana, from " + alerts + ". Empty or an error: see deploy/grafana/README.md.",
		options: obj{"feedUrl": alerts, "showImage": false},
	}
}

func activity(title, about string, w int, from string, t target) panel {
	p := states(title, about, w, nil, t)
	p.timeFrom = from
	p.field = obj{"color": obj{"mode": "continuous-YlRd"}, "min": 0, "decimals": 0, "thresholds": plain()}
	return p
}

func share(title, about, label string) panel {
	return panel{
		kind: "piechart", title: title, about: about, unit: "short", w: 8, h: 8,
		targets: []target{last(`topk(10, sum by (` + label + `) (increase(tocsin_feed_items_total{}[$__range]) * on (job, instance, feed) group_left (` + label + `) tocsin_feed_info{}))`)},
		options: obj{
			"pieType": "donut", "reduceOptions": obj{"calcs": []string{"lastNotNull"}, "fields": "", "values": true}, "displayLabels": []string{},
			"legend": obj{"displayMode": "table", "placement": "right", "showLegend": true, "values": []string{"percent", "value"}}, "tooltip": obj{"mode": "single", "sort": "desc"},
		},
		field: obj{"displayName": "${__field.labels." + label + "}"},
	}
}
