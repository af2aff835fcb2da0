package squashfs_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"

	"inlay/internal/squashfs"
)

// crafted is an image that no tool makes, in blocks of 4 KiB. Its places are
// those in a first metadata block until the test says otherwise.
type crafted struct {
	compressor   int // by the superblock's number
	data         []byte
	inodes, dirs []byte
	xattrs, sets []byte // the sets have 16 bytes each
	inodeCount   int
	root         int // in inodes
	unit         int // bytes in a metadata block: if not 0, they are packed
}

const gzip = 1

// pack compresses with the superblock's compressor.
func pack(t testing.TB, compressor int, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	var err error
	switch compressor {
	case gzip:
		w = zlib.NewWriter(&b)
	case 4:
		w, err = xz.WriterConfig{CheckSum: xz.CRC32}.NewWriter(&b)
	case 5:
		packed := make([]byte, lz4.CompressBlockBound(len(content)))
		n, err := lz4.CompressBlock(content, packed, nil)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		return packed[:n]
	case 6:
		encoder, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return encoder.EncodeAll(content, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// blocks appends content in metadata blocks and returns where each began.
func (c *crafted) blocks(t testing.TB, image, content []byte) (appended []byte, places []uint64) {
	t.Helper()
	for len(content) > 0 {
		part := content[:min(len(content), max(c.unit, 8192))]
		content = content[len(part):]
		places = append(places, uint64(len(image)))
		header := uint16(len(part)) | 0x8000
		if len(part) == c.unit {
			part = pack(t, c.compressor, part)
			header = uint16(len(part))
		}
		image = append(binary.LittleEndian.AppendUint16(image, header), part...)
	}
	return image, places
}

func (c *crafted) image(t testing.TB) []byte {
	t.Helper()
	le := binary.LittleEndian
	image := append(make([]byte, 96), c.data...)
	copy(image, "hsqs")
	le.PutUint32(image[superInodes:], uint32(max(c.inodeCount, 1)))
	le.PutUint32(image[superBlockSize:], 4096)
	le.PutUint16(image[20:], uint16(c.compressor))
	le.PutUint16(image[superBlockLog:], 12)
	le.PutUint16(image[superIDs:], 1)
	le.PutUint16(image[28:], 4)
	le.PutUint64(image[superRoot:], uint64(c.root))
	for _, off := range []int{superXattrs, superFragTable, superExport} {
		le.PutUint64(image[off:], 1<<64-1)
	}
	le.PutUint64(image[superInodeTab:], uint64(len(image)))
	image, _ = c.blocks(t, image, c.inodes)
	le.PutUint64(image[superDirs:], uint64(len(image)))
	image, _ = c.blocks(t, image, c.dirs)
	table := func(content []byte, header ...byte) int {
		var places []uint64
		image, places = c.blocks(t, image, content)
		start := len(image)
		image = append(image, header...)
		for _, p := range places {
			image = le.AppendUint64(image, p)
		}
		return start
	}
	ids := table(make([]byte, 4))
	le.PutUint64(image[superIDTable:], uint64(ids))
	if c.sets != nil {
		names := len(image)
		image, _ = c.blocks(t, image, c.xattrs)
		header := le.AppendUint64(nil, uint64(names))
		header = le.AppendUint64(header, uint64(len(c.sets)/16))
		start := table(c.sets, header...)
		le.PutUint64(image[superXattrs:], uint64(start))
	}
	le.PutUint64(image[superUsed:], uint64(len(image)))
	return image
}

// words packs numbers by their types.
func words(values ...any) []byte {
	var b []byte
	for _, v := range values {
		switch v := v.(type) {
		case uint16:
			b = binary.LittleEndian.AppendUint16(b, v)
		case uint32:
			b = binary.LittleEndian.AppendUint32(b, v)
		case uint64:
			b = binary.LittleEndian.AppendUint64(b, v)
		case string:
			b = append(b, v...)
		default:
			panic(fmt.Sprintf("%T", v))
		}
	}
	return b
}

// inodeHeader begins an inode.
func inodeHeader(kind uint16, number uint32) []byte {
	return words(kind, uint16(0o755), uint16(0), uint16(0), uint32(0), number)
}

// folder is an extended folder's inode, whose names begin the table of folders.
func folder(number, size, xattr uint32) []byte {
	return append(inodeHeader(8, number), words(uint32(2), size, uint32(0), number, uint16(0), uint16(0), xattr)...)
}

// name is a name in a folder, of the inode at offset in the first block.
func name(offset int, kind uint16, text string) []byte {
	return words(uint16(offset), uint16(0), kind, uint16(len(text)-1), text)
}

// names is a header and the names below it, all with one inode number.
func names(number uint32, entries ...[]byte) []byte {
	return append(words(uint32(len(entries)-1), uint32(0), number), bytes.Join(entries, nil)...)
}

const none = uint32(1<<32 - 1)

// TestBombs unpacks, in each compressor's way, more than a block may hold.
func TestBombs(t *testing.T) {
	t.Parallel()
	for compressor, want := range map[int]string{
		gzip: "it unpacks to more than it may",
		4:    "it unpacks to more than it may",
		5:    "destination buffer too short",
		6:    "decompressed size exceeds configured limit",
	} {
		for _, size := range []int{4096, 4097, 8193, 1 << 19} {
			t.Run(fmt.Sprint("content ", compressor, " ", size), func(t *testing.T) {
				t.Parallel()
				packed := pack(t, compressor, make([]byte, size))
				file := append(inodeHeader(2, 1), words(uint32(96), none, uint32(0), uint32(4096), uint32(len(packed)))...)
				c := crafted{compressor: compressor, data: packed, inodeCount: 2, root: len(file)}
				c.dirs = names(1, name(0, 2, "bomb"))
				c.inodes = append(file, folder(2, uint32(3+len(c.dirs)), none)...)
				f, err := open(c.image(t))
				if err != nil {
					t.Fatal(err)
				}
				_, err = read(f, unlimited())
				expect(t, err, map[bool]string{true: "", false: want}[size == 4096])
			})
		}
		for _, size := range []int{8192, 8193, 1 << 19} {
			t.Run(fmt.Sprint("metadata ", compressor, " ", size), func(t *testing.T) {
				t.Parallel()
				c := crafted{compressor: compressor, unit: size}
				c.inodes = append(folder(1, 3, none), make([]byte, size)...)[:size]
				_, err := open(c.image(t))
				expect(t, err, map[bool]string{true: "", false: want}[size == 8192])
			})
		}
	}
}

// expect wants an error that says so, or none.
func expect(t testing.TB, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%v; want %q", err, want)
	}
}

// TestLargeFolders crafts folders that are larger than any that is read.
func TestLargeFolders(t *testing.T) {
	t.Parallel()
	t.Run("itself", func(t *testing.T) {
		t.Parallel()
		c := crafted{compressor: gzip, dirs: names(1, name(0, 1, "again"))}
		c.inodes = folder(1, uint32(3+len(c.dirs)), none)
		f, err := open(c.image(t))
		if err != nil {
			t.Fatal(err)
		}
		n, err := f.Inode(f.Root())
		if err != nil {
			t.Fatal(err)
		}
		list, err := f.ReadDir(n)
		if err != nil || len(list) != 1 || list[0].Ref != f.Root() {
			t.Errorf("%v, %v; want one reference to the root", list, err)
		}
	})
	t.Run("too many names", func(t *testing.T) {
		t.Parallel()
		file := append(inodeHeader(6, 2), words(uint32(1))...)
		c := crafted{compressor: gzip, inodeCount: 2, root: len(file)}
		for i := range (1<<20)/256 + 1 {
			var run [256][]byte
			for j := range run {
				run[j] = name(0, 6, fmt.Sprintf("%07d", i*256+j))
			}
			c.dirs = append(c.dirs, names(2, run[:]...)...)
		}
		c.inodes = append(file, folder(1, uint32(3+len(c.dirs)), none)...)
		f, err := open(c.image(t))
		if err != nil {
			t.Fatal(err)
		}
		expect(t, list(f), "more than 1048576 names")
	})
	t.Run("too many bytes", func(t *testing.T) {
		t.Parallel()
		c := crafted{compressor: gzip, dirs: make([]byte, 30<<10), inodes: folder(1, 64<<20+4, none)}
		f, err := open(c.image(t))
		if err != nil {
			t.Fatal(err)
		}
		expect(t, list(f), "its names take 67108865 bytes")
	})
}

// list reads the root's names.
func list(f *squashfs.FileSystem) error {
	n, err := f.Inode(f.Root())
	if err != nil {
		return err
	}
	_, err = f.ReadDir(n)
	return err
}

// TestLargeAttributes crafts sets of attributes that go past Linux's bounds.
func TestLargeAttributes(t *testing.T) {
	t.Parallel()
	const outOfLine = 0x100
	reference := func(prefix int, name string) []byte {
		return words(uint16(prefix|outOfLine), uint16(len(name)), name, uint32(8), uint64(0))
	}
	for _, test := range []struct {
		name string
		size int // of the value that all have
		many int
		each func(i int) []byte
		want string
	}{
		{"as many as may be", 32 << 10, 500, func(i int) []byte { return reference(0, fmt.Sprint(i)) }, ""},
		{"too much in values", 64 << 10, 257, func(i int) []byte { return reference(2, fmt.Sprint(i)) }, "values of more than 16777216 bytes"},
		{"too long a value", 64<<10 + 1, 1, func(i int) []byte { return reference(2, fmt.Sprint(i)) }, "it takes 65537 bytes"},
		{"too much in names", 0, 65<<10/241 + 1, func(i int) []byte { return reference(1, fmt.Sprintf("%0232d", i)) }, "names of more than 65536 bytes"},
		{"the same twice", 1, 2, func(int) []byte { return reference(1, "twice") }, `"trusted.twice" is there twice`},
		{"a reference of another size", 1, 1, func(int) []byte {
			return words(uint16(outOfLine), uint16(1), "x", uint32(9), uint64(0), "x")
		}, "a reference is not 8 bytes"},
		{"a reference past the table", 1, 1, func(int) []byte {
			return words(uint16(outOfLine), uint16(1), "x", uint32(8), uint64(1<<40))
		}, "goes on past the end of its table"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := crafted{compressor: gzip, inodes: folder(1, 3, 0)}
			c.xattrs = append(words(uint32(test.size)), make([]byte, test.size)...)
			// The set begins a metadata block of its own.
			c.xattrs = append(c.xattrs, make([]byte, -len(c.xattrs)&8191)...)
			image, _ := c.blocks(t, nil, c.xattrs)
			c.sets = words(uint64(len(image))<<16, uint32(test.many), uint32(0))
			for i := range test.many {
				c.xattrs = append(c.xattrs, test.each(i)...)
			}
			f, err := open(c.image(t))
			if err != nil {
				t.Fatal(err)
			}
			got, err := read(f, unlimited())
			expect(t, err, test.want)
			if err == nil && len(got["."].Xattrs) != test.many {
				t.Errorf("%d attributes", len(got["."].Xattrs))
			}
		})
	}
}

// TestRawBlocks crafts blocks that aren't packed and are longer than they may be.
func TestRawBlocks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		data, size int
		block      uint32
		want       string
	}{
		{"as it should be", 100, 100, 100, ""},
		{"longer than its file", 200, 100, 200, "a block of 200 bytes for 100"},
		{"shorter than its file", 100, 200, 100, "holds 100 bytes and not 200"},
		{"longer than all content", 99, 100, 100, "all content lies from 96 to 195"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			file := append(inodeHeader(2, 1), words(uint32(96), none, uint32(0), uint32(test.size), 1<<24|test.block)...)
			c := crafted{compressor: gzip, data: make([]byte, test.data), inodeCount: 2, root: len(file)}
			c.dirs = names(1, name(0, 2, "file"))
			c.inodes = append(file, folder(2, uint32(3+len(c.dirs)), none)...)
			f, err := open(c.image(t))
			if err != nil {
				t.Fatal(err)
			}
			_, err = read(f, unlimited())
			expect(t, err, test.want)
		})
	}
}

