package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"inlay/internal/content"
	"inlay/internal/extension"
	"inlay/internal/osrelease"
)

// content reads what the tree says of itself and, if asked, the list of files.
// Only the end of ctx is an error.
func (r *Report) content(ctx context.Context, x *content.Extension, o Options) error {
	tree, err := x.Tree()
	if err != nil {
		r.unread("files", err)
		return nil
	}
	if n := tree.Needs(); n != nil {
		r.Compression, r.Kernel = n.Compression, &Kernel{n.Kernel, n.Because}
	}
	r.Uses = new(Uses)
	r.metadata(tree)
	r.releases(tree)
	r.BootableContainer = hasInit(tree)
	r.BootableUEFI = r.BootableContainer && x.Image != nil && hasESP(x.Image.Table)
	if !o.Files {
		return nil
	}
	err = tree.Walk(ctx, func(f *content.File) error {
		if f.Path != "." {
			r.Files = append(r.Files, describe(f))
		}
		return nil
	})
	if err != nil && ctx.Err() == nil {
		r.unread("files", err)
	}
	return ctx.Err()
}

// metadata reads the files by which systems and initrds are known.
func (r *Report) metadata(tree *content.Tree) {
	os := r.fields(tree, "etc/os-release", "usr/lib/os-release")
	r.OSRelease, r.PortableService = os.Lines(), os.Get("PORTABLE_PREFIXES") != ""
	r.InitrdRelease = r.fields(tree, "etc/initrd-release", "usr/lib/initrd-release").Lines()
	r.Initrd = len(r.InitrdRelease) > 0
	r.MachineInfo = r.fields(tree, "etc/machine-info").Lines()
	if text := r.small(tree, "etc/machine-id"); len(strings.TrimSpace(text)) == 32 {
		r.MachineID = strings.TrimSpace(text)
	}
	for line := range strings.Lines(r.small(tree, "etc/hostname")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			r.Hostname = line
			break
		}
	}
}

// fields reads the first of names that is there.
func (r *Report) fields(tree *content.Tree, names ...string) *osrelease.Release {
	for _, name := range names {
		text := r.small(tree, name)
		if text == "" {
			continue
		}
		parsed, err := osrelease.Parse([]byte(text))
		if err != nil {
			r.unread("/"+name, err)
			continue
		}
		return parsed
	}
	return new(osrelease.Release)
}

// small reads a file that need not be there.
func (r *Report) small(tree *content.Tree, name string) string {
	text, err := tree.ReadFile(name, osrelease.MaxSize)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.unread("/"+name, err)
	}
	return string(text)
}

// releases finds the release files, which tell the kind and the name.
func (r *Report) releases(tree *content.Tree) {
	problems := len(r.Unread)
	for _, k := range extension.Kinds() {
		release := r.release(tree, k)
		system, portable, initrd := scopes(k, release)
		if k.Configuration {
			r.ConfigurationExtension, r.PortableConfext, r.InitrdConfext = system, portable, initrd
		} else {
			r.SystemExtension, r.PortableSysext, r.InitrdSystemExtension = system, portable, initrd
		}
	}
	if r.Kind == "" && len(r.Unread) == problems {
		r.unread("release file", errors.New("there is none: no system merges this extension"))
	}
}

// release finds the release file of a kind and returns what it says, or nil if
// systemd would not find it under the image's name.
func (r *Report) release(tree *content.Tree, k extension.Kind) *osrelease.Release {
	found, fits, err := tree.Release(k, extension.TrimSuffix(r.Name))
	if err != nil {
		r.Kind = cmp.Or(r.Kind, k.Name)
		r.unread("release file", err)
		return nil
	}
	if found == nil {
		return nil
	}
	r.note(k, found.Name, found.Release)
	if !fits {
		return nil
	}
	return found.Release
}

// note takes down a release file. An image with those of both kinds is of the
// one that its name says.
func (r *Report) note(k extension.Kind, name string, release *osrelease.Release) {
	if r.Kind == "" || strings.HasSuffix(r.Name, k.Suffix) {
		r.Kind, r.ExtensionName = k.Name, name
	}
	if k.Configuration {
		r.ConfextRelease = release.Lines()
	} else {
		r.SysextRelease = release.Lines()
	}
}

// describe puts a file into the words of the report.
func describe(f *content.File) File {
	d := File{
		Path: "/" + f.Path, Mode: modeText(f.Mode), UID: f.UID, GID: f.GID, Size: f.Size, Links: f.Links, MTime: Time{f.MTime}, Target: f.Target,
	}
	if f.Device() {
		d.Device = fmt.Sprintf("%d:%d", f.Major, f.Minor)
	}
	for _, x := range f.Xattrs {
		d.Xattrs = append(d.Xattrs, x.Name)
	}
	return d
}
