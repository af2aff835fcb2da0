package layer

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"

	"inlay/internal/extension"
	"inlay/internal/stage"
)

const (
	// setAside makes systemd's tools take an image with verity as if its
	// signature were not there (docs/ENVIRONMENT.md of systemd).
	setAside = "SYSTEMD_DISSECT_VERITY_SIGNATURE=0"
	// dropInName is that of the file which tells the service so.
	dropInName = "50-inlay-signatures.conf"
)

// dropInText is what that file says. A service gets no environment but by its
// unit. The other ways are worse: the manager's own environment (systemctl
// set-environment) would reach every service that is started meanwhile, and the
// tool called directly misses the unit's other drop-ins, policies among them.
const dropInText = `# Written by inlay, and removed by it when no longer needed: an extension is
# enabled whose signature nobody here can check, and no policy asks for one.
[Service]
Environment=` + setAside + "\n"

// setDropIn has the service ignore signatures, or not, until the next boot. The
// file stays, so that a later restart by anybody else does not fail for want of
// it. It returns whether something was changed, and what changes it back.
func (s *Systemd) setDropIn(k extension.Kind, wanted bool) (restore func() error, changed bool, err error) {
	name := path.Join("run/systemd/system", k.Unit+".d", dropInName)
	old, err := s.root.ReadFile(name)
	there := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, fmt.Errorf("looking for the drop-in: %w", err)
	}
	restore = func() error {
		if there {
			return s.writeDropIn(name, string(old))
		}
		return s.removeDropIn(name)
	}
	switch {
	case wanted && string(old) != dropInText:
		return restore, true, s.writeDropIn(name, dropInText)
	case !wanted && there:
		return restore, true, s.removeDropIn(name)
	default:
		return nil, false, nil
	}
}

func (s *Systemd) removeDropIn(name string) error {
	if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the drop-in: %w", err)
	}
	return nil
}

func (s *Systemd) writeDropIn(name, text string) error {
	if err := s.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return fmt.Errorf("making the folder of the drop-in: %w", err)
	}
	f, err := stage.Create(filepath.Join(s.root.Name(), name), 0o644)
	if err != nil {
		return fmt.Errorf("writing the drop-in: %w", err)
	}
	defer f.Discard()
	if _, err := f.WriteString(text); err != nil {
		return fmt.Errorf("writing the drop-in: %w", err)
	}
	return f.Commit()
}
