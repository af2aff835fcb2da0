package layer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/mount"
)

// writing is how a mode works out for one hierarchy.
type writing struct {
	// upper takes what is written, with work beside it; nil for a merge that is only
	// read.
	upper, work *os.File
	// imported is a layer below the marker; nil for none.
	imported *os.File
	// isHost says that upper is the host's own folder, which is no layer then.
	isHost bool
	// workDir is work below the root, if it stays after the merge.
	workDir string
	closers []func() error
}

func (w *writing) close() error {
	var errs []error
	for _, c := range w.closers {
		errs = append(errs, c())
	}
	w.closers = nil
	return errors.Join(errs...)
}

// writingOf opens what a stack needs for its mode. host is the hierarchy's folder,
// nil if there is none.
func (j *job) writingOf(s *Stack, host *os.File) (_ *writing, err error) {
	w := &writing{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	switch j.plan.Request.Mutable {
	case Auto, Mutable:
		return w, j.keep(w, s, host)
	case Import:
		return w, j.bring(w, s, host)
	case Ephemeral:
		return w, j.forget(w, host)
	case EphemeralImport:
		return w, errors.Join(j.bring(w, s, host), j.forget(w, host))
	default:
		return w, nil
	}
}

// keep has what is written to a hierarchy kept in its folder.
func (j *job) keep(w *writing, s *Stack, host *os.File) error {
	root := j.plan.Request.Root
	mode, err := permissions(host)
	if err != nil {
		return err
	}
	if j.plan.Request.Mutable == Mutable {
		if err := makeMutable(root, s.Path, mode); err != nil {
			return err
		}
	}
	at, err := stored(root, s.Path)
	if err != nil || at == "" {
		return err
	}
	if w.upper, err = w.open(root, at); err != nil {
		return err
	}
	has, err := permissions(w.upper)
	if err != nil {
		return err
	}
	if has != mode {
		return hint.Wrap(fmt.Errorf("mutable folder %q has the mode %#o, and %q has %#o", "/"+at, has, s.Path, mode),
			fmt.Sprintf("chmod %04o %s", mode, j.base+"/"+at))
	}
	if w.isHost, err = isSameFolder(w.upper, host); err != nil {
		return err
	}
	w.workDir = path.Join(path.Dir(at), ".systemd-"+component(s.Path)+"-workdir")
	if j.inUse(w.workDir) {
		// The kernel empties a work folder, also one that it is at work in.
		w.workDir = path.Join(path.Dir(at), ".systemd-"+component(s.Path)+".next-workdir")
	}
	if err := root.Mkdir(w.workDir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making work folder %q: %w", "/"+w.workDir, err)
	}
	if w.work, err = w.open(root, w.workDir); err != nil {
		return err
	}
	a, err := mount.DeviceOf(w.upper)
	if err != nil {
		return err
	}
	b, err := mount.DeviceOf(w.work)
	if err == nil && a != b {
		err = hint.Wrap(fmt.Errorf("work folder %q is on another file system than %q: %w", "/"+w.workDir, "/"+at, unix.EXDEV),
			"let the mutable folder lie below the top of its file system")
	}
	return err
}

// bring has the folder of a hierarchy as a layer that is only read.
func (j *job) bring(w *writing, s *Stack, host *os.File) error {
	root := j.plan.Request.Root
	at, err := stored(root, s.Path)
	if err != nil || at == "" {
		return err
	}
	if w.imported, err = w.open(root, at); err != nil {
		return err
	}
	same, err := isSameFolder(w.imported, host)
	if err == nil && same {
		err = hint.Wrap(fmt.Errorf("%q leads to the hierarchy %q itself, which is a layer already: %w", "/"+mutableDir(s.Path), s.Path, unix.ELOOP),
			"choose the mode auto, which writes there, or remove the link")
	}
	return err
}

// forget has what is written to a hierarchy kept in memory, until it is unmerged.
func (j *job) forget(w *writing, host *os.File) error {
	mode, err := permissions(host)
	if err != nil {
		return err
	}
	tree, err := j.mounter.Tmpfs(mount.TmpfsOptions{Source: j.kind.Name, Mode: 0o755, Flags: mount.NoDev})
	if err != nil {
		return err
	}
	w.closers = append(w.closers, tree.Close)
	root, err := tree.Root()
	if err != nil {
		return err
	}
	defer root.Close()
	const upper, work = "upper", "work"
	if err := errors.Join(root.Mkdir(upper, mode), root.Mkdir(work, 0o700)); err != nil {
		return fmt.Errorf("making the folders of what is written: %w", err)
	}
	if err := dress(host, root, upper); err != nil {
		return err
	}
	now := j.now
	if err := root.Chtimes(upper, now, now); err != nil {
		return fmt.Errorf("setting the time of the merge: %w", err)
	}
	if w.upper, err = tree.Open(upper); err != nil {
		return err
	}
	w.closers = append(w.closers, w.upper.Close)
	if w.work, err = tree.Open(work); err != nil {
		return err
	}
	w.closers = append(w.closers, w.work.Close)
	return nil
}

// open opens a folder until w is closed.
func (w *writing) open(root *os.Root, at string) (*os.File, error) {
	f, err := root.OpenFile(at, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("opening %q: %w", "/"+at, err)
	}
	w.closers = append(w.closers, f.Close)
	return f, nil
}

// inUse says whether something that is merged now has this work folder.
func (j *job) inUse(workDir string) bool { return slices.Contains(j.oldWork, workDir) }

// dropWork removes the work folder of a merge that is gone.
func dropWork(root *os.Root, k extension.Kind, workDir string) error {
	if workDir == "" {
		return nil
	}
	if err := root.RemoveAll(workDir); err != nil {
		return fmt.Errorf("removing the work folder of what was merged of kind %s: %w", k.Name, err)
	}
	return nil
}
