package build

import (
	"fmt"

	"github.com/klauspost/compress/zstd"

	"inlay/internal/erofs"
	"inlay/internal/lz4"
)

// codec returns what compresses, and nil for none.
func (c Compression) codec() erofs.Codec {
	switch c.Method {
	case LZ4:
		return lz4Codec{}
	case LZ4HC:
		return lz4Codec{high: true, level: c.Level}
	case Zstd:
		return zstdCodec{level: zstd.EncoderLevelFromZstd(c.Level)}
	default:
		return nil
	}
}

// zstdVersion is that of the module in go.mod, which a test compares: its bytes
// may change from one version to the next.
const zstdVersion = "v1.20.3"

// Encoder names whoever makes the bytes, and as which version: the same files
// give the same image only by the same encoder. It is "" for none.
func (c Compression) Encoder() string {
	switch c.Method {
	case LZ4, LZ4HC:
		return fmt.Sprintf("inlay lz4 v%d", lz4.Version)
	case Zstd:
		return "klauspost/compress zstd " + zstdVersion
	default:
		return ""
	}
}

// lz4Codec fills clusters of fixed size.
type lz4Codec struct {
	high  bool
	level int
}

func (lz4Codec) Algorithm() erofs.Algorithm { return erofs.LZ4 }

func (lz4Codec) MaxInput() int { return lz4.MaxSize }

func (lz4Codec) WindowLog() uint8 { return 0 }

func (c lz4Codec) NewEncoder() erofs.Encoder { return &lz4Encoder{codec: c} }

type lz4Encoder struct {
	codec   lz4Codec
	encoder lz4.Encoder
}

// Compress implements erofs.Encoder.
func (e *lz4Encoder) Compress(dst, src []byte) ([]byte, int, bool) {
	dst = dst[:cap(dst)]
	var n, used int
	if e.codec.high {
		n, used = e.encoder.High(dst, src, e.codec.level)
	} else {
		n, used = e.encoder.Fast(dst, src)
	}
	return dst[:n], used, n < used
}

// zstdWindow is the base-2 logarithm of what a cluster of zstd holds at most.
// docs/performance.md has the measurements of others.
const zstdWindow = 18

// zstdCodec compresses clusters of fixed content, each a frame of one segment.
type zstdCodec struct{ level zstd.EncoderLevel }

func (zstdCodec) Algorithm() erofs.Algorithm { return erofs.ZSTD }

func (zstdCodec) MaxInput() int { return 1 << zstdWindow }

func (zstdCodec) WindowLog() uint8 { return zstdWindow }

func (c zstdCodec) NewEncoder() erofs.Encoder {
	// No checksum: Linux doesn't look at it, and the hash tree is better.
	w, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(c.level), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
		zstd.WithSingleSegment(true), zstd.WithWindowSize(1<<zstdWindow), zstd.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // these options are right together, or a test fails
	}
	return zstdEncoder{w}
}

type zstdEncoder struct{ *zstd.Encoder }

// Compress implements erofs.Encoder.
func (e zstdEncoder) Compress(dst, src []byte) ([]byte, int, bool) {
	out := e.EncodeAll(src, dst[:0])
	return out, len(src), len(out) <= cap(dst) && len(out) < len(src)
}
