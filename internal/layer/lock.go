package layer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/hint"
)

const (
	// stateFolder is where reports lie until the next boot, and what keeps two
	// merges apart.
	stateFolder = "run/inlay"
	lockFile    = "layer.lock"
	// The lock is asked for again and again, ever less often: there is no way to
	// wait for one that a context can end.
	firstPause = 2 * time.Millisecond
	lastPause  = 50 * time.Millisecond
)

// ErrBusy says that another command is merging.
var ErrBusy = errors.New("another command is merging extensions")

// locked runs fn as the only one that merges, after what was left half done by one
// that was killed is cleared away. It gets the report of the last merge, nil if
// there is none. The kernel frees the lock of a process that has died.
func (n *Native) locked(ctx context.Context, k extension.Kind, fn func(*Report) (*Result, error)) (*Result, error) {
	f, err := n.openLock()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := n.waitFor(ctx, f); err != nil {
		return nil, fmt.Errorf("locking %q: %w", path.Join("/", stateFolder, lockFile), err)
	}
	before, err := n.settle(k)
	if err != nil {
		return nil, fmt.Errorf("clearing away what an interrupted merge has left: %w", err)
	}
	return fn(before)
}

func (n *Native) openLock() (*os.File, error) {
	err := n.root.MkdirAll(stateFolder, 0o755)
	var f *os.File
	if err == nil {
		f, err = n.root.OpenFile(path.Join(stateFolder, lockFile), os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		err = hint.Default(err, "run it as root")
	case errors.Is(err, unix.EROFS):
		err = hint.Default(err, "mount a tmpfs at "+n.at("run"))
	}
	if err != nil {
		return nil, fmt.Errorf("opening the lock %q: %w", path.Join("/", stateFolder, lockFile), err)
	}
	return f, nil
}

func (n *Native) waitFor(ctx context.Context, f *os.File) error {
	timeout := time.NewTimer(n.o.Wait)
	defer timeout.Stop()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		next := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			next.Stop()
			return context.Cause(ctx)
		case <-timeout.C:
			next.Stop()
			return hint.Wrap(ErrBusy, "wait for it to end, then try again")
		case <-next.C:
		}
	}
}

// settle clears away what a command that was killed has left, and returns the
// report of the last one. Nothing else that it left has a name.
func (n *Native) settle(k extension.Kind) (*Report, error) {
	report, err := ReadReport(n.root, k)
	if err != nil || report == nil {
		return nil, err
	}
	if !report.Pending {
		return report, nil
	}
	if err := n.unstack(k, report); err != nil {
		return nil, err
	}
	return report, n.sweep(k, report)
}
