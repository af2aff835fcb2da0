package bundle

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"inlay/internal/source"
)

// recordNames are the extended attributes of a folder that say what it was
// unpacked from, in the order in which they are tried: not every file system that
// has the second has the first. An attribute appears with the folder in one rename,
// goes when the folder goes, and follows it wherever it is copied; a file elsewhere
// would have to be kept in step with all that.
func recordNames() []string { return []string{"user.inlay.image", "trusted.inlay.image"} }

// maxRecord bounds what is believed of a record, in bytes.
const maxRecord = 16 << 10

// record is what a folder was unpacked from.
type record struct {
	Images []recorded `json:"images"`
	// Mine says that owners and privileges were left out.
	Mine bool `json:"noSameOwner,omitempty"`
}

type recorded struct {
	// Digest is "" of a folder or a bare layer, of which nothing is known but its
	// content.
	Digest source.Digest `json:"digest"`
	// Pin is the digest by which the image was asked for, which may be that of an
	// index of several images.
	Pin source.Digest `json:"pin,omitempty"`
}

// recordOf is the record of parts.
func recordOf(parts []Part, mine bool) *record {
	r := &record{Images: []recorded{}, Mine: mine}
	for _, p := range parts {
		r.Images = append(r.Images, recorded{p.Image.Digest, p.Pin})
	}
	return r
}

// holds says whether r is of the same images, in the same order, as far as that
// can be known.
func (r *record) holds(other *record) bool {
	return r != nil && r.Mine == other.Mine &&
		slices.EqualFunc(r.Images, other.Images, func(a, b recorded) bool { return a.Digest == b.Digest && a.Digest != "" })
}

// pinned says whether r is of the images that pins name, none of which is "".
// Then nobody needs to be asked what they are now: digests don't move.
func (r *record) pinned(pins []source.Digest, mine bool) bool {
	return r != nil && r.Mine == mine && slices.EqualFunc(r.Images, pins, func(a recorded, pin source.Digest) bool {
		return pin != "" && (a.Pin == pin || a.Digest == pin)
	})
}

// write puts the record on the folder base in at. It is nobody's failure if the
// file system has no room for such things: then it is only unpacked again.
func (r *record) write(at *os.File, base string) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	for _, name := range recordNames() {
		if err = unix.Lsetxattr(procPath(at, base), name, text, 0); err == nil {
			return nil
		}
	}
	return err
}

// readRecord returns the record of a folder, nil if it has none that counts, and
// whether it has any, which is to say that we have made it.
func readRecord(at *os.File, base string) (r *record, made bool) {
	text := make([]byte, maxRecord)
	for _, name := range recordNames() {
		n, err := unix.Lgetxattr(procPath(at, base), name, text)
		if err != nil {
			continue
		}
		r = new(record)
		if json.Unmarshal(text[:n], r) != nil || len(r.Images) == 0 {
			r = nil
		}
		return r, true
	}
	return nil, false
}

// procPath names what lies in an open folder, whose own path may change meanwhile.
func procPath(at *os.File, base string) string {
	return fmt.Sprintf("/proc/self/fd/%d/%s", at.Fd(), base)
}

// record returns what is recorded of the place's folder, nil if nothing.
func (p *Place) record() (*record, error) {
	folder, err := p.root.Open(p.above)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	r, _ := readRecord(folder, p.name)
	return r, nil
}
