package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks is how many links the kernel follows in one path.
const maxLinks = 40

// resolve returns the path below root that name leads to, free of links, as a
// system that was booted from root would see it: an absolute link starts at
// root, and nothing climbs above it. What doesn't exist is no link.
//
// os.Root alone refuses absolute links, by which machines move var/lib/kairos.
func resolve(root *os.Root, name string) (string, error) {
	at, links := ".", 0
	todo := strings.Split(name, "/")
	for len(todo) > 0 {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = path.Dir(at)
			continue
		}
		next := path.Join(at, part)
		info, err := root.Lstat(next)
		switch {
		case errors.Is(err, fs.ErrNotExist), err == nil && info.Mode().Type() != fs.ModeSymlink:
			at = next
			continue
		case err != nil:
			return "", err
		}
		target, err := root.Readlink(next)
		if err != nil {
			return "", err
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("following links from %q: %w", name, unix.ELOOP)
		}
		if path.IsAbs(target) {
			at = "."
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return at, nil
}
