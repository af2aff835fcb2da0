package boot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"inlay/internal/bootstate"
	"inlay/internal/disk"
	"inlay/internal/extension"
	"inlay/internal/guid"
	"inlay/internal/mount"
	"inlay/internal/rooted"
	"inlay/internal/store"
)

const (
	// persistentLabel is that of the file system which holds a node's state.
	persistentLabel = "COS_PERSISTENT"
	// persistentPartition is what Kairos calls its partition, which if encrypted
	// shows no label.
	persistentPartition = "persistent"
	// persistentAt is where it is mounted if nobody has it mounted.
	persistentAt = "run/inlay/persistent"
	// bindFolder is where Kairos keeps, on it, what a node has in var/lib/kairos.
	bindFolder = ".state/var-lib-kairos.bind"
)

// findPersistent finds the stores for a boot whose system has not mounted the
// node's state: recovery, and a reset. Links lead onto that partition then. Where it
// cannot be reached, there is what the recovery system brings itself.
func (p *pass) findPersistent(ctx context.Context) (string, error) {
	d, err := p.persistent()
	if err == nil && p.holdsStore(d.Device) {
		return "", p.addStores()
	}
	var root *os.Root
	var at string
	if err == nil {
		root, at, err = p.openPersistent(ctx, d)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("the node's store is unreachable: %w", err), p.addStores())
	}
	if root == nil {
		return fmt.Sprintf("%s has nothing for this boot", d.Node()), p.addStores()
	}
	var found []string
	for _, k := range p.Kinds {
		where := storeOn(root, k)
		if where == "" {
			err = errors.Join(err, p.addStore(k, p.Target, "", ""))
			continue
		}
		p.sayOwn(k)
		err = errors.Join(err, p.addStore(k, root, where, at))
		found = append(found, path.Join("/", at, where))
	}
	return fmt.Sprintf("the store on %s: %s", d.Node(), strings.Join(found, ", ")), err
}

// addStore adds one store that lies at a place below root, "" for where its kind has
// it; the running system sees root at a path of its own.
func (p *pass) addStore(k extension.Kind, root *os.Root, where, at string) error {
	s, err := store.Open(root, k, store.Options{At: where})
	if err != nil {
		return err
	}
	p.places = append(p.places, place{kind: k, store: s, at: at, folder: root, copied: at == borrowedAt})
	return nil
}

// storeOn returns where on the partition the store of a kind lies, "" for nowhere.
func storeOn(root *os.Root, k extension.Kind) string {
	for _, at := range []string{path.Join(bindFolder, path.Base(k.Store)), k.Store} {
		clean, err := rooted.Resolve(root, at)
		if err != nil {
			continue
		}
		if info, err := root.Lstat(clean); err == nil && info.IsDir() {
			return at
		}
	}
	return ""
}

// sayOwn says that extensions which the recovery system brings itself don't count:
// the store of the node does.
func (p *pass) sayOwn(k extension.Kind) {
	own, err := store.Open(p.Target, k, store.Options{})
	if err != nil {
		return
	}
	defer func() { _ = own.Close() }() // it was only read
	images, err := own.Images()
	if err == nil && slices.ContainsFunc(images, func(i store.Image) bool { return len(i.Profiles) > 0 }) {
		p.problem("what is enabled in /%s of the system itself is passed over: the node's store is on %s", own.Path(), persistentLabel)
	}
}

// persistent returns the device with the node's state.
func (p *pass) persistent() (disk.Labelled, error) {
	devices, problems, err := disk.Devices(p.System)
	if err != nil {
		return disk.Labelled{}, err
	}
	all, more := disk.Look(p.System, devices)
	var found, locked []disk.Labelled
	for _, d := range all {
		switch {
		case d.Kind == "crypto_LUKS":
			locked = append(locked, d)
		case d.Superblock == persistentLabel:
			found = append(found, d)
		}
	}
	if len(found) > 1 {
		found = p.sameDisk(found)
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return disk.Labelled{}, fmt.Errorf("%s are all labelled %s: detach all but one, or mount the one that is meant at /%s, and run inlay boot again",
			nodes(found), persistentLabel, persistentAt)
	case len(locked) > 0:
		return disk.Labelled{}, fmt.Errorf("%s is encrypted, and locked: unlock it (cryptsetup open), and run inlay boot again",
			nodes(likely(locked)))
	}
	return disk.Labelled{}, errors.Join(append([]error{
		fmt.Errorf("no partition is labelled %s: its disk may be missing, or the driver for it", persistentLabel),
	}, append(problems, more...)...)...)
}