// TestIndex has the second block of a table begin elsewhere.
func TestIndex(t *testing.T) {
	t.Parallel()
	for what, place := range map[string]func(image []byte) uint64{
		"before it": func(image []byte) uint64 { return binary.LittleEndian.Uint64(image[superInodeTab:]) },
		"nowhere":   func([]byte) uint64 { return 1<<64 - 1 },
		"behind it": func(image []byte) uint64 { return binary.LittleEndian.Uint64(image[superXattrs:]) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			c := crafted{compressor: gzip, inodes: folder(1, 3, 512), xattrs: make([]byte, 10), sets: make([]byte, 16*513)}
			image := c.image(t)
			f, err := open(image)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := read(f, unlimited()); err != nil {
				t.Fatal(err)
			}
			binary.LittleEndian.PutUint64(image[len(image)-8:], place(image))
			if f, err = open(image); err != nil {
				t.Fatal(err)
			}
			_, err = read(f, unlimited())
			expect(t, err, "it goes on past the end of its table")
		})
	}
}

// TestVastHole reads on in a file that is all hole, and larger than any disk.
func TestVastHole(t *testing.T) {
	t.Parallel()
	const blocks = 1 << 20
	c := crafted{compressor: gzip, inodeCount: 2}
	c.inodes = folder(2, 0, none)
	file := len(c.inodes)
	c.dirs = names(1, name(file, 2, "vast"))
	copy(c.inodes[20:], words(uint32(3+len(c.dirs))))
	c.inodes = append(c.inodes, inodeHeader(9, 1)...)
	c.inodes = append(c.inodes, words(uint64(96), uint64(blocks*4096), uint64(0), uint32(1), none, uint32(0), none)...)
	c.inodes = append(c.inodes, make([]byte, blocks*4)...)
	f, err := open(c.image(t))
	if err != nil {
		t.Fatal(err)
	}
	r, err := f.Open(find(t, f, "vast"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r, 1<<30))
	if n != 1<<30 || err != nil && !errors.Is(err, io.EOF) {
		t.Error(n, err)
	}
}
