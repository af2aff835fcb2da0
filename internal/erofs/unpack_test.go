package erofs_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz/lzma"

	"inlay/internal/erofs"
)

// compressWith compresses by another's encoder; nil if that saves nothing.
func compressWith(t testing.TB, method erofs.Algorithm, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	switch method {
	case erofs.LZ4:
		out := make([]byte, lz4.CompressBlockBound(len(content)))
		n, err := lz4.CompressBlockHC(content, out, lz4.Level5, nil, nil)
		must(t, err)
		return out[:n]
	case erofs.LZMA:
		config := lzma.WriterConfig{Properties: &lzma.Properties{LC: 3, PB: 2}, Size: int64(len(content)), SizeInHeader: true}
		w, err := config.NewWriter(&b)
		must(t, err)
		_, err = w.Write(content)
		must(t, err)
		must(t, w.Close())
		out := b.Bytes()
		properties := out[0]
		out = out[13:] // its header
		out[0] = ^properties
		return out
	case erofs.DEFLATE:
		w, err := flate.NewWriter(&b, 9)
		must(t, err)
		_, err = w.Write(content)
		must(t, err)
		must(t, w.Close())
	default:
		w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		must(t, err)
		return w.EncodeAll(content, nil)
	}
	return b.Bytes()
}

// contents are what to compress: short and long distances, lengths and literals.
func contents() map[string][]byte {
	r := rand.New(rand.NewPCG(1, 2))
	all := map[string][]byte{
		"zeros":    make([]byte, 100_000),
		"words":    words(r, 70_000),
		"one byte": append(bytes.Repeat([]byte("a"), 20), random(r, 30)...),
		"far":      bytes.Join([][]byte{random(r, 60_000), words(r, 3000), random(r, 5)}, nil),
	}
	all["far"] = append(all["far"], all["far"][:30_000]...)
	// Short repeats with one byte changed are what LZMA has its own codes for.
	records := make([]byte, 50_000)
	for i := range records {
		records[i] = byte(i % 16 * 7)
		if i%16 == 3 {
			records[i] = byte(r.UintN(4))
		}
	}
	all["records"] = records
	return all
}

var methods = []erofs.Algorithm{erofs.LZ4, erofs.LZMA, erofs.DEFLATE, erofs.ZSTD}

// TestUnpack unpacks all of what others compressed, and parts of it.
func TestUnpack(t *testing.T) {
	t.Parallel()
	for name, content := range contents() {
		for _, method := range methods {
			t.Run(fmt.Sprint(method, " ", name), func(t *testing.T) {
				t.Parallel()
				packed := compressWith(t, method, content)
				if len(packed) == 0 || packed[0] == 0 {
					t.Skip("it saves nothing, or begins as padding does")
				}
				padded := append(make([]byte, 37), packed...)
				got := make([]byte, len(content))
				if err := erofs.Unpack(method, got, padded, false, true); err != nil || !bytes.Equal(got, content) {
					t.Errorf("all of it: %v", err)
				}
				for _, size := range []int{1, 2, 17, 4096, len(content) / 2, len(content) - 1, len(content)} {
					got := make([]byte, min(size, len(content)))
					if err := erofs.Unpack(method, got, padded, true, true); err != nil || !bytes.Equal(got, content[:len(got)]) {
						t.Errorf("%d bytes of it: %v", size, err)
					}
				}
				for what, wrong := range map[string]struct {
					size int
					src  []byte
				}{
					"fewer bytes": {len(content) - 1, padded}, "more bytes": {len(content) + 1, padded},
					"a cut": {len(content), padded[:len(padded)-2]}, "rubbish": {len(content), append(bytes.Clone(padded), 1, 2, 3, 4)},
					"padding": {len(content), make([]byte, 4096)}, "nothing": {len(content), nil},
				} {
					if err := erofs.Unpack(method, make([]byte, wrong.size), wrong.src, false, true); err == nil {
						t.Errorf("%s: no error", what)
					}
				}
				if err := erofs.Unpack(method, make([]byte, len(content)+5000), padded, true, true); err == nil {
					t.Error("more than there is of a part: no error")
				}
			})
		}
	}
}

