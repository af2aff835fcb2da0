//go:build bench

package bench_test

import (
	"fmt"
	"os"
	"path/filepath"
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
)

func TestMain(m *testing.M) {
	if os.Getenv(agentVariable) != "" {
		os.Exit(serve(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// TestBuild measures builds of a layer of about 200 MB, in memory and on disk.
func TestBuild(t *testing.T) {
	data, tools := largeAndSmall(t), newTools(t)
	var text strings.Builder
	digests := map[string]string{} // by the name of the place
	for _, p := range []place{memory(t), disk(t, data)} {
		// One after the other: contenders must not disturb each other.
		t.Run(p.name, func(t *testing.T) {
			b := newBench(t, p, data.in(t, p), tools)
			if text.Len() == 0 {
				fmt.Fprintf(&text, "%s.\n", b.versions(t))
			}
			runs := b.measure(t, contenders(), rounds(t))
			digests[p.name] = sameBytes(t, runs)
			writeReport(&text, b, runs)
		})
	}
	if t.Failed() {
		return // without a sound image a number does not count
	}
	// With -run one of them may be missing.
	if a, b := digests["memory"], digests["disk"]; a != "" && b != "" && a != b {
		t.Errorf("inlay made %s in memory and %s on disk", a, b)
	}
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
// all of them, after a round that warms caches and whose images are judged.
func (b *bench) measure(t *testing.T, all []contender, rounds int) results {
	t.Helper()
	found := results{contenders: all, runs: map[string][]run{}, judged: map[string]string{}}
	b.load = append(b.load, load(t))
	start := time.Now()
	for round := range rounds + 1 {
		for _, c := range all {
			r := b.agent.do(t, c.job(b))
			if round == 0 {
				b.judge(t, c)
				found.judged[c.name] = r.Digest
			} else {
				found.runs[c.name] = append(found.runs[c.name], r)
			}
			b.agent.clean(t, c.job(b))
		}
	}
	b.load = append(b.load, load(t))
	t.Logf("%d rounds of %d contenders in %.0f s", rounds, len(all), time.Since(start).Seconds())
	return found
}

// sameBytes fails unless every run of inlay, from whichever form of the layer,
// made the same image; it returns that image's digest. The folder's image is
// another one: its files lie in another order.
func sameBytes(t *testing.T, found results) string {
	t.Helper()
	layer := ""
	for _, c := range found.contenders {
		if c.peer {
			continue
		}
		judged := found.judged[c.name]
		for i, r := range found.runs[c.name] {
			if r.Digest != judged {
				t.Errorf("%s: round %d made other bytes than those that were judged", c.name, i+1)
			}
		}
		if c.folder {
			continue
		}
		if layer != "" && judged != layer {
			t.Errorf("%s: the image differs from that of the same layer in another form", c.name)
		}
		layer = judged
	}
	return layer
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

// output is where contenders write, inside and outside of the root.
func (b *bench) output() string { return filepath.Join(b.place.folder, "out") }
