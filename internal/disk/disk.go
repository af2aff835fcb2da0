// Package disk finds partitions without udev, which an initial RAM disk may lack: by
// what the kernel lists below /sys/class/block, the partition tables of the disks
// and the labels that file systems carry.
//
// Partitions go by the number that the kernel gives them, which is that of the
// table. Left out on purpose: disks
// without a GUID partition table but for file systems that take a whole disk,
// device-mapper's names, and unlocking what is encrypted.
package disk

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"inlay/internal/content"
	"inlay/internal/gpt"
	"inlay/internal/guid"
	"inlay/internal/rooted"
)

const (
	// maxDevices bounds the block devices that are looked at: a machine has tens.
	maxDevices = 4096
	// maxAttribute bounds a file below /sys/class/block, in bytes.
	maxAttribute = 4096
	sectorSize   = 512 // of the sizes below /sys, whatever the disk's own are
)

// Device is a partition, or a disk without any.
type Device struct {
	// Name is the kernel's: "vda1". Its node lies in /dev.
	Name string
	// Disk is the name of the disk, Number that of the partition; 0 is a whole disk.
	Disk   string
	Number int
	// Size in bytes.
	Size int64
	// Type, ID and Label are those of the partition table; zero where there is none.
	Type, ID guid.GUID
	Label    string
}

// Node is the path of the device's node.
func (d Device) Node() string { return "/" + node(d.Name) }

// node is where the node of a name below /sys lies: there a name cannot have slashes.
func node(name string) string { return path.Join("dev", strings.ReplaceAll(name, "!", "/")) }

// Devices returns the partitions and bare disks below root, which has the running
// system's /sys and /dev, in the order of their names. What cannot be read of one
// disk is a problem, and hides no other.
func Devices(root *os.Root) (all []Device, problems []error, err error) {
	all, problems, err = All(root)
	parted := map[string]bool{}
	for _, d := range all {
		parted[d.Disk] = parted[d.Disk] || d.Number > 0
	}
	// A disk with partitions is none itself.
	return slices.DeleteFunc(all, func(d Device) bool { return d.Number == 0 && parted[d.Disk] }), problems, err
}

// All is Devices with the disks that have partitions: a hybrid medium is a file
// system, and a disk with partitions.
func All(root *os.Root) (all []Device, problems []error, err error) {
	names, err := rooted.ReadNames(root, "sys/class/block", maxDevices)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("listing block devices: %w", err)
	}
	disks := map[string][]Device{}
	for _, name := range names {
		d, err := device(root, name)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if d.Size > 0 {
			disks[d.Disk] = append(disks[d.Disk], d)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(disks)) { // problems have an order, too
		devices := disks[name]
		if slices.ContainsFunc(devices, func(d Device) bool { return d.Number > 0 }) {
			if err := identify(root, devices); err != nil {
				problems = append(problems, err)
			}
		}
		all = append(all, devices...)
	}
	slices.SortFunc(all, func(a, b Device) int { return cmp.Or(cmp.Compare(a.Disk, b.Disk), cmp.Compare(a.Number, b.Number)) })
	return all, problems, nil
}

// device reads what the kernel says of one.
func device(root *os.Root, name string) (Device, error) {
	at := path.Join("sys/class/block", name)
	d := Device{Name: name, Disk: name}
	size, err := number(root, path.Join(at, "size"))
	if err != nil {
		return d, fmt.Errorf("looking at %q: %w", name, err)
	}
	d.Size = size * sectorSize
	n, err := number(root, path.Join(at, "partition"))
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return d, fmt.Errorf("looking at %q: %w", name, err)
	}
	// A partition lies in the folder of its disk.
	at, err = rooted.Resolve(root, at)
	if err != nil {
		return d, fmt.Errorf("looking at %q: %w", name, err)
	}
	d.Number, d.Disk = int(n), path.Base(path.Dir(at))
	return d, nil
}

func number(root *os.Root, name string) (int64, error) {
	text, err := rooted.ReadFile(root, name, maxAttribute)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err == nil && (n < 0 || n > 1<<54) {
		err = fmt.Errorf("%d is no size", n)
	}
	return n, err
}

// identify gives the partitions of one disk what its table says of them.
func identify(root *os.Root, partitions []Device) error {
	name := partitions[0].Disk
	f, err := open(root, name)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("measuring %q: %w", name, err)
	}
	table, err := gpt.Parse(f, size)
	if errors.Is(err, gpt.ErrNoTable) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the partition table of %q: %w", name, err)
	}
	for i := range partitions {
		for _, p := range table.Partitions {
			if p.Number == partitions[i].Number { // of the disk itself it is 0, and no partition's
				partitions[i].Type, partitions[i].ID, partitions[i].Label = p.Type, p.GUID, p.Label
			}
		}
	}
	return nil
}

// Open opens the device for reading.
func (d Device) Open(root *os.Root) (*os.File, error) { return open(root, d.Name) }

func open(root *os.Root, name string) (*os.File, error) {
	// A drive without a medium is not to be waited for.
	f, err := root.OpenFile(node(name), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("opening device %q: %w", name, err)
	}
	return f, nil
}

// FileSystem returns what a device holds, in blkid's words ("ext4", "vfat",
// "crypto_LUKS"), and its label; "" is nothing that is known.
func (d Device) FileSystem(root *os.Root) (kind, label string, err error) {
	f, err := d.Open(root)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	kind, _ = content.Probe(f, d.Size)
	switch {
	case kind != "":
	case luks(f):
		kind = "crypto_LUKS"
	case iso9660(f):
		kind = "iso9660"
	}
	return kind, Label(f, kind), nil
}
