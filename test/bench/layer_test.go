//go:build bench

package bench_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"inlay/test/need"
)

// layerCounts are how many extensions are merged. Of the last, one more still fits
// into the 4096 bytes that systemd has for the names of layers, as they are short.
var layerCounts = []int{1, 10, 100}

// merger is a program that merges; its argv comes before and after the verb.
type merger struct {
	name          string
	before, after []string
}

// argv is the command for a verb.
func (m merger) argv(verb string) []string {
	argv := append(append([]string{}, m.before...), verb)
	if verb == "unmerge" && len(m.after) > 0 {
		return append(argv, m.after[:2]...) // the engine, and no policy
	}
	return append(argv, m.after...)
}

const systemdAlone = "systemd-sysext"

func mergers(program string) []merger {
	inlay := []string{program, "sysext"}
	return []merger{
		{systemdAlone, []string{"systemd-sysext"}, nil},
		{"inlay, native", inlay, []string{"--engine", "native", "--image-policy", "any"}},
		{"inlay, by systemd-sysext", inlay, []string{"--engine", "systemd", "--image-policy", "any"}},
	}
}

// What is measured of each, in this order.
const (
	stepMerge   = "merge"
	stepSame    = "refresh, nothing new"
	stepMore    = "refresh, one more"
	stepUnmerge = "unmerge"
)

func layerSteps() []string { return []string{stepMerge, stepSame, stepMore, stepUnmerge} }

// TestLayers sets merging beside systemd-sysext: of folders, of bare EROFS and of
// EROFS in a partition table. Images with a hash tree need device-mapper, which
// this machine's kernel need not have.
func TestLayers(t *testing.T) {
	need.FileSystem(t, "erofs")
	need.FileSystem(t, "overlay")
	p := memory(t)
	b := newBench(t, p, payload{folder: p.folder}, newTools(t))
	var text strings.Builder
	fmt.Fprintf(&text, "\n### Merging (%s)\n\n%s. %d processors (%s). In milliseconds, minimum / median of interleaved rounds.\n",
		p.kind, b.versions(t), runtime.NumCPU(), runtime.Version())
	for _, form := range []string{"folders", "EROFS", "EROFS in a partition table"} {
		fmt.Fprintf(&text, "\n| %s | |", form)
		for _, step := range layerSteps() {
			text.WriteString(" " + step + " |")
		}
		text.WriteString("\n|---|---|" + strings.Repeat("---|", len(layerSteps())) + "\n")
		l := newLayers(t, b, form)
		for _, count := range layerCounts {
			l.measure(t, count).write(&text, count)
		}
	}
	if t.Failed() {
		return
	}
	report(t, text.String())
}

// layers are extensions of one form: those in shown are found by who merges.
type layers struct {
	bench        *bench
	agent        *agent
	aside, shown string
	suffix       string // of what is an extension
}

// newLayers makes one extension more than the most that are merged.
func newLayers(t *testing.T, b *bench, form string) *layers {
	t.Helper()
	folder, err := os.MkdirTemp(b.place.folder, "layers-") //nolint:usetesting // the file system matters
	if err != nil {
		t.Fatal(err)
	}
	l := &layers{bench: b, aside: filepath.Join(folder, "aside"), shown: filepath.Join(folder, "shown")}
	if err := errors.Join(os.Mkdir(l.aside, 0o755), os.Mkdir(l.shown, 0o755)); err != nil {
		t.Fatal(err)
	}
	for n := range layerCounts[len(layerCounts)-1] + 1 {
		l.make(t, form, layerName(n))
	}
	l.agent = startAgent(t, b.root, map[string]string{l.shown: "/run/extensions", string(b.tools): "", b.place.folder: ""})
	return l
}

// layerName is short, for systemd's sake.
func layerName(n int) string { return string([]byte{byte('a' + n/26), byte('a' + n%26)}) }

