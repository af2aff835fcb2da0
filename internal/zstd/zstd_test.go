package zstd_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"math/rand/v2"
	"testing"

	klauspost "github.com/klauspost/compress/zstd"

	"inlay/internal/zstd"
)

// unpack has another's decoder read a frame, as Linux would: with the window
// that an image states, and no more content than the frame says.
func unpack(t testing.TB, frame []byte) []byte {
	t.Helper()
	d := decoder(t)
	defer d.Close()
	return unpackBy(t, d, frame)
}

func decoder(t testing.TB) *klauspost.Decoder {
	t.Helper()
	d, err := klauspost.NewReader(nil, klauspost.WithDecoderConcurrency(1), klauspost.WithDecoderMaxWindow(zstd.MaxInput))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func unpackBy(t testing.TB, d *klauspost.Decoder, frame []byte) []byte {
	t.Helper()
	out, err := d.DecodeAll(frame, nil)
	if err != nil {
		t.Fatalf("decoding a frame of %d bytes: %v", len(frame), err)
	}
	return out
}

func noise(size int) []byte {
	p := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(p)
	return p
}

// program makes bytes that look like those of a program: words that come back
// at short and long distances, with numbers in between.
func program(size int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := make([][]byte, 4000)
	for i := range words {
		words[i] = make([]byte, 2+r.IntN(14))
		for j := range words[i] {
			words[i][j] = byte(r.IntN(256) * r.IntN(256) >> 8)
		}
	}
	var p []byte
	for len(p) < size {
		p = append(p, words[min(r.IntN(4000), r.IntN(4000), r.IntN(4000))]...)
		if r.IntN(4) == 0 {
			p = append(p, byte(r.Uint32()), byte(r.IntN(3)))
		}
		if r.IntN(50) == 0 {
			p = append(p, make([]byte, r.IntN(40))...)
		}
	}
	return p[:size]
}

// letters makes what has no matches and yet few bits in a byte.
func letters(size int) []byte {
	r := rand.New(rand.NewPCG(5, 6))
	p := make([]byte, size)
	for i := range p {
		p[i] = "abcdefghijklmnop"[r.IntN(16)]
	}
	return p
}

// shortMatches makes as many sequences of a block as there can be.
func shortMatches(size int) []byte {
	r := rand.New(rand.NewPCG(8, 9))
	words := noise(1 << 14)
	var p []byte
	for len(p) < size {
		at := r.IntN(len(words)/5) * 5
		p = append(p, words[at:at+5]...)
	}
	return p[:size]
}

func inputs() map[string][]byte {
	return map[string][]byte{
		"a byte":                  {1},
		"twelve bytes":            []byte("a few bytes."),
		"zeros":                   make([]byte, 600000),
		"a byte, then zeros":      append([]byte{1}, make([]byte, 200000)...),
		"a word again and again":  bytes.Repeat([]byte("inlay "), 40000),
		"noise":                   noise(300000),
		"noise, then a program":   append(noise(140000), program(200000)...),
		"a program, then noise":   append(program(200000), noise(140000)...),
		"program":                 program(700000),
		"letters":                 letters(300000),
		"short matches":           shortMatches(400000),
		"noise twice":             append(noise(200000), noise(200000)...),
		"exactly a block":         program(128 << 10),
		"a byte more than blocks": program(256<<10 + 1),
		"as much as one takes":    append(program(zstd.MaxInput-1000), make([]byte, 1000)...),
		"more than one takes":     append(make([]byte, zstd.MaxInput), 1, 2, 3),
	}
}

// TestSpaces fills spaces from nothing to more than enough.
func TestSpaces(t *testing.T) {
	t.Parallel()
	for name, src := range inputs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var e zstd.Encoder
			for _, space := range []int{0, 11, 12, 13, 20, 100, 1000, 4096, 8192, 65536, 98304, len(src) + 100} {
				dst := bytes.Repeat([]byte{0xaa}, space+1)
				n, used := e.Fill(dst[:space:space], src)
				if n > space || used > len(src) || dst[space] != 0xaa {
					t.Fatalf("space %d: %d bytes of %d made %d", space, used, len(src), n)
				}
				if n == 0 {
					if used > 0 || space > 12 {
						t.Fatalf("space %d: nothing for %d bytes", space, used)
					}
					continue
				}
				if got := unpack(t, dst[:n]); !bytes.Equal(got, src[:used]) {
					t.Fatalf("space %d: read back %d bytes, not the %d that went in", space, len(got), used)
				}
				whole := min(len(src), zstd.MaxInput)
				if space > len(src)+12*8 && used != whole {
					t.Errorf("space %d: took %d bytes of %d", space, used, whole)
				}
				// What is left must not be worth having.
				if used < whole && space >= 4096 && space-n > 300 {
					t.Errorf("space %d: left %d bytes unused", space, space-n)
				}
			}
		})
	}
}

