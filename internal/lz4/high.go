package lz4

type chains struct{}

// Levels of HC.
const (
	MinLevel     = 1
	DefaultLevel = 9
	MaxLevel     = 12
)

// HC is Fast with a search for longer matches, which costs time and gives a
// smaller block. Levels are MinLevel to MaxLevel; others count as the nearest.
func (e *Encoder) HC(dst, src []byte, level int) (n, used int) {
	return e.Fast(dst, src)
}
