package erofs_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"inlay/internal/erofs"
)

// node is a file of a tree under test. Nodes that are in several folders are
// hard links.
type node struct {
	attr     erofs.Attr
	content  []byte // of a regular file
	target   string // of a symlink
	children map[string]*node

	sum   string // its digest, if that is known
	ref   erofs.Ref
	links uint32
}

// kept are trees that take long to make, by name.
var kept sync.Map

// keep returns a copy of the tree of that name, which is made once. The contents
// are the same for all.
func keep(name string, fresh func() *node) *node {
	made, _ := kept.LoadOrStore(name, sync.OnceValue(func() *node {
		root := fresh()
		root.digest()
		return root
	}))
	once, ok := made.(func() *node)
	if !ok {
		panic(name)
	}
	return once().clone(map[*node]*node{})
}

// digest takes down what the contents are.
func (n *node) digest() {
	if n.attr.Mode&syscall.S_IFMT == syscall.S_IFREG {
		n.sum = digest(n.content)
	}
	for _, c := range n.children {
		c.digest()
	}
}

// clone copies a tree, but for the contents. Hard links remain what they are.
func (n *node) clone(copies map[*node]*node) *node {
	if c := copies[n]; c != nil {
		return c
	}
	c := *n
	copies[n] = &c
	if n.children != nil {
		c.children = make(map[string]*node, len(n.children))
		for name, child := range n.children {
			c.children[name] = child.clone(copies)
		}
	}
	return &c
}

var buildTime = time.Unix(1_700_000_000, 123_456_789)

// attr is the simplest inode there is: root's, of the build's time.
func attr(mode uint32) erofs.Attr {
	return erofs.Attr{Mode: mode, Sec: buildTime.Unix(), Nsec: uint32(buildTime.Nanosecond())}
}

func folder(perm uint32, children map[string]*node) *node {
	if children == nil {
		children = map[string]*node{}
	}
	return &node{attr: attr(syscall.S_IFDIR | perm), children: children}
}

func file(perm uint32, content []byte) *node {
	return &node{attr: attr(syscall.S_IFREG | perm), content: content}
}

func symlink(target string) *node {
	return &node{attr: attr(syscall.S_IFLNK | 0o777), target: target}
}

func device(mode, major, minor uint32) *node {
	n := &node{attr: attr(mode)}
	n.attr.Major, n.attr.Minor = major, minor
	return n
}

// with changes an attribute of n on the fly.
func (n *node) with(change func(*erofs.Attr)) *node {
	change(&n.attr)
	return n
}

// store writes n and what is below it, all but the folders.
func (n *node) store(t testing.TB, w *erofs.Writer) *erofs.Dir {
	t.Helper()
	dir := &erofs.Dir{Attr: n.attr}
	for name, c := range sorted(n.children) {
		e := erofs.Dirent{Name: name, Type: c.attr.Mode & syscall.S_IFMT}
		switch {
		case c.children != nil:
			e.Dir = c.store(t, w)
		case c.links > 0:
			c.links++
			w.SetLinks(c.ref, c.links)
		default:
			c.links = 1
			var err error
			switch e.Type {
			case syscall.S_IFREG:
				c.ref, err = w.File(c.attr, int64(len(c.content)), bytes.NewReader(c.content))
			case syscall.S_IFLNK:
				c.ref, err = w.Symlink(c.attr, c.target)
			default:
				c.ref, err = w.Special(c.attr)
			}
			if err != nil {
				t.Fatalf("storing %q: %v", name, err)
			}
		}
		e.Ref = c.ref
		dir.Entries = append(dir.Entries, e)
	}
	return dir
}

// forget makes a tree ready for another Writer.
func (n *node) forget() {
	n.ref, n.links = 0, 0
	for _, c := range n.children {
		c.forget()
	}
}

var uuid = [16]byte{0x0f, 0x1e, 0x2d, 0x3c, 0x4b, 0x5a, 0x49, 0x78, 0x87, 0x96, 0xa5, 0xb4, 0xc3, 0xd2, 0xe1, 0xf0}

