package layer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"inlay/internal/discover"
	"inlay/internal/extension"
	"inlay/internal/rooted"
)

// linkName is the file that lists the links of ours, below the root.
func linkName(k extension.Kind) string { return path.Join(stateFolder, "linked-"+k.Name+".json") }

// link has systemd find what lies in the old folders of sysexts, by links in the
// folder of this boot. They stay, as the service may merge again by itself.
func link(root *os.Root, p *Plan) error {
	k := p.Request.Kind
	made, err := linked(root, k)
	if err != nil {
		return err
	}
	for _, l := range p.Links {
		if !p.merges(l.Candidate) {
			continue
		}
		if err := root.MkdirAll(k.RunFolder, 0o755); err != nil {
			return fmt.Errorf("making the folder of links: %w", err)
		}
		name := path.Join(k.RunFolder, l.Name)
		if err := root.Symlink(l.Target, name); err != nil {
			return fmt.Errorf("linking %q to %q: %w", "/"+name, l.Target, err)
		}
		made = append(made, l.Name)
	}
	return writeList(root, linkName(k), made)
}

// merges says whether a candidate is merged.
func (p *Plan) merges(c *discover.Candidate) bool {
	for _, i := range p.Items {
		if i.Candidate == c {
			return i.State == Merge
		}
	}
	return false
}

// sift tells the links of ours that lead somewhere from those that are to go, whose
// places it returns: the ones that lead to nothing any more and, without keep, all.
// What has become another's is in neither.
func sift(root *os.Root, k extension.Kind, keep bool) (kept, gone []string, err error) {
	made, err := linked(root, k)
	if err != nil {
		return nil, nil, err
	}
	for _, entry := range made {
		name := path.Join(k.RunFolder, entry)
		target, err := root.Readlink(name)
		if err != nil || !extension.Within(strings.TrimPrefix(target, "/"), discover.OldFolders(k)) {
			continue
		}
		if _, err := rooted.Resolve(root, name); err == nil && keep {
			kept = append(kept, entry)
		} else {
			gone = append(gone, name)
		}
	}
	return kept, gone, nil
}

// unlink removes the links of ours that are to go.
func unlink(root *os.Root, k extension.Kind, keep bool) error {
	if _, err := root.Lstat(linkName(k)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	kept, gone, err := sift(root, k, keep)
	if err != nil {
		return err
	}
	for _, name := range gone {
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the link %q: %w", "/"+name, err)
		}
	}
	return writeList(root, linkName(k), kept)
}

func linked(root *os.Root, k extension.Kind) ([]string, error) {
	made, err := readList(root, linkName(k))
	if err != nil {
		return nil, fmt.Errorf("looking for links: %w", err)
	}
	return slices.DeleteFunc(made, func(name string) bool { return path.Base(name) != name }), nil
}

// maxList bounds a list of names in a file of ours, in bytes.
const maxList = 16 << 20

// readList reads a list of names. One that was cut short, before anything of it was
// done, is empty.
func readList(root *os.Root, name string) ([]string, error) {
	text, err := rooted.ReadFile(root, name, maxList)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []string
	if json.Unmarshal(text, &list) != nil {
		return nil, nil //nolint:nilerr // nothing was done of what it was to say
	}
	return list, nil
}

// writeList writes a list of names; an empty one has no file.
func writeList(root *os.Root, name string, list []string) error {
	if len(list) == 0 {
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	return root.WriteFile(name, text, 0o600)
}