// sameDisk returns those on the disk that was booted from, or all if that says
// nothing.
func (p *pass) sameDisk(all []disk.Labelled) []disk.Labelled {
	id, err := loaderPartition(p.System)
	if err != nil || id == (guid.GUID{}) {
		return all
	}
	booted, err := disk.ByID(p.System, id)
	if err != nil {
		return all
	}
	same := slices.DeleteFunc(slices.Clone(all), func(d disk.Labelled) bool { return d.Disk != booted.Disk })
	if len(same) == 0 {
		return all
	}
	return same
}

// likely returns the encrypted devices that say they hold the node's state, or all.
func likely(locked []disk.Labelled) []disk.Labelled {
	named := slices.DeleteFunc(slices.Clone(locked), func(d disk.Labelled) bool {
		return d.Superblock != persistentLabel && d.Label != persistentPartition
	})
	if len(named) == 0 {
		return locked
	}
	return named
}

func nodes(all []disk.Labelled) string {
	var names []string
	for _, d := range all {
		names = append(names, d.Node())
	}
	return strings.Join(names, ", ")
}

// holdsStore says whether the target's store lies on a device already: a recovery
// system may have mounted it after all.
func (p *pass) holdsStore(d disk.Device) bool {
	mounts, err := disk.Mounts(p.System)
	if err != nil {
		return false
	}
	for _, k := range p.Kinds {
		at, err := rooted.Resolve(p.Target, k.Store)
		if err != nil {
			continue
		}
		over, found := mount.Covering(mounts, path.Join("/", targetAt(p.System, p.Target), at))
		if found && d.Is(p.System, over) {
			return true
		}
	}
	return false
}

// openPersistent opens the partition, where the running system will see it too, and
// mounts it if need be. Without anything on it that this boot wants it does not: who
// repairs the node wants to unmount or check it. Then there is no root. A reset formats
// it: there the images are copied, and it is let go of.
func (p *pass) openPersistent(ctx context.Context, d disk.Labelled) (root *os.Root, at string, err error) {
	m, err := disk.Mount(p.System, d.Device, d.Kind)
	if err != nil {
		return nil, "", err
	}
	wanted, err := p.wantsOf(m.Root)
	if err != nil || !wanted {
		return nil, "", errors.Join(err, m.Close())
	}
	at, stays := p.final(m.At)
	switch {
	case m.At != "" && stays:
		return m.Detach(), at, nil
	case p.DryRun:
		return m.Detach(), persistentAt, nil
	case p.State.State == bootstate.AutoReset:
		root, err := p.borrow(ctx, m.Root)
		return root, borrowedAt, errors.Join(err, m.Close())
	}
	seen, err := disk.MountAt(p.System, d.Device, d.Kind, persistentAt)
	if err = errors.Join(err, m.Close()); err != nil {
		return nil, "", err
	}
	return seen.Detach(), persistentAt, nil
}

// wantsOf says whether a store below root has anything that this boot uses.
func (p *pass) wantsOf(root *os.Root) (bool, error) {
	for _, k := range p.Kinds {
		wanted := false
		err := p.eachWanted(root, k, func(*store.Store, store.Image) error {
			wanted = true
			return nil
		})
		if err != nil || wanted {
			return wanted, err
		}
	}
	return false, nil
}

// eachWanted goes through what this boot uses of a store below root, if there is one.
func (p *pass) eachWanted(root *os.Root, k extension.Kind, do func(*store.Store, store.Image) error) (err error) {
	at := storeOn(root, k)
	if at == "" {
		return nil
	}
	s, err := store.Open(root, k, store.Options{At: at})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	images, err := s.Images()
	if err != nil {
		return err
	}
	for _, im := range images {
		if slices.ContainsFunc(im.Profiles, p.uses) {
			if err := do(s, im); err != nil {
				return err
			}
		}
	}
	return nil
}

// uses says whether this boot uses what is enabled for a profile.
func (p *pass) uses(profile store.Profile) bool {
	return slices.Contains(p.profiles(), string(profile))
}
