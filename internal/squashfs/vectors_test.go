package squashfs_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"inlay/internal/squashfs"
)

// readable are the vectors that hold the tree of sample.
func readable() []string { return []string{"gzip", "zstd", "lz4", "xz", "xz-x86", "plain"} }

func vector(t testing.TB, name string) []byte {
	t.Helper()
	image, err := os.ReadFile(filepath.Join("testdata", name+".squashfs"))
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// sample is the tree that testdata/generate.sh makes.
func sample() map[string]record {
	const when, release = 1700000000, "usr/lib/extension-release.d/extension-release.sample"
	var (
		folder = record{Mode: syscall.S_IFDIR | 0o755, Links: 2}
		file   = record{Mode: syscall.S_IFREG | 0o644, Links: 1}
		link   = record{Mode: syscall.S_IFLNK | 0o777, Links: 1}
		node   = record{Mode: 0o644, Links: 1}
	)
	with := func(r record, change func(r *record)) record {
		change(&r)
		return r
	}
	content := func(text []byte) func(*record) {
		return func(r *record) { r.Size, r.Content = int64(len(text)), fmt.Sprintf("%x", sha256.Sum256(text)) }
	}
	target := func(text string) func(*record) {
		return func(r *record) { r.Size, r.Target = int64(len(text)), text }
	}
	special := func(mode, major, minor uint32) func(*record) {
		return func(r *record) { r.Mode, r.Major, r.Minor = mode|r.Mode, major, minor }
	}
	size := func(links uint32, size int64) func(*record) {
		return func(r *record) { r.Links, r.Size = links, size }
	}
	large := bytes.Join([][]byte{
		[]byte(strings.Repeat("a line of text\n", 300))[:4096], make([]byte, 4096), []byte(strings.Repeat("another line of text\n", 300))[:5000],
	}, nil)
	var code []byte
	for at := 0; at < 4096; at += 8 {
		code = append(binary.LittleEndian.AppendUint32(append(code, 0xe8), uint32(0x1234-at-5)), "\x90\x90\x90"...)
	}
	for at := 0; at < 1900; at += 4 {
		code = binary.BigEndian.AppendUint32(code, 0x48000001|uint32(0x4000-at))
	}
	tree := map[string]record{
		".":                           with(folder, size(3, 26)),
		"usr":                         with(folder, size(5, 194)),
		"usr/lib":                     with(folder, size(3, 42)),
		"usr/lib/extension-release.d": with(folder, size(2, 47)),
		"usr/empty":                   with(folder, size(2, 3)),
		"usr/attributed":              with(folder, size(2, 3)),
		"usr/link":                    with(link, target("lib/extension-release.d")),
		"usr/attributed-link":         with(link, target("nowhere")),
		"usr/char":                    with(node, special(syscall.S_IFCHR, 5, 1)),
		"usr/block":                   with(node, special(syscall.S_IFBLK, 259, 70000)),
		"usr/fifo":                    with(node, special(syscall.S_IFIFO, 0, 0)),
		"usr/socket":                  with(node, func(r *record) { r.Mode = syscall.S_IFSOCK | 0o755 }),
		"usr/nothing":                 with(file, content(nil)),
		"usr/file":                    with(file, content(large)),
		"usr/code":                    with(file, content(code)),
		release:                       with(file, content([]byte("ID=debian\nVERSION_ID=13\n"))),
	}
	for name, r := range tree {
		r.Sec, r.Xattrs = when, map[string]string{}
		if r.Mode&syscall.S_IFMT != syscall.S_IFDIR {
			r.SameAs = name
		}
		if b := filepath.Base(name); b == "attributed" || b == "attributed-link" || b == "file" || b == "char" {
			r.Xattrs["trusted.sample"] = b
			r.Xattrs["security.sample"] = fmt.Sprintf("%0200d", 7)
		}
		switch name {
		case release:
			r.Xattrs["user.extension-release.strict"] = "0"
		case "usr/code":
			r.Mode, r.UID, r.GID = syscall.S_IFREG|0o4750, 1000, 100
		case "usr/file":
			r.Links = 2
		}
		tree[name] = r
	}
	tree["usr/same"] = tree["usr/file"]
	return tree
}

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, name := range readable() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := vector(t, name)
			f, err := open(append(image, make([]byte, 999)...))
			if err != nil {
				t.Fatal(err)
			}
			if f.Size() != int64(len(image)) {
				t.Errorf("size %d of %d", f.Size(), len(image))
			}
			got, err := read(f, unlimited())
			if err != nil {
				t.Fatal(err)
			}
			compare(t, sample(), got)
		})
	}
}

