package erofs_test

import (
	"iter"
	"maps"
	"slices"
)

// sorted yields a map in the order of its keys, so that images are the same
// each time.
func sorted[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
