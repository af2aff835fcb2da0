package ddi

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"inlay/internal/gpt"
)

// ErrNotInPlace is what Attach returns where no single block switches from the
// old image to the new one. The way out is AttachCopy on a copy of the file,
// and a rename.
var ErrNotInPlace = errors.New("signature cannot be attached in place")

// SyncFile is a File that can be made durable.
type SyncFile interface {
	File
	Sync() error
}

// Attach puts sig into the image of size bytes in f, in place of the signature
// that may be there, and returns the image's new size. It writes no more than
// the signature and the partition table. Whenever it is interrupted, be it by
// a power cut, the file is the old image or the new one: everything that the
// old one doesn't refer to is written and synced first, then one block of 4096
// bytes, which a disk writes whole or not at all, makes the switch.
//
// Where that is impossible nothing is written and the error is ErrNotInPlace.
func Attach(f SyncFile, size int64, sig *Signature) (int64, error) {
	p, err := planAttach(f, size, sig)
	if err != nil {
		return 0, err
	}
	if !p.inPlace() {
		return 0, ErrNotInPlace
	}
	return p.size, p.apply(f, size)
}

// AttachCopy is Attach for a file that nobody uses yet: it also does what is
// not possible in place, and mends a damaged copy of the partition table. An
// interrupted AttachCopy may leave a file that is no image.
func AttachCopy(f SyncFile, size int64, sig *Signature) (int64, error) {
	p, err := planAttach(f, size, sig)
	if err != nil {
		return 0, err
	}
	return p.size, p.apply(f, size)
}

// plan is what is to be written: prepare doesn't touch what the old image
// refers to, turn makes the new one of it.
type plan struct {
	size          int64 // of the new image; what follows is cut off
	prepare, turn []change
}

type change struct {
	off  int64
	data []byte
}

// inPlace tells whether turn is one write within one block.
func (p plan) inPlace() bool {
	return len(p.turn) == 1 && p.turn[0].off%Grain == 0 && len(p.turn[0].data) <= Grain
}

// apply writes the plan to the file, whose size was old.
func (p plan) apply(f SyncFile, old int64) error {
	if err := p.extend(f); err != nil {
		// Only the length has changed for the old image. If it cannot be put
		// right, there are bytes behind the image's end.
		_ = f.Truncate(old)
		return fmt.Errorf("attaching signature: %w", err)
	}
	if err := write(f, p.turn); err != nil {
		return fmt.Errorf("attaching signature: %w", err)
	}
	return nil
}

// extend does all that the old image does not refer to.
func (p plan) extend(f SyncFile) error {
	if len(p.prepare) == 0 {
		return nil
	}
	if err := f.Truncate(p.size); err != nil {
		return err
	}
	return write(f, p.prepare)
}

// write makes changes, and makes them durable.
func write(f SyncFile, changes []change) error {
	for _, c := range changes {
		if _, err := f.WriteAt(c.data, c.off); err != nil {
			return err
		}
	}
	return f.Sync()
}

func planAttach(f SyncFile, size int64, sig *Signature) (plan, error) {
	im, err := Open(f, size)
	if err != nil {
		return plan{}, err
	}
	root, err := im.RootHash()
	if err != nil {
		return plan{}, fmt.Errorf("attaching signature: %w", err)
	}
	if sig == nil || sig.RootHash != root {
		return plan{}, fmt.Errorf("attaching signature: it is not for the image's root hash %x", root)
	}
	text, err := sig.Marshal()
	if err != nil {
		return plan{}, err
	}
	fits := im.Signed != nil && im.Table.Length(*im.Signed) <= maxSignature && int64(len(text)) <= im.Table.Length(*im.Signed)
	if fits && len(im.Table.Damage) == 0 {
		return planFill(im, size, text)
	}
	return planAppend(f, im, sig, root)
}

// planFill puts text into the signature partition that is there. One block is
// enough if the old text ends in the first one, too.
func planFill(im *Image, size int64, text []byte) (plan, error) {
	section := im.Section(*im.Signed)
	old, err := readFirst(section, int(section.Size()))
	if err != nil {
		return plan{}, fmt.Errorf("reading signature partition: %w", err)
	}
	fresh := make([]byte, len(old))
	copy(fresh, text)
	at := im.Table.Offset(*im.Signed)
	if len(fresh) > Grain && bytes.Equal(old[Grain:], fresh[Grain:]) {
		fresh = fresh[:Grain]
	}
	return plan{size: size, turn: []change{{at, fresh}}}, nil
}

// planAppend adds a signature partition behind the image, and a backup table
// behind that. The old backup table stays where it is, unused: until the turn
// it belongs to the image.
func planAppend(f SyncFile, im *Image, sig *Signature, root RootHash) (plan, error) {
	room, err := sig.room(root)
	if err != nil {
		return plan{}, err
	}
	old, sector := im.Table, int64(im.Table.SectorSize)
	at := roundUp(old.Size)
	p, err := partition(gpt.Discoverable{Designator: im.Designator, Role: gpt.Signature, Architecture: im.Architecture},
		gpt.GUID{}, at, int64(len(room)), sector)
	if err != nil {
		return plan{}, fmt.Errorf("attaching signature: %w", err)
	}
	p.GUID = Seed(root[:16]).Partition(p.Type, 0)
	t := *old
	t.Size = roundUp(at + int64(len(room)) + gpt.BackupSize(old.SectorSize))
	if im.Signed != nil {
		// It is too small, or the table is damaged: the entry moves.
		p.Number, p.GUID = im.Signed.Number, im.Signed.GUID
		t.Partitions = slices.Clone(old.Partitions)
		i := slices.IndexFunc(t.Partitions, func(q gpt.Partition) bool { return q.Number == p.Number })
		t.Partitions[i] = p
	} else {
		t.Partitions = append(slices.Clone(old.Partitions), p)
	}
	primary, backup, err := t.Encode()
	if err != nil {
		return plan{}, fmt.Errorf("attaching signature: %w", err)
	}
	before, err := readFirst(f, len(primary))
	if err != nil {
		return plan{}, fmt.Errorf("attaching signature: %w", err)
	}
	// Code for starting from old firmware is not ours to remove.
	copy(primary[:440], before)
	result := plan{
		size:    t.Size,
		prepare: []change{{at, room}, {t.Size - int64(len(backup)), backup}},
		turn:    []change{{0, primary}},
	}
	// Only with the table at its usual place, and the changed entry in the
	// first block, is one block all that changes.
	if len(old.Damage) == 0 && bytes.Equal(before[Grain:], primary[Grain:]) {
		result.turn[0].data = primary[:Grain]
	}
	return result, nil
}
