package build_test

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
	pierrec "github.com/pierrec/lz4/v4"

	"inlay/internal/build"
	"inlay/internal/erofs"
)

// text is compressible, noise is not.
func text(n int) []byte {
	r := rand.New(rand.NewPCG(3, 4))
	var p []byte
	for len(p) < n {
		p = append(p, "for range of the layers; "[r.IntN(20):]...)
	}
	return p[:n]
}

func noise(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(p)
	return p
}

func TestCodecs(t *testing.T) {
	t.Parallel()
	unpack := map[erofs.Algorithm]func(t *testing.T, block []byte, size int) []byte{
		erofs.LZ4: func(t *testing.T, block []byte, size int) []byte {
			out := make([]byte, size+1)
			n, err := pierrec.UncompressBlock(block, out)
			if err != nil {
				t.Fatal(err)
			}
			return out[:n]
		},
		erofs.ZSTD: func(t *testing.T, frame []byte, _ int) []byte {
			if binary.LittleEndian.Uint32(frame) != 0xfd2fb528 {
				t.Fatalf("no frame of zstd: % x", frame[:4])
			}
			// One segment, whose size is the window; neither checksum nor dictionary.
			if single, rest := frame[4]&0x20 != 0, frame[4]&0x1f; !single || rest != 0 {
				t.Errorf("frame header %#x", frame[4])
			}
			d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			out, err := d.DecodeAll(frame, nil)
			if err != nil {
				t.Fatal(err)
			}
			return out
		},
	}
	for _, name := range []string{"lz4", "lz4hc:3", "zstd", "zstd:22"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := build.ParseCompression(name)
			if err != nil {
				t.Fatal(err)
			}
			codec := build.Codec(c)
			if codec.MaxInput()%erofs.BlockSize != 0 {
				t.Errorf("input of %d bytes", codec.MaxInput())
			}
			first, second := codec.NewEncoder(), codec.NewEncoder()
			for _, src := range [][]byte{text(5000), text(64 << 10), text(512 << 10), make([]byte, min(codec.MaxInput(), 1<<20))} {
				dst := make([]byte, 0, 128<<10)
				out, used, ok := first.Compress(dst, src)
				if !ok || len(out) > cap(dst) || used > len(src) || len(out) >= used {
					t.Fatalf("%d bytes of %d became %d (%v)", used, len(src), len(out), ok)
				}
				if w := codec.WindowLog(); codec.Algorithm() == erofs.ZSTD && used > 1<<w {
					t.Errorf("content of %d bytes in a window of 1<<%d", used, w)
				}
				if got := unpack[codec.Algorithm()](t, out, used); !bytes.Equal(got, src[:used]) {
					t.Fatalf("%d bytes read back otherwise", used)
				}
				other, alsoUsed, _ := second.Compress(make([]byte, 0, 128<<10), src)
				if !bytes.Equal(other, out) || alsoUsed != used {
					t.Errorf("two Encoders make two things of %d bytes", len(src))
				}
				// In a space that is too small, a part or nothing.
				small := dst[: 0 : len(out)/2]
				out, used, ok = first.Compress(small, src)
				if ok && (len(out) > cap(small) || used >= len(src) || len(out) >= used) {
					t.Errorf("%d bytes of %d became %d in a space of %d", used, len(src), len(out), cap(small))
				}
			}
			// What saves nothing is none of theirs.
			if out, used, ok := first.Compress(make([]byte, 0, 70000), noise(65536)); ok {
				t.Errorf("%d bytes of noise became %d", used, len(out))
			}
		})
	}
}
