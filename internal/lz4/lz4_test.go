package lz4_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"

	"inlay/internal/lz4"
)

// fast is the level that stands for Encoder.Fast here.
const fast = 0

func encode(e *lz4.Encoder, dst, src []byte, level int) (n, used int) {
	if level == fast {
		return e.Fast(dst, src)
	}
	return e.High(dst, src, level)
}

// program makes bytes that look like those of a program: words that come back
// at short and long distances, with numbers in between.
func program(size int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := make([][]byte, 400)
	for i := range words {
		words[i] = make([]byte, 2+r.IntN(14))
		for j := range words[i] {
			words[i][j] = byte(r.Uint32())
		}
	}
	var p []byte
	for len(p) < size {
		p = append(p, words[min(r.IntN(400), r.IntN(400))]...)
		if r.IntN(4) == 0 {
			p = append(p, byte(r.Uint32()), byte(r.IntN(3)))
		}
		if r.IntN(50) == 0 {
			p = append(p, make([]byte, r.IntN(40))...)
		}
	}
	return p[:size]
}

func noise(size int) []byte {
	p := make([]byte, size)
	r := rand.NewChaCha8([32]byte{7})
	_, _ = r.Read(p)
	return p
}

func inputs() map[string][]byte {
	far := append(noise(70000), noise(70000)...) // no match: it is too far away
	near := append(noise(65535), noise(65535)...)
	return map[string][]byte{
		"nothing":                    {},
		"a byte":                     {1},
		"as short as has no match":   bytes.Repeat([]byte{7}, 12),
		"as short as may have one":   bytes.Repeat([]byte{7}, 13),
		"a match of one byte less":   append(bytes.Repeat([]byte("ab"), 9), "xyzxy"...),
		"zeros":                      make([]byte, 300000),
		"a word again and again":     bytes.Repeat([]byte("inlay "), 20000),
		"noise":                      noise(100000),
		"noise, then zeros":          append(noise(3000), make([]byte, 3000)...),
		"zeros, then noise":          append(make([]byte, 3000), noise(3000)...),
		"program":                    program(400000),
		"farther than a distance":    far,
		"as far as a distance":       near,
		"literals of 15":             append(append(make([]byte, 40), noise(15)...), make([]byte, 40)...),
		"literals of 270":            append(append(make([]byte, 40), noise(270)...), make([]byte, 40)...),
		"a match of 19":              append(append(noise(40), noise(19)...), noise(40)...),
		"a match up to the last ten": append(noise(30), noise(30)...),
	}
}

// TestSpaces fills spaces from nothing to more than enough.
func TestSpaces(t *testing.T) {
	t.Parallel()
	for name, src := range inputs() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var e lz4.Encoder
			for _, level := range []int{fast, 1, 9, 12} {
				bound := lz4.Bound(len(src))
				for _, space := range []int{1, 2, 9, 18, 19, 20, 21, 25, 40, 100, 4095, 4096, 8192, 65536, bound - 1, bound} {
					dst := make([]byte, max(space, 0))
					n, used := encode(&e, dst, src, level)
					if n > space || used > len(src) {
						t.Fatalf("level %d, space %d: %d bytes of %d made %d", level, space, used, len(src), n)
					}
					if got := decode(t, dst[:n], used); !bytes.Equal(got, src[:used]) {
						t.Fatalf("level %d, space %d: read back %d bytes, not the %d that went in", level, space, len(got), used)
					}
					if err := strict(dst[:n]); err != nil {
						t.Fatalf("level %d, space %d: %v", level, space, err)
					}
					if space >= bound && used != len(src) {
						t.Errorf("level %d, space %d: took %d bytes of %d", level, space, used, len(src))
					}
					// Behind the last match there may be no literals to use the room.
					if used < len(src) && n < space-1 {
						t.Errorf("level %d, space %d: left %d bytes unused", level, space, space-n)
					}
				}
			}
		})
	}
}