// TestUnpackTurns unpacks wholes, parts and what is damaged with one unpacker.
func TestUnpackTurns(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(8, 9))
	content := contents()["words"]
	var u erofs.Unpacker
	packed := map[erofs.Algorithm][]byte{}
	for _, method := range methods {
		packed[method] = compressWith(t, method, content)
	}
	for range 200 {
		method := methods[r.IntN(len(methods))]
		src, size := bytes.Clone(packed[method]), len(content)
		partial, damaged := r.IntN(2) == 0, r.IntN(3) == 0
		if partial {
			size = 1 + r.IntN(size)
		}
		if damaged {
			src = src[:r.IntN(len(src))]
		}
		got := make([]byte, size)
		if err := u.Unpack(method, got, src, partial, true); err == nil && !bytes.Equal(got, content[:size]) || err != nil && !damaged {
			t.Fatalf("%s, in part %v, damaged %v: %v", method, partial, damaged, err)
		}
	}
}

// TestUnpackUnpadded unpacks LZ4 as it was before its bytes were moved to the end.
func TestUnpackUnpadded(t *testing.T) {
	t.Parallel()
	for name, content := range contents() {
		packed := compressWith(t, erofs.LZ4, content)
		cluster := append(packed, make([]byte, 100)...)
		got := make([]byte, len(content))
		if err := erofs.Unpack(erofs.LZ4, got, cluster, false, false); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUnpackDamaged unpacks what was changed: that ends, and in bounds.
func TestUnpackDamaged(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 6))
	content := contents()["words"][:20_000]
	for _, method := range methods {
		packed := compressWith(t, method, content)
		refused := 0
		for range 300 {
			damaged := bytes.Clone(packed)
			damaged[r.IntN(len(damaged))] ^= 1 << r.IntN(8)
			if erofs.Unpack(method, make([]byte, len(content)), damaged, r.IntN(2) == 0, true) != nil {
				refused++
			}
		}
		if refused == 0 {
			t.Errorf("%s: no damage was seen", method)
		}
	}
}

// TestLZMAProperties refuses those that MicroLZMA has not: lc and lp above 4, pb too.
func TestLZMAProperties(t *testing.T) {
	t.Parallel()
	packed := compressWith(t, erofs.LZMA, make([]byte, 500))
	for properties, good := range map[byte]bool{
		(2*5+0)*9 + 3: true, (4*5+0)*9 + 0: true, (2*5+2)*9 + 3: false, (0*5+4)*9 + 1: false, (5*5+0)*9 + 0: false, 255: false,
	} {
		packed[0] = ^properties
		// One byte is decoded in any case, if at all.
		if err := erofs.Unpack(erofs.LZMA, make([]byte, 1), packed, true, true); (err == nil) != good {
			t.Errorf("%d: %v", properties, err)
		}
	}
}

// TestRotate puts bytes of plain clusters where they are in a file.
func TestRotate(t *testing.T) {
	t.Parallel()
	cluster := make([]byte, 3*erofs.BlockSize)
	for i := range cluster {
		cluster[i] = byte(i / 16)
	}
	const block = erofs.BlockSize
	for name, c := range map[string]struct {
		start int64
		size  int // of the file's part
		src   []byte
		want  []byte // nil for an error
	}{
		"from a boundary":    {0, block, cluster[:block], cluster[:block]},
		"over a boundary":    {4000, 500, cluster[:block], bytes.Join([][]byte{cluster[4000:4096], cluster[:404]}, nil)},
		"a block's middle":   {100, 500, cluster[:block], cluster[100:600]},
		"many blocks":        {4000, 2*block + 50, cluster, bytes.Join([][]byte{cluster[2*block+4000:], cluster[:2*block+50-96]}, nil)},
		"behind the index":   {2 * block, 50, cluster[:50], cluster[:50]},
		"not in the cluster": {100, 50, cluster[:50], nil},
	} {
		got := make([]byte, c.size)
		err := erofs.Rotate(got, c.src, c.start)
		if (err == nil) != (c.want != nil) || err == nil && !bytes.Equal(got, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestXXH32 holds the hash of the filter of names to values of its authors'.
func TestXXH32(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]uint32{
		"": 0x02cc5d05, "a": 0x550d7456, "abc": 0x32d153ff, "Nobody inspects the spammish repetition": 0xe2293b2f,
	} {
		if got := erofs.XXH32([]byte(text), 0); got != want {
			t.Errorf("%q: %#x", text, got)
		}
	}
}

func BenchmarkUnpack(b *testing.B) {
	content := words(rand.New(rand.NewPCG(1, 1)), 256<<10)
	for _, method := range methods {
		packed := compressWith(b, method, content)
		b.Run(method.String(), func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			dst := make([]byte, len(content))
			for b.Loop() {
				must(b, erofs.Unpack(method, dst, packed, false, true))
			}
		})
	}
}
