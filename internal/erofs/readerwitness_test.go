package erofs_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"inlay/test/debian"
	"inlay/test/need"
)

// oldConfigurations are ways to call mkfs.erofs 1.5 that take all of what it
// makes between them.
func oldConfigurations() map[string]string {
	return map[string]string{
		"plain":               "",
		"compact":             "-Eforce-inode-compact --all-root -T1700000000",
		"extended":            "-Eforce-inode-extended",
		"no tails":            "-Enoinline_data",
		"no attributes":       "-x-1",
		"inline attributes":   "-x1000000",
		"shared attributes":   "-x0",
		"ignore times":        "-T1700000000 --ignore-mtime",
		"chunks":              "--chunksize=4096",
		"chunk indexes":       "--chunksize=65536 -Eforce-chunk-indexes",
		"lz4":                 "-zlz4",
		"lz4hc":               "-zlz4hc,12",
		"lz4, big":            "-zlz4 -C65536",
		"lz4, largest":        "-zlz4 -C1048576",
		"lz4, legacy":         "-zlz4 -Elegacy-compress",
		"lz4hc, legacy":       "-zlz4hc -Elegacy-compress",
		"lz4, tails":          "-zlz4hc -Eztailpacking",
		"lz4, big tails":      "-zlz4hc -C32768 -Eztailpacking",
		"lz4, small extents":  "-zlz4 --max-extent-bytes=8192",
		"lz4, legacy, shared": "-zlz4 -Elegacy-compress -x0",
	}
}

// newConfigurations are the same for mkfs.erofs 1.8, which has more. It looks for
// the best of each cluster with all but LZ4, does not come to an end with dedupe
// and many zeros, and loses a byte with blocks of 2 KiB and ztailpacking, which
// the kernel then shows as we do: not all of it is put together here.
func newConfigurations() map[string]string {
	return map[string]string{
		"plain":                    "",
		"small blocks":             "-b512",
		"1K blocks":                "-b1024 -x0",
		"aligned":                  "--dsunit=16",
		"long prefixes":            "--xattr-prefix=user.prefix. --xattr-prefix=user.prefix.of. --xattr-prefix=security.se",
		"long prefixes, fragments": "--xattr-prefix=user.prefix. --xattr-prefix=user.prefix.of. -x0 -zlz4 -Efragments",
		"filter":                   "-Exattr-name-filter",
		"filter, fragments":        "-Exattr-name-filter -zlz4 -Eall-fragments --xattr-prefix=user.prefix.of.many.",
		"chunks":                   "--chunksize=4096",
		"chunk indexes":            "--chunksize=16384 -Eforce-chunk-indexes",
		"chunks, small blocks":     "-b512 --chunksize=512",

		"lz4":                   "-zlz4",
		"lz4, small blocks":     "-b512 -zlz4",
		"lz4, big":              "-zlz4 -C65536",
		"lz4, legacy":           "-zlz4 -Elegacy-compress",
		"lz4, packed by inode":  "-zlz4 -Efragments,fragdedupe=inode",
		"lz4, packed each":      "-zlz4 -Efragments,fragdedupe=off",
		"lz4hc, tails":          "-zlz4hc,level=12 -Eztailpacking",
		"lz4hc, all":            "-zlz4hc,level=3 -C32768 -Eall-fragments,dedupe,ztailpacking",
		"lz4hc, all, 2K blocks": "-b2048 -zlz4hc,level=3 -C32768 -Eall-fragments,dedupe,ztailpacking",

		"lzma":                   "-zlzma,level=0",
		"lzma, big tails":        "-zlzma,level=0 -C65536 -Eztailpacking",
		"lzma, packed":           "-zlzma,level=1,dictsize=65536 -C1048576 -Eall-fragments",
		"deflate":                "-zdeflate -Eztailpacking",
		"deflate, fragments":     "-zdeflate,level=9 -C65536 -Efragments",
		"deflate, all":           "-zdeflate -C32768 -Eall-fragments,dedupe,ztailpacking",
		"libdeflate":             "-zlibdeflate -C65536 -Elegacy-compress",
		"zstd":                   "-zzstd",
		"zstd, 2K blocks":        "-b2048 -zzstd -C8192",
		"zstd, big tails":        "-zzstd,level=9 -C262144 -Eztailpacking",
		"zstd, packed":           "-zzstd -C1048576 -Eall-fragments",
		"zstd, fragments":        "-zzstd -C65536 -Efragments,fragdedupe=full",
		"zstd, legacy":           "-zzstd -Elegacy-compress",
		"zstd, all":              "-zzstd -C32768 -Eall-fragments,dedupe,ztailpacking",
		"zstd, small dictionary": "-zzstd,level=1,dictsize=4096 -C131072",

		"two methods":   "-zlz4:zstd -C16384 --compress-hints=/w/hints",
		"three methods": "-zdeflate:lz4hc:zstd -C16384 --compress-hints=/w/hints -Eztailpacking",
	}
}

