package device

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// Backing is what lies behind a loop device or a partition of one, as the kernel
// tells it.
type Backing struct {
	// File is the path of the file, as the kernel still knows it: " (deleted)"
	// follows the name of one that has none any more.
	File string
	// Offset and Size are the part in bytes; Size 0 is all the rest.
	Offset, Size        int64
	Autoclear, DirectIO bool
	ReadOnly            bool
	SectorSize          int
}

// maxAttribute bounds a file of sysfs, which shows a page at most.
const maxAttribute = 4096

// BackingOf returns what lies behind the loop device with the number, by the
// sysfs of the running system, whose root is root. The number may be that of a
// partition: systemd gives one to dm-verity. Where it is no loop device in use
// the error is fs.ErrNotExist.
func BackingOf(root *os.Root, number Number) (*Backing, error) {
	folder := "sys/dev/block/" + number.String() + "/"
	b, err := backingOf(root, folder)
	if errors.Is(err, fs.ErrNotExist) {
		b, err = backingOfPart(root, folder)
	}
	if err != nil {
		return nil, fmt.Errorf("reading what is behind block device %s: %w", number, err)
	}
	return b, nil
}

// backingOfPart is backingOf for a partition, whose folder lies in the device's.
func backingOfPart(root *os.Root, folder string) (*Backing, error) {
	start, err := count(root, folder+"start", 1<<62/sector)
	if err != nil {
		return nil, err
	}
	size, err := count(root, folder+"size", 1<<62/sector)
	if err != nil {
		return nil, err
	}
	b, err := backingOf(root, folder+"../")
	if err != nil {
		return nil, err
	}
	b.Offset += start * sector
	b.Size = size * sector
	return b, nil
}

func backingOf(root *os.Root, folder string) (*Backing, error) {
	b := &Backing{}
	var err error
	if b.File, err = attribute(root, folder+"loop/backing_file"); err != nil {
		return nil, err
	}
	var autoclear, directIO, readOnly, sectorSize int64
	for _, field := range []struct {
		name  string
		value *int64
		most  int64
	}{
		{"loop/offset", &b.Offset, 1 << 62},
		{"loop/sizelimit", &b.Size, 1 << 62},
		{"loop/autoclear", &autoclear, 1},
		{"loop/dio", &directIO, 1},
		{"ro", &readOnly, 1},
		{"queue/logical_block_size", &sectorSize, 1 << 20},
	} {
		if *field.value, err = count(root, folder+field.name, field.most); err != nil {
			return nil, err
		}
	}
	b.Autoclear, b.DirectIO, b.ReadOnly, b.SectorSize = autoclear == 1, directIO == 1, readOnly == 1, int(sectorSize)
	return b, nil
}

// count reads a file of sysfs that is a number up to most.
func count(root *os.Root, name string, most int64) (int64, error) {
	text, err := attribute(root, name)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%s says %q", name, text)
	}
	return n, nil
}

// attribute reads a file of sysfs, without the end of its line.
func attribute(root *os.Root, name string) (string, error) {
	f, err := root.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxAttribute+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxAttribute {
		return "", fmt.Errorf("%s has more than %d bytes", name, maxAttribute)
	}
	return strings.TrimSuffix(string(text), "\n"), nil
}
