package media

import (
	"inlay/internal/tree"
)

// member is one name in an archive.
type member struct {
	name  string
	node  *tree.Inode
	links uint32 // names that the archive has for it
	inode uint32
	last  bool // of these names: it carries the content
}

// size is what follows the header, in bytes.
func (m *member) size() int64 {
	switch {
	case m.node.Kind() == tree.Symlink:
		return int64(len(m.node.Target))
	case m.node.Kind() == tree.Regular && m.last:
		return m.node.Size
	}
	return 0
}

// members lists what of a system goes into an archive, in order, and numbers
// its inodes.
func (s *System) members(keep func(name string) bool) []*member {
	var all []*member
	first := map[*tree.Inode]*member{}
	last := map[*tree.Inode]*member{}
	var inode uint32
	for name, node := range s.tree.All() {
		if !keep(name) {
			continue
		}
		if name == "" {
			name = "."
		}
		m := &member{name: name, node: node, links: 1}
		switch known := first[node]; {
		case node.Kind() == tree.Directory:
			m.links = 2
			fallthrough
		case known == nil:
			inode++
			m.inode = inode
			first[node] = m
		default:
			m.inode = known.inode
			known.links++
			last[node].last = false
		}
		m.last = true
		last[node] = m
		all = append(all, m)
	}
	for _, m := range all {
		m.links = first[m.node].links
	}
	return all
}

// frameSize is how much content is compressed on its own, in bytes: so that all
// cores have work, and always the same, so that their number changes no byte.
const frameSize = 32 << 20

// frames cuts members into runs of about so many bytes of content. The kernel
// takes an archive in several frames, if none of them ends within an entry.
func frames(all []*member, most int64) [][]*member {
	var list [][]*member
	var size int64
	begin := 0
	for i, m := range all {
		if size > 0 && size+m.size() > most {
			list = append(list, all[begin:i])
			begin, size = i, 0
		}
		size += m.size()
	}
	return append(list, all[begin:])
}

func contentOf(run []*member) int64 {
	var size int64
	for _, m := range run {
		size += m.size()
	}
	return size
}
