//go:build race

package fetcher

// slowness is how much longer things may take under the race detector.
const slowness = 20
