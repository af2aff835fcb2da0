//go:build bench

package bench_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// goal is one line of the goals of issue 7 and of docs/performance.md: how many
// times better ours has to be than the best of theirs.
type goal struct {
	id      int // P1 to P10
	where   where
	ours    string
	theirs  []string
	value   func(run) float64
	target  float64 // times as good
	atLeast float64 // what is accepted
	// smaller wants the image no larger than theirs; larger by sizeFloor is accepted.
	smaller   bool
	sizeFloor float64
}

// goals are those that compare. P8 and P9 are bounds: see writeBounds.
func goals() []goal {
	const m, d = "memory", "disk"
	repart := []string{repartAlone, repartOffline}
	daemon := []string{roadDaemon, roadDaemonNoLoop}
	gzip := []string{roadLayout}
	var all []goal
	for _, p := range payloads() {
		in := func(place string) where { return where{p.name, place} }
		folder := 6.0
		if p.name == "C" {
			folder = 5
		}
		all = append(all,
			goal{id: 1, where: in(m), ours: inlayPlain, theirs: daemon, value: wallSeconds, target: 10, atLeast: 7},
			goal{id: 1, where: in(m), ours: inlayDaemon, theirs: daemon, value: wallSeconds, target: 10, atLeast: 7},
			goal{id: 1, where: in(d), ours: inlayPlain, theirs: daemon, value: wallSeconds, target: 25, atLeast: 18},
			goal{id: 2, where: in(m), ours: inlayGzip, theirs: gzip, value: wallSeconds, target: 5.5, atLeast: 3},
			goal{id: 2, where: in(m), ours: inlayLayout, theirs: gzip, value: wallSeconds, target: 5.5, atLeast: 3},
			goal{id: 2, where: in(d), ours: inlayGzip, theirs: gzip, value: wallSeconds, target: 5.5, atLeast: 3},
			goal{id: 3, where: in(m), ours: inlayZstd, theirs: repart, value: wallSeconds, target: 4, atLeast: 2.5},
			goal{id: 4, where: in(m), ours: inlayFolder, theirs: repart, value: wallSeconds, target: folder, atLeast: 4},
			goal{id: 4, where: in(d), ours: inlayFolder, theirs: repart, value: wallSeconds, target: folder, atLeast: 4},
			goal{id: 5, where: in(m), ours: inlayToZstd, theirs: []string{mkfsZstd}, value: wallSeconds, target: 8, atLeast: 5, smaller: true, sizeFloor: 77.0 / 72.5},
			goal{id: 5, where: in(m), ours: inlayFolderZstd, theirs: []string{mkfsZstd}, value: wallSeconds, target: 8, atLeast: 5, smaller: true, sizeFloor: 77.0 / 72.5},
			goal{id: 6, where: in(m), ours: inlayToZstd, theirs: []string{flatcarErofs}, value: wallSeconds, target: 18, atLeast: 12, smaller: true, sizeFloor: 1},
			goal{id: 7, where: in(m), ours: inlayLZ4, theirs: []string{mkfsLZ4Tar}, value: wallSeconds, target: 1.8, atLeast: 1.3, smaller: true, sizeFloor: 1},
			goal{id: 7, where: in(m), ours: inlayLZ4New, theirs: []string{mkfsLZ4Tar}, value: wallSeconds, target: 1.8, atLeast: 1.3, smaller: true, sizeFloor: 1},
			goal{id: 10, where: in(m), ours: inlayPlain, theirs: daemon, value: cpuSeconds, target: 5, atLeast: 4},
		)
	}
	slices.SortStableFunc(all, func(a, b goal) int { return a.id - b.id })
	return all
}

