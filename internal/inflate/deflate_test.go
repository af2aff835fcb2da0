package inflate_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	mathbits "math/bits"
	"slices"
	"testing"
)

// bits writes DEFLATE data by hand.
type bits struct {
	b []byte
	n int
}

// put writes the low n bits of v, the lowest first.
func (b *bits) put(v uint, n int) {
	for i := range n {
		if b.n%8 == 0 {
			b.b = append(b.b, 0)
		}
		b.b[b.n/8] |= byte(v>>i&1) << (b.n % 8)
		b.n++
	}
}

// code writes a code of n bits, the highest first.
func (b *bits) code(v uint, n int) { b.put(mathbits.Reverse(v)>>(mathbits.UintSize-n), n) }

func (b *bits) header(final bool, kind uint) {
	last := uint(0)
	if final {
		last = 1
	}
	b.put(last, 1)
	b.put(kind, 2)
}

// dynamic begins a block whose codes have the given lengths, each told by
// itself in four bits.
func (b *bits) dynamic(literals, distances []uint) {
	b.header(true, 2)
	b.put(uint(len(literals)-257), 5)
	b.put(uint(len(distances)-1), 5)
	b.put(15, 4)
	for _, symbol := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15} {
		n := uint(0)
		if symbol < 16 {
			n = 4
		}
		b.put(n, 3)
	}
	for _, n := range append(append([]uint{}, literals...), distances...) {
		b.code(n, 4)
	}
}

// member wraps the data, of which plain is to come, in gzip.
func (b *bits) member(plain []byte) []byte {
	m := append([]byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255}, b.b...)
	m = binary.LittleEndian.AppendUint32(m, crc32.ChecksumIEEE(plain))
	return binary.LittleEndian.AppendUint32(m, uint32(len(plain)))
}

func headerSum(head []byte) []byte {
	return binary.LittleEndian.AppendUint16(nil, uint16(crc32.ChecksumIEEE(head)))
}

// lengths makes a list of n lengths, of which only those given are not 0.
func lengths(n int, given map[int]uint) []uint {
	l := make([]uint, n)
	for i, v := range given {
		l[i] = v
	}
	return l
}

