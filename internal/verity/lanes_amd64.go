package verity

import "golang.org/x/sys/cpu"

// blocks16 runs n message blocks of 64 bytes from each address through the
// state that has the same place in each of the state's eight words. The
// processor must have what lanesFit looks for.
//
//go:noescape
func blocks16(state *[8][laneCount]uint32, from *[laneCount]*byte, n int)

// lanesFit says whether sixteen blocks are hashed faster at once.
func lanesFit() bool { return cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW }
