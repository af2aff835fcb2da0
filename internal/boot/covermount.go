package boot

import (
	"errors"
	"os"
	"path/filepath"

	"inlay/internal/mount"
)

// coverSource is what mountinfo shows for a cover.
const coverSource = "inlay-cover"

// stagingFolder is where mounts wait on old kernels.
const stagingFolder = "run/inlay"

// mountCovers mounts them in the namespace of PID 1, in which systemd merges.
func (p *pass) mountCovers(folders []string) map[string]error {
	failed := map[string]error{}
	do := func() error {
		mounts, err := mount.Mounts()
		if err != nil {
			return err
		}
		if err := p.System.MkdirAll(stagingFolder, 0o755); err != nil {
			return err
		}
		m := mount.New(mount.Options{Features: mount.Detect(), Staging: filepath.Join(p.System.Name(), stagingFolder)})
		defer func() { _ = m.Close() }() // all of it is attached by then, or said to have failed
		for _, folder := range folders {
			at := filepath.Join(p.Target.Name(), folder)
			if covered(mounts, at) {
				continue
			}
			if err := coverOne(m, at); err != nil {
				failed[folder] = err
			}
		}
		return nil
	}
	var err error
	if p.Target.Name() == "/" && os.Getpid() != 1 {
		err = mount.InNamespaceOf(1, do)
	} else {
		err = do()
	}
	if err != nil {
		for _, folder := range folders {
			failed[folder] = err
		}
	}
	return failed
}

func coverOne(m *mount.Mounter, at string) error {
	t, err := m.Tmpfs(mount.TmpfsOptions{
		Source: coverSource, Mode: 0o755, Size: 4096,
		Flags: mount.ReadOnly | mount.NoDev | mount.NoSuid | mount.NoExec,
	})
	if err != nil {
		return err
	}
	return errors.Join(t.AttachTo(at), t.Close())
}

// covered says whether the topmost mount at a place is a cover.
func covered(mounts []mount.Info, at string) bool {
	over, found := mount.Covering(mounts, at)
	return found && over.MountPoint == at && over.Type == "tmpfs" && over.Source == coverSource
}
