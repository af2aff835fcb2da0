package source

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"inlay/internal/hint"
	gzip "inlay/internal/inflate"
)

// maxWindow bounds the memory that a zstd stream may ask for. 128 MiB is what
// the zstd program itself accepts without being told otherwise.
const maxWindow = 128 << 20

// compression is told from a stream's first bytes: media types lie, and
// archives have none.
type compression int

const (
	plain compression = iota
	gzipped
	zstandard
)

// magicLen is how many leading bytes detectCompression wants to see.
const magicLen = 6

// detectCompression looks at the first bytes of a stream. Compressions that
// inlay does not read are refused by name.
func detectCompression(head []byte) (compression, error) {
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzipped, nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return zstandard, nil
	case len(head) >= 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18}):
		return zstandard, nil // a skippable frame, as zstd:chunked begins with
	}
	for magic, name := range map[string]string{
		"\xfd7zXZ\x00": "xz", "\x04\x22\x4d\x18": "lz4", "BZh?1A": "bzip2", "BZh?\x17\x72": "bzip2",
	} {
		if hasMagic(head, magic) {
			return plain, hint.Wrap(fmt.Errorf("the compression %s is not read", name),
				"recompress it with gzip or zstd, or unpack it to a plain tar")
		}
	}
	return plain, nil
}

// hasMagic tells whether head begins with magic, of which "?" is any byte. That
// of bzip2 is written out to the mark of its first block: "BZh" alone may be the
// beginning of a name, with which a tar begins.
func hasMagic(head []byte, magic string) bool {
	if len(head) < len(magic) {
		return false
	}
	for i := range len(magic) {
		if magic[i] != '?' && magic[i] != head[i] {
			return false
		}
	}
	return true
}

// inflate returns the uncompressed form of r. The reader must be closed.
func inflate(r io.Reader, c compression) (io.ReadCloser, error) {
	switch c {
	case gzipped:
		d, err := gzip.NewReader(r)
		if err != nil {
			return nil, err
		}
		return io.NopCloser(d), nil
	case zstandard:
		// One goroutine: on two cores those that the decoder would add take the
		// time of those that hash and write.
		d, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	default:
		return io.NopCloser(r), nil
	}
}
