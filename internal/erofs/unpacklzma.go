package erofs

import "errors"

// MicroLZMA is an LZMA stream (the LZMA specification of 7-Zip's SDK) without its
// header and without an end marker. The first byte of the range coder, always 0,
// is replaced by the properties with all bits inverted; sizes are known elsewhere.

const (
	lzmaStates    = 12
	lzmaPositions = 16 // places in what pb distinguishes
	lzmaLengths   = 272
	lzmaMinLength = 2
	lzmaModel     = 11 // bits of a probability
	lzmaMove      = 5
	lzmaTop       = 1 << 24
)

var errLZMA = errors.New("it is damaged")

// lzmaDecoder decodes one stream after the other. What was written is its
// dictionary, so that it needs none of its own.
type lzmaDecoder struct {
	src       []byte
	at        int
	rng, code uint32

	lc, lp, pb uint

	isMatch, isRep0Long    [lzmaStates][lzmaPositions]uint16
	isRep                  [lzmaStates]uint16
	isRep0, isRep1, isRep2 [lzmaStates]uint16
	slots                  [4][64]uint16
	special                [128]uint16
	align                  [16]uint16
	length, repLength      lzmaLength
	literals               [0x300 << 4]uint16
}

// lzmaLength decodes the length of a match.
type lzmaLength struct {
	choice, choice2 uint16
	low, mid        [lzmaPositions][8]uint16
	high            [256]uint16
}

// unpack fills dst. Unless it is a part of what src holds, src must end there.
func (d *lzmaDecoder) unpack(dst, src []byte, partial bool) error {
	if len(src) < 5 {
		return errTooShort
	}
	properties := uint(^src[0])
	d.lc, d.lp, d.pb = properties%9, properties/9%5, properties/45
	if d.lc+d.lp > 4 || d.pb > 4 {
		return errLZMA
	}
	d.src, d.at, d.rng = src, 5, 1<<32-1
	d.code = uint32(src[1])<<24 | uint32(src[2])<<16 | uint32(src[3])<<8 | uint32(src[4])
	d.reset()
	if err := d.decode(dst, partial); err != nil {
		return err
	}
	if !partial {
		d.normalize()
	}
	switch {
	case d.at > len(src):
		return errTooShort
	case partial:
		return nil
	case d.at < len(src):
		return errRubbish
	case d.code != 0:
		return errLZMA
	}
	return nil
}

func (d *lzmaDecoder) reset() {
	even := func(p []uint16) {
		for i := range p {
			p[i] = 1 << (lzmaModel - 1)
		}
	}
	for i := range lzmaStates {
		even(d.isMatch[i][:])
		even(d.isRep0Long[i][:])
	}
	for _, p := range [][]uint16{d.isRep[:], d.isRep0[:], d.isRep1[:], d.isRep2[:], d.special[:], d.align[:]} {
		even(p)
	}
	for i := range d.slots {
		even(d.slots[i][:])
	}
	for _, l := range []*lzmaLength{&d.length, &d.repLength} {
		l.choice, l.choice2 = 1<<(lzmaModel-1), 1<<(lzmaModel-1)
		for i := range lzmaPositions {
			even(l.low[i][:])
			even(l.mid[i][:])
		}
		even(l.high[:])
	}
	even(d.literals[:0x300<<(d.lc+d.lp)])
}

func (d *lzmaDecoder) matchLength(l *lzmaLength, place int) int {
	switch {
	case d.bit(&l.choice) == 0:
		return lzmaMinLength + int(d.tree(l.low[place][:]))
	case d.bit(&l.choice2) == 0:
		return lzmaMinLength + 8 + int(d.tree(l.mid[place][:]))
	}
	return lzmaMinLength + 16 + int(d.tree(l.high[:]))
}

// distance decodes how far back a new match of n bytes lies, less one.
func (d *lzmaDecoder) distance(n int) uint32 {
	slot := uint(d.tree(d.slots[min(n-lzmaMinLength, 3)][:]))
	if slot < 4 {
		return uint32(slot)
	}
	bits := slot>>1 - 1
	base := uint32(2|slot&1) << bits
	if slot < 14 {
		return base + d.reverse(d.special[base-uint32(slot):], bits)
	}
	return base + d.direct(bits-4)<<4 + d.reverse(d.align[:], 4)
}

func (d *lzmaDecoder) literal(dst []byte, done, state int, rep0 uint32) byte {
	before := byte(0)
	if done > 0 {
		before = dst[done-1]
	}
	context := (uint(done)&(1<<d.lp-1))<<d.lc + uint(before)>>(8-d.lc)
	p := d.literals[0x300*context:][:0x300]
	symbol := uint32(1)
	if state >= 7 {
		match := uint32(dst[done-int(rep0)-1])
		for symbol < 0x100 {
			want := match >> 7 & 1
			match <<= 1
			b := d.bit(&p[(1+want)<<8+symbol])
			symbol = symbol<<1 | b
			if b != want {
				break
			}
		}
	}
	return byte(d.walk(p[:0x100], symbol))
}

// decode fills dst, which what it decodes may go on after.
func (d *lzmaDecoder) decode(dst []byte, partial bool) error {
	state, done := 0, 0
	var reps [4]uint32
	for done < len(dst) {
		if d.at > len(d.src) {
			return errTooShort
		}
		place := done & (1<<d.pb - 1)
		if d.bit(&d.isMatch[state][place]) == 0 {
			dst[done] = d.literal(dst, done, state, reps[0])
			done++
			switch {
			case state < 4:
				state = 0
			case state < 10:
				state -= 3
			default:
				state -= 6
			}
			continue
		}
		n := d.match(&state, place, &reps)
		if uint64(reps[0]) >= uint64(done) { // also where an end marker would be
			return errLZMA
		}
		if n > len(dst)-done && !partial {
			return errTooMany
		}
		from := done - int(reps[0]) - 1
		for n = min(n, len(dst)-done); n > 0; {
			k := copy(dst[done:done+n], dst[from:done])
			done, n = done+k, n-k
		}
	}
	return nil
}

// match decodes a match, whose distance is then the first of reps.
func (d *lzmaDecoder) match(state *int, place int, reps *[4]uint32) int {
	s := *state
	before := func(low, high int) {
		if *state = high; s < 7 {
			*state = low
		}
	}
	if d.bit(&d.isRep[s]) == 0 {
		n := d.matchLength(&d.length, place)
		copy(reps[1:], reps[:3])
		reps[0] = d.distance(n)
		before(7, 10)
		return n
	}
	switch {
	case d.bit(&d.isRep0[s]) == 0:
		if d.bit(&d.isRep0Long[s][place]) == 0 {
			before(9, 11)
			return 1
		}
	case d.bit(&d.isRep1[s]) == 0:
		reps[0], reps[1] = reps[1], reps[0]
	case d.bit(&d.isRep2[s]) == 0:
		reps[0], reps[1], reps[2] = reps[2], reps[0], reps[1]
	default:
		reps[0], reps[1], reps[2], reps[3] = reps[3], reps[0], reps[1], reps[2]
	}
	before(8, 11)
	return d.matchLength(&d.repLength, place)
}
