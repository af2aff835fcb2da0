package layer

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/rooted"
)

// Hierarchies returns the folders that extensions of a kind are to be laid over,
// sorted: those that the environment names, else those in configured, which may hold
// the word "kairos", else systemd's own. merged adds those that something is merged
// into all the same. What isn't there below root is left out, as systemd's status
// does.
func Hierarchies(root *os.Root, k extension.Kind, configured []string, getenv func(string) string, merged []Hierarchy) ([]Hierarchy, error) {
	all, err := hierarchiesOf(&Request{Kind: k, Hierarchies: configured, Getenv: getenv})
	if err != nil {
		return nil, err
	}
	rows := slices.Clone(merged)
	for _, path := range all {
		if slices.ContainsFunc(merged, func(h Hierarchy) bool { return h.Path == path }) {
			continue
		}
		_, err := rooted.Resolve(root, path)
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking for hierarchy %q: %w", path, err)
		}
		rows = append(rows, Hierarchy{Path: path})
	}
	slices.SortFunc(rows, func(a, b Hierarchy) int { return strings.Compare(a.Path, b.Path) })
	return rows, nil
}
