package layer

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/mount"
)

// built is a hierarchy's new tree, which nobody sees yet.
type built struct {
	stack   *Stack
	path    string // in the caller's mount namespace
	tree    *mount.Tree
	device  mount.Device
	workDir string // below the root; "" for none
}

// build stacks the layers of a hierarchy, in the view's mount namespace.
func (j *job) build(s *Stack) (_ *built, err error) {
	var host *os.File
	if !s.Missing {
		if host, err = j.plan.Request.Root.Open(s.Place); err != nil {
			return nil, fmt.Errorf("opening the host's folder: %w", err)
		}
		defer host.Close()
	}
	w, err := j.writingOf(s, host)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close()) }()

	meta, m, err := j.metaOf(s, host, w)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, meta.Close()) }()
	layers, done, err := j.layersOf(s, host, meta, w)
	defer done()
	if err != nil {
		return nil, err
	}
	flags, options, err := j.overlayOptions(w)
	if err != nil {
		return nil, err
	}
	tree, err := j.mounter.Overlay(mount.OverlayOptions{
		Lower: layers, Upper: w.upper, Work: w.work, Source: j.kind.Name, Flags: flags, Options: options,
	})
	if err != nil {
		return nil, limited(err)
	}
	b := &built{stack: s, path: j.at(s.Place), tree: tree, workDir: w.workDir}
	j.closers = append(j.closers, tree.Close)
	return b, j.finish(b, meta, m, w)
}

// layersOf opens the layers of a stack, the topmost first, until done is called.
func (j *job) layersOf(s *Stack, host *os.File, meta *mount.Tree, w *writing) (layers []*os.File, done func(), err error) {
	var opened []func() error
	done = func() {
		for _, c := range opened {
			_ = c() // the overlay has its own hold on them
		}
	}
	add := func(f *os.File, err error) error {
		if err == nil {
			opened = append(opened, f.Close)
			layers = append(layers, f)
		}
		return err
	}
	if err := add(meta.Open(".")); err != nil {
		return nil, done, err
	}
	if w.imported != nil {
		layers = append(layers, w.imported)
	}
	for _, l := range s.Layers {
		source := j.sources[l.Item]
		if source == nil {
			return nil, done, fmt.Errorf("extension %q is not mounted", l.Name)
		}
		if err := add(source.open(l.Item, l.Folder)); err != nil {
			return nil, done, fmt.Errorf("opening folder %q of extension %q: %w", l.Folder, l.Name, err)
		}
	}
	if host != nil && !s.Bare && !w.isHost {
		layers = append(layers, host)
	}
	overlapping, err := mount.Overlap(layers)
	if err != nil {
		return nil, done, err
	}
	for _, at := range overlapping {
		// A folder extension inside of the hierarchy that it extends.
		tree, err := j.mounter.Isolate(layers[at])
		if err != nil {
			return nil, done, err
		}
		opened = append(opened, tree.Close)
		f, err := tree.Open(".")
		if err != nil {
			return nil, done, err
		}
		opened = append(opened, f.Close)
		layers[at] = f
	}
	return layers, done, nil
}

// overlayOptions are the flags and options of an overlay.
func (j *job) overlayOptions(w *writing) (mount.Flags, []string, error) {
	r := &j.plan.Request
	flags := mount.NoDev
	if j.kind.Configuration {
		flags |= mount.NoSuid | mount.NoExec
	}
	if r.NoExec != nil {
		flags &^= mount.NoExec
		if *r.NoExec {
			flags |= mount.NoExec
		}
	}
	options := []string{"redirect_dir=on", "noatime", "metacopy=off", "index=off"}
	if w.upper == nil {
		flags |= mount.ReadOnly
		options = nil
	}
	name := variable(j.kind, "OVERLAYFS_MOUNT_OPTIONS")
	if text := r.Getenv(name); text != "" {
		options = strings.Split(text, ",")
	}
	// Some are of the mount, not of the overlay.
	words := map[string]mount.Flags{"ro": mount.ReadOnly, "nodev": mount.NoDev, "nosuid": mount.NoSuid, "noexec": mount.NoExec, "noatime": mount.NoAtime}
	var rest []string
	for _, option := range options {
		key, _, _ := strings.Cut(option, "=")
		if slices.Contains([]string{"lowerdir", "lowerdir+", "datadir+", "upperdir", "workdir"}, key) {
			return 0, nil, hint.Wrap(fmt.Errorf("%s has the option %q, which would change the layers", name, option), "leave it out")
		}
		if flag, ok := words[option]; ok {
			flags |= flag
		} else if option != "" {
			rest = append(rest, option)
		}
	}
	return flags, rest, nil
}

// limited adds advice to an error that a limit of the kernel is the reason of.
func limited(err error) error {
	limit, ok := errors.AsType[*mount.LimitError](err)
	if !ok {
		return err
	}
	switch limit.Limit {
	case mount.Layers:
		return hint.Default(err, "disable some extensions, or build one of several")
	case mount.Depth:
		return hint.Default(err, "merge into folders that are no overlay on an overlay")
	default:
		return err
	}
}
