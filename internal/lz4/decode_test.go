package lz4_test

import (
	"fmt"
	"testing"

	pierrec "github.com/pierrec/lz4/v4"
)

// decode has another's decoder read a block.
func decode(t testing.TB, block []byte, size int) []byte {
	t.Helper()
	out := make([]byte, size+1) // one more, to see what is too long
	n, err := pierrec.UncompressBlock(block, out)
	if err != nil {
		t.Fatalf("decoding a block of %d bytes: %v", len(block), err)
	}
	return out[:n]
}

// strict reads a block's sequences as the format describes them and says which
// of the rules for a block's end it breaks. Decoders differ in whether they care.
func strict(block []byte) error {
	at, size := 0, 0
	length := func(half byte) (int, error) {
		n := int(half)
		for more := half == 15; more; at++ {
			if at >= len(block) {
				return 0, fmt.Errorf("a length is cut off")
			}
			n += int(block[at])
			more = block[at] == 255
		}
		return n, nil
	}
	lastMatch := -1 // where it begins
	for {
		if at >= len(block) {
			return fmt.Errorf("no literals at the end")
		}
		token := block[at]
		at++
		run, err := length(token >> 4)
		if err != nil {
			return err
		}
		at += run
		size += run
		if at > len(block) {
			return fmt.Errorf("literals are cut off")
		}
		if at == len(block) {
			switch {
			case token&15 != 0:
				return fmt.Errorf("the last token promises a match")
			case lastMatch >= 0 && run < 5:
				return fmt.Errorf("%d literals at the end", run)
			case lastMatch >= 0 && lastMatch > size-12:
				return fmt.Errorf("a match begins %d bytes before the end", size-lastMatch)
			}
			return nil
		}
		if at+2 > len(block) {
			return fmt.Errorf("a distance is cut off")
		}
		distance := int(block[at]) | int(block[at+1])<<8
		at += 2
		if distance == 0 || distance > size {
			return fmt.Errorf("distance %d at %d", distance, size)
		}
		match, err := length(token & 15)
		if err != nil {
			return err
		}
		lastMatch = size
		size += match + 4
	}
}
