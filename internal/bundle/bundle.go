// Package bundle turns container images into folders on a node: extensions that
// are plain folders, and the bundles that a node's configuration asks for.
//
// [Unpack] lays all layers of images on top of each other, as the OCI image layer
// specification says ("Applying Changesets"), with owners, modes, times, extended
// attributes, hard links and devices. What it makes appears in one rename, after
// every digest has been checked and all of it is on the disk; whatever was there
// stays until then. [Apply] does what `bundles:` and `install.bundles:` of a
// cloud-config ask for, in the manner of kairos-agent, with one difference: it never
// writes into a folder that it hasn't made itself.
//
// Left out on purpose: package bundles, which are luet's own format, and laying an
// image over a folder that holds other things already, which nothing could undo.
package bundle

import (
	"fmt"

	"inlay/internal/hint"
	"inlay/internal/source"
)

// Part is one image that goes into a folder.
type Part struct {
	Image *source.Image
	// Pin is the digest that the reference names, "" if it names none.
	Pin source.Digest
}

// Counts say what an unpacked folder holds.
type Counts struct {
	Files    int   `json:"files"`
	Folders  int   `json:"folders"`
	Symlinks int   `json:"symlinks"`
	Devices  int   `json:"devices"` // FIFOs included
	Bytes    int64 `json:"bytes"`   // content of regular files, each once
}

// BusyError says that another process is unpacking to the same place.
type BusyError struct{ Path string }

func (e *BusyError) Error() string {
	return fmt.Sprintf("another command is unpacking to %q", e.Path)
}

// OccupiedError says that a folder has content that Unpack didn't put there.
type OccupiedError struct{ Path string }

func (e *OccupiedError) Error() string {
	return fmt.Sprintf("%q holds something that was not unpacked by inlay", e.Path)
}

// PlatformError says that an image is for other machines.
type PlatformError struct{ Image, Wanted string }

func (e *PlatformError) Error() string {
	return fmt.Sprintf("the image is for %s, and one for linux/%s is wanted", e.Image, e.Wanted)
}

// CheckPlatform refuses an image for other machines than those of Go's
// architecture. One that does not say is let in.
func CheckPlatform(im *source.Image, architecture string) error {
	system, arch := im.OS, im.Architecture
	if (system == "" || system == "linux") && (arch == "" || arch == architecture) {
		return nil
	}
	if system == "" {
		system = "linux"
	}
	if arch == "" {
		arch = "any machine"
	}
	return hint.Wrap(&PlatformError{system + "/" + arch, architecture}, "name an image that was built for linux/"+architecture)
}
