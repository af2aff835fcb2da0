//go:build bench

package bench_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"inlay/test/debian"
)

// bench is all that contenders need on one file system.
type bench struct {
	place   place
	data    payload
	root    *debian.Root
	agent   *agent
	program string // inlay, as it ships
	keys    string // folder with db.key and db.pem
	load    []string
}

func newBench(t *testing.T, p place, data payload, tools string) *bench {
	t.Helper()
	b := &bench{place: p, data: data, root: debian.Tools(t), program: program(tools), keys: keys(tools)}
	b.agent = startAgent(t, b.root, map[string]string{tools: "", p.folder: "", data.folder: ""})
	return b
}

func program(tools string) string { return filepath.Join(tools, "inlay") }
func keys(tools string) string    { return filepath.Join(tools, "keys") }

// newTools returns a folder with the program and a pair of keys.
func newTools(t *testing.T) string {
	t.Helper()
	tools := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program(tools), "inlay/cmd/inlay")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	create := exec.CommandContext(t.Context(), program(tools), "keys", "create", "bench", "--output", keys(tools))
	for _, c := range []*exec.Cmd{build, create} {
		if text, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", c.Args, err, text)
		}
	}
	return tools
}

// contender is one way from the payload to a signed image.
type contender struct {
	name   string
	peer   bool // not inlay
	folder bool // reads the unpacked folder
	// argv returns the commands, which are timed together.
	argv func(b *bench) [][]string
}

// pair sets one of inlay's ways against one of a peer's.
type pair struct{ ours, theirs string }

// The ways that are measured.
const (
	inlayPlain  = "inlay, plain layer"
	inlayGzip   = "inlay, gzip layer"
	inlayZstd   = "inlay, zstd layer"
	inlayFolder = "inlay, folder"
	repartAlone = "repart alone, folder"
	repartBest  = "repart --offline=yes, folder"
	tarPlain    = "tar + repart, plain layer"
	tarGzip     = "tar + repart, gzip layer"
)

func contenders() []contender {
	return []contender{
		{name: inlayPlain, argv: func(b *bench) [][]string { return [][]string{b.inlay("file:" + b.data.tar())} }},
		{name: inlayGzip, argv: func(b *bench) [][]string { return [][]string{b.inlay("file:" + b.data.gzip())} }},
		{name: inlayZstd, argv: func(b *bench) [][]string { return [][]string{b.inlay("file:" + b.data.zstd())} }},
		{name: inlayFolder, folder: true, argv: func(b *bench) [][]string { return [][]string{b.inlay("dir:" + b.data.tree())} }},
		{name: repartAlone, peer: true, folder: true, argv: func(b *bench) [][]string { return [][]string{b.repart(b.data.tree())} }},
		{name: repartBest, peer: true, folder: true, argv: func(b *bench) [][]string { return [][]string{b.repart(b.data.tree(), offline)} }},
		{name: tarPlain, peer: true, argv: func(b *bench) [][]string { return b.extracted(b.data.tar()) }},
		{name: tarGzip, peer: true, argv: func(b *bench) [][]string { return b.extracted(b.data.gzip()) }},
	}
}

// pairs are the comparisons of the report.
func pairs() []pair {
	return []pair{
		{inlayPlain, repartAlone},
		{inlayPlain, repartBest},
		{inlayFolder, repartBest},
		{inlayZstd, repartBest},
		{inlayGzip, repartBest},
		{inlayPlain, tarPlain},
		{inlayGzip, tarGzip},
	}
}

func (b *bench) inlay(source string) []string {
	return []string{
		b.program, "build", "-q", extensionName, source, "--output", b.output(),
		"--private-key", b.keys + "/db.key", "--certificate", b.keys + "/db.pem",
	}
}

// offline makes systemd-repart do without loop devices even where it may use
// them, as here: it is the faster and the steadier of its two ways.
const offline = "--offline=yes"

func (b *bench) repart(folder string, flags ...string) []string {
	argv := []string{
		"systemd-repart", "--make-ddi=sysext", "--private-key=" + b.keys + "/db.key", "--certificate=" + b.keys + "/db.pem",
		"--copy-source=" + folder,
	}
	return append(append(argv, flags...), b.image())
}

// extracted is the road of builders that unpack a layer and call systemd-repart.
func (b *bench) extracted(layer string) [][]string {
	tree := filepath.Join(b.output(), "tree")
	return [][]string{
		{"mkdir", tree},
		{"tar", "--extract", "--file=" + layer, "--directory=" + tree},
		b.repart(tree, offline),
	}
}

func (b *bench) image() string { return filepath.Join(b.output(), extensionName+".sysext.raw") }

// job is what the agent does for c.
func (c contender) job(b *bench) job {
	return job{
		Folder: b.output(), Output: b.image(), Commands: c.argv(b),
		// systemd-repart keeps its copies of the files here.
		Env: []string{"TMPDIR=" + b.output()},
	}
}
