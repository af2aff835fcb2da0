//go:build bench

package bench_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"inlay/test/debian"
)

// onlyVariable holds a regular expression; contenders that it doesn't match
// stay away, and what was to be compared with them is not in the report.
const onlyVariable = "INLAY_BENCH_ONLY"

// bench is all that contenders need on one file system.
type bench struct {
	place place
	data  payload
	root  *debian.Root
	agent *agent
	tools tools
	truth tree   // what the payload holds
	added string // the folder that inlay adds to it, if any
	load  []string
}

// tools are the programs that are not of the Debian root, and the keys.
type tools string

func (t tools) inlay() string { return filepath.Join(string(t), "inlay") }
func (t tools) road() string  { return filepath.Join(string(t), "road") }
func (t tools) floor() string { return filepath.Join(string(t), "floor") }
func (t tools) keys() string  { return filepath.Join(string(t), "keys") }

func newBench(t *testing.T, p place, data payload, programs tools) *bench {
	t.Helper()
	b := &bench{place: p, data: data, root: debian.Tools(t), tools: programs}
	b.agent = startAgent(t, b.root, map[string]string{string(programs): "", p.folder: "", data.folder: ""})
	return b
}

// newTools builds the programs and makes a pair of keys.
func newTools(t *testing.T) tools {
	t.Helper()
	programs := tools(t.TempDir())
	for _, argv := range [][]string{
		{"go", "build", "-trimpath", "-ldflags", "-s -w", "-o", string(programs) + "/", "inlay/cmd/inlay", "inlay/test/bench/road", "inlay/test/bench/floor"},
		{programs.inlay(), "keys", "create", "bench", "--output", programs.keys()},
	} {
		c := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if text, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", c.Args, err, text)
		}
	}
	return programs
}

// contender is one way from the payload to an image.
type contender struct {
	name string
	peer bool // not inlay
	// same names those whose images must have the same bytes: one layer in
	// several forms. "" has none.
	same string
	// slow ones take seconds of pure computing: they run in memory only, and
	// twice.
	slow bool
	// payload is the only one that c packs; "" has it pack all.
	payload string
	made    product
	// argv returns the commands, which are timed together.
	argv func(b *bench) [][]string
	// needs are words without which inlay's help knows no such way.
	needs string
}

// product is what a contender makes, and so who judges it.
type product int

const (
	signed     product = iota // an image with three partitions
	bare                      // an EROFS and its hash tree, in files of their own
	unverified                // an EROFS alone
	squashed                  // a squashfs alone
	copied                    // the layer's own bytes
)

// The ways that are measured.
const (
	inlayPlain       = "inlay, plain layer"
	inlayGzip        = "inlay, gzip layer"
	inlayZstd        = "inlay, zstd layer"
	inlayDaemon      = "inlay, daemon"
	inlayLayout      = "inlay, layout with gzip"
	inlayFolder      = "inlay, folder"
	inlayDefault     = "inlay, plain layer, by default"
	inlayLZ4         = "inlay, plain layer to lz4"
	inlayLZ4New      = "inlay, plain layer to lz4 for Linux 6.12"
	inlayHC          = "inlay, plain layer to lz4hc:12"
	inlayToZstd      = "inlay, plain layer to zstd"
	inlayFolderZstd  = "inlay, folder to zstd"
	repartAlone      = "repart alone, folder"
	repartOffline    = "repart --offline=yes, folder"
	roadDaemon       = "AuroraBoot's road, daemon"
	roadDaemonNoLoop = "AuroraBoot's road, daemon, --offline=yes"
	roadLayout       = "AuroraBoot's road, layout with gzip"
	mkfsFolder       = "mkfs.erofs + veritysetup, folder"
	mkfsTar          = "mkfs.erofs --tar + veritysetup, plain layer"
	mkfsLZ4          = "mkfs.erofs lz4 + veritysetup, folder"
	mkfsLZ4Tar       = "mkfs.erofs lz4 --tar + veritysetup, plain layer"
	mkfsZstd         = "mkfs.erofs zstd,3 + veritysetup, folder"
	flatcarErofs     = "Flatcar's recipe: mkfs.erofs lz4hc,12"
	flatcarSquashfs  = "Flatcar's recipe: mksquashfs"
	theFloor         = "the floor: SHA-256 and write"
)

