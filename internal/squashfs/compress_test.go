package squashfs_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"inlay/internal/squashfs"
)

// TestOnePiece refuses what unpackers might take for several pieces, or leave
// bytes of: kernels would see other content than we do.
func TestOnePiece(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("text ", 500))
	for _, test := range []struct {
		name       string
		compressor int
		change     func(packed []byte) []byte
		want       string
	}{
		{"gzip", gzip, nil, ""},
		{"gzip twice", gzip, func(p []byte) []byte { return append(p, p...) }, "bytes follow"},
		{"gzip and a byte", gzip, func(p []byte) []byte { return append(p, 0) }, "bytes follow"},
		{"gzip but a byte", gzip, func(p []byte) []byte { return p[:len(p)-1] }, "unexpected EOF"},
		{"gzip with a dictionary", gzip, func(p []byte) []byte { return append([]byte{0x78, 0xbb, 1, 2, 3, 4}, p[2:]...) }, "dictionary"},
		{"nothing", gzip, func([]byte) []byte { return nil }, "EOF"},
		{"zstd", 6, nil, ""},
		{"zstd twice", 6, func(p []byte) []byte { return append(p, p...) }, "bytes follow"},
		{"zstd and a byte", 6, func(p []byte) []byte { return append(p, 0) }, "bytes follow"},
		{"zstd but a byte", 6, func(p []byte) []byte { return p[:len(p)-1] }, "bytes follow"},
		{"zstd but its block", 6, func(p []byte) []byte { return p[:len(p)-8] }, "unexpected EOF"},
		{"zstd, skipped", 6, func(p []byte) []byte { return append([]byte("\x50\x2a\x4d\x18\x01\x00\x00\x00\x00"), p...) }, "a frame to skip"},
		{"zstd, no block", 6, func(p []byte) []byte { return p[:6] }, "unexpected EOF"},
		{"lz4", 5, nil, ""},
		{"lz4 but a byte", 5, func(p []byte) []byte { return p[:len(p)-1] }, "unpacking"},
		{"lz4 twice", 5, func(p []byte) []byte { return append(p, p...) }, "too short"},
		{"xz", 4, nil, ""},
		{"xz twice", 4, func(p []byte) []byte { return append(p, p...) }, "xz's block does not end at its index"},
		{"xz and padding", 4, func(p []byte) []byte { return append(p, 0, 0, 0, 0) }, "no xz stream"},
		{"xz and a byte", 4, func(p []byte) []byte { return append(p, 0) }, "an xz stream of"},
		{"xz but four bytes", 4, func(p []byte) []byte { return p[:len(p)-4] }, "no xz stream"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			packed := slices.Clone(pack(t, test.compressor, text))
			if test.change != nil {
				packed = test.change(packed)
			}
			got, err := squashfs.Unpack(uint16(test.compressor), 4096, packed)
			expect(t, err, test.want)
			if err == nil && !bytes.Equal(got, text) {
				t.Error("it unpacks to something else")
			}
		})
	}
}

// TestFarReferences unpacks what refers to the start of a large block from its end.
func TestFarReferences(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 30000)
	if _, err := rand.NewChaCha8([32]byte{}).Read(noise); err != nil {
		t.Fatal(err)
	}
	text := bytes.Repeat(noise, 2)
	for name, compressor := range map[string]int{"gzip": gzip, "xz": 4, "lz4": 5, "zstd": 6} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := squashfs.Unpack(uint16(compressor), len(text), pack(t, compressor, text))
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

