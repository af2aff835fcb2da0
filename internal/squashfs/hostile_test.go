package squashfs_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"
)

// Offsets in the superblock.
const (
	superInodes    = 4
	superBlockSize = 12
	superFragments = 16
	superBlockLog  = 22
	superFlags     = 24
	superIDs       = 26
	superRoot      = 32
	superUsed      = 40
	superIDTable   = 48
	superXattrs    = 56
	superInodeTab  = 64
	superDirs      = 72
	superFragTable = 80
	superExport    = 88
)

// editor changes an image in which nothing is compressed.
type editor struct {
	t testing.TB
	b []byte
}

func (e *editor) u16(off, v int)        { binary.LittleEndian.PutUint16(e.b[off:], uint16(v)) }
func (e *editor) u32(off, v int)        { binary.LittleEndian.PutUint32(e.b[off:], uint32(v)) }
func (e *editor) u64(off int, v uint64) { binary.LittleEndian.PutUint64(e.b[off:], v) }
func (e *editor) at32(off int) int      { return int(binary.LittleEndian.Uint32(e.b[off:])) }
func (e *editor) at64(off int) int      { return int(binary.LittleEndian.Uint64(e.b[off:])) }

// inode returns where the inode of a path is.
func (e *editor) inode(path string) int {
	e.t.Helper()
	f, err := open(e.b)
	if err != nil {
		e.t.Fatal(err)
	}
	at := int(f.Root().At())
	if path != "." {
		at = int(find(e.t, f, path).Ref.At())
	}
	return e.at64(superInodeTab) + at>>16 + 2 + at&0xffff
}

// listing returns where the names in the folder at path are.
func (e *editor) listing(path string) int {
	n := e.inode(path)
	block, offset := e.at32(n+16), int(binary.LittleEndian.Uint16(e.b[n+26:]))
	return e.at64(superDirs) + block + 2 + offset
}

// entry returns where the entry for a name in a folder is.
func (e *editor) entry(path, name string) int {
	e.t.Helper()
	start := e.listing(path)
	i := bytes.Index(e.b[start:], []byte(name))
	if i < 0 {
		e.t.Fatalf("no name %q", name)
	}
	return start + i - 8
}

// table returns where the records of the table are whose index the superblock names.
func (e *editor) table(super, header int) int { return e.at64(e.at64(super)+header) + 2 }

// set returns where the first attributes of a path are.
func (e *editor) set(id int) int {
	ref := e.at64(e.table(superXattrs, 16) + 16*id)
	return e.at64(e.at64(superXattrs)) + ref>>16 + 2 + ref&0xffff
}

type hostile struct {
	name string
	edit func(e *editor)
	want string // in the error
}

