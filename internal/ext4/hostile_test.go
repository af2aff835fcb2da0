package ext4_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"inlay/internal/ext4"
)

// broken is an image with one thing wrong.
type broken struct {
	image  string
	change func(m image)
	want   string // what the error must say
}

var hostileSuper = map[string]broken{
	"magic":            {"ext4", func(m image) { m.super()[0x38]++ }, "magic number is 0xef54"},
	"revision 0":       {"ext4", func(m image) { put32(m.super()[0x4c:], 0) }, "revision 0 of the format: not supported"},
	"revision 2":       {"ext4", func(m image) { put32(m.super()[0x4c:], 2) }, "revision 2 of the format: not supported"},
	"Hurd":             {"ext4", func(m image) { put32(m.super()[0x48:], 1) }, "another system than Linux (number 1): not supported"},
	"compression":      {"ext4", incompat(0x1), "compression: not supported"},
	"recovery":         {"ext4", incompat(0x4), "a journal with changes that were not written back: not supported"},
	"journal device":   {"ext4", incompat(0x8), "a journal device: not supported"},
	"data in entries":  {"ext4", incompat(0x1000), "data in folder entries: not supported"},
	"case folding":     {"ext4", incompat(0x20000), "folders that ignore case: not supported"},
	"unknown feature":  {"ext4", incompat(0x40000000), "incompatible features 0x40000000: not supported"},
	"unknown ro":       {"ext4", func(m image) { m.super()[0x67] |= 0x80 }, "read-only compatible features 0x80000000: not supported"},
	"snapshots":        {"ext4", func(m image) { m.super()[0x64] |= 0x80 }, "read-only compatible features 0x80: not supported"},
	"orphan list":      {"ext4", func(m image) { put32(m.super()[0xe8:], 13) }, "wait for their removal: not supported"},
	"orphan file":      {"ext4", func(m image) { m.super()[0x66] |= 1 }, "wait for their removal: not supported"},
	"blocks of 8K":     {"ext4", func(m image) { put32(m.super()[0x18:], 3) }, "blocks of 8192 bytes: not supported"},
	"blocks of 64K":    {"ext4", func(m image) { put32(m.super()[0x18:], 6) }, "blocks of 65536 bytes: not supported"},
	"blocks of 128K":   {"ext4", func(m image) { put32(m.super()[0x18:], 7) }, "blocks of 2^17 bytes"},
	"endless blocks":   {"ext4", func(m image) { put32(m.super()[0x18:], 1<<32-1) }, "blocks of 2^4294967305 bytes"},
	"too many blocks":  {"ext4", func(m image) { put32(m.super()[0x4:], 513) }, "513 blocks of 1024 bytes do not fit in the image's 524288 bytes"},
	"sound":            {"ext4", nil, ""},
	"sound, checked":   {"checked", nil, ""},
	"high blocks":      {"ext4", high, "4294967808 blocks of 1024 bytes do not fit"},
	"no blocks":        {"ext4", func(m image) { put32(m.super()[0x4:], 0) }, "0 blocks are too few"},
	"two blocks":       {"ext4", func(m image) { put32(m.super()[0x4:], 2) }, "2 blocks are too few"},
	"first block":      {"ext4", func(m image) { put32(m.super()[0x14:], 0) }, "block 0 is called the first one, not 1"},
	"first block far":  {"ext4", func(m image) { put32(m.super()[0x14:], 600) }, "block 600 is called the first one, not 1"},
	"no group":         {"ext4", func(m image) { put32(m.super()[0x20:], 0) }, "a group of 0 blocks in 0 clusters"},
	"large group":      {"ext4", func(m image) { put32(m.super()[0x20:], 8200) }, "a group of 8200 blocks in 8200 clusters"},
	"small clusters":   {"ext4", func(m image) { m.super()[0x65] |= 2; m.super()[0x18]++ }, "clusters of 2^10 bytes for blocks of 2048"},
	"endless clusters": {"ext4", func(m image) { m.super()[0x65] |= 2; put32(m.super()[0x1c:], 1<<32-1) }, "clusters of 2^4294967305 bytes"},
	"cluster count":    {"ext4", func(m image) { m.super()[0x65] |= 2; put32(m.super()[0x24:], 4096) }, "a group of 8192 blocks in 4096 clusters"},
	"descriptor size":  {"ext4", func(m image) { incompat(0x80)(m); put16(m.super()[0xfe:], 48) }, "group descriptors of 48 bytes"},
	"odd descriptors":  {"ext4", func(m image) { incompat(0x80)(m); put16(m.super()[0xfe:], 96) }, "group descriptors of 96 bytes"},
	"huge descriptors": {"ext4", func(m image) { incompat(0x80)(m); put16(m.super()[0xfe:], 2048) }, "group descriptors of 2048 bytes"},
	"tiny inodes":      {"ext4", func(m image) { put16(m.super()[0x58:], 64) }, "inodes of 64 bytes"},
	"odd inodes":       {"ext4", func(m image) { put16(m.super()[0x58:], 384) }, "inodes of 384 bytes"},
	"huge inodes":      {"ext4", func(m image) { put16(m.super()[0x58:], 2048) }, "inodes of 2048 bytes"},
	"no inodes":        {"ext4", func(m image) { put32(m.super()[0x28:], 0) }, "0 inodes in a group"},
	"many inodes":      {"ext4", func(m image) { put32(m.super()[0x28:], 8193) }, "8193 inodes in a group"},
	"inode count":      {"ext4", func(m image) { put32(m.super()[0x0:], 33) }, "33 inodes in 1 groups of 32"},
	"first inode":      {"ext4", func(m image) { put32(m.super()[0x54:], 10) }, "inode 10 of 32 is called the first"},
	"last inode":       {"ext4", func(m image) { put32(m.super()[0x54:], 33) }, "inode 33 of 32 is called the first"},
	"no inline room":   {"ext4", func(m image) { incompat(0x8000)(m); put16(m.super()[0x58:], 128) }, "data in inodes that have no room"},
	"checksum kind":    {"checked", func(m image) { m.super()[0x175] = 2 }, "checksums of type 2: not supported"},
	"superblock sum":   {"checked", func(m image) { m.super()[0x78]++ }, "reading ext4 superblock: its checksum is wrong"},
	"inode table":      {"ext4", func(m image) { put32(m.group()[8:], 511) }, "blocks 511 to 518 are not among the 512"},
	"inode table at 1": {"ext4", func(m image) { put32(m.group()[8:], 1) }, "blocks 1 to 8 are not among the 512"},
	"group sum":        {"checked", func(m image) { m.group()[0x0]++ }, "descriptor of group 0: its checksum is wrong"},
}