// dedupingConfigurations are more of them, for a tree without zeros.
func dedupingConfigurations() map[string]string {
	return map[string]string{
		"lz4":            "-zlz4 -Ededupe",
		"lz4, legacy":    "-zlz4 -C16384 -Ededupe,legacy-compress",
		"lz4, fragments": "-zlz4hc -C65536 -Efragments,dedupe",
		"lzma":           "-zlzma,level=0 -C65536 -Ededupe",
		"deflate":        "-zdeflate -C16384 -Ededupe",
		"zstd":           "-zzstd -C32768 -Ededupe",
		"zstd, tails":    "-zzstd -C32768 -Ededupe,ztailpacking",
	}
}

// TestReadsOldImages compares what we read of images by mkfs.erofs 1.5 with what
// the kernel shows of them, and with what went in.
func TestReadsOldImages(t *testing.T) {
	t.Parallel()
	tool := need.Tool(t, "mkfs.erofs", "erofs-utils")
	source := sourceTree(t, 10<<20)
	content := readOS(t, source)
	for name, options := range sorted(oldConfigurations()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := filepath.Join(t.TempDir(), "image")
			args := append(strings.Fields(options), "--quiet", image, source)
			if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
				t.Fatalf("mkfs.erofs: %v\n%s", err, out[max(0, len(out)-500):])
			}
			judgeImage(t, image, content)
		})
	}
}

// TestReadsNewImages does the same with images by Debian trixie's mkfs.erofs.
func TestReadsNewImages(t *testing.T) {
	t.Parallel()
	source := sourceTree(t, 1<<20)
	must(t, os.WriteFile(filepath.Join(source, strings.Repeat("m", 255)), nil, 0o644))
	readsNewImages(t, source, newConfigurations())
}

// TestReadsDedupedImages does so with images whose files share clusters.
func TestReadsDedupedImages(t *testing.T) {
	t.Parallel()
	readsNewImages(t, sourceTree(t, 0), dedupingConfigurations())
}

func readsNewImages(t *testing.T, source string, configurations map[string]string) {
	t.Helper()
	tools, work, content := debian.Tools(t), t.TempDir(), readOS(t, source)
	hints := "4096 1 ^large/mixed\n65536 1 text\n8192 0 zeros\n"
	must(t, os.WriteFile(filepath.Join(work, "hints"), []byte(hints), 0o644))
	for name, options := range sorted(configurations) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := strings.NewReplacer(" ", "_", ",", "_").Replace(name)
			command := append([]string{"mkfs.erofs", "--quiet"}, strings.Fields(options)...)
			tools.Run(t, map[string]string{work: "/w", source: "/tree"}, append(command, "/w/"+image, "/tree")...)
			judgeImage(t, filepath.Join(work, image), content)
			must(t, os.Remove(filepath.Join(work, image)))
		})
	}
}

// judgeImage compares what we read of an image with what the kernel does, and
// its content with what it was made of.
func judgeImage(t testing.TB, image string, source map[string]record) {
	t.Helper()
	got := readOurs(t, load(t, image))
	compare(t, readOS(t, mount(t, image)), got, nil)
	compare(t, source, got, func(_ string, r *record) {
		// Options change these, and the source's own file system may count otherwise.
		r.UID, r.GID, r.Sec, r.Nsec, r.Links, r.Xattrs, r.SameAs = 0, 0, 0, 0, 0, nil, ""
		if r.Mode&0o170000 == 0o120000 {
			r.Mode = 0
		}
	})
}