func TestUnsupported(t *testing.T) {
	t.Parallel()
	with := func(name string, off int, b ...byte) []byte {
		image := vector(t, name)
		copy(image[off:], b)
		return image
	}
	for _, test := range []struct {
		name  string
		image []byte
		want  string
	}{
		{"lzo", vector(t, "lzo"), "compression by lzo"},
		{"lzma", vector(t, "lzma"), "compression by lzma"},
		{"filter", vector(t, "xz-powerpc"), "xz's filter for PowerPC"},
		{"compressor of tomorrow", with("plain", 20, 7), "compression by method 7"},
		{"version 3", with("plain", 28, 3, 0, 1, 0), "version 3.1"},
		{"version 4.1", with("plain", 30, 1), "version 4.1"},
		{"other byte order", with("plain", 0, []byte("sqsh")...), "big-endian byte order"},
		{"flag of tomorrow", with("plain", 25, 0x10), "flag 0x1000"},
		{"other lz4", with("lz4", 98, 2), "version 2 of lz4's format"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f, err := open(test.image)
			if err == nil {
				_, err = read(f, unlimited())
			}
			unsupported, ok := errors.AsType[*squashfs.Unsupported](err)
			if !ok || unsupported.Feature != test.want {
				t.Errorf("%v; want %q", err, test.want)
			}
		})
	}
}

// find returns the inode at a path.
func find(t testing.TB, f *squashfs.FileSystem, path string) *squashfs.Inode {
	t.Helper()
	ref := f.Root()
	for part := range strings.SplitSeq(path, "/") {
		n, err := f.Inode(ref)
		if err != nil {
			t.Fatal(err)
		}
		list, err := f.ReadDir(n)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, e := range list {
			if e.Name == part {
				ref, found = e.Ref, true
			}
		}
		if !found {
			t.Fatalf("%q is not there", path)
		}
	}
	n, err := f.Inode(ref)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestReaders has two readers of one file take turns, with small and odd reads.
func TestReaders(t *testing.T) {
	t.Parallel()
	f, err := open(vector(t, "zstd"))
	if err != nil {
		t.Fatal(err)
	}
	var readers [2]io.Reader
	var got [2]bytes.Buffer
	for i := range readers {
		if readers[i], err = f.Open(find(t, f, "usr/file")); err != nil {
			t.Fatal(err)
		}
	}
	for n := int64(1); got[1].Len() < 13192; n += 13 {
		for i := range readers {
			if _, err := io.CopyN(&got[i], readers[i], n); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		}
	}
	for i := range got {
		if fmt.Sprintf("%x", sha256.Sum256(got[i].Bytes())) != sample()["usr/file"].Content {
			t.Errorf("reader %d gave something else", i)
		}
	}
	r, err := f.Open(find(t, f, "usr/file"))
	if err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(r, got[0].Bytes()); err != nil {
		t.Error(err)
	}
}

// TestWrongKind asks each thing of what has no such thing.
func TestWrongKind(t *testing.T) {
	t.Parallel()
	f, err := open(vector(t, "gzip"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.ReadDir(find(t, f, "usr/file")); err == nil {
		t.Error("a file is read as a folder")
	}
	if _, err := f.Open(find(t, f, "usr/link")); err == nil {
		t.Error("a link is opened as a file")
	}
	if _, err := f.Readlink(find(t, f, "usr")); err == nil {
		t.Error("a folder is read as a link")
	}
	if _, err := f.Inode(squashfs.Ref{}); err == nil {
		t.Error("the zero reference names an inode")
	}
}
