package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// maxMemory bounds what the names and attributes of all layers together may
// take, in bytes as cost counts them: about four million ordinary files.
// Archives compress such things a thousandfold, so a small download could
// otherwise exhaust any machine.
const maxMemory = 1 << 30

// Sink takes the content of regular files.
type Sink interface {
	// Store reads all of r, ino.Size bytes, and sets ino.Ref to find it again.
	// The attributes of ino are final but for Links. Name is the cleaned name in
	// the tree, one of them if there are several. A file whose name turns out
	// otherwise is stored again under that one, and the first content is waste;
	// so is that of a file that later entries of its layer replace.
	Store(name string, ino *Inode, r io.Reader) error
}

// Options say what [Merge] does with entries.
type Options struct {
	// Keep says whether the content of a regular file under this cleaned name
	// is wanted; nil means all. The tree has the file in either case.
	Keep func(name string) bool
	// Transform changes the attributes of an entry as it is read, but neither
	// Name, Kind, Size nor Link, or refuses it. It sees each entry once, under the
	// name that its layer gives it, and neither hard links nor whiteouts.
	Transform func(*Entry) error
}

// Report says what [Merge] did.
type Report struct {
	Entries   int      // entries read, those of whiteouts included
	Whiteouts int      // whiteouts and opaque markers among them
	Dropped   int      // those of them that hid nothing in the layers given
	Skipped   int      // hard links that Keep refuses and whose file no layer given has
	Twice     []string // names of the layers that had to be read twice
}

// Merge puts layers, the lowest first, on top of each other as a container
// runtime would, and stores the content of the files that remain. Errors name
// the layer and the entry.
func Merge(ctx context.Context, layers []Layer, o Options, s Sink) (*Tree, Report, error) {
	if len(layers) > math.MaxUint16 {
		return nil, Report{}, fmt.Errorf("merging layers: %d are more than %d", len(layers), math.MaxUint16)
	}
	if o.Keep == nil {
		o.Keep = func(string) bool { return true }
	}
	m := &merge{options: o, sink: s, masks: Mask{}, records: make([]records, len(layers))}
	for i, l := range slices.Backward(layers) {
		if err := m.read(ctx, l, &m.records[i]); err != nil {
			return nil, m.report, fmt.Errorf("reading layer %q: %w", l.Name(), err)
		}
		if i > 0 {
			m.masks.add(&m.records[i])
		}
	}
	m.masks = nil
	t := New()
	for i, l := range layers {
		a := applier{merge: m, tree: t, layer: uint16(i + 1), records: &m.records[i]}
		if err := a.apply(ctx); err != nil {
			return nil, m.report, fmt.Errorf("applying layer %q: %w", l.Name(), err)
		}
	}
	missing := m.missing(t)
	for i, l := range slices.Backward(layers) {
		if err := m.readAgain(ctx, l, &m.records[i], missing); err != nil {
			return nil, m.report, fmt.Errorf("reading layer %q again: %w", l.Name(), err)
		}
	}
	return t, m.report, nil
}

// merge is the state of one Merge.
type merge struct {
	options Options
	sink    Sink
	report  Report
	masks   Mask // what the layers read so far hide of those still to come
	records []records
	xattrs  interned
	memory  int64 // see maxMemory
}

// What an entry takes beside its strings: its record and its place in a folder;
// and an inode, folders that no entry names included.
const (
	recordCost = 80
	inodeCost  = 120
)

// cost accounts for size bytes and strs.
func (m *merge) cost(size int, strs ...string) error {
	for _, s := range strs {
		size += len(s)
	}
	if m.memory += int64(size); m.memory > maxMemory {
		return errors.New("the layers hold more files than inlay has memory for (about four million)")
	}
	return nil
}