func incompat(bits uint32) func(image) {
	return func(m image) { put32(m.super()[0x60:], get32(m.super()[0x60:])|bits) }
}

func high(m image) {
	incompat(0x80)(m)
	put32(m.super()[0x150:], 1)
}

var hostileInodes = map[string]broken{
	"root is a file":    {"ext4", func(m image) { put16(m.inode(2), 0o100755) }, "its mode is 0100755, but its entry in a folder says 040000"},
	"no type":           {"ext4", func(m image) { put16(m.named("small"), 0o644) }, "its mode 0644 is of no type"},
	"another type":      {"ext4", func(m image) { m.entry("small")[7] = 7 }, "its mode is 0100644, but its entry in a folder says 0120000"},
	"no links":          {"ext4", func(m image) { put16(m.named("small")[0x1a:], 0) }, "it is named in a folder but was deleted"},
	"deleted":           {"ext4", func(m image) { put32(m.named("small")[0x14:], 1) }, "it is named in a folder but was deleted"},
	"reserved":          {"ext4", func(m image) { put32(m.entry("small"), 7) }, "inode 7: it is the file system's own"},
	"quota":             {"ext4", func(m image) { put32(m.super()[0x240:], m.ino("small")) }, "it is the file system's own"},
	"orphan file":       {"ext4", func(m image) { put32(m.super()[0x280:], m.ino("small")) }, "it is the file system's own"},
	"odd extra":         {"ext4", func(m image) { put16(m.named("small")[0x80:], 30) }, "30 bytes of extra fields"},
	"large extra":       {"ext4", func(m image) { put16(m.named("small")[0x80:], 132) }, "132 bytes of extra fields"},
	"nanoseconds":       {"ext4", func(m image) { put32(m.named("small")[0x88:], 1e9<<2) }, "a time with 1000000000 nanoseconds"},
	"encrypted":         {"ext4", func(m image) { m.named("small")[0x21] |= 8 }, "encryption: not supported"},
	"verity":            {"ext4", func(m image) { m.named("small")[0x22] |= 0x10 }, "fs-verity: not supported"},
	"attribute's inode": {"ext4", func(m image) { m.named("small")[0x22] |= 0x20 }, "it holds another one's attribute"},
	"case folding":      {"ext4", func(m image) { m.named("folder")[0x23] |= 0x40 }, "folders that ignore case: not supported"},
	"extents":           {"ext2", func(m image) { m.named("small")[0x22] |= 8 }, "it has extents, which the file system doesn't"},
	"inline":            {"ext4", func(m image) { m.named("small")[0x23] |= 0x10 }, "it holds data, which the file system's inodes don't"},
	"inline extents":    {"inline", func(m image) { m.named("small")[0x22] |= 8 }, "it holds data and extents"},
	"size":              {"ext4", func(m image) { put32(m.named("small")[0x6c:], 1<<31) }, "9223372036854775826 bytes are more than any file has"},
	"size of a map":     {"ext2", func(m image) { put32(m.named("small")[0x6c:], 8) }, "34359738386 bytes are more than its map can hold"},
	"device":            {"ext4", func(m image) { put32(m.named("device")[0x28:], 0x10103) }, "device number 0x10103 has more than 16 bits"},
	"sum":               {"checked", func(m image) { m.named("small")[0x8]++ }, "its checksum is wrong"},
	"upper half of sum": {"checked", func(m image) { m.named("small")[0x82]++ }, "its checksum is wrong"},
	"sum of attributes": {"checked", func(m image) { m.named("attributes")[0xf0]++ }, "its checksum is wrong"},

	"empty target":     {"ext4", func(m image) { put32(m.named("fastlink")[0x4:], 0) }, "a target that is empty"},
	"zero in target":   {"ext4", func(m image) { m.named("fastlink")[0x2a] = 0 }, "has a zero byte"},
	"short target":     {"ext4", func(m image) { put32(m.named("fastlink")[0x4:], 7) }, "has a zero byte"},
	"long fast target": {"ext4", func(m image) { put32(m.named("fastlink")[0x4:], 60) }, "a target of 60 bytes in 60"},
	"long slow target": {"ext4", func(m image) { put32(m.named("slowlink")[0x4:], 1024) }, "a target of 1024 bytes"},
	"zero in slow":     {"ext4", func(m image) { m.first(m.named("slowlink"))[199] = 0 }, "has a zero byte"},
	// With a block of attributes, which is counted in blocks of the file system.
	"huge fast target": {"ext4", func(m image) {
		n := m.named("fastlink")
		put32(n[0x68:], get32(m.named("attributes")[0x68:]))
		put32(n[0x1c:], 1)
		n[0x22] |= 4
	}, ""},
	"fast target as map": {"ext4", func(m image) { put32(m.named("fastlink")[0x1c:], 2) }, "are not among the 512"},
	"inline target": {"inline", func(m image) {
		put32(m.named("slowlink")[0x4:], 900)
		m.named("slowlink")[0x23] |= 0x10
		m.named("slowlink")[0x22] &^= 8
	}, "900 bytes in an inode with 60"},
}

