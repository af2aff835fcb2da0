//go:build bench

package bench_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"inlay/test/debian"
)

// short is a comparison of commands that take milliseconds, whole processes.
type short struct {
	title  string
	about  string // one sentence, for people
	peer   string // the contender that the others are compared with; "" if none is
	agent  *agent
	folder string // where it takes place
	rows   []shortRow
}

// shortRow is one way to do it.
type shortRow struct {
	name string
	argv [][]string
	goal float64 // milliseconds, 0 if there is none
	slow bool    // takes no milliseconds: measured once
}

// shortRounds is how often each is measured: cheap, and a few milliseconds more
// or less are another process's doing.
const shortRounds = 15

// startShort starts an agent that sees folder and the programs.
func startShort(t *testing.T, programs tools, folder string) *agent {
	t.Helper()
	return startAgent(t, debian.Tools(t), map[string]string{string(programs): "", folder: ""})
}

// run measures all, in turn, after a round that warms, and reports.
func (s short) run(t *testing.T) {
	t.Helper()
	before := load(t)
	runs := map[string][]run{}
	for round := range shortRounds + 1 {
		for _, row := range s.rows {
			if row.slow && round != 1 {
				continue
			}
			r := s.agent.do(t, job{Folder: filepath.Join(s.folder, "run"), Commands: row.argv})
			if round > 0 {
				runs[row.name] = append(runs[row.name], r)
			}
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "\n### %s\n\n%s Minimum / median of %d interleaved rounds of whole processes, their start included; %d processors (%s), load %s before, %s after.\n\n",
		s.title, s.about, shortRounds, runtime.NumCPU(), runtime.Version(), before, load(t))
	text.WriteString("| | wall ms | CPU ms | peak MiB | written KB | goal |\n|---|---|---|---|---|---|\n")
	wall := func(r run) float64 { return r.Wall.Seconds() * 1e3 }
	for _, row := range s.rows {
		fmt.Fprintf(&text, "| %s |", row.name)
		for _, f := range []figure{
			{value: wall, unit: "%.1f"},
			{value: func(r run) float64 { return r.CPU.Seconds() * 1e3 }, unit: "%.1f"},
			{value: peakMiB, unit: "%.0f"},
			{value: func(r run) float64 { return float64(r.Written) / 1e3 }, unit: "%.0f"},
		} {
			all := column(runs[row.name], f.value)
			fmt.Fprintf(&text, " "+f.unit+" / "+f.unit+" |", slices.Min(all), median(all))
		}
		least := slices.Min(column(runs[row.name], wall))
		switch {
		case row.goal > 0:
			fmt.Fprintf(&text, " ≤ %.0f ms: %s |\n", row.goal, map[bool]string{true: "reached", false: "not reached"}[least <= row.goal])
		case s.peer != "" && row.name != s.peer:
			theirs := slices.Min(column(runs[s.peer], wall))
			fmt.Fprintf(&text, " %.1f × %s |\n", theirs/least, s.peer)
		default:
			text.WriteString(" |\n")
		}
	}
	report(t, text.String())
}

// once runs a command inside the root that has to succeed, and returns what it said.
func (s short) once(t *testing.T, argv ...string) string {
	t.Helper()
	return s.agent.do(t, job{Folder: filepath.Join(s.folder, "run"), Commands: [][]string{argv}}).Warnings
}
