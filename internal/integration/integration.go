// Package integration places what has the boot step run on a system: units of
// systemd with the settings of its merge, scripts of OpenRC, sysvinit and busybox,
// and the modules by which dracut and initramfs-tools take the step into an initrd.
//
// What was placed is noted with its digest, so that exactly that goes again, and so
// that what people have changed meanwhile is neither overwritten nor removed. All
// paths lie below a root, which may be an image that is being made.
//
// Left out on purpose: making the initrd anew, which takes the distribution's own
// tool, and which the caller is told of.
package integration

import (
	"embed"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"

	"inlay/internal/hint"
	"inlay/internal/rooted"
)

//go:embed files
var files embed.FS

// The integrations.
const (
	Systemd   = "systemd"
	OpenRC    = "openrc"
	Sysvinit  = "sysvinit"
	Busybox   = "busybox"
	Dracut    = "dracut"
	Initramfs = "initramfs-tools"
)

// Names lists the integrations: those for init systems, then those for initrds.
func Names() []string { return append(inits(), initrds()...) }

func inits() []string   { return []string{Systemd, OpenRC, Sysvinit, Busybox} }
func initrds() []string { return []string{Dracut, Initramfs} }

// Options say what to place.
type Options struct {
	// Root of the system.
	Root *os.Root
	// Names of integrations; none are those that Root has a use for.
	Names []string
	// Program is the path of inlay in the system.
	Program string
	// Trusted has systemd merge signed images only, whatever else is set.
	Trusted bool
	// Hierarchies are what sysexts are laid over, as SYSTEMD_SYSEXT_HIERARCHIES has
	// it; "" leaves that to systemd.
	Hierarchies string
	// NoTrials lets an extension stay that breaks the boot.
	NoTrials bool
	// Force overwrites what people have changed.
	Force  bool
	DryRun bool
}

// Result says what was done, or would be.
type Result struct {
	Names []string `json:"integrations"`
	// Files are what was placed or removed, Removed what was placed before and is no
	// part of it any more, Kept what stays since people changed it.
	Files   []string `json:"files"`
	Removed []string `json:"removed,omitempty"`
	Kept    []string `json:"kept,omitempty"`
	// Done says that something was changed.
	Done   bool `json:"done"`
	DryRun bool `json:"dryRun,omitempty"`
	// Next is what is left to do by hand.
	Next []string `json:"next,omitempty"`
}

// trustedPolicy is what images must have on a trusted boot, in systemd's language.
const trustedPolicy = "root=signed+absent:usr=signed+absent"

// programs are paths that need no quoting in a unit or a script.
var programs = regexp.MustCompile(`^(/[A-Za-z0-9._+-]+)+$`)

// Detect returns the integrations that a system has a use for: one for its init, and
// those for the tools that make its initrd.
func Detect(root *os.Root) []string {
	var found []string
	for _, look := range []struct {
		name string
		has  []string // one of them
		init bool
	}{
		{Systemd, []string{"usr/lib/systemd/systemd", "lib/systemd/systemd"}, true},
		{OpenRC, []string{"sbin/openrc-run", "usr/sbin/openrc-run"}, true},
		{Sysvinit, []string{"etc/rcS.d", "etc/rc.d/rcS.d"}, true},
		{Busybox, []string{"etc/init.d/rcS"}, true},
		{Dracut, []string{"usr/lib/dracut/modules.d"}, false},
		{Initramfs, []string{"usr/share/initramfs-tools"}, false},
	} {
		if look.init && len(found) > 0 {
			continue // one init, the first
		}
		if slices.ContainsFunc(look.has, func(name string) bool { return exists(root, name) }) {
			found = append(found, look.name)
		}
	}
	return found
}

// exists says whether there is something under a name, links followed.
func exists(root *os.Root, name string) bool {
	at, err := rooted.Resolve(root, name)
	if err == nil {
		_, err = root.Stat(at)
	}
	return err == nil
}

// Install places the integrations, and takes out what it has placed before and is no
// part of them. Nothing is changed if people have changed any of it. What a kill, or a
// full disk, leaves half done the next Install or Uninstall knows of.
func Install(o Options) (*Result, error) {
	if o.Program == "" {
		o.Program = "/usr/bin/inlay"
	}
	if err := CheckProgram(o.Program); err != nil {
		return nil, err
	}
	if len(o.Names) == 0 {
		o.Names = Detect(o.Root)
	}
	if len(o.Names) == 0 {
		return nil, hint.Wrap(errors.New("no init system is known here"), "name what to place with --for, or call \"inlay boot --merge\" from your own script, early in the boot")
	}
	r := &Result{Names: o.Names, Files: []string{}, DryRun: o.DryRun}
	if !exists(o.Root, o.Program) {
		r.Next = append(r.Next, fmt.Sprintf("put inlay at %q: there is no such file", o.Program))
	}
	var want []placed
	for i, name := range o.Names {
		if slices.Contains(o.Names[:i], name) {
			continue
		}
		p, err := o.place(name)
		if err != nil {
			return nil, err
		}
		want = append(want, p...)
		r.Next = append(r.Next, o.next(name)...)
	}
	return r, o.put(want, r)
}

// CheckProgram says why a path of the program is none that is taken.
func CheckProgram(path string) error {
	if programs.MatchString(path) {
		return nil
	}
	return hint.Wrap(fmt.Errorf("the program's path %q is not absolute, or has characters that would need quoting", path),
		"put the program where its path has letters, digits and . _ + - only")
}