var hostileMaps = map[string]broken{
	"root magic":       {"ext4", func(m image) { m.named("comb")[0x28]++ }, "an extent node begins with 0xf30b"},
	"too deep":         {"ext4", func(m image) { m.named("comb")[0x2e] = 6 }, "its extent tree is 6 levels high, the most is 5"},
	"deeper":           {"ext4", func(m image) { m.named("comb")[0x2e] = 2 }, "an extent node of depth 0, not 1"},
	"root too large":   {"ext4", func(m image) { m.named("comb")[0x2c] = 5 }, "entries in 60 bytes"},
	"root overfull":    {"ext4", func(m image) { m.named("comb")[0x2a] = 5 }, "an extent node with 5 of 4 entries in 60 bytes"},
	"root of no room":  {"ext4", func(m image) { m.named("comb")[0x2a], m.named("comb")[0x2c] = 0, 0 }, "an extent node with 0 of 0 entries in 60 bytes"},
	"index of none":    {"ext4", func(m image) { m.named("comb")[0x2a] = 0 }, "an extent node with no entries"},
	"leaf magic":       {"ext4", leaf(func(b []byte) { b[1]++ }), "an extent node begins with 0xf40a"},
	"leaf too large":   {"ext4", leaf(func(b []byte) { b[4] = 85 }), "of 85 entries in 1024 bytes"},
	"leaf overfull":    {"ext4", leaf(func(b []byte) { b[2] = 85 }), "an extent node with 85 of 84 entries in 1024 bytes"},
	"leaf of none":     {"ext4", leaf(func(b []byte) { b[2] = 0 }), "an extent node with no entries"},
	"no length":        {"ext4", leaf(func(b []byte) { put16(b[16:], 0) }), "an extent of 0 blocks"},
	"overlap":          {"ext4", leaf(func(b []byte) { put16(b[16:], 3) }), "an extent of 1 blocks at block 2, between 3 and"},
	"backward":         {"ext4", leaf(func(b []byte) { put32(b[24:], 0) }), "an extent of 1 blocks at block 0, between 1 and"},
	"beyond next leaf": {"ext4", leaf(func(b []byte) { put32(b[24:], 1<<20) }), "an extent of 1 blocks at block 1048576, between 1 and"},
	"over next leaf":   {"ext4", leaf(func(b []byte) { put16(b[16:], 1000) }), "an extent of 1000 blocks at block 0, between 0 and"},
	"beyond the end":   {"ext4", leaf(func(b []byte) { put32(b[20:], 512) }), "blocks 512 to 512 are not among the 512"},
	"over the end":     {"ext4", leaf(func(b []byte) { put32(b[32:], 511); put16(b[28:], 2) }), "blocks 511 to 512 are not among the 512"},
	"48 bits":          {"ext4", leaf(func(b []byte) { put16(b[18:], 0xffff) }), "are not among the 512"},
	"the superblock":   {"ext4", leaf(func(b []byte) { put32(b[20:], 1) }), "blocks 1 to 1 are not among the 512"},
	"block 0":          {"ext4", leaf(func(b []byte) { put32(b[20:], 0) }), "blocks 0 to 0 are not among the 512"},
	"node beyond":      {"ext4", func(m image) { put32(m.named("comb")[0x38:], 600) }, "blocks 600 to 600 are not among the 512"},
	"keys backward":    {"ext4", func(m image) { put32(m.named("comb")[0x34:], 1000) }, "an extent node for blocks 1000 to"},
	"equal keys":       {"ext4", func(m image) { put32(m.named("comb")[0x40:], 0) }, "an extent node for blocks 0 to 0"},
	"late key":         {"ext4", func(m image) { put32(m.named("comb")[0x34:], 2) }, "an extent of 1 blocks at block 0, between 2 and"},
	"leaf again": {"ext4", func(m image) {
		put32(m.named("comb")[0x44:], get32(m.named("comb")[0x38:]))
	}, "an extent of 1 blocks at block 0, between"},
	"more than there is": {"ext4", func(m image) {
		slots := m.named("comb")[0x28:]
		put16(slots[2:], 4)
		put16(slots[6:], 0)
		for i := range uint32(4) {
			extent(slots[12+12*i:], 300*i, 32768+300, 100)
		}
	}, "it has more blocks than the 512 of the file system"},
	"sum of extents": {"checked", leaf(func(b []byte) { b[20]++ }), "its checksum is wrong"},

	"pointer":          {"ext2", func(m image) { put32(m.named("small")[0x28:], 512) }, "blocks 512 to 512 are not among the 512"},
	"pointer to super": {"ext2", func(m image) { put32(m.named("small")[0x28:], 1) }, "blocks 1 to 1 are not among the 512"},
	"block of them":    {"ext2", func(m image) { put32(m.named("comb")[0x58:], 1<<31) }, "blocks 2147483648 to 2147483648 are not among the 512"},
	"pointer below": {"ext2", func(m image) {
		put32(m.block(get32(m.named("far")[0x60:]))[4:], 9999)
		put32(m.block(get32(m.named("far")[0x60:])), 9999)
	}, "blocks 9999 to 9999 are not among the 512"},
	"loop": {"ext2", func(m image) {
		n := get32(m.named("comb")[0x5c:])
		for i := range uint32(blockSize / 4) {
			put32(m.block(n)[4*i:], n)
		}
	}, "it has more blocks than the 512 of the file system"},
}

