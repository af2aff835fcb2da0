package build

import (
	"fmt"

	klauspost "github.com/klauspost/compress/zstd"

	"inlay/internal/erofs"
	"inlay/internal/lz4"
	"inlay/internal/zstd"
)

// What a cluster takes in an image, which is what reading a page of it costs.
// docs/performance.md has the measurements.
const (
	lz4Cluster  = 64 << 10
	zstdCluster = 96 << 10
	// maxContent bounds what is unpacked for a page of a cluster of zstd that
	// holds very much.
	maxContent = 512 << 10
	// libraryContent is that of a cluster by an encoder that cannot fill one.
	libraryContent = maxContent
	windowLog      = 19 // of maxContent

	// libraryLevel is the first level of zstd that the library does. At lower ones
	// ours makes smaller images in less time.
	libraryLevel = 10
)

// codec returns what compresses, and the size of its clusters in the image; nil
// for none.
func (c Compression) codec() (codec erofs.Codec, cluster int) {
	switch {
	case c.Method == LZ4:
		return lz4Codec{}, lz4Cluster
	case c.Method == LZ4HC:
		return lz4Codec{high: true, level: c.Level}, lz4Cluster
	case c.Method == Zstd && c.Level < libraryLevel:
		return zstdCodec{}, zstdCluster
	case c.Method == Zstd:
		return libraryCodec{}, libraryContent
	default:
		return nil, 0
	}
}

// libraryVersion is that of the module in go.mod, which a test compares: its
// bytes may change from one version to the next.
const libraryVersion = "v1.20.3"

// Encoder names whoever makes the bytes, and as which version: the same files
// give the same image only by the same encoder. It is "" for none.
func (c Compression) Encoder() string {
	switch {
	case c.Method == LZ4, c.Method == LZ4HC:
		return fmt.Sprintf("inlay lz4 v%d", lz4.Version)
	case c.Method == Zstd && c.Level < libraryLevel:
		// Its literals are the library's.
		return fmt.Sprintf("inlay zstd v%d, klauspost/compress huff0 %s", zstd.Version, libraryVersion)
	case c.Method == Zstd:
		return "klauspost/compress zstd " + libraryVersion
	default:
		return ""
	}
}

// filled is what an encoder that filled dst has to say.
func filled(dst []byte, n, used int) ([]byte, int, bool) { return dst[:n], used, n < used }

// lz4Codec fills clusters.
type lz4Codec struct {
	high  bool
	level int
}

func (lz4Codec) Algorithm() erofs.Algorithm { return erofs.LZ4 }

func (lz4Codec) MaxInput() int { return lz4.MaxSize }

func (lz4Codec) WindowLog() uint8 { return 0 }

func (lz4Codec) Memory() int { return 512 << 10 }

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
	return filled(dst, n, used)
}

// zstdCodec fills clusters with frames.
type zstdCodec struct{}

func (zstdCodec) Algorithm() erofs.Algorithm { return erofs.ZSTD }

// MaxInput is what a worker takes in one go: the more of it, the fewer clusters
// at its end that are not full.
func (zstdCodec) MaxInput() int { return zstd.MaxInput }

func (zstdCodec) WindowLog() uint8 { return windowLog }

func (zstdCodec) Memory() int { return 2 << 20 }

func (zstdCodec) NewEncoder() erofs.Encoder { return new(zstdEncoder) }

type zstdEncoder struct{ encoder zstd.Encoder }

// Compress implements erofs.Encoder.
func (e *zstdEncoder) Compress(dst, src []byte) ([]byte, int, bool) {
	dst = dst[:cap(dst)]
	n, used := e.encoder.Fill(dst, src[:min(len(src), maxContent)])
	return filled(dst, n, used)
}

// libraryCodec compresses clusters of fixed content, each a frame of one segment.
type libraryCodec struct{}

func (libraryCodec) Algorithm() erofs.Algorithm { return erofs.ZSTD }

func (libraryCodec) MaxInput() int { return libraryContent }

func (libraryCodec) WindowLog() uint8 { return windowLog }

func (libraryCodec) Memory() int { return 40 << 20 } // most of it a table of positions

func (libraryCodec) NewEncoder() erofs.Encoder {
	// No checksum: Linux doesn't look at it, and the hash tree is better.
	w, err := klauspost.NewWriter(nil, klauspost.WithEncoderLevel(klauspost.SpeedBestCompression), klauspost.WithEncoderConcurrency(1), klauspost.WithEncoderCRC(false),
		klauspost.WithSingleSegment(true), klauspost.WithWindowSize(libraryContent), klauspost.WithLowerEncoderMem(true))
	if err != nil {
		panic(err) // these options are right together, or a test fails
	}
	return libraryEncoder{w}
}

type libraryEncoder struct{ *klauspost.Encoder }

// Compress implements erofs.Encoder.
func (e libraryEncoder) Compress(dst, src []byte) ([]byte, int, bool) {
	out := e.EncodeAll(src, dst[:0])
	return out, len(src), len(out) <= cap(dst) && len(out) < len(src)
}
