package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"inlay/internal/hint"
)

var errIrregular = errors.New("it is not a regular file")

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
}

// Load reads configuration files below root and puts them on top of each other:
// later scalars win, lists add up. Any file that cannot be read or understood is
// an error: what it would have forbidden is not known. Links are followed inside
// of root only. A file that anybody may write to is refused.
func Load(root *os.Root, o Options) (*Config, error) {
	c := new(Config)
	if o.Default {
		if err := c.loadDefault(root); err != nil {
			return nil, err
		}
	}
	for _, name := range o.Files {
		if err := c.load(root, strings.TrimLeft(path.Clean(name), "/"), false); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *Config) loadDefault(root *os.Root) error {
	if err := c.loadFolder(root, "oem", true); err != nil {
		return err
	}
	if err := c.load(root, "etc/inlay/config.yaml", false); err != nil && !missing(root, "etc/inlay/config.yaml", err) {
		return err
	}
	return c.loadFolder(root, "etc/inlay/config.d", false)
}

// missing says whether err says that there is no file of this name: a link to
// nowhere is another fault.
func missing(root *os.Root, name string, err error) bool {
	if !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	_, err = root.Lstat(name)
	return errors.Is(err, fs.ErrNotExist)
}

// loadFolder reads the YAML files of a folder in the order of their names. In
// one that is shared with others only cloud-configs count.
func (c *Config) loadFolder(root *os.Root, folder string, shared bool) error {
	names, err := list(root, folder)
	if err != nil {
		if missing(root, folder, err) {
			return nil
		}
		return fmt.Errorf("reading the folder %q: %w", "/"+folder, err)
	}
	for _, name := range names {
		if strings.HasPrefix(name, ".") || !slices.Contains([]string{".yaml", ".yml"}, path.Ext(name)) {
			continue
		}
		if err := c.load(root, path.Join(folder, name), shared); err != nil {
			return err
		}
	}
	return nil
}

func list(root *os.Root, folder string) ([]string, error) {
	// Nothing but a folder opens with O_DIRECTORY: no FIFO, no device.
	f, err := root.OpenFile(folder, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(maxDropIns + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(names) > maxDropIns {
		return nil, fmt.Errorf("it holds more than %d files", maxDropIns)
	}
	slices.Sort(names)
	return names, nil
}

// load reads one file and puts it on top of c.
func (c *Config) load(root *os.Root, name string, shared bool) error {
	shown := "/" + name
	if info, err := root.Stat(name); shared && err == nil && !info.Mode().IsRegular() {
		return nil // somebody else's, and nothing that could be read
	}
	f, err := open(root, name)
	if err != nil {
		return hint.Default(fmt.Errorf("reading the configuration %q: %w", shown, err), advice(err))
	}
	defer f.Close()
	text, err := read(f, maxCloud)
	if err != nil {
		return fmt.Errorf("reading the configuration %q: %w", shown, err)
	}
	if shared && !IsCloudConfig(text) {
		return nil
	}
	// Who may write to a file matters first of all if it is broken: somebody may
	// be trying.
	parsed, err := Parse(shown, text)
	if err == nil && shared && len(parsed.Sources) == 0 {
		return nil
	}
	if werr := guarded(root, name, f); werr != nil {
		return fmt.Errorf("reading the configuration %q: %w", shown, werr)
	}
	if err != nil {
		return err
	}
	c.merge(parsed)
	return nil
}

// open opens a regular file. It never waits for the other end of a FIFO.
func open(root *os.Root, name string) (*os.File, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errIrregular
	}
	// By now it may be something else.
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = errIrregular
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func read(f *os.File, limit int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(text)) > limit {
		err = fmt.Errorf("more than %d bytes", limit)
	}
	return text, err
}

// guarded refuses what anybody may write to, or put something else in place of:
// the file, and the folder that it is named in.
func guarded(root *os.Root, name string, f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o002 != 0 {
		return hint.Wrap(errors.New("anybody may write to it, and so add a trusted key"), "chmod o-w /"+name+", after a look at what it says")
	}
	folder := path.Dir(name)
	if info, err = root.Stat(folder); err != nil {
		return err
	}
	if info.Mode().Perm()&0o002 != 0 {
		return hint.Wrap(fmt.Errorf("anybody may write to the folder %q", "/"+folder), "chmod o-w /"+folder+", after a look at what is in it")
	}
	return nil
}

func advice(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "run this as root: what the file forbids is not known otherwise"
	}
	return "mend or remove it; links must be relative, and stay inside of the root folder"
}
