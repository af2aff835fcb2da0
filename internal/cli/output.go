package cli

import (
	"encoding/json"
	"fmt"
)

// printJSON prints v as one indented object on standard output.
func (env *Env) printJSON(v any) error {
	e := json.NewEncoder(env.Stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// fact is one line of a result: what it is, and its value.
type fact struct{ label, value string }

// printFacts prints the facts that have a value as two columns.
func (env *Env) printFacts(facts []fact) {
	width := 0
	for _, f := range facts {
		if f.value != "" {
			width = max(width, len(f.label))
		}
	}
	for _, f := range facts {
		if f.value == "" {
			continue
		}
		fmt.Fprintf(env.Stdout, "%*s: %s\n", width, f.label, printable(f.value))
	}
}

// warn prints warnings on standard error.
func (env *Env) warn(warnings []string) {
	for _, w := range warnings {
		fmt.Fprintf(env.Stderr, "warning: %s\n", printable(w))
	}
}

// size formats a number of bytes with the unit that keeps it short.
func size(n int64) string {
	const units = "KMGTPE"
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/(1<<10), 0
	for value >= 1<<10 && unit < len(units)-1 {
		value /= 1 << 10
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", value, units[unit])
}

// count formats n things, in the plural where that is due.
func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}
