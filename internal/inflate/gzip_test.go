package inflate_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// pack makes a gzip member of plain.
func pack(t testing.TB, plain []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, level)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// plains are contents of many kinds.
func plains() map[string][]byte {
	random := rand.New(rand.NewPCG(7, 7)) //nolint:gosec // content that looks like any
	noise := make([]byte, 400_000)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	skewed := make([]byte, 325_000) // long codes: each letter half as often as the one before
	for i := range skewed {
		for random.Uint32()&1 != 0 && skewed[i] < 40 {
			skewed[i]++
		}
	}
	var words strings.Builder
	for words.Len() < 400_000 {
		fmt.Fprintf(&words, "%d bottles, %s; ", random.IntN(5000), []string{"green", "of beer", "on the wall", "and so on"}[random.IntN(4)])
	}
	far := bytes.Repeat(noise[:32768], 10) // every match at the greatest distance
	near := bytes.Repeat([]byte("abcdefghijkl"), 25_000)
	for i := range near { // all short distances, with breaks
		if i%977 == 0 {
			near[i] = byte(i)
		}
	}
	var steps []byte
	for d := 1; d < 40; d++ {
		for range 3 {
			steps = append(steps, bytes.Repeat(noise[d*100:d*100+d], 1+300/d)...)
		}
	}
	return map[string][]byte{
		"empty": {}, "a byte": {'x'}, "two": []byte("xy"), "zeros": make([]byte, 300_000),
		"noise": noise, "skewed": skewed, "words": []byte(words.String()), "far": far, "near": near, "distances": steps,
	}
}

// levels are ways to compress: codes alone, nothing, and the usual ones.
func levels() []int {
	return []int{flate.HuffmanOnly, flate.NoCompression, flate.BestSpeed, flate.DefaultCompression, flate.BestCompression}
}

func TestAgree(t *testing.T) {
	t.Parallel()
	for name, plain := range plains() {
		for _, level := range levels() {
			t.Run(fmt.Sprint(name, level), func(t *testing.T) {
				t.Parallel()
				packed := pack(t, plain, level)
				if got := witness(packed); got.err != "" || !bytes.Equal(got.plain, plain) {
					t.Fatalf("the witness: %s", got.err)
				}
				agree(t, packed)
			})
		}
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()
	one, two := pack(t, []byte(strings.Repeat("one ", 5000)), 6), pack(t, []byte(strings.Repeat("two ", 70000)), 1)
	for name, packed := range map[string][]byte{
		"nothing":       {},
		"two":           bytes.Join([][]byte{one, two}, nil),
		"many":          bytes.Repeat(one, 50),
		"empty between": bytes.Join([][]byte{one, pack(t, nil, 6), pack(t, nil, 0), two}, nil),
		"zeros behind":  append(bytes.Clone(one), make([]byte, 512)...),
		"a zero behind": append(bytes.Clone(one), 0),
		"rubbish":       append(bytes.Clone(one), "and this is no header"...),
		"half a header": append(bytes.Clone(one), two[:6]...),
		"half a member": append(bytes.Clone(one), two[:len(two)/2]...),
		"its own past":  append(bytes.Clone(one), reachBack()...),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agree(t, packed)
		})
	}
}

// reachBack is a member that begins with a match: with a member before it, there
// are bytes that it must not reach.
func reachBack() []byte {
	var b bits
	b.header(true, 1)
	b.code(0b0000001, 7) // length 3
	b.code(0b00000, 5)   // distance 1
	b.code(0, 7)
	return b.member(nil)
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Name, w.Comment, w.Extra, w.ModTime = "a name", "what it is", []byte("any bytes"), time.Unix(1e9, 0)
	if _, err := w.Write([]byte("text")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	full := b.Bytes()
	body := pack(t, []byte("text"), 6)[10:]
	head := func(flags byte, rest string) []byte {
		h := []byte{0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255}
		return append(append(h, rest...), body...)
	}
	cases := map[string][]byte{
		"full":           full,
		"text":           head(1, ""),
		"reserved flags": head(0xe0, ""),
		"no name":        head(8, "\x00"),
		"longest name":   head(8, strings.Repeat("n", 511)+"\x00"),
		"name too long":  head(8, strings.Repeat("n", 512)+"\x00"),
		"both":           head(24, "n\x00c\x00"),
		"longest extra":  head(4, "\xff\xff"+strings.Repeat("e", 65535)),
		"wrong sum":      head(2, "\x00\x00"),
		"no gzip":        append([]byte{0x1f, 0x8c, 8, 0, 0, 0, 0, 0, 0, 0}, body...),
		"no deflate":     append([]byte{0x1f, 0x8b, 9, 0, 0, 0, 0, 0, 0, 0}, body...),
	}
	right := head(2, "")
	cases["right sum"] = append(append(bytes.Clone(right[:10]), headerSum(right[:10])...), body...)
	for name, packed := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			agree(t, packed)
		})
	}
	if got := witness(cases["right sum"]); got.err != "" {
		t.Errorf("the right sum is refused: %s", got.err)
	}
}

// TestCutAndTurned cuts a stream at every byte, and turns every bit of it.
func TestCutAndTurned(t *testing.T) {
	t.Parallel()
	for name, packed := range map[string][]byte{
		"dynamic": pack(t, []byte(strings.Repeat("what is cut, and what is turned; ", 3)+"AbCdEfGhIjKlMnOpQrStUvWxYz0123456789 the rest"), 9),
		"fixed":   pack(t, []byte("short, short, shorter"), 9),
		"stored":  pack(t, []byte("stored as it is"), 0),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := range len(packed) {
				agreeFrom(t, packed[:n], "whole")
			}
			for i := range len(packed) * 8 {
				b := bytes.Clone(packed)
				b[i/8] ^= 1 << (i % 8)
				agreeFrom(t, b, "whole")
				agreeFrom(t, append(b, make([]byte, 64)...), "whole") // the fast loop's turn
			}
		})
	}
}
