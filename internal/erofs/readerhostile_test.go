package erofs_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"inlay/internal/erofs"
)

// seal mends the superblock's checksum.
func seal(image []byte) []byte {
	if len(image) < 2048 || image[1024+12] > 16 {
		return image
	}
	end := 1024 + 1<<image[1024+12]
	if end > 2048 {
		end -= 1024
	}
	if end > len(image) {
		return image
	}
	clear(image[1028:1032])
	binary.LittleEndian.PutUint32(image[1028:], ^crc32.Checksum(image[1024:end], crc32.MakeTable(crc32.Castagnoli)))
	return image
}

// damage changes the image of a vector at a place of it.
type damage struct {
	vector string
	path   string // whose inode it is about; "" for the superblock
	part   string // "inode", "attributes", "index", "names" or "content"
	at     int    // bytes after the part's start
	bytes  string
	want   string // of the error
}

// TestHostile reads images that no honest tool makes.
func TestHostile(t *testing.T) {
	t.Parallel()
	le32 := func(v uint32) string { return string(binary.LittleEndian.AppendUint32(nil, v)) }
	for name, d := range map[string]damage{
		"signature":          {at: 0, bytes: "X", want: "no erofs signature"},
		"small blocks":       {at: 12, bytes: "\x08", want: "blocks of 2 to the power of 8"},
		"large blocks":       {at: 12, bytes: "\x11", want: "blocks of 2 to the power of 17"},
		"more than there is": {at: 36, bytes: le32(1 << 31), want: "the file system takes 8796093022208 bytes"},
		"less than a block":  {at: 36, bytes: le32(0), want: "the file system takes 0 bytes"},
		"cut":                {at: 36, bytes: le32(2), want: "the file system ends at 8192"},
		"no root":            {at: 14, bytes: "\xff\xff", want: "ends at"},
		"far metadata":       {at: 40, bytes: le32(1<<32 - 1), want: "ends at"},
		"48 bits":            {at: 80, bytes: "\x80", want: "48-bit block numbers is not supported"},
		"metadata inode":     {at: 81, bytes: "\x01", want: "a metadata inode is not supported"},
		"tomorrow":           {at: 83, bytes: "\x40", want: "features 0x40000000 is not supported"},
		"devices":            {at: 86, bytes: "\x01", want: "data on other devices is not supported"},
		"blocks of names":    {at: 90, bytes: "\x01", want: "blocks of names of 2 blocks is not supported"},
		"methods":            {vector: "lzma", at: 84, bytes: "\x12", want: "compression by methods 0x10 is not supported"},
		"LZMA's format":      {vector: "lzma", at: 128 + 2 + 4, bytes: "\x01", want: "format 1 of LZMA"},
		"LZMA's dictionary":  {vector: "lzma", at: 128 + 2 + 3, bytes: "\x01", want: "a dictionary of"},
		"Zstandard's window": {vector: "zstd", at: 128 + 2 + 1, bytes: "\x0b", want: "a window of 2 to the power of 21"},
		"Zstandard's format": {vector: "zstd", at: 128 + 2, bytes: "\x01", want: "format 1 of Zstandard"},
		"DEFLATE's window":   {vector: "deflate", at: 128 + 2, bytes: "\x10", want: "a window of 2 to the power of 16"},
		"configuration":      {vector: "lzma", at: 128, bytes: "\x0d", want: "13 bytes of configuration for LZMA"},
		"no fragments":       {vector: "zstd", at: 96, bytes: "\xff\xff\xff", want: "the inode of fragments"},
		"prefixes":           {vector: "deflate", at: 92, bytes: "\xff\xff\x00", want: "the long prefixes"},
		"more prefixes":      {vector: "deflate", at: 91, bytes: "\xff", want: "the long prefixes"},
		"undeclared method":  {vector: "lzma", at: 84, bytes: "\x00", want: "compressed by LZMA, which the file system has not"},
		"no big clusters":    {vector: "lz4-tails", at: 80, bytes: "\x11", want: "big clusters, which the file system has not"},

		"a format":       {path: "text", part: "inode", at: 0, bytes: "\x20", want: "format 0x20 is not supported"},
		"a layout":       {path: "text", part: "inode", at: 0, bytes: "\x0a", want: "format 0xa is not supported"},
		"no type":        {path: "text", part: "inode", at: 5, bytes: "\x01", want: "is of no type"},
		"another type":   {path: "text", part: "inode", at: 5, bytes: "\x41", want: "its entry in a folder says 0100000"},
		"a large size":   {vector: "lz4", path: "text", part: "inode", at: 15, bytes: "\x80", want: "a size of"},
		"a larger size":  {vector: "chunks", path: "text", part: "inode", at: 8, bytes: "\xff\xff\xff\x7f", want: "ends at"},
		"a time":         {vector: "lz4", path: "text", part: "inode", at: 40, bytes: le32(1e9), want: "1000000000 nanoseconds"},
		"no target":      {path: "folder/link number 1", part: "inode", at: 8, bytes: "\x00", want: "a target of 0 bytes"},
		"a NUL":          {path: "folder/link number 1", part: "content", at: 1, bytes: "\x00", want: "a target with a NUL"},
		"a long tail":    {path: "folder/link number 1", part: "inode", at: 8, bytes: "\xff\x0f", want: "not in one block"},
		"a long target":  {path: "folder/link number 1", part: "inode", at: 8, bytes: "\x00\x10", want: "a target of 4096 bytes"},
		"elsewhere":      {path: "text", part: "inode", at: 16, bytes: "\xff\xff\xff\xff", want: "ends at"},
		"another device": {vector: "chunks", path: "text", part: "index", at: 2, bytes: "\x01", want: "data on other devices is not supported"},
		"a far chunk":    {vector: "chunks", path: "text", part: "index", at: 4, bytes: "\xfe\xff\xff\xff", want: "ends at"},
		"a chunk format": {vector: "chunks", path: "text", part: "inode", at: 16, bytes: "\x60", want: "chunks of format 0x60 is not supported"},

		"no records":      {path: "folder", part: "names", at: 8, bytes: "\x00\x00", want: "names that begin at byte 0"},
		"odd records":     {path: "folder", part: "names", at: 8, bytes: "\x0d\x00", want: "names that begin at byte 13"},
		"far records":     {path: "folder", part: "names", at: 8, bytes: "\xf0\xff", want: "names that begin at byte 65520"},
		"names backwards": {path: "folder", part: "names", at: 12 + 8, bytes: "\x01\x00", want: "a name from byte"},
		"far names":       {path: "folder", part: "names", at: 12 + 8, bytes: "\xff\xff", want: "a name from byte"},
		"not itself":      {path: "folder", part: "names", at: 0, bytes: "\x01", want: `"." is inode 1`},
		"not above":       {path: "folder", part: "names", at: 12, bytes: "\x01", want: `".." is inode 1`},
		"no such type":    {path: "folder", part: "names", at: 36 + 10, bytes: "\x09", want: "is of type 9, which is none"},
		"endless names":   {path: "folder", part: "inode", at: 8, bytes: "\x01\x00\x00\x10", want: "268435457 bytes of names"},
		"type unknown":    {path: "folder", part: "names", at: 36 + 10, bytes: "\x00", want: "is of type 0, which is none"},

		"an attribute far":   {path: "text", part: "attributes", at: 16 + 3, bytes: "\xff", want: "an entry of"},
		"a strange prefix":   {path: "text", part: "attributes", at: 16 + 1, bytes: "\x07", want: "with prefix 7 cannot be the name"},
		"a NUL in a name":    {path: "text", part: "attributes", at: 16 + 5, bytes: "\x00", want: "cannot be the name"},
		"a list with a name": {path: "text", part: "attributes", at: 16 + 1, bytes: "\x02", want: "cannot be the name"},
		"a long prefix":      {path: "text", part: "attributes", at: 16 + 1, bytes: "\x80", want: "prefix 0, and there are 0"},
		"many shared":        {path: "text", part: "attributes", at: 4, bytes: "\xff", want: "255 shared ones"},
		"far shared":         {vector: "chunks", path: "text", part: "attributes", at: 12, bytes: "\xff\xff\xff\x0f", want: "the shared one at"},
		"hidden":             {vector: "small-blocks", path: "text", part: "attributes", at: 0, bytes: "\xff\xff\xff\xff", want: "the filter of names hides"},

		"extents":              {vector: "lz4-legacy", path: "text", part: "index", at: 4, bytes: "\x01", want: "an index of extents is not supported"},
		"an index of tomorrow": {vector: "lz4", path: "text", part: "index", at: 4, bytes: "\x40", want: "features 0x40 is not supported"},
		"logical clusters":     {vector: "lz4", path: "text", part: "index", at: 7, bytes: "\x01", want: "logical clusters of format 0x1 is not supported"},
		"a method":             {vector: "lz4", path: "text", part: "index", at: 6, bytes: "\x04", want: "compression by method 4 is not supported"},
		"two ends":             {vector: "deflate", path: "mixed", part: "index", at: 4, bytes: "\x2f", want: "its end lies in two places"},
		"half big":             {vector: "lzma", path: "text", part: "index", at: 4, bytes: "\x0b", want: "only one of its algorithms has big clusters"},
		"an empty end":         {vector: "lzma", path: "text", part: "index", at: 2, bytes: "\x00\x00", want: "has no bytes"},
		"a long end":           {vector: "lzma", path: "text", part: "index", at: 2, bytes: "\xff\x1f", want: "not in one block"},
		"no such fragment":     {vector: "deflate", path: "mixed", part: "index", at: 2, bytes: "\xff\x1f", want: "fragments, which are not there"},
		"all of no fragment":   {vector: "zstd", path: "text", part: "index", at: 4, bytes: "\xff\x1f", want: "fragments, which are not there"},

		"no start":           {vector: "lz4-legacy", path: "text", part: "index", at: 16, bytes: "\x02", want: "no run begins at its start"},
		"an index's format":  {vector: "lz4-legacy", path: "text", part: "index", at: 16, bytes: "\x05", want: "an index of format 0x5 is not supported"},
		"late start":         {vector: "lz4-legacy", path: "text", part: "index", at: 18, bytes: "\x01", want: "no run begins at its start"},
		"past the block":     {vector: "lz4-legacy", path: "text", part: "index", at: 16 + 8, bytes: "\x01\x00\x00\x10", want: "a run begins at byte 4096"},
		"no distance":        {vector: "lz4-legacy", path: "text", part: "index", at: 16 + 8 + 4, bytes: "\x00\x00", want: "begins 0 blocks before"},
		"a far distance":     {vector: "lz4-legacy", path: "text", part: "index", at: 16 + 8 + 4, bytes: "\x09\x00", want: "begins 9 blocks before"},
		"a count of blocks":  {vector: "lz4-legacy", path: "text", part: "index", at: 16 + 8 + 4, bytes: "\x02\x08", want: "counts the blocks of a cluster"},
		"a far cluster":      {vector: "lz4-legacy", path: "text", part: "index", at: 16 + 4, bytes: "\xff\xff\xff\xff", want: "ends at"},
		"stored as it is":    {vector: "lz4-legacy", path: "text", part: "index", at: 16, bytes: "\x00", want: "in a cluster of 4096, as they are"},
		"another's cluster":  {vector: "lz4-legacy", path: "text", part: "index", at: 16 + 4, bytes: "\x02\x00\x00\x00", want: "unpacking a cluster of LZ4"},
		"an odd pack":        {vector: "lz4", path: "text", part: "index", at: 8, bytes: "\xff\xff\xff\xff", want: "no run begins at its start"},
		"a pack of tails":    {vector: "lz4", path: "text", part: "index", at: 8 + 8, bytes: "\x00\x20", want: "in place 0 of a pack"},
		"a count in a pack":  {vector: "lz4", path: "text", part: "index", at: 8 + 2, bytes: "\x01\x28", want: "in place 1 of a pack"},
		"a distance in one":  {vector: "lzma", path: "mixed", part: "index", at: 8 + 8, bytes: "\x01\xe0", want: "in place 0 of a pack"},
		"too large clusters": {vector: "lzma", path: "mixed", part: "index", at: 8 + 2, bytes: "\xff\x2f", want: "a cluster that takes"},
		"clusters of none":   {vector: "lzma", path: "mixed", part: "index", at: 8 + 2, bytes: "\x00\x28", want: "a cluster that takes 0 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := d.image(t)
			f, err := erofs.Open(bytes.NewReader(image), int64(len(image)))
			if err == nil {
				_, err = readAll(f, 100<<20)
			}
			if err == nil || !strings.Contains(err.Error(), d.want) {
				t.Fatalf("got %v, want %q", err, d.want)
			}
			_, unsupported := errors.AsType[*erofs.Unsupported](err)
			if unsupported != strings.Contains(d.want, "not supported") && !strings.Contains(d.want, "format 1") {
				t.Errorf("unsupported or not: %v", err)
			}
		})
	}
}

