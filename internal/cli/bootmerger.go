package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/layer"
)

// bootMerger merges for the boot step, by this program's own engine.
type bootMerger struct {
	env *Env
	// system is whom the boot trusts; nil until that is known.
	system *system
}

// Merge implements boot.Merger.
func (m *bootMerger) Merge(ctx context.Context, k extension.Kind) (engine string, err error) {
	s := m.system
	if s == nil {
		return layer.EngineNative, errors.New("nothing is merged, since it could not be told whom to trust")
	}
	l := newLayering(m.env, s, k)
	l.engine = layer.EngineNative
	if s.state.TrustedBoot && l.request.Mutable == "" {
		l.request.Mutable = layer.Immutable // whatever sysext.conf on the disk says
		l.request.Getenv = func(string) string { return "" }
	}
	restore, err := m.lendRun()
	if err != nil {
		return layer.EngineNative, err
	}
	defer func() { err = errors.Join(err, restore()) }()
	refresh := func(ctx context.Context, e layer.Engine, p *layer.Plan) (*layer.Result, error) {
		engine = e.Name()
		return e.Refresh(ctx, p, layer.RunOptions{NoReload: s.host != s.root})
	}
	return layer.EngineNative, l.execute(ctx, refresh, func(layer.Engine, *layer.Plan, *layer.Result, *os.Root) error { return nil })
}

// lendRun shows the target this boot's /run, where it has none yet: in an initial RAM
// disk, /run is moved there only with the switch to it. What the merge leaves in it
// goes along then.
func (m *bootMerger) lendRun() (restore func() error, err error) {
	s := m.system
	if s.host == s.root {
		return func() error { return nil }, nil
	}
	from, to := filepath.Join(s.host.Name(), "run"), filepath.Join(s.root.Name(), "run")
	// A disk may have it lead elsewhere: out of the system, even.
	info, err := s.root.Lstat("run")
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%q is no folder", to)
	}
	if err != nil {
		return nil, hint.Wrap(fmt.Errorf("showing the system this boot's /run: %w", err), "make the folder /run in the system's image")
	}
	same, err := sameFolder(from, to)
	if err != nil || same {
		return func() error { return nil }, err
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return nil, hint.Wrap(fmt.Errorf("showing %q at %q: %w", from, to, err), "make the folder in the system's image")
	}
	// What is unmounted there is to stay here.
	if err := unix.Mount("", to, "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return nil, errors.Join(err, unix.Unmount(to, unix.MNT_DETACH))
	}
	return func() error {
		if err := unix.Unmount(to, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("taking %q away again: %w", to, err)
		}
		return nil
	}, nil
}

func sameFolder(a, b string) (bool, error) {
	one, err := os.Stat(a)
	if err != nil {
		return false, err
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other), err
}
