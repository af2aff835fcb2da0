package erofs_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"inlay/internal/erofs"
)

// grafted is an inode that takes the place of "noise" in an image.
type grafted struct {
	vector string
	layout uint16
	size   int64
	start  uint32
	xattrs []byte // whole, with their header
	body   []byte // what follows, from the next multiple of 8 on
}

// image returns the vector with the inode at its end.
func (g grafted) image(t testing.TB) []byte {
	t.Helper()
	image := vector(t, g.vector)
	f := open(t, image)
	old := nid(t, f, find(t, f, "noise"))
	at := len(image)
	le := binary.LittleEndian
	inode := make([]byte, 64)
	le.PutUint16(inode, g.layout<<1|1)
	if len(g.xattrs) > 0 {
		le.PutUint16(inode[2:], uint16((len(g.xattrs)-12)/4+1))
	}
	le.PutUint16(inode[4:], 0o100644)
	le.PutUint64(inode[8:], uint64(g.size))
	le.PutUint32(inode[16:], g.start)
	le.PutUint32(inode[44:], 1)
	image = append(append(image, inode...), g.xattrs...)
	image = append(image, make([]byte, -len(image)&7)...)
	image = append(image, g.body...)
	image = append(image, make([]byte, -len(image)&4095)...)
	// Its record in the root, which is the only one of a regular file with that number.
	record := le.AppendUint64(nil, old)
	i := 0
	for ; ; i++ {
		j := bytes.Index(image[i:], record)
		if j < 0 {
			t.Fatal("no name leads to the inode")
		}
		if i += j; image[i+10] == 1 {
			break
		}
	}
	le.PutUint64(image[i:], uint64(at/32))
	le.PutUint32(image[1024+36:], uint32(len(image)/4096))
	return seal(image)
}

// header is that of an index.
func header(word uint32, advise uint16, methods, bits byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, word)
	return append(binary.LittleEndian.AppendUint16(b, advise), methods, bits)
}

// full is a full index: its header, and entries of kind, offset, and a block or a
// distance.
func full(head []byte, entries ...[3]int) []byte {
	b := append(bytes.Clone(head), make([]byte, 8)...)
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint16(b, uint16(e[0]))
		b = binary.LittleEndian.AppendUint16(b, uint16(e[1]))
		b = binary.LittleEndian.AppendUint32(b, uint32(e[2]))
	}
	return b
}

// tails are entries of blocks in which nothing begins.
func tails(n int) [][3]int {
	list := make([][3]int, n)
	for i := range list {
		list[i] = [3]int{2, 0, min(i+1, 2047)}
	}
	return list
}

