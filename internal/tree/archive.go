package tree

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"io"
	"time"
)

// entries are the entries of an archive, as archive/tar gives them out.
type entries interface {
	Next() (*tar.Header, error)
	Read(p []byte) (int, error)
}

// archive reads the headers that make up nearly all of an archive by itself,
// in an eighth of the time. At the first entry that is anything else (GNU's
// long names and sparse files, old headers, the archive's end, damage) it gives
// way to archive/tar for all the rest. What it takes, archive/tar takes, and to
// the same effect; a fuzz target holds it to that.
type archive struct {
	r     io.Reader
	odd   *tar.Reader // reads the rest
	left  int64       // of the entry's content
	pad   int64       // that follows it
	begun []byte      // what was read of the entry's headers
	h     tar.Header  // valid until the next one
	more  extended
	err   error // the last word
}

const blockSize = 512

// Next goes on to the next entry. Its header is valid until the next call.
func (a *archive) Next() (*tar.Header, error) {
	if a.odd != nil {
		return a.odd.Next()
	}
	if a.err == nil {
		a.err = a.skip()
	}
	if a.err != nil {
		return nil, a.err
	}
	for {
		at := len(a.begun)
		if err := a.read(blockSize); err != nil {
			return a.giveWay(err)
		}
		b := (*[blockSize]byte)(a.begun[at:])
		if !a.plain(b) {
			return a.giveWay(nil)
		}
		if a.h.Typeflag != tar.TypeXHeader {
			break
		}
		if at > 0 || a.h.Size > maxExtended {
			return a.giveWay(nil)
		}
		at, size := len(a.begun), int(a.h.Size)
		if err := a.read(size + int(padding(int64(size)))); err != nil {
			return a.giveWay(err)
		}
		if !a.more.parse(a.begun[at : at+size]) {
			return a.giveWay(nil)
		}
	}
	a.more.apply(&a.h)
	if a.h.Typeflag == tar.TypeReg { // others have no content, whatever their size
		a.left, a.pad = a.h.Size, padding(a.h.Size)
	}
	return &a.h, nil
}

// skip passes over what is left of an entry.
func (a *archive) skip() error {
	if a.left > 0 {
		if n, err := io.CopyN(io.Discard, a.r, a.left); err != nil {
			if err == io.EOF && n < a.left { //nolint:errorlint // as archive/tar does
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	a.begun = a.begun[:0]
	if err := a.read(int(a.pad)); err != nil {
		return err
	}
	a.begun, a.left, a.pad, a.more = a.begun[:0], 0, 0, extended{}
	return nil
}

// Read reads the entry's content.
func (a *archive) Read(p []byte) (n int, err error) {
	if a.odd != nil {
		return a.odd.Read(p)
	}
	if a.err != nil {
		return 0, a.err
	}
	if p = p[:min(int64(len(p)), a.left)]; len(p) > 0 {
		n, err = a.r.Read(p)
		a.left -= int64(n)
	}
	switch {
	case err == io.EOF && a.left > 0:
		a.err = io.ErrUnexpectedEOF
	case err == nil && a.left == 0, err == io.EOF:
		return n, io.EOF
	default:
		a.err = err
	}
	return n, a.err
}

// read appends n bytes to begun, fewer only with an error. The end is io.EOF,
// wherever it comes.
func (a *archive) read(n int) error {
	from := len(a.begun)
	a.begun = append(a.begun, make([]byte, n)...)
	for at := from; at < len(a.begun); {
		m, err := a.r.Read(a.begun[at:])
		if at += m; err != nil && at < len(a.begun) {
			a.begun = a.begun[:at]
			return err
		}
	}
	return nil
}

// giveWay hands what was read of an entry, and what followed, to archive/tar.
// With err, that is what followed.
func (a *archive) giveWay(err error) (*tar.Header, error) {
	rest := a.r
	if err != nil {
		rest = failing{err}
	}
	a.odd = tar.NewReader(io.MultiReader(bytes.NewReader(a.begun), rest))
	return a.odd.Next()
}

// failing is a reader that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// padding returns how many bytes follow size bytes of content.
func padding(size int64) int64 { return -size & (blockSize - 1) }

// plain reads a header block, as POSIX.1-1988 describes it, into a.h. It is
// false if there may be more to it.
func (a *archive) plain(b *[blockSize]byte) bool {
	posix := string(b[257:263]) == "ustar\x00" && string(b[508:]) != "tar\x00"
	// GNU's has other fields where the prefix is; they are seldom used.
	gnu := string(b[257:265]) == "ustar  \x00" && allZero(b[345:])
	if !posix && !gnu {
		return false
	}
	var numbers [8]int64
	for i, field := range [8][]byte{b[148:156], b[100:108], b[108:116], b[116:124], b[124:136], b[136:148], b[329:337], b[337:345]} {
		var ok bool
		if numbers[i], ok = octal(field); !ok {
			return false
		}
	}
	if numbers[0] != checksum(b) {
		return false
	}
	switch b[156] {
	case tar.TypeReg, tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo, tar.TypeXHeader:
	default:
		return false
	}
	if b[156] == tar.TypeXHeader {
		a.h = tar.Header{Typeflag: b[156], Size: numbers[4]}
		return true
	}
	a.h = tar.Header{
		Typeflag: b[156], Linkname: text(b[157:257]),
		Mode: numbers[1], Uid: int(numbers[2]), Gid: int(numbers[3]), Size: numbers[4],
		ModTime:  time.Unix(numbers[5], 0),
		Devmajor: numbers[6], Devminor: numbers[7],
	}
	if len(a.more.path) == 0 { // else it would not count
		a.h.Name = text(b[:100])
		if posix && b[345] != 0 {
			a.h.Name = text(b[345:500]) + "/" + a.h.Name
		}
	}
	return true
}

// text returns a field up to its NUL, if it has one.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// octal reads a number that ends with the field, or in NULs and spaces.
func octal(b []byte) (n int64, ok bool) {
	i := 0
	for ; i < len(b) && b[i]&^7 == '0'; i++ {
		n = n<<3 | int64(b[i]&7)
	}
	for _, c := range b[i:] {
		if c != 0 && c != ' ' {
			return 0, false
		}
	}
	return n, true
}

// checksum adds up the bytes of a header, those of the checksum as spaces, eight
// at a time: in each of four lanes of 16 bits there is room for 257.
func checksum(b *[blockSize]byte) int64 {
	const lanes = 0x00ff00ff00ff00ff
	var sum uint64
	for i := 0; i < blockSize; i += 8 {
		v := binary.LittleEndian.Uint64(b[i:])
		sum += v&lanes + v>>8&lanes
	}
	total := int64(sum&0xffff + sum>>16&0xffff + sum>>32&0xffff + sum>>48)
	for _, c := range b[148:156] {
		total += ' ' - int64(c)
	}
	return total
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