// leaf changes the first block of extents of a file that has two.
func leaf(change func(b []byte)) func(image) {
	return func(m image) { change(m.first(m.named("comb"))) }
}

func TestHostile(t *testing.T) {
	t.Parallel()
	for group, table := range map[string]map[string]broken{
		"superblock": hostileSuper, "inode": hostileInodes, "map": hostileMaps, "folder": hostileFolders,
		"index": hostileIndexes, "attribute": hostileXattrs,
	} {
		t.Run(group, func(t *testing.T) {
			t.Parallel()
			for name, c := range table {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					m := load(t, c.image)
					if c.change != nil {
						c.change(m)
					}
					_, err := m.readAll()
					switch {
					case c.want == "":
						check(t, err)
					case err == nil:
						t.Errorf("all is read, want an error that says %q", c.want)
					case !strings.Contains(err.Error(), c.want):
						t.Errorf("error %q, want it to say %q", err, c.want)
					}
					if err == nil {
						return
					}
					if _, named := errors.AsType[*ext4.Unsupported](err); named != strings.Contains(c.want, "not supported") {
						t.Errorf("error %q: it is Unsupported: %v", err, named)
					}
				})
			}
		})
	}
}

// TestTruncated cuts an image: at each length it ends in an error.
func TestTruncated(t *testing.T) {
	t.Parallel()
	whole := load(t, "ext4")
	for length := 0; length < len(whole); length += 8<<10 + 512 {
		if _, err := whole[:length].readAll(); err == nil {
			t.Errorf("an image of %d bytes out of %d is read", length, len(whole))
		}
	}
	longer := slices.Concat(whole, make([]byte, 4096))
	if _, err := longer.readAll(); err != nil {
		t.Errorf("an image in a larger partition: %v", err)
	}
}

