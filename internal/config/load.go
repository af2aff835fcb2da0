package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/rooted"
)

// maxDropIns bounds how many files of one folder are read.
const maxDropIns = 1000

// Options says which files count.
type Options struct {
	// Default reads the usual places: cloud-configs in /oem, then
	// /etc/inlay/config.yaml, then /etc/inlay/config.d.
	Default bool
	// Files are read after those, in this order, and must exist. Below the root,
	// with a leading slash or without.
	Files []string
	// User is the one who reads them. Only root and User may own what is read, and
	// the folders that it lies in.
	User int
}

// Load reads configuration files below root and puts them on top of each other:
// later scalars win, lists add up. Any file that cannot be read or understood is
// an error: what it would have forbidden is not known. Links are followed inside
// of root only. A file that others than root and the user could change or replace
// is refused.
func Load(root *os.Root, o Options) (*Config, error) {
	l := loader{root: root, user: o.User, config: new(Config)}
	if o.Default {
		if err := l.byDefault(); err != nil {
			return nil, err
		}
	}
	for _, name := range o.Files {
		if err := l.file(strings.TrimLeft(path.Clean(name), "/"), named); err != nil {
			return nil, err
		}
	}
	return l.config, nil
}

// place says what is known of a file by where it was found.
type place int

const (
	named  place = iota // by its own name
	listed              // in a folder of ours
	shared              // in a folder that is shared with others
)

type loader struct {
	root   *os.Root
	user   int
	config *Config
}

func (l *loader) byDefault() error {
	if err := l.folder("oem", shared); err != nil {
		return err
	}
	const main = "etc/inlay/config.yaml"
	if err := l.file(main, named); err != nil && !l.missing(main, err) {
		return err
	}
	return l.folder("etc/inlay/config.d", listed)
}

// missing says whether err says that there is no file of this name. A link to
// nowhere, even above it, is another fault: somebody wanted something there.
func (l *loader) missing(name string, err error) bool {
	if !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	for ; name != "."; name = path.Dir(name) {
		if _, err := rooted.Resolve(l.root, name); errors.Is(err, rooted.ErrDangling) {
			return false
		}
	}
	return true
}

// folder reads the YAML files of a folder in the order of their names. In one
// that is shared with others only cloud-configs count that have something of ours.
func (l *loader) folder(folder string, as place) error {
	names, err := rooted.ReadNames(l.root, folder, maxDropIns)
	if err != nil {
		if l.missing(folder, err) {
			return nil
		}
		return hint.Default(fmt.Errorf("reading the folder %q: %w", "/"+folder, err), advice(err))
	}
	for _, name := range names {
		if strings.HasPrefix(name, ".") || !slices.Contains([]string{".yaml", ".yml"}, path.Ext(name)) {
			continue
		}
		if err := l.file(path.Join(folder, name), as); err != nil {
			return err
		}
	}
	return nil
}

// file reads one file, and puts it on top of the others.
func (l *loader) file(name string, as place) error {
	if as == shared && l.others(name) {
		return nil
	}
	f, err := rooted.Open(l.root, name)
	if err != nil {
		return hint.Default(fmt.Errorf("reading the configuration %q: %w", "/"+name, err), advice(err))
	}
	defer f.Close()
	text, err := rooted.ReadAll(f, maxCloud)
	if err != nil {
		return fmt.Errorf("reading the configuration %q: %w", "/"+name, err)
	}
	if as == shared && !IsCloudConfig(text) {
		return nil
	}
	// Who may write to a file matters first of all if it is broken: somebody may
	// be trying.
	parsed, err := Parse("/"+name, text)
	if err == nil && as == shared && len(parsed.Sources) == 0 {
		return nil
	}
	if gerr := l.guarded(name, f, as); gerr != nil {
		return fmt.Errorf("reading the configuration %q: %w", "/"+name, gerr)
	}
	if err != nil {
		return err
	}
	l.config.merge(parsed)
	return nil
}

// guarded refuses what others could have put there.
func (l *loader) guarded(name string, f *os.File, as place) error {
	g := guard{root: l.root, user: l.user, could: "add a trusted key"}
	if as != named {
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

// others says whether a name in a folder of others is nothing that could be read.
func (l *loader) others(name string) bool {
	clean, err := rooted.Resolve(l.root, name)
	if err != nil {
		return false
	}
	info, err := l.root.Lstat(clean)
	return clean == rooted.Null || err == nil && !info.Mode().IsRegular()
}

func advice(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "what it forbids is not known otherwise: run this as root, name the keys with --certificate, or choose a configuration with --config"
	}
	return "mend or remove it; links are followed inside of the root folder only"
}
