package trust

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"inlay/internal/rooted"
)

const (
	// maxFile bounds a certificate file, in bytes: all the web's authorities
	// together take 220 KiB.
	maxFile = 1 << 20
	// maxNames bounds how many names of a folder are read.
	maxNames = 4096
	// suffix is what the name of a certificate file ends with, exactly.
	suffix = ".crt"
)

func (l *loader) given(given []Given) {
	for _, g := range given {
		if len(g.PEM) > maxFile {
			l.problem(g.Origin, "%d bytes: too large, at most %d are read", len(g.PEM), maxFile)
			continue
		}
		l.certificates(g.Origin, g.PEM)
	}
}

func (l *loader) files(names []string) {
	for _, name := range names {
		l.file(name)
	}
}

// file reads a certificate file.
func (l *loader) file(name string) {
	l.set.Named = true
	text, err := rooted.ReadFile(l.options.Root, name, maxFile)
	if err != nil {
		l.problem(shown(name), "not used: %s", reason(err))
		return
	}
	l.certificates(shown(name), text)
}

// certificates makes anchors of what a file holds.
func (l *loader) certificates(origin string, text []byte) {
	certs, faults := parsePEM(text)
	for _, fault := range faults {
		l.problem(origin, "%s", fault)
	}
	for _, cert := range certs {
		l.know(cert)
		l.add(cert, origin)
	}
}

// folders reads certificate files with systemd's precedence. It is stricter in
// one thing: there, a name in an earlier folder that turns out to be no regular
// file hides nothing. Here it does: somebody wanted that name to mean something
// else than the file in the later folder, and what, nobody can tell.
func (l *loader) folders(folders []string) {
	seen := make(map[string]bool)
	for i, folder := range folders {
		names, err := rooted.ReadNames(l.options.Root, folder, maxNames)
		if errors.Is(err, fs.ErrNotExist) && slices.Contains(DefaultFolders(), folder) {
			continue
		}
		if err != nil {
			l.set.Named = true
			l.problem(shown(folder), "not used: %s", reason(err))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if i+1 < len(folders) {
				// The folder may mask what the later ones hold.
				l.problem(shown(folder), "the folders after it are not used either, since it may mask what is in them: %s",
					list(folders[i+1:]))
			}
			return
		}
		for _, name := range names {
			if !strings.HasSuffix(name, suffix) || strings.HasPrefix(name, ".") || seen[name] {
				continue
			}
			seen[name] = true
			file := folder + "/" + name
			if target, err := rooted.Resolve(l.options.Root, file); err == nil && target == rooted.Null {
				continue // masked
			}
			l.file(file)
		}
	}
}

func list(folders []string) string {
	var names []string
	for _, folder := range folders {
		names = append(names, shown(folder))
	}
	return strings.Join(names, ", ")
}

// shown is a path below the root as people write it.
func shown(name string) string { return path.Clean("/" + name) }
