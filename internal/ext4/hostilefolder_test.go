package ext4_test

import "fmt"

var hostileFolders = map[string]broken{
	"empty":         {"ext4", func(m image) { put32(m.named("folder")[0x4:], 0) }, "a folder of 0 bytes in blocks of 1024"},
	"half a block":  {"ext4", func(m image) { put32(m.named("folder")[0x4:], 1536) }, "a folder of 1536 bytes in blocks of 1024"},
	"large":         {"ext4", func(m image) { put32(m.named("folder")[0x4:], 1<<20) }, "a folder of 1048576 bytes in a file system of 524288"},
	"hole":          {"ext4", func(m image) { put32(m.named("folder")[0x4:], 2048) }, "block 1 of it is not there"},
	"reserved":      {"ext4", func(m image) { put16(m.named("folder")[0x38:], 32769) }, "block 0 of it is not there"},
	"bad block":     {"ext4", func(m image) { put32(m.named("folder")[0x3c:], 512) }, "blocks 512 to 512 are not among"},
	"not itself":    {"ext4", folderBlock(func(b []byte) { b[0]++ }), `its first entry is "." for inode`},
	"no dot":        {"ext4", folderBlock(func(b []byte) { b[8] = 'x' }), `its first entry is "x" for inode`},
	"no dots":       {"ext4", folderBlock(func(b []byte) { b[12+9] = 'x' }), `its second entry is ".x", not ".."`},
	"parent":        {"ext4", folderBlock(func(b []byte) { b[12]++ }), "its parent is inode 3, but it was found in 2"},
	"tiny entry":    {"ext4", folderBlock(func(b []byte) { put16(b[24+4:], 8) }), "an entry of 8 bytes with a name of 5"},
	"odd entry":     {"ext4", folderBlock(func(b []byte) { put16(b[24+4:], 1001) }), "an entry of 1001 bytes with a name of 5"},
	"long entry":    {"ext4", folderBlock(func(b []byte) { put16(b[24+4:], 1004) }), "an entry of 1004 bytes with a name of 5, in 1000"},
	"short rest":    {"ext4", folderBlock(func(b []byte) { put16(b[24+4:], 992) }), "8 bytes are left for an entry"},
	"no entry":      {"ext4", folderBlock(func(b []byte) { put16(b[24+4:], 0) }), "an entry of 0 bytes with a name of 5"},
	"long name":     {"ext4", func(m image) { put16(m.entry("small")[4:], 12); put16(m.entry("small")[12:], 0) }, "an entry of 12 bytes with a name of 5"},
	"slash":         {"ext4", func(m image) { m.entry("small")[9] = '/' }, `"s/all" cannot be a name`},
	"zero byte":     {"ext4", func(m image) { m.entry("small")[9] = 0 }, `"s\x00all" cannot be a name`},
	"dot":           {"ext4", func(m image) { m.entry("small")[6] = 1; m.entry("hardlink")[8] = '.' }, ""},
	"no name":       {"ext4", func(m image) { m.entry("small")[6] = 0 }, `"" cannot be a name`},
	"one dot":       {"ext4", func(m image) { e := m.entry("small"); e[6], e[8] = 1, '.' }, `"." cannot be a name`},
	"two dots":      {"ext4", func(m image) { e := m.entry("small"); e[6] = 2; copy(e[8:], "..") }, `".." cannot be a name`},
	"twice":         {"ext4", func(m image) { copy(m.entry("fifo")[8:], "comb") }, `the name "comb" stands there twice`},
	"no such type":  {"ext4", func(m image) { m.entry("small")[7] = 8 }, `entry "small": its type is 8`},
	"types":         {"ext2", func(m image) { m.super()[0x60] &^= 2 }, "in a file system without"},
	"no such inode": {"ext4", func(m image) { put32(m.entry("small"), 33) }, `entry "small" names inode 33 of 32`},
	"not in use":    {"ext4", func(m image) { put32(m.entry("small"), 0) }, ""},
	"unknown type":  {"ext4", func(m image) { m.entry("small")[7] = 0; m.entry("folder")[7] = 0 }, ""},
	"to the root":   {"ext4", folderEntry("small", "", 2), `entry "small" leads back to the root`},
	"two names":     {"ext4", folderEntry("small", "folder", 0), `"folder" and "small" are the same folder`},
	"loop":          {"ext4", folderEntry("file", "folder", 0), "its parent is inode 2, but it was found in"},
	"loop of one":   {"ext4", folderEntry("file", "inner", 0), "but it was found in"},
	"elsewhere":     {"ext4", folderEntry("file", "indexed", 0), "its parent is inode 2, but it was found in"},
	"sum":           {"checked", folderBlock(func(b []byte) { b[40]++ }), "block 0 of it: its checksum is wrong"},
	"no sum":        {"checked", folderBlock(func(b []byte) { b[1024-5] = 0 }), "block 0 of it: it has no checksum"},

	"inline parent":   {"inline", func(m image) { m.named("folder")[0x28] = 9 }, "its parent is inode 9, but it was found in 2"},
	"inline size":     {"inline", func(m image) { put32(m.named("folder")[0x4:], 100) }, "100 bytes in an inode with 60"},
	"inline too few":  {"inline", func(m image) { put32(m.named("folder")[0x4:], 59) }, "a folder of 59 bytes in an inode"},
	"inline entry":    {"inline", func(m image) { put16(m.named("folder")[0x30:], 60) }, "an entry of 60 bytes with a name of 5, in 56"},
	"inline no entry": {"inline", func(m image) { put16(m.named("folder")[0x30:], 0) }, "an entry of 0 bytes"},
}

