package pe

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"inlay/internal/hint"
)

// localSymbolsStripped is a bit of the COFF header's characteristics.
const localSymbolsStripped = 0x0008

// symbolSize is that of an entry of the COFF symbol table.
const symbolSize = 18

const stubHint = "use the stub of systemd 254 or newer, as its package installed it"

// plan writes the new headers, but for the checksum, and lists what follows them.
func (e *extension) plan(add []NewSection) error {
	for _, step := range []func() error{e.dropTable, e.dropSymbols, e.roundHeaders, e.keepSections} {
		if err := step(); err != nil {
			return err
		}
	}
	for _, n := range add {
		if err := n.check(); err != nil {
			return err
		}
		// Between the sections added now, a name may occur again: each profile
		// of a unified kernel image has its own.
		old := slices.IndexFunc(e.stub.Sections, func(s Section) bool { return s.Name == n.Name })
		var err error
		if old >= 0 {
			err = e.replace(old, n)
		} else {
			err = e.append(n)
		}
		if err != nil {
			return err
		}
	}
	return e.finish()
}

// dropTable removes the place of a certificate table.
func (e *extension) dropTable() error {
	if d := e.stub.layout.directory; d > 0 {
		clear(e.header[d:][:8])
	}
	return nil
}

// dropSymbols removes a symbol table if that is what follows the last section;
// anything else there is refused, as it would end up between sections.
func (e *extension) dropSymbols() error {
	trailing := e.stub.End() - e.stub.layout.endData
	if trailing == 0 {
		return nil
	}
	le := binary.LittleEndian
	coff := e.header[e.stub.layout.coff:]
	start := int64(le.Uint32(coff[coffSymbols:]))
	end := start + symbolSize*int64(le.Uint32(coff[coffSymbolCount:]))
	if start >= e.stub.layout.endData && end+4 <= e.stub.End() {
		// The string table follows; its size counts itself.
		var strings [4]byte
		if err := readFull(e.stub.r, strings[:], end); err != nil {
			return err
		}
		end += int64(le.Uint32(strings[:]))
	}
	if e.stub.layout.table > 0 {
		end = align(end, certificateAlign)
	}
	if start < e.stub.layout.endData || end != e.stub.End() {
		return hint.Wrap(fmt.Errorf("%d bytes follow the last section of the stub", trailing), stubHint)
	}
	clear(coff[coffSymbols:][:8])
	le.PutUint16(coff[coffCharacteristics:], le.Uint16(coff[coffCharacteristics:])|localSymbolsStripped)
	return nil
}

// roundHeaders lets the headers take all the room up to the first section.
func (e *extension) roundHeaders() error {
	have := int64(len(e.header))
	size := align(have, int64(e.stub.FileAlignment))
	if sorted := e.stub.byOffset(); len(sorted) == 0 || int64(sorted[0].RawOffset) != size {
		return hint.Wrap(fmt.Errorf("the headers of the stub end at byte %d, and no section begins there", size), stubHint)
	}
	e.header = append(e.header, make([]byte, size-have)...)
	if err := readFull(e.stub.r, e.header[have:], have); err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(e.header[e.stub.layout.optional+optionalHeaders:], uint32(size))
	return nil
}

// keepSections lists the stub's own content.
func (e *extension) keepSections() error {
	unit := e.stub.FileAlignment
	at := int64(len(e.header))
	for _, s := range e.stub.byOffset() {
		if int64(s.RawOffset) != at || s.RawOffset%unit != 0 || s.RawSize%unit != 0 {
			return hint.Wrap(fmt.Errorf("section %q of the stub has bytes %d to %d, which is not where the one before ends, or no multiple of %d",
				s.Name, s.RawOffset, int64(s.RawOffset)+int64(s.RawSize), unit), stubHint)
		}
		size := int64(s.RawSize)
		e.parts = append(e.parts, part{section: s.Name, offset: at, data: io.NewSectionReader(e.stub.r, at, size), size: size, room: size})
		at += size
	}
	e.end = at
	return nil
}

// memoryEnd is the first address behind all sections so far.
func (e *extension) memoryEnd() int64 {
	end := int64(len(e.header))
	for _, s := range e.sections {
		end = max(end, int64(s.VirtualAddress)+s.loaded())
	}
	return end
}

