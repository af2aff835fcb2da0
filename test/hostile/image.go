// Package hostile spoils good images, each in one way that an attacker, a bad
// disk or a careless tool has, and says which check of the verifier must notice.
package hostile

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"testing"

	"inlay/internal/ddi"
	"inlay/internal/gpt"
)

// Image is a good image with all three partitions, in memory.
type Image struct {
	Bytes     []byte
	Root      ddi.RootHash
	Signature *ddi.Signature

	table                *gpt.Table
	data, tree, sigPlace span
}

// span is where something lies in the image, in bytes.
type span struct{ at, size int64 }

// Open takes apart an image that is good.
func Open(t testing.TB, b []byte) *Image {
	t.Helper()
	d, err := ddi.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	im := &Image{Bytes: b, table: d.Table}
	if im.Root, err = d.RootHash(); err != nil {
		t.Fatal(err)
	}
	if im.Signature, err = d.Signature(); err != nil {
		t.Fatal(err)
	}
	at := func(p gpt.Partition) span { return span{d.Table.Offset(p), d.Table.Length(p)} }
	im.data, im.tree, im.sigPlace = at(d.Data), at(*d.Verity), at(*d.Signed)
	return im
}

// with returns a copy of the image after change.
func (im *Image) with(change func(b []byte)) []byte {
	b := slices.Clone(im.Bytes)
	change(b)
	return b
}

// flip returns the image with one bit turned.
func (im *Image) flip(at int64) []byte {
	return im.with(func(b []byte) { b[at] ^= 1 })
}

// cut returns the first n bytes of the image.
func (im *Image) cut(n int64) []byte { return slices.Clone(im.Bytes[:n]) }

// signed returns the image with another content of the signature partition.
func (im *Image) signed(text []byte) []byte {
	return im.with(func(b []byte) {
		place := b[im.sigPlace.at : im.sigPlace.at+im.sigPlace.size]
		clear(place)
		copy(place, text)
	})
}

// resigned returns the image with another signature in its partition.
func (im *Image) resigned(t testing.TB, change func(s *ddi.Signature)) []byte {
	t.Helper()
	s := *im.Signature
	change(&s)
	text, err := s.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return im.signed(text)
}

// Where things lie in a table entry and in a header (UEFI 2.10, section 5.3).
const (
	entrySize   = 128
	entryGUID   = 16
	entryFirst  = 32
	entryLast   = 40
	headerCRC   = 16
	headerArray = 88
	headerCount = 80
)

// entries returns the image with its table's entries changed, in both copies
// and with right checksums.
func (im *Image) entries(change func(entries []byte)) []byte {
	return im.with(func(b []byte) {
		im.rewrite(b, int64(im.table.SectorSize), change)
		im.rewrite(b, int64(len(b)-im.table.SectorSize), change)
	})
}

// backupEntries changes the entries of the backup table alone.
func (im *Image) backupEntries(change func(entries []byte)) []byte {
	return im.with(func(b []byte) { im.rewrite(b, int64(len(b)-im.table.SectorSize), change) })
}

func (im *Image) rewrite(b []byte, at int64, change func(entries []byte)) {
	header := b[at : at+int64(im.table.SectorSize)]
	first := int64(binary.LittleEndian.Uint64(header[72:])) * int64(im.table.SectorSize) //nolint:gosec // a good image's
	count := int64(binary.LittleEndian.Uint32(header[headerCount:]))
	entries := b[first : first+count*entrySize]
	change(entries)
	binary.LittleEndian.PutUint32(header[headerArray:], crc32.ChecksumIEEE(entries))
	clear(header[headerCRC : headerCRC+4])
	binary.LittleEndian.PutUint32(header[headerCRC:], crc32.ChecksumIEEE(header[:92]))
}

// entry returns the place of one entry, counted from 0: data, tree, signature.
func entry(entries []byte, n int) []byte { return entries[n*entrySize : (n+1)*entrySize] }

// Data returns the content of the data partition.
func (im *Image) Data() []byte { return im.data.of(im.Bytes) }

// Tree returns the content of the hash tree's partition.
func (im *Image) Tree() []byte { return im.tree.of(im.Bytes) }

// Parts takes apart b, a spoiled copy whose partitions lie where the image's do,
// for witnesses that know no partitions.
func (im *Image) Parts(b []byte) (data, tree, signature []byte) {
	return im.data.of(b), im.tree.of(b), im.sigPlace.of(b)
}

func (s span) of(b []byte) []byte { return b[s.at : s.at+s.size] }

// Writable returns the image without the read-only flag of the partition n,
// counted from 0.
func (im *Image) Writable(n int) []byte {
	const flags, readOnly = 48, 0x10
	return im.entries(func(e []byte) { entry(e, n)[flags+7] ^= readOnly })
}
