package erofs

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
)

const (
	xattrHeaderSize = 12 // name filter, unused here, and how many are shared
	xattrEntrySize  = 4
	xattrSharedAt   = 4
	maxSharedXattrs = math.MaxUint8 // of one inode

	// maxXattrName is what Linux takes for a whole name (XATTR_NAME_MAX).
	maxXattrName = 255

	// maxXattrs is the room that 16 bits of i_xattr_icount can state: the
	// header counts as one unit and the rest is in units of four bytes.
	maxXattrs = xattrHeaderSize + 4*(math.MaxUint16-1)
)

// xattrName splits a full name into the format's prefix number and the rest.
func xattrName(name string) (index byte, rest string, err error) {
	if len(name) > maxXattrName {
		return 0, "", fmt.Errorf("encoding attribute %q: its name has %d bytes and may have %d", name, len(name), maxXattrName)
	}
	if strings.IndexByte(name, 0) >= 0 {
		return 0, "", fmt.Errorf("encoding attribute %q: its name holds a NUL", name)
	}
	switch name {
	case "system.posix_acl_access":
		return 2, "", nil
	case "system.posix_acl_default":
		return 3, "", nil
	}
	prefix, rest, _ := strings.Cut(name, ".")
	switch prefix {
	case "user":
		index = 1
	case "trusted":
		index = 4
	case "security":
		index = 6
	}
	if index == 0 || rest == "" {
		return 0, "", fmt.Errorf("encoding attribute %q: the format holds user.*, trusted.*, security.*, "+
			"system.posix_acl_access and system.posix_acl_default", name)
	}
	return index, rest, nil
}

// encodeXattrs returns what stands between an inode and its inline content: nil
// for no attributes. Sorted by name, so that their order in the source doesn't
// show; what others have as well comes first, as a number. The result is valid
// until the next call.
func (w *Writer) encodeXattrs(xattrs []Xattr) ([]byte, error) {
	if len(xattrs) == 0 {
		return nil, nil
	}
	w.xattrs = append(w.xattrs[:0], xattrs...)
	slices.SortFunc(w.xattrs, func(a, b Xattr) int { return cmp.Compare(a.Name, b.Name) })
	entries := w.xattrBytes[:0]
	ends := w.xattrEnds[:0]
	for i, x := range w.xattrs {
		index, rest, err := xattrName(x.Name)
		if err != nil {
			return nil, err
		}
		if i > 0 && w.xattrs[i-1].Name == x.Name {
			return nil, fmt.Errorf("encoding attribute %q: it is given twice", x.Name)
		}
		if len(x.Value) > math.MaxUint16 {
			return nil, fmt.Errorf("encoding attribute %q: its value has %d bytes and may have %d", x.Name, len(x.Value), math.MaxUint16)
		}
		entries = append(entries, byte(len(rest)), index)
		entries = binary.LittleEndian.AppendUint16(entries, uint16(len(x.Value)))
		entries = append(entries, rest...)
		entries = append(entries, x.Value...)
		for len(entries)%4 != 0 {
			entries = append(entries, 0)
		}
		if xattrHeaderSize+len(entries) > maxXattrs {
			return nil, fmt.Errorf("encoding attribute %q: with the %d before it the inode's attributes take more than %d bytes", x.Name, i, maxXattrs)
		}
		ends = append(ends, len(entries))
	}
	w.xattrBytes, w.xattrEnds = entries, ends
	return w.shareXattrs(), nil
}

// shareXattrs returns the encoded attributes, with numbers for those that are
// shared: header, numbers, entries.
func (w *Writer) shareXattrs() []byte {
	out := append(w.xattrOut[:0], make([]byte, xattrHeaderSize)...)
	start, inline := 0, 0
	for _, end := range w.xattrEnds {
		entry := w.xattrBytes[start:end]
		start = end
		if shared := (len(out) - xattrHeaderSize) / 4; shared < maxSharedXattrs {
			if id, ok := w.shared.find(entry); ok {
				out = binary.LittleEndian.AppendUint32(out, id)
				continue
			}
		}
		// What is not shared moves up, over what is.
		inline += copy(w.xattrBytes[inline:], entry)
	}
	out[xattrSharedAt] = byte((len(out) - xattrHeaderSize) / 4)
	out = append(out, w.xattrBytes[:inline]...)
	w.xattrOut = out
	return out
}

// xattrCount is i_xattr_icount for n bytes of encoded attributes.
func xattrCount(n int) uint16 {
	if n == 0 {
		return 0
	}
	return uint16((n-xattrHeaderSize)/4 + 1)
}
