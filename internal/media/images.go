package media

import (
	"crypto"
	"crypto/x509"

	"inlay/internal/keys"
	"inlay/internal/stage"
)

// Certificate is one that travels in the initrd, to usr/lib/verity.d/NAME.crt:
// systemd and the boot step trust what it signed.
type Certificate struct {
	Name        string
	Certificate *x509.Certificate
}

// UKIOptions say what goes into unified kernel images.
type UKIOptions struct {
	// Output is the folder in which the images appear.
	Output string
	// Architecture asked for, in systemd's words; "" takes the kernel's own.
	Architecture string
	// Kernel names one of several: a version, or a path in the source. "" takes
	// the newest.
	Kernel string
	// Stub is a file of the build machine; "" looks in the source, then in the
	// usual place of the build machine, whose root folder Host is.
	Stub string
	Host string
	// Splash is a bitmap in a file, or "".
	Splash  string
	Entries []Entry
	// RootfsAsInitrd packs the whole root; otherwise the source's initrd is taken.
	RootfsAsInitrd bool
	// Signer signs for Secure Boot; nil leaves the images unsigned.
	Signer *keys.Pair
	// PCRKey signs the expected PCR 11; nil leaves that out.
	PCRKey crypto.Signer
	// Certificates to carry.
	Certificates []Certificate
	// WarnSize is above how many bytes an image gets a warning; 0 is never.
	WarnSize int64
	// Digest asks for the SHA-256 of each image.
	Digest bool
	// Step, if set, is told what is being done.
	Step func(Step)
}

// Step is a part of the work, for people who wait.
type Step string

// The steps.
const (
	StepInitrd Step = "packing the initrd"
	StepBuild  Step = "building the unified kernel image"
)

// Images are unified kernel images that have no names yet.
type Images struct {
	Files  []Image
	Result *UKIResult
}

// Image is one of them.
type Image struct {
	Entry Entry
	File  *stage.File // content: use it as an io.ReaderAt
	Size  int64
}

// Discard gives up what was not committed.
func (im *Images) Discard() {
	for _, f := range im.Files {
		f.File.Discard()
	}
}

// Commit gives the images their names.
func (im *Images) Commit() error {
	for _, f := range im.Files {
		if err := f.File.Commit(); err != nil {
			return err
		}
	}
	return nil
}
