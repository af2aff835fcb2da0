//go:build !amd64

package verity

// pairFits says whether two blocks are hashed faster at once.
func pairFits() bool { return false }

// blocks2 is not called where pairFits is false.
func blocks2(_, _ *[8]uint32, _, _ *byte, _ int) { panic("verity: no such instructions") }

// lanesFit says whether sixteen blocks are hashed faster at once.
func lanesFit() bool { return false }

// blocks16 is not called where lanesFit is false.
func blocks16(*[8][laneCount]uint32, *[laneCount]*byte, int) { panic("verity: no such instructions") }
