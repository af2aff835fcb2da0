package layering_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	gocmp "github.com/google/go-cmp/cmp"
)

// outcome is what a case comes to, in one line for a reader: for each step how it
// ended and what is merged then.
func outcome(c spec, views []view) string {
	var parts []string
	for n, v := range views {
		run := c.play().Steps[n]
		var b strings.Builder
		b.WriteString(strings.Join(append(slices.Clone(run.Env), run.Run...), " "))
		if v.Exit != 0 {
			fmt.Fprintf(&b, " ends with %d", v.Exit)
		}
		for _, e := range v.Done {
			if e != "" {
				fmt.Fprintf(&b, " (%s)", e)
			}
		}
		for _, row := range v.Status {
			if row.Since {
				fmt.Fprintf(&b, " %s[%s]", row.Hierarchy, names(row.Extensions))
			}
		}
		for _, m := range v.Mounts {
			if m.Type == "overlay" && m.Upper != "" && m.Root == "/" {
				fmt.Fprintf(&b, " %s is written %s", m.Point, cmp.Or(m.Upper, "nowhere"))
			}
		}
		for _, line := range v.Tree {
			words := strings.Fields(line)
			if len(words) > 3 && slices.Contains(c.show, words[3]) {
				fmt.Fprintf(&b, " {%s}", line)
			}
		}
		if v.Untouched {
			b.WriteString(" untouched")
		}
		parts = append(parts, b.String())
	}
	return strings.Join(parts, "; ")
}

// names are those of extensions, of many only how many there are.
func names(of []string) string {
	const many = 12
	if len(of) > many {
		return fmt.Sprintf("%.12s … %d of them", of[0], len(of))
	}
	return strings.Join(of, " ")
}

// sortedKeys are the keys of a map, in order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// differing are the lines that only one side has, by step, "" if there are none.
func differing(older, newer []view) string {
	if gocmp.Equal(older, newer) {
		return ""
	}
	var b strings.Builder
	for n := range max(len(older), len(newer)) {
		var x, y []string
		if n < len(older) {
			x = older[n].lines()
		}
		if n < len(newer) {
			y = newer[n].lines()
		}
		for _, side := range []struct {
			mark         string
			these, those []string
		}{{"-", x, y}, {"+", y, x}} {
			for _, line := range side.these {
				if !slices.Contains(side.those, line) {
					fmt.Fprintf(&b, "  %d %s %s\n", n+1, side.mark, line)
				}
			}
		}
	}
	if b.Len() == 0 {
		return "  the order is another: " + gocmp.Diff(older, newer)
	}
	return b.String()
}

// lines are all that a view holds.
func (v view) lines() []string {
	lines := []string{fmt.Sprintf("exit %d", v.Exit), fmt.Sprintf("text %q", v.Text), fmt.Sprintf("untouched %t", v.Untouched), fmt.Sprintf("done %q", v.Done)}
	for _, s := range v.Said {
		lines = append(lines, "said "+s)
	}
	for _, r := range v.Status {
		lines = append(lines, fmt.Sprintf("status %+v", r))
	}
	for _, r := range v.List {
		lines = append(lines, fmt.Sprintf("list %+v", r))
	}
	for _, m := range v.Mounts {
		lines = append(lines, fmt.Sprintf("mount %+v", m))
	}
	for _, t := range v.Tree {
		lines = append(lines, "tree "+t)
	}
	for _, at := range sortedKeys(v.Origin) {
		lines = append(lines, fmt.Sprintf("origin %s %v", at, v.Origin[at]))
	}
	for _, u := range v.Unclear {
		lines = append(lines, "unclear "+u)
	}
	return lines
}
