package layer

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/mount"
)

// maxHolders bounds how many services are named.
const maxHolders = 20

// warnHolders names the services that go on seeing what was there before: they have
// a mount namespace with a hierarchy of their own in it. Services that restart, or
// whose namespace receives mounts, are none of them.
func (j *job) warnHolders(ctx context.Context) {
	if !j.running || len(j.trees) == 0 {
		return
	}
	mounts, err := mount.Mounts()
	if err != nil {
		return
	}
	own, known := mount.Covering(mounts, "/")
	if !known {
		return
	}
	var holders []string
	err = mount.Survey(ctx, func(space mount.Namespace) bool {
		root, known := mount.Covering(space.Mounts, "/")
		// Another root folder is another system: a container's, or a chroot.
		if space.Own || !known || root.Device != own.Device || root.Root != own.Root {
			return true
		}
		if !j.shows(space.Mounts) {
			holders = append(holders, owners(space)...)
		}
		return len(holders) < maxHolders
	})
	if err != nil || len(holders) == 0 {
		return
	}
	slices.Sort(holders)
	holders = slices.Compact(holders)
	j.warn(hint.Wrap(fmt.Errorf("still seen as it was before by %s: each has a mount namespace of its own", strings.Join(holders, ", ")),
		"restart them to have them see the merge"))
}

// shows says whether all that is merged now is to be seen in a list of mounts.
func (j *job) shows(mounts []mount.Info) bool {
	for _, b := range j.trees {
		on, known := mount.Covering(mounts, b.path)
		if !known || on.Device != b.device {
			return false
		}
	}
	return true
}

// owners are the services that a mount namespace belongs to, or else its first
// process.
func owners(space mount.Namespace) []string {
	var names []string
	for _, p := range space.Processes {
		if unit := path.Base(p.Group); isUnit(unit) && !strings.HasSuffix(unit, ".scope") && !slices.Contains(names, unit) {
			names = append(names, unit)
		}
	}
	if len(names) == 0 && len(space.Processes) > 0 {
		p := space.Processes[0]
		names = append(names, p.Command+" (process "+strconv.Itoa(p.PID)+")")
	}
	return names
}
