package hostile

import (
	"bytes"
	"encoding/binary"
	"testing"

	"inlay/internal/verify"
)

func cutCases() []Case {
	within := func(s span) int64 { return s.at + s.size/2 }
	cut := func(where func(im *Image) int64) func(testing.TB, Set) []byte {
		return simple(func(im *Image) []byte { return im.cut(where(im)) })
	}
	return []Case{
		{"cut to nothing", cut(func(*Image) int64 { return 0 }), verify.CheckTable, ""},
		{"cut in the MBR", cut(func(*Image) int64 { return 100 }), verify.CheckTable, ""},
		{"cut in the primary table", cut(func(im *Image) int64 { return int64(im.table.SectorSize) + 50 }), verify.CheckTable, ""},
		{"cut before the data", cut(func(im *Image) int64 { return im.data.at }), verify.CheckTable, ""},
		{"cut in the data", cut(func(im *Image) int64 { return within(im.data) }), verify.CheckTable, ""},
		{"cut in the hash tree", cut(func(im *Image) int64 { return within(im.tree) }), verify.CheckTable, ""},
		{"cut in the signature", cut(func(im *Image) int64 { return within(im.sigPlace) }), verify.CheckTable, ""},
		{"cut before the backup table", cut(func(im *Image) int64 { return im.sigPlace.at + im.sigPlace.size }), verify.CheckTable, ""},
		{"cut by one byte", cut(func(im *Image) int64 { return int64(len(im.Bytes)) - 1 }), verify.CheckTable, ""},
		{"a byte too long", simple(func(im *Image) []byte { return append(bytes.Clone(im.Bytes), 0) }), verify.CheckTable, "follow"},
		{"a sector too long", simple(func(im *Image) []byte { return append(bytes.Clone(im.Bytes), make([]byte, 4096)...) }), verify.CheckTable, ""},
	}
}

func dataCases() []Case {
	const block = 4096
	return []Case{
		{"a bit of the first block of data", simple(func(im *Image) []byte { return im.flip(im.data.at + 4000) }), verify.CheckTree, "block 0"},
		{"a bit in the middle of the data", simple(func(im *Image) []byte { return im.flip(im.data.at + 130*block + 17) }), verify.CheckTree, "block 130"},
		{"a bit of the file system's magic number", simple(func(im *Image) []byte { return im.flip(im.data.at + 1024) }), verify.CheckTree, "block 0"},
		{"the magic number of the superblock", simple(func(im *Image) []byte { return im.flip(im.tree.at) }), verify.CheckSuperblock, ""},
		{"another hash type", simple(func(im *Image) []byte { return im.flip(im.tree.at + 12) }), verify.CheckSuperblock, ""},
		{"another algorithm", simple(func(im *Image) []byte {
			return im.with(func(b []byte) { copy(b[im.tree.at+32:], "sha1\x00\x00") })
		}), verify.CheckSuperblock, ""},
		{"another block size", simple(func(im *Image) []byte {
			return im.with(func(b []byte) { binary.LittleEndian.PutUint32(b[im.tree.at+64:], 1024) })
		}), verify.CheckSuperblock, ""},
		{"more data blocks than there are", simple(func(im *Image) []byte {
			return im.with(func(b []byte) { binary.LittleEndian.PutUint64(b[im.tree.at+72:], 1<<50) })
		}), verify.CheckSuperblock, ""},
		{"fewer data blocks than the file system has", simple(func(im *Image) []byte {
			return im.with(func(b []byte) { binary.LittleEndian.PutUint64(b[im.tree.at+72:], 2) })
		}), verify.CheckSuperblock, "file system takes"},
		{"a longer salt", simple(func(im *Image) []byte {
			return im.with(func(b []byte) { binary.LittleEndian.PutUint16(b[im.tree.at+80:], 257) })
		}), verify.CheckSuperblock, ""},
		{"a bit of the salt", simple(func(im *Image) []byte { return im.flip(im.tree.at + 88) }), verify.CheckRootHash, "differ"},
		{"a bit of the tree's top", simple(func(im *Image) []byte { return im.flip(im.tree.at + block) }), verify.CheckRootHash, "differ"},
		{"a bit of a leaf of the tree", simple(func(im *Image) []byte { return im.flip(im.tree.at + 2*block + 40) }), verify.CheckTree, "hash"},
	}
}
