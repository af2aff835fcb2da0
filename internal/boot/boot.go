// Package boot is the boot step of a node: in one pass it decides which profile was
// booted and whose signatures count, takes in what an installer has left, gives
// each extension that is enabled its verdict, links the good ones where systemd
// looks for them, has them merged where nobody else will, and says what it did.
//
// It runs where nobody watches. So nothing in it stops a boot: every part has a
// bounded time, an extension that is bad or slow is left out and its neighbours are
// not, and whatever happens stands in the Report. What it cannot decide it decides
// to the strict side.
//
// It follows what Kairos documents of immucore. Left out on purpose: immucore's
// other duties (mounts, fstab, stages of a cloud-config), and how extensions are
// merged, which the Merger it is given knows.
package boot

import (
	"context"
	"errors"
	"os"
	"time"

	"inlay/internal/bootstate"
	"inlay/internal/extension"
	"inlay/internal/trust"
)

// Times that the pass keeps to unless Options say otherwise. Each is far more than
// a good image on a slow disk takes, and less than anybody waits at a boot.
const (
	DefaultPerImage = 20 * time.Second
	DefaultTotal    = 90 * time.Second
)

// Options say what to boot with.
type Options struct {
	// Target is the root that the store lies below and that extensions are merged
	// into: /sysroot in an initial RAM disk, else the running system's.
	Target *os.Root
	// System is where this boot's proc, sys, run and dev are: the running root.
	System *os.Root
	// InPlace says that both are the same folder.
	InPlace bool
	// Kinds to look after; none are all.
	Kinds []extension.Kind
	// Hook is the word by which an integration says that it was the one to call.
	Hook string
	// State is what was booted; nil finds out.
	State *bootstate.Report
	// Trust collects the anchors, and says by which policy to judge.
	Trust func(context.Context, *bootstate.Report) (*Trust, error)
	// Merger merges what was linked; nil leaves that to systemd's services.
	Merger Merger
	// SetAside has systemd's services pass over signatures until the next boot: one is
	// by a key that nobody here knows, and the policy lets it in all the same. Nil, or
	// an error, leaves such an image out, for which systemd might merge nothing.
	SetAside func(context.Context, extension.Kind) error
	// Cover lays an empty folder, in which nobody can write, over each of these,
	// below Target; nil mounts them. It returns what went wrong with which.
	Cover func(folders []string) map[string]error
	// Reload has systemd read its settings anew: it had read them before some were
	// covered. Nil is where it is not running yet.
	Reload func(context.Context) error
	// InMemory says that a folder is in the memory of this boot; nil asks the kernel.
	InMemory func(root *os.Root, name string) bool
	// PerImage and Total bound the time for one image and for the pass; 0 is the
	// default.
	PerImage, Total time.Duration
	// Strict leaves out an image of which not every block could be read in its time.
	// Else one is linked whose root hash is signed: the kernel checks each block that
	// is read.
	Strict bool
	// Architecture is systemd's word for this machine's.
	Architecture string
	// Tries is how many boots an extension gets to be part of one that is marked
	// good; 0 is no trials, as where nobody marks any.
	Tries int
	// DryRun says what would be done, and does nothing.
	DryRun bool
	// Line hears each step as one line; nil is nobody.
	Line func(string)
	Now  func() time.Time

	opening func(fileName string, on func()) // for tests: a disk that hangs, or is slow
}

// Trust is whom a boot trusts.
type Trust struct {
	Anchors *trust.Set
	Policy  trust.Policy
	// Because says what decided on the policy.
	Because string
	// RequireValidDates refuses signers whose certificate is out of date.
	RequireValidDates bool
	// OwnTrust lets in extensions that bring anchors, or settings of the merge itself.
	OwnTrust bool
	// Image is the configuration that the signed image brings along, which later
	// commands find in memory; nil if there is none.
	Image []byte
}

// Merger merges what is linked in the run folders.
type Merger interface {
	// Merge merges the kind below the target and returns the name of the engine.
	Merge(ctx context.Context, k extension.Kind) (engine string, err error)
}

// Run is the pass. It returns no error, since there is nobody to act on one: the
// Report holds everything, and has been written below System as far as that went.
func Run(ctx context.Context, o Options) *Report {
	p := newPass(o)
	ctx, cancel := context.WithTimeoutCause(ctx, p.total(), errOutOfTime)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer p.crashed()
		p.run(ctx)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		// Whoever looks at ctx comes to an end now. What hangs in the kernel doesn't:
		// it is left behind, and what it has begun is not gone on with.
		select {
		case <-done:
		case <-time.After(patience):
			return p.abandon()
		}
	}
	p.close()
	return p.finish(p.report)
}

// patience is how long a step whose time is up may take to come to an end.
const patience = 2 * time.Second

var (
	errOutOfTime = errors.New("the boot step has used up its time")
	errCrashed   = errors.New("the check ended in a fault of this program, which is worth a report")
	errSlow      = errors.New("the check took too long, as a disk does that fails, or one that is very busy")
)
