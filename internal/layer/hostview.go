package layer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"inlay/internal/content"
	"inlay/internal/rooted"
)

// hostView is the host's own part of one hierarchy.
type hostView struct {
	path, place string
	// root is the folder, nil if there is none; reason then says what is there
	// instead, "" if nothing is.
	root   *os.Root
	reason string
	bare   bool

	tree     *content.Tree
	listings map[string]map[string]fs.FileMode // of folders, by path below root
}

// hostView opens the host's part of a hierarchy.
func (p *Plan) hostView(hierarchy string) (*hostView, error) {
	if v := p.views[hierarchy]; v != nil {
		return v, nil
	}
	v := &hostView{path: hierarchy, place: hierarchy[1:], bare: true, listings: map[string]map[string]fs.FileMode{}}
	if err := v.open(&p.Request); err != nil {
		return nil, fmt.Errorf("looking at the hierarchy %q: %w", hierarchy, err)
	}
	if v.root != nil {
		v.tree = content.Folder(v.root)
		p.closers = append(p.closers, v.tree.Close, v.root.Close)
		names, err := v.list(".")
		if err != nil {
			return nil, err
		}
		v.bare = len(names) == 0
	}
	if p.views == nil {
		p.views = map[string]*hostView{}
	}
	p.views[hierarchy] = v
	return v, nil
}

func (v *hostView) open(r *Request) error {
	place, err := rooted.Resolve(r.Root, v.path)
	switch {
	case errors.Is(err, rooted.ErrDangling), errors.Is(err, rooted.ErrLinks), errors.Is(err, rooted.ErrLeads), errors.Is(err, unix.ENOTDIR):
		v.reason = err.Error()
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	v.place = place
	info, err := r.Root.Lstat(place)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		v.reason = "it is no folder"
		return nil
	}
	v.root, err = r.Root.OpenRoot(place)
	return err
}

// list returns the types of what is in a folder.
func (v *hostView) list(folder string) (map[string]fs.FileMode, error) {
	if list, known := v.listings[folder]; known {
		return list, nil
	}
	f, err := v.openFolder(folder)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list := map[string]fs.FileMode{}
	for {
		entries, err := f.ReadDir(1 << 10)
		for _, e := range entries {
			list[e.Name()] = e.Type()
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	v.listings[folder] = list
	return list, nil
}

// openFolder opens a folder to be listed. A file that os.Root has opened looks at each
// entry anew to list it, of which the host's folders have thousands: the types are
// known without that.
func (v *hostView) openFolder(folder string) (*os.File, error) {
	f, err := v.root.OpenFile(folder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	// By this name it looks at what the file system tells no type of.
	return os.NewFile(uintptr(fd), fmt.Sprintf("/proc/self/fd/%d", fd)), nil
}

// at returns the type of what the host has at a path below the hierarchy, links
// not followed.
func (v *hostView) at(rel string) (mode fs.FileMode, there bool, err error) {
	switch {
	case v.root == nil:
		return 0, false, nil
	case rel == ".":
		return fs.ModeDir, true, nil
	}
	folder, name := path.Split(rel)
	folder = path.Clean(folder)
	if mode, there, err = v.at(folder); err != nil || !there || !mode.IsDir() {
		return 0, false, err
	}
	list, err := v.list(folder)
	if err != nil {
		return 0, false, fmt.Errorf("looking at the host's %q: %w", path.Join(v.path, folder), err)
	}
	mode, there = list[name]
	return mode, there, nil
}
