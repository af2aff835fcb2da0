package layer

import (
	"context"

	"inlay/internal/extension"
)

// SetAside has systemd's service of a kind pass over the signatures of images until
// the next boot, without merging anything: what a boot links, the service merges
// later. A manager that runs already is told.
func (s *Systemd) SetAside(ctx context.Context, k extension.Kind) error {
	_, changed, err := s.setDropIn(k, true)
	if err != nil || !changed {
		return err
	}
	return s.Reload(ctx)
}

// Reload has a manager that runs already read its settings anew.
func (s *Systemd) Reload(ctx context.Context) error {
	if !s.running || !s.managed() {
		return nil
	}
	return s.systemctl(ctx, "daemon-reload")
}
