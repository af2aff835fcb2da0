package layer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"inlay/internal/content"
	"inlay/internal/device"
	"inlay/internal/gpt"
	"inlay/internal/hint"
	"inlay/internal/mount"
)

// Guarantee says what keeps the content of a merged extension what it was when it
// was verified.
type Guarantee string

// The guarantees, from the best to none.
const (
	ByVerity      Guarantee = "verity"       // dm-verity: a block that was changed gives an I/O error
	ByCheckedCopy Guarantee = "checked copy" // it was checked in a copy that nobody can change, and that is used
	Unprotected   Guarantee = "unprotected"  // nothing does: who can write to it can change it
)

// mountable are the file systems that systemd mounts, too. An image chooses among
// the kernel's parsers, so that it is not offered more than these.
func mountable() []string {
	return []string{"btrfs", "erofs", "ext4", "f2fs", "squashfs", "vfat", "xfs"}
}

// source is an extension whose files can be used: a mounted image, or an open
// folder.
type source struct {
	tree      *mount.Tree // nil for a folder
	isUsr     bool        // the tree is the folder usr of the extension
	guarantee Guarantee
	// mapping names the dm-verity device, kernel says that the kernel has checked
	// the signature, too.
	mapping string
	kernel  bool
}

// open opens a folder of the extension, which has no link in its path.
func (s *source) open(i *Item, folder string) (*os.File, error) {
	if s.tree == nil {
		return i.Opened.Folder.Open(folder)
	}
	if s.isUsr {
		folder = strings.TrimPrefix(strings.TrimPrefix(folder, gpt.Usr), "/")
		if folder == "" {
			folder = "."
		}
	}
	return s.tree.Open(folder)
}

// files shows the files of a mounted image.
func (s *source) files() (*content.Tree, func() error, error) {
	root, err := s.tree.Root()
	if err != nil {
		return nil, nil, err
	}
	tree := content.Folder(root)
	if s.isUsr {
		tree = tree.Under(gpt.Usr)
	}
	return tree, func() error { return errors.Join(tree.Close(), root.Close()) }, nil
}

// mountImages makes sources of all items that are to be merged. One that cannot be
// mounted is left out, with the reason; nothing else suffers. The error is that of
// ctx, or of looking at the host.
func (j *job) mountImages(ctx context.Context) error {
	dropped := false
	for _, i := range j.plan.Merged() {
		s, err := j.source(ctx, i)
		if err := ctx.Err(); err != nil {
			return err
		}
		if err != nil {
			i.settle(unmountable(err))
			j.plan.release(i)
			dropped = true
			continue
		}
		j.sources[i] = s
	}
	for _, i := range j.plan.Unsettled() {
		tree, done, err := j.sources[i].files()
		if err != nil {
			return err
		}
		j.plan.closers = append(j.plan.closers, done)
		if err := j.plan.Settle(ctx, i, tree); err != nil {
			return err
		}
		dropped = false // that has made the stacks anew
	}
	if dropped {
		return j.plan.arrange(ctx)
	}
	return nil
}

// unmountable says that an image cannot be mounted, unless somebody has said more.
func unmountable(err error) error {
	if _, ok := errors.AsType[*outcome](err); ok {
		return err
	}
	return unreadable(err)
}

func (j *job) source(ctx context.Context, i *Item) (*source, error) {
	if i.Volume == nil {
		return &source{guarantee: Unprotected}, nil
	}
	if fs := i.Volume.FileSystem; !slices.Contains(mountable(), fs) {
		return nil, refusedAs(hint.Wrap(fmt.Errorf("its file system is %s", fs), "build it with one of "+strings.Join(mountable(), ", ")))
	}
	return j.mountVolume(ctx, i)
}

// mountVolume mounts an image: through loop devices of the very file that was
// verified, and dm-verity where there is any. The devices stay for as long as the
// file system is mounted.
func (j *job) mountVolume(ctx context.Context, i *Item) (_ *source, err error) {
	v := i.Volume
	s := &source{isUsr: v.Designator == gpt.Usr, guarantee: Unprotected}
	if v.Sealed {
		s.guarantee = ByCheckedCopy
	}
	data, err := attach(ctx, i.Name, v.File, v.Data, v.SectorSize)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	at := data.Path()
	if v.Protected && j.plan.Request.Mapper {
		mapping, err := j.mapVolume(ctx, i, data)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, mapping.Close()) }()
		at = mapping.Path()
		s.guarantee, s.mapping, s.kernel = ByVerity, mapping.Name, mapping.KernelVerified
	}
	s.tree, err = j.mounter.FileSystem(at, v.FileSystem, j.layerFlags())
	return s, err
}

// mapVolume has a volume's data pass through dm-verity.
func (j *job) mapVolume(ctx context.Context, i *Item, data *device.Loop) (mapping *device.Mapping, err error) {
	v := i.Volume
	hash, err := attach(ctx, i.Name+" (hashes)", v.HashFile, v.Hash, v.SectorSize)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, hash.Close()) }()
	table := device.VerityTable{Data: data, Hash: hash, Superblock: v.Superblock, RootHash: v.RootHash, Signature: v.Signature}
	name := device.VerityName(v.RootHash)
	mapping, err = device.Verity(ctx, name, table)
	if errors.Is(err, device.ErrTaken) {
		// By one that has come upon a corrupt block, perhaps: of another file.
		mapping, err = device.Verity(ctx, fmt.Sprintf("%s-%d", name, data.Number.Minor), table)
	}
	return mapping, err
}

func attach(ctx context.Context, name string, f *os.File, e Extent, sector uint32) (*device.Loop, error) {
	const whole = 512 // what a loop device counts in
	if e.Offset%int64(sector) != 0 || e.Size%int64(sector) != 0 {
		sector = whole
	}
	return device.Attach(ctx, f, device.LoopOptions{Offset: e.Offset, Size: e.Size / whole * whole, SectorSize: sector, Name: name})
}

// layerFlags are those of a mounted image.
func (j *job) layerFlags() mount.Flags {
	flags := mount.ReadOnly | mount.NoDev
	if j.kind.Configuration {
		flags |= mount.NoSuid | mount.NoExec
	}
	return flags
}
