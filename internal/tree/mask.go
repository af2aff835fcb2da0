package tree

import "strings"

// Mask says what upper layers hide by name. It knows nothing of symbolic links,
// so it may err in both directions: where that matters, apply the layers. The
// zero Mask cannot be added to; make one.
type Mask map[string]masking

type masking uint8

const (
	masksFile  masking = 1 << iota // a file of this name in a lower layer
	masksBelow                     // whatever lies below this name in a lower layer
)

// Delete adds what e takes from the layers below its own, if it is a whiteout
// or an opaque marker.
func (m Mask) Delete(e *Entry) {
	switch e.Kind {
	case Whiteout, Opaque:
		m.hide(hide{strings.Clone(e.Name), e.Kind == Opaque})
	}
}

// Join adds what other hides.
func (m Mask) Join(other Mask) {
	for name, masking := range other {
		m[name] |= masking
	}
}

// Hides reports whether the file name of a lower layer is hidden.
func (m Mask) Hides(name string) bool {
	if len(m) == 0 {
		return false
	}
	if m[name]&masksFile != 0 || m[""]&masksBelow != 0 {
		return true
	}
	for i := range len(name) {
		if name[i] == '/' && m[name[:i]]&masksBelow != 0 {
			return true
		}
	}
	return false
}

// add adds all that a layer hides: its names, too, and not only its deletions.
func (m Mask) add(r *records) {
	for rec := range r.all() {
		if rec.ino != nil && rec.ino.dir != nil {
			m[rec.name] |= masksFile
		} else {
			m[rec.name] |= masksFile | masksBelow
		}
	}
	for _, h := range r.hides {
		m.hide(h)
	}
}

func (m Mask) hide(h hide) {
	m[h.name] |= masksBelow
	if !h.opaque {
		m[h.name] |= masksFile
	}
}
