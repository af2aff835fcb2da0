package squashfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Compressors by the superblock's number.
const (
	compGzip = 1 + iota
	compLZMA
	compLZO
	compXZ
	compLZ4
	compZstd
)

// unpacker unpacks one kind of block.
type unpacker interface {
	// unpack unpacks all of src, one complete piece, into dst and returns how many
	// bytes that gave. What would not fit dst is an error.
	unpack(dst, src []byte) (int, error)
}

var errTooLong = errors.New("it unpacks to more than it may")

var errRubbish = errors.New("bytes follow the compressed ones")

func newUnpacker(compressor uint16) (unpacker, error) {
	switch compressor {
	case compGzip:
		return new(inflater), nil
	case compLZMA:
		return nil, &Unsupported{"compression by lzma"}
	case compLZO:
		return nil, &Unsupported{"compression by lzo"}
	case compXZ:
		return xzUnpacker{}, nil
	case compLZ4:
		return lz4Unpacker{}, nil
	case compZstd:
		return newZstdUnpacker()
	}
	return nil, &Unsupported{fmt.Sprintf("compression by method %d", compressor)}
}

// guarded calls u. What unpacks is others' work: its panic is an error here.
func guarded(u unpacker, dst, src []byte) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			n, err = 0, fmt.Errorf("unpacking: %v", p)
		}
	}()
	n, err = u.unpack(dst, src)
	if err != nil {
		return 0, fmt.Errorf("unpacking: %w", err)
	}
	return n, nil
}

// readOptions checks the compressor's options, which only matter to who writes,
// and returns where the content begins after them.
func (f *FileSystem) readOptions() (int64, error) {
	sizes := map[uint16]int{compGzip: 8, compXZ: 8, compLZ4: 8, compZstd: 4}
	size := sizes[f.super.compressor]
	b := make([]byte, 2+size)
	if err := f.readAt(b, superSize); err != nil {
		return 0, err
	}
	if header := binary.LittleEndian.Uint16(b); header != uint16(size)|metadataRaw {
		return 0, fmt.Errorf("a header of %#x for %d bytes", header, size)
	}
	if f.super.compressor == compLZ4 {
		if version := binary.LittleEndian.Uint32(b[2:]); version != 1 {
			return 0, &Unsupported{fmt.Sprintf("version %d of lz4's format", version)}
		}
	}
	return superSize + int64(len(b)), nil
}

// inflater unpacks gzip's blocks, which are zlib streams.
type inflater struct {
	src    bytes.Reader
	stream io.ReadCloser
}

func (z *inflater) unpack(dst, src []byte) (int, error) {
	z.src.Reset(src)
	if resetter, ok := z.stream.(zlib.Resetter); ok {
		if err := resetter.Reset(&z.src, nil); err != nil {
			return 0, err
		}
	} else {
		var err error
		if z.stream, err = zlib.NewReader(&z.src); err != nil {
			return 0, err
		}
	}
	n, err := drain(z.stream, dst)
	if err == nil && z.src.Len() > 0 {
		err = errRubbish
	}
	return n, err
}

// drain reads r to its end, which must come within dst.
func drain(r io.Reader, dst []byte) (int, error) {
	total := 0
	var probe [1]byte
	for {
		p := dst[total:]
		if len(p) == 0 {
			p = probe[:]
		}
		n, err := r.Read(p)
		if n > 0 && total == len(dst) {
			return 0, errTooLong
		}
		total += n
		switch {
		case errors.Is(err, io.EOF):
			return total, nil
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.ErrNoProgress
		}
	}
}

type lz4Unpacker struct{}

func (lz4Unpacker) unpack(dst, src []byte) (int, error) { return lz4.UncompressBlock(src, dst) }

type zstdUnpacker struct{ decoder *zstd.Decoder }

func newZstdUnpacker() (unpacker, error) {
	// One decoder starts no goroutines, so that nothing needs to be closed.
	d, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(maxBlockSize),
		zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return nil, err
	}
	return zstdUnpacker{d}, nil
}

func (z zstdUnpacker) unpack(dst, src []byte) (int, error) {
	// DecodeAll would take several frames for one; the kernel stops after the first.
	if size, err := zstdFrame(src); err != nil {
		return 0, err
	} else if size != len(src) {
		return 0, errRubbish
	}
	content, err := z.decoder.DecodeAll(src, dst[:0:len(dst)])
	if err != nil {
		return 0, err
	}
	if len(content) > len(dst) {
		return 0, errTooLong
	}
	return copy(dst, content), nil
}

// zstdFrame returns the length of the frame that src begins with (RFC 8878, 3.1.1).
func zstdFrame(src []byte) (int, error) {
	var h zstd.Header
	if err := h.Decode(src); err != nil {
		return 0, err
	}
	if h.Skippable {
		return 0, errors.New("a frame to skip")
	}
	off := h.HeaderSize
	for last := false; !last; {
		if len(src)-off < 3 {
			return 0, io.ErrUnexpectedEOF
		}
		b := uint32(src[off]) | uint32(src[off+1])<<8 | uint32(src[off+2])<<16
		last = b&1 != 0
		size := int(b >> 3)
		if b>>1&3 == 1 { // one byte, repeated
			size = 1
		}
		if off += 3; size > len(src)-off {
			return 0, io.ErrUnexpectedEOF
		}
		off += size
	}
	if h.HasCheckSum {
		off += 4
	}
	return off, nil
}
