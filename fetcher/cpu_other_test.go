//go:build !unix

package fetcher

import "time"

// processorTime falls back to the clock on the wall.
func processorTime() time.Duration { return time.Duration(time.Now().UnixNano()) }
