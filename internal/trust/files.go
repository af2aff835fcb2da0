package trust

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
)

const (
	// maxFile bounds a certificate file, in bytes: all the web's authorities
	// together take 220 KiB.
	maxFile = 1 << 20
	// maxNames bounds how many names of a folder are read.
	maxNames = 4096
	// maxLinks is how many links one path may lead through, as in the kernel.
	maxLinks = 40
)

// nullDevice is what a link that masks a name points to, below the root.
const nullDevice = "dev/null"

var (
	errLinks = errors.New("it leads through too many links")
	errLeads = errors.New("it leads out of the root folder")
)

// resolve returns name without links in it, below root. Links are followed as
// they would be after a change of the root folder, but that one above the root
// is an error. What name leads to need not exist if it is nullDevice, which a
// root that isn't running has not got.
func resolve(root *os.Root, name string) (string, error) {
	var done []string
	rest := strings.Split(name, "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			if len(done) == 0 {
				return "", errLeads
			}
			done = done[:len(done)-1]
			continue
		}
		at := path.Join(path.Join(done...), part)
		if at == path.Dir(nullDevice) && len(rest) == 1 && rest[0] == path.Base(nullDevice) {
			return nullDevice, nil
		}
		info, err := root.Lstat(at)
		if err != nil {
			return "", err
		}
		if info.Mode().Type() != fs.ModeSymlink {
			done = append(done, part)
			continue
		}
		if links++; links > maxLinks {
			return "", errLinks
		}
		target, err := root.Readlink(at)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			done = nil
		}
		rest = slices.Concat(strings.Split(target, "/"), rest)
	}
	return path.Join(path.Join(done...), "."), nil
}

// readFile reads a regular file of at most limit bytes, following links inside
// root. It never waits for a FIFO's other end or a device.
func readFile(root *os.Root, name string, limit int64) ([]byte, error) {
	clean, err := resolve(root, name)
	if err != nil {
		return nil, err
	}
	info, err := root.Lstat(clean)
	if err != nil {
		return nil, err
	}
	if err := checkRegular(info, limit); err != nil {
		return nil, err
	}
	// Between the look and the opening the file may be replaced by anything.
	f, err := root.OpenFile(clean, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if err := checkRegular(info, limit); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("more than %d bytes: too large", limit)
	}
	return b, nil
}

func checkRegular(info fs.FileInfo, limit int64) error {
	switch kind := info.Mode(); {
	case kind.IsDir():
		return errors.New("a folder, not a file")
	case !kind.IsRegular():
		return errors.New("not a regular file")
	case info.Size() > limit:
		return fmt.Errorf("%d bytes: too large, at most %d are read", info.Size(), limit)
	}
	return nil
}

// readNames returns the names in a folder, sorted. That it is missing is
// fs.ErrNotExist; that a link to it leads nowhere is another error.
func readNames(root *os.Root, name string) ([]string, error) {
	clean, err := resolve(root, name)
	if errors.Is(err, fs.ErrNotExist) {
		if info, lerr := root.Lstat(path.Clean(strings.TrimLeft(name, "/"))); lerr == nil && info.Mode().Type() == fs.ModeSymlink {
			return nil, errors.New("a link to what is not there")
		}
	}
	if err != nil {
		return nil, err
	}
	f, err := root.OpenFile(clean, os.O_RDONLY|unix.O_NONBLOCK|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(maxNames + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(names) > maxNames {
		return nil, fmt.Errorf("more than %d names", maxNames)
	}
	slices.Sort(names)
	return names, nil
}

// shown is a path below the root as people write it.
func shown(name string) string { return path.Clean("/" + name) }
