package content

import (
	"fmt"

	"inlay/internal/erofs"
)

// Needs is what mounting a file system takes, as far as it says so itself.
type Needs struct {
	// Compression holds the words for the algorithms, "none" if there is none.
	Compression []string
	// Kernel is the oldest Linux that mounts it, and Because names the features
	// that came with that one.
	Kernel  string
	Because []string
}

// Needs returns what mounting the tree takes; nil if it is no EROFS.
func (t *Tree) Needs() *Needs {
	held := t.root
	if m, ok := held.(*mountPoint); ok {
		held = m.held.node
	}
	root, ok := held.(*erofsFile)
	if !ok {
		return nil
	}
	needs := root.files.Needs()
	n := &Needs{Kernel: fmt.Sprintf("%d.%d", needs.Kernel.Major, needs.Kernel.Minor), Because: needs.Because}
	words := [...]string{erofs.LZ4: "lz4", erofs.LZMA: "lzma", erofs.DEFLATE: "deflate", erofs.ZSTD: "zstd"}
	for _, a := range root.files.Algorithms() {
		n.Compression = append(n.Compression, words[a])
	}
	if n.Compression == nil {
		n.Compression = []string{"none"}
	}
	return n
}
