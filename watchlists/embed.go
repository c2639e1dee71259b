// Package watchlists holds the watchlists and feed lists that ship with Tocsin, as the YAML files that analysts edit. It promises nothing but
// their bytes; reading them is the work of package matcher/watchlist and of package fetcher.
package watchlists

import "embed"

// Lists are the shipped watchlists, one YAML file each, at the root of the file system.
//
//go:embed *.yaml
var Lists embed.FS

// Feeds are the shipped feed lists, one YAML file a region, under "feeds".
//
//go:embed feeds/*.yaml
var Feeds embed.FS
