package media

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"inlay/internal/fetch"
	"inlay/internal/hint"
	"inlay/internal/secureboot"
)

// OutputType is the form of a medium.
type OutputType string

// The forms.
const (
	OutputISO       OutputType = "iso"       // a disc or stick to install from
	OutputContainer OutputType = "container" // what nodes upgrade from
	OutputFiles     OutputType = "uki"       // the files of the EFI system partition, in a folder
)

// MediumOptions say what to make.
type MediumOptions struct {
	Type OutputType
	// UKI says what the images are; of it, Output is the folder in which the
	// result appears.
	UKI UKIOptions
	// Name of the result without suffix; "" makes one of what the system is.
	Name string
	// Keys are to be enrolled; nil enrols none.
	Keys *secureboot.Set
	// Enroll is one of EnrollWords.
	Enroll string
	Loader LoaderSource
	// Version and Cmdline note the system's version, and what words a command line
	// has beyond Base, in the loader's entries.
	Version, Cmdline bool
	Base             string
	// ESPSize in bytes; 0 is as small as it can be.
	ESPSize int64
	// Overlay is a folder for the root of an ISO, or "".
	Overlay string
	// Extensions are files and URIs that go into extensions/ of an ISO.
	Extensions []string
	// AllowUntrusted lets extensions in an overlay lie there whose verdict is bad.
	AllowUntrusted bool
	// Fetch says how to reach registries and servers; URI and Name are not used.
	Fetch fetch.Request
	Tools Tools
	Epoch *time.Time
	Now   time.Time
	// Step, if set, is told what is being done.
	Step func(Step)
}

// The steps beyond those of images.
const (
	StepVerify Step = "verifying the extensions"
	StepESP    Step = "filling the EFI system partition"
	StepISO    Step = "writing the ISO"
	StepTar    Step = "writing the container image"
)

// MediumResult says what was made. Its JSON form is documented in docs/json.md
// and stays compatible.
type MediumResult struct {
	Type OutputType `json:"type"`
	// Path of the file, or of the folder.
	Path     string   `json:"path"`
	Files    []string `json:"files"` // that appeared
	Size     int64    `json:"size"`
	Digest   string   `json:"digest,omitempty"`   // of the file, sha256:…
	VolumeID string   `json:"volumeID,omitempty"` // of an ISO
	Tag      string   `json:"tag,omitempty"`      // of a container image
	Disk     string   `json:"disk,omitempty"`     // identifier of an ISO's partition table
	// ESP is the EFI system partition of an ISO.
	ESP *ESPResult `json:"esp,omitempty"`
	// Images are what it boots.
	Images *UKIResult `json:"images"`
	// Loader is where the boot loader came from.
	Loader string `json:"loader"`
	Enroll string `json:"secureBootEnroll"`
	// Keys are the updates that are enrolled: "PK", "KEK", "db".
	Keys       []string     `json:"keys"`
	Extensions []*Extension `json:"extensions"`
	Warnings   []string     `json:"warnings,omitempty"`
}

// Check holds options to what can be made, before any work is done.
func (o *MediumOptions) Check() error {
	if err := CheckEnroll(o.Enroll); err != nil {
		return err
	}
	if strings.ContainsAny(o.Name, "/\x00") || strings.HasPrefix(o.Name, ".") {
		return hint.Wrap(fmt.Errorf("the result cannot be called %q", o.Name), "give a plain name with --name; the folder is named apart")
	}
	switch o.Type {
	case OutputISO:
		return nil
	case OutputContainer, OutputFiles:
		if o.Overlay != "" {
			return hint.Wrap(errors.New("overlay-iso is only supported for iso artifacts"), "pass --output-type iso, or put the files into the image with --overlay-rootfs")
		}
		if len(o.Extensions) > 0 {
			return hint.Wrap(errors.New("extensions are put on iso artifacts only"), "pass --output-type iso")
		}
		if o.ESPSize != 0 {
			return hint.Wrap(errors.New("only iso artifacts have an EFI system partition of their own"), "pass --output-type iso, or leave --esp-size out")
		}
		return nil
	}
	return hint.Wrap(fmt.Errorf("invalid output type: %s", o.Type), "choose iso, container or uki")
}
