package build

import (
	"slices"
	"strings"
	"time"

	"inlay/internal/erofs"
	"inlay/internal/extension"
	"inlay/internal/keys"
	"inlay/internal/osrelease"
	"inlay/internal/selinux"
	"inlay/internal/source"
)

// Options say what image to make from a source.
type Options struct {
	// Reference is how the source was named.
	Reference source.Ref
	// Name of the extension, which extension.CheckName accepts.
	Name         string
	Kind         extension.Kind
	Architecture extension.Architecture
	// Layers chooses among the layers of the source.
	Layers source.Selection
	// IncludePaths are folders that go in besides the kind's hierarchies,
	// cleaned and without a leading slash.
	IncludePaths []string
	// Release is set in the release file, over what the source brings.
	Release []osrelease.Field
	// ServiceReload makes the service manager reload when the image is merged.
	ServiceReload bool
	// EnableUnits are started with multi-user.target once the image is merged.
	EnableUnits []string
	// AllowOverlayMarkers lets in what would act on the overlay itself.
	AllowOverlayMarkers bool
	// KeepOwner packs a folder's owners as they are, not as root's.
	KeepOwner bool
	// Contexts gives the files SELinux labels, if it is not nil. ContextsDigest
	// names them; without it no image with labels counts as unchanged.
	Contexts       *selinux.Contexts
	ContextsDigest string
	FileSystem     FileSystem
	// Compression of the content of files, for EROFS.
	Compression Compression
	// Kernel is the oldest Linux that must mount the image. The zero value means
	// erofs.DefaultKernel, or what Compression takes if that is newer.
	Kernel erofs.Version
	// Seed distinguishes the identifiers of images that share a name.
	Seed string
	// Epoch is the newest time that a file may carry, and the build time; nil
	// keeps the times of the source.
	Epoch *time.Time
	// Signer signs the root hash; nil makes an unsigned image.
	Signer *keys.Pair
	// DeferSignature leaves room for a signature to be added later.
	DeferSignature bool
	// Output is the folder in which the image appears.
	Output string
	// Digest asks for the SHA-256 of the finished file, which has to be read
	// once more for it.
	Digest bool
	// Program names the code that builds: another text for any other. Images are
	// recorded with it, so that Make finds out that one is there already; "" does
	// neither.
	Program string
	// Again builds whatever is there.
	Again bool
	// Step, if not nil, hears which step begins.
	Step func(Step)

	// identity returns what the image is recorded to be made of; nil if it is not.
	identity func() string
}

// FileSystem is the format of the root partition.
type FileSystem string

// The file systems that an image can hold.
const (
	EROFS    FileSystem = "erofs"
	Squashfs FileSystem = "squashfs"
)

// Step is a part of a build that a reader waits for.
type Step int

// The steps in their order.
const (
	StepRead Step = iota // layers are read, their files written
	StepLook             // earlier layers are searched for what may be missing
	StepPack             // folders, hash tree and partition table
	StepDone             // the image has its name
)

func (o *Options) step(s Step) {
	if o.Step != nil {
		o.Step(s)
	}
}

// Wanted returns what says whether a file's name matters to the image: it lies
// in one of the folders that are packed, or above one.
func (o *Options) Wanted() func(name string) bool {
	folders := o.folders()
	return func(name string) bool {
		return name == "" || extension.Within(name, folders) ||
			slices.ContainsFunc(folders, func(f string) bool { return strings.HasPrefix(f, name+"/") })
	}
}

// folders are the top folders that go into the image.
func (o *Options) folders() []string {
	return slices.Concat(o.Kind.Hierarchies, o.IncludePaths)
}
