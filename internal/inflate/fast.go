package inflate

import "encoding/binary"

// fast reads codes as long as there are inSlack bytes of input and out isn't
// full. What one turn takes and makes stays within the slack of both buffers,
// so nothing has to be compared on the way: an offset is cut to its array
// instead, which changes no offset that can be.
//
//nolint:funlen,gocognit // one loop: what it keeps in registers is why it is fast
func (r *Reader) fast() error {
	const (
		literalMask  = 1<<literalBits - 1
		distanceMask = 1<<distanceBits - 1
		inMask       = inSize - 1
		outMask      = outSize - 1
	)
	le := binary.LittleEndian
	out, bits, n, at, end := r.out, r.bits, r.n, r.at, r.end
	last := r.fill - inSlack
	var err error

	// Of n only the low six bits count: taking an entry's bits takes all of the
	// entry from it. Bits above n are those that come next, and are read again.
	bits |= le.Uint64(r.in[at&inMask:at&inMask+8]) << (n & 63)
	at += int(^n >> 3 & 7)
	n |= 56
	e := r.literals[bits&literalMask]
	for {
		// There are 56 bits. A code of the table itself takes 11 at most: two
		// literals leave enough for a length (20), three for another look.
		if e&isLiteral != 0 {
			bits >>= e & 63
			n -= uint(e)
			out[end&outMask] = byte(e >> 16)
			end++
			e = r.literals[bits&literalMask]
			if e&isLiteral != 0 {
				bits >>= e & 63
				n -= uint(e)
				out[end&outMask] = byte(e >> 16)
				end++
				e = r.literals[bits&literalMask]
				if e&isLiteral != 0 {
					bits >>= e & 63
					n -= uint(e)
					out[end&outMask] = byte(e >> 16)
					end++
					if end >= outFull || at > last {
						break
					}
					e = r.literals[bits&literalMask]
					bits |= le.Uint64(r.in[at&inMask:at&inMask+8]) << (n & 63)
					at += int(^n >> 3 & 7)
					n |= 56
					continue
				}
			}
		}
		if e&isOther != 0 {
			if e&(isEnd|isInvalid) == 0 { // the code goes on
				bits >>= literalBits
				n -= literalBits
				e = r.literals[(e>>16+uint32(bits)&(1<<(e>>8&15)-1))&(literalSize-1)]
			}
			if e&isLiteral != 0 {
				bits >>= e & 63
				n -= uint(e)
				out[end&outMask] = byte(e >> 16)
				end++
				if end >= outFull || at > last {
					break
				}
				bits |= le.Uint64(r.in[at&inMask:at&inMask+8]) << (n & 63)
				at += int(^n >> 3 & 7)
				n |= 56
				e = r.literals[bits&literalMask]
				continue
			}
			if e&isInvalid != 0 {
				err = ErrCorrupt
				break
			}
			if e&isEnd != 0 {
				bits >>= e & 63
				n -= uint(e)
				r.step = stepBlock
				break
			}
		}
		length := int(e>>16) + int(bits&(1<<(e&63)-1)>>(e>>8&15))
		bits >>= e & 63
		n -= uint(e)

		bits |= le.Uint64(r.in[at&inMask:at&inMask+8]) << (n & 63)
		at += int(^n >> 3 & 7)
		n |= 56
		e = r.distances[bits&distanceMask]
		if e&isOther != 0 {
			if e&isInvalid == 0 {
				bits >>= distanceBits
				n -= distanceBits
				e = r.distances[(e>>16+uint32(bits)&(1<<(e>>8&15)-1))&(distanceSize-1)]
			}
			if e&isInvalid != 0 {
				err = ErrCorrupt
				break
			}
		}
		distance := int(e>>16) + int(bits&(1<<(e&63)-1)>>(e>>8&15))
		bits >>= e & 63
		n -= uint(e)
		from := end - distance
		if from < r.base {
			err = ErrCorrupt
			break
		}

		// A distance takes 28 bits at most. The next look goes ahead of the
		// copying, which would keep it waiting.
		e = r.literals[bits&literalMask]
		bits |= le.Uint64(r.in[at&inMask:at&inMask+8]) << (n & 63)
		at += int(^n >> 3 & 7)
		n |= 56
		if distance >= 8 {
			to, old := (*[32]byte)(out[end&outMask:end&outMask+32]), (*[32]byte)(out[from&outMask:from&outMask+32])
			le.PutUint64(to[:8], le.Uint64(old[:8]))
			le.PutUint64(to[8:], le.Uint64(old[8:]))
			if length > 16 {
				le.PutUint64(to[16:], le.Uint64(old[16:]))
				le.PutUint64(to[24:], le.Uint64(old[24:]))
				for k := 32; k < length; k += 16 {
					to, old := (*[16]byte)(out[(end+k)&outMask:(end+k)&outMask+16]), (*[16]byte)(out[(from+k)&outMask:(from+k)&outMask+16])
					le.PutUint64(to[:8], le.Uint64(old[:8]))
					le.PutUint64(to[8:], le.Uint64(old[8:]))
				}
			}
		} else {
			for k := range length {
				out[(end+k)&outMask] = out[(from+k)&outMask]
			}
		}
		end += length
		if end >= outFull || at > last {
			break
		}
	}
	n &= 63
	r.bits, r.n, r.at, r.end = bits&(1<<n-1), n, at, end
	return err
}