// hostileSuper are changes that Open must refuse.
func hostileSuper() []hostile {
	const max64 = math.MaxUint64
	return []hostile{
		{"no signature", func(e *editor) { e.b[0] = 'H' }, "no squashfs signature"},
		{"nothing", func(e *editor) { e.b = nil }, "0 bytes hold no superblock"},
		{"half a superblock", func(e *editor) { e.b = e.b[:95] }, "95 bytes hold no superblock"},
		{"cut", func(e *editor) { e.b = e.b[:len(e.b)-1] }, "and there are"},
		{"larger than anything", func(e *editor) { e.u64(superUsed, max64) }, "the file system takes 18446744073709551615 bytes"},
		{"smaller than its superblock", func(e *editor) { e.u64(superUsed, 95) }, "the file system takes 95 bytes"},
		{"smaller than its tables", func(e *editor) { e.u64(superUsed, uint64(len(e.b)-1)) }, "placing the attributes"},
		{"blocks of 2 KiB", func(e *editor) { e.u32(superBlockSize, 2048); e.u16(superBlockLog, 11) }, "block size 2048"},
		{"blocks of 2 MiB", func(e *editor) { e.u32(superBlockSize, 2<<20); e.u16(superBlockLog, 21) }, "block size 2097152"},
		{"blocks of 12 KiB", func(e *editor) { e.u32(superBlockSize, 12<<10) }, "block size 12288"},
		{"two block sizes", func(e *editor) { e.u16(superBlockLog, 13) }, "not 2 to the power of 13"},
		{"no inodes", func(e *editor) { e.u32(superInodes, 0) }, "0 inodes"},
		{"more inodes than fit", func(e *editor) {
			e.u64(superExport, max64)
			e.u32(superFragments, 0)
			e.u32(superInodes, math.MaxUint32)
		}, "4294967295 inodes in a table of"},
		{"more inodes than the export table", func(e *editor) { e.u32(superInodes, 5000) }, "placing the export table"},
		{"no ids", func(e *editor) { e.u16(superIDs, 0) }, "0 ids"},
		{"more ids than there are", func(e *editor) { e.u16(superIDs, 5) }, "reading the user and group ids"},
		{"more blocks of ids than there are", func(e *editor) { e.u16(superIDs, 65535) }, "placing the user and group ids"},
		{"more fragments than fit", func(e *editor) { e.u32(superFragments, math.MaxUint32) }, "placing the fragments"},
		{"ids nowhere", func(e *editor) { e.u64(superIDTable, max64) }, "placing the user and group ids"},
		{"ids in the superblock", func(e *editor) { e.u64(superIDTable, 8) }, "placing the user and group ids"},
		{"ids elsewhere", func(e *editor) { e.u64(superIDTable, uint64(e.at64(superFragTable))) }, "placing the user and group ids"},
		{"ids behind their index", func(e *editor) { e.u64(e.at64(superIDTable), uint64(e.at64(superIDTable))) }, "its first block lies at"},
		{"fragments nowhere", func(e *editor) { e.u64(superFragTable, max64) }, "placing the fragments"},
		{"export table elsewhere", func(e *editor) { e.u64(superExport, 100) }, "placing the export table"},
		{"attributes past the end", func(e *editor) { e.u64(superXattrs, uint64(len(e.b)-8)) }, "a header at"},
		{"attributes past everything", func(e *editor) { e.u64(superXattrs, max64-1) }, "a header at"},
		{"no attributes in their table", func(e *editor) { e.u32(e.at64(superXattrs)+8, 0) }, "a table of none"},
		{"more attributes than fit", func(e *editor) { e.u32(e.at64(superXattrs)+8, math.MaxUint32) }, "placing the attributes"},
		{"attributes' names behind their sets", func(e *editor) { e.u64(e.at64(superXattrs), uint64(e.at64(superXattrs))) }, "names at"},
		{"attributes' sets in their header", func(e *editor) { e.u64(e.at64(superXattrs)+16, uint64(e.at64(superXattrs)+8)) }, "placing the attributes"},
		{"inodes in the superblock", func(e *editor) { e.u64(superInodeTab, 50) }, "not in order"},
		{"inodes behind folders", func(e *editor) { e.u64(superInodeTab, uint64(e.at64(superDirs))) }, "not in order"},
		{"folders behind ids", func(e *editor) { e.u64(superDirs, uint64(e.at64(superIDTable))) }, "not in order"},
		{"options that aren't there", func(e *editor) { e.b[superFlags+1] |= 4 }, "reading the compressor's options"},
		{"root past the inodes", func(e *editor) { e.u64(superRoot, 1<<40) }, "goes on past the end of its table"},
		{"root past a block", func(e *editor) { e.u64(superRoot, 8000) }, "byte 8000 of a metadata block"},
		{"root between inodes", func(e *editor) { e.u64(superRoot, uint64(e.at64(superRoot)+2)) }, "reading inode"},
		{"root is a file", func(e *editor) { e.u64(superRoot, uint64(e.inode("usr/nothing")-e.at64(superInodeTab)-2)) }, "it has type 2, its name has 1"},
	}
}

