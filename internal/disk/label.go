package disk

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"
)

// luksMagic begins what is encrypted with LUKS, of both versions.
const luksMagic = "LUKS\xba\xbe"

func luks(r io.ReaderAt) bool {
	b := make([]byte, len(luksMagic))
	_, err := r.ReadAt(b, 0)
	return err == nil && string(b) == luksMagic
}

// isoMagic is how the first volume descriptor of ISO 9660 begins, at isoDescriptor.
const (
	isoMagic      = "\x01CD001\x01"
	isoDescriptor = 16 * 2048
)

func iso9660(r io.ReaderAt) bool {
	b := make([]byte, len(isoMagic))
	return readAt(r, b, isoDescriptor) && string(b) == isoMagic
}

// Label returns the label that a file system of a kind carries in its superblock, ""
// if it has none, or one that is no text. Of vfat it is the one of the boot sector,
// which mkfs.vfat writes, not that of the root folder.
func Label(r io.ReaderAt, kind string) string {
	var off int64
	var size int
	switch kind {
	case "ext2", "ext3", "ext4":
		off, size = 1024+120, 16
	case "btrfs":
		off, size = 0x10000+299, 256
	case "xfs":
		off, size = 108, 12
	case "vfat":
		off, size = 43, 11
		if is := make([]byte, 5); readAt(r, is, 82) && string(is) == "FAT32" {
			off = 71
		}
	case "iso9660":
		off, size = isoDescriptor+40, 32
	case "crypto_LUKS":
		off, size = 24, 48 // of version 2; in version 1 the name of the cipher
		if v := make([]byte, 2); !readAt(r, v, 6) || v[1] != 2 {
			return ""
		}
	default:
		return ""
	}
	b := make([]byte, size)
	if !readAt(r, b, off) {
		return ""
	}
	b, _, _ = bytes.Cut(b, []byte{0})
	if !utf8.Valid(b) {
		return ""
	}
	label := strings.TrimRight(string(b), " ")
	if kind == "vfat" && label == "NO NAME" {
		return ""
	}
	return label
}

func readAt(r io.ReaderAt, b []byte, off int64) bool {
	_, err := r.ReadAt(b, off)
	return err == nil
}
