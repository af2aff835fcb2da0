package lz4

// extra is the number of bytes that follow a token for a length of n.
func extra(n int) int {
	if n < runMask {
		return 0
	}
	return (n-runMask)/255 + 1
}

// putLength writes what of a length does not fit into its token.
func putLength(dst []byte, op, n int) int {
	for n -= runMask; n >= 255; n -= 255 {
		dst[op] = 255
		op++
	}
	dst[op] = byte(n)
	return op + 1
}

// putSequence writes literals and a match of length bytes, at distance.
// The caller has seen that there is room.
func putSequence(dst []byte, op int, literals []byte, distance, length int) int {
	token := op
	op++
	n, m := len(literals), length-minMatch
	dst[token] = byte(min(n, runMask)<<4 | min(m, runMask))
	if n >= runMask {
		op = putLength(dst, op, n)
	}
	op += copy(dst[op:], literals)
	dst[op], dst[op+1] = byte(distance), byte(distance>>8)
	op += 2
	if m >= runMask {
		op = putLength(dst, op, m)
	}
	return op
}

// tailRoom is kept free behind each match: a token and eight literals. With
// the match's own four bytes these are the twelve before which it must begin,
// wherever in the input the space ends.
const tailRoom = 1 + matchMargin - minMatch

// fitMatch returns how many bytes of a match of the given length can be
// written into dst from op on, behind literals, with tailRoom to spare.
// Below minMatch there is no room for the match at all.
func fitMatch(dst []byte, op, literals, length int) int {
	left := len(dst) - op - (1 + extra(literals) + literals + 2) - tailRoom
	if left < 0 {
		return 0
	}
	if extra(length-minMatch) <= left {
		return length
	}
	// left bytes of length: the last of them has at most 254.
	return min(length, minMatch+runMask+left*255-1)
}

// finish writes the block's last literals: as many of src[anchor:] as have
// room. It returns the lengths of the block and of the input it stands for.
func finish(dst, src []byte, op, anchor int) (n, used int) {
	room := len(dst) - op - 1
	if room < 0 {
		return op, anchor
	}
	run := min(len(src)-anchor, room)
	if over := run + extra(run) - room; over > 0 {
		run -= over // a byte more or less of length may follow
		for run > 0 && run+extra(run) > room {
			run--
		}
	}
	dst[op] = byte(min(run, runMask) << 4)
	op++
	if run >= runMask {
		op = putLength(dst, op, run)
	}
	op += copy(dst[op:], src[anchor:anchor+run])
	return op, anchor + run
}
