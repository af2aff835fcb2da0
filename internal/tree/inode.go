package tree

import "iter"

// Xattr is one extended attribute under its full name ("security.capability").
type Xattr struct {
	Name  string
	Value []byte
}

// Inode is one file, link, device or folder of a [Tree]. Several names (hard
// links) may share one. Equal Xattrs of several inodes may share one array:
// replace the slice, don't write into it.
type Inode struct {
	Mode         uint32 // file type and permissions as POSIX has them (S_IF* | 07777)
	UID, GID     uint32
	Nsec         uint32 // of the modification time, with Sec
	Sec          int64
	Size         int64  // of a regular file, in bytes
	Major, Minor uint32 // of a device
	Target       string // of a symbolic link, as it was written
	Xattrs       []Xattr
	Ref          uint64 // the Sink's own name for the content
	Links        uint32 // names that the tree has for it; 1 for a folder
	Stored       bool   // the Sink has the content
	Implied      bool   // a folder that was made because something lies in it

	settled bool    // the content was stored under a name that it has now
	layer   uint16  // the layer, from 1, that last gave it a name
	dir     *folder // of a folder
}

// NewInode makes an inode of kind k with permissions perm (07777), owned by
// root:root, with mtime 0.
func NewInode(k Kind, perm uint32) *Inode {
	ino := &Inode{Mode: k.bits() | perm&permissions}
	if k == Directory {
		ino.dir = &folder{}
	}
	return ino
}

// Kind returns what the inode is: never HardLink, Whiteout or Opaque.
func (ino *Inode) Kind() Kind {
	for _, k := range []Kind{Regular, Directory, Symlink, Char, Block, Fifo} {
		if ino.Mode&typeMask == k.bits() {
			return k
		}
	}
	return 0
}

// Children walks the names of a folder in bytewise order. Anything else has none.
func (ino *Inode) Children() iter.Seq2[string, *Inode] {
	return func(yield func(string, *Inode) bool) {
		if ino.dir == nil {
			return
		}
		for _, run := range ino.dir.runs {
			for _, d := range run {
				if !yield(d.name, d.ino) {
					return
				}
			}
		}
	}
}

// child returns what a folder has under name; nil if nothing or no folder.
func (ino *Inode) child(name string) *Inode {
	if ino.dir == nil {
		return nil
	}
	return ino.dir.get(name)
}

// replace puts child under name in the folder ino. A folder over a folder
// takes over its names; whatever else was there loses this name.
func (ino *Inode) replace(name string, child *Inode) {
	old := ino.dir.get(name)
	child.Links++
	if old != nil {
		if old.dir != nil && child.dir != nil {
			child.dir = old.dir
			child.Links = 1
		} else {
			old.unlink()
		}
	}
	ino.dir.put(name, child)
}

// remove takes name out of the folder ino.
func (ino *Inode) remove(name string) bool {
	if ino.dir == nil {
		return false
	}
	old := ino.dir.get(name)
	if old == nil {
		return false
	}
	old.unlink()
	ino.dir.remove(name)
	return true
}

// unlink takes one name from ino, and from all that lies below it.
func (ino *Inode) unlink() {
	ino.Links--
	for _, child := range ino.Children() {
		child.unlink()
	}
}
