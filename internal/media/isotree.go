package media

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"inlay/internal/hint"
)

// ISOFile is a file of an ISO 9660 file system.
type ISOFile struct {
	Path string // without a leading slash
	// Source is the path of the file to take. It must have a name: xorriso doesn't
	// follow what leads to one that has none.
	Source string
}

// isoEntry is one thing in the tree: a folder unless it has a source or target.
type isoEntry struct {
	path       string
	source     string // of a file: what xorriso opens
	target     string // of a symbolic link
	executable bool
}

const (
	// maxISOFiles bounds what an overlay may hold.
	maxISOFiles = 100_000
	// maxISOName and maxISODepth keep to what Rock Ridge and xorriso take.
	maxISOName  = 255
	maxISODepth = 64
)

// isoTree collects what lies at the root of an ISO: an overlay, "" for none,
// and files.
func isoTree(overlay string, files []ISOFile) ([]isoEntry, error) {
	entries := map[string]isoEntry{}
	if overlay != "" {
		if err := addOverlay(entries, overlay); err != nil {
			return nil, err
		}
	}
	for _, f := range files {
		if err := checkISOPath(f.Path); err != nil {
			return nil, err
		}
		if _, ok := entries[f.Path]; ok {
			return nil, hint.Wrap(fmt.Errorf("%q is to be put on the medium twice", f.Path), "take it out of the overlay folder, or leave out its --extension")
		}
		source, err := filepath.Abs(f.Source)
		if err == nil {
			// xorriso takes a link for a link.
			source, err = filepath.EvalSymlinks(source)
		}
		if err != nil {
			return nil, err
		}
		entries[f.Path] = isoEntry{path: f.Path, source: source}
		for folder := path.Dir(f.Path); folder != "."; folder = path.Dir(folder) {
			if e, ok := entries[folder]; ok && (e.source != "" || e.target != "") {
				return nil, hint.Wrap(fmt.Errorf("%q in the overlay folder is no folder", folder), "take it out of the overlay folder")
			}
			entries[folder] = isoEntry{path: folder}
		}
	}
	if len(entries) > maxISOFiles {
		return nil, fmt.Errorf("the medium would hold %d files, more than %d", len(entries), maxISOFiles)
	}
	sorted := make([]isoEntry, 0, len(entries))
	for _, e := range entries {
		sorted = append(sorted, e)
	}
	slices.SortFunc(sorted, func(a, b isoEntry) int { return strings.Compare(a.path, b.path) })
	return sorted, nil
}

func addOverlay(entries map[string]isoEntry, folder string) error {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return fmt.Errorf("opening the overlay: %w", err)
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("reading the overlay: %w", err)
		}
		if name == "." {
			return nil
		}
		if err := checkISOPath(name); err != nil {
			return err
		}
		if len(entries) > maxISOFiles {
			return fmt.Errorf("the overlay %q holds more than %d files", folder, maxISOFiles)
		}
		info, err := d.Info()
		if err != nil {
			return fmt.Errorf("reading the overlay: %w", err)
		}
		e := isoEntry{path: name}
		switch {
		case info.IsDir():
		case info.Mode().IsRegular():
			e.source = folder + "/" + name
			e.executable = info.Mode().Perm()&0o111 != 0
		case info.Mode()&fs.ModeSymlink != 0:
			if e.target, err = root.Readlink(name); err != nil {
				return fmt.Errorf("reading the overlay: %w", err)
			}
			if strings.ContainsFunc(e.target, unicode.IsControl) {
				return fmt.Errorf("the link %q in the overlay leads to a name with control characters", name)
			}
		default:
			return hint.Wrap(fmt.Errorf("%q in the overlay is neither a file, a folder nor a symbolic link", name), "take it out of the overlay folder")
		}
		entries[name] = e
		return nil
	})
}

func checkISOPath(name string) error {
	if !fs.ValidPath(name) || name == "." || strings.ContainsFunc(name, unicode.IsControl) {
		return fmt.Errorf("%q cannot be a name on the medium", name)
	}
	if strings.Count(name, "/") >= maxISODepth {
		return fmt.Errorf("%q lies more than %d folders deep", name, maxISODepth)
	}
	for part := range strings.SplitSeq(name, "/") {
		if len(part) > maxISOName {
			return fmt.Errorf("the name %q has more than %d bytes", part, maxISOName)
		}
	}
	return nil
}

// commands tells xorriso to make the tree. Files are named one by one: xorriso
// lays them out in the order in which it hears of them, and those of a whole
// folder in that of their inode numbers.
func commands(entries []isoEntry) string {
	var b strings.Builder
	for _, e := range entries {
		at, mode := quoted("/"+e.path), "0444"
		switch {
		case e.target != "":
			fmt.Fprintf(&b, "-lns %s %s\n", quoted(e.target), at)
			continue
		case e.source == "":
			fmt.Fprintf(&b, "-mkdir %s --\n", at)
			mode = "0555"
		default:
			if e.executable {
				mode = "0555"
			}
			fmt.Fprintf(&b, "-map %s %s\n", quoted(e.source), at)
		}
		fmt.Fprintf(&b, "-chmod %s %s --\n", mode, at)
	}
	return b.String()
}

// quoted writes a word as xorriso reads it with -backslash_codes in_double_quotes.
func quoted(word string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(word) {
		if c == '"' || c == '\\' || c == '\'' || c < ' ' {
			fmt.Fprintf(&b, `\%03o`, c)
			continue
		}
		b.WriteByte(c)
	}
	b.WriteByte('"')
	return b.String()
}
