package erofs

import "errors"

var errLZ4 = errors.New("it is damaged")

// unpackLZ4 fills dst from an LZ4 block that may hold more, and that other bytes
// may follow. The library reads whole blocks only.
func unpackLZ4(dst, src []byte) error {
	const minMatch = 4
	done, at := 0, 0
	// length goes on with a length whose nibble was full.
	length := func(n int) int {
		if n != 15 {
			return n
		}
		for at < len(src) {
			b := src[at]
			at++
			if n += int(b); b != 255 {
				return n
			}
		}
		return n // whoever takes so many finds the end
	}
	for done < len(dst) {
		if at == len(src) {
			return errTooShort
		}
		token := src[at]
		at++
		n := min(length(int(token>>4)), len(dst)-done)
		if n > len(src)-at {
			return errTooShort
		}
		done += copy(dst[done:], src[at:at+n])
		at += n
		if done == len(dst) {
			return nil
		}
		if len(src)-at < 2 {
			return errTooShort
		}
		offset := int(src[at]) | int(src[at+1])<<8
		at += 2
		if offset == 0 || offset > done {
			return errLZ4
		}
		n = min(length(int(token&15))+minMatch, len(dst)-done)
		for from := done - offset; n > 0; {
			// What was copied may be copied again: the distance doubles.
			k := copy(dst[done:done+n], dst[from:done])
			done, n = done+k, n-k
		}
	}
	return nil
}
