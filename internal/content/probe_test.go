package content_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/content"
	"inlay/test/need"
)

// patch is bytes at a place.
type patch struct {
	at int
	b  []byte
}

func le(at, size int, v uint64) patch {
	return patch{at, binary.LittleEndian.AppendUint64(nil, v)[:size]}
}

func text(at int, s string) patch { return patch{at, []byte(s)} }

func TestProbe(t *testing.T) {
	t.Parallel()
	ext := func(compat, incompat, readCompat uint64) []patch {
		return []patch{text(1080, "\x53\xef"), le(1028, 4, 100), le(1024+92, 4, compat), le(1024+96, 4, incompat), le(1024+100, 4, readCompat)}
	}
	for name, c := range map[string]struct {
		start []patch
		kind  string
		size  int64
	}{
		"nothing":                    {nil, "", 0},
		"erofs":                      {[]patch{text(1024, "\xe2\xe1\xf5\xe0"), le(1036, 1, 12), le(1060, 4, 3)}, "erofs", 3 << 12},
		"erofs of 48 bits":           {[]patch{text(1024, "\xe2\xe1\xf5\xe0"), le(1036, 1, 12), le(1060, 4, 3), le(1104, 4, 0x80), le(1038, 2, 1)}, "erofs", 1<<44 + 3<<12},
		"erofs too large":            {[]patch{text(1024, "\xe2\xe1\xf5\xe0"), le(1036, 1, 200), le(1060, 4, 3)}, "erofs", math.MaxInt64},
		"squashfs":                   {[]patch{text(0, "hsqs"), le(40, 8, 777)}, "squashfs", 777},
		"squashfs too large":         {[]patch{text(0, "hsqs"), le(40, 8, 1<<63)}, "squashfs", math.MaxInt64},
		"ext2":                       {ext(0, 0x2, 0x3), "ext2", 100 << 10},
		"ext3":                       {ext(4, 0x6, 0x3), "ext3", 100 << 10},
		"ext4":                       {ext(4, 0x42, 0x3), "ext4", 100 << 10},
		"ext4 of 64 bits":            {append(ext(4, 0xc2, 0x3), le(1024+0x150, 4, 1)), "ext4", 1<<42 + 100<<10},
		"ext4 without journal":       {ext(0, 0x42, 0x3), "ext4", 100 << 10},
		"ext4 by metadata checksums": {ext(0, 0x2, 0x400), "ext4", 100 << 10},
		"ext4 of blocks too large":   {append(ext(4, 0x42, 0x3), le(1024+24, 4, 60)), "ext4", math.MaxInt64},
		"xfs":                        {[]patch{text(0, "XFSB\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00\x00\x05")}, "xfs", 5 << 12},
		"btrfs":                      {[]patch{text(0x10040, "_BHRfS_M"), le(0x10070, 8, 1<<30)}, "btrfs", 1 << 30},
		"f2fs":                       {[]patch{text(1024, "\x10\x20\xf5\xf2"), le(1040, 4, 12), le(1060, 8, 9)}, "f2fs", 9 << 12},
		"FAT16":                      {[]patch{text(510, "\x55\xaa"), text(54, "FAT16   "), le(11, 2, 512), le(19, 2, 8)}, "vfat", 4096},
		"FAT32":                      {[]patch{text(510, "\x55\xaa"), text(82, "FAT32   "), le(11, 2, 512), le(32, 4, 1<<20)}, "vfat", 512 << 20},
		"boot sector alone":          {[]patch{text(510, "\x55\xaa")}, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := make([]byte, 70_000)
			for _, p := range c.start {
				copy(b[p.at:], p.b)
			}
			kind, size := content.Probe(bytes.NewReader(b), int64(len(b)))
			if kind != c.kind || size != c.size {
				t.Errorf("got %q of %d bytes, want %q of %d", kind, size, c.kind, c.size)
			}
			// A file that ends anywhere is looked at without a panic.
			for end := range 1200 {
				content.Probe(bytes.NewReader(b[:end]), int64(end))
			}
			content.Probe(bytes.NewReader(b[:100]), -1)
			content.Probe(bytes.NewReader(b[:100]), math.MaxInt64)
		})
	}
}

// TestProbeAsBlkid has blkid say what file systems are, and their own tools how
// large.
func TestProbeAsBlkid(t *testing.T) {
	t.Parallel()
	blkid := need.Tool(t, "blkid", "util-linux")
	const size = 8 << 20
	for name, c := range map[string]struct {
		pkg  string
		args []string
	}{
		"mke2fs":    {"e2fsprogs", []string{"-q", "-t", "ext4"}},
		"mkfs.ext2": {"e2fsprogs", []string{"-q"}},
		"mkfs.ext3": {"e2fsprogs", []string{"-q"}},
		"mkfs.vfat": {"dosfstools", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tool := need.Tool(t, name, c.pkg)
			path := filepath.Join(t.TempDir(), "image")
			if err := os.WriteFile(path, make([]byte, size), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(tool, append(c.args, path)...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			word, err := exec.Command(blkid, "-p", "-o", "value", "-s", "TYPE", path).Output()
			if err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			kind, bytes := content.Probe(f, size)
			if kind != strings.TrimSpace(string(word)) || bytes != size {
				t.Errorf("got %q of %d bytes, blkid says %q", kind, bytes, word)
			}
		})
	}
}
