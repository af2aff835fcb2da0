// Package layer has extensions merged into a running system, and tells which are.
//
// A merge has two halves. MakePlan finds out what is to be merged, and mounts
// nothing: it looks for extensions, holds each against the host and the policy,
// by the very file that will be used, and says what becomes of every one and why.
// An Engine executes the plan, and nothing else. There are two:
//
//   - SystemdEngine has systemd-sysext(8) and systemd-confext(8) merge, by the
//     service systemd-sysext.service where systemd is PID 1, so that the service's
//     drop-ins count, and as a program else. What is not to be merged is hidden from
//     them meanwhile, and what they merged is compared with the plan.
//   - Native merges by the kernel's own calls.
//
// What is merged is read from what a merge leaves in each hierarchy
// (.systemd-sysext and .systemd-confext), not asked of anybody: it works without
// systemd, and for merges that others have made.
//
// Systemd is the older half of SystemdEngine, for callers who have decided by
// themselves what lies in the folders of extensions.
//
// Left out on purpose: enabling and fetching extensions, and what a list of them
// shows.
package layer

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"inlay/internal/extension"
)

// ErrNoTool says that nothing here can merge extensions of that kind.
var ErrNoTool = errors.New("nothing here merges extensions")

// defaultTimeout bounds one refresh. A merge takes milliseconds; what takes
// long are images whose verity device fails, some 20 tries each.
const defaultTimeout = 2 * time.Minute

// Options are how New deviates from the process's own world. The zero value is
// that world.
type Options struct {
	// Runner starts programs; nil is Command.
	Runner Runner
	// Getenv returns a variable of the environment, or ""; nil is os.Getenv.
	Getenv func(string) string
	// Now tells the time of day; nil is time.Now.
	Now func() time.Time
	// Timeout bounds one refresh; 0 is two minutes.
	Timeout time.Duration
}

// Systemd merges by systemd's tools. Its methods may be called at the same time,
// but two refreshes of one kind should not be: the caller holds the store's lock.
type Systemd struct {
	root    *os.Root
	running bool
	o       Options
}

// New returns the engine for the system below root, which the caller keeps open.
func New(root *os.Root, o Options) *Systemd {
	if o.Runner == nil {
		o.Runner = Command{}
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	return &Systemd{root: root, running: isRunning(root), o: o}
}

// Merged returns the hierarchies that extensions of a kind are merged into right
// now, by path; none is none. It looks where systemd merges by default, where
// the environment says (SYSTEMD_SYSEXT_HIERARCHIES), in Kairos' set, and in the
// running system wherever something is mounted that calls itself such a merge.
func (s *Systemd) Merged(ctx context.Context, k extension.Kind) ([]Hierarchy, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	more, err := fromEnvironment(k, s.o.Getenv)
	if err != nil {
		return nil, err
	}
	if s.running {
		mounted, err := mountPoints(s.root, k)
		if err != nil {
			return nil, err
		}
		more = append(more, withoutOtherRoots(mounted, append(known(k), more...))...)
	}
	return Merged(s.root, k, more...)
}

// withoutOtherRoots leaves mount points out that are a hierarchy below another
// root, such as "/sysroot/usr".
func withoutOtherRoots(points, hierarchies []string) []string {
	return slices.DeleteFunc(points, func(point string) bool {
		return slices.ContainsFunc(hierarchies, func(h string) bool { return point != h && strings.HasSuffix(point, h) })
	})
}

// isRunning says whether root is the root of this process, and so what systemd
// means when it is told nothing else.
func isRunning(root *os.Root) bool {
	here, err := os.Stat("/")
	if err != nil {
		return false
	}
	there, err := root.Stat(".")
	return err == nil && os.SameFile(here, there)
}