func folderBlock(change func(b []byte)) func(image) {
	return func(m image) { change(m.first(m.named("folder"))) }
}

// folderEntry lets a name lead to another folder.
func folderEntry(name, to string, ino uint32) func(image) {
	return func(m image) {
		if to != "" {
			ino = m.ino(to)
		}
		put32(m.entry(name), ino)
		m.entry(name)[7] = 2
	}
}

var hostileIndexes = map[string]broken{
	"header":        {"ext4", indexRoot(func(b []byte) { b[0x18] = 1 }), "a header"},
	"header length": {"ext4", indexRoot(func(b []byte) { b[0x1d] = 16 }), "a header"},
	"flags":         {"ext4", indexRoot(func(b []byte) { b[0x1f] = 1 }), "a header"},
	"hash":          {"ext4", indexRoot(func(b []byte) { b[0x1c] = 6 }), "hashes of version 6: not supported"},
	"levels":        {"ext4", indexRoot(func(b []byte) { b[0x1e] = 2 }), "2 levels, the most is 1"},
	"large levels":  {"ext4", func(m image) { incompat(0x4000)(m); indexRoot(func(b []byte) { b[0x1e] = 3 })(m) }, "3 levels, the most is 2"},
	"large enough":  {"ext4", func(m image) { incompat(0x4000)(m); indexRoot(func(b []byte) { b[0x1e] = 2 })(m) }, "it shows names"},
	"limit":         {"ext4", indexRoot(func(b []byte) { b[0x20]-- }), "of 123 entries"},
	"none":          {"ext4", indexRoot(func(b []byte) { b[0x22] = 0 }), "0 of 124 entries"},
	"too many":      {"ext4", indexRoot(func(b []byte) { b[0x22] = 125 }), "125 of 124 entries"},
	"fewer":         {"ext4", indexRoot(func(b []byte) { b[0x22]-- }), "its index does not lead to block"},
	"beyond":        {"ext4", indexRoot(func(b []byte) { b[0x24] = 200 }), "it leads to block 200 of"},
	"high bits":     {"ext4", indexRoot(func(b []byte) { b[0x27] = 0x10 }), "it leads to block 268435457 of"},
	"itself":        {"ext4", indexRoot(func(b []byte) { b[0x24] = 0 }), "it leads to block 0 of"},
	"twice":         {"ext4", indexRoot(func(b []byte) { b[0x2c] = b[0x24] }), "or not for the first time"},
	"order":         {"ext4", indexRoot(func(b []byte) { put32(b[0x28:], 1<<32-1) }), "its hashes are not in order"},
	"leaf as node":  {"ext4", indexRoot(func(b []byte) { b[0x1e] = 1 }), "it shows names"},
	"names in root": {"ext4", indexRoot(func(b []byte) { put16(b[12+4:], 12); put16(b[24+4:], 1000) }), "a header"},
	"sum":           {"checked", indexRoot(func(b []byte) { b[0x28]++ }), "its checksum is wrong"},
	"sum of leaf": {"checked", func(m image) {
		m.entry(fmt.Sprintf("name-%0100d", 1))[20]++
	}, "its checksum is wrong"},
	"not looked at": {"ext4", func(m image) {
		m.super()[0x5c] &^= 0x20 // no feature, so it is an odd linear folder
		indexRoot(func(b []byte) { b[0x1e] = 9 })(m)
	}, ""},
}

