package layer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"inlay/internal/rooted"
)

// mutableFolder holds, by hierarchy, what is written to merged hierarchies.
const mutableFolder = "var/lib/extensions.mutable"

// component is a hierarchy as one name: "/usr/local" is "usr.local".
func component(hierarchy string) string {
	return strings.ReplaceAll(strings.TrimPrefix(hierarchy, "/"), "/", ".")
}

// mutableDir is the folder that keeps what is written to a hierarchy.
func mutableDir(hierarchy string) string { return path.Join(mutableFolder, component(hierarchy)) }

// mutableDirs are the folders that take part in a merge, by hierarchy, as systemd
// notes them.
func mutableDirs(p *Plan) (map[string]string, error) {
	dirs := map[string]string{}
	for _, s := range p.Stacks {
		switch p.Request.Mutable {
		case Immutable:
		case Ephemeral, EphemeralImport:
			dirs[s.Path] = path.Join("/run/systemd/sysext", component(s.Path)) // of both kinds
		case Mutable:
			at, err := toMake(p.Request.Root, s.Path)
			if err != nil {
				return nil, err
			}
			dirs[s.Path] = "/" + at
		default:
			at, err := stored(p.Request.Root, s.Path)
			if err != nil {
				return nil, err
			}
			if at != "" {
				dirs[s.Path] = "/" + at
			}
		}
	}
	return dirs, nil
}

// stored returns where the folder of a hierarchy is, without links, "" if there is
// none: a link to nothing counts as none.
func stored(root *os.Root, hierarchy string) (string, error) {
	at, err := rooted.Resolve(root, mutableDir(hierarchy))
	if absent(err) || errors.Is(err, rooted.ErrDangling) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("looking for %q: %w", "/"+mutableDir(hierarchy), err)
	}
	return at, nil
}

// makeMutable makes the folder of a hierarchy, also where a link leads to nothing.
func makeMutable(root *os.Root, hierarchy string, mode fs.FileMode) error {
	if err := root.MkdirAll(mutableFolder, 0o755); err != nil {
		return fmt.Errorf("making %q: %w", "/"+mutableFolder, err)
	}
	at, err := toMake(root, hierarchy)
	if err != nil {
		return err
	}
	err = root.Mkdir(at, mode)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err == nil {
		err = root.Chmod(at, mode) // past the umask
	}
	if err != nil {
		return fmt.Errorf("making mutable folder %q: %w", "/"+at, err)
	}
	return nil
}

// maxMade is how many links to nothing one path may lead through, as in the kernel.
const maxMade = 40

// toMake returns where the folder of a hierarchy is or, if there is none yet, where
// it is to be: where the links lead, which are followed below the root.
func toMake(root *os.Root, hierarchy string) (string, error) {
	name := mutableDir(hierarchy)
	for range maxMade {
		at, err := rooted.Resolve(root, name)
		if err == nil {
			return at, nil
		}
		if !absent(err) && !errors.Is(err, rooted.ErrDangling) {
			return "", fmt.Errorf("looking for %q: %w", "/"+mutableDir(hierarchy), err)
		}
		folder, last := path.Split(strings.TrimRight(name, "/"))
		if at, err = rooted.Resolve(root, folder); err != nil {
			return strings.TrimPrefix(path.Clean(name), "/"), nil //nolint:nilerr // there is no folder yet to make it in
		}
		target, err := root.Readlink(path.Join(at, last))
		if err != nil {
			return path.Join(at, last), nil //nolint:nilerr // it is no link: nothing is there
		}
		if name = target; !path.IsAbs(target) {
			name = at + "/" + target
		}
	}
	return "", fmt.Errorf("looking for %q: %w", "/"+mutableDir(hierarchy), rooted.ErrLinks)
}
