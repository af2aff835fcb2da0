package inflate_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"inlay/internal/inflate"
)

// most is how much of a stream is compared: a small one can hold a thousand
// times as much.
const most = 4 << 20

// outcome is all that a caller can see of a stream.
type outcome struct {
	plain []byte
	err   string // in the words of this test
}

// word makes errors of two packages comparable.
func word(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, io.EOF):
		return "nothing there"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "cut off"
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, inflate.ErrHeader):
		return "no header"
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, inflate.ErrChecksum):
		return "another checksum"
	default:
		return "damaged"
	}
}

func witness(packed []byte) outcome {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return outcome{err: word(err)}
	}
	plain, err := io.ReadAll(io.LimitReader(r, most))
	return outcome{plain, word(err)}
}

func ours(src io.Reader) outcome {
	r, err := inflate.NewReader(src)
	if err != nil {
		return outcome{err: word(err)}
	}
	plain, err := io.ReadAll(io.LimitReader(r, most))
	return outcome{plain, word(err)}
}

// sources are ways in which the same bytes can come.
func sources() map[string]func(b []byte) io.Reader {
	return map[string]func(b []byte) io.Reader{
		"whole":          func(b []byte) io.Reader { return bytes.NewReader(b) },
		"byte by byte":   func(b []byte) io.Reader { return iotest.OneByteReader(bytes.NewReader(b)) },
		"by 31":          func(b []byte) io.Reader { return &pieces{b, 31} },
		"by 33":          func(b []byte) io.Reader { return &pieces{b, 33} },
		"end with bytes": func(b []byte) io.Reader { return iotest.DataErrReader(bytes.NewReader(b)) },
	}
}

// pieces gives out at most n bytes at a time.
type pieces struct {
	b []byte
	n int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.b) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.n)], p.b)
	p.b = p.b[n:]
	return n, nil
}

// agree compares what both readers see, from all sources.
func agree(t *testing.T, packed []byte) {
	t.Helper()
	for name := range sources() {
		agreeFrom(t, packed, name)
	}
}

// agreeFrom compares what both readers see, from one source.
func agreeFrom(t *testing.T, packed []byte, source string) {
	t.Helper()
	want, got := witness(packed), ours(sources()[source](packed))
	if got.err != want.err {
		t.Errorf("%s: %q after %d bytes, want %q after %d", source, got.err, len(got.plain), want.err, len(want.plain))
	}
	if want.err == "cut off" && len(got.plain) > len(want.plain) {
		// The standard library looks for some bits more than a code has, and so
		// sees the end sooner.
		got.plain = got.plain[:len(want.plain)]
	}
	if !bytes.Equal(got.plain, want.plain) {
		t.Errorf("%s: %d bytes, want %d; the first difference is at %d", source, len(got.plain), len(want.plain), differ(got.plain, want.plain))
	}
}

func differ(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
