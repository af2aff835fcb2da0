package layer

import (
	"os"
	"time"

	"inlay/internal/device"
	"inlay/internal/extension"
	"inlay/internal/trust"
)

// Request says what is to be merged into which system, and by which rules. The
// zero value, but for Root and Kind, follows the newest systemd, asks for
// signatures and trusts nobody.
type Request struct {
	// Root is the system's root folder, which stays the caller's.
	Root *os.Root
	Kind extension.Kind
	// Host is what extensions are matched with; nil reads it from Root.
	Host *extension.Host
	// Architecture is systemd's word for the host's; "" is this process's. Host
	// overrides it.
	Architecture string
	// Engine is who will merge; "" is EngineNative. What systemd's merge would fail
	// of as a whole is left out for it; what only the native engine looks at, the
	// safety of what the files are, isn't asked for it.
	Engine string
	// Systemd is the version whose rules count; 0 is the newest known.
	Systemd int
	// User is who may own extensions and the folders above them, beside root.
	User int
	// Old looks for sysexts in the folders of systemd 253 and before, too.
	Old bool

	// Look says that the plan is only to be looked at: Prepare changes nothing.
	Look bool
	// Ignore are places in the folders of extensions that are looked at as if they
	// weren't there.
	Ignore []string

	// Policy is what an image must have, Anchors are whom it must come from; nil
	// trusts nobody.
	Policy trust.Policy
	// PolicyGiven hands the policy to systemd, too, instead of what its service says.
	PolicyGiven       bool
	Anchors           *trust.Set
	RequireValidDates bool
	// SetAside says that systemd ignores the signatures of images: see
	// RefreshOptions. The engine sets it where the policy lets in what systemd would
	// fail of as a whole.
	SetAside bool
	Now      time.Time
	// Mapper says that the engine has data with a hash tree pass through dm-verity,
	// and reads nothing of it before. Only then may the data itself stay unread.
	Mapper bool
	// Mapping says why systemd has no dm-verity; nil is device.HaveMapper.
	Mapping func() error
	// Seal, where Mapper is false, copies images with a hash tree first and checks
	// and uses the copy. Without it they are checked in place, which is good for a
	// dry run, and for engines that can do no better. If it has a Folder, its Memory
	// is for all copies together.
	Seal *device.SealOptions

	// Force merges what the host's os-release would keep out.
	Force bool
	// Extended matches by Inlay's own keys of release files, too.
	Extended bool
	// Unsafe lets extensions have files that steer an overlay, Override lets
	// them replace a folder with a file and a link with a folder.
	Unsafe, Override bool

	// Hierarchies are the folders to merge into: absolute, or the word "kairos".
	// None leaves it to the environment and to systemd's defaults.
	Hierarchies []string
	// Mutable is "" to leave it to the environment and systemd's configuration.
	Mutable Mode
	// NoExec overrides the kind's own rule.
	NoExec *bool
	// Getenv returns a variable of the environment, or ""; nil is none at all.
	Getenv func(string) string
}