// TestEverySpace walks the end of the space over what may stand there.
func TestEverySpace(t *testing.T) {
	t.Parallel()
	src := append(append(program(9000), noise(300)...), program(3000)...)
	var e zstd.Encoder
	for space := 12; space < 8000; space += 7 {
		dst := make([]byte, space)
		n, used := e.Fill(dst, src)
		if used > 0 && !bytes.Equal(unpack(t, dst[:n]), src[:used]) {
			t.Fatalf("space %d: read back something else", space)
		}
	}
}

// TestBytes pins the bytes: they are part of what makes an image reproducible,
// whatever the Encoder did before.
func TestBytes(t *testing.T) {
	t.Parallel()
	const want = "71e4c0ced334a47f"
	src := append(program(150000), letters(100000)...)
	var used zstd.Encoder
	used.Fill(make([]byte, 5000), noise(300000))
	for name, e := range map[string]*zstd.Encoder{"fresh": new(zstd.Encoder), "used": &used} {
		dst := make([]byte, 64<<10)
		n, _ := e.Fill(dst, src)
		digest := sha256.Sum256(dst[:n])
		if got := hex.EncodeToString(digest[:8]); got != want {
			t.Errorf("a %s Encoder makes %q, want %q", name, got, want)
		}
	}
}

// TestSizes holds the encoder to what a known one makes of the same content.
func TestSizes(t *testing.T) {
	t.Parallel()
	other, err := klauspost.NewWriter(nil, klauspost.WithEncoderLevel(klauspost.SpeedDefault), klauspost.WithEncoderConcurrency(1),
		klauspost.WithEncoderCRC(false), klauspost.WithSingleSegment(true))
	if err != nil {
		t.Fatal(err)
	}
	for name, src := range inputs() {
		if len(src) < 100000 || len(src) > zstd.MaxInput {
			continue
		}
		want := len(other.EncodeAll(src, nil))
		var e zstd.Encoder
		n, _ := e.Fill(make([]byte, len(src)+100), src)
		if n > want*103/100+64 {
			t.Errorf("%s: %d bytes became %d, klauspost/compress makes %d", name, len(src), n, want)
		}
	}
}

func FuzzFill(f *testing.F) {
	for _, src := range inputs() {
		f.Add(src[:min(len(src), 20000)], uint16(900))
		f.Add(src[:min(len(src), 3000)], uint16(4096))
	}
	// Both take longer to make than to use.
	var e zstd.Encoder
	d := decoder(f)
	defer d.Close()
	f.Fuzz(func(t *testing.T, src []byte, space uint16) {
		dst := make([]byte, int(space)+1)
		n, used := e.Fill(dst, src)
		if n == 0 {
			return
		}
		if got := unpackBy(t, d, dst[:n]); !bytes.Equal(got, src[:used]) {
			t.Fatalf("read back %x, put in %x", got, src[:used])
		}
	})
}
