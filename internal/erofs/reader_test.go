package erofs_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"inlay/internal/erofs"
)

// counted counts what is read of an image.
type counted struct {
	image []byte
	reads map[int64]int // of a block
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	for at := off &^ 511; at < off+int64(len(p)); at += 512 {
		c.reads[at]++
	}
	return bytes.NewReader(c.image).ReadAt(p, off)
}

// TestReadsOnce reads files in small pieces and looks how often each part of the
// image was read: once, with all that lies in clusters.
func TestReadsOnce(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"lz4-legacy", "lz4", "lz4-tails", "small-blocks", "lzma"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &counted{image: vector(t, name), reads: map[int64]int{}}
			f, err := erofs.Open(c, int64(len(c.image)))
			must(t, err)
			for _, path := range []string{"text", "mixed", "moved"} {
				content, err := f.Open(find(t, f, path))
				must(t, err)
				clear(c.reads)
				_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{content}, make([]byte, 1000))
				must(t, err)
				for at, n := range c.reads {
					if n > 1 {
						t.Errorf("%q: what lies at %d was read %d times", path, at, n)
					}
				}
			}
		})
	}
}

// TestReadsFragmentsOnce reads small files whose content lies in one cluster.
func TestReadsFragmentsOnce(t *testing.T) {
	t.Parallel()
	c := &counted{image: vector(t, "zstd"), reads: map[int64]int{}}
	f, err := erofs.Open(c, int64(len(c.image)))
	must(t, err)
	total := 0
	for range 10 {
		for _, size := range []int{1, 100, 4000, 4095, 4096, 4097, 5000, 8192} {
			n := find(t, f, fmt.Sprint("small/", size))
			content, err := f.Open(n)
			must(t, err)
			b, err := io.ReadAll(content)
			must(t, err)
			total += len(b)
		}
	}
	for at, n := range c.reads {
		if n > 1 && at >= 4096 { // the superblock is read in parts
			t.Errorf("of %d bytes, what lies at %d was read %d times", total, at, n)
		}
	}
}

// TestReadsInterleaved reads many files in turns, in pieces of all sizes.
func TestReadsInterleaved(t *testing.T) {
	t.Parallel()
	for _, name := range vectors(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := open(t, vector(t, name))
			r := rand.New(rand.NewPCG(3, uint64(len(name))))
			var readers []io.Reader
			var want, got [][]byte
			for _, path := range []string{"text", "noise", "mixed", "moved", "start", "small/0", "small/8192", "mixed"} {
				content, err := f.Open(find(t, f, path))
				must(t, err)
				whole, err := io.ReadAll(content)
				must(t, err)
				again, err := f.Open(find(t, f, path))
				must(t, err)
				readers, want, got = append(readers, again), append(want, whole), append(got, nil)
			}
			for left := len(readers); left > 0; {
				i := r.IntN(len(readers))
				if readers[i] == nil {
					continue
				}
				p := make([]byte, r.IntN(30_000))
				n, err := readers[i].Read(p)
				got[i] = append(got[i], p[:n]...)
				if errors.Is(err, io.EOF) {
					readers[i] = nil
					left--
				} else if err != nil || n == 0 && len(p) > 0 {
					t.Fatal(n, err)
				}
			}
			for i := range want {
				if !bytes.Equal(want[i], got[i]) {
					t.Errorf("file %d differs", i)
				}
			}
		})
	}
}

// TestReadsWhatWeWrite reads trees back that the Writer was given.
func TestReadsWhatWeWrite(t *testing.T) {
	t.Parallel()
	for name, root := range sorted(witnessed()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compare(t, want(root), readOurs(t, build(t, root)), nil)
		})
	}
}

// TestSecondAlgorithm reads a file whose clusters are of two algorithms, which no
// tool makes unasked.
func TestSecondAlgorithm(t *testing.T) {
	t.Parallel()
	image := vector(t, "lz4-legacy")
	f := open(t, image)
	n := find(t, f, "text")
	wanted, err := readAll(f, -1)
	must(t, err)
	_, _, body := n.Places(f)
	header := (body + 7) &^ 7
	image[header+6] = 0x01 // LZMA, which isn't there, then LZ4
	for at := header + 16; at < header+16+n.Size/erofs.BlockSize*8; at += 8 {
		if advise := binary.LittleEndian.Uint16(image[at:]); advise&3 == 1 {
			binary.LittleEndian.PutUint16(image[at:], advise|3)
		}
	}
	got, err := readAll(open(t, image), -1)
	must(t, err)
	compare(t, wanted, got, nil)
}

// TestForeignHandle asks with what no file system gave out.
func TestForeignHandle(t *testing.T) {
	t.Parallel()
	f := open(t, vector(t, "plain"))
	if _, err := f.Inode(erofs.Handle{}); err == nil {
		t.Error("the zero Handle leads to an inode")
	}
	var none erofs.Inode
	if _, err := f.Open(&none); err == nil {
		t.Error("the zero Inode has content")
	}
	if _, err := f.ReadDir(find(t, f, "text")); err == nil {
		t.Error("a file has names in it")
	}
	if _, err := f.Open(find(t, f, ".")); err == nil {
		t.Error("a folder has content")
	}
	if _, err := f.Readlink(find(t, f, ".")); err == nil {
		t.Error("a folder has a target")
	}
}
