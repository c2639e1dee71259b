package main

// feedWords are the numbers of tocsin_feed_state.
func feedWords() map[string]string {
	return map[string]string{"0": "paused or new", "1": "live", "2": "late", "3": "failing", "4": "dead"}
}

func silence() dashboard {
	return dashboard{
		uid: "tocsin-silence", title: "Silence", from: "24h",
		about: "Whether no alert means no news: feeds alive, test items coming through, heartbeats sent, and what may have been missed.",
		panels: []panel{
			number("Feeds live", "Reached, and items come as often as they usually do.", "short", 4, ranged(`sum(tocsin_feeds{+state="live"})`, "live"), plain()),
			number("Feeds watched", "All feeds of the list that are not paused.", "short", 4, ranged(`sum(tocsin_feeds{+state!="paused"})`, "watched"), plain()),
			number("Feeds late, failing or dead", "Those whose silence says nothing.", "short", 4, ranged(`sum(tocsin_feeds{+state=~"late|failing|dead"})`, "not live"), limits(1, 10)),
			number("Age of the last test item", "A test item goes through bus, matcher, notifier and ledger every 15 s. Over 45 s something stands still.", "s", 4,
				ranged(`time() - max(tocsin_canary_last_delivered_timestamp_seconds{})`, "age"), limits(30, 45)),
			number("Our own network", "1 while most hosts cannot be reached: then no feed is blamed, and silence means nothing.", "none", 4,
				ranged(`max(tocsin_network_down{})`, "network"), limits(1, 1)),
			number("Newest item", "When the newest item of any feed was published.", "dateTimeFromNow", 4,
				ranged(`1000 * max(tocsin_feed_last_item_timestamp_seconds{})`, "newest item"), plain()),
			series("Feeds by state", "How many feeds are in each state.", "short", 12, ranged(`sum by (state) (tocsin_feeds{})`, "{{state}}")),
			bars("Items read", "New items of all feeds.", "short", 12, ranged(`sum(increase(tocsin_items_total{+stage="fetch", outcome="new"}[$__rate_interval]))`, "new")),
			worst(),
			table("Heartbeats", "When each list last told its readers what was watched. Over 26 hours its silence proves nothing.", 12,
				[]target{last(`1000 * max by (watchlist) (tocsin_heartbeat_last_sent_timestamp_seconds{})`)},
				column{field: "watchlist", name: "Watchlist"}, column{field: "Value", name: "Last heartbeat", unit: "dateTimeFromNow"}),
			series("Way of a test item", "From its entry behind the fetcher to its closed ledger entry, median and 99th percentile.", "s", 12,
				target{expr: quantile("0.5", "tocsin_canary_seconds", ""), legend: "median"},
				target{expr: quantile("0.99", "tocsin_canary_seconds", ""), legend: "99 %"}),
			bars("Items possibly missed", "Estimate of the entries that left a feed between two polls.", "short", 12,
				ranged(`sum by (feed) (increase(tocsin_feed_items_possibly_lost_total{}[$__rate_interval])) > 0`, "{{feed}}")),
			bars("Errors of feeds", "Polls that failed or read a document in part, by reason.", "short", 12,
				ranged(`sum by (reason) (increase(tocsin_feed_errors_total{}[$__rate_interval])) > 0`, "{{reason}}")),
			states("Feeds that are not live", "Feeds that were late, failing or dead at some time that is shown.", 24,
				map[string][2]string{"2": {"late", "yellow"}, "3": {"failing", "orange"}, "4": {"dead", "red"}},
				ranged(`max by (feed, outlet) (tocsin_feed_state{} * on (job, instance, feed) group_left (outlet) tocsin_feed_info{}) > 1`, "{{outlet}} {{feed}}")),
		},
	}
}

// worst lists feeds that are not live, with all that is known of them.
func worst() panel {
	const bad = ` and on (feed) max by (feed) (tocsin_feed_state{}) > 1`
	return table("Worst feeds", "Feeds that are late, failing or dead: how long nothing came, what is usual, and the reasons of the chosen time. `tocsin feeds show FEED` explains each.", 24,
		[]target{
			last(`max by (feed, outlet, lang) (tocsin_feed_state{} * on (job, instance, feed) group_left (outlet, lang) tocsin_feed_info{}) > 1`),
			last(`time() - max by (feed) (tocsin_feed_last_item_timestamp_seconds{})` + bad),
			last(`max by (feed) (tocsin_feed_expected_interval_seconds{})` + bad),
			last(`time() - max by (feed) (tocsin_feed_last_success_timestamp_seconds{})` + bad),
			last(`sum by (feed, reason) (increase(tocsin_feed_errors_total{}[$__range])) > 0` + bad),
		},
		column{field: "outlet", name: "Outlet"}, column{field: "lang", name: "Language"}, column{field: "feed", name: "Feed"},
		column{field: value(0, 5), name: "State", words: feedWords()},
		column{field: value(1, 5), name: "Silent for", unit: "s"}, column{field: value(2, 5), name: "Usual silence", unit: "s"},
		column{field: value(3, 5), name: "Not reached for", unit: "s"}, column{field: "reason", name: "Reason"}, column{field: value(4, 5), name: "Errors", unit: "short"})
}
