package erofs

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

var (
	errRubbish  = errors.New("bytes follow the compressed ones")
	errTooShort = errors.New("it unpacks to fewer bytes")
	errTooMany  = errors.New("it unpacks to more bytes")
	errPadding  = errors.New("it is nothing but padding")
)

// unpackRun fills dst with what a cluster holds: all of the run.
func (f *FileSystem) unpackRun(dst []byte, r run) error {
	if int64(len(f.input)) < r.size {
		f.input = make([]byte, max(r.size, f.super.blockSize))
	}
	src := f.input[:r.size]
	if err := f.readAt(src, r.place); err != nil {
		return fmt.Errorf("reading a cluster: %w", err)
	}
	var err error
	switch r.kind {
	case runShifted:
		copy(dst, src) // the map has seen to it that there is enough
	case runRotated:
		err = rotate(dst, src, r.start, f.super.blockSize)
	default:
		if err = f.unpack.run(dst, src, r, f.super); err != nil {
			err = fmt.Errorf("unpacking a cluster of %s: %w", r.method, err)
		}
	}
	if err != nil {
		return fmt.Errorf("at %d: %w", r.place, err)
	}
	return nil
}

// rotate copies bytes whose place in a block is the same in the file and in the
// cluster: those up to the end of the file's first block are at the cluster's
// end, the others at its start.
func rotate(dst, src []byte, start, blockSize int64) error {
	skip := start & (blockSize - 1)
	from := skip
	if int64(len(src)) > blockSize {
		from += int64(len(src)) - blockSize
	}
	first := min(blockSize-skip, int64(len(dst)))
	if from+first > int64(len(src)) {
		return fmt.Errorf("%d bytes at %d of a cluster of %d", first, from, len(src))
	}
	copy(dst[copy(dst, src[from:from+first]):], src)
	return nil
}

// unpacker keeps what unpacks from one cluster to the next.
type unpacker struct {
	input bytes.Reader
	flate io.ReadCloser
	lzma  *lzmaDecoder
	// A decoder that has begun a stream waits for its end before it takes a whole
	// frame, for ever.
	zstd, zstdPart *zstd.Decoder
}

// run unpacks src into dst, which it must fill. Unless the run is a part of
// what the cluster holds, that must be all, and nothing may follow. Some of it is
// others' work: its panic is an error here.
func (u *unpacker) run(dst, src []byte, r run, s imageSuper) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	padded := s.needs&needsPadding != 0
	if padded || r.method != LZ4 {
		// What is compressed ends where its last block does, and Linux looks for
		// its start in the first one.
		lead := src[:min(int64(len(src)), s.blockSize-r.place&(s.blockSize-1))]
		rest := bytes.TrimLeft(lead, "\x00")
		if len(rest) == 0 {
			return errPadding
		}
		src = src[len(lead)-len(rest):]
	}
	switch r.method {
	case LZ4:
		// Without padding, nobody knows where it ends.
		if r.partial || !padded {
			return unpackLZ4(dst, src)
		}
		n, err := lz4.UncompressBlock(src, dst)
		if err == nil && n < len(dst) {
			err = errTooShort
		}
		return err
	case LZMA:
		return u.unlzma(dst, src, r.partial)
	case DEFLATE:
		return u.inflate(dst, src, r.partial)
	}
	if r.partial {
		return u.unzstdPart(dst, src)
	}
	return u.unzstd(dst, src)
}

func (u *unpacker) inflate(dst, src []byte, partial bool) error {
	u.input.Reset(src)
	if u.flate == nil {
		u.flate = flate.NewReader(&u.input)
	} else if resetter, ok := u.flate.(flate.Resetter); ok {
		if err := resetter.Reset(&u.input, nil); err != nil {
			return err
		}
	}
	if err := drain(u.flate, dst, partial); err != nil || partial {
		return err
	}
	if u.input.Len() > 0 {
		return errRubbish
	}
	return nil
}

// drain fills dst from r, which must end there unless it is to be read in part.
func drain(r io.Reader, dst []byte, partial bool) error {
	if _, err := io.ReadFull(r, dst); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = errTooShort
		}
		return err
	}
	if partial {
		return nil
	}
	switch n, err := io.ReadFull(r, make([]byte, 1)); {
	case n > 0:
		return errTooMany
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

func (u *unpacker) unlzma(dst, src []byte, partial bool) error {
	if u.lzma == nil {
		u.lzma = new(lzmaDecoder)
	}
	return u.lzma.unpack(dst, src, partial)
}

// newZstd starts no goroutines, so that nothing needs to be closed.
func newZstd() (*zstd.Decoder, error) {
	return zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(16<<20), // the first power of two above maxCluster
		zstd.WithDecodeAllCapLimit(true))
}

func (u *unpacker) unzstdPart(dst, src []byte) error {
	if u.zstdPart == nil {
		var err error
		if u.zstdPart, err = newZstd(); err != nil {
			return err
		}
	}
	u.input.Reset(src)
	if err := u.zstdPart.Reset(&u.input); err != nil {
		return err
	}
	return drain(u.zstdPart, dst, true)
}

func (u *unpacker) unzstd(dst, src []byte) error {
	if u.zstd == nil {
		var err error
		if u.zstd, err = newZstd(); err != nil {
			return err
		}
	}
	// DecodeAll would take several frames for one; Linux stops after the first.
	if size, err := zstdFrame(src); err != nil {
		return err
	} else if size != len(src) {
		return errRubbish
	}
	content, err := u.zstd.DecodeAll(src, dst[:0:len(dst)])
	if err == nil && len(content) < len(dst) {
		err = errTooShort
	}
	return err
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
