package node_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"inlay/internal/bootstate"
	"inlay/internal/extension"
	"inlay/internal/fetch"
	"inlay/internal/keys"
	"inlay/internal/node"
	"inlay/internal/store"
	"inlay/internal/trust"
	"inlay/test/sample"
)

// errMerge is what the merger of these tests says when it fails.
var errMerge = errors.New("the kernel says no")

// merger is a Merger that merges what is linked below a folder.
type merger struct {
	root    string
	fails   func() error      // before a refresh; nil never
	leaves  []string          // names that it passes over, as systemd does
	refuses map[string]string // names that it leaves out, and why
	faults  map[string]string // what is wrong with merged ones
	places  map[string]string // where merged ones lie

	merged []string
	asides []bool // of each refresh
}

func (m *merger) Refresh(ctx context.Context, k extension.Kind, setAside bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.asides = append(m.asides, setAside)
	if m.fails != nil {
		if err := m.fails(); err != nil {
			m.merged = nil
			return err
		}
	}
	entries, err := os.ReadDir(filepath.Join(m.root, k.RunFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	m.merged = nil
	for _, e := range entries {
		name := extension.NameOf(k, e.Name())
		if _, refused := m.refuses[name]; !refused && !slices.Contains(m.leaves, name) {
			m.merged = append(m.merged, name)
		}
	}
	return nil
}

func (m *merger) Seen(ctx context.Context, _ extension.Kind) (map[string]node.Seen, error) {
	seen := map[string]node.Seen{}
	for name, why := range m.refuses {
		seen[name] = node.Seen{Why: why, Refused: true}
	}
	for _, name := range m.merged {
		seen[name] = node.Seen{Merged: true, Path: m.places[name], Guarantee: "checked copy", Why: m.faults[name]}
	}
	return seen, ctx.Err()
}

// machine is a node in a folder of its own, which has booted the active profile.
type machine struct {
	*node.Node
	root   string
	merger *merger
}

// option changes what a machine goes by.
type option func(*node.Options)

func trusting(t *testing.T, certificates ...[]byte) option {
	t.Helper()
	var given []trust.Given
	for _, text := range certificates {
		given = append(given, trust.Given{Origin: "test", PEM: text})
	}
	set, err := trust.Load(trust.Options{Given: given})
	must(t, err)
	return func(o *node.Options) { o.Anchors = set }
}

func configured(t *testing.T, policy string) option {
	t.Helper()
	p, err := trust.ParsePolicy(policy)
	must(t, err)
	return func(o *node.Options) { o.Configured = &p }
}

func booted(r bootstate.Report) option { return func(o *node.Options) { o.State = &r } }

// below makes one more node of a machine, which goes by other options.
func (m machine) with(t *testing.T, options ...option) machine {
	t.Helper()
	root, err := os.OpenRoot(m.root)
	must(t, err)
	o := node.Options{
		Root: root, Kind: extension.Sysext(), Architecture: "x86-64", Merger: m.merger, Now: time.Now, Command: "test",
		State: &bootstate.Report{State: bootstate.Active, Profile: "active"},
	}
	for _, change := range options {
		change(&o)
	}
	n, err := node.Open(o)
	must(t, err)
	t.Cleanup(func() {
		must(t, n.Close())
		must(t, root.Close())
	})
	m.Node = n
	return m
}

func boot(t *testing.T, options ...option) machine {
	t.Helper()
	root := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(root, "etc"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, "etc/os-release"), []byte("ID=debian\nVERSION_ID=13\n"), 0o644))
	return machine{root: root, merger: &merger{root: root}}.with(t, options...)
}

// download fetches an image that is made for it.
func (m machine) download(t *testing.T, im sample.Image) error {
	t.Helper()
	_, err := m.Download(t.Context(), node.DownloadRequest{Request: fetch.Request{URI: "file:" + sample.Make(t, im)}})
	return err
}

// have is a download that must work.
func (m machine) have(t *testing.T, im sample.Image) {
	t.Helper()
	must(t, m.download(t, im))
}

func (m machine) entry(t *testing.T, name string) node.Entry {
	t.Helper()
	s, err := m.Status(t.Context())
	must(t, err)
	i := slices.IndexFunc(s.Extensions, func(e node.Entry) bool { return e.Name == name })
	if i < 0 {
		t.Fatalf("no extension %q in %+v", name, s.Extensions)
	}
	return s.Extensions[i]
}

// tree lists all that lies in the store and the run folder, but what is the
// store's own, with the targets of links.
func (m machine) tree(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, top := range []string{"var/lib/kairos/extensions", "run"} {
		err := filepath.WalkDir(filepath.Join(m.root, top), func(path string, e fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil
			case err != nil:
				return err
			case e.Name() == ".inlay":
				return fs.SkipDir
			}
			target, _ := os.Readlink(path)
			all = append(all, path+" "+target)
			return nil
		})
		must(t, err)
	}
	return all
}

func pair(t *testing.T, name string) (*keys.Pair, []byte) {
	t.Helper()
	p := sample.Pair(t, sample.Certificate{Name: name})
	return p, sample.PEM(p.Certificate)
}

func use(profiles ...store.Profile) node.ChangeRequest {
	return node.ChangeRequest{Profiles: profiles, Now: true}
}

func of(r node.ChangeRequest, patterns ...string) node.ChangeRequest {
	r.Patterns = patterns
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
