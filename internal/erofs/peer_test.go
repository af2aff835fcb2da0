package erofs_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	goerofs "github.com/erofs/go-erofs"
	"golang.org/x/sys/unix"
)

// readPeer reads an image with erofs/go-erofs.
func readPeer(t testing.TB, image []byte) map[string]record {
	t.Helper()
	img, err := goerofs.Open(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	records := make(map[string]record)
	first := make(map[int64]string)
	var visit func(name string, info fs.FileInfo)
	visit = func(name string, info fs.FileInfo) {
		st := peerStat(t, info)
		r := record{
			Mode: unixMode(info.Mode()), UID: st.UID, GID: st.GID, Sec: int64(st.Mtime), Nsec: st.MtimeNs,
			Links: uint64(st.Nlink), Xattrs: map[string]string{},
		}
		for k, v := range st.Xattrs {
			// The peer takes the ACLs' names for prefixes.
			if strings.HasPrefix(k, "system.") {
				k = strings.TrimSuffix(k, ".")
			}
			r.Xattrs[k] = v
		}
		switch r.Mode & syscall.S_IFMT {
		case syscall.S_IFREG:
			r.Content = "not asked for"
			if utf8.ValidString(name) { // package fs has no other names
				content, err := fs.ReadFile(img, name)
				if err != nil {
					t.Errorf("reading %q: %v", name, err)
				}
				r.Content = digest(content)
			}
		case syscall.S_IFLNK:
			target, err := fs.ReadLink(img, name)
			if err != nil {
				t.Errorf("reading link %q: %v", name, err)
			}
			r.Target = target
		case syscall.S_IFCHR, syscall.S_IFBLK:
			r.Major, r.Minor = unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))
		}
		records[name] = r
		if !info.IsDir() {
			if first[st.Ino] == "" {
				first[st.Ino] = name
			}
			r.SameAs = first[st.Ino]
			records[name] = r
			return
		}
		entries, err := fs.ReadDir(img, name)
		if err != nil {
			t.Errorf("reading folder %q: %v", name, err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			visit(path.Join(name, e.Name()), info)
		}
	}
	info, err := fs.Stat(img, ".")
	if err != nil {
		t.Fatal(err)
	}
	visit(".", info)
	return records
}

func peerStat(t testing.TB, info fs.FileInfo) *goerofs.Stat {
	t.Helper()
	st, ok := info.Sys().(*goerofs.Stat)
	if !ok {
		t.Fatalf("the peer describes %q by a %T", info.Name(), info.Sys())
	}
	return st
}

// unixMode undoes what package fs makes of type and permissions.
func unixMode(m fs.FileMode) uint32 {
	mode := uint32(m.Perm())
	switch m.Type() {
	case 0:
		mode |= syscall.S_IFREG
	case fs.ModeDir:
		mode |= syscall.S_IFDIR
	case fs.ModeSymlink:
		mode |= syscall.S_IFLNK
	case fs.ModeNamedPipe:
		mode |= syscall.S_IFIFO
	case fs.ModeSocket:
		mode |= syscall.S_IFSOCK
	case fs.ModeDevice:
		mode |= syscall.S_IFBLK
	case fs.ModeDevice | fs.ModeCharDevice:
		mode |= syscall.S_IFCHR
	}
	return mode
}

// peerBlind leaves out what the peer does not tell: setuid, setgid and sticky
// bits, and the content of files whose names are not UTF-8.
func peerBlind(path string, r *record) {
	r.Mode &^= syscall.S_ISUID | syscall.S_ISGID | syscall.S_ISVTX
	if !utf8.ValidString(path) {
		r.Content = ""
	}
}

func TestPeerReadsEverything(t *testing.T) {
	t.Parallel()
	root := everything()
	compare(t, want(root), readPeer(t, build(t, root)), peerBlind)
}

func TestPeerReadsManyFiles(t *testing.T) {
	t.Parallel()
	root := manyFiles()
	compare(t, want(root), readPeer(t, build(t, root)), peerBlind)
}

func TestPeerReadsRandomTrees(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			root := randomTree(seed)
			compare(t, want(root), readPeer(t, build(t, root)), peerBlind)
		})
	}
}

// TestPeerReadsFullRoot: block 0 has less room for names than others.
func TestPeerReadsFullRoot(t *testing.T) {
	t.Parallel()
	for names := 150; names < 280; names++ {
		root := folder(0o755, nil)
		for i := range names {
			root.children[fmt.Sprintf("%04d", i)] = device(syscall.S_IFIFO|0o600, 0, 0)
		}
		compare(t, want(root), readPeer(t, build(t, root)), peerBlind)
	}
}

func TestPeerReadsManyFolders(t *testing.T) {
	t.Parallel()
	root := folder(0o755, nil)
	for i := range 65_536 {
		root.children[fmt.Sprint(i)] = folder(0o755, nil)
	}
	img, err := goerofs.Open(bytes.NewReader(build(t, root)))
	if err != nil {
		t.Fatal(err)
	}
	info, err := fs.Stat(img, ".")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := peerStat(t, info).Nlink, 65_538; got != want {
		t.Errorf("root has %d links, want %d", got, want)
	}
}
