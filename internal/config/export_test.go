package config

import (
	"maps"
	"slices"
)

// Keys returns all keys there are, those of trust as trust.KEY.
func Keys() []string {
	var c Config
	keys := slices.Collect(maps.Keys(c.fields(nil)))
	for key := range c.Trust.fields(nil) {
		keys = append(keys, "trust."+key)
	}
	slices.Sort(keys)
	return keys
}
