package ddi

import "sync"

// BehindFile is a File that writes through to the disk while more is written to
// it, so that Sync has little left to do.
type BehindFile interface {
	File
	// WriteBehind begins with size bytes at off, all of which were written. It
	// need not wait for them, and need not do anything.
	WriteBehind(off, size int64)
}

// earlySize is how much of the file is written through at once: large enough
// that disks like it, small enough that little is left at the end.
const earlySize = 8 << 20

// early knows which parts of the file are whole.
type early struct {
	stored map[int64]int64 // bytes of each part of earlySize
	busy   sync.WaitGroup
}

// begin counts what was stored, and begins to write through a part that is
// whole with it.
func (d *Data) begin(off int64, n int) {
	f, ok := d.file.(BehindFile)
	if !ok {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.early.stored == nil {
		d.early.stored = make(map[int64]int64)
	}
	for left := int64(n); left > 0; {
		part := off / earlySize
		size := min(left, (part+1)*earlySize-off)
		off, left = off+size, left-size
		if d.early.stored[part] += size; d.early.stored[part] < earlySize {
			continue
		}
		delete(d.early.stored, part)
		d.early.busy.Go(func() { f.WriteBehind(DataOffset+part*earlySize, earlySize) })
	}
}

// settle is Flush at the end.
func (d *Data) settle() error {
	err := d.Flush()
	d.early.busy.Wait()
	return err
}