// writeGoals sets what was reached beside what was wanted. The figures that the
// goals were set by are of payload A; B and C are shown beside it.
func writeGoals(text *strings.Builder, all measured) {
	text.WriteString("\n### Goals\n\nTimes as fast (P10: times less CPU) as the best peer, taken round by round: median (lowest to highest).\n\n")
	text.WriteString("| goal | payload | ours | theirs | reached | target | floor | size of theirs | |\n|---|---|---|---|---|---|---|---|---|\n")
	bounded := false
	for _, g := range goals() {
		if g.id > 9 && !bounded {
			bounded = true
			writeBounds(text, all)
		}
		g.write(text, all[g.where])
	}
	var rows strings.Builder
	for _, p := range payloads() {
		for _, place := range []string{"memory", "disk"} {
			found := all[where{p.name, place}]
			for _, c := range []string{inlayPlain, inlayFolder, inlayZstd, inlayGzip} {
				if r, ok := found.ratios(theFloor, c, wallSeconds); ok {
					fmt.Fprintf(&rows, "| %s, %s | %s | %s |\n", p.name, place, c, r)
				}
			}
		}
	}
	if rows.Len() > 0 {
		text.WriteString("\nHow far from the least that an image can cost, which is to hash and write the layer's bytes:\n\n" +
			"| payload | ours | times the floor |\n|---|---|---|\n" + rows.String())
	}
}

func (g goal) write(text *strings.Builder, found results) {
	best, theirs := ratios{middle: math.Inf(1)}, ""
	for _, name := range g.theirs {
		if r, ok := found.ratios(g.ours, name, g.value); ok && r.middle < best.middle {
			best, theirs = r, name
		}
	}
	if theirs == "" {
		return // not measured this time
	}
	size, verdict := "", judgeGoal(best.middle, g.target, g.atLeast)
	if g.smaller {
		ratio := median(column(found.runs[g.ours], imageMB)) / median(column(found.runs[theirs], imageMB))
		size = fmt.Sprintf("%.3f", ratio)
		switch {
		case ratio > g.sizeFloor:
			verdict += ", too large"
		case ratio > 1:
			verdict += ", larger"
		}
	}
	fmt.Fprintf(text, "| P%d | %s, %s | %s | %s | %s | %g | %g | %s | %s |\n",
		g.id, g.where.payload, g.where.place, g.ours, theirs, best, g.target, g.atLeast, size, verdict)
}

func judgeGoal(reached, target, atLeast float64) string {
	switch {
	case reached >= target:
		return "reached"
	case reached >= atLeast:
		return "above the floor"
	}
	return "**below the floor**"
}

// writeBounds writes P8, the peak of memory, and P9, each byte written once: all
// that a build writes is in its image, so nothing is left for temporary files.
func writeBounds(text *strings.Builder, all measured) {
	bound := func(id, payload, name string, reached, target, floor float64, unit string) {
		verdict := "reached"
		if reached > target {
			verdict = "above the floor"
		}
		if reached > floor {
			verdict = "**below the floor**"
		}
		fmt.Fprintf(text, "| %s | %s | %s | | "+unit+" | "+unit+" | "+unit+" | | %s |\n", id, payload, name, reached, target, floor, verdict)
	}
	large := all[where{largePayload, "memory"}]
	for _, c := range large.contenders {
		bound("P8", largePayload, c.name, slices.Max(column(large.runs[c.name], peakMiB)), 40, 64, "%.0f MiB")
	}
	for _, p := range payloads() {
		for _, place := range []string{"memory", "disk"} {
			found := all[where{p.name, place}]
			for _, name := range []string{inlayPlain, inlayGzip, inlayDaemon, inlayFolder, inlayToZstd} {
				runs := found.runs[name]
				if len(runs) == 0 || runs[0].Written < 0 {
					continue
				}
				most := slices.Max(column(runs, func(r run) float64 { return float64(r.Written) / float64(r.Size) }))
				bound("P9", p.name+", "+place, name, most, 1, 1.05, "%.3f")
			}
		}
	}
}

// ratios are those of theirs to ours.
type ratios struct{ middle, low, high float64 }

func (r ratios) String() string { return fmt.Sprintf("%.1f (%.1f to %.1f)", r.middle, r.low, r.high) }

// ratios are taken round by round, so that a slow minute of the machine weighs on
// both sides. Those who ran less often are compared by their medians.
func (r results) ratios(ours, theirs string, value func(run) float64) (ratios, bool) {
	a, b := column(r.runs[ours], value), column(r.runs[theirs], value)
	if len(a) == 0 || len(b) == 0 {
		return ratios{}, false
	}
	if len(a) != len(b) {
		return ratios{median(b) / median(a), slices.Min(b) / slices.Max(a), slices.Max(b) / slices.Min(a)}, true
	}
	var all []float64
	for i := range a {
		all = append(all, b[i]/a[i])
	}
	return ratios{median(all), slices.Min(all), slices.Max(all)}, true
}
