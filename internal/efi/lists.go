package efi

import (
	"encoding/binary"
	"errors"
	"fmt"

	"inlay/internal/guid"
)

const (
	// listSize is that of EFI_SIGNATURE_LIST without what follows it: type,
	// size of the list, size of the header, size of each entry.
	listSize = 16 + 4 + 4 + 4
	// ownerSize is that of EFI_SIGNATURE_DATA without its data.
	ownerSize = 16
)

// List is an EFI_SIGNATURE_LIST.
type List struct {
	Type guid.GUID
	// Header is empty for all types of the specification.
	Header []byte
	// Entries are at least one, and their data all of one length.
	Entries []Entry
}

// Entry is an EFI_SIGNATURE_DATA.
type Entry struct {
	// Owner is who put the entry there, by his own account.
	Owner guid.GUID
	// Data is a certificate or a hash, by the list's type.
	Data []byte
}

// ParseLists reads signature lists that follow one another: the value of PK,
// KEK, db or dbx, or an .esl file. No bytes are no lists. Entries of a type that
// the specification gives a size have that size; entries of unknown types are
// handed out as they are. An error names the offset of the list.
//
// MaxSize bounds how many lists and entries there are, as each takes some bytes.
// What it returns shares memory with b.
func ParseLists(b []byte) ([]List, error) {
	if err := checkSize(b); err != nil {
		return nil, fmt.Errorf("reading signature lists: %w", err)
	}
	var lists []List
	for offset := 0; offset < len(b); {
		l, n, err := parseList(b[offset:])
		if err != nil {
			return nil, fmt.Errorf("reading the signature list at byte %d: %w", offset, err)
		}
		lists = append(lists, l)
		offset += n
	}
	return lists, nil
}

// parseList reads the list that b starts with and returns how many bytes it takes.
func parseList(b []byte) (List, int, error) {
	if len(b) < listSize {
		return List{}, 0, fmt.Errorf("%d bytes are left, and a list takes at least %d", len(b), listSize)
	}
	l := List{Type: onDisk(b)}
	total := uint64(binary.LittleEndian.Uint32(b[16:]))
	header := uint64(binary.LittleEndian.Uint32(b[20:]))
	size := uint64(binary.LittleEndian.Uint32(b[24:]))
	name, want := describe(l.Type)
	switch {
	case total < listSize+header:
		return List{}, 0, fmt.Errorf("its size, %d bytes, is less than its header takes (%d)", total, listSize+header)
	case total > uint64(len(b)):
		return List{}, 0, fmt.Errorf("its size, %d bytes, is more than the %d that are left", total, len(b))
	case size < ownerSize:
		return List{}, 0, fmt.Errorf("entries of %d bytes have no room for their owner (%d)", size, ownerSize)
	case name != "" && header != 0:
		return List{}, 0, fmt.Errorf("a header of %d bytes in a list of type %s, which has none", header, name)
	case want != 0 && size != uint64(ownerSize+want):
		return List{}, 0, fmt.Errorf("entries of %d bytes in a list of type %s, where they take %d", size, name, ownerSize+want)
	case name != "" && size == ownerSize:
		return List{}, 0, fmt.Errorf("entries without data in a list of type %s", name)
	}
	body := total - listSize - header
	switch {
	case body == 0:
		// The kernel refuses these too; nothing would say how to write one again.
		return List{}, 0, errors.New("it has no entries")
	case body%size != 0:
		return List{}, 0, fmt.Errorf("%d bytes are not a whole number of entries of %d", body, size)
	}
	if header != 0 {
		l.Header = b[listSize:][:header:header]
	}
	l.Entries = make([]Entry, 0, body/size)
	for rest := b[listSize+header : total]; len(rest) > 0; rest = rest[size:] {
		l.Entries = append(l.Entries, Entry{Owner: onDisk(rest), Data: rest[ownerSize:size:size]})
	}
	return l, int(total), nil
}

// Marshal returns the list as firmware keeps it. A list has room for entries of
// one size only; where the size changes, another list of the same type begins,
// as certificates need it. A list without entries is no bytes.
func (l List) Marshal() []byte {
	var b []byte
	for start := 0; start < len(l.Entries); {
		end := start + 1
		for end < len(l.Entries) && len(l.Entries[end].Data) == len(l.Entries[start].Data) {
			end++
		}
		b = l.appendEntries(b, l.Entries[start:end])
		start = end
	}
	return b
}

// appendEntries writes entries of one size.
func (l List) appendEntries(b []byte, entries []Entry) []byte {
	size := ownerSize + len(entries[0].Data)
	swapped := l.Type.Swapped()
	b = append(b, swapped[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(listSize+len(l.Header)+size*len(entries)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(l.Header)))
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = append(b, l.Header...)
	for _, e := range entries {
		owner := e.Owner.Swapped()
		b = append(b, owner[:]...)
		b = append(b, e.Data...)
	}
	return b
}
