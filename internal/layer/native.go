package layer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"inlay/internal/device"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/mount"
)

// NativeOptions are how NewNative deviates from the process's own world. The zero
// value is that world.
type NativeOptions struct {
	// Runner starts systemctl; nil is Command.
	Runner Runner
	// Getenv returns a variable of the environment, or ""; nil is os.Getenv.
	Getenv func(string) string
	// Now tells the time of day; nil is time.Now.
	Now func() time.Time
	// Features are the calls of the kernel that may be used; nil detects them.
	Features *mount.Features
	// Wait is how long to wait for another command that merges; 0 is half a minute.
	Wait time.Duration
	// Memory is how many bytes of copies of images are kept in memory; 0 is
	// device.DefaultMemory.
	Memory int64
}

// defaultWait is longer than any merge takes, but for one that copies images.
const defaultWait = 30 * time.Second

// Native merges by itself: for systems without systemd, and for those that want a
// refresh which is never seen half done.
//
// A merge is built aside, where nobody sees it, and comes into place by one call of
// the kernel for each hierarchy. Until then nothing of it has a name: whatever
// fails, or kills the process, leaves what was there.
//
// It is for one goroutine at a time, which stays in one mount namespace. Prepare
// belongs to the plan that is made next, and Close ends what it began.
type Native struct {
	root    *os.Root
	base    string // the path of root, without links; "" for "/"
	running bool
	o       NativeOptions
	manager *Systemd // only to talk to the service manager
	view    *view
	// fault, if set, fails before a tree is put into place at a path: for tests.
	fault func(path string) error
}

// NewNative returns an engine for the system below root, which stays the caller's.
func NewNative(root *os.Root, o NativeOptions) (*Native, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Wait == 0 {
		o.Wait = defaultWait
	}
	base, err := whereIs(root)
	if err != nil {
		return nil, err
	}
	manager := New(root, Options{Runner: o.Runner, Getenv: o.Getenv, Now: o.Now})
	return &Native{root: root, base: base, running: manager.running, o: o, manager: manager}, nil
}

// whereIs returns the path of a root folder without links, "" for "/": the kernel's
// own word for it.
func whereIs(root *os.Root) (string, error) {
	dir, err := root.Open(".")
	if err != nil {
		return "", fmt.Errorf("opening the root folder: %w", err)
	}
	defer dir.Close()
	base, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(dir.Fd())))
	if err != nil {
		return "", hint.Default(fmt.Errorf("asking where the root folder is: %w", err), "mount /proc")
	}
	if !filepath.IsAbs(base) {
		return "", fmt.Errorf("the root folder %q cannot be reached from here", root.Name())
	}
	return strings.TrimSuffix(base, "/"), nil
}

// features are the calls of the kernel that may be used.
func (n *Native) features() mount.Features {
	if n.o.Features == nil {
		features := mount.Detect()
		n.o.Features = &features
	}
	return *n.o.Features
}

// newMounter returns what makes mounts, until it is closed.
func (n *Native) newMounter() *mount.Mounter {
	return mount.New(mount.Options{Features: n.features(), Staging: n.at(stateFolder) + "/stage"})
}

// Name implements Engine.
func (n *Native) Name() string { return EngineNative }

// Prepare implements Engine. If something of the kind is merged, the plan is made
// in a copy of the mount namespace in which it isn't: what lies beneath a merge is
// what the next one is made of, not what shows through it.
func (n *Native) Prepare(ctx context.Context, r *Request) error {
	if err := n.Close(); err != nil {
		return err
	}
	view, err := n.lookBeneath(ctx, r)
	if err != nil {
		return err
	}
	n.view, r.Root = view, view.root
	r.Mapper = device.HaveMapper() == nil
	if !r.Mapper && r.Seal == nil {
		r.Seal = &device.SealOptions{Memory: n.o.Memory, Name: "inlay"}
		// Whatever is copied there has no name. Without it large images are refused.
		if folder, err := n.root.OpenRoot("var/tmp"); err == nil {
			r.Seal.Folder = folder
			view.closers = append(view.closers, folder.Close)
		}
	}
	return nil
}

// Close ends what Prepare began, after the plan is closed.
func (n *Native) Close() error {
	if n.view == nil {
		return nil
	}
	err := n.view.close()
	n.view = nil
	return err
}

// Merge implements Engine.
func (n *Native) Merge(ctx context.Context, p *Plan, o RunOptions) (*Result, error) {
	return n.locked(ctx, p.Request.Kind, func(before *Report) (*Result, error) {
		old, err := n.find(ctx, p.Request.Kind, p.Request.Hierarchies)
		if err != nil {
			return nil, err
		}
		if err := MayMerge(p.Request.Kind, withoutPlaces(old), before); err != nil {
			return nil, err
		}
		return n.execute(ctx, p, old, before, o)
	})
}

// Refresh implements Engine.
func (n *Native) Refresh(ctx context.Context, p *Plan, o RunOptions) (*Result, error) {
	return n.locked(ctx, p.Request.Kind, func(before *Report) (*Result, error) {
		old, err := n.find(ctx, p.Request.Kind, p.Request.Hierarchies)
		if err != nil {
			return nil, err
		}
		return n.execute(ctx, p, old, before, o)
	})
}

// Merged implements Engine.
func (n *Native) Merged(ctx context.Context, k extension.Kind) ([]Hierarchy, error) {
	merges, err := n.find(ctx, k, nil)
	return withoutPlaces(merges), err
}

// merge is a hierarchy that is merged now.
type merge struct {
	Hierarchy
	place  string // below the root, without links
	path   string // in this mount namespace
	device mount.Device
}

func withoutPlaces(merges []merge) []Hierarchy {
	var all []Hierarchy
	for _, m := range merges {
		all = append(all, m.Hierarchy)
	}
	return all
}

// find returns what is merged of a kind now, by path: where the environment, the
// report and more say, and wherever else something is mounted that looks like it.
func (n *Native) find(ctx context.Context, k extension.Kind, more []string) ([]merge, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	environment, err := fromEnvironment(k, n.o.Getenv)
	if err != nil {
		return nil, err
	}
	mounts, err := mount.Mounts()
	if err != nil {
		return nil, err
	}
	named := slices.Concat(more, environment)
	places := n.placesOf(mounts, k)
	if n.running {
		places = withoutOtherRoots(places, slices.Concat(known(k), named))
	}
	merged, err := Merged(n.root, k, slices.Concat(named, places)...)
	if err != nil {
		return nil, err
	}
	var all []merge
	for _, h := range merged {
		m, err := n.locate(h)
		if err != nil {
			return nil, err
		}
		// Two names for one hierarchy, one of them a link.
		if !slices.ContainsFunc(all, func(other merge) bool { return other.place == m.place }) {
			all = append(all, m)
		}
	}
	return all, nil
}

// placesOf returns where below the root something is mounted that calls itself a
// merge of a kind, as hierarchies are written.
func (n *Native) placesOf(mounts []mount.Info, k extension.Kind) []string {
	var places []string
	for _, info := range mounts {
		if info.Type != "overlay" || info.Source != k.Name || info.Root != "/" || len(places) >= maxHierarchies/2 {
			continue
		}
		if place, below := strings.CutPrefix(info.MountPoint, n.base); below && place != "" && place[0] == '/' && !slices.Contains(places, place) {
			places = append(places, place)
		}
	}
	return places
}

// errTwice says that a plan was made for another state of the system.
var errTwice = errors.New("something else was merged meanwhile")
