// Package uki builds and opens unified kernel images (UAPI.5): one EFI program
// made of systemd's stub with the kernel, its command line, its initrd and what
// describes them in sections, signed as a whole for Secure Boot and, by policies
// for PCR 11, for the TPM. What is built is what systemd's ukify (257) makes of the
// same parts.
//
// An image may hold several command lines, as profiles (systemd 257): each is
// an entry of the boot menu.
//
// Left out on purpose: microcode, device trees and hardware ids, which the systems
// here get otherwise; addons; signing the kernel inside, which the stub starts on
// the strength of the image's own signature; kernels that are compressed as a
// whole, which no firmware could start.
package uki

import (
	"crypto"
	"crypto/x509"
	"errors"
	"io"

	"inlay/internal/keys"
	"inlay/internal/pcr"
)

// Parts are what an image is made of. Readers are read twice, from their start.
type Parts struct {
	Linux *io.SectionReader // an EFI program
	// Initrd are laid one behind another, each padded to 4 bytes if there are
	// several; the kernel unpacks them in that order. None is allowed.
	Initrd []*io.SectionReader
	// Cmdline must not be empty: the stub would then take words from outside,
	// under Secure Boot too.
	Cmdline string
	// OSRelease is the text of os-release; without it boot menus show nothing.
	OSRelease []byte
	// Uname is the kernel's release; "" finds it in the kernel.
	Uname string
	// SBAT is a whole SBAT text whose lines go into the image's, behind those of
	// the stub and the kernel; nil adds the line that ukify adds.
	SBAT []byte
	// Splash is a bitmap (BMP) to show while booting; nil shows none.
	Splash []byte
	// Profile describes the first profile; its Cmdline must be empty. It is
	// written only if there are others.
	Profile Profile
	// Profiles are the others.
	Profiles []Profile
}

// Profile is one way to boot an image.
type Profile struct {
	ID      string // a word: "recovery"; "main" if the first has none
	Title   string // what a boot menu adds to the system's name; may be empty
	Cmdline string
}

// Options say how to build. The zero value lacks the stub.
type Options struct {
	Stub *io.SectionReader
	// PCRKey signs policies for PCR 11 and is an RSA key; nil leaves them out.
	PCRKey crypto.Signer
	// Banks and Phases are those to sign policies for. None are pcr.Banks (with a
	// key; without one nothing but SHA-256 is computed) and pcr.Phases.
	Banks  []pcr.Bank
	Phases []string
	// Signer signs the image for Secure Boot; nil leaves it unsigned.
	Signer *keys.Pair
	// Chain are certificates between the signer's and the one that firmware
	// trusts, where these differ.
	Chain []*x509.Certificate
}

// Output is a file that an image is built in, such as a stage.File. What it holds
// is lost; after an error it holds rubbish.
type Output interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
}

// Result says what was built.
type Result struct {
	Size         int64 // of the file, in bytes
	Architecture string
	Uname        string // "" if it was not found
	// Sections are those added, in the order of the file.
	Sections []Section
	// Profiles are one, or as many as the image has.
	Profiles []Measured
	Warnings []string
}

// Section is a part of an image.
type Section struct {
	Name string
	Size int64 // of the content, in bytes
}

// Measured is a profile with what PCR 11 will hold when its kernel starts, before
// any phase of the boot.
type Measured struct {
	Profile
	PCR map[pcr.Bank][]byte
}

// The names of sections.
const (
	sectionLinux   = ".linux"
	sectionOSRel   = ".osrel"
	sectionCmdline = ".cmdline"
	sectionInitrd  = ".initrd"
	sectionSplash  = ".splash"
	sectionUname   = ".uname"
	sectionSBAT    = ".sbat"
	sectionPCRSig  = ".pcrsig"
	sectionPCRKey  = ".pcrpkey"
	sectionProfile = ".profile"
	sectionMagic   = ".sdmagic"
)

// maxText bounds sections that are read as a whole, in bytes: texts, mostly of
// less than 1 KiB.
const maxText = 1 << 20

var (
	errNoKernel   = errors.New("it has no kernel (section .linux)")
	errNoPolicies = errors.New("it has no signed policies for PCR 11 (section .pcrsig)")
)
