package build

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	"inlay/internal/osrelease"
)

// identity is all that decides about the bytes of an image, and about what is
// said of it. A test sees that no option is forgotten.
type identity struct {
	Program             string
	Source              string // its stamp
	Reference           string
	Name                string
	Kind                string
	Architecture        string
	Layers              string
	IncludePaths        []string
	Release             []osrelease.Field
	ServiceReload       bool
	EnableUnits         []string
	AllowOverlayMarkers bool
	KeepOwner           bool
	Contexts            string
	FileSystem          FileSystem
	Compression         Compression
	Kernel              string
	Seed                string
	Epoch               string
	Certificate         string
	DeferSignature      bool
}

// identify returns the digest of what o makes of a source with that stamp, or ""
// if that cannot be told.
func (o *Options) identify(stamp string) string {
	if !o.recordable() || stamp == "" {
		return ""
	}
	id := identity{
		Program: o.Program, Source: stamp, Reference: o.Reference.String(),
		Name: o.Name, Kind: o.Kind.Name, Architecture: o.Architecture.Word, Layers: o.Layers.String(),
		IncludePaths: o.IncludePaths, Release: o.Release, ServiceReload: o.ServiceReload, EnableUnits: o.EnableUnits,
		AllowOverlayMarkers: o.AllowOverlayMarkers, KeepOwner: o.KeepOwner, Contexts: o.ContextsDigest,
		FileSystem: o.FileSystem, Compression: o.Compression, Kernel: kernelText(o.Kernel),
		Seed: o.Seed, DeferSignature: o.DeferSignature,
	}
	if o.Epoch != nil {
		id.Epoch = o.Epoch.UTC().Format(time.RFC3339Nano)
	}
	if o.Signer != nil {
		sum := sha256.Sum256(o.Signer.Certificate.Raw)
		id.Certificate = hex.EncodeToString(sum[:])
	}
	text, err := json.Marshal(id)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// recordable says whether all that decides about the image is known. Of
// mksquashfs, which is another program, it isn't.
func (o *Options) recordable() bool {
	return o.Program != "" && o.FileSystem == EROFS && (o.Contexts == nil || o.ContextsDigest != "")
}
