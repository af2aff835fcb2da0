package layer

import (
	"fmt"
	"os"
	"slices"

	"inlay/internal/extension"
	"inlay/internal/rooted"
)

// Hierarchies returns the folders that extensions of a kind are to be laid over,
// sorted, each with what of merged is in it: those that the environment names, else
// those in configured, which may hold the word "kairos", else systemd's own. As in
// systemd's status, those that aren't there below root are left out, and so is what
// is merged elsewhere.
func Hierarchies(root *os.Root, k extension.Kind, configured []string, getenv func(string) string, merged []Hierarchy) ([]Hierarchy, error) {
	all, err := hierarchiesOf(&Request{Kind: k, Hierarchies: configured, Getenv: getenv})
	if err != nil {
		return nil, err
	}
	var rows []Hierarchy
	for _, path := range all {
		_, err := rooted.Resolve(root, path)
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("looking for hierarchy %q: %w", path, err)
		}
		row := Hierarchy{Path: path}
		if i := slices.IndexFunc(merged, func(h Hierarchy) bool { return h.Path == path }); i >= 0 {
			row = merged[i]
		}
		rows = append(rows, row)
	}
	return rows, nil
}
