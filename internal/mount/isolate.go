package mount

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Isolate makes an overlay of the folder dir and nothing else: the same files,
// on a file system of their own. As a layer it may then lie inside of another one,
// which the kernel otherwise refuses (ErrOverlap); that costs one of the MaxDepth
// levels.
func (m *Mounter) Isolate(dir *os.File) (*Tree, error) {
	tree, err := m.Overlay(OverlayOptions{Lower: []*os.File{dir}, Flags: ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("setting folder %q apart: %w", dir.Name(), err)
	}
	return tree, nil
}

// maxAbove bounds the way up from a folder: no path has more components.
const maxAbove = 4096

// Overlap returns which of the folders lie inside of another one, or are one that
// comes before: the ones to Isolate.
func Overlap(folders []*os.File) ([]int, error) {
	first := map[identity]int{}
	for i, f := range folders {
		p, err := identify(int(f.Fd()))
		if err != nil {
			return nil, fmt.Errorf("looking at layer %q: %w", f.Name(), err)
		}
		if _, found := first[p]; !found {
			first[p] = i
		}
	}
	var inside []int
	for i, f := range folders {
		here, err := identify(int(f.Fd()))
		if err != nil {
			return nil, fmt.Errorf("looking at layer %q: %w", f.Name(), err)
		}
		overlaps := first[here] != i
		if !overlaps {
			overlaps, err = isInside(f, here, first)
		}
		if err != nil {
			return nil, fmt.Errorf("looking above layer %q: %w", f.Name(), err)
		}
		if overlaps {
			inside = append(inside, i)
		}
	}
	return inside, nil
}

// isInside reports whether a folder above f, which is here, is one of others.
func isInside(f *os.File, here identity, others map[identity]int) (bool, error) {
	at := f
	defer func() {
		if at != f {
			at.Close()
		}
	}()
	for range maxAbove {
		up, err := openAt(int(at.Fd()), "..", unix.O_PATH|unix.O_DIRECTORY)
		if err != nil {
			return false, err
		}
		if at != f {
			at.Close()
		}
		at = up
		above, err := identify(int(at.Fd()))
		if err != nil || above == here {
			return false, err // the root is above itself
		}
		if _, found := others[above]; found {
			return true, nil
		}
		here = above
	}
	return false, nil
}

// Depth returns on how many file systems, each made of the next, dir lies: 0 for
// a file system with data of its own, 1 for an overlay of those, 2 for an overlay
// of such an overlay, of which none can be made any more. The kernel doesn't say:
// it is tried.
func (m *Mounter) Depth(dir *os.File) (int, error) {
	stacked, err := isStacked(dir)
	if err != nil || !stacked {
		return 0, err
	}
	tree, err := m.overlay(OverlayOptions{Lower: []*os.File{dir}, Source: "overlay", Flags: ReadOnly})
	if err != nil {
		return MaxDepth, nil //nolint:nilerr // that it is refused is the answer
	}
	return 1, tree.Close()
}