// read takes down what a layer says and stores the content that nothing seen
// so far hides.
func (m *merge) read(ctx context.Context, l Layer, to *records) error {
	return l.Walk(ctx, func(e *Entry, r io.Reader) error {
		m.report.Entries++
		if e.Name == "" && e.Kind != Directory && e.Kind != Opaque {
			return fmt.Errorf("the root cannot be a %s", e.Kind)
		}
		if err := m.cost(recordCost, e.Name, e.Link, e.Target); err != nil {
			return err
		}
		switch e.Kind {
		case Whiteout, Opaque:
			m.report.Whiteouts++
			to.hides = append(to.hides, hide{strings.Clone(e.Name), e.Kind == Opaque})
			return nil
		case HardLink:
			to.add(record{name: strings.Clone(e.Name), link: strings.Clone(e.Link)})
			return nil
		}
		if m.options.Transform != nil {
			if err := m.options.Transform(e); err != nil {
				return err
			}
		}
		ino, err := m.inode(e)
		if err != nil {
			return err
		}
		rec := record{name: strings.Clone(e.Name), ino: ino}
		to.add(rec)
		if e.Kind != Regular || !m.options.Keep(e.Name) || m.masks.Hides(e.Name) {
			return nil
		}
		return m.store(rec.name, ino, r)
	})
}

// inode makes the inode that a new entry stands for.
func (m *merge) inode(e *Entry) (*Inode, error) {
	ino := NewInode(e.Kind, e.Mode)
	ino.UID, ino.GID, ino.Sec, ino.Nsec = e.UID, e.GID, e.Sec, e.Nsec
	ino.Size, ino.Major, ino.Minor, ino.Target = e.Size, e.Major, e.Minor, strings.Clone(e.Target)
	size := inodeCost
	for _, x := range e.Xattrs {
		size += len(x.Name) + len(x.Value)
	}
	ino.Xattrs = m.xattrs.share(e.Xattrs)
	return ino, m.cost(size)
}

func (m *merge) store(name string, ino *Inode, r io.Reader) error {
	if err := m.sink.Store(name, ino, r); err != nil {
		return fmt.Errorf("storing %s: %w", quote(name), err)
	}
	ino.Stored = true
	return nil
}

// missing returns the files of the finished tree whose content the sink lacks,
// or has under a name that is not theirs, each with the name it will go by.
func (m *merge) missing(t *Tree) map[*Inode]string {
	some := false
	for i := range m.records {
		for rec := range m.records[i].all() {
			if ino := rec.ino; ino != nil && ino.Links > 0 && ino.Kind() == Regular {
				ino.settled = ino.settled || ino.Stored && t.Lookup(rec.name) == ino
				some = some || !ino.settled
			}
		}
	}
	if !some {
		return nil
	}
	missing := map[*Inode]string{}
	for name, ino := range t.All() {
		if ino.settled || ino.Kind() != Regular || !m.options.Keep(name) {
			continue
		}
		if _, known := missing[ino]; !known {
			missing[ino] = name
		}
	}
	return missing
}

// readAgain stores what is missing of one layer, if anything is.
func (m *merge) readAgain(ctx context.Context, l Layer, from *records, missing map[*Inode]string) error {
	wanted := 0
	for rec := range from.all() {
		if _, ok := missing[rec.ino]; ok {
			wanted++
		}
	}
	if wanted == 0 {
		return nil
	}
	m.report.Twice = append(m.report.Twice, l.Name())
	n := 0
	err := l.Walk(ctx, func(e *Entry, r io.Reader) error {
		if e.Kind == Whiteout || e.Kind == Opaque {
			return nil
		}
		rec, ok := from.at(n)
		n++
		if !ok || rec.name != e.Name {
			return fmt.Errorf("entry %s is not what it was the first time", quote(e.Name))
		}
		name, ok := missing[rec.ino]
		if !ok {
			return nil
		}
		if e.Kind != Regular || e.Size != rec.ino.Size {
			return fmt.Errorf("entry %s is not what it was the first time", quote(e.Name))
		}
		wanted--
		return m.store(name, rec.ino, r)
	})
	if err == nil && wanted > 0 {
		err = errors.New("it ends before it did the first time")
	}
	return err
}
