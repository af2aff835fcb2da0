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

// File is one to install.
type File struct {
	// Name is that in the folder, without any other.
	Name string
	// Secret files are their owner's alone, and replaced in place: there is an
	// old one or a new one at every moment.
	Secret bool
	Data   []byte
}

func (f File) mode() fs.FileMode {
	if f.Secret {
		return 0o600
	}
	return 0o644
}

const replaceHint = "choose another folder, or replace the files with --force"

// CheckAbsent says early which file would be in Install's way: making keys can
// take seconds.
func CheckAbsent(dir string, names []string, force bool) error {
	for _, name := range names {
		info, err := os.Lstat(filepath.Join(dir, name))
		switch {
		case err != nil:
		case !force:
			return hint.Wrap(fmt.Errorf("file %q: %w", name, fs.ErrExist), replaceHint)
		case info.IsDir():
			return hint.Wrap(fmt.Errorf("%q is a folder", name), "choose another folder, or remove it")
		}
	}
	return nil
}

// Install writes files into the folder dir, which is made with mode 0700 if
// absent, and returns their paths. All are staged and synced first, then they
// appear in the order given; existing files are an error that wraps fs.ErrExist
// unless force is set. A failure puts everything back.
//
// A run that is killed leaves all files or lacks some. With force, no file that
// is not secret is there until all secret ones are new, so that what two runs left
// never looks like one set. It may also leave files whose names begin with
// ".inlay-".
func Install(dir string, force bool, files []File) (paths []string, err error) {
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
		paths = append(paths, filepath.Join(dir, f.Name))
	}
	made, err := makeDir(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil && made {
			_ = os.Remove(dir) // only if nothing is in it
		}
	}()
	if err := CheckAbsent(dir, names, force); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, bare(err)
	}
	defer root.Close()

	prefix := ".inlay-" + rand.Text() + "-"
	defer func() {
		for _, f := range files {
			if removeErr := root.Remove(prefix + f.Name); !errors.Is(removeErr, fs.ErrNotExist) { // renamed, or never there
				err = errors.Join(err, removeErr)
			}
		}
	}()
	for _, f := range files {
		if err := stage(root, prefix+f.Name, f); err != nil {
			return nil, fmt.Errorf("writing %q: %w", f.Name, bare(err))
		}
	}
	if force {
		err = replaceAll(root, prefix, files)
	} else {
		err = appearAll(root, prefix, files)
	}
	if err != nil {
		return nil, err
	}
	return paths, syncDir(dir)
}

// replaceAll puts the staged files in place of old ones, or leaves the old ones.
// Their second names, which a failure puts back, also find out early what cannot
// be replaced: a mount point, a file that is immutable.
func replaceAll(root *os.Root, prefix string, files []File) error {
	old := make(map[string]string) // second name by first
	var err error
	for _, f := range files {
		second := prefix + "old-" + f.Name
		if err = root.Link(f.Name, second); err == nil {
			old[f.Name] = second
		} else if !errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("keeping the old %q: %w", f.Name, bare(err))
			break
		}
		err = nil
	}
	if err == nil {
		if err = exchange(root, prefix, files); err != nil {
			err = errors.Join(err, restore(root, old, files))
		}
	}
	for _, second := range old {
		if removeErr := root.Remove(second); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}
	return err
}

// exchange takes the old files away that are not secret, and puts the new ones
// in place, the secret ones first.
func exchange(root *os.Root, prefix string, files []File) error {
	for _, f := range slices.Backward(files) {
		if f.Secret {
			continue
		}
		if err := root.Remove(f.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the old %q: %w", f.Name, bare(err))
		}
	}
	for _, secret := range []bool{true, false} {
		for _, f := range files {
			if f.Secret != secret {
				continue
			}
			if err := root.Rename(prefix+f.Name, f.Name); err != nil {
				return fmt.Errorf("replacing %q: %w", f.Name, bare(err))
			}
		}
	}
	return nil
}

// restore puts files back under their first names, and takes away new ones.
// Renaming a name onto another of the same file leaves both, which is as good.
func restore(root *os.Root, old map[string]string, files []File) (err error) {
	for _, f := range files {
		if second, ok := old[f.Name]; ok {
			err = errors.Join(err, root.Rename(second, f.Name))
		} else if removeErr := root.Remove(f.Name); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}
	return err
}

// appearAll gives the staged files their names, or none of them.
func appearAll(root *os.Root, prefix string, files []File) error {
	for i, f := range files {
		err := appear(root, prefix+f.Name, f.Name)
		if err == nil {
			continue
		}
		for _, earlier := range files[:i] {
			err = errors.Join(err, root.Remove(earlier.Name))
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
func stage(root *os.Root, name string, f File) (err error) {
	w, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode())
	if err != nil {
		return err
	}
	_, err = w.Write(f.Data)
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
