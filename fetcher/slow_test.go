//go:build !race

package fetcher

const slowness = 1
