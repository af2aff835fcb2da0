package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"inlay/internal/extension"
)

// scan is the store as it lies there.
type scan struct {
	images   map[string]*Image
	infos    map[string]fs.FileInfo
	links    map[string][]link // by the image that they lead to
	problems []Problem
}

// link is a link that leads to an image.
type link struct {
	place  string // a profile, or placeRun
	name   string
	target string
}

func (s *Store) scan() (*scan, error) {
	sc := &scan{images: map[string]*Image{}, infos: map[string]fs.FileInfo{}, links: map[string][]link{}}
	found, err := s.open()
	if err != nil {
		return nil, err
	}
	if found {
		if err := s.scanImages(sc); err != nil {
			return nil, fmt.Errorf("reading the store \"/%s\": %w", s.at, err)
		}
		for _, p := range Profiles() {
			if err := s.scanProfile(sc, p); err != nil {
				return nil, fmt.Errorf("reading the profile %q of the store \"/%s\": %w", p, s.at, err)
			}
		}
	}
	if err := s.scanRun(sc); err != nil {
		return nil, fmt.Errorf("reading \"/%s\": %w", s.kind.RunFolder, err)
	}
	s.judge(sc)
	return sc, nil
}

// scanImages takes in the files of the store itself.
func (s *Store) scanImages(sc *scan) error {
	return readFolder(s.dir, func(name string, info fs.FileInfo) error {
		at := path.Join(s.at, name)
		switch {
		case name == ownFolder, name == "lost+found":
		case isProfile(name):
			if !info.IsDir() {
				sc.problem(at, "", "it takes the place of a profile's folder", "move it away")
			}
		case info.Mode().Type() == fs.ModeSymlink && strings.HasSuffix(name, ".raw"):
			sc.problem(at, name, "it is a link, not an image", "put the image itself here in its place")
		case !info.Mode().IsRegular(), !strings.HasSuffix(name, ".raw"):
			sc.problem(at, "", "it is no image of an extension", "move it away, or give the image a name that ends in \""+s.kind.Suffix+"\"")
		default:
			image, err := s.image(name, info)
			if err != nil {
				return err
			}
			sc.images[name], sc.infos[name] = image, info
		}
		return nil
	})
}

func (s *Store) image(fileName string, info fs.FileInfo) (*Image, error) {
	name := extension.NameOf(s.kind, fileName)
	image := &Image{
		FileName: fileName, Name: name, Version: extension.VersionOf(name),
		Path: path.Join(s.at, fileName), Missing: info == nil,
	}
	if info == nil {
		return image, nil
	}
	image.Size, image.ModTime = info.Size(), info.ModTime()
	var err error
	image.identity, err = identify(info)
	return image, err
}

// scanProfile takes in the links of a profile.
func (s *Store) scanProfile(sc *scan, p Profile) error {
	if info, err := s.dir.Lstat(string(p)); err != nil || !info.IsDir() {
		return ignoreNotExist(err)
	}
	dir, err := s.dir.OpenRoot(string(p))
	if err != nil {
		return ignoreNotExist(err)
	}
	defer dir.Close()
	folder := path.Join(s.at, string(p))
	return readFolder(dir, func(name string, info fs.FileInfo) error {
		at := path.Join(folder, name)
		if info.Mode().Type() != fs.ModeSymlink {
			sc.problem(at, "", "a profile holds links to images, and this is none", "move it into the store, and enable it")
			return nil
		}
		target, err := dir.Readlink(name)
		if err != nil {
			return ignoreNotExist(err)
		}
		image, ours := s.leads(folder, target)
		if !ours {
			sc.problem(at, "", fmt.Sprintf("it leads to %q, out of the store", target), "put the image into the store, and enable it")
			return nil
		}
		if name != image {
			sc.problem(at, image, fmt.Sprintf("it leads to an image of another name, %q", image), "disable and enable that image")
		}
		if _, found := sc.images[image]; !found {
			if info, err := s.dir.Lstat(image); err == nil {
				sc.problem(at, image, "it leads to something that is no image: "+info.Mode().Type().String(), "remove it")
				return nil
			}
			missing, err := s.image(image, nil)
			if err != nil {
				return err
			}
			sc.images[image] = missing
		}
		if sc.images[image].Missing {
			sc.problem(at, image, "it leads to an image that is not there", "bring the image back, or remove it from the store")
		}
		sc.add(image, link{place: string(p), name: name, target: target})
		return nil
	})
}

func (sc *scan) add(image string, l link) {
	sc.links[image] = append(sc.links[image], l)
	found, ok := sc.images[image]
	switch {
	case !ok:
	case l.place == placeRun:
		found.Linked = true
	case !slices.Contains(found.Profiles, Profile(l.place)):
		found.Profiles = append(found.Profiles, Profile(l.place))
	}
}

// scanRun takes in the links of the run folder that lead into the store; others
// may keep theirs there.
func (s *Store) scanRun(sc *scan) error {
	run, err := s.openRun()
	if err != nil {
		return ignoreNotExist(err)
	}
	defer run.Close()
	at, err := resolve(s.root, s.kind.RunFolder)
	if err != nil {
		return err
	}
	return readFolder(run, func(name string, info fs.FileInfo) error {
		if info.Mode().Type() != fs.ModeSymlink {
			return nil
		}
		target, err := run.Readlink(name)
		if err != nil {
			return ignoreNotExist(err)
		}
		image, ours := s.leads(at, target)
		if !ours || name == runNext {
			return nil
		}
		sc.add(image, link{place: placeRun, name: name, target: target})
		if _, found := sc.images[image]; !found {
			sc.problem(path.Join(at, name), image, "it leads to an image that is not in the store any more", "")
		}
		return nil
	})
}

// leads returns the image of the store that a link in folder leads to. A link
// to a link of a profile leads to that one's image, or, if there is no such
// link any more, to the image of that name.
func (s *Store) leads(folder, target string) (image string, ours bool) {
	// The links that we and kairos-agent write need no look at the disk.
	if rest, ok := strings.CutPrefix(target, "../"); ok && path.Dir(folder) == s.at && isImageName(rest) {
		return rest, true
	}
	if rest, ok := strings.CutPrefix(target, "/"+s.kind.Store+"/"); ok && isImageName(rest) {
		return rest, true
	}
	// And so do those in the run folder, which is the only other one asked about.
	if rest, ok := strings.CutPrefix(target, s.runTarget(folder, "")+"/"); ok && isImageName(rest) {
		return rest, true
	}
	if !path.IsAbs(target) {
		target = folder + "/" + target
	}
	at, err := resolve(s.root, target)
	if err != nil {
		return "", false // a link that cannot be followed leads nowhere
	}
	rest, ok := strings.CutPrefix(at, s.at+"/")
	if before, after, deep := strings.Cut(rest, "/"); deep && isProfile(before) {
		rest = after
	}
	return rest, ok && isImageName(rest)
}

// readFolder calls fn for each entry of a folder, in the order of their names.
// What vanishes meanwhile is passed over.
func readFolder(r *os.Root, fn func(name string, info fs.FileInfo) error) error {
	names, err := entries(r, ".")
	if err != nil {
		return err
	}
	for _, name := range names {
		info, err := r.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := fn(name, info); err != nil {
			return err
		}
	}
	return nil
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