// hostileTables are changes below the superblock.
func hostileTables() []hostile {
	return []hostile{
		// Metadata blocks.
		{"empty block", func(e *editor) { e.u16(e.at64(superInodeTab), 0x8000) }, "it takes 0 bytes"},
		{"block of more than 8 KiB", func(e *editor) { e.u16(e.at64(superInodeTab), 0x8000|8193) }, "it takes 8193 bytes"},
		{"block past its table", func(e *editor) { e.u16(e.at64(superDirs), 0x8000|8192) }, "goes on past the end of its table"},
		{"short block", func(e *editor) { e.u16(e.at64(superDirs), 0x8000|20) }, "of a metadata block of 20"},
		// Inodes.
		{"inode of type 0", func(e *editor) { e.u16(e.inode("usr/nothing"), 0) }, "it has type 0, its name has 2"},
		{"inode of another type", func(e *editor) { e.u16(e.inode("usr/nothing"), 4) }, "it has type 4, its name has 2"},
		{"inode of a type of tomorrow", func(e *editor) { e.u16(e.inode("usr/nothing"), 16) }, "it has type 16"},
		{"file type in a mode", func(e *editor) { e.u16(e.inode("usr/nothing")+2, 0o40644) }, "mode 040644"},
		{"owner without an id", func(e *editor) { e.u16(e.inode("usr/nothing")+4, 3) }, "ids 3 and 0 of 3"},
		{"group without an id", func(e *editor) { e.u16(e.inode("usr/nothing")+6, 65535) }, "ids 0 and 65535 of 3"},
		{"another number", func(e *editor) { e.u32(e.inode("usr/nothing")+12, 1) }, "it has number 1"},
		{"root numbered 0", func(e *editor) { e.u32(e.inode(".")+12, 0) }, "a number above"},
		{"no links", func(e *editor) { e.u32(e.inode("usr/fifo")+16, 0) }, "it has no links"},
		{"empty target", func(e *editor) { e.u32(e.inode("usr/link")+20, 0) }, "a link's target of 0 bytes"},
		{"long target", func(e *editor) { e.u32(e.inode("usr/link")+20, 4096) }, "a link's target of 4096 bytes"},
		{"NUL in a target", func(e *editor) { e.b[e.inode("usr/link")+26] = 0 }, "with a NUL in it"},
		{"folder smaller than empty", func(e *editor) { e.u16(e.inode("usr/empty")+24, 2) }, "a folder of 2 bytes"},
		{"folder larger than all", func(e *editor) { e.u32(e.inode("usr/attributed")+20, math.MaxUint32) }, "a folder of 4294967295 bytes"},
		{"file larger than all", func(e *editor) { e.u64(e.inode("usr/file")+24, 1<<50) }, "room for the sizes of"},
		{"file larger than numbers", func(e *editor) { e.u64(e.inode("usr/file")+24, 1<<63-1) }, "a size of 9223372036854775807 bytes"},
		// Content.
		{"content in the superblock", func(e *editor) { e.u64(e.inode("usr/file")+16, 90) }, "at 90, and all content lies from 96"},
		{"content past everything", func(e *editor) { e.u64(e.inode("usr/file")+16, math.MaxUint64) }, "and all content lies from 96"},
		{"content in the inodes", func(e *editor) { e.u64(e.inode("usr/file")+16, uint64(e.at64(superInodeTab)-4095)) }, "and all content lies from 96"},
		{"block larger than blocks", func(e *editor) { e.u32(e.inode("usr/file")+56, 1<<24|4097) }, "a block of size 0x1001001"},
		{"block with a bit of tomorrow", func(e *editor) { e.u32(e.inode("usr/file")+56, 1<<25|1<<24|4096) }, "a block of size 0x3001000"},
		{"short content block", func(e *editor) { e.u32(e.inode("usr/file")+56, 1<<24|4095) }, "holds 4095 bytes and not 4096"},
		{"packed of no bytes", func(e *editor) { e.u32(e.inode("usr/file")+56, 1<<24) }, "a block of size 0x1000000"},
		{"rubbish that claims to be packed", func(e *editor) { e.u32(e.inode("usr/file")+56, 4096) }, "unpacking"},
		{"fragment that is none", func(e *editor) { e.u32(e.inode("usr/code")+20, 77) }, "reading fragment 77: number 77 of"},
		{"tail past its fragment", func(e *editor) { e.u32(e.inode("usr/code")+24, 4090) }, "bytes at 4090 of a fragment of"},
		{"tail half past its fragment", func(e *editor) { e.u32(e.inode("usr/code")+24, 4000) }, "bytes at 4000 of a fragment of"},
		{"tail past everything", func(e *editor) { e.u32(e.inode("usr/code")+24, math.MaxUint32) }, "bytes at 4294967295 of a fragment of"},
		{"fragment in the inodes", func(e *editor) { e.u64(e.table(superFragTable, 0), uint64(e.at64(superInodeTab))) }, "reading fragment 0"},
		{"fragment of no bytes", func(e *editor) { e.u32(e.table(superFragTable, 0)+8, 0) }, "a block of size 0x0"},
		{"fragment larger than blocks", func(e *editor) { e.u32(e.table(superFragTable, 0)+8, 1<<24|4097) }, "a block of size 0x1001001"},
		// Names.
		{"header of 257 names", func(e *editor) { e.u32(e.listing("usr"), 256) }, "a header of 257 names"},
		{"header of 2^32 names", func(e *editor) { e.u32(e.listing("usr"), math.MaxUint32) }, "a header of 4294967296 names"},
		{"header of one name more", func(e *editor) { e.u32(e.listing("usr"), e.at32(e.listing("usr"))+1) }, "it goes on past its size"},
		{"header of one name less", func(e *editor) { e.u32(e.listing("usr"), e.at32(e.listing("usr"))-1) }, "reading folder"},
		{"inodes past their table", func(e *editor) { e.u32(e.listing("usr")+4, 1<<20) }, "inodes 1048576 bytes into a shorter table"},
		{"inode past its block", func(e *editor) { e.u16(e.entry("usr", "nothing"), 8192) }, "at byte 8192 of a metadata block"},
		{"number 0", func(e *editor) { e.u32(e.listing("usr")+8, 0) }, "a name for inode"},
		{"number above all", func(e *editor) { e.u16(e.entry("usr", "nothing")+2, 0x7fff) }, "a name for inode 32"},
		{"number below none", func(e *editor) { e.u16(e.entry("usr", "nothing")+2, 0x8000) }, "a name for inode -32"},
		{"entry of an extended type", func(e *editor) { e.u16(e.entry("usr", "nothing")+4, 9) }, "a name of type 9"},
		{"entry of type 0", func(e *editor) { e.u16(e.entry("usr", "nothing")+4, 0) }, "a name of type 0"},
		{"entry of another type", func(e *editor) { e.u16(e.entry("usr", "nothing")+4, 6) }, "its name has 6"},
		{"name of 256 bytes", func(e *editor) { e.u16(e.entry("usr", "nothing")+6, 255) }, "a name of 256 bytes"},
		{"name past its folder", func(e *editor) { e.u16(e.entry("usr", "socket")+6, 200) }, "it goes on past its size"},
		{"slash", func(e *editor) { e.b[e.entry("usr", "nothing")+9] = '/' }, `the name "n/thing"`},
		{"NUL", func(e *editor) { e.b[e.entry("usr", "nothing")+9] = 0 }, `the name "n\x00thing"`},
		{"dot", func(e *editor) { e.u16(e.entry(".", "usr")+6, 0); e.b[e.entry(".", "usr")+8] = '.' }, `the name "."`},
		{"two dots", func(e *editor) { i := e.entry(".", "usr"); e.u16(i+6, 1); copy(e.b[i+8:], "..") }, `the name ".."`},
		{"out of order", func(e *editor) { e.b[e.entry("usr", "nothing")+8] = 'z' }, `the name "same" is out of order`},
		{"twice", func(e *editor) { copy(e.b[e.entry("usr", "file")+8:], "fifo") }, `the name "fifo" is out of order`},
		{"names past their table", func(e *editor) { e.u32(e.inode(".")+16, 1<<20) }, "goes on past the end of its table"},
		{"names past a block", func(e *editor) { e.u16(e.inode(".")+26, 8191) }, "byte 8191 of a metadata block"},
		// Attributes.
		{"set that is none", func(e *editor) { e.u32(e.inode("usr/file")+52, 1000) }, "finding set 1000: number 1000 of"},
		{"set past the names", func(e *editor) { e.u64(e.table(superXattrs, 16), 1<<40) }, "goes on past the end of its table"},
		{"more than there are", func(e *editor) { e.u32(e.table(superXattrs, 16)+8, math.MaxUint32) }, "reading the attributes"},
		{"prefix of tomorrow", func(e *editor) { e.u16(e.set(0), 3) }, "a name of type 0x3"},
		{"type with a bit of tomorrow", func(e *editor) { e.u16(e.set(0), 0x201) }, "a name of type 0x201"},
		{"empty name", func(e *editor) { e.u16(e.set(0)+2, 0) }, "a name of 0 bytes after"},
		{"long name", func(e *editor) { e.u16(e.set(0)+2, 300) }, "a name of 300 bytes after"},
		{"NUL in a name", func(e *editor) { e.b[e.set(0)+5] = 0 }, `s\x00mple`},
		{"long value", func(e *editor) { e.u32(e.set(0)+4+6, 64<<10+1) }, "it takes 65537 bytes"},
		{"block of sets before the table", func(e *editor) { e.u64(e.at64(superXattrs)+16, uint64(e.at64(superInodeTab))) }, "placing the attributes"},
	}
}

