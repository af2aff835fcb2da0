package ddi

import (
	"errors"
	"fmt"
	"io"
	"runtime"

	"inlay/internal/gpt"
	"inlay/internal/verity"
)

// Options are the identity of an image and how to make it.
type Options struct {
	Architecture  string // in the words of systemd: "x86-64"
	Salt          []byte // of the hash tree
	VerityUUID    [16]byte
	SignatureGUID [16]byte // of the signature partition
	// DiskGUID gives the disk's GUID, which may depend on the content.
	DiskGUID func(root RootHash) gpt.GUID
	Workers  int // that hash and store; 0 means one for each processor
}

// Writer makes an image: first all of Data, then Seal, then Finish.
type Writer struct {
	file    File
	options Options
	tree    *verity.Tree
	data    *Data
	sealed  bool
	root    RootHash
	size    int64 // of the data partition
}

// NewWriter begins an image in f, which must be empty. Errors are those of the
// options.
func NewWriter(f File, o Options) (*Writer, error) {
	if _, known := gpt.TypeOf(gpt.Discoverable{Designator: gpt.Root, Architecture: o.Architecture}); !known {
		return nil, fmt.Errorf("writing image: no partition type for the architecture %q", o.Architecture)
	}
	if len(o.Salt) > verity.MaxSalt {
		return nil, fmt.Errorf("writing image: salt of %d bytes, at most %d fit", len(o.Salt), verity.MaxSalt)
	}
	if o.DiskGUID == nil {
		return nil, errors.New("writing image: no disk GUID")
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	w := &Writer{file: f, options: o, tree: verity.NewTree(verity.Params{Salt: o.Salt, UUID: o.VerityUUID})}
	w.data = newData(f, w.tree, o.Workers)
	return w, nil
}

// Data returns the data partition, to be filled from its first block to its
// last without gaps, in any order.
func (w *Writer) Data() *Data { return w.data }

// Seal ends the data partition after blocks blocks, writes the hash partition
// behind it and returns the root hash, which is what a signature is made over.
func (w *Writer) Seal(blocks int64) (root RootHash, err error) {
	if err := w.data.settle(); err != nil {
		return root, fmt.Errorf("writing data partition: %w", err)
	}
	if w.data.end != blocks*verity.BlockSize {
		return root, fmt.Errorf("sealing %d blocks: %d bytes were written", blocks, w.data.end)
	}
	if root, err = w.tree.Finish(uint64(blocks)); err != nil {
		return root, err
	}
	w.root, w.size, w.sealed = root, blocks*verity.BlockSize, true
	if _, err := w.tree.WriteTo(io.NewOffsetWriter(w.file, DataOffset+w.size)); err != nil {
		return root, err
	}
	return root, nil
}

// Finish writes the signature partition and the partition table and cuts the
// file to its final size, which it returns. With reserve, a nil signature
// leaves the partition empty, to be filled by Attach; without, there will be
// no such partition. Nothing is synced.
func (w *Writer) Finish(sig *Signature, reserve bool) (size int64, err error) {
	if !w.sealed {
		return 0, errors.New("finishing image: it is not sealed")
	}
	t := &gpt.Table{
		DiskGUID:   w.options.DiskGUID(w.root),
		SectorSize: sectorSize,
	}
	end := int64(DataOffset)
	add := func(role gpt.Role, guid gpt.GUID, size int64) error {
		d := gpt.Discoverable{Designator: gpt.Root, Role: role, Architecture: w.options.Architecture}
		p, err := partition(d, guid, end, size, sectorSize)
		t.Partitions = append(t.Partitions, p)
		end += size
		return err
	}
	data, hash := partitionGUIDs(w.root)
	if err := errors.Join(add(gpt.Data, data, w.size), add(gpt.Verity, hash, w.tree.Size())); err != nil {
		return 0, fmt.Errorf("finishing image: %w", err)
	}
	if sig != nil || reserve {
		room, err := sig.room(w.root)
		if err != nil {
			return 0, fmt.Errorf("finishing image: %w", err)
		}
		if _, err := w.file.WriteAt(room, end); err != nil {
			return 0, fmt.Errorf("writing signature partition: %w", err)
		}
		if err := add(gpt.Signature, w.options.SignatureGUID, int64(len(room))); err != nil {
			return 0, fmt.Errorf("finishing image: %w", err)
		}
	}
	t.Size = imageSize(end)
	if err := w.file.Truncate(t.Size); err != nil {
		return 0, fmt.Errorf("finishing image: %w", err)
	}
	if err := t.Write(w.file); err != nil {
		return 0, err
	}
	return t.Size, nil
}

// imageSize returns the size of an image whose partitions end at byte end: the
// backup table follows, and the whole is a multiple of the grain, which
// download and update tools like.
func imageSize(end int64) int64 { return roundUp(end + gpt.BackupSize(sectorSize)) }
