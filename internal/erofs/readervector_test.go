package erofs_test

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/erofs"
)

// vector unpacks an image in testdata.
func vector(t testing.TB, name string) []byte {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", name+".gz"))
	must(t, err)
	defer file.Close()
	z, err := gzip.NewReader(file)
	must(t, err)
	image, err := io.ReadAll(z)
	must(t, err)
	return image
}

// vectors are the images in testdata.
func vectors(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/*.gz")
	if err != nil || len(names) == 0 {
		t.Fatal(err, names)
	}
	for i, name := range names {
		names[i] = strings.TrimSuffix(filepath.Base(name), ".gz")
	}
	return names
}

// open opens an image in memory.
func open(t testing.TB, image []byte) *erofs.FileSystem {
	t.Helper()
	f, err := erofs.Open(bytes.NewReader(image), int64(len(image)))
	must(t, err)
	return f
}

// find returns the inode at a path.
func find(t testing.TB, f *erofs.FileSystem, path string) *erofs.Inode {
	t.Helper()
	h := f.Root()
	for name := range strings.SplitSeq(path, "/") {
		n, err := f.Inode(h)
		must(t, err)
		if name == "." {
			return n
		}
		list, err := f.ReadDir(n)
		must(t, err)
		i := slices.IndexFunc(list, func(e erofs.Entry) bool { return e.Name == name })
		if i < 0 {
			t.Fatalf("no %q in %q", name, path)
		}
		h = list[i].Handle
	}
	n, err := f.Inode(h)
	must(t, err)
	return n
}

// listed is a tree as tree.txt has it.
func listed(records map[string]record) map[string]string {
	lines := map[string]string{}
	for path, r := range records {
		var b strings.Builder
		fmt.Fprintf(&b, "%x %d %d:%d %x:%x %d.%09d", r.Mode, r.Links, r.UID, r.GID, r.Major, r.Minor, r.Sec, r.Nsec)
		if path != "." {
			path = "./" + path
		}
		fmt.Fprintf(&b, " %s", path)
		switch r.Mode & syscall.S_IFMT {
		case syscall.S_IFLNK:
			fmt.Fprintf(&b, " -> %s", r.Target)
		case syscall.S_IFREG:
			_, sum, _ := strings.Cut(r.Content, ", ")
			fmt.Fprintf(&b, " %s", sum)
		}
		for _, name := range slices.Sorted(maps.Keys(r.Xattrs)) {
			fmt.Fprintf(&b, " %s=0x%s", name, hex.EncodeToString([]byte(r.Xattrs[name])))
		}
		lines[path] = b.String()
	}
	return lines
}

// TestVectors reads images by mkfs.erofs as what they were made of.
func TestVectors(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/tree.txt")
	must(t, err)
	for _, name := range vectors(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := map[string]string{}
			for line := range strings.Lines(string(text)) {
				line = strings.TrimSuffix(line, "\n")
				path := strings.Join(strings.Fields(line)[5:], " ")
				path, _, _ = strings.Cut(path, " -> ")
				if i := strings.LastIndexByte(path, '='); i >= 0 || len(path) > 64 { // attributes and digests follow
					path = strings.Fields(path)[0]
				}
				if (path == "./zeros" || path == "./odd") && slices.Contains([]string{"dedupe", "lzma", "deflate", "zstd"}, name) {
					continue
				}
				if name == "plain" {
					line = strings.Replace(line, "1700000000.500000000", "1700000000.000000000", 1)
				}
				want[path] = line
			}
			if diff := cmp.Diff(want, listed(readOurs(t, vector(t, name)))); diff != "" {
				t.Errorf("files (-want +got):\n%.5000s", diff)
			}
		})
	}
}
