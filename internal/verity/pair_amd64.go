package verity

// blocks2 runs n message blocks of 64 bytes from p through the state a, and as
// many from q through b. A state's words are in the order F E B A H G D C. The
// processor must have what pairFits looks for.
//
//go:noescape
func blocks2(a, b *[8]uint32, p, q *byte, n int)

// cpuid returns what the instruction of that name does.
func cpuid(leaf, subleaf uint32) (eax, ebx, ecx, edx uint32)

// pairFits says whether two blocks are hashed faster at once: the processor has
// the SHA extensions, and the byte shuffles that go with them. Asking takes
// microseconds in a virtual machine, so ask once.
func pairFits() bool {
	const ssse3, sse41, sha = 1 << 9, 1 << 19, 1 << 29
	highest, _, _, _ := cpuid(0, 0)
	if highest < 7 {
		return false
	}
	_, _, ecx, _ := cpuid(1, 0)
	_, ebx, _, _ := cpuid(7, 0)
	return ecx&ssse3 != 0 && ecx&sse41 != 0 && ebx&sha != 0
}
