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
