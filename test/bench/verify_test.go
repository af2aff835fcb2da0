//go:build bench

package bench_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"inlay/test/sfdisk"
)

// verifiedSize is the length in bytes of the large file in the image.
const verifiedSize = 768 << 20

// TestVerify sets "inlay verify" beside veritysetup on the same blocks, in
// memory. veritysetup gets the partitions as files of their own, for it knows no
// table, and the root hash, for it knows no signature.
func TestVerify(t *testing.T) {
	p := memory(t)
	b := newBench(t, p, payload{folder: p.folder}, newTools(t))
	v := newVerified(t, b)
	contenders := []contender{
		{name: "inlay verify", argv: func(*bench) [][]string { return [][]string{v.inlay(b)} }},
		{name: "inlay verify, one core", argv: func(*bench) [][]string { return [][]string{append([]string{"env", "GOMAXPROCS=1"}, v.inlay(b)...)} }},
		{name: "veritysetup verify", peer: true, argv: func(*bench) [][]string { return [][]string{v.veritysetup()} }},
	}
	found := results{contenders: contenders, runs: map[string][]run{}}
	b.load = append(b.load, load(t))
	start := time.Now()
	for round := range rounds(t) + 1 { // the first one warms
		for _, c := range contenders {
			r := b.agent.do(t, v.job(b, c))
			if round > 0 {
				found.runs[c.name] = append(found.runs[c.name], r)
			}
		}
	}
	b.load = append(b.load, load(t))
	t.Logf("%d rounds of %d contenders in %.0f s", rounds(t), len(contenders), time.Since(start).Seconds())
	v.spoil(t)
	for _, c := range contenders {
		if r := b.agent.try(t, v.job(b, c)); r.Failure == "" {
			t.Errorf("%s takes an image with a wrong byte", c.name)
		}
	}
	if t.Failed() {
		return
	}
	report(t, v.report(t, b, found))
}

// verified is a signed image, and its partitions for those who need them alone.
type verified struct {
	image, data, hash, root string
	parts                   []sfdisk.Partition
}

func newVerified(t *testing.T, b *bench) verified {
	t.Helper()
	folder := filepath.Join(b.place.folder, "verified")
	tree := filepath.Join(folder, "tree")
	large := filepath.Join(tree, "usr/lib/large")
	if err := os.MkdirAll(filepath.Dir(large), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(large)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(f, io.LimitReader(rand.NewChaCha8([32]byte{}), verifiedSize))
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	text, err := exec.CommandContext(t.Context(), b.tools.inlay(), "build", "large", "dir:"+tree, "--json", "--quiet", "--output", folder,
		"--private-key", b.tools.keys()+"/db.key", "--certificate", b.tools.keys()+"/db.pem").Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	var built struct{ Path string }
	if err := json.Unmarshal(text, &built); err != nil {
		t.Fatal(err)
	}
	v := verified{image: built.Path, data: filepath.Join(folder, "data"), hash: filepath.Join(folder, "hash")}
	v.parts = sfdisk.Partitions(t, v.image)
	v.root = sfdisk.RootHash(v.parts)
	sfdisk.Cut(t, v.image, v.parts[0], v.data)
	sfdisk.Cut(t, v.image, v.parts[1], v.hash)
	return v
}

func (v verified) inlay(b *bench) []string {
	return []string{b.tools.inlay(), "verify", "--depth", "full", "--certificate", b.tools.keys() + "/db.pem", v.image}
}

func (v verified) veritysetup() []string {
	return []string{"veritysetup", "verify", v.data, v.hash, v.root}
}

func (v verified) job(b *bench, c contender) job {
	return job{Folder: b.output(), Outputs: []string{v.image}, Commands: c.argv(b)}
}

// spoil turns a bit round in the last block of the large file.
func (v verified) spoil(t *testing.T) {
	t.Helper()
	for name, at := range map[string]int64{v.image: v.parts[0].Start + verifiedSize, v.data: verifiedSize} {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		one := make([]byte, 1)
		if _, err := f.ReadAt(one, at-1); err != nil {
			t.Fatal(err)
		}
		one[0] ^= 1
		if _, err := f.WriteAt(one, at-1); err != nil {
			t.Fatal(err)
		}
	}
}

func (v verified) report(t *testing.T, b *bench, found results) string {
	t.Helper()
	var text strings.Builder
	version := strings.TrimSpace(b.root.Run(t, nil, "veritysetup", "--version"))
	fmt.Fprintf(&text, "\n### Verifying (%s)\n\n%s. Minimum / median of %d interleaved rounds. An image of %.0f MB; %d processors (%s), load %s.\n\n",
		b.place.kind, version, rounds(t), float64(found.runs[found.contenders[0].name][0].Size)/1e6, runtime.NumCPU(), runtime.Version(), strings.Join(b.load, " before, ")+" after")
	text.WriteString("| | wall s | CPU s | peak MiB | times as fast as veritysetup |\n|---|---|---|---|---|\n")
	wall := figures()[0].value
	theirs := column(found.runs["veritysetup verify"], wall)
	for _, c := range found.contenders {
		fmt.Fprintf(&text, "| %s |", c.name)
		for _, f := range figures()[:3] {
			all := column(found.runs[c.name], f.value)
			fmt.Fprintf(&text, " "+f.unit+" / "+f.unit+" |", slices.Min(all), median(all))
		}
		faster := byRound(column(found.runs[c.name], wall), theirs)
		fmt.Fprintf(&text, " %.2f (%.2f to %.2f) |\n", median(faster), slices.Min(faster), slices.Max(faster))
	}
	fmt.Fprintf(&text, "\nA peak at or below %.0f MiB is that of the process that measures.\n", ownPeak(found)/(1<<20))
	return text.String()
}