// build returns the image of a tree.
func build(t testing.TB, root *node) []byte {
	t.Helper()
	return buildWith(t, root, erofs.Options{})
}

// buildWith returns the image of a tree, with these options and our identity.
func buildWith(t testing.TB, root *node, o erofs.Options) []byte {
	t.Helper()
	image, _ := buildNeeding(t, root, o)
	return image
}

// buildNeeding is buildWith, and returns what the image needs.
func buildNeeding(t testing.TB, root *node, o erofs.Options) ([]byte, erofs.Needs) {
	t.Helper()
	root.forget()
	m := newMemory()
	o.UUID, o.BuildTime = uuid, buildTime
	w := erofs.NewWriter(m, o)
	blocks, err := w.Finish(root.store(t, w))
	if err != nil {
		t.Fatal(err)
	}
	if got := int64(len(m.image)); got != blocks*erofs.BlockSize {
		t.Fatalf("image has %d bytes, Finish says %d blocks", got, blocks)
	}
	for at := int64(0); at < int64(len(m.image)); at += erofs.BlockSize {
		if !m.written[at] {
			t.Fatalf("block at %d of %d was never written", at, len(m.image))
		}
	}
	return m.image, w.Needs()
}

// pattern is content that differs from place to place.
func pattern(n int, seed uint64) []byte {
	p := make([]byte, n)
	key := [32]byte{}
	binary.LittleEndian.PutUint64(key[:], seed)
	_, _ = rand.NewChaCha8(key).Read(p) // never fails
	return p
}

// acl is a POSIX ACL as the system call has it: user::rw-, user:1000:r--,
// group::r--, mask::r--, other::r--.
func acl() []byte {
	entry := func(tag, perm uint16, id uint32) []byte {
		return []byte{byte(tag), byte(tag >> 8), byte(perm), 0, byte(id), byte(id >> 8), byte(id >> 16), byte(id >> 24)}
	}
	return bytes.Join([][]byte{
		{2, 0, 0, 0},
		entry(1, 6, 1<<32-1), entry(2, 4, 1000), entry(4, 4, 1<<32-1), entry(16, 4, 1<<32-1), entry(32, 4, 1<<32-1),
	}, nil)
}

// capability is a file capability of version 2: cap_net_raw=ep.
func capability() []byte {
	return []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
}

func xattrs(pairs ...string) func(*erofs.Attr) {
	return func(a *erofs.Attr) {
		for i := 0; i < len(pairs); i += 2 {
			a.Xattrs = append(a.Xattrs, erofs.Xattr{Name: pairs[i], Value: []byte(pairs[i+1])})
		}
	}
}

// everything is a tree with each thing that the format holds, near its limits.
func everything() *node { return keep("everything", makeEverything) }

