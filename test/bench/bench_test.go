//go:build bench

package bench_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	// reportVariable names a file that takes the report, as Markdown.
	reportVariable = "INLAY_BENCH_REPORT"
	// roundsVariable says how often every contender is measured.
	roundsVariable = "INLAY_BENCH_ROUNDS"
	defaultRounds  = 5
	// slowRounds is how often slow contenders are.
	slowRounds = 2
)

func TestMain(m *testing.M) {
	if os.Getenv(agentVariable) != "" {
		os.Exit(serve(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// TestBuild measures builds of three payloads, in memory and on disk, and the
// memory that an image of 2 GiB takes; then it says which goals are reached.
// With -run, as in TestBuild/A/memory, it does parts of that.
func TestBuild(t *testing.T) {
	programs := newTools(t)
	var text strings.Builder
	all := measured{}
	for _, p := range payloads() {
		t.Run(p.name, func(t *testing.T) {
			data := p.make(t)
			truth, err := readTree(data.tree())
			if err != nil {
				t.Fatal(err)
			}
			for _, where := range []func(*testing.T) place{memory, func(t *testing.T) place { return disk(t, data) }} {
				at := where(t)
				// One after the other: contenders must not disturb each other.
				t.Run(at.name, func(t *testing.T) {
					there := data.in(t, at)
					b := newBench(t, at, there, programs)
					b.truth = truth
					there.serve(t, b.socket())
					if text.Len() == 0 {
						fmt.Fprintf(&text, "%s.\n", b.versions(t))
					}
					found := b.measure(t, contenders(t, b), rounds(t))
					sameBytes(t, found)
					all.add(p.name, at.name, found)
					writeReport(&text, p.name, b, found)
				})
				at.remove(t)
			}
		})
	}
	t.Run("large", func(t *testing.T) {
		found := measureLarge(t, programs)
		all.add(largePayload, "memory", found)
		writeLarge(&text, found)
	})
	if t.Failed() {
		return // without a sound image a number does not count
	}
	sameEverywhere(t, all)
	writeGoals(&text, all)
	report(t, text.String())
}

func rounds(t *testing.T) int {
	t.Helper()
	text := os.Getenv(roundsVariable)
	if text == "" {
		return defaultRounds
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%q is not a number of rounds", roundsVariable, text)
	}
	return n
}

// measure runs the contenders in turn, so that what else the machine does hits
// all of them, after a round that warms caches and whose images are judged. Of
// slow contenders, which compute far longer than they read, that round counts.
func (b *bench) measure(t *testing.T, all []contender, rounds int) results {
	t.Helper()
	found := results{contenders: all, runs: map[string][]run{}, judged: map[string]string{}}
	b.load = append(b.load, load(t))
	start, judging := time.Now(), time.Duration(0)
	for round := range rounds + 1 {
		for _, c := range all {
			if c.slow && round >= slowRounds {
				continue
			}
			r := b.agent.do(t, c.job(b))
			if round == 0 {
				t.Logf("%s: %.2f s, %.2f s of CPU", c.name, r.Wall.Seconds(), r.CPU.Seconds())
				before := time.Now()
				b.judge(t, c)
				judging += time.Since(before)
				found.judged[c.name] = r.Digest
			}
			if round > 0 || c.slow {
				found.runs[c.name] = append(found.runs[c.name], r)
			}
			b.agent.clean(t, c.job(b))
		}
	}
	b.load = append(b.load, load(t))
	t.Logf("%d rounds of %d contenders in %.0f s, %.0f of them judging", rounds, len(all), time.Since(start).Seconds(), judging.Seconds())
	return found
}

// sameBytes fails unless every run of a way of inlay's made the same image, and
// every form of one layer, too.
func sameBytes(t *testing.T, found results) {
	t.Helper()
	layer := map[string]contender{}
	for _, c := range found.contenders {
		if c.peer {
			continue
		}
		if !found.steady(c.name) {
			t.Errorf("%s: a run made other bytes than those that were judged", c.name)
		}
		if c.same == "" {
			continue
		}
		if first, there := layer[c.same]; !there {
			layer[c.same] = c
		} else if found.judged[c.name] != found.judged[first.name] {
			t.Errorf("%s: the image differs from that of: %s", c.name, first.name)
		}
	}
}

// sameEverywhere fails unless inlay makes in memory what it makes on disk. With
// -run one of them may be missing.
func sameEverywhere(t *testing.T, all measured) {
	t.Helper()
	for _, p := range payloads() {
		for _, c := range ours() {
			a, b := all[where{p.name, "memory"}].judged[c.name], all[where{p.name, "disk"}].judged[c.name]
			if a != "" && b != "" && a != b {
				t.Errorf("%s: payload %s has other bytes in memory than on disk", c.name, p.name)
			}
		}
	}
}

// load returns the machine's load in the last minute.
func load(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		t.Fatal(err)
	}
	one, _, _ := strings.Cut(string(text), " ")
	return one
}
