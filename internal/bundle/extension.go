package bundle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"inlay/internal/content"
	"inlay/internal/discover"
	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/rooted"
)

// Use says what an unpacked folder is to the machine.
type Use struct {
	// Kind is "sysext" or "confext", by the release files in the folder or, without
	// any, by what else it holds; "" if nothing in it could be merged.
	Kind string `json:"kind,omitempty"`
	// Name is the extension's, after the folder's.
	Name string `json:"name"`
	// Release is the path of the release file that counts, "" if there is none.
	Release string `json:"release,omitempty"`
	// Merges says whether this machine takes it where it lies.
	Merges bool `json:"merges"`
	// Why says why not, and Mend what to do about it; "" if it merges.
	Why  string `json:"why,omitempty"`
	Mend string `json:"mend,omitempty"`
}

// judge looks at what was unpacked.
func (r *Result) judge(ctx context.Context, p *Place, o Options) error {
	if o.Machine == nil {
		return nil
	}
	folder, err := p.root.OpenRoot(p.full())
	if err != nil {
		return err
	}
	defer folder.Close()
	u := use(ctx, folder, p, o)
	r.Use = u
	if awkward := extension.AwkwardName(u.Name); awkward != "" {
		r.Notes = append(r.Notes, awkward)
	}
	return nil
}

func use(ctx context.Context, folder *os.Root, p *Place, o Options) *Use {
	files := content.Folder(folder)
	k, holds := kindOf(folder, p.Path)
	u := &Use{Kind: k.Name, Name: extension.NameOfFolder(k, p.name)}
	if _, err := rooted.Resolve(folder, osRelease); err == nil {
		why := fmt.Sprintf("it holds /%s, and so passes for a whole system, which systemd does not merge", osRelease)
		if within(p, o.Machine, k) {
			why += ": while it lies here, systemd-sysext merges nothing at all"
		}
		return u.not(why, "remove "+p.Path+", and build the image from scratch, with the files of the extension only")
	}
	if !holds {
		u.Kind = ""
		return u.not("it holds nothing below "+slashed(extension.Sysext().Mergeable)+" or /etc, so that nothing of it would show when it is merged",
			"build the image with files in /usr")
	}
	found, fits, err := files.Release(k, u.Name)
	switch {
	case errors.Is(err, extension.ErrAmbiguousRelease):
		return u.not(err.Error(), firstHint(err))
	case err != nil:
		if extension.ValidName(u.Name) != nil {
			return u.not(err.Error(), firstHint(err))
		}
		return u.not(fmt.Sprintf("its release file cannot be read: %v", err), "build the image with a release file such as "+releaseLine(k, u.Name))
	case found == nil:
		return u.not(fmt.Sprintf("it has no /%s", k.ReleaseFile(u.Name)),
			"add to the image's Dockerfile, before its last stage: RUN mkdir -p /"+k.ReleaseFolder+" && "+releaseLine(k, u.Name))
	case !fits:
		return u.not(fmt.Sprintf("its release file is called %q, which is that of an extension with another name", "/"+found.Path),
			fmt.Sprintf("unpack it to a folder that is called %q: %s", found.Name, filepath.Join(filepath.Dir(p.Path), found.Name)))
	}
	u.Release = "/" + found.Path
	host, err := extension.HostAt(content.Folder(o.Machine), o.Architecture)
	if err != nil {
		return u.not(err.Error(), firstHint(err))
	}
	if err := host.Match(k, found.Release); err != nil {
		return u.not(err.Error(), firstHint(err))
	}
	d := discover.Options{Root: o.Machine, Kind: k, Architecture: o.Architecture, Initrd: host.Initrd}
	if !o.NoOldFolders {
		d.More = discover.OldFolders(k)
	}
	if why, mend := u.find(ctx, d, p, folder); why != "" {
		return u.not(why, mend)
	}
	if o.SignedOnly != "" {
		return u.not(fmt.Sprintf("this machine lets in signed extensions only (%s), and a folder cannot be signed", o.SignedOnly),
			fmt.Sprintf("build a signed image of it: inlay build %s IMAGE --layers all --private-key FILE --certificate FILE", u.Name))
	}
	u.Merges = true
	return u
}

func (u *Use) not(why, mend string) *Use {
	u.Why, u.Mend = why, mend
	return u
}

// kindOf tells what kind of extension a folder is, or would be with a release
// file, and whether any.
func kindOf(folder *os.Root, where string) (extension.Kind, bool) {
	var has []extension.Kind
	for _, k := range extension.Kinds() {
		if _, err := rooted.Resolve(folder, k.ReleaseFolder); err == nil {
			return k, true
		}
		if slices.ContainsFunc(k.Mergeable, func(name string) bool { _, err := folder.Lstat(name); return err == nil }) {
			has = append(has, k)
		}
	}
	for _, k := range has {
		if filepath.Base(filepath.Dir(where)) == path.Base(k.RunFolder) {
			return k, true
		}
	}
	if len(has) > 0 {
		return has[0], true
	}
	return extension.Sysext(), false
}

// searched are the folders in which extensions are looked for, the usual one
// first; in the last ones by inlay alone, for the documents' sake.
func searched(k extension.Kind) []string {
	usual := "var/lib/" + path.Base(k.RunFolder)
	list := slices.DeleteFunc(discover.Folders(discover.Options{Kind: k}), func(folder string) bool { return folder == usual })
	return slices.Concat([]string{usual}, list, discover.OldFolders(k))
}

// within says whether a place lies where extensions are looked for.
func within(p *Place, machine *os.Root, k extension.Kind) bool {
	return slices.ContainsFunc(searched(k), func(dir string) bool { return inFolder(p, machine, dir) })
}

// inFolder says whether a place lies in a folder of the machine.
func inFolder(p *Place, machine *os.Root, dir string) bool {
	clean, err := rooted.Resolve(machine, dir)
	if err != nil {
		return false
	}
	want, err := machine.Lstat(clean)
	if err != nil {
		return false
	}
	is, err := p.root.Lstat(p.above)
	return err == nil && os.SameFile(want, is)
}

// osRelease makes a folder pass for a whole system.
const osRelease = "usr/lib/os-release"

func releaseLine(k extension.Kind, name string) string {
	return fmt.Sprintf("echo ID=%s > /%s", extension.Any, k.ReleaseFile(name))
}

func firstHint(err error) string {
	if hints := hint.Of(err); len(hints) > 0 {
		return hints[0]
	}
	return ""
}

func slashed(folders []string) string { return "/" + strings.Join(folders, ", /") }