func makeEverything() *node {
	linked := file(0o755, pattern(10_000, 7))
	linkedPipe := device(syscall.S_IFIFO|0o600, 0, 0)
	sizes := folder(0o755, nil)
	for _, n := range []int{
		0, 1, 31, 32, 4031, 4032, 4033, 4063, 4064, 4065, 4095, 4096, 4097, 8160, 8191, 8192, 8193,
		1<<20 - 1, 1 << 20, 1<<20 + 1, 3<<20 + 17,
	} {
		sizes.children[fmt.Sprintf("%07d", n)] = file(0o644, pattern(n, uint64(n)))
		sizes.children[fmt.Sprintf("%07d-extended", n)] = file(0o644, pattern(n, uint64(n))).with(func(a *erofs.Attr) { a.UID = 70_000 })
	}
	large := folder(0o755, nil)
	for i := range 3000 {
		large.children[fmt.Sprintf("%d-%s", i, strings.Repeat("n", i%200))] = symlink(fmt.Sprint("target", i))
	}
	links := folder(0o755, nil)
	for _, n := range []int{1, 59, 60, 4000, 4063, 4064, 4065, 4095} {
		links.children[fmt.Sprint("link", n)] = symlink(strings.Repeat("t", n))
		links.children[fmt.Sprint("link-attributes", n)] = symlink(strings.Repeat("t", n)).with(xattrs("trusted.t", "v"))
	}
	attributes := folder(0o755, map[string]*node{
		"user":       file(0o644, []byte("x")).with(xattrs("user.b", "two", "user.a", "one", "user.empty", "")),
		"trusted":    file(0o644, nil).with(xattrs("trusted.overlay.opaque", "y")),
		"capability": file(0o755, pattern(5000, 3)).with(xattrs("security.capability", string(capability()))),
		"acl":        file(0o644, []byte("acl")).with(xattrs("system.posix_acl_access", string(acl()))),
		"longname":   file(0o644, nil).with(xattrs("user."+strings.Repeat("n", 250), "v")),
		"value":      file(0o644, []byte("tail")).with(xattrs("user.big", strings.Repeat("v", 5000))),
		"huge": file(0o644, pattern(4100, 9)).with(xattrs("user.1", strings.Repeat("1", 60_000),
			"user.2", strings.Repeat("2", 65_535), "user.3", strings.Repeat("3", 60_001))),
		"full":   file(0o644, []byte("0123456789")).with(xattrs("user.fill", strings.Repeat("f", 4096-32-12-4-4-12))),
		"folder": folder(0o755, nil).with(xattrs("system.posix_acl_default", string(acl()))),
		"bigdir": folder(0o755, map[string]*node{"a": file(0o644, []byte("a"))}).with(xattrs("user.v", strings.Repeat("v", 9000))),
	})
	times := folder(0o755, map[string]*node{
		"epoch":      file(0o644, nil).with(func(a *erofs.Attr) { a.Sec, a.Nsec = 0, 0 }),
		"before":     file(0o644, nil).with(func(a *erofs.Attr) { a.Sec, a.Nsec = -1, 999_999_999 }),
		"long-ago":   file(0o644, nil).with(func(a *erofs.Attr) { a.Sec, a.Nsec = -1<<40, 1 }),
		"far-away":   file(0o644, nil).with(func(a *erofs.Attr) { a.Sec, a.Nsec = 1<<40, 2 }),
		"nanosecond": file(0o644, nil).with(func(a *erofs.Attr) { a.Nsec++ }),
	})
	owners := folder(0o1777, map[string]*node{
		"short":   file(0o4755, []byte("setuid")).with(func(a *erofs.Attr) { a.UID, a.GID = 65_535, 65_535 }),
		"long":    file(0o2755, []byte("setgid")).with(func(a *erofs.Attr) { a.UID, a.GID = 65_536, 4_294_967_294 }),
		"nothing": file(0, nil),
	})
	special := folder(0o755, map[string]*node{
		"null":   device(syscall.S_IFCHR|0o666, 1, 3),
		"wide":   device(syscall.S_IFBLK|0o660, 4095, 1<<20-1),
		"minor":  device(syscall.S_IFCHR|0o600, 10, 256),
		"pipe":   linkedPipe,
		"socket": device(syscall.S_IFSOCK|0o755, 0, 0),
	})
	return folder(0o755, map[string]*node{
		"!before-dots":                file(0o644, []byte("!")),
		".-between":                   file(0o644, []byte("-")),
		"...":                         file(0o644, []byte("...")),
		"\xff\xfe not text":           file(0o644, []byte("bytes")),
		strings.Repeat("n", 255):      file(0o644, []byte("long name")),
		"empty":                       folder(0o700, nil),
		"deep":                        folder(0o755, map[string]*node{"a": folder(0o755, map[string]*node{"b": folder(0o755, map[string]*node{"c": linked})})}),
		"first":                       linked,
		"second":                      linked,
		"pipe":                        linkedPipe,
		"sizes":                       sizes,
		"large":                       large,
		"links":                       links,
		"attributes":                  attributes,
		"times":                       times,
		"owners":                      owners,
		"special":                     special,
		"z" + strings.Repeat("é", 60): symlink("../ümlaut"),
	}).with(xattrs("user.root", "yes"))
}