func TestHostile(t *testing.T) {
	t.Parallel()
	for _, test := range append(hostileSuper(), hostileTables()...) {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := &editor{t: t, b: vector(t, "plain")}
			test.edit(e)
			f, err := open(e.b)
			if err == nil {
				_, err = read(f, unlimited())
			}
			expect(t, err, test.want)
		})
	}
}

// TestFlippedBytes flips each byte of each vector. Whatever comes of it comes
// without a panic, and what checksums of zlib and xz cover is an error.
func TestFlippedBytes(t *testing.T) {
	t.Parallel()
	for _, name := range readable() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := vector(t, name)
			e := &editor{t: t, b: image}
			first, end := e.at64(superInodeTab), e.at64(superDirs)
			var missed []int
			for i := range image {
				if name == "plain" && i >= 96 && i < first {
					continue // content as it is
				}
				image[i] ^= 0xff
				f, err := open(image)
				if err == nil {
					_, err = read(f, &budget{names: 1000, bytes: 1 << 20})
				}
				if err == nil && i >= first && i < end {
					missed = append(missed, i-first)
				}
				image[i] ^= 0xff
			}
			// The decoder of xz makes nothing of the size of what it reads, two bytes
			// in the one block here, as long as the content is right.
			if name == "gzip" && len(missed) > 0 || strings.HasPrefix(name, "xz") && len(missed) > 2 {
				t.Errorf("flips in the inode table at %d go unnoticed", missed)
			}
		})
	}
}
