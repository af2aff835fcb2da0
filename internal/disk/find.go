package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"inlay/internal/guid"
	"inlay/internal/mount"
	"inlay/internal/rooted"
)

// ErrNotFound says that no device is what was looked for.
var ErrNotFound = errors.New("no such partition")

// ByID returns the partition with an identifier of the partition table. Two of
// them, as on a disk that was copied, are an error: nobody knows which was meant.
func ByID(root *os.Root, id guid.GUID) (Device, error) {
	all, problems, err := Devices(root)
	if err != nil {
		return Device{}, err
	}
	found := slices.DeleteFunc(all, func(d Device) bool { return d.ID != id })
	switch len(found) {
	case 0:
		return Device{}, errors.Join(append([]error{fmt.Errorf("looking for partition %s: %w", id, ErrNotFound)}, problems...)...)
	case 1:
		return found[0], nil
	}
	return Device{}, fmt.Errorf("%s and %s are both partition %s: one is a copy of the other's disk", found[0].Node(), found[1].Node(), id)
}

// Labelled is a device with what its file system says of itself.
type Labelled struct {
	Device
	Kind       string // blkid's word
	Superblock string // the label of the file system
}

// Look returns what each device holds, and leaves out those that hold nothing that
// is known, and those which are a part of another device: of an array, or of what
// device-mapper has made of them. What cannot be read is a problem.
func Look(root *os.Root, devices []Device) (all []Labelled, problems []error) {
	for _, d := range devices {
		if d.held(root) {
			continue
		}
		kind, label, err := d.FileSystem(root)
		if err != nil {
			problems = append(problems, err)
		} else if kind != "" {
			all = append(all, Labelled{d, kind, label})
		}
	}
	return all, problems
}

// maxHolders bounds the devices that are made of one: hardly ever two.
const maxHolders = 64

// held says whether another device is made of this one.
func (d Device) held(root *os.Root) bool {
	names, err := rooted.ReadNames(root, path.Join("sys/class/block", d.Name, "holders"), maxHolders)
	return err == nil && len(names) > 0
}

// numbers are what the kernel knows the device by.
func (d Device) numbers(root *os.Root) (mount.Device, error) {
	text, err := rooted.ReadFile(root, path.Join("sys/class/block", d.Name, "dev"), maxAttribute)
	if err != nil {
		return mount.Device{}, err
	}
	major, minor, _ := strings.Cut(strings.TrimSpace(string(text)), ":")
	a, err := strconv.ParseUint(major, 10, 32)
	if err != nil {
		return mount.Device{}, fmt.Errorf("device number %q: %w", text, err)
	}
	b, err := strconv.ParseUint(minor, 10, 32)
	if err != nil {
		return mount.Device{}, fmt.Errorf("device number %q: %w", text, err)
	}
	return mount.Device{Major: uint32(a), Minor: uint32(b)}, nil
}

// Is says whether a mount of the running system below root is of the device.
func (d Device) Is(root *os.Root, m mount.Info) bool {
	is, err := d.numbers(root)
	return err == nil && m.Device == is || m.Source == d.Node()
}

// MountedAt returns where the whole file system of the device is mounted, as the
// running system below root sees it, without a leading slash, and whether it can
// be written to there; of several places one where it can. "" is nowhere.
func (d Device) MountedAt(root *os.Root) (at string, writable bool, err error) {
	is, err := d.numbers(root)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return "", false, nil
		}
		return "", false, fmt.Errorf("looking at %q: %w", d.Name, err)
	}
	mounts, err := Mounts(root)
	if err != nil {
		return "", false, err
	}
	for _, m := range mounts {
		if m.Root != "/" || m.Device != is && m.Source != d.Node() {
			continue
		}
		// What another mount hides cannot be reached by its name.
		if top, found := mount.Covering(mounts, m.MountPoint); !found || top.ID != m.ID {
			continue
		}
		can := has(m.Options, "rw") && has(m.Super, "rw")
		if at == "" || can && !writable {
			at, writable = path.Join(".", strings.TrimLeft(m.MountPoint, "/")), can
		}
	}
	return at, writable, nil
}

func has(options, word string) bool { return slices.Contains(strings.Split(options, ","), word) }

// maxMounts bounds a list of mounts, in bytes, as package mount does.
const maxMounts = 64 << 20

// Mounts returns the mounts of the running system below root; without a /proc
// there are none.
func Mounts(root *os.Root) ([]mount.Info, error) {
	text, err := rooted.ReadFile(root, "proc/self/mountinfo", maxMounts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing mounts: %w", err)
	}
	return mount.ParseInfo(strings.NewReader(string(text)))
}
