package inflate

// inflate reads codes until the block ends or out is full: fast where nothing
// needs to be looked at, one by one near the end of what was read.
func (r *Reader) inflate() error {
	for r.end < outFull {
		if r.fill-r.at >= inSlack {
			if err := r.fast(); err != nil {
				return err
			}
		} else if err := r.careful(); err != nil {
			return err
		}
		if r.step != stepCodes {
			return nil
		}
	}
	return nil
}

// careful reads one literal, one match, or the end of the block.
func (r *Reader) careful() error {
	r.hold = r.end > r.give
	here := r.mark()
	err := r.one()
	if err == errHeld { //nolint:errorlint // it is never wrapped
		r.back(here)
	}
	return err
}

// one is careful, but for going back.
func (r *Reader) one() error {
	entry, value, err := r.symbol(r.literals[:], literalBits)
	switch {
	case err != nil:
		return err
	case entry&isLiteral != 0:
		r.out[r.end] = byte(value)
		r.end++
		return nil
	case entry&isEnd != 0:
		r.step = stepBlock
		return nil
	}
	_, distance, err := r.symbol(r.distances[:], distanceBits)
	if err != nil {
		return err
	}
	from := r.end - distance
	if from < r.base {
		return ErrCorrupt
	}
	for range value {
		r.out[r.end] = r.out[from]
		r.end++
		from++
	}
	return nil
}

// symbol takes one code, and the bits that follow it, looking at every bit
// that it needs and at no other.
func (r *Reader) symbol(table []uint32, width uint) (entry uint32, value int, err error) {
	var e uint32
	var before uint
	for {
		// Bits that are not there are zeros, and those of an entry show whether
		// it took any of them.
		e, before = table[r.bits&(1<<width-1)], 0
		if e&(isLiteral|isOther|isEnd|isInvalid) == isOther {
			e, before = table[e>>16+uint32(r.bits>>width)&(1<<(e>>8&15)-1)], width
		}
		if before+uint(e>>8&15) <= r.n {
			break
		}
		if err := r.byteMore(); err != nil {
			return 0, 0, unexpected(err)
		}
	}
	if e&isInvalid != 0 {
		return 0, 0, ErrCorrupt
	}
	r.take(before)
	code, all := uint(e>>8&15), uint(e&63)
	if err := r.need(all); err != nil {
		return 0, 0, err
	}
	r.take(code)
	return e, int(e>>16) + int(r.take(all-code)), nil
}
