package main

func pipeline() dashboard {
	return dashboard{
		uid: "tocsin-pipeline", title: "Pipeline", from: "6h",
		about: "How fast and how well the machinery runs: freshness, latency of each stage, lag, ledger, bus and memory.",
		panels: []panel{
			number("Longest not reached", "Time since the feed that has waited longest was reached. Paused feeds are left out.", "s", 4,
				ranged(`max(time() - tocsin_feed_last_success_timestamp_seconds{} and on (job, instance, feed) tocsin_feed_state{} > 0)`, "age"), limits(3600, 86400)),
			number("Age of the last test item", "Over 45 s something stands still.", "s", 4,
				ranged(`time() - max(tocsin_canary_last_delivered_timestamp_seconds{})`, "age"), limits(30, 45)),
			number("Deliveries unaccounted for", "Asked for by alerts and routes, and the ledger has not said a word for 30 s. Must be 0.", "short", 4,
				ranged(`sum(tocsin_ledger_mismatch{})`, "missing"), limits(1, 1)),
			number("Dead letters", "Given up in the chosen time, all stages.", "short", 4, last(`sum(increase(tocsin_dead_letters_total{}[$__range]))`), limits(1, 10)),
			number("Store", "1 while the store is full and publishes are refused.", "none", 4, ranged(`max(tocsin_bus_store_full{})`, "full"), limits(1, 1)),
			number("Bus", "1 while every process is connected to its bus.", "none", 4, ranged(`min(tocsin_bus_connected{})`, "connected"), atLeast(1)),
			series("Latency, 95th percentile", "From published to seen (which depends on the outlet), from seen to alert, and from seen to delivered.", "s", 12,
				target{expr: quantile("0.95", "tocsin_publish_to_seen_seconds", ""), legend: "published to seen"},
				target{expr: quantile("0.95", "tocsin_seen_to_alert_seconds", ""), legend: "seen to alert"},
				target{expr: quantile("0.95", "tocsin_seen_to_delivered_seconds", ""), legend: "seen to delivered"}),
			heat(),
			series("Messages waiting", "Messages that each consumer has still to take.", "short", 8, ranged(`max by (consumer) (tocsin_consumer_pending{})`, "{{consumer}}")),
			series("Messages in hand", "Messages that are being worked on, or wait for another try.", "short", 8, ranged(`max by (consumer) (tocsin_consumer_ack_pending{})`, "{{consumer}}")),
			series("Time since progress", "How long ago each stage last finished a message. A stage without work is idle, not stuck.", "s", 8,
				ranged(`time() - max by (stage) (tocsin_stage_last_progress_timestamp_seconds{})`, "{{stage}}")),
			series("Items", "Items by stage and outcome.", "cps", 12, ranged(`sum by (stage, outcome) (rate(tocsin_items_total{}[$__rate_interval]))`, "{{stage}} {{outcome}}")),
			series("Time of a write", "From a publish to the server's word that it is on disk, median and 99th percentile.", "s", 12,
				target{expr: quantile("0.5", "tocsin_bus_publish_seconds", ""), legend: "median"},
				target{expr: quantile("0.99", "tocsin_bus_publish_seconds", ""), legend: "99 %"}),
			series("Faults of the bus", "Messages that limits removed unread, messages that were planned again, restarts of the server in place.", "short", 8,
				ranged(`sum(increase(tocsin_consumer_dropped_total{}[$__rate_interval]))`, "dropped"),
				ranged(`sum(increase(tocsin_consumer_rescued_total{}[$__rate_interval]))`, "rescued"),
				ranged(`sum(increase(tocsin_deliveries_rescued_total{}[$__rate_interval]))`, "deliveries rescued"),
				ranged(`sum(increase(tocsin_bus_server_restarts_total{}[$__rate_interval]))`, "restarts")),
			series("Clock", "Jumps of the clock, and how far it is from that of Prometheus.", "s", 8,
				ranged(`sum(increase(tocsin_clock_jumps_total{}[$__rate_interval]))`, "jumps"),
				ranged(`max(abs(tocsin_clock_timestamp_seconds{} - timestamp(tocsin_clock_timestamp_seconds{})))`, "difference")),
			series("Memory", "Resident memory of each process.", "bytes", 8, ranged(`process_resident_memory_bytes{}`, "{{instance}}")),
			series("Time series", "Series that each process serves, and the most that its configuration can make.", "short", 8,
				ranged(`scrape_samples_scraped{}`, "served by {{instance}}"), ranged(`tocsin_series_limit{}`, "limit of {{instance}}")),
			states("Writes synced", "Whether every server is known to sync each write to disk.", 8,
				map[string][2]string{"0": {"not known", "yellow"}, "1": {"synced", "green"}}, ranged(`min by (instance) (tocsin_bus_sync_always{})`, "{{instance}}")),
			series("Stories", "Stories whose updates are recognised, and alerts that may still change.", "short", 8,
				ranged(`max(tocsin_stories_open{})`, "stories"), ranged(`max(tocsin_alerts_open{})`, "alerts")),
			bars("Stories joined late or put away", "Stories that turned out to be one after both were told, and stories that were forgotten early to save memory.", "short", 8,
				ranged(`sum(increase(tocsin_story_merges_late_total{}[$__rate_interval]))`, "joined late"), ranged(`sum(increase(tocsin_stories_evicted_total{}[$__rate_interval]))`, "put away")),
		},
	}
}

func heat() panel {
	return panel{
		kind: "heatmap", title: "Seen to delivered", about: "How long deliveries took, from first seen to the endpoint's answer. Held ones are left out.", unit: "short", w: 12, h: 8,
		targets: []target{{
			expr:   q(`sum(rate(tocsin_seen_to_delivered_seconds{}[$__rate_interval])) or sum by (le) (rate(tocsin_seen_to_delivered_seconds_bucket{}[$__rate_interval]))`),
			legend: "{{le}}", heat: true,
		}},
		options: obj{
			"calculate": false, "yAxis": obj{"unit": "s", "axisPlacement": "left", "reverse": false}, "cellGap": 1, "showValue": "never",
			"color":     obj{"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5, "fill": "dark-orange", "reverse": false},
			"rowsFrame": obj{"layout": "auto"}, "legend": obj{"show": true}, "tooltip": obj{"mode": "single", "yHistogram": false},
			"exemplars": obj{"color": "rgba(255,0,255,0.7)"}, "filterValues": obj{"le": 1e-9},
		},
	}
}
