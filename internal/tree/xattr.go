package tree

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Linux's own limits (linux/limits.h): one name, one value, all names together.
// The fourth keeps one file from holding 64 KiB under each of thousands of names.
const (
	maxXattrName  = 255
	maxXattrValue = 64 << 10
	maxXattrNames = 64 << 10
	maxXattrTotal = 256 << 10
)

// The two ways to write an extended attribute into a PAX header: star's and
// GNU tar's, raw; and libarchive's, encoded. bsdtar writes both.
const (
	schilyPrefix     = "SCHILY.xattr."
	libarchivePrefix = "LIBARCHIVE.xattr."
)

// paxXattrs takes the extended attributes out of PAX records, sorted by name.
func paxXattrs(records map[string]string) ([]Xattr, error) {
	var list []Xattr
	for key, value := range records {
		if name, ok := strings.CutPrefix(key, schilyPrefix); ok {
			list = append(list, Xattr{name, []byte(value)})
		}
	}
	for key, value := range records {
		encoded, ok := strings.CutPrefix(key, libarchivePrefix)
		if !ok {
			continue
		}
		name, err := url.PathUnescape(encoded)
		if err != nil {
			return nil, fmt.Errorf("extended attribute %s: %w", quote(encoded), err)
		}
		if _, twice := records[schilyPrefix+name]; twice {
			continue
		}
		raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "="))
		if err != nil {
			return nil, fmt.Errorf("extended attribute %s: %w", quote(name), err)
		}
		list = append(list, Xattr{name, raw})
	}
	slices.SortFunc(list, func(a, b Xattr) int { return cmp.Compare(a.Name, b.Name) })
	return list, checkXattrs(list)
}

// checkXattrs holds a sorted list against Linux's limits.
func checkXattrs(list []Xattr) error {
	names, total := 0, 0
	for i, x := range list {
		names += len(x.Name) + 1
		total += len(x.Name) + len(x.Value)
		switch {
		case x.Name == "" || len(x.Name) > maxXattrName || strings.IndexByte(x.Name, 0) >= 0:
			return fmt.Errorf("extended attribute %s: the name is empty, too long or has a NUL byte in it", quote(x.Name))
		case i > 0 && list[i-1].Name == x.Name:
			return fmt.Errorf("extended attribute %s is there twice", quote(x.Name))
		case len(x.Value) > maxXattrValue:
			return fmt.Errorf("extended attribute %s: %d bytes are more than the %d that Linux allows",
				quote(x.Name), len(x.Value), maxXattrValue)
		case names > maxXattrNames || total > maxXattrTotal:
			return fmt.Errorf("more than %d bytes of extended attributes", maxXattrTotal)
		}
	}
	return nil
}
