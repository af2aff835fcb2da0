package media_test

import (
	"slices"
	"strings"
)

// sortedLines returns the lines of a text, sorted, without empty ones.
func sortedLines(text string) []string {
	lines := slices.DeleteFunc(strings.Split(text, "\n"), func(l string) bool { return strings.TrimSpace(l) == "" })
	slices.Sort(lines)
	return lines
}
