package ext4_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"os"
	"testing"

	"inlay/internal/ext4"
)

const blockSize = 1024 // of all images in testdata

// image is one of testdata, in memory. Its methods find the places to break,
// without checking anything.
type image []byte

func load(t testing.TB, name string) image {
	t.Helper()
	file, err := os.Open("testdata/" + name + ".img.gz")
	check(t, err)
	defer file.Close()
	z, err := gzip.NewReader(file)
	check(t, err)
	b, err := io.ReadAll(z)
	check(t, err)
	return b
}

// readAll opens an image and walks all of it, but for what lies far within files.
func (m image) readAll() (map[string]record, error) {
	f, err := ext4.Open(bytes.NewReader(m), int64(len(m)))
	if err != nil {
		return nil, err
	}
	return walk(f, 32<<20)
}

func (m image) super() []byte { return m[1024:2048] }

// group is the only group's descriptor.
func (m image) group() []byte { return m[2048:2112] }

// entry is a folder's entry for a name that stands nowhere else.
func (m image) entry(name string) []byte {
	for at := range m {
		if bytes.HasPrefix(m[at:], []byte(name)) && at%4 == 0 && int(m[at-2]) == len(name) {
			return m[at-8:]
		}
	}
	panic("no name " + name)
}

func (m image) ino(name string) uint32 { return get32(m.entry(name)) }

func (m image) inode(ino uint32) []byte {
	at := get32(m.group()[8:])*blockSize + (ino-1)*256
	return m[at:][:256]
}

func (m image) named(name string) []byte { return m.inode(m.ino(name)) }

func (m image) block(n uint32) []byte { return m[n*blockSize:][:blockSize] }

// first is the first block that a file's map names: of data, of extents or of
// pointers.
func (m image) first(inode []byte) []byte {
	slots := inode[0x28:]
	switch {
	case get16(slots) != 0xf30a:
		return m.block(get32(slots))
	case get16(slots[6:]) > 0:
		return m.block(get32(slots[16:]))
	}
	return m.block(get32(slots[20:]))
}

func get16(b []byte) uint16    { return binary.LittleEndian.Uint16(b) }
func get32(b []byte) uint32    { return binary.LittleEndian.Uint32(b) }
func put16(b []byte, v uint16) { binary.LittleEndian.PutUint16(b, v) }
func put32(b []byte, v uint32) { binary.LittleEndian.PutUint32(b, v) }

// extent writes one entry of a leaf.
func extent(b []byte, logical uint32, count uint16, physical uint32) {
	put32(b, logical)
	put16(b[4:], count)
	put16(b[6:], 0)
	put32(b[8:], physical)
}
