package device

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

const (
	// specSize is the size in bytes of struct dm_target_spec, before the text of
	// each target of a table.
	specSize = unix.SizeofDmTargetSpec
	// listHead is what comes before a name in struct dm_name_list: its number and
	// the distance to the next.
	listHead = 12
)

// target is one line of a table, or of its status.
type target struct {
	start, length uint64 // in sectors
	kind, text    string
}

// encode lays t out as a table of one target.
func (t target) encode() []byte {
	// The text ends in a zero, and the whole at a multiple of eight.
	b := make([]byte, (specSize+len(t.text)+1+7)/8*8)
	ne := binary.NativeEndian
	ne.PutUint64(b[0:], t.start)
	ne.PutUint64(b[8:], t.length)
	ne.PutUint32(b[20:], uint32(len(b))) // to the next, which there is not
	copy(b[24:24+unix.DM_MAX_TYPE_NAME-1], t.kind)
	copy(b[specSize:], t.text)
	return b
}

// parseTargets reads the count targets of an answer. Each says where the next
// begins, counted from the first.
func parseTargets(data []byte, count uint32) ([]target, error) {
	var targets []target
	ne := binary.NativeEndian
	for at := uint32(0); uint32(len(targets)) < count; {
		// Forwards only: so it ends.
		if uint64(at)+specSize > uint64(len(data)) {
			return nil, fmt.Errorf("device-mapper's target %d lies at %d of %d bytes", len(targets), at, len(data))
		}
		spec := data[at:]
		text, _, ends := bytes.Cut(spec[specSize:], []byte{0})
		if !ends {
			return nil, fmt.Errorf("the text of device-mapper's target %d has no end", len(targets))
		}
		targets = append(targets, target{
			start: ne.Uint64(spec[0:]), length: ne.Uint64(spec[8:]),
			kind: cString(spec[24 : 24+unix.DM_MAX_TYPE_NAME]), text: string(text),
		})
		next := ne.Uint32(spec[20:])
		if uint32(len(targets)) < count && next < at+specSize {
			return nil, fmt.Errorf("device-mapper's target %d follows at %d, before its own end", len(targets), next)
		}
		at = next
	}
	return targets, nil
}

// Listed is a mapped device, of any target.
type Listed struct {
	Name   string
	Number Number
}

// parseNames reads a list of devices: each entry has the distance to the next, 0
// in the last. An empty list is one entry of zeros.
func parseNames(data []byte) ([]Listed, error) {
	var names []Listed
	ne := binary.NativeEndian
	for at := uint64(0); ; {
		if at+listHead > uint64(len(data)) {
			return nil, fmt.Errorf("device-mapper's list has an entry at %d of %d bytes", at, len(data))
		}
		entry := data[at:]
		number, next := ne.Uint64(entry), ne.Uint32(entry[8:])
		if number == 0 && next == 0 && len(names) == 0 {
			return nil, nil
		}
		name, _, ends := bytes.Cut(entry[listHead:], []byte{0})
		if !ends || len(name) >= unix.DM_NAME_LEN {
			return nil, fmt.Errorf("a name in device-mapper's list, at %d, has no end", at)
		}
		names = append(names, Listed{Name: string(name), Number: NumberOf(number)})
		if next == 0 {
			return names, nil
		}
		if next < listHead {
			return nil, fmt.Errorf("an entry of device-mapper's list, at %d, has %d bytes", at, next)
		}
		at += uint64(next)
	}
}
