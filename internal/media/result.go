package media

import (
	"fmt"
	"slices"
)

// UKIResult says what was made. Its JSON form is documented in docs/json.md and
// stays compatible.
type UKIResult struct {
	Images []UKIImage `json:"images"`
	Source Origin     `json:"source"`
	// System is what the source calls itself.
	System       string       `json:"system"`
	Architecture string       `json:"architecture"` // in systemd's words
	Kernel       UKIKernel    `json:"kernel"`
	Initrd       InitrdResult `json:"initrd"`
	// Stub says where the stub is from.
	Stub string `json:"stub"`
	// Certificates that the initrd carries.
	Certificates []string `json:"certificates,omitempty"`
	// Signature for Secure Boot is "signed" or "unsigned".
	Signature string  `json:"signature"`
	Signer    *Signer `json:"signer,omitempty"`
	// PCRSigned says whether the images hold signed TPM policies.
	PCRSigned bool `json:"pcrSigned"`
	// Movable are the biggest folders that an extension could carry, if an image
	// is larger than the size to warn of.
	Movable []Folder `json:"movable,omitempty"`
	// Notes are worth knowing; Warnings are likely mistakes.
	Notes    []string `json:"notes,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// Origin says where a system came from.
type Origin struct {
	Reference string `json:"reference"`
	// Origin says what was used for the reference: which registry, daemon or file.
	Origin string `json:"origin"`
	// Digest of the image, if it has one.
	Digest string `json:"digest,omitempty"`
}

// UKIImage is one unified kernel image.
type UKIImage struct {
	Path     string       `json:"path"`
	Name     string       `json:"name"`
	Title    string       `json:"title"`
	Role     string       `json:"role"`
	Size     int64        `json:"size"`
	SHA256   string       `json:"sha256,omitempty"`
	Sections []UKISection `json:"sections"`
	// Profiles are the command lines that it can be booted with, one at least.
	Profiles []UKIProfile `json:"profiles"`
}

// UKISection is a part of an image.
type UKISection struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// UKIProfile is a command line, and what a TPM's PCR 11 holds in hex, by bank,
// when the kernel starts with it.
type UKIProfile struct {
	ID      string            `json:"id,omitempty"`
	Title   string            `json:"title,omitempty"`
	Cmdline string            `json:"cmdline"`
	PCR11   map[string]string `json:"pcr11,omitempty"`
}

// UKIKernel is the kernel that was taken, and those that were not.
type UKIKernel struct {
	Path    string   `json:"path"`
	Version string   `json:"version"`
	Size    int64    `json:"size"`
	Others  []string `json:"others,omitempty"`
}

// Signer names the certificate of a signature.
type Signer struct {
	Subject string `json:"subject"`
	// Fingerprint is the SHA-256 of the DER certificate, in hex.
	Fingerprint string `json:"fingerprint"`
}

func (r *UKIResult) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

func (r *UKIResult) warnOnce(text string) {
	if !slices.Contains(r.Warnings, text) {
		r.Warnings = append(r.Warnings, text)
	}
}