// TestLargeFolders wants an end to what a folder costs in memory.
func TestLargeFolders(t *testing.T) {
	t.Parallel()
	const groups = 40
	for name, c := range map[string]struct {
		names int
		size  uint32
		want  string
	}{
		"many names": {1<<18 - 1, 0, ""},
		"too many":   {1 << 18, 0, "a folder with more than 262144 names: not supported"},
		"too large":  {1, 257 << 20, "a folder of more than 268435456 bytes: not supported"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := slices.Concat(load(t, "ext4"), make(image, 4<<20))
			size := int64(groups * 8192 * blockSize)
			put32(m.super()[0x0:], groups*32)
			put32(m.super()[0x4:], uint32(size/blockSize))
			n, fifo := m.named("inner"), m.ino("fifo")
			// 84 names in a block, behind the one that has one more.
			blocks := uint32(c.names+83) / 84
			put32(n[0x4:], max(c.size, (1+blocks)*blockSize))
			put16(n[0x2a:], 2)
			extent(n[0x28+24:], 1, uint16(blocks), 512)
			for i := range c.names {
				e := m[(512+i/84)*blockSize+i%84*12:]
				put32(e, fifo)
				put16(e[4:], 12)
				e[6], e[7] = 3, 5
				for digit := range 3 {
					e[8+digit] = 'A' + byte(i>>(6*digit)&63)
				}
				if i%84 == 83 || i == c.names-1 {
					put16(e[4:], uint16(blockSize-i%84*12))
				}
			}
			f, err := ext4.Open(padded{m, size}, size)
			check(t, err)
			if f.Size() != size {
				t.Errorf("%d bytes, want %d", f.Size(), size)
			}
			records, err := walk(f, 32<<20)
			switch {
			case c.want == "" && (err != nil || len(records) < c.names):
				t.Errorf("%d names, %v", len(records), err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want it to say %q", err, c.want)
			}
		})
	}
}

// padded is an image that ends in zeros.
type padded struct {
	image
	size int64
}

func (p padded) ReadAt(b []byte, off int64) (int, error) {
	clear(b)
	if off < int64(len(p.image)) {
		copy(b, p.image[off:])
	}
	if off+int64(len(b)) > p.size {
		return 0, io.EOF
	}
	return len(b), nil
}
