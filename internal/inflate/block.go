package inflate

// block reads the header of the next block, or goes on to the trailer.
func (r *Reader) block() error {
	if r.final {
		r.final = false
		r.step = stepMember
		return nil
	}
	v, err := r.get(3)
	if err != nil {
		return err
	}
	switch v >> 1 {
	case 0:
		if err := r.storedHeader(); err != nil {
			return err
		}
	case 1:
		r.fixed()
		r.step = stepCodes
	case 2:
		if err := r.dynamic(); err != nil {
			return err
		}
		r.step = stepCodes
	default:
		return ErrCorrupt
	}
	r.final = v&1 != 0
	return nil
}

// storedHeader reads the length of a stored block, which is there twice.
func (r *Reader) storedHeader() error {
	r.align()
	v, err := r.get(32)
	if err != nil {
		return err
	}
	if uint16(v) != ^uint16(v>>16) {
		return ErrCorrupt
	}
	r.left = int(uint16(v))
	r.step = stepStored
	return nil
}

// stored copies as much of a stored block as there is room for.
func (r *Reader) stored() error {
	for r.left > 0 && r.end < outFull {
		r.hold = r.end > r.give
		switch {
		case r.n > 0: // what was read ahead comes first; it is whole bytes
			r.out[r.end] = byte(r.take(8))
			r.end++
			r.left--
		case r.at == r.fill:
			if err := r.refill(); err != nil {
				return unexpected(err)
			}
		default:
			n := copy(r.out[r.end:min(outFull, r.end+r.left)], r.in[r.at:r.fill])
			r.at += n
			r.end += n
			r.left -= n
		}
	}
	if r.left == 0 {
		r.step = stepBlock
	}
	return nil
}

const (
	maxLiterals  = 286 // codes for literals and lengths that mean something
	maxDistances = 30
)

// dynamic reads the codes that a block brings along.
func (r *Reader) dynamic() error {
	v, err := r.get(14)
	if err != nil {
		return err
	}
	literals, distances, count := int(v&31)+257, int(v>>5&31)+1, int(v>>10)+4
	if literals > maxLiterals || distances > maxDistances {
		return ErrCorrupt
	}
	var own [19]uint8 // lengths of the codes in which lengths are told
	for _, symbol := range []byte{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}[:count] {
		n, err := r.get(3)
		if err != nil {
			return err
		}
		own[symbol] = uint8(n)
	}
	if !r.build(r.lengths[:], lengthBits, own[:], &r.lengthEntries) {
		return ErrCorrupt
	}
	var all [maxLiterals + maxDistances]uint8
	if err := r.codeLengths(all[:literals+distances]); err != nil {
		return err
	}
	if !r.build(r.literals[:], literalBits, all[:literals], &r.literalEntries) ||
		!r.build(r.distances[:], distanceBits, all[literals:literals+distances], &r.distanceEntries) {
		return ErrCorrupt
	}
	return nil
}

// codeLengths reads the lengths of a block's codes.
func (r *Reader) codeLengths(all []uint8) error {
	for i := 0; i < len(all); {
		_, symbol, err := r.symbol(r.lengths[:], lengthBits)
		if err != nil {
			return err
		}
		var again uint64
		var value uint8
		switch symbol {
		default:
			all[i] = uint8(symbol)
			i++
			continue
		case 16:
			if i == 0 {
				return ErrCorrupt
			}
			value = all[i-1]
			again, err = r.get(2)
			again += 3
		case 17:
			again, err = r.get(3)
			again += 3
		case 18:
			again, err = r.get(7)
			again += 11
		}
		if err != nil {
			return err
		}
		if int(again) > len(all)-i {
			return ErrCorrupt
		}
		for range again {
			all[i] = value
			i++
		}
	}
	return nil
}
