package trust

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"inlay/internal/rooted"
)

// RunFolder is systemd's folder of certificates in memory. On a trusted boot the
// anchors that count lie there, for systemd and for every later command.
const RunFolder = "run/verity.d"

// imageFolder is the folder of certificates that an image brings along.
const imageFolder = "usr/lib/verity.d"

// Boot are the places from which a trusted boot takes its anchors: those that
// nobody could have written to who has not signed what was booted, and what this
// boot holds in memory. Whoever could write to the disk before cannot add to them.
type Boot struct {
	// System is where this boot's sys and run are. What it carries itself counts as
	// far as it lies in memory: then it came with the signed image.
	System *os.Root
	// Initrd says that System is an initial RAM disk, of which etc counts, too.
	Initrd bool
	// InMemory says that a folder lies in memory; nil asks the kernel.
	InMemory func(root *os.Root, name string) bool
	// Given are certificates that were found elsewhere in the signed image.
	Given []Given
	// Image is what the configuration says that the image brings along: it counts as
	// a whole. Its paths lie below System.
	Image Options
}

// Options returns what a trusted boot makes of the configuration of the machine,
// which may lie on a disk that anybody wrote to: what takes trust away counts (pins,
// deny lists, revocations), and nothing that adds any. The firmware counts, and so
// does what the signed image carries.
func (b Boot) Options(configured Options) (Options, []Problem) {
	o := Options{
		Root: configured.Root, System: b.System, Firmware: true, Carried: true, EFIVars: configured.EFIVars,
		VendorCAs: b.Image.VendorCAs, Chains: b.Image.Chains,
		Fingerprints: b.Image.Fingerprints, Narrower: configured.Fingerprints,
		DenyLists:   slices.Concat(configured.DenyLists, b.Image.DenyLists),
		DenyFolders: configured.DenyFolders,
		// They can only deny.
		DenyAnchors: configured.Places(),
	}
	o.DenyAnchors.Firmware = false
	c := carried{boot: b}
	c.given = append(c.given, b.Given...)
	c.given = append(c.given, b.Image.Given...)
	for _, name := range b.Image.Files {
		c.file(name)
	}
	folders := slices.Concat([]string{RunFolder, imageFolder}, b.Image.Folders)
	if b.Initrd {
		folders = slices.Insert(folders, 1, "etc/verity.d")
	}
	for _, folder := range folders {
		c.folder(strings.TrimPrefix(folder, "/"))
	}
	if configured.Firmware || len(configured.Given)+len(configured.Files) > 0 {
		c.problem("configuration", "on a trusted boot it adds nobody to trust, since it could have been changed on the disk: the certificates in it count only if the signed image carries them")
	}
	o.Given = c.given
	return o, c.problems
}

// carried collects the certificates that the image carries.
type carried struct {
	boot     Boot
	given    []Given
	problems []Problem
}

func (c *carried) problem(origin, format string, args ...any) {
	c.problems = append(c.problems, Problem{oneLine(origin), oneLine(fmt.Sprintf(format, args...))})
}

func (c *carried) inMemory(name string) bool {
	if c.boot.InMemory == nil {
		return InMemory(c.boot.System, name)
	}
	return c.boot.InMemory(c.boot.System, name)
}

// folder reads a folder of certificates, if it lies in memory. A link to /dev/null
// is no certificate, and hides none: there is nothing below it to hide.
func (c *carried) folder(folder string) {
	names, err := rooted.ReadNames(c.boot.System, folder, maxNames)
	if err != nil || len(names) == 0 {
		return // what is not there adds nothing
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return !strings.HasSuffix(name, suffix) || strings.HasPrefix(name, ".")
	})
	if len(names) == 0 {
		return
	}
	if !c.inMemory(folder) {
		c.problem(shown(folder), "not used: it lies on a disk, and this is a trusted boot, in which only what is signed or in memory counts")
		return
	}
	for _, name := range names {
		c.file(path.Join(folder, name))
	}
}

// file reads a certificate file, if what the name leads to lies in memory, too.
func (c *carried) file(name string) {
	clean, err := rooted.Resolve(c.boot.System, name)
	if err == nil && clean == rooted.Null {
		return
	}
	if err == nil && !c.inMemory(path.Dir(clean)) {
		c.problem(shown(name), "not used: it leads to a disk, and this is a trusted boot")
		return
	}
	text, err := rooted.ReadFile(c.boot.System, name, maxFile)
	if err != nil {
		c.problem(shown(name), "not used: %s", reason(err))
		return
	}
	if path.Dir(name) == RunFolder && !c.boot.Image.VendorCAs {
		// Kairos puts all of db there.
		if certs, _ := parsePEM(text); slices.ContainsFunc(certs, isVendor) {
			c.problem(shown(name), "a vendor's certificate for boot loaders, which is not trusted for extensions unless asked for")
			return
		}
	}
	c.given = append(c.given, Given{Origin: shown(name), PEM: text})
}
