package main

import (
	"context"
	"fmt"
	"time"

	"tocsin/news"
)

const networkLook = 5 * time.Second

// watchNetwork tells people once when it looks as if our own network is down, and once when it is back. While it is down no feed is blamed, so
// nothing else would tell.
func (in *instance) watchNetwork(ctx context.Context) error {
	var since time.Time
	for pause(ctx, networkLook) {
		var a news.Alert
		a, since = networkAlert(in.fetch.NetworkDown(), since, time.Now())
		if a.ID != "" {
			a.Match.Labels = map[string]string{"trouble": troubleNetwork}
			in.reload.tell(ctx, a)
		}
	}
	return nil
}

// networkAlert gives the alert to send, if any, and since when the network is down.
func networkAlert(down bool, since, now time.Time) (news.Alert, time.Time) {
	switch {
	case down && since.IsZero():
		text := "Most feeds of different hosts could not be reached within one minute, by name or by connection. No feed is blamed; all are tried again. Until this ends, silence means nothing: look at this machine's network and DNS."
		return health(networkStory(now), 1, news.SeverityHigh, "Feeds cannot be reached: our own network seems to be down", text, now, now), now
	case !down && !since.IsZero():
		text := fmt.Sprintf("It was down from %s. What was published meanwhile comes with the next polls, as far as the feeds still hold it.", since.UTC().Format(time.RFC3339))
		return health(networkStory(since), 2, news.SeverityInfo, "Feeds can be reached again", text, since, now), time.Time{}
	}
	return news.Alert{}, since
}

// networkStory names one outage: replicas and restarts within the hour tell of the same.
func networkStory(since time.Time) string {
	return "network down " + since.UTC().Truncate(time.Hour).Format(time.RFC3339)
}
