package device

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// Backing is what lies behind a loop device, as the kernel tells it.
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
// sysfs of the running system, whose root is root. Where the number is no loop
// device in use the error is fs.ErrNotExist.
func BackingOf(root *os.Root, number Number) (*Backing, error) {
	b, err := backingOf(root, "sys/dev/block/"+number.String()+"/")
	if err != nil {
		return nil, fmt.Errorf("reading what is behind loop device %s: %w", number, err)
	}
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
		text, err := attribute(root, folder+field.name)
		if err != nil {
			return nil, err
		}
		*field.value, err = strconv.ParseInt(text, 10, 64)
		if err != nil || *field.value < 0 || *field.value > field.most {
			return nil, fmt.Errorf("%s says %q", field.name, text)
		}
	}
	b.Autoclear, b.DirectIO, b.ReadOnly, b.SectorSize = autoclear == 1, directIO == 1, readOnly == 1, int(sectorSize)
	return b, nil
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