// make makes an extension of ten small files.
func (l *layers) make(t *testing.T, form, name string) {
	t.Helper()
	tree := filepath.Join(l.aside, name)
	files := map[string]string{"usr/lib/extension-release.d/extension-release." + name: "ID=_any\n"}
	for n := range 10 {
		files[fmt.Sprintf("usr/share/bench/%s/%d", name, n)] = strings.Repeat(name, 2<<10)
	}
	for file, text := range files {
		at := filepath.Join(tree, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if form == "folders" {
		return
	}
	l.suffix = ".raw"
	image := tree + l.suffix
	if out, err := exec.CommandContext(t.Context(), need.Tool(t, "mkfs.erofs", "erofs-utils"), "--quiet", "--all-root", image, tree).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.RemoveAll(tree); err != nil {
		t.Fatal(err)
	}
	if form != "EROFS" {
		partition(t, image)
	}
}

// partition puts a file system into the root partition of a disk image.
func partition(t *testing.T, image string) {
	t.Helper()
	const start = 1 << 20
	data, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	disk := append(make([]byte, start), data...)
	if err := errors.Join(os.WriteFile(image, disk, 0o644), os.Truncate(image, int64(len(disk)+start))); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), need.Tool(t, "sfdisk", "fdisk"), "--quiet", image)
	command.Stdin = strings.NewReader(fmt.Sprintf("label: gpt\nstart=2048, size=%d, type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709\n", (len(data)+511)/512))
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// show has so many extensions found.
func (l *layers) show(t *testing.T, count int) {
	t.Helper()
	for n := range layerCounts[len(layerCounts)-1] + 1 {
		file := layerName(n) + l.suffix
		from, to := l.aside, l.shown
		if n >= count {
			from, to = to, from
		}
		if err := os.Rename(filepath.Join(from, file), filepath.Join(to, file)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

// layered are the runs of every merger and step, and the load meanwhile.
type layered struct {
	mergers []merger
	runs    map[string][]run // by the merger's name and the step
	load    []string
}

// measure has each merger in turn go through all steps, after a round that warms.
// Of many extensions there are fewer rounds: systemd takes its time over images.
func (l *layers) measure(t *testing.T, count int) *layered {
	t.Helper()
	const many, fewer = 100, 3
	rounds := rounds(t)
	if count >= many {
		rounds = min(rounds, fewer)
	}
	found := &layered{mergers: mergers(l.bench.tools.inlay()), runs: map[string][]run{}, load: []string{load(t)}}
	start := time.Now()
	for round := range rounds + 1 {
		for _, m := range found.mergers {
			shown := count
			l.show(t, shown)
			for _, step := range layerSteps() {
				verb, _, _ := strings.Cut(step, ",")
				if step == stepMore {
					shown++
					l.show(t, shown)
				}
				r := l.agent.do(t, job{Folder: l.bench.output(), Commands: [][]string{m.argv(verb)}})
				if step == stepUnmerge {
					shown = 0
				}
				l.judge(t, m, step, shown)
				if round > 0 {
					found.runs[m.name+step] = append(found.runs[m.name+step], r)
				}
			}
		}
	}
	found.load = append(found.load, load(t))
	t.Logf("%d rounds of %d extensions in %.0f s", rounds, count, time.Since(start).Seconds())
	return found
}

// judge sees that so many extensions are merged, with what is in them.
func (l *layers) judge(t *testing.T, m merger, step string, count int) {
	t.Helper()
	const script = `cd /usr/share/bench 2>/dev/null || { [ "$1" = 0 ]; exit; }
[ "$(ls | wc -l)" = "$1" ] && [ "$(cat */9 | wc -c)" = $(($1 * 4096)) ]`
	r := l.agent.try(t, job{Folder: l.bench.output(), Commands: [][]string{{"sh", "-c", script, "judge", fmt.Sprint(count)}}})
	if r.Failure != "" {
		t.Fatalf("%s: after %q not all of %d are merged: %s", m.name, step, count, r.Failure)
	}
}

// write adds the rows of one count.
func (found *layered) write(text *strings.Builder, count int) {
	milliseconds := func(r run) float64 { return float64(r.Wall.Microseconds()) / 1e3 }
	rounds := len(found.runs[systemdAlone+stepMerge])
	about := fmt.Sprintf("%d (%d rounds, load %s)", count, rounds, strings.Join(found.load, " to "))
	for _, m := range found.mergers {
		fmt.Fprintf(text, "| %s | %s |", about, m.name)
		about = ""
		for _, step := range layerSteps() {
			ours, theirs := column(found.runs[m.name+step], milliseconds), column(found.runs[systemdAlone+step], milliseconds)
			fmt.Fprintf(text, " %s", lowAndMiddle(ours))
			if m.name != systemdAlone {
				fmt.Fprintf(text, " (%.1f×)", median(byRound(ours, theirs)))
			}
			text.WriteString(" |")
		}
		text.WriteString("\n")
	}
}
