package tree

import (
	"encoding/binary"
	"iter"
	"slices"
	"strings"
)

// record is one entry as it waits for the layers below to be read.
type record struct {
	name string
	ino  *Inode // nil for a hard link
	link string // the name that a hard link shares
}

// hide is a whiteout, or an opaque marker.
type hide struct {
	name   string
	opaque bool
}

// records holds what one layer says.
type records struct {
	chunks [][]record // all full but the last: growing one slice would copy and waste
	hides  []hide
}

const recordChunk = 512

func (r *records) add(rec record) {
	last := len(r.chunks) - 1
	switch {
	case last < 0:
		r.chunks = append(r.chunks, nil) // most layers are small
		last++
	case len(r.chunks[last]) == recordChunk:
		r.chunks = append(r.chunks, make([]record, 0, recordChunk))
		last++
	}
	r.chunks[last] = append(r.chunks[last], rec)
}

// at returns the nth record.
func (r *records) at(n int) (record, bool) {
	if n/recordChunk >= len(r.chunks) || n%recordChunk >= len(r.chunks[n/recordChunk]) {
		return record{}, false
	}
	return r.chunks[n/recordChunk][n%recordChunk], true
}

func (r *records) all() iter.Seq[record] {
	return func(yield func(record) bool) {
		for _, chunk := range r.chunks {
			for _, rec := range chunk {
				if !yield(rec) {
					return
				}
			}
		}
	}
}

// mask says what upper layers hide by name. It knows nothing of symbolic links,
// so it may err in both directions, which costs room or a second reading; what
// counts is applied later.
type mask map[string]masking

type masking uint8

const (
	masksFile  masking = 1 << iota // a file of this name in a lower layer
	masksBelow                     // whatever lies below this name in a lower layer
)

func (m mask) add(r *records) {
	for rec := range r.all() {
		if rec.ino != nil && rec.ino.dir != nil {
			m[rec.name] |= masksFile
		} else {
			m[rec.name] |= masksFile | masksBelow
		}
	}
	for _, h := range r.hides {
		if h.opaque {
			m[h.name] |= masksBelow
		} else {
			m[h.name] |= masksFile | masksBelow
		}
	}
}

// hides reports whether the file name of a lower layer is hidden.
func (m mask) hides(name string) bool {
	if len(m) == 0 {
		return false
	}
	if m[name]&masksFile != 0 || m[""]&masksBelow != 0 {
		return true
	}
	for i := range len(name) {
		if name[i] == '/' && m[name[:i]]&masksBelow != 0 {
			return true
		}
	}
	return false
}

// interned keeps one copy of each list of extended attributes: on a labelled
// system thousands of files have the same.
type interned map[string][]Xattr

// maxInterned bounds the lists that are compared with; beyond, each is its own.
const maxInterned = 4096

func (known *interned) share(list []Xattr) []Xattr {
	if len(list) == 0 {
		return nil
	}
	var key []byte
	for _, x := range list {
		key = binary.AppendUvarint(key, uint64(len(x.Name)))
		key = append(key, x.Name...)
		key = binary.AppendUvarint(key, uint64(len(x.Value)))
		key = append(key, x.Value...)
	}
	if same, ok := (*known)[string(key)]; ok {
		return same
	}
	own := make([]Xattr, len(list))
	for i, x := range list {
		own[i] = Xattr{strings.Clone(x.Name), slices.Clone(x.Value)}
	}
	if *known == nil {
		*known = interned{}
	}
	if len(*known) < maxInterned {
		(*known)[string(key)] = own
	}
	return own
}