// manyFiles is a folder of 50,000 names whose inodes and tails fill several
// segments, with links from the last ones to the first ones.
func manyFiles() *node { return keep("many files", makeManyFiles) }

func makeManyFiles() *node {
	many := folder(0o755, nil)
	for i := range 49_990 {
		many.children[fmt.Sprintf("file-%05d", i)] = file(0o644, pattern(i*7%300, uint64(i)))
	}
	for i := range 10 {
		many.children[fmt.Sprintf("link-%05d", i)] = many.children[fmt.Sprintf("file-%05d", i*13)]
	}
	return folder(0o755, map[string]*node{"many": many})
}

// randomTree is the same tree for the same seed.
func randomTree(seed uint64) *node {
	r := rand.New(rand.NewPCG(seed, 2))
	root := folder(0o755, nil)
	folders, files := []*node{root}, []*node{}
	for range 5 + r.IntN(600) {
		in := folders[r.IntN(len(folders))]
		name := randomName(r)
		if in.children[name] != nil {
			continue
		}
		n := randomNode(r, files)
		if n.children != nil {
			folders = append(folders, n)
		} else {
			files = append(files, n)
		}
		in.children[name] = n
	}
	return root
}

func randomName(r *rand.Rand) string {
	name := make([]byte, 1+min(r.IntN(40), r.IntN(255)))
	for i := range name {
		// No letters: names near "." and ".." matter more.
		if name[i] = byte(1 + r.IntN(126)); name[i] == '/' {
			name[i] = '.'
		}
	}
	return string(bytes.TrimLeft(name, ".")) + fmt.Sprint(r.IntN(10))
}

func randomNode(r *rand.Rand, files []*node) *node {
	var n *node
	perm := r.Uint32N(0o10000)
	switch r.IntN(10) {
	case 0, 1:
		n = folder(perm, nil)
	case 2:
		n = symlink(strings.Repeat("s", 1+r.IntN(4095)))
	case 3:
		n = device([]uint32{syscall.S_IFCHR, syscall.S_IFBLK}[r.IntN(2)]|perm, 1+r.Uint32N(1<<12-1), r.Uint32N(1<<20))
	case 4:
		n = device([]uint32{syscall.S_IFIFO, syscall.S_IFSOCK}[r.IntN(2)]|perm, 0, 0)
	case 5:
		if len(files) > 0 {
			return files[r.IntN(len(files))]
		}
		fallthrough
	case 6:
		n = file(perm, pattern(r.IntN(100_000), r.Uint64()))
	default:
		n = file(perm, pattern(r.IntN(9000), r.Uint64()))
	}
	if r.IntN(2) == 0 {
		n.attr.Sec, n.attr.Nsec = r.Int64N(1<<31), r.Uint32N(1e9)
	}
	if r.IntN(3) == 0 {
		n.attr.UID, n.attr.GID = r.Uint32N(100_000), r.Uint32N(100_000)
	}
	if r.IntN(6) == 0 {
		// Of the spaces for names only this one is open to all types of file.
		for i := range 1 + r.IntN(4) {
			xattrs(fmt.Sprintf("trusted.%d", i), strings.Repeat("v", r.IntN(3000)))(&n.attr)
		}
	}
	return n
}

// randomPressed is a random tree whose content is worth compressing.
func randomPressed(seed uint64) *node {
	r := rand.New(rand.NewPCG(seed, 3))
	root := randomTree(seed)
	var visit func(n *node)
	visit = func(n *node) {
		for _, c := range sorted(n.children) {
			if c.content != nil && r.IntN(4) > 0 {
				size := r.IntN(100 << 10)
				if r.IntN(10) == 0 {
					size = r.IntN(2 << 20)
				}
				c.content = mixed(size, r.Uint64())
			}
			visit(c)
		}
	}
	visit(root)
	return root
}

// sorted yields a map in the order of its keys, so that images are the same
// each time.
func sorted[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
