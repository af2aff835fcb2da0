package discover

import (
	"path"
	"slices"
	"strings"

	"inlay/internal/extension"
)

// OldFolders are folders for sysexts that systemd looked in up to 253: an overlay
// on /usr cannot have a folder as a layer that lies in another layer of it. People
// are still told to use them.
func OldFolders(k extension.Kind) []string {
	if k.Name != extension.Sysext().Name {
		return nil
	}
	return []string{"usr/local/lib/extensions", "usr/lib/extensions"}
}

// Folders returns the folders that systemd looks in, the first of which has
// precedence, without a leading slash. There are none for confexts before 254.
func Folders(o Options) []string {
	r := rulesOf(o)
	var list []string
	switch o.Kind.Name {
	case extension.Sysext().Name:
		list = []string{"etc/extensions", "run/extensions", "var/lib/extensions"}
		if r.old() {
			list = append(list, OldFolders(o.Kind)...)
		}
	case extension.Confext().Name:
		if !r.confexts() {
			return nil
		}
		list = []string{"run/confexts", "var/lib/confexts", "usr/local/lib/confexts", "usr/lib/confexts"}
		if o.Initrd {
			list = slices.DeleteFunc(list, func(folder string) bool { return folder == "usr/lib/confexts" })
		}
	}
	// What the boot loader's stub has laid down is the least trusted.
	if o.Initrd && r.stub() {
		list = append(list, ".extra/"+o.Kind.Name)
		if r.global() {
			list = append(list, ".extra/global_"+o.Kind.Name)
		}
	}
	return list
}

// rules are what differs between the versions of systemd.
type rules struct{ version int }

func rulesOf(o Options) rules {
	if o.Systemd == 0 {
		return rules{extension.NewestSystemd}
	}
	return rules{o.Systemd}
}

// old says that systemd looks in OldFolders by itself.
func (r rules) old() bool { return r.version < 254 }

// confexts says that there are any.
func (r rules) confexts() bool { return r.version >= 254 }

// stub and global say that extensions beside a kernel image and in the boot
// loader's folder are looked for in an initrd.
func (r rules) stub() bool   { return r.version >= 254 }
func (r rules) global() bool { return r.version >= 258 }

// suffixes says that NAME.sysext is called NAME.
func (r rules) suffixes() bool { return r.version >= 255 }

// versioned says that folders called .v hold versions.
func (r rules) versioned() bool { return r.version >= 256 }

// stacks says that folders called .mstack are a type of their own, and that a
// list shows where links lead.
func (r rules) stacks() bool { return r.version >= 260 }

// specified says that the version of a file has the characters of UAPI.10, "~"
// and "^" among them, and no others. Before, it had those of a list of its own.
// Measured with 257 and 262, as is typed.
func (r rules) specified() bool { return r.version >= 262 }

// typed says that a version must be of the right type to be one. Before, the
// best of all had to be, or there was none.
func (r rules) typed() bool { return r.version >= 262 }

// cleaned is a folder's name without a slash in front.
func cleaned(folder string) string { return strings.TrimPrefix(path.Join("/", folder), "/") }
