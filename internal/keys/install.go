package keys

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"inlay/internal/hint"
)

// file is one to install.
type file struct {
	name string
	mode fs.FileMode
	data []byte
}

const replaceHint = "choose another folder, or replace the files with --force"

// checkAbsent says early which file is in the way; install makes sure.
func checkAbsent(dir string, names []string, force bool) error {
	if force {
		return nil
	}
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return hint.Wrap(fmt.Errorf("file %q: %w", name, fs.ErrExist), replaceHint)
		}
	}
	return nil
}

// install writes files into the folder dir, which is made if absent, and
// returns their paths. All are staged and synced first, then they appear in the
// order given. With force the first replaces the old one in one step, after the
// old others went. So of two files the second never stands beside another run's
// first, and there is a first at every moment. Without force, a failure takes
// away what had appeared.
func install(dir string, force bool, files []file) (paths []string, err error) {
	made, err := makeDir(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && made {
			_ = os.Remove(dir) // only if nothing is in it
		}
	}()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, bare(err)
	}
	defer root.Close()

	staged := make([]string, 0, len(files))
	defer func() {
		for _, name := range staged {
			if removeErr := root.Remove(name); !errors.Is(removeErr, fs.ErrNotExist) { // not renamed away
				err = errors.Join(err, removeErr)
			}
		}
	}()
	for _, f := range files {
		name := ".inlay-" + rand.Text() + "-" + f.name
		if err := stage(root, name, f); err != nil {
			return nil, fmt.Errorf("writing %q: %w", f.name, bare(err))
		}
		staged = append(staged, name)
	}
	if force {
		err = replaceAll(root, staged, files)
	} else {
		err = appearAll(root, staged, files)
	}
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		paths = append(paths, filepath.Join(dir, f.name))
	}
	if err := syncDir(dir); err != nil {
		return nil, err
	}
	return paths, nil
}

// replaceAll puts the staged files in place of the old ones.
func replaceAll(root *os.Root, staged []string, files []file) error {
	for _, f := range slices.Backward(files[1:]) {
		if err := root.Remove(f.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the old %q: %w", f.name, bare(err))
		}
	}
	for i, f := range files {
		if err := root.Rename(staged[i], f.name); err != nil {
			return fmt.Errorf("replacing %q: %w", f.name, bare(err))
		}
	}
	return nil
}

// appearAll gives the staged files their names, or none of them.
func appearAll(root *os.Root, staged []string, files []file) error {
	for i, f := range files {
		err := appear(root, staged[i], f.name)
		if err == nil {
			continue
		}
		for _, earlier := range files[:i] {
			err = errors.Join(err, root.Remove(earlier.name))
		}
		return err
	}
	return nil
}

// appear gives a staged file its name, if that is free: linking is the one
// atomic step that never replaces anything.
func appear(root *os.Root, staged, name string) error {
	err := root.Link(staged, name)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrExist):
		return hint.Wrap(fmt.Errorf("file %q: %w", name, fs.ErrExist), replaceHint)
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EOPNOTSUPP):
		// FAT knows neither links nor owners.
		return hint.Wrap(fmt.Errorf("naming %q: the file system has no hard links, so it could not keep a key private either", name),
			"choose a folder on another file system")
	default:
		return fmt.Errorf("naming %q: %w", name, err)
	}
}

// stage writes a new file and syncs it; on failure it is gone again.
func stage(root *os.Root, name string, f file) (err error) {
	w, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
	if err != nil {
		return err
	}
	_, err = w.Write(f.data)
	if err == nil {
		err = w.Sync()
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return errors.Join(err, root.Remove(name))
	}
	return nil
}

// makeDir makes a folder for secrets and says whether it was not there before.
func makeDir(dir string) (made bool, err error) {
	info, err := os.Stat(dir)
	switch {
	case err == nil && !info.IsDir():
		return false, hint.Wrap(errors.New("it is not a folder"), "name a folder; it is made if it is not there")
	case err == nil:
		return false, nil
	case !errors.Is(err, fs.ErrNotExist):
		return false, bare(err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, bare(err)
	}
	return true, syncDir(filepath.Dir(filepath.Clean(dir)))
}

// syncDir makes names in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return bare(err)
	}
	return errors.Join(d.Sync(), d.Close())
}
