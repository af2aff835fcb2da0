// Package lz4 makes LZ4 blocks, the sequences of literals and matches that
// lz4_Block_format.md of the lz4 project describes, and nothing around them: no
// frames, no sizes, no checksums, no dictionaries. It has no decoder.
//
// An Encoder fills a space of fixed size and says how much input that took,
// which is what EROFS wants: its physical clusters are whole blocks, and what a
// compressor leaves of them is lost. (C calls it compress_destSize.)
//
// The bytes depend on the input, the space and the level alone: not on the
// machine, its word size, or what the Encoder did before.
package lz4

const (
	minMatch    = 4     // a match's length is stored less these
	maxDistance = 65535 // offsets have 16 bits
	// What the format keeps for the decoder's long strides: a block ends with
	// five literals at least, and no match begins in its last twelve bytes.
	lastLiterals = 5
	matchMargin  = 12

	runMask = 15 // the length in a half of a token that says more bytes follow
)

// Version changes whenever the same input gives other bytes than before.
const Version = 2

// MaxSize is the largest input of one call. Positions have 32 bits with room to
// spare; EROFS has no more than 12 MiB in one cluster.
const MaxSize = 64 << 20

// Encoder keeps the tables between calls. Its zero value is ready; it is not for
// use by several goroutines at once.
type Encoder struct {
	fast *fastTable
	high *parser
}

// Bound is the size of a space into which n bytes fit whatever they are.
func Bound(n int) int { return n + n/255 + 16 }