func indexRoot(change func(b []byte)) func(image) {
	return func(m image) { change(m.first(m.named("indexed"))) }
}

var hostileXattrs = map[string]broken{
	"no end":       {"ext4", inBody(func(b []byte) { b[0] = 76 }), "the list of attributes has no end"},
	"name":         {"ext4", inBody(func(b []byte) { b[0] = 255 }), "an attribute's name does not fit"},
	"prefix":       {"ext4", inBody(func(b []byte) { b[1] = 8 }), "attributes whose prefix has the number 8: not supported"},
	"inode":        {"ext4", inBody(func(b []byte) { b[4] = 12 }), "attributes that have inodes of their own: not supported"},
	"value":        {"ext4", inBody(func(b []byte) { put32(b[8:], 1<<32-1) }), "4294967295 bytes at byte"},
	"offset":       {"ext4", inBody(func(b []byte) { put16(b[2:], 0xffff) }), "at byte 65535 of"},
	"overlap":      {"ext4", inBody(func(b []byte) { put16(b[2:], 0) }), "its value overlaps the names"},
	"zero in name": {"ext4", inBody(func(b []byte) { b[17] = 0 }), "cannot be a name"},
	"system":       {"ext4", inBody(func(b []byte) { b[1] = 7 }), "attributes whose prefix has the number 7: not supported"},
	"block magic":  {"ext4", xattrBlock(func(b []byte) { b[0]++ }), "it begins with 0xea020001, not 0xea020000"},
	"blocks":       {"ext4", xattrBlock(func(b []byte) { b[8] = 2 }), "attributes in 2 blocks"},
	"block number": {"ext4", func(m image) { put32(m.named("attributes")[0x68:], 512) }, "blocks 512 to 512 are not among"},
	"list version": {"ext4", accessList(func(b []byte) { b[0] = 2 }), "an access control list of an unknown version"},
	"list type":    {"ext4", accessList(func(b []byte) { b[4] = 3 }), "an access control list with an entry of type 0x3"},
	"list end":     {"ext4", accessList(func(b []byte) { b[24] = 2 }), "an access control list that ends within an entry"},
	"sum":          {"checked", xattrBlock(func(b []byte) { b[1000]++ }), "its checksum is wrong"},
}

// inBody changes the entries behind the fields of an inode.
func inBody(change func(b []byte)) func(image) {
	return func(m image) { change(m.named("attributes")[0x80+32+4:]) }
}

func xattrBlock(change func(b []byte)) func(image) {
	return func(m image) { change(m.block(get32(m.named("attributes")[0x68:]))) }
}

// accessList changes the value of one.
func accessList(change func(b []byte)) func(image) {
	return xattrEntry(2, "", func(entry, room []byte) { change(room[get16(entry[2:]):]) })
}

// xattrEntry changes an attribute, by its entry and by what offsets count from.
func xattrEntry(prefix byte, name string, change func(entry, room []byte)) func(image) {
	return func(m image) {
		for _, room := range [][]byte{m.named("attributes")[0x80+32+4:], m.block(get32(m.named("attributes")[0x68:]))} {
			entries := room
			if get32(room) == 0xea020000 {
				entries = room[32:]
			}
			for ; get32(entries) != 0; entries = entries[(16+int(entries[0])+3)&^3:] {
				if entries[1] == prefix && string(entries[16:][:entries[0]]) == name {
					change(entries, room)
					return
				}
			}
		}
		panic("no attribute " + name)
	}
}
