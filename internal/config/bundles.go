package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"inlay/internal/hint"
	"inlay/internal/rooted"
)

// Bundles are what cloud-configs say about container images to unpack or to run,
// under `bundles:`, for the first boot, and `install.bundles:`, for the end of an
// installation.
type Bundles struct {
	FirstBoot, Install []Bundle
	// FailOnErrors is fail_on_bundles_errors; nil if no file says anything.
	FailOnErrors *bool
	// Sources are the files that say something, in the order in which they count.
	Sources []string
}

// Bundle is one entry of a list. Values that are not given are "" or nil.
type Bundle struct {
	// Repository and DB are about package bundles.
	Repository, DB string
	// RootFS is where it goes: an absolute path.
	RootFS string
	// LocalFile says that the targets are paths of archives.
	LocalFile bool
	// Targets are SCHEME://IMAGE, at least one.
	Targets []string
	// Origin is where the entry begins: "/oem/90_custom.yaml:12".
	Origin string
}

// bundleKeys are what bundles are about. The last may stand on either floor.
func bundleKeys() ours {
	const fail = "fail_on_bundles_errors"
	return ours{top: []string{"bundles", fail}, install: []string{"bundles", fail}}
}

// ParseBundles reads what a cloud-config says about bundles; all else in it is
// left alone, `stages:` and whatever templates it holds included. The file's name
// stands for it in errors, which have a place: see [Error].
func ParseBundles(name string, text []byte) (*Bundles, error) {
	b := new(Bundles)
	d, err := bundleKeys().part(name, text)
	if d == nil || err != nil {
		return b, err
	}
	b.Sources = []string{name}
	body, err := d.parse(d.lines)
	if body == nil || err != nil {
		return b, err
	}
	known := func(to *[]Bundle) fields {
		return fields{
			"bundles":                d.each(d.bundle(to)),
			"fail_on_bundles_errors": d.truth(&b.FailOnErrors),
		}
	}
	top := known(&b.FirstBoot)
	top["install"] = func(n ast.Node) error { return d.mapping(n, "install", known(&b.Install)) }
	return b, d.mapping(body, "", top)
}

// bundle takes one entry of a list.
func (d *document) bundle(to *[]Bundle) func(ast.Node) error {
	return func(n ast.Node) error {
		b := Bundle{Origin: fmt.Sprintf("%s:%d", d.name, line(n))}
		var paths []string
		var local *bool
		text := func(to *string) func(ast.Node) error {
			return func(n ast.Node) (err error) { *to, err = d.text(n); return err }
		}
		err := d.mapping(n, "the bundle", fields{
			"repository":  text(&b.Repository),
			"db_path":     text(&b.DB),
			"rootfs_path": d.path(&paths),
			"local_file":  d.truth(&local),
			"targets": d.each(func(n ast.Node) error {
				target, err := d.text(n)
				b.Targets = append(b.Targets, target)
				return err
			}),
		})
		if err != nil {
			return err
		}
		if len(b.Targets) == 0 {
			return d.at(n, hint.Wrap(errors.New("the bundle has no targets"), "add targets: and below it a line such as - container://registry.example.org/image@sha256:…"))
		}
		b.RootFS = strings.Join(paths, "")
		b.LocalFile = local != nil && *local
		*to = append(*to, b)
		return nil
	}
}

// LoadBundles reads files below root, and of folders the cloud-configs in them, and
// joins what they say, in this order. A file that says nothing of bundles may be
// anything; one that is named, and no cloud-config, is an error, as is one that
// others than root and the user could change: bundles may run programs.
func LoadBundles(root *os.Root, names []string, user int) (*Bundles, error) {
	l := bundleLoader{root: root, user: user, all: new(Bundles)}
	for _, name := range names {
		name = strings.TrimLeft(path.Clean("/"+name), "/")
		if err := l.load(name); err != nil {
			return nil, err
		}
	}
	return l.all, nil
}

type bundleLoader struct {
	root *os.Root
	user int
	all  *Bundles
}

func (l *bundleLoader) load(name string) error {
	clean, err := rooted.Resolve(l.root, name)
	if err != nil {
		return fmt.Errorf("reading the configuration %q: %w", "/"+name, err)
	}
	info, err := l.root.Lstat(clean)
	if err != nil {
		return fmt.Errorf("reading the configuration %q: %w", "/"+name, err)
	}
	if !info.IsDir() {
		return l.file(name, named)
	}
	there, err := rooted.ReadNames(l.root, name, maxDropIns)
	if err != nil {
		return fmt.Errorf("reading the folder %q: %w", "/"+name, err)
	}
	for _, base := range there {
		at := path.Join(name, base)
		if strings.HasPrefix(base, ".") || !slices.Contains([]string{".yaml", ".yml"}, path.Ext(base)) || !l.regular(at) {
			continue
		}
		if err := l.file(at, shared); err != nil {
			return err
		}
	}
	return nil
}

// regular says whether a name in a folder of others leads to a file. What leads
// nowhere is theirs to mend; what cannot be read is an error later.
func (l *bundleLoader) regular(name string) bool {
	clean, err := rooted.Resolve(l.root, name)
	if err != nil {
		return !errors.Is(err, rooted.ErrDangling) && !errors.Is(err, fs.ErrNotExist)
	}
	info, err := l.root.Lstat(clean)
	return err != nil || info.Mode().IsRegular()
}

func (l *bundleLoader) file(name string, as place) error {
	wrap := func(err error) error { return fmt.Errorf("reading the configuration %q: %w", "/"+name, err) }
	f, err := rooted.Open(l.root, name)
	if err != nil {
		return wrap(err)
	}
	defer f.Close()
	text, err := rooted.ReadAll(f, maxCloud)
	if err != nil {
		return wrap(err)
	}
	if !IsCloudConfig(text) {
		if as == shared {
			return nil
		}
		return hint.Wrap(wrap(errors.New("it is no cloud-config")), "let its first line be #cloud-config or #node-config")
	}
	parsed, err := ParseBundles("/"+name, text)
	if err == nil && len(parsed.Sources) == 0 {
		return nil
	}
	// Who may write to a file matters first of all if it is broken: somebody may
	// be trying.
	g := guard{root: l.root, user: l.user, could: "have any program run"}
	if guardErr := l.guarded(g, name, f, as); guardErr != nil {
		return wrap(guardErr)
	}
	if err != nil {
		return err
	}
	l.all.join(parsed)
	return nil
}

// guarded refuses what others could have put there.
func (l *bundleLoader) guarded(g guard, name string, f *os.File, as place) error {
	if as == shared {
		folder, err := rooted.Resolve(l.root, path.Dir(name))
		if err != nil {
			return err
		}
		if err := g.folder(folder, nil); err != nil {
			return err
		}
	}
	return g.file(name, f)
}

// join adds what a later file says. That one file wants errors to count is enough.
func (b *Bundles) join(later *Bundles) {
	b.FirstBoot = append(b.FirstBoot, later.FirstBoot...)
	b.Install = append(b.Install, later.Install...)
	b.Sources = append(b.Sources, later.Sources...)
	if later.FailOnErrors != nil && (b.FailOnErrors == nil || *later.FailOnErrors) {
		b.FailOnErrors = later.FailOnErrors
	}
}