// TestHostileXZ changes a stream and puts its checksums right.
func TestHostileXZ(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("text ", 500))
	// Where things are in what pack makes: a header of 12 bytes, the block's of 12
	// (its size, flags, LZMA2 with a property, three of padding, checksum), the
	// data, a checksum; an index of 8 before its checksum, a footer of 12.
	const block = 12
	for _, test := range []struct {
		name string
		edit func(p []byte)
		want string
	}{
		{"nothing", func([]byte) {}, ""},
		{"a dictionary of 4 GiB", func(p []byte) { p[block+4] = 40 }, ""},
		{"a larger dictionary", func(p []byte) { p[block+4] = 41 }, "properties 29 of LZMA2"},
		{"another checksum", func(p []byte) { p[7], p[len(p)-3] = 4, 4 }, "xz with flags 0x0004"},
		{"flags of tomorrow", func(p []byte) { p[6], p[len(p)-4] = 1, 1 }, "xz with flags 0x0101"},
		{"two flags", func(p []byte) { p[7] = 0 }, "xz's header and footer differ"},
		{"no block header", func(p []byte) { p[block] = 0 }, "it takes 4 bytes"},
		{"a header past the block", func(p []byte) { p[block] = 255 }, "it takes 1024 bytes"},
		{"a block of tomorrow", func(p []byte) { p[block+1] = 4 }, "flags 0x4"},
		{"sizes that aren't there", func(p []byte) { p[block+1] = 0xc0 }, "xz's chain of 1 filters with 0x16"},
		{"another last filter", func(p []byte) { p[block+2] = 4 }, "xz's chain of 1 filters with 0x4 at place 1"},
		{"LZMA2 twice", func(p []byte) { p[block+1] = 1 }, "xz's chain of 2 filters with 0x21 at place 1"},
		{"delta", func(p []byte) { p[block+1] = 1; copy(p[block+2:], "\x03\x00\x21\x01\x16") }, "xz's filter delta"},
		{"x86", func(p []byte) { p[block+1] = 1; copy(p[block+2:], "\x04\x00\x21\x01\x16") }, ""},
		{"x86 from elsewhere", func(p []byte) { p[block+1] = 1; copy(p[block+2:], "\x04\x01\x00\x21\x01") }, "a start offset"},
		{"a field without an end", func(p []byte) { p[block+3] = 9 }, "goes on past its end"},
		{"a number without an end", func(p []byte) { copy(p[block+2:], "\xff\xff\xff\xff\xff\xff") }, "malformed"},
		{"a longer number than needed", func(p []byte) { copy(p[block+2:], "\xa1\x00\x01\x16") }, "malformed"},
		{"padding in the header", func(p []byte) { p[block+6] = 1 }, "xz's padding is not zero"},
		{"padding in the index", func(p []byte) { p[len(p)-17] = 1 }, "xz's padding is not zero"},
		{"two blocks in the index", func(p []byte) { p[len(p)-23] = 2 }, "xz's index does not list its only block"},
		{"another size in the index", func(p []byte) { p[len(p)-22]++ }, "xz's index does not list its only block"},
		{"no index", func(p []byte) { p[len(p)-24] = 1 }, "xz's index is missing"},
		{"a longer index", func(p []byte) { p[len(p)-8]++ }, "xz's block does not end at its index"},
		{"an index longer than all", func(p []byte) { p[len(p)-5] = 255 }, "xz's index takes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := pack(t, 4, text)
			if p[block] != 2 || p[len(p)-24] != 0 || p[len(p)-23] != 1 {
				t.Fatalf("the stream is not as expected: %x", p)
			}
			test.edit(p)
			sum := func(at, from, to int) { binary.LittleEndian.PutUint32(p[at:], crc32.ChecksumIEEE(p[from:to])) }
			sum(8, 6, 8)
			sum(block+8, block, block+8)
			sum(len(p)-16, len(p)-24, len(p)-16)
			sum(len(p)-12, len(p)-8, len(p)-2)
			got, err := squashfs.Unpack(4, 4096, p)
			expect(t, err, test.want)
			if err == nil && !bytes.Equal(got, text) {
				t.Error("it unpacks to something else")
			}
		})
	}
	for name, at := range map[string]int{"header": 8, "block header": block + 8, "content": -28, "index": -16, "footer": -12} {
		t.Run("checksum of the "+name, func(t *testing.T) {
			t.Parallel()
			p := pack(t, 4, text)
			if at < 0 {
				at += len(p)
			}
			p[at] ^= 1
			if _, err := squashfs.Unpack(4, 4096, p); err == nil || !strings.Contains(err.Error(), "checksum") {
				t.Error(err)
			}
		})
	}
}
