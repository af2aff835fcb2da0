package boot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/rooted"
)

// dropIns are the folders on a disk with single settings of a unit, which is about
// kinds: its own, and those of all units whose names begin as its does up to a dash
// (systemd.unit(5)). Settings of all services whatsoever are left to whoever made them.
func dropIns(unit string, kinds ...string) []covering {
	var all []covering
	first, _, _ := strings.Cut(unit, "-")
	for _, units := range unitFolders() {
		all = append(all,
			covering{path: units + "/" + unit + ".d", kinds: kinds, drop: true},
			covering{path: units + "/" + first + "-.service.d", drop: true})
	}
	return all
}

// unitFolders are those on a disk from which systemd takes units and their settings.
func unitFolders() []string {
	return []string{"etc/systemd/system.control", "etc/systemd/system", "etc/systemd/system.attached", "usr/local/lib/systemd/system"}
}

// unitElsewhere says that the unit which merges is replaced by one on a disk, or has
// another name there, by which it would take more settings; one that is masked merges
// nothing.
func (p *pass) unitElsewhere(k extension.Kind) error {
	for _, units := range unitFolders() {
		clean, err := rooted.Resolve(p.Target, units)
		if err != nil || clean != units && extension.Within(clean, []string{"usr"}) && !extension.Within(clean, []string{"usr/local"}) {
			continue // there is none, or it is what came with the image
		}
		names, err := rooted.ReadNames(p.Target, clean, maxNames)
		if errors.Is(err, unix.ENOTDIR) {
			continue // nothing is in it
		}
		if err != nil {
			return fmt.Errorf("looking for units that take its place: reading %q: %w", "/"+clean, err)
		}
		for _, name := range names {
			at := path.Join(clean, name)
			target, err := p.Target.Readlink(at)
			switch {
			case name != k.Unit && err == nil && path.Base(target) == k.Unit:
				return fmt.Errorf("/%s is another name of the unit, by which it would take settings that nobody has covered: remove it", at)
			case name == k.Unit && !p.harmless(k, at, target):
				return fmt.Errorf("/%s takes the place of the unit that came with the image: remove it", at)
			}
		}
	}
	return nil
}

// harmless says whether what lies in place of a unit is that unit, or masks it. target
// is what it leads to, if it is a link.
func (p *pass) harmless(k extension.Kind, at, target string) bool {
	if target == "/dev/null" || strings.TrimPrefix(target, "/") == "usr/lib/systemd/system/"+k.Unit {
		return true
	}
	info, err := p.Target.Lstat(at)
	return errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode().IsRegular() && info.Size() == 0
}

// bound says whether the image has systemd merge a kind only once that was handed
// over, as inlay boot install --trusted-boot does.
func (p *pass) bound(k extension.Kind) bool {
	const most = 64 << 10 // of a file of settings, in bytes
	folder := path.Join("usr/lib/systemd/system", k.Unit+".d")
	names, err := rooted.ReadNames(p.Target, folder, maxNames)
	if err != nil {
		return false
	}
	for _, name := range names {
		text, err := rooted.ReadFile(p.Target, path.Join(folder, name), most)
		if err == nil && strings.Contains(string(text), "ConditionPathExists=/"+path.Join(HandedOver, k.Name)) {
			return true
		}
	}
	return false
}
