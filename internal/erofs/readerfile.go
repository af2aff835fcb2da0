package erofs

import (
	"errors"
	"fmt"
	"io"
)

// Open returns the content of a regular file: exactly Size bytes, or an error.
// Holes are zeros, so that a small image can hold very large files: whoever
// reads all must be able to stop. The reader and the file system must be used by
// the same goroutine; several readers may be open at a time. Each cluster is
// read and unpacked once by who reads on to the end.
func (f *FileSystem) Open(n *Inode) (io.Reader, error) {
	if err := n.checkType(typeRegular); err != nil {
		return nil, fmt.Errorf("opening inode %d: %w", n.Handle.nid, err)
	}
	r, err := f.content(n)
	if err != nil {
		return nil, fmt.Errorf("opening inode %d: %w", n.Handle.nid, err)
	}
	return r, nil
}

// content opens what an inode of any type holds.
func (f *FileSystem) content(n *Inode) (*content, error) {
	m, err := f.mapping(n)
	if err != nil {
		return nil, err
	}
	return &content{f: f, nid: n.Handle.nid, size: n.Size, runs: m}, nil
}

// mapping says where an inode's content lies.
func (f *FileSystem) mapping(n *Inode) (mapping, error) {
	switch n.data {
	case dataPlain, dataInline:
		return f.flat(n)
	case dataChunks:
		return f.chunked(n)
	}
	return f.clustered(n)
}

// content reads what an inode holds.
type content struct {
	f     *FileSystem
	nid   uint64
	size  int64
	at    int64 // the byte that comes next
	runs  mapping
	run   run    // the last one that was asked for
	bytes []byte // what it holds, once it was unpacked
	room  []byte // that bytes may take
	err   error  // what every Read says from now on
}

func (c *content) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if c.err == nil && c.at == c.size {
		c.end(io.EOF)
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.read(p)
	if err != nil {
		c.end(fmt.Errorf("reading the content of inode %d at byte %d of %d: %w", c.nid, c.at, c.size, err))
		return 0, c.err
	}
	c.at += int64(n)
	return n, nil
}

// end leaves the room to the next reader.
func (c *content) end(err error) {
	if c.err = err; c.room != nil {
		c.f.spare, c.room, c.bytes = c.room, nil, nil
	}
}

// read reads at least a byte, and from one run only.
func (c *content) read(p []byte) (int, error) {
	if c.at >= c.run.end {
		r, err := c.runs.at(c.at)
		if err != nil {
			return 0, err
		}
		c.run, c.bytes = r, nil
	}
	p = p[:min(int64(len(p)), c.run.end-c.at)]
	skip := c.at - c.run.start
	switch c.run.kind {
	case runHole:
		clear(p)
		return len(p), nil
	case runPlain:
		return len(p), c.f.readAt(p, c.run.place+skip)
	case runMeta:
		return len(p), c.f.metadata(p, c.run.place+skip)
	case runFragment:
		return c.f.fragment(p, c.run.place+skip)
	}
	if c.bytes == nil && skip == 0 && int64(len(p)) == c.run.end-c.run.start {
		return len(p), c.f.unpackRun(p, c.run) // no need for a copy
	}
	if c.bytes == nil {
		size := c.run.end - c.run.start
		if int64(len(c.room)) < size {
			c.room = c.f.take(size)
		}
		if err := c.f.unpackRun(c.room[:size], c.run); err != nil {
			return 0, err
		}
		c.bytes = c.room[:size]
	}
	return copy(p, c.bytes[skip:]), nil
}

// take returns room for a cluster's content.
func (f *FileSystem) take(size int64) []byte {
	if b := f.spare; int64(len(b)) >= size {
		f.spare = nil
		return b
	}
	// The next cluster is often a little larger.
	return make([]byte, min(size+size/4, maxCluster))
}

// fragment reads from the packed inode, at least a byte.
func (f *FileSystem) fragment(p []byte, off int64) (int, error) {
	if f.pack == nil {
		return 0, errors.New("it lies in the inode of fragments, and there is none")
	}
	if off < 0 || off >= f.pack.Size {
		return 0, fmt.Errorf("byte %d of the fragments, which end at %d", off, f.pack.Size)
	}
	if f.packRuns == nil {
		var err error
		if f.packRuns, err = f.mapping(f.pack); err != nil {
			return 0, fmt.Errorf("the inode of fragments: %w", err)
		}
	}
	r, err := f.packRuns.at(off)
	if err != nil {
		return 0, fmt.Errorf("the inode of fragments at byte %d: %w", off, err)
	}
	p = p[:min(int64(len(p)), r.end-off)]
	skip := off - r.start
	switch r.kind {
	case runHole:
		clear(p)
	case runPlain:
		err = f.readAt(p, r.place+skip)
	case runMeta:
		err = f.metadata(p, r.place+skip)
	case runFragment:
		err = errors.New("it has a fragment of its own")
	default:
		b, ok := f.packed.get(r.start)
		if !ok {
			b = make([]byte, r.end-r.start)
			if err := f.unpackRun(b, r); err != nil {
				return 0, fmt.Errorf("the inode of fragments at byte %d: %w", r.start, err)
			}
			f.packed.put(r.start, b, len(b))
		}
		copy(p, b[skip:])
	}
	return len(p), err
}

// packedAt fills p from the packed inode.
func (f *FileSystem) packedAt(p []byte, off int64) error {
	for len(p) > 0 {
		n, err := f.fragment(p, off)
		if err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}
