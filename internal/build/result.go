package build

import "fmt"

// Result is what a build made. Its JSON form is documented in
// docs/json.md and stays compatible.
type Result struct {
	Path         string `json:"path"`
	Name         string `json:"name"`
	Kind         string `json:"kind"`
	Architecture string `json:"architecture"`
	FileSystem   string `json:"fileSystem"`
	// Compression, with its level unless that is the usual one, and Encoder are
	// those of an EROFS.
	Compression string `json:"compression,omitempty"`
	// Encoder is whoever compressed: the same files give the same bytes by the
	// same encoder only.
	Encoder string `json:"encoder,omitempty"`
	// Kernel says which Linux an EROFS takes.
	Kernel *Kernel `json:"kernel,omitempty"`
	// Size of the image file in bytes.
	Size int64 `json:"size"`
	// Unchanged says that the image was there already: nothing was built.
	Unchanged bool `json:"unchanged"`
	// SHA256 of the image file, in hex, if it was asked for.
	SHA256 string `json:"sha256,omitempty"`
	// RootHash of the dm-verity tree in hex: the text that is signed.
	RootHash string `json:"rootHash"`
	// Signature is "signed", "unsigned" or "deferred".
	Signature string  `json:"signature"`
	Signer    *Signer `json:"signer,omitempty"`
	Source    Source  `json:"source"`
	Counts    Counts  `json:"counts"`
	// Release holds the lines of the release file.
	Release []string `json:"release"`
	// LeftOut counts what the source has outside the packed folders.
	LeftOut LeftOut `json:"leftOut"`
	// Notes are worth knowing; Warnings are likely mistakes.
	Notes    []string `json:"notes,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// Kernel is the oldest Linux that mounts an image.
type Kernel struct {
	Version string `json:"version"`
	// Because names the features that came with that version.
	Because []string `json:"because,omitempty"`
}

// Signer names the certificate of a signature.
type Signer struct {
	Subject string `json:"subject"`
	// Fingerprint is the SHA-256 of the DER certificate, in hex.
	Fingerprint string `json:"fingerprint"`
}

// Source says where the files came from.
type Source struct {
	Reference string `json:"reference"`
	// Origin says what was used for the reference: which registry, daemon or file.
	Origin string `json:"origin"`
	// Digest of the image, if it has one.
	Digest string `json:"digest,omitempty"`
	// Layers that were packed, of how many; a folder counts as one.
	Layers   []int `json:"layers"`
	LayersOf int   `json:"layersOf"`
}

// LayersText is "layer 3" or "layers 2 to 4".
func (s Source) LayersText() string {
	first, last := s.Layers[0], s.Layers[len(s.Layers)-1]
	if first == last {
		return fmt.Sprintf("layer %d", first)
	}
	return fmt.Sprintf("layers %d to %d", first, last)
}

// Counts of what the image holds. A file with several names is one file.
type Counts struct {
	Files    int `json:"files"`
	Folders  int `json:"folders"`
	Symlinks int `json:"symlinks"`
	// Bytes is the size of all files together.
	Bytes int64 `json:"bytes"`
	// Setuid counts files that run with the identity of their owner or group,
	// Capabilities those with privileges of their own.
	Setuid       int `json:"setuid"`
	Capabilities int `json:"capabilities"`
	Devices      int `json:"devices"`
}

// LeftOut counts names that did not go in, and lists the first few.
type LeftOut struct {
	Count int      `json:"count"`
	Names []string `json:"names,omitempty"`
}

// maxNamed is how many names a message lists.
const maxNamed = 5

func (l *LeftOut) add(name string) {
	l.Count++
	if len(l.Names) < maxNamed {
		l.Names = append(l.Names, "/"+name)
	}
}