// plainLayers is the group of those that pack the same layer without compression.
const plainLayers = "uncompressed layer"

// newest is a kernel that has all that EROFS has had to offer.
const newest = "--min-kernel=6.12"

func ours() []contender {
	none := []string{"--compression=none"}
	return []contender{
		{name: inlayPlain, same: plainLayers, argv: inlayOf("file:", payload.tar, none...)},
		{name: inlayGzip, same: plainLayers, argv: inlayOf("file:", payload.gzip, none...)},
		{name: inlayZstd, same: plainLayers, argv: inlayOf("file:", payload.zstd, none...)},
		{name: inlayDaemon, same: plainLayers, argv: inlayOf("docker:", func(payload) string { return extensionName }, none...)},
		{name: inlayLayout, same: plainLayers, argv: inlayOf("layout:", payload.layout, none...)},
		{name: inlayFolder, argv: inlayOf("dir:", payload.tree, none...)},
		{name: inlayDefault, needs: "--compression", argv: inlayOf("file:", payload.tar)},
		{name: inlayLZ4, needs: "--compression", argv: inlayOf("file:", payload.tar, "--compression=lz4")},
		{name: inlayLZ4New, needs: "--compression", argv: inlayOf("file:", payload.tar, "--compression=lz4", newest)},
		{name: inlayHC, needs: "--compression", slow: true, payload: "A", argv: inlayOf("file:", payload.tar, "--compression=lz4hc:12", newest)},
		{name: inlayToZstd, needs: "--compression", argv: inlayOf("file:", payload.tar, "--compression=zstd", newest)},
		{name: inlayFolderZstd, needs: "--compression", argv: inlayOf("dir:", payload.tree, "--compression=zstd", newest)},
	}
}

// inlayOf is inlay's way from one form of the payload.
func inlayOf(scheme string, form func(payload) string, flags ...string) func(*bench) [][]string {
	return func(b *bench) [][]string {
		argv := []string{
			b.tools.inlay(), "build", "-q", extensionName, scheme + form(b.data), "--output", b.output(),
			"--private-key", b.tools.keys() + "/db.key", "--certificate", b.tools.keys() + "/db.pem",
		}
		return [][]string{append(argv, flags...)}
	}
}

// contenders returns who takes part in place, in the order in which they run.
func contenders(t *testing.T, b *bench) []contender {
	t.Helper()
	only := regexp.MustCompile(os.Getenv(onlyVariable))
	help := b.root.Run(t, map[string]string{string(b.tools): ""}, b.tools.inlay(), "build", "--help")
	var all []contender
	for _, c := range append(ours(), peers()...) {
		switch {
		case !only.MatchString(c.name):
		case c.slow && b.place.name != "memory", c.payload != "" && c.payload != b.data.name:
		case !strings.Contains(help, c.needs):
			t.Errorf("%s: inlay knows no %s", c.name, c.needs)
		default:
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s=%q matches no contender", onlyVariable, only)
	}
	return all
}

// output is where contenders write, inside and outside of the root.
func (b *bench) output() string { return filepath.Join(b.place.folder, "out") }

// socket is where a daemon has the payload's image.
func (b *bench) socket() string { return filepath.Join(b.place.folder, "daemon") }

func (b *bench) image() string { return filepath.Join(b.output(), extensionName+".sysext.raw") }

// bareImage, bareTree and bareRoot are of those that make no partitions.
func (b *bench) bareImage() string { return filepath.Join(b.output(), "image") }
func (b *bench) bareTree() string  { return filepath.Join(b.output(), "tree.verity") }
func (b *bench) bareRoot() string  { return filepath.Join(b.output(), "root.hex") }

// job is what the agent does for c.
func (c contender) job(b *bench) job {
	outputs := []string{b.bareImage()}
	switch c.made {
	case signed:
		outputs = []string{b.image()}
	case bare:
		outputs = append(outputs, b.bareTree())
	case unverified, squashed, copied:
	}
	return job{
		Folder: b.output(), Outputs: outputs, Commands: c.argv(b),
		// systemd-repart and the road keep their copies of the files here.
		Env: []string{"TMPDIR=" + b.output(), "DOCKER_HOST=unix://" + b.socket()},
	}
}