func (n NewSection) check() error {
	switch {
	case n.Name == "" || len(n.Name) > 8 || bytes.IndexByte([]byte(n.Name), 0) >= 0:
		return fmt.Errorf("section %q: a name has 1 to 8 bytes and no NUL", n.Name)
	case n.Size <= 0:
		return fmt.Errorf("section %q is empty", n.Name)
	case n.Size > math.MaxUint32:
		return fmt.Errorf("section %q has %d bytes, more than the format can hold (4 GiB)", n.Name, n.Size)
	}
	return nil
}

// replace gives section number old of the stub the content of n.
func (e *extension) replace(old int, n NewSection) error {
	s := e.stub.Sections[old]
	if n.Size > int64(s.RawSize) {
		return fmt.Errorf("section %q of %d bytes does not fit into the stub's own, which has room for %d", n.Name, n.Size, s.RawSize)
	}
	i := slices.IndexFunc(e.parts, func(p part) bool { return p.offset == int64(s.RawOffset) })
	if e.parts[i].replaced {
		return fmt.Errorf("section %q is the stub's own, and there are two to take its place", n.Name)
	}
	e.parts[i].data, e.parts[i].size, e.parts[i].replaced = n.Data, n.Size, true
	e.sections[old].VirtualSize = uint32(n.Size)
	e.sections[old].put(e.entry(old))
	return nil
}

// entry is that of section number i in the section table.
func (e *extension) entry(i int) []byte {
	return e.header[e.stub.layout.sections+int64(i)*sectionSize:][:sectionSize]
}

// append puts n behind all other sections.
func (e *extension) append(n NewSection) error {
	i := len(e.sections)
	if room := min((int64(len(e.header))-e.stub.layout.sections)/sectionSize, maxSections); int64(i) >= room {
		return hint.Wrap(fmt.Errorf("section %q: the headers of the stub have room for %d sections, of which it takes %d itself",
			n.Name, room, len(e.stub.Sections)), "build an image with fewer profiles, or use a stub with larger headers")
	}
	entry := e.entry(i)
	if len(bytes.Trim(entry, "\x00")) > 0 {
		return hint.Wrap(fmt.Errorf("section %q: its place in the headers of the stub is taken by other bytes", n.Name), stubHint)
	}
	address := align(e.memoryEnd(), int64(e.stub.SectionAlignment))
	room := align(n.Size, int64(e.stub.FileAlignment))
	if end := max(address+n.Size, e.end+room); end > math.MaxUint32 {
		return fmt.Errorf("with section %q the program ends at byte %d, more than the format can hold (4 GiB)", n.Name, end)
	}
	s := Section{
		Name:            n.Name,
		VirtualSize:     uint32(n.Size),
		VirtualAddress:  uint32(address),
		RawSize:         uint32(room),
		RawOffset:       uint32(e.end),
		Characteristics: n.Characteristics,
	}
	if s.Characteristics == 0 {
		s.Characteristics = InitializedData | Readable
	}
	s.put(entry)
	e.parts = append(e.parts, part{section: n.Name, offset: e.end, data: n.Data, size: n.Size, room: room})
	e.sections = append(e.sections, s)
	e.end += room
	e.initialized += n.Size
	return nil
}

// put writes an entry of the section table.
func (s Section) put(b []byte) {
	le := binary.LittleEndian
	copy(b, s.Name)
	le.PutUint32(b[8:], s.VirtualSize)
	le.PutUint32(b[12:], s.VirtualAddress)
	le.PutUint32(b[16:], s.RawSize)
	le.PutUint32(b[20:], s.RawOffset)
	le.PutUint32(b[36:], s.Characteristics)
}

// finish brings the counts and sizes of the headers up to date.
func (e *extension) finish() error {
	le := binary.LittleEndian
	image := align(e.memoryEnd(), int64(e.stub.SectionAlignment))
	if image > math.MaxUint32 {
		return errors.New("the program takes more memory than the format can say (4 GiB)")
	}
	optional := e.header[e.stub.layout.optional:]
	le.PutUint16(e.header[e.stub.layout.coff+coffSections:], uint16(len(e.sections)))
	le.PutUint32(optional[optionalImage:], uint32(image))
	// Nothing reads this sum; past 4 GiB it wraps.
	le.PutUint32(optional[optionalInitialized:], le.Uint32(optional[optionalInitialized:])+uint32(e.initialized))
	if e.options.ClearNX {
		le.PutUint16(optional[optionalDLL:], le.Uint16(optional[optionalDLL:])&^NXCompatible)
	}
	// What comes of a strange stub must be a program that can be read again.
	after := File{Size: e.end, SizeOfImage: uint32(image), Sections: e.sections, header: e.header}
	return cmp.Or(after.checkFile(), after.checkMemory())
}