// TestEverySpace walks the end of the space over everything that may stand there.
func TestEverySpace(t *testing.T) {
	t.Parallel()
	src := append(append(program(600), make([]byte, 1000)...), program(600)...)
	src = append(append(src, noise(300)...), src[100:800]...)
	var e lz4.Encoder
	for _, level := range []int{fast, 4} {
		before := 0
		for space := range lz4.Bound(len(src)) {
			dst := bytes.Repeat([]byte{0xaa}, space+1)
			n, used := encode(&e, dst[:space:space], src, level)
			if dst[space] != 0xaa {
				t.Fatalf("level %d: wrote beyond a space of %d bytes", level, space)
			}
			if space == 0 {
				if n != 0 || used != 0 {
					t.Fatalf("level %d: %d bytes for %d in no space", level, n, used)
				}
				continue
			}
			if got := decode(t, dst[:n], used); !bytes.Equal(got, src[:used]) {
				t.Fatalf("level %d, space %d: read back something else", level, space)
			}
			if err := strict(dst[:n]); err != nil {
				t.Fatalf("level %d, space %d: %v", level, space, err)
			}
			if used+40 < before {
				t.Errorf("level %d: a space of %d bytes takes %d bytes, one byte less %d", level, space, used, before)
			}
			before = used
		}
	}
}

// TestBytes pins the bytes of every level: they are part of what makes an
// image reproducible, on every machine, whatever the Encoder did before.
func TestBytes(t *testing.T) {
	t.Parallel()
	src := program(300000)
	sums := [lz4.MaxLevel + 1]string{
		"36b9cff73f5b", // fast
		"941c468015ac",
		"76b080324647",
		"d6c1dae2d24c",
		"8833499ee732",
		"478cf73d8233",
		"508ffdaaae19",
		"d821e7465975",
		"43da5af595b2",
		"03f80fe6ace4",
		"714bcbba6984",
		"91b3bb4faf68",
		"c19c8281bddd",
	}
	var used lz4.Encoder
	for level := range lz4.MaxLevel + 1 {
		t.Run(fmt.Sprint(level), func(t *testing.T) {
			sum := func(e *lz4.Encoder) string {
				dst := make([]byte, 64<<10)
				n, _ := encode(e, dst, src, level)
				digest := sha256.Sum256(dst[:n])
				return hex.EncodeToString(digest[:6])
			}
			first := sum(&used)
			if w := sums[level]; first != w {
				t.Errorf("level %d makes %q, want %q", level, first, w)
			}
			if fresh := sum(new(lz4.Encoder)); fresh != first {
				t.Errorf("a fresh Encoder makes %q, a used one %q", fresh, first)
			}
		})
	}
}

// TestLevels wants each of a few levels to be worth its time.
func TestLevels(t *testing.T) {
	t.Parallel()
	src := program(300000)
	dst := make([]byte, lz4.Bound(len(src)))
	var e lz4.Encoder
	before := len(src) * 7 / 10
	for _, level := range []int{fast, 1, 4, 9, 12} {
		n, _ := encode(&e, dst, src, level)
		if n >= before {
			t.Errorf("level %d makes %d bytes, what is faster makes %d", level, n, before)
		}
		before = n
	}
	low, _ := e.High(dst, src, -3)
	one, _ := e.High(dst, src, lz4.MinLevel)
	top, _ := e.High(dst, src, lz4.MaxLevel)
	high, _ := e.High(dst, src, 99)
	if low != one || high != top {
		t.Errorf("levels beyond the ends make %d and %d bytes, want %d and %d", low, high, one, top)
	}
}

// TestNoGarbage wants no allocation after the first call.
func TestNoGarbage(t *testing.T) {
	src, dst := program(50000), make([]byte, 16<<10)
	var e lz4.Encoder
	for _, level := range []int{fast, 3} {
		if n := testing.AllocsPerRun(3, func() { encode(&e, dst, src, level) }); n != 0 {
			t.Errorf("level %d allocates %v times a call", level, n)
		}
	}
}

func FuzzEncode(f *testing.F) {
	for _, src := range inputs() {
		f.Add(src[:min(len(src), 5000)], uint16(900), uint8(fast))
		f.Add(src[:min(len(src), 5000)], uint16(300), uint8(5))
	}
	f.Fuzz(func(t *testing.T, src []byte, space uint16, level uint8) {
		var e lz4.Encoder
		dst := make([]byte, int(space)+1)
		n, used := encode(&e, dst, src, int(level%(lz4.MaxLevel+1)))
		if got := decode(t, dst[:n], used); !bytes.Equal(got, src[:used]) {
			t.Fatalf("read back %x, put in %x", got, src[:used])
		}
		if err := strict(dst[:n]); err != nil {
			t.Fatal(err)
		}
		if len(dst) >= lz4.Bound(len(src)) && used != len(src) {
			t.Fatalf("took %d of %d bytes, with room for all", used, len(src))
		}
	})
}