// TestCrafted reads inodes that no tool makes.
func TestCrafted(t *testing.T) {
	t.Parallel()
	const block = erofs.BlockSize
	counted := func(blocks int) int { return 1<<11 | blocks }
	many := func(count byte) []byte {
		b := append(make([]byte, 4), count, 0, 0, 0, 0, 0, 0, 0)
		return append(b, make([]byte, 4*int(count))...)
	}
	for name, c := range map[string]struct {
		grafted
		want string // of the error; "" if it can be read
	}{
		"plain blocks":            {grafted{"lz4-legacy", 1, 2 * block, 0, nil, full(header(0, 0, 0, 0), [3]int{0, 0, 1}, [3]int{0, 0, 2})}, ""},
		"the end of the file":     {grafted{"lz4-legacy", 1, block + 5, 0, nil, full(header(0, 0, 0, 0), [3]int{0, 0, 1}, [3]int{0, 5, 0})}, "as they are"},
		"two parts in a block":    {grafted{"lz4-legacy", 1, block + 50, 0, nil, full(header(0, 0, 0, 0), [3]int{0, 0, 1}, [3]int{0, 0, 2})}, ""},
		"a cluster of 12 MiB":     {grafted{"lz4-legacy", 1, 12 << 20, 0, nil, full(header(0, 0, 0, 0), append([][3]int{{1, 0, 1}}, tails(3071)...)...)}, "unpacking a cluster"},
		"a larger one":            {grafted{"lz4-legacy", 1, 12<<20 + 4096, 0, nil, full(header(0, 0, 0, 0), append([][3]int{{1, 0, 1}}, tails(3072)...)...)}, "a cluster with more than 12582912 bytes"},
		"a much larger one":       {grafted{"lz4-legacy", 1, 1 << 40, 0, nil, full(header(0, 0, 0, 0), append([][3]int{{1, 0, 1}}, tails(4000)...)...)}, "a cluster with more than 12582912 bytes"},
		"one too long before":     {grafted{"lz4-legacy", 1, 16 << 20, 0, nil, full(header(1<<16, 8, 0, 0), append([][3]int{{1, 0, 1}}, tails(4095)...)...)}, "a cluster with more than 12582912 bytes"},
		"a passed start":          {grafted{"lz4-legacy", 1, 4 * block, 0, nil, full(header(0, 0, 0, 0), [3]int{0, 0, 1}, [3]int{0, 0, 2}, [3]int{2, 0, 2}, [3]int{0, 0, 3})}, "begins 2 blocks before, and that is 1"},
		"a passed start, at last": {grafted{"lz4-legacy", 1, 3 * block, 0, nil, full(header(100<<16, 8, 0, 0), [3]int{1, 0, 1}, [3]int{1, 100, 2}, [3]int{2, 0, 2})}, "another does after that"},
		"no way back":             {grafted{"lz4-legacy", 1, 3 * block, 0, nil, full(header(100<<16, 8, 0, 0), [3]int{1, 0, 1}, [3]int{2, 0, 1}, [3]int{2, 0, 0})}, "begins 0 blocks before"},
		"too far back":            {grafted{"lz4-legacy", 1, 3 * block, 0, nil, full(header(100<<16, 8, 0, 0), [3]int{1, 0, 1}, [3]int{2, 0, 1}, [3]int{2, 0, 3})}, "begins 3 blocks before"},
		"back by a circle":        {grafted{"lz4-legacy", 1, 3 * block, 0, nil, full(header(100<<16, 8, 0, 0), [3]int{1, 0, 1}, [3]int{2, 0, 0}, [3]int{2, 0, 1})}, "begins 0 blocks before"},
		"a size at no start":      {grafted{"lz4-tails", 1, 3 * block, 0, nil, full(header(0, 6, 0, 0), [3]int{1, 0, 1}, [3]int{2, 0, counted(1)}, [3]int{2, 0, counted(1)})}, "counts the blocks of a cluster that begins 2 blocks before"},
		"no size":                 {grafted{"lz4-tails", 1, 3 * block, 0, nil, full(header(0, 6, 0, 0), [3]int{1, 0, 1}, [3]int{2, 0, 1}, [3]int{2, 0, 2})}, "is not where it must be"},
		"a size of the other":     {grafted{"lz4-tails", 1, 3 * block, 0, nil, full(header(0, 4, 0, 0), [3]int{1, 0, 1}, [3]int{2, 0, counted(1)}, [3]int{2, 0, 2})}, "is not where it must be"},
		"plain, no size":          {grafted{"lz4-tails", 1, block + 10, 0, nil, full(header(0, 6, 0, 0), [3]int{0, 0, 1}, [3]int{2, 0, 1})}, "as they are"},
		"plain, of two blocks":    {grafted{"lz4-tails", 1, block + 10, 0, nil, full(header(0, 6, 0, 0), [3]int{0, 0, 1}, [3]int{2, 0, counted(2)})}, ""},
		"1 MiB":                   {grafted{"lz4-tails", 1, 3 * block, 0, nil, full(header(0, 6, 0, 0), [3]int{1, 0, 1}, [3]int{2, 0, counted(256)}, [3]int{2, 0, 2})}, "ends at"},
		"more than 1 MiB":         {grafted{"lz4-tails", 1, 3 * block, 0, nil, full(header(0, 6, 0, 0), [3]int{1, 0, 1}, [3]int{2, 0, counted(257)}, [3]int{2, 0, 2})}, "a cluster that takes 1052672 bytes"},
		"nothing in clusters":     {grafted{"lz4-legacy", 1, 0, 0, nil, nil}, ""},
		"nothing in chunks":       {grafted{"lz4-legacy", 4, 0, 0, nil, nil}, ""},
		"nothing behind":          {grafted{"lz4-legacy", 2, 0, 0, nil, nil}, ""},
		"a fragment of nowhere":   {grafted{"lz4-legacy", 1, 10, 0, nil, header(0, 0, 0, 0x80)}, "fragments, which are not there"},
		"an end in no fragment":   {grafted{"lz4-legacy", 1, 10, 0, nil, full(header(0, 0x20, 0, 0), [3]int{1, 0, 0})}, "fragments, which are not there"},
		"one byte in a fragment":  {grafted{"deflate", 1, block + 1, 0, nil, full(header(0, 0x20, 2, 0), [3]int{0, 0, 1}, [3]int{1, 0, 0})}, ""},
		"a far fragment":          {grafted{"deflate", 1, 10, 0, nil, full(header(0, 0x20, 2, 0), [3]int{1, 0, 1})}, "bytes at 4294967296 of fragments"},
		"a hole":                  {grafted{"lz4-legacy", 4, 100 << 10, 5, nil, bytes.Repeat([]byte{255}, 4)}, ""},
		"a large chunk":           {grafted{"lz4-legacy", 4, 8 * block, 3, nil, []byte{1, 0, 0, 0}}, ""},
		"a chunk past the end":    {grafted{"lz4-legacy", 4, 8 << 20, 31, nil, []byte{1, 0, 0, 0}}, "ends at"},
		"only a header":           {grafted{"lz4-legacy", 0, 0, 0, make([]byte, 12), nil}, "a header and nothing behind it"},
		"shared ones of nowhere":  {grafted{"lz4-legacy", 0, 0, 0, many(200), nil}, "the shared one at 0"},
		"nothing for an entry":    {grafted{"lz4-legacy", 0, 0, 0, append(make([]byte, 12), 1, 1, 0, 0), nil}, "an entry of 5 bytes in 4"},
		"the same name twice":     {grafted{"lz4-legacy", 0, 0, 0, append(make([]byte, 12), 1, 1, 0, 0, 'a', 0, 0, 0, 1, 1, 0, 0, 'a', 0, 0, 0), nil}, `"user.a" is there twice`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := c.image(t)
			f := open(t, image)
			n := find(t, f, "noise")
			if n.Size != c.size {
				t.Fatalf("a size of %d", n.Size)
			}
			_, err := f.Xattrs(n)
			if err == nil {
				r := &reading{f: f, budget: 100 << 20, buffer: make([]byte, 5000)}
				_, err = r.content(n)
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestManyAttributes shares an attribute of 60,000 bytes more often than memory
// should have it.
func TestManyAttributes(t *testing.T) {
	t.Parallel()
	// In the first block of the image, which the last one is laid over.
	g := grafted{vector: "lz4-legacy", xattrs: append(append(make([]byte, 4), 200, 0, 0, 0, 0, 0, 0, 0), make([]byte, 4*200)...)}
	image := g.image(t)
	entry := append([]byte{1, 1, 0x60, 0xea}, bytes.Repeat([]byte("x"), 60_001)...)
	shared := len(image)
	image = append(append(image, entry...), make([]byte, -(len(image)+len(entry))&4095)...)
	binary.LittleEndian.PutUint32(image[1024+36:], uint32(len(image)/4096))
	binary.LittleEndian.PutUint32(image[1024+44:], uint32(shared/4096))
	f := open(t, seal(image))
	if _, err := f.Xattrs(find(t, f, "noise")); err == nil || !strings.Contains(err.Error(), "more than 2097152 bytes of attributes") {
		t.Errorf("got %v", err)
	}
}
