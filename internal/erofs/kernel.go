package erofs

import "cmp"

// Version is that of a Linux kernel.
type Version struct{ Major, Minor int }

// DefaultKernel is the oldest Linux that mounts an image unless Options say
// otherwise.
func DefaultKernel() Version { return Version{5, 15} }

// Compare returns -1, 0 or 1, as v is older than o, the same or newer.
func (v Version) Compare(o Version) int {
	return cmp.Or(cmp.Compare(v.Major, o.Major), cmp.Compare(v.Minor, o.Minor))
}

// Needs is what a kernel must know to mount an image.
type Needs struct {
	Kernel  Version  // the oldest that does
	Because []string // the features that came with it
}

// feature is a part of the format that came with some kernel.
type feature int

// The features that an image may need, from the oldest on.
const (
	usesNothing feature = iota
	usesLZ4
	usesClusters  // of more than one block, and the record of what compressed them
	usesHoles     // files in chunks
	usesTails     // compressed, behind their inode
	usesFragments // in the packed inode
	usesZSTD
)

// since returns the first kernel that knows f.
func (f feature) since() Version {
	switch f {
	case usesNothing, usesLZ4:
		return Version{5, 4}
	case usesClusters:
		return Version{5, 13}
	case usesHoles:
		return Version{5, 15}
	case usesTails:
		return Version{5, 17}
	case usesFragments:
		return Version{6, 1}
	default:
		return Version{6, 10}
	}
}

// String names f to people.
func (f feature) String() string {
	return [...]string{"EROFS", "LZ4", "large clusters", "sparse files", "inline tails", "fragments", "zstd"}[f]
}

// bits are f's in the superblock's incompatible features.
func (f feature) bits() uint32 {
	return [...]uint32{0, needsPadding, needsPadding | needsConfigurations, needsChunks, needsTails, needsFragments, 0}[f]
}

// features is a set of them.
type features uint

func (s *features) add(f feature) { *s |= 1 << f }

func (s features) has(f feature) bool { return s>>f&1 != 0 }

// all yields the set's members, from the oldest on.
func (s features) all(yield func(feature) bool) {
	for f := usesNothing; f <= usesZSTD; f++ {
		if s.has(f) && !yield(f) {
			return
		}
	}
}

// Needs returns what mounting the image takes. It is to be asked after Finish.
func (w *Writer) Needs() Needs {
	n := Needs{Kernel: usesNothing.since()}
	for f := range w.used.all {
		switch f.since().Compare(n.Kernel) {
		case 1:
			n.Kernel, n.Because = f.since(), []string{f.String()}
		case 0:
			n.Because = append(n.Because, f.String())
		}
	}
	return n
}
