package main

func delivery() dashboard {
	return dashboard{
		uid: "tocsin-delivery", title: "Delivery", from: "24h",
		vars:  []obj{query("channel", "Channel", `label_values(tocsin_outbox_pending{job=~"$job", instance=~"$instance"}, channel)`)},
		about: "What became of alerts on their way to people: outcomes, attempts, queues, circuits and the ledger.",
		panels: []panel{
			bars("Outcomes", "Deliveries that came to rest: delivered, dead, or suppressed with a reason in the ledger.", "short", 12,
				ranged(`sum by (channel, outcome) (increase(tocsin_deliveries_total{+channel=~"$channel"}[$__rate_interval]))`, "{{channel}} {{outcome}}")),
			bars("Attempts", "Attempts by verdict: delivered, retry, config (an operator must mend something), refused, permanent, gone.", "short", 12,
				ranged(`sum by (channel, reason) (increase(tocsin_delivery_attempts_total{+channel=~"$channel"}[$__rate_interval]))`, "{{channel}} {{reason}}")),
			series("Waiting deliveries", "Planned, and neither delivered nor dead.", "short", 12, ranged(`sum by (channel) (tocsin_outbox_pending{+channel=~"$channel"})`, "{{channel}}")),
			series("Age of the oldest waiting delivery", "0 while none waits. Over 15 minutes somebody waits for an alert.", "s", 12,
				ranged(`time() - min by (channel) (tocsin_outbox_oldest_timestamp_seconds{+channel=~"$channel"}) or 0 * sum by (channel) (tocsin_outbox_pending{+channel=~"$channel"})`, "{{channel}}")),
			states("Circuits", "Cut off: the endpoint failed so often that only probes are sent.", 12,
				map[string][2]string{"0": {"closed", "green"}, "1": {"cut off", "red"}}, ranged(`max by (channel) (tocsin_circuit_open{+channel=~"$channel"})`, "{{channel}}")),
			series("Alert to delivered, 95th percentile", "From the alert record to the endpoint's answer, held ones left out.", "s", 12,
				target{expr: quantile("0.95", "tocsin_alert_to_delivered_seconds", "channel"), legend: "{{channel}}"}),
			series("Ledger", "Deliveries of the last weeks by what became of them. Accepted is the sum of the others.", "short", 8, ranged(`max by (state) (tocsin_ledger_entries{})`, "{{state}}")),
			number("Unaccounted for", "Must be 0.", "short", 4, ranged(`sum(tocsin_ledger_mismatch{})`, "missing"), limits(1, 1)),
			number("Ambiguous sends", "Attempts after which the endpoint may have the message although no answer came: the only source of duplicates.", "short", 4,
				last(`sum(increase(tocsin_deliveries_ambiguous_total{+channel=~"$channel"}[$__range]))`), limits(1, 100)),
			number("Folded by throttles", "Alerts that a throttle named in a summary.", "short", 4, last(`sum(increase(tocsin_throttle_folded_total{+channel=~"$channel"}[$__range]))`), plain()),
			number("Template errors", "Alerts that could not be written in the form of a channel.", "short", 4, last(`sum(increase(tocsin_template_errors_total{+channel=~"$channel"}[$__range]))`), limits(1, 1)),
			bars("Dead letters", "What was given up, by stage. `tocsin dead list` shows it, `tocsin dead retry` tries again.", "short", 12,
				ranged(`sum by (stage) (increase(tocsin_dead_letters_total{}[$__rate_interval]))`, "{{stage}}")),
			series("Entries held", "What waits for a digest, a group, a summary or the end of quiet hours, by route.", "short", 12, ranged(`sum by (route) (tocsin_digest_entries_held{})`, "{{route}}")),
		},
	}
}
