package pe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// NewSection is a section to be added to a stub.
type NewSection struct {
	// Name has 1 to 8 bytes.
	Name string
	// Data is read once, to its end, and has Size bytes; Size is not 0.
	Data io.Reader
	Size int64
	// Characteristics are bits; none mean initialized data, to be read.
	Characteristics uint32
}

// ExtendOptions are choices of Extend.
type ExtendOptions struct {
	// ClearNX takes NXCompatible from the program: ukify does so when the kernel
	// inside does not have it, since a program must not promise what a part of
	// it cannot keep.
	ClearNX bool
}

// Extend writes stub to w with sections added behind its own, in the order given,
// as systemd's ukify does it, and returns the size of the file. A section that
// the stub has already (its .sbat) gets the new content instead, which must fit
// into its place; all else of the stub stays as it is, base relocations too. A
// certificate table and a COFF symbol table at the stub's end are left out. The
// checksum is right. Content is streamed: the file may have up to 4 GiB.
//
// A stub whose headers have no room for the new sections is refused; that is the
// bound on their number. After an error, w holds rubbish.
func Extend(w io.WriterAt, stub *File, add []NewSection, o ExtendOptions) (int64, error) {
	e := extension{stub: stub, header: slices.Clone(stub.header), options: o, sections: slices.Clone(stub.Sections)}
	size, err := e.write(w, add)
	if err != nil {
		return 0, fmt.Errorf("adding sections to an EFI program: %w", err)
	}
	return size, nil
}

// extension is one run of Extend.
type extension struct {
	stub    *File
	header  []byte
	options ExtendOptions

	sections    []Section
	parts       []part // content behind the headers, in the order of the file
	end         int64  // of the file so far
	initialized int64  // what was added to it
}

// part is content and the room that it takes in the file.
type part struct {
	section  string
	offset   int64
	data     io.Reader
	size     int64
	room     int64
	replaced bool // one of the stub's, with other content
}

func (e *extension) write(w io.WriterAt, add []NewSection) (int64, error) {
	if err := e.plan(add); err != nil {
		return 0, err
	}
	var c checksum
	c.addHeader(e.header, e.stub.layout.checksum)
	out := io.NewOffsetWriter(w, int64(len(e.header)))
	for _, p := range e.parts {
		if err := p.write(io.MultiWriter(&c, out)); err != nil {
			return 0, fmt.Errorf("section %q: %w", p.section, err)
		}
	}
	binary.LittleEndian.PutUint32(e.header[e.stub.layout.checksum:], c.sum())
	_, err := w.WriteAt(e.header, 0)
	return c.size, err
}

func (p part) write(w io.Writer) error {
	n, err := io.CopyBuffer(w, io.LimitReader(p.data, p.size), make([]byte, copyBuffer))
	if err != nil {
		return err
	}
	if n != p.size {
		return fmt.Errorf("its content ends after %d of %d bytes", n, p.size)
	}
	if n, err := io.ReadFull(p.data, make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		return errors.Join(fmt.Errorf("its content has more than %d bytes", p.size), err)
	}
	_, err = w.Write(make([]byte, p.room-p.size))
	return err
}
