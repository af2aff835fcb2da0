package erofs

// The range decoder of LZMA, which takes bits by how likely they are. It is a part
// of the decoder, so that a bit costs no call through an interface.

// next returns the next byte. Past the end there are zeros; decode looks whether
// it came there.
func (d *lzmaDecoder) next() uint32 {
	d.at++
	if d.at > len(d.src) {
		return 0
	}
	return uint32(d.src[d.at-1])
}

// normalize makes room for a bit.
func (d *lzmaDecoder) normalize() {
	if d.rng < lzmaTop {
		d.rng, d.code = d.rng<<8, d.code<<8|d.next()
	}
}

func (d *lzmaDecoder) bit(p *uint16) uint32 {
	d.normalize()
	bound := d.rng >> lzmaModel * uint32(*p)
	if d.code < bound {
		d.rng = bound
		*p += (1<<lzmaModel - *p) >> lzmaMove
		return 0
	}
	d.rng -= bound
	d.code -= bound
	*p -= *p >> lzmaMove
	return 1
}

// direct decodes bits that are as likely to be 0 as 1.
func (d *lzmaDecoder) direct(count uint) uint32 {
	var v uint32
	for range count {
		d.normalize()
		d.rng >>= 1
		v <<= 1
		if d.code >= d.rng {
			d.code -= d.rng
			v |= 1
		}
	}
	return v
}

// tree decodes as many bits as the tree p has levels.
func (d *lzmaDecoder) tree(p []uint16) uint32 { return d.walk(p, 1) - uint32(len(p)) }

// walk goes on from the node m of the tree p to a leaf. Most bits are decoded
// here, which is bit without a way through memory.
func (d *lzmaDecoder) walk(p []uint16, m uint32) uint32 {
	rng, code := d.rng, d.code
	for m < uint32(len(p)) {
		if rng < lzmaTop {
			rng, code = rng<<8, code<<8|d.next()
		}
		even := uint32(p[m])
		bound := rng >> lzmaModel * even
		if code < bound {
			rng = bound
			p[m] = uint16(even + (1<<lzmaModel-even)>>lzmaMove)
			m <<= 1
		} else {
			rng, code = rng-bound, code-bound
			p[m] = uint16(even - even>>lzmaMove)
			m = m<<1 | 1
		}
	}
	d.rng, d.code = rng, code
	return m
}

// reverse decodes count bits, the lowest first.
func (d *lzmaDecoder) reverse(p []uint16, count uint) uint32 {
	m, v := uint32(1), uint32(0)
	for i := range count {
		b := d.bit(&p[m])
		m, v = m<<1|b, v|b<<i
	}
	return v
}
