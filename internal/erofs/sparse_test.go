package erofs_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"inlay/internal/erofs"
	"inlay/test/debian"
)

// sparseFile is content of zeros with islands of something.
type sparseFile struct {
	size, at int64
	islands  map[int64][]byte
}

func (s *sparseFile) Read(p []byte) (int, error) {
	if s.at == s.size {
		return 0, io.EOF
	}
	n := min(int64(len(p)), s.size-s.at)
	clear(p[:n])
	for at, island := range s.islands {
		if from, to := max(at, s.at), min(at+int64(len(island)), s.at+n); from < to {
			copy(p[from-s.at:to-s.at], island[from-at:])
		}
	}
	s.at += n
	return int(n), nil
}

// TestSparse packs 4 GiB of nearly nothing.
func TestSparse(t *testing.T) {
	t.Parallel()
	const size = 4<<30 + 12_345
	islands := map[int64][]byte{
		0:            []byte("start"),
		1<<30 + 5000: compressible(300_000, 1),
		3 << 30:      pattern(100_000, 2),
		size - 3:     []byte("end"),
	}
	options := pressed()
	options["plain"] = erofs.Options{}
	for name, limit := range map[string]int64{
		"plain": 2 << 20, "lz4": 24 << 20, "lz4 oldest": 30 << 20, "lz4 tails": 24 << 20, "lz4 fragments": 24 << 20, "zstd": 8 << 20,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "image")
			f, err := os.Create(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			w := erofs.NewWriter(&sparse{file: f}, options[name])
			ref, err := w.File(attr(syscall.S_IFREG|0o644), size, &sparseFile{size: size, islands: islands})
			if err != nil {
				t.Fatal(err)
			}
			blocks, err := w.Finish(&erofs.Dir{Attr: attr(syscall.S_IFDIR | 0o755), Entries: []erofs.Dirent{{Name: "sparse", Type: syscall.S_IFREG, Ref: ref}}})
			if err != nil {
				t.Fatal(err)
			}
			if got := blocks * erofs.BlockSize; got > limit {
				t.Errorf("it takes %d bytes, want at most %d", got, limit)
			}
			mounted, err := os.Open(filepath.Join(mount(t, file), "sparse"))
			if err != nil {
				t.Fatal(err)
			}
			defer mounted.Close()
			checkSparse(t, mounted, size, islands)
			if out := debian.Tools(t).Run(t, map[string]string{filepath.Dir(file): ""}, "fsck.erofs", file); strings.Contains(out, "<E>") {
				t.Error(out)
			}
		})
	}
}

// checkSparse reads around the islands and some of what is between them.
func checkSparse(t *testing.T, f *os.File, size int64, islands map[int64][]byte) {
	t.Helper()
	places := []int64{64 << 10, 1 << 20, 4<<20 - 5000, 4 << 20, 1<<30 - 1000, 2<<30 + 1, 4<<30 - 10_000, 4<<30 - 1}
	for at, island := range islands {
		places = append(places, max(at-5000, 0), max(at+int64(len(island))-1000, 0))
	}
	for _, at := range places {
		got := make([]byte, 20_000)
		n, err := f.ReadAt(got, at)
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		want := make([]byte, min(20_000, size-at))
		_, _ = io.ReadFull(&sparseFile{size: size, at: at, islands: islands}, want)
		if !bytes.Equal(got[:n], want) {
			t.Errorf("at %d it differs", at)
		}
	}
	if n, err := f.ReadAt(make([]byte, 10), size); n != 0 || err != io.EOF {
		t.Errorf("behind its end there are %d bytes, %v", n, err)
	}
}

// TestHoles has chunks begin and end around what is a hole and what is none.
func TestHoles(t *testing.T) {
	t.Parallel()
	const chunk = erofs.BufferSize
	content := func(parts ...any) []byte {
		var p []byte
		for _, part := range parts {
			switch part := part.(type) {
			case int:
				p = append(p, make([]byte, part)...)
			case string:
				p = append(p, part...)
			case []byte:
				p = append(p, part...)
			}
		}
		return p
	}
	full := pattern(3*chunk, 1)
	root := folder(0o755, map[string]*node{
		"all":            file(0o644, content(4*chunk)),
		"all and a tail": file(0o644, content(2*chunk+100)),
		"all and blocks": file(0o644, content(2*chunk+9000)),
		"short":          file(0o644, content(chunk-1)),
		"dense":          file(0o644, content(full, "tail")),
		"first":          file(0o644, content(chunk, full)),
		"last":           file(0o644, content(full, chunk)),
		"middle":         file(0o644, content(full, 3*chunk, full, 17*chunk, full, "tail")),
		"beside a chunk": file(0o644, content("x", 2*chunk-2, "x", full)),
		"attributes":     file(0o644, content(full, chunk, "end")).with(xattrs("user.a", "12345", "user.b", string(pattern(5000, 2)))),
	})
	for i := range 40 {
		root.children[fmt.Sprint("random", i)] = file(0o644, mixed(1+i*i*1000, uint64(i)))
	}
	image := buildWith(t, root, erofs.Options{})
	compare(t, want(root), readOurs(t, image), nil)
	compare(t, want(root), readPeer(t, image), peerBlind)
	compare(t, want(root), readOS(t, mount(t, save(t, image))), nil)
	if err := fsck(t, save(t, image), ""); err != nil { // 1.5 leaves holes out when it unpacks
		t.Fatal(err)
	}
	compare(t, want(root), readOS(t, fsckNewest(t, image)), fsckBlind)
	if before := buildWith(t, root, erofs.Options{Kernel: erofs.Version{Major: 5, Minor: 14}}); len(before) < len(image)+30*chunk {
		t.Errorf("with holes it takes %d bytes, without %d", len(image), len(before))
	}
}
