package media

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"inlay/internal/guid"
	"inlay/internal/hint"
)

// ESPFile is a file of an EFI system partition, or a folder if it has no Data.
type ESPFile struct {
	Path string // without a leading slash: "EFI/BOOT/BOOTX64.EFI"
	Data io.ReaderAt
	Size int64
}

// TextFile is a small ESPFile.
func TextFile(name, text string) ESPFile {
	return ESPFile{Path: name, Data: strings.NewReader(text), Size: int64(len(text))}
}

// reader reads the file from its start.
func (f ESPFile) reader() io.Reader { return io.NewSectionReader(f.Data, 0, f.Size) }

const (
	// maxFATFile is the size of the longest file that FAT takes, in bytes.
	maxFATFile = 1<<32 - 1
	// maxESPName keeps a path within what FAT takes: 255 UTF-16 units a name.
	maxESPName = 255
	// maxESPFiles bounds what is put there; media have some dozens.
	maxESPFiles = 4096
)

// layout is what an EFI system partition holds: folders before what lies in
// them, in an order of its own.
type layout struct {
	folders []string
	files   []ESPFile
}

// newLayout checks files and adds their folders.
func newLayout(files []ESPFile) (*layout, error) {
	if len(files) > maxESPFiles {
		return nil, fmt.Errorf("the EFI system partition would hold %d files, more than %d", len(files), maxESPFiles)
	}
	l := &layout{}
	// FAT doesn't tell cases apart.
	seen := map[string]string{}
	for _, f := range files {
		if err := checkESPPath(f.Path); err != nil {
			return nil, err
		}
		if f.Size > maxFATFile {
			return nil, hint.Wrap(fmt.Errorf("%q has %d bytes: FAT takes at most 4 GiB less one byte", f.Path, f.Size),
				"move folders of the image into extensions: inlay media plan shows which")
		}
		folder := f.Path
		if f.Data != nil {
			if other, ok := seen[strings.ToLower(f.Path)]; ok {
				return nil, fmt.Errorf("%q and %q are the same to FAT", other, f.Path)
			}
			seen[strings.ToLower(f.Path)] = f.Path
			l.files = append(l.files, f)
			folder = path.Dir(f.Path)
		}
		for ; folder != "."; folder = path.Dir(folder) {
			if !slices.Contains(l.folders, folder) {
				l.folders = append(l.folders, folder)
			}
		}
	}
	slices.Sort(l.folders) // parents come first
	for i, folder := range l.folders {
		if other, ok := seen[strings.ToLower(folder)]; ok {
			return nil, fmt.Errorf("%q and %q are the same to FAT", other, folder)
		}
		if j := slices.IndexFunc(l.folders[:i], func(f string) bool { return strings.EqualFold(f, folder) }); j >= 0 {
			return nil, fmt.Errorf("%q and %q are the same to FAT", l.folders[j], folder)
		}
	}
	slices.SortStableFunc(l.files, func(a, b ESPFile) int { return strings.Compare(a.Path, b.Path) })
	return l, nil
}

// checkESPPath takes names that mean the same to FAT, to mtools (which expands
// patterns) and to firmware.
func checkESPPath(name string) error {
	if !regexp.MustCompile(`^[A-Za-z0-9_+.,=@-]+(/[A-Za-z0-9_+.,=@-]+)*$`).MatchString(name) || path.Clean(name) != name || strings.HasPrefix(name, "..") {
		return hint.Wrap(fmt.Errorf("%q cannot be a name in an EFI system partition", name), "use letters, digits, dots, dashes and underscores")
	}
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > maxESPName || strings.HasSuffix(part, ".") {
			return fmt.Errorf("%q cannot be a name in an EFI system partition", name)
		}
	}
	return nil
}

// maxIdentity is up to which size a file's content counts for the identity.
const maxIdentity = 1 << 20

// identity is a digest by which media are told apart: of names and sizes, and
// of the content of what is small, which includes the keys to enrol.
func (l *layout) identity(more ...string) ([sha256.Size]byte, error) {
	h := sha256.New()
	note := func(text string) {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
		h.Write([]byte(text))
	}
	for _, name := range slices.Concat(more, l.folders) {
		note(name)
	}
	for _, f := range l.files {
		note(f.Path)
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(f.Size)))
		if f.Size > maxIdentity {
			continue
		}
		n, err := io.Copy(h, f.reader())
		if err == nil && n != f.Size {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return [sha256.Size]byte{}, fmt.Errorf("reading what becomes %q: %w", f.Path, err)
		}
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// identifier makes a GUID of a digest, of the version that is for such (RFC 9562,
// version 8).
func identifier(digest [sha256.Size]byte) guid.GUID {
	g := guid.GUID(digest[:16])
	g[6] = g[6]&0x0f | 0x80
	g[8] = g[8]&0x3f | 0x80
	return g
}