// image returns the damaged image.
func (d damage) image(t testing.TB) []byte {
	t.Helper()
	if d.vector == "" {
		d.vector = "plain"
	}
	image := vector(t, d.vector)
	if d.path == "" {
		copy(image[1024+d.at:], d.bytes)
		return seal(image)
	}
	f := open(t, image)
	n := find(t, f, d.path)
	inode, attributes, body := n.Places(f)
	at := map[string]int64{"inode": inode, "attributes": attributes, "index": (body + 7) &^ 7, "content": body, "names": body}[d.part]
	copy(image[at+int64(d.at):], d.bytes)
	return seal(image)
}

// TestChecksum opens an image whose superblock was changed.
func TestChecksum(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"plain", "small-blocks"} {
		image := vector(t, name)
		image[1024+8] |= 1 // mkfs.erofs 1.8.6 makes none with small blocks
		seal(image)
		image[1024+50]++
		if _, err := erofs.Open(bytes.NewReader(image), int64(len(image))); err == nil || !strings.Contains(err.Error(), "checksum") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := erofs.Open(bytes.NewReader(seal(image)), int64(len(image))); err != nil {
			t.Errorf("%s, with another checksum: %v", name, err)
		}
	}
}

// TestNames holds what a block of names may hold.
func TestNames(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ from, to, want string }{
		"twice":      {"link number 11", "link number 10", "is out of order"},
		"backwards":  {"link number 11", "link number 0 ", "is out of order"},
		"a slash":    {"link number 11", "link/number 11", "cannot be the name"},
		"a NUL":      {"link number 11", "link number\x0011", "cannot be the name"},
		"a cut name": {"link number 9", "link nu\x00ber 9", "rubbish"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			image := vector(t, "plain")
			at := bytes.Index(image, []byte(c.from+"link number")) // in a row of names
			if at < 0 {
				at = bytes.LastIndex(image, []byte(c.from))
			}
			if name == "a cut name" {
				// The last name is that of the file itself.
				at = bytes.Index(image, []byte("link number 9same"))
				copy(image[at+len(c.from):], "s\x00me")
			} else {
				copy(image[at:], c.to)
			}
			_, err := readAll(open(t, seal(image)), -1)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestFolderInItself ends a walk of a folder that holds itself or lies elsewhere.
func TestFolderInItself(t *testing.T) {
	t.Parallel()
	image := vector(t, "plain")
	f := open(t, image)
	inner, outer := find(t, f, "folder/empty"), find(t, f, "folder")
	_, _, names := outer.Places(f)
	at := int(names) + 2*12 // after "." and ".."
	if got := binary.LittleEndian.Uint64(image[at:]); got != nid(t, f, inner) {
		t.Fatalf("the third name is inode %d", got)
	}
	binary.LittleEndian.PutUint64(image[at:], nid(t, f, outer))
	if _, err := readAll(open(t, seal(image)), -1); err == nil || !strings.Contains(err.Error(), `".." is inode`) {
		t.Errorf("a folder in itself: %v", err)
	}
}

// nid returns an inode's number.
func nid(t testing.TB, f *erofs.FileSystem, n *erofs.Inode) uint64 {
	t.Helper()
	inode, _, _ := n.Places(f)
	return uint64(inode / 32) // the vectors' metadata begins with the image
}