// TestOddCodes holds the limits of what is a code to those of compress/flate.
// Each case returns what is in the data, or nil if it is to be refused.
func TestOddCodes(t *testing.T) {
	t.Parallel()
	staircase := func(from, to int) map[int]uint { // 1, 2, 3 … 14, 15, 15
		m := map[int]uint{}
		for i := range 15 {
			m[from+i] = uint(i + 1)
		}
		m[to] = 15
		return m
	}
	for name, fill := range map[string]func(b *bits) []byte{
		"block type 3":       func(b *bits) []byte { b.header(true, 3); return nil },
		"stored, other NLEN": func(b *bits) []byte { b.header(true, 0); b.put(0, 5); b.put(3, 16); b.put(3, 16); return nil },
		"stored, empty": func(b *bits) []byte {
			b.header(false, 0)
			b.put(0, 5)
			b.put(0, 16)
			b.put(0xffff, 16)
			b.header(true, 1)
			b.code(0x30+'x', 8)
			b.code(0, 7)
			return []byte("x")
		},
		"only an end": func(b *bits) []byte {
			b.dynamic(lengths(257, map[int]uint{256: 1}), lengths(1, nil))
			b.code(0, 1)
			return []byte{}
		},
		"only an end, not": func(b *bits) []byte {
			b.dynamic(lengths(257, map[int]uint{256: 1}), lengths(1, nil))
			b.code(1, 1)
			return nil
		},
		"only an end of 2": func(b *bits) []byte {
			b.dynamic(lengths(257, map[int]uint{256: 2}), lengths(1, nil))
			b.code(0, 2)
			return nil
		},
		"no codes": func(b *bits) []byte { b.dynamic(lengths(257, nil), lengths(1, nil)); b.code(0, 15); return nil },
		"no end": func(b *bits) []byte {
			b.dynamic(lengths(257, map[int]uint{'a': 1, 'b': 1}), lengths(1, nil))
			b.code(0, 15)
			return nil
		},
		"too many": func(b *bits) []byte {
			b.dynamic(lengths(257, map[int]uint{'a': 1, 'b': 1, 256: 1}), lengths(1, nil))
			return nil
		},
		"too few": func(b *bits) []byte {
			b.dynamic(lengths(257, map[int]uint{'a': 2, 'b': 2, 256: 2}), lengths(1, nil))
			return nil
		},
		"287 literals": func(b *bits) []byte {
			b.dynamic(lengths(287, map[int]uint{'a': 1, 256: 1}), lengths(1, nil))
			b.code(1, 1)
			return nil
		},
		"31 distances": func(b *bits) []byte {
			b.dynamic(lengths(257, map[int]uint{'a': 1, 256: 1}), lengths(31, nil))
			b.code(1, 1)
			return nil
		},
		"one distance": func(b *bits) []byte {
			b.dynamic(lengths(258, map[int]uint{'a': 1, 256: 2, 257: 2}), lengths(1, map[int]uint{0: 1}))
			b.code(0, 1)
			b.code(3, 2) // length 3
			b.code(0, 1)
			b.code(2, 2)
			return []byte("aaaa")
		},
		"one distance, the other": func(b *bits) []byte {
			b.dynamic(lengths(258, map[int]uint{'a': 1, 256: 2, 257: 2}), lengths(1, map[int]uint{0: 1}))
			b.code(0, 1)
			b.code(3, 2)
			b.code(1, 1)
			return nil
		},
		"a distance of none": func(b *bits) []byte {
			b.dynamic(lengths(258, map[int]uint{'a': 1, 256: 2, 257: 2}), lengths(1, nil))
			b.code(0, 1)
			b.code(3, 2)
			b.code(0, 5)
			return nil
		},
		"longest codes": func(b *bits) []byte {
			given := staircase('a', 256)
			b.dynamic(lengths(257, given), lengths(1, nil))
			var want []byte
			for i := range 15 {
				b.code(1<<(i+1)-2, i+1)
				want = append(want, byte('a'+i))
			}
			b.code(1<<15-1, 15)
			return want
		},
		"fixed 286": func(b *bits) []byte {
			b.header(true, 1)
			b.code(0x30+'x', 8)
			b.code(0b11000110, 8)
			b.code(0, 5)
			b.code(0, 7)
			return nil
		},
		"fixed distance 30": func(b *bits) []byte {
			b.header(true, 1)
			b.code(0x30+'x', 8)
			b.code(1, 7)
			b.code(30, 5)
			b.code(0, 7)
			return nil
		},
		"258 told twice": func(b *bits) []byte {
			b.header(true, 1)
			b.code(0x30+'x', 8)
			b.code(0b11000100, 8) // 284 and 31 more
			b.put(31, 5)
			b.code(0, 5)
			b.code(0, 7)
			want := make([]byte, 259)
			for i := range want {
				want[i] = 'x'
			}
			return want
		},
		"before the beginning": func(b *bits) []byte {
			b.header(true, 1)
			b.code(0x30+'x', 8)
			b.code(1, 7)
			b.code(1, 5)
			b.code(0, 7)
			return nil
		},
		"repeat nothing": func(b *bits) []byte {
			b.header(true, 2)
			b.put(0, 14)
			for range 4 { // symbols 16, 17, 18 and 0
				b.put(2, 3)
			}
			b.code(1, 2)
			b.put(0, 2)
			b.put(0, 20)
			return nil
		},
		"repeat too often": func(b *bits) []byte {
			b.header(true, 2)
			b.put(0, 14)
			for range 4 {
				b.put(2, 3)
			}
			for range 3 {
				b.code(3, 2) // zeros, 138 of them
				b.put(127, 7)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bits
			want := fill(&b)
			packed := b.member(want)
			if got := witness(packed); (got.err == "") != (want != nil) || !bytes.Equal(got.plain, want) && want != nil {
				t.Errorf("the witness sees %q, %s", got.plain, got.err)
			}
			agree(t, packed)
			// With more behind it, the fast loop sees the same.
			agree(t, append(slices.Clip(packed), make([]byte, 100)...))
		})
	}
}
