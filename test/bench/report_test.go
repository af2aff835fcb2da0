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

// results are the runs of every contender on one payload in one place, by its
// name, in the order of rounds.
type results struct {
	contenders []contender
	runs       map[string][]run
	judged     map[string]string // the digest of what the witnesses saw
}

// steady tells whether all runs made the bytes that were judged.
func (r results) steady(name string) bool {
	for _, one := range r.runs[name] {
		if one.Digest != r.judged[name] {
			return false
		}
	}
	return true
}

// where is a payload in a place.
type where struct{ payload, place string }

// measured are all results.
type measured map[where]results

func (m measured) add(payload, place string, found results) { m[where{payload, place}] = found }

// figure is one column of the table.
type figure struct {
	name  string
	value func(run) float64
	unit  string // how it is printed
}

func wallSeconds(r run) float64 { return r.Wall.Seconds() }
func cpuSeconds(r run) float64  { return r.CPU.Seconds() }
func peakMiB(r run) float64     { return float64(r.RSS) / (1 << 20) }
func writtenMB(r run) float64   { return float64(r.Written) / 1e6 }
func imageMB(r run) float64     { return float64(r.Size) / 1e6 }

func figures() []figure {
	return []figure{
		{"wall s", wallSeconds, "%.3f"},
		{"CPU s", cpuSeconds, "%.2f"},
		{"peak MiB", peakMiB, "%.0f"},
		{"write calls MB", writtenMB, "%.0f"},
		{"to disk MB", func(r run) float64 { return float64(r.ToDisk) / 1e6 }, "%.0f"},
		{"image MB", imageMB, "%.1f"},
	}
}

// writeReport adds what was found for one payload in one place, as Markdown.
func writeReport(text *strings.Builder, payload string, b *bench, found results) {
	fmt.Fprintf(text, "\n### Payload %s %s (%s)\n\n", payload, b.place.title, b.place.kind)
	fmt.Fprintf(text, "Minimum / median of interleaved rounds. %s; %d processors (%s), load %s.\n\n",
		b.data.about, runtime.NumCPU(), runtime.Version(), strings.Join(b.load, " before, ")+" after")
	text.WriteString("| | n |")
	for _, f := range figures() {
		fmt.Fprintf(text, " %s |", f.name)
	}
	text.WriteString(" same bytes |\n|---|---|" + strings.Repeat("---|", len(figures())) + "---|\n")
	for _, c := range found.contenders {
		fmt.Fprintf(text, "| %s | %d |", c.name, len(found.runs[c.name]))
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
		fmt.Fprintf(text, " %s |\n", map[bool]string{true: "yes", false: "no"}[found.steady(c.name)])
	}
	fmt.Fprintf(text, "\nA peak at or below %.0f MiB is that of the process that measures.\n", ownPeak(found)/(1<<20))
}

func column(runs []run, value func(run) float64) []float64 {
	var all []float64
	for _, r := range runs {
		all = append(all, value(r))
	}
	return all
}

// byRound returns theirs by ours, round by round.
func byRound(ours, theirs []float64) []float64 {
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

// ownPeak is the largest of the agent's own peaks, in bytes.
func ownPeak(found results) float64 {
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
	for _, argv := range [][]string{
		{"systemd-repart", "--version"},
		{"mkfs.erofs", "--version"},
		{"mksquashfs", "-version"},
		{"veritysetup", "--version"},
		{"uname", "-sr"},
	} {
		line, _, _ := strings.Cut(b.root.Run(t, nil, argv...), "\n")
		line, _, _ = strings.Cut(line, " flags:") // veritysetup says what it was built with
		found = append(found, strings.TrimSpace(line))
	}
	return strings.Join(found, ", ")
}
