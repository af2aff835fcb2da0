package layer_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"inlay/internal/extension"
	"inlay/internal/layer"
	"inlay/internal/mount"
	"inlay/internal/trust"
	testmount "inlay/test/mount"
)

// alone runs the test that calls it once more, in a mount namespace of its own, and
// reports true there.
func alone(t *testing.T) bool {
	t.Helper()
	return testmount.Alone(t, "overlay")
}

// host is a system in a folder of its own, a tmpfs.
type host struct {
	t    *testing.T
	dir  string
	kind extension.Kind
	// features, if set, are what the engine may use.
	features *mount.Features
	// runner is what starts programs; running takes the host for the running system.
	runner  layer.Runner
	running bool
	// fault, wait and ctx are the engine's, if they are set.
	fault func(path string) error
	wait  time.Duration
	ctx   context.Context //nolint:containedctx // for one test
	// more changes what is asked for.
	more func(*layer.Request)
}

// newHost makes a system with a few files, whose mounts have a propagation.
func newHost(t *testing.T, propagation uintptr) *host {
	t.Helper()
	h := &host{t: t, dir: t.TempDir(), kind: extension.Sysext()}
	h.check(unix.Mount("host", h.dir, "tmpfs", 0, "mode=755"))
	t.Cleanup(func() { h.check(unix.Unmount(h.dir, unix.MNT_DETACH)) })
	h.check(unix.Mount("", h.dir, "", propagation, ""))
	for name, text := range map[string]string{
		"etc/os-release": "ID=debian\nVERSION_ID=13\n", "usr/bin/tool": "host's tool", "usr/share/doc/readme": "host's readme",
		"opt/": "", "run/": "", "var/tmp/": "", "var/lib/extensions/": "",
	} {
		h.write(name, text)
	}
	return h
}

func (h *host) check(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

// write writes a file; a name that ends in a slash is a folder.
func (h *host) write(name, text string) {
	h.t.Helper()
	if strings.HasSuffix(name, "/") {
		h.check(os.MkdirAll(h.path(name), 0o755))
		return
	}
	h.check(os.MkdirAll(filepath.Dir(h.path(name)), 0o755))
	h.check(os.WriteFile(h.path(name), []byte(text), 0o755))
}

// folder writes the tree of an extension that fits any host.
func (h *host) folder(at, name string, files map[string]string) {
	h.t.Helper()
	h.write(filepath.Join(at, h.kind.ReleaseFile(name)), "ID=_any\n"+files["release"])
	for file, text := range files {
		if file != "release" {
			h.write(at+"/"+file, text)
		}
	}
}

// extension puts a folder extension where it is found.
func (h *host) extension(name string, files map[string]string) {
	h.t.Helper()
	h.folder("var/lib/extensions/"+name, name, files)
}

func (h *host) read(name string) string {
	h.t.Helper()
	text, err := os.ReadFile(h.path(name))
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return string(text)
}

// engine returns a new engine on the host.
func (h *host) engine() *layer.Native {
	h.t.Helper()
	root, err := os.OpenRoot(h.dir)
	h.check(err)
	h.t.Cleanup(func() { root.Close() })
	n, err := layer.NewNative(root, layer.NativeOptions{Runner: h.runner, Getenv: func(string) string { return "" }, Features: h.features, Wait: h.wait})
	h.check(err)
	if h.running {
		n.Running()
	}
	n.Fail(h.fault)
	return n
}

func (h *host) request() layer.Request {
	root, err := os.OpenRoot(h.dir)
	h.check(err)
	h.t.Cleanup(func() { root.Close() })
	policy, err := trust.ParsePolicy("any")
	h.check(err)
	r := layer.Request{Root: root, Kind: h.kind, Policy: policy, Engine: layer.EngineNative}
	if h.more != nil {
		h.more(&r)
	}
	return r
}

// do plans, and merges or refreshes.
func (h *host) do(verb string, o layer.RunOptions) (*layer.Result, error) {
	h.t.Helper()
	ctx := h.ctx
	if ctx == nil {
		ctx = h.t.Context()
	}
	n := h.engine()
	r := h.request()
	if err := n.Prepare(h.t.Context(), &r); err != nil {
		return nil, err
	}
	defer func() { h.check(n.Close()) }()
	p, err := layer.MakePlan(h.t.Context(), r)
	if err != nil {
		return nil, err
	}
	defer func() { h.check(p.Close()) }()
	if verb == "merge" {
		return n.Merge(ctx, p, o)
	}
	return n.Refresh(ctx, p, o)
}

func (h *host) merge() *layer.Result {
	h.t.Helper()
	r, err := h.do("merge", layer.RunOptions{})
	h.check(err)
	return r
}

func (h *host) refresh() *layer.Result {
	h.t.Helper()
	r, err := h.do("refresh", layer.RunOptions{})
	h.check(err)
	return r
}

func (h *host) unmerge() *layer.Result {
	h.t.Helper()
	r, err := h.engine().Unmerge(h.t.Context(), h.kind, layer.RunOptions{})
	h.check(err)
	return r
}

// mounts returns what is mounted below the host.
func (h *host) mounts() []mount.Info {
	h.t.Helper()
	all, err := mount.Mounts()
	h.check(err)
	all = slices.DeleteFunc(all, func(i mount.Info) bool { return !strings.HasPrefix(i.MountPoint, h.dir) })
	slices.SortFunc(all, func(a, b mount.Info) int { return a.ID - b.ID })
	return all
}

// at returns the mount on top at a name.
func (h *host) at(name string) mount.Info {
	h.t.Helper()
	info, found := mount.Covering(h.mounts(), h.path(name))
	if !found || info.MountPoint != h.path(name) {
		h.t.Fatalf("nothing is mounted at %q", name)
	}
	return info
}

// item returns what the report says of an extension.
func (h *host) item(name string) layer.Extension {
	h.t.Helper()
	root, err := os.OpenRoot(h.dir)
	h.check(err)
	defer root.Close()
	r, err := layer.ReadReport(root, h.kind)
	h.check(err)
	if r != nil {
		for _, e := range r.Extensions {
			if e.Name == name {
				return e
			}
		}
	}
	h.t.Fatalf("the report says nothing of %q", name)
	return layer.Extension{}
}

// newKind sets what a host in a folder that is there already lacks.
func newKind(h *host) *host {
	h.kind = extension.Sysext()
	return h
}

// pend has the report say that the last merge didn't get to its end.
func (h *host) pend() {
	h.t.Helper()
	text := h.read("run/inlay/layer-sysext.json")
	h.write("run/inlay/layer-sysext.json", strings.Replace(text, "{", `{"pending": true,`, 1))
}

func asMerged(err error, to **layer.MergedError) bool { return errors.As(err, to) }

// tail keeps the end of what a process says.
type tail struct{ text []byte }

func (w *tail) Write(p []byte) (int, error) {
	w.text = append(w.text, p...)
	w.text = w.text[max(0, len(w.text)-4096):]
	return len(p), nil
}

func itoa(n int) string { return strconv.Itoa(n) }

// eventually waits until done reports true.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for range 200 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it didn't happen")
}
