//go:build bench

package bench_test

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// results are the runs of every contender, by its name, in the order of rounds.
type results struct {
	contenders []contender
	runs       map[string][]run
	judged     map[string]string // the digest of the image that the witnesses saw
}

// figure is one column of the table.
type figure struct {
	name  string
	value func(run) float64
	unit  string // how it is printed
}

func figures() []figure {
	const million = 1e6
	return []figure{
		{"wall s", func(r run) float64 { return r.Wall.Seconds() }, "%.3f"},
		{"CPU s", func(r run) float64 { return r.CPU.Seconds() }, "%.2f"},
		{"peak MiB", func(r run) float64 { return float64(r.RSS) / (1 << 20) }, "%.0f"},
		{"write calls MB", func(r run) float64 { return float64(r.Written) / million }, "%.0f"},
		{"to disk MB", func(r run) float64 { return float64(r.ToDisk) / million }, "%.0f"},
		{"image MB", func(r run) float64 { return float64(r.Size) / million }, "%.1f"},
	}
}

// writeReport adds what was found on one file system, as Markdown.
func writeReport(text *strings.Builder, b *bench, found results) {
	n := len(found.runs[found.contenders[0].name])
	fmt.Fprintf(text, "\n### %s (%s)\n\n", b.place.title, b.place.kind)
	fmt.Fprintf(text, "Minimum / median of %d interleaved rounds. %s; %d processors (%s), load %s.\n\n",
		n, b.data.about, runtime.NumCPU(), runtime.Version(), strings.Join(b.load, " before, ")+" after")
	text.WriteString("| |")
	for _, f := range figures() {
		fmt.Fprintf(text, " %s |", f.name)
	}
	text.WriteString("\n|---|" + strings.Repeat("---|", len(figures())) + "\n")
	for _, c := range found.contenders {
		fmt.Fprintf(text, "| %s |", c.name)
		for _, f := range figures() {
			all := column(found.runs[c.name], f.value)
			low, middle := fmt.Sprintf(f.unit, slices.Min(all)), fmt.Sprintf(f.unit, median(all))
			switch {
			case slices.Max(all) < 0:
				text.WriteString(" ? |")
			case low == middle:
				fmt.Fprintf(text, " %s |", low)
			default:
				fmt.Fprintf(text, " %s / %s |", low, middle)
			}
		}
		text.WriteString("\n")
	}
	writeRatios(text, found)
	fmt.Fprintf(text, "\nA peak at or below %.0f MiB is that of the process that measures.\n", floor(found)/(1<<20))
}

// writeRatios sets ours against theirs, round by round, so that a slow minute
// of the machine weighs on both sides.
func writeRatios(text *strings.Builder, found results) {
	text.WriteString("\n| | against | times as fast | CPU | written |\n|---|---|---|---|---|\n")
	for _, p := range pairs() {
		fmt.Fprintf(text, "| %s | %s |", p.ours, p.theirs)
		for _, value := range []func(run) float64{
			func(r run) float64 { return r.Wall.Seconds() },
			func(r run) float64 { return r.CPU.Seconds() },
			func(r run) float64 { return float64(r.Written) },
		} {
			fmt.Fprintf(text, " %.1f |", median(ratios(column(found.runs[p.ours], value), column(found.runs[p.theirs], value))))
		}
		text.WriteString("\n")
	}
}

func column(runs []run, value func(run) float64) []float64 {
	var all []float64
	for _, r := range runs {
		all = append(all, value(r))
	}
	return all
}

// ratios are theirs by ours, round by round.
func ratios(ours, theirs []float64) []float64 {
	var all []float64
	for i := range ours {
		all = append(all, theirs[i]/ours[i])
	}
	return all
}

// lowAndMiddle prints the minimum and the median.
func lowAndMiddle(values []float64) string {
	return fmt.Sprintf("%.1f / %.1f", slices.Min(values), median(values))
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// floor is the largest of the agent's own peaks, in bytes.
func floor(found results) float64 {
	var most float64
	for _, runs := range found.runs {
		most = max(most, slices.Max(column(runs, func(r run) float64 { return float64(r.Floor) })))
	}
	return most
}

// report prints a part of the report, and adds it to the file that takes it.
func report(t *testing.T, text string) {
	t.Helper()
	fmt.Print(text)
	path := os.Getenv(reportVariable)
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// versions names the programs that took part.
func (b *bench) versions(t *testing.T) string {
	t.Helper()
	var found []string
	for _, argv := range [][]string{{"systemd-repart", "--version"}, {"mkfs.erofs", "--version"}, {"tar", "--version"}, {"uname", "-sr"}} {
		line, _, _ := strings.Cut(b.root.Run(t, nil, argv...), "\n")
		found = append(found, strings.TrimSpace(line))
	}
	return strings.Join(found, ", ")
}
