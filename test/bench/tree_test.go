//go:build bench

package bench_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// tree is what a folder holds, by the names below it.
type tree map[string]entry

// entry is one file: what any builder has to keep of it, and what one keeps that
// leaves nothing out.
type entry struct {
	Kind    fs.FileMode
	Content string // digest, or a link's target
	Rest    string // mode, owners, time
}

func readTree(folder string) (tree, error) {
	found := tree{}
	err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == folder {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		below, err := filepath.Rel(folder, name)
		if err != nil {
			return err
		}
		e := entry{Kind: info.Mode().Type()}
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			e.Rest = fmt.Sprintf("%v %d:%d %d.%09d", info.Mode(), s.Uid, s.Gid, s.Mtim.Sec, s.Mtim.Nsec)
		}
		switch {
		case info.Mode().IsRegular():
			if _, e.Content, err = weigh(name); err != nil {
				return err
			}
		case e.Kind == fs.ModeSymlink:
			if e.Content, err = os.Readlink(name); err != nil {
				return err
			}
		}
		found[below] = e
		return nil
	})
	return found, err
}

// differs names the first few files in which got is not what is wanted.
func (want tree) differs(got tree, exact bool) error {
	names := map[string]bool{}
	for name := range want {
		names[name] = true
	}
	for name := range got {
		names[name] = true
	}
	var wrong []string
	for name := range names {
		a, b := want[name], got[name]
		if !exact {
			a.Rest, b.Rest = "", ""
		}
		if _, there := got[name]; !there || a != b {
			wrong = append(wrong, fmt.Sprintf("%s: %+v, want %+v", name, b, a))
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	var all []error
	for _, line := range wrong[:min(len(wrong), 8)] {
		all = append(all, errors.New(line))
	}
	return fmt.Errorf("%d files differ:\n%w", len(wrong), errors.Join(all...))
}
