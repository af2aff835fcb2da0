package media_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/hint"
	"inlay/internal/media"
	"inlay/internal/source"
	"inlay/internal/tree"
	"inlay/test/sample"
)

// rootFolder makes a folder of files by their names; a text that begins with
// "-> " makes a link, and a name that ends in a slash a folder.
func rootFolder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		target, isLink := strings.CutPrefix(text, "-> ")
		switch {
		case strings.HasSuffix(name, "/"):
			if err := os.MkdirAll(path, 0o755); err != nil {
				t.Fatal(err)
			}
		case isLink:
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(target, path); err != nil {
				t.Fatal(err)
			}
		default:
			write(t, path, text, 0o755)
		}
	}
	return dir
}

// open opens a folder as a root file system.
func open(t testing.TB, dir string, o media.SystemOptions) *media.System {
	t.Helper()
	o.Folder = dir
	return openSource(t, "dir:"+dir, o)
}

func openSource(t testing.TB, name string, o media.SystemOptions) *media.System {
	t.Helper()
	s, err := tryOpen(t, name, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func tryOpen(t testing.TB, name string, o media.SystemOptions) (*media.System, error) {
	t.Helper()
	ref, err := source.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	image, err := source.Open(t.Context(), ref, source.Options{Wanted: media.Wanted})
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	if o.SpoolDir == "" {
		o.SpoolDir = t.TempDir()
	}
	return media.OpenSystem(t.Context(), image, o)
}

func contentOf(t testing.TB, s *media.System, name string) string {
	t.Helper()
	content, err := s.ReadFile(name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// Content is the same wherever it is read from, and nothing is left in the
// folder for what is kept.
func TestSystemReadsInPlaceAndFromSpool(t *testing.T) {
	t.Parallel()
	dir := rootFolder(t, map[string]string{
		"usr/lib/a": "content", "usr/lib/empty": "", "lib": "-> usr/lib", "etc/link": "-> ../lib/a", "etc/far": "-> /lib/a",
		"etc/loop": "-> loop", "etc/up": "-> ../../../../usr/lib/a", "run/lost": "transient",
	})
	over := rootFolder(t, map[string]string{"lib/b": "overlay", "new/": "", "usr/lib/a2": "more"})
	archive := filepath.Join(t.TempDir(), "root.tar")
	command(t, "tar", "tar", "-C", dir, "-cf", archive, ".")
	spool := t.TempDir()
	for name, s := range map[string]*media.System{
		"folder":  open(t, dir, media.SystemOptions{Overlay: over}),
		"archive": openSource(t, "file:"+archive, media.SystemOptions{Overlay: over, SpoolDir: spool}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for file, want := range map[string]string{
				"usr/lib/a": "content", "lib/a": "content", "etc/link": "content", "etc/far": "content", "etc/up": "content",
				"usr/lib/empty": "", "usr/lib/b": "overlay", "usr/lib/a2": "more",
			} {
				if got := contentOf(t, s, file); got != want {
					t.Errorf("%s holds %q, want %q", file, got, want)
				}
			}
			if s.Tree().Lookup("lib").Kind() != tree.Symlink || s.Tree().Lookup("new") == nil {
				t.Error("the overlay broke a link, or its empty folder is missing")
			}
			for file, want := range map[string]string{"etc/loop": "symbolic links", "usr": "folder", "run/lost": "not kept"} {
				if _, err := s.Open(file); err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("opening %s: %v, want %q", file, err, want)
				}
			}
			if _, err := s.Open("etc/missing"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what is missing gives %v", err)
			}
			if _, err := s.ReadFile("usr/lib/a", 3); err == nil {
				t.Error("more is read than is allowed")
			}
		})
	}
	if entries, err := os.ReadDir(spool); err != nil || len(entries) > 0 {
		t.Errorf("the spool shows: %v %v", entries, err)
	}
}

// A file that changes after it was listed is not read for what it was.
func TestSystemSeesChanges(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, file string){
		"grown":    func(t *testing.T, file string) { write(t, file, "longer content", 0o644); touch(t, file) },
		"touched":  func(t *testing.T, file string) { write(t, file, "content", 0o644) },
		"link":     func(t *testing.T, file string) { relink(t, file, "passwd") },
		"outside":  func(t *testing.T, file string) { relink(t, file, "/etc/passwd") },
		"vanished": func(t *testing.T, file string) { remove(t, file) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := rootFolder(t, map[string]string{"etc/file": "content", "etc/passwd": "content"})
			touch(t, filepath.Join(dir, "etc/file"))
			touch(t, filepath.Join(dir, "etc/passwd"))
			s := open(t, dir, media.SystemOptions{})
			change(t, filepath.Join(dir, "etc/file"))
			if got, err := s.ReadFile("etc/file", 1<<10); err == nil {
				t.Errorf("read %q", got)
			}
		})
	}
}

// Folders that are there stay what they were; new ones are as the overlay has them.
func TestOverlayFolders(t *testing.T) {
	t.Parallel()
	dir := rootFolder(t, map[string]string{"usr/lib/a": "x", "lib": "-> usr/lib"})
	over := rootFolder(t, map[string]string{"usr/lib/b": "x", "usr/secret/c": "x", "lib/new/": ""})
	for _, folder := range []string{"usr", "usr/lib", "usr/secret", "lib/new"} {
		if err := os.Chmod(filepath.Join(over, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	tr := open(t, dir, media.SystemOptions{Overlay: over}).Tree()
	for name, want := range map[string]uint32{"usr": 0o40755, "usr/lib": 0o40755, "usr/secret": 0o40700, "usr/lib/new": 0o40700} {
		if ino := tr.Lookup(name); ino == nil || ino.Mode != want {
			t.Errorf("%s is %+v, want mode %o", name, ino, want)
		}
	}
}

func touch(t *testing.T, file string) {
	t.Helper()
	if err := os.Chtimes(file, time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

func relink(t *testing.T, file, target string) {
	t.Helper()
	remove(t, file)
	if err := os.Symlink(target, file); err != nil {
		t.Fatal(err)
	}
}

func TestSystemOwners(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("files of others can only be made by root")
	}
	dir := rootFolder(t, map[string]string{"etc/file": "content"})
	if err := os.Chown(filepath.Join(dir, "etc/file"), 7, 8); err != nil {
		t.Fatal(err)
	}
	users := rootFolder(t, map[string]string{"etc/file": "content"})
	for _, path := range []string{users, filepath.Join(users, "etc/file")} {
		if err := os.Chown(path, 1000, 1000); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		dir   string
		owner media.Owner
		want  uint32
		notes int
	}{
		"root's folder":          {dir, media.OwnerAuto, 7, 0},
		"root's folder, to root": {dir, media.OwnerRoot, 0, 0},
		"a user's folder":        {users, media.OwnerAuto, 0, 1},
		"a user's folder, kept":  {users, media.OwnerKeep, 1000, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, c.dir, media.SystemOptions{Owner: c.owner})
			if got := s.Tree().Lookup("etc/file").UID; got != c.want || len(s.Notes()) != c.notes {
				t.Errorf("the file belongs to %d, want %d; notes: %q", got, c.want, s.Notes())
			}
		})
	}
}

func TestSystemEpoch(t *testing.T) {
	t.Parallel()
	dir := rootFolder(t, map[string]string{"old": "x", "new": "x"})
	touch(t, filepath.Join(dir, "old"))
	epoch := time.Unix(1000, 0)
	s := open(t, dir, media.SystemOptions{Epoch: &epoch})
	for name, want := range map[string]int64{"old": 1, "new": 1000} {
		if got := s.Tree().Lookup(name).Sec; got != want {
			t.Errorf("%s is of %d, want %d", name, got, want)
		}
		if got := contentOf(t, s, name); got != "x" {
			t.Errorf("%s holds %q", name, got)
		}
	}
}

func TestSystemRefuses(t *testing.T) {
	t.Parallel()
	dir := rootFolder(t, map[string]string{"file": "x"})
	if _, err := tryOpen(t, "dir:"+dir, media.SystemOptions{Folder: dir, Overlay: filepath.Join(dir, "file")}); err == nil {
		t.Error("a file is no overlay")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ref, err := source.Parse("dir:" + dir)
	if err != nil {
		t.Fatal(err)
	}
	image, err := source.Open(t.Context(), ref, source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer image.Close()
	if _, err := media.OpenSystem(ctx, image, media.SystemOptions{Folder: dir}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled, it gives %v", err)
	}
	image.OS = "windows"
	if _, err := media.OpenSystem(t.Context(), image, media.SystemOptions{Folder: dir}); err == nil || !strings.Contains(err.Error(), "not for Linux") {
		t.Errorf("an image for another system gives %v", err)
	}
}

func TestKernel(t *testing.T) {
	t.Parallel()
	x86 := func(release string) string { return string(sample.Kernel("x86-64", release)) }
	for name, c := range map[string]struct {
		files      map[string]string
		choice     string
		arch       string
		path, want string
		others     []string
		bad        string
	}{
		"in boot":             {map[string]string{"boot/vmlinuz-6.1": x86("6.1")}, "", "", "boot/vmlinuz-6.1", "6.1", nil, ""},
		"beside its modules":  {map[string]string{"usr/lib/modules/6.1/vmlinuz": x86("6.1")}, "", "", "usr/lib/modules/6.1/vmlinuz", "6.1", nil, ""},
		"in both":             {map[string]string{"usr/lib/modules/6.1/vmlinuz": x86("6.1"), "boot/vmlinuz-6.1": x86("6.1")}, "", "", "usr/lib/modules/6.1/vmlinuz", "6.1", nil, ""},
		"a link":              {map[string]string{"boot/vmlinuz": "-> vmlinuz-6.1", "boot/vmlinuz-6.1": x86("6.1")}, "", "", "boot/vmlinuz-6.1", "6.1", nil, ""},
		"a link from the top": {map[string]string{"boot/vmlinuz": "-> /k/linux-6.2", "k/linux-6.2": x86("6.2")}, "", "", "k/linux-6.2", "6.2", nil, ""},
		"a dangling link":     {map[string]string{"boot/vmlinuz": "-> /gone", "boot/vmlinuz-6.1": x86("6.1")}, "", "", "boot/vmlinuz-6.1", "6.1", nil, ""},
		"of arm":              {map[string]string{"boot/Image": string(sample.Program("arm64", sample.Section{Name: ".text", Content: "Linux version 6.6.1 (me@here)"}))}, "", "arm64", "boot/Image", "6.6.1", nil, ""},
		"the newest":          {map[string]string{"boot/vmlinuz-6.9": x86("6.9"), "boot/vmlinuz-6.10": x86("6.10"), "boot/vmlinuz-6.10~rc1": x86("6.10~rc1")}, "", "", "boot/vmlinuz-6.10", "6.10", []string{"6.10~rc1", "6.9"}, ""},
		"a version":           {map[string]string{"boot/vmlinuz-6.9": x86("6.9"), "boot/vmlinuz-6.10": x86("6.10")}, "6.9", "", "boot/vmlinuz-6.9", "6.9", []string{"6.10"}, ""},
		"a path":              {map[string]string{"boot/vmlinuz-6.9": x86("6.9"), "boot/vmlinuz": "-> vmlinuz-6.9", "boot/vmlinuz-6.10": x86("6.10")}, "/boot/vmlinuz", "", "boot/vmlinuz-6.9", "6.9", []string{"6.10"}, ""},
		"not the old one":     {map[string]string{"boot/vmlinuz.old": x86("5"), "boot/vmlinuz-0-rescue-x": x86("5")}, "", "", "", "", nil, "the source has no kernel"},
		"none":                {map[string]string{"boot/System.map": "x"}, "", "", "", "", nil, "the source has no kernel"},
		"no such":             {map[string]string{"boot/vmlinuz-6.9": x86("6.9")}, "6.10", "", "", "", nil, `no kernel "6.10"`},
		"for other machines":  {map[string]string{"boot/vmlinuz-6.9": x86("6.9")}, "", "arm64", "", "", nil, "is for x86-64, not for arm64"},
		"no program":          {map[string]string{"boot/vmlinuz-6.9": "\x1f\x8b compressed"}, "", "", "", "", nil, "not an EFI program"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, err := open(t, rootFolder(t, c.files), media.SystemOptions{}).Kernel(c.choice, c.arch)
			if c.bad != "" {
				if err == nil || !strings.Contains(err.Error(), c.bad) || len(hint.Of(err)) == 0 {
					t.Errorf("got %+v and %v, want %q and a hint", k, err, c.bad)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if k.Path != c.path || k.Version != c.want || !cmp.Equal(k.Others, c.others) {
				t.Errorf("got %+v", k)
			}
		})
	}
}

func TestInitrd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files     map[string]string
		want, bad string
	}{
		"beside its modules": {map[string]string{"usr/lib/modules/6.1/initrd": "x", "boot/initrd.img-6.1": "x"}, "usr/lib/modules/6.1/initrd", ""},
		"of Debian":          {map[string]string{"boot/initrd.img-6.1": "x", "boot/initrd.img-6.2": "x"}, "boot/initrd.img-6.1", ""},
		"of Fedora":          {map[string]string{"boot/initramfs-6.1.img": "x"}, "boot/initramfs-6.1.img", ""},
		"of SUSE":            {map[string]string{"boot/initrd-6.1": "x"}, "boot/initrd-6.1", ""},
		"of Arch":            {map[string]string{"boot/initramfs-linux.img": "x"}, "boot/initramfs-linux.img", ""},
		"of Kairos":          {map[string]string{"boot/initrd": "-> initrd-6.1", "boot/initrd-6.1": "x"}, "boot/initrd-6.1", ""},
		"of no version":      {map[string]string{"boot/initrd": "x"}, "boot/initrd", ""},
		"another's":          {map[string]string{"boot/initrd.img": "-> initrd.img-6.2", "boot/initrd.img-6.2": "x", "usr/lib/modules/6.2/": ""}, "", "is for the kernel 6.2, not for 6.1"},
		"none":               {map[string]string{"boot/initrd.img-6.2": "x"}, "", "no initrd for the kernel 6.1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.files["boot/vmlinuz-6.1"] = string(sample.Kernel("x86-64", "6.1"))
			s := open(t, rootFolder(t, c.files), media.SystemOptions{})
			k, err := s.Kernel("6.1", "")
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Initrd(k)
			if got != c.want || (c.bad == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.bad) {
				t.Errorf("got %q and %v, want %q or %q", got, err, c.want, c.bad)
			}
			if err != nil && len(hint.Of(err)) == 0 {
				t.Error("there is no hint")
			}
		})
	}
}

// Programs of systemd's come from where the user says, the source, or the
// machine that builds, in this order.
func TestProgram(t *testing.T) {
	t.Parallel()
	const name, folder = "linuxx64.efi.stub", "usr/lib/systemd/boot/efi/"
	with := rootFolder(t, map[string]string{folder + name: "the source's"})
	without := rootFolder(t, map[string]string{"etc/x": "x"})
	host := rootFolder(t, map[string]string{folder + name: "this machine's", "given": "given"})
	empty := t.TempDir()
	for title, c := range map[string]struct{ root, given, host, want, bad string }{
		"given":        {with, filepath.Join(host, "given"), host, "given", ""},
		"source":       {with, "", host, "the source's", ""},
		"machine":      {without, "", host, "this machine's", ""},
		"nowhere":      {without, "", empty, "", "neither in the source nor on this machine"},
		"given a miss": {with, filepath.Join(host, "miss"), host, "", "no such file"},
		"given folder": {with, host, host, "", "not a regular file"},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			p, err := open(t, c.root, media.SystemOptions{}).Program("--stub", c.given, name, c.host)
			if c.bad != "" {
				if err == nil || !strings.Contains(err.Error(), c.bad) {
					t.Errorf("got %v, want %q", err, c.bad)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			content := make([]byte, p.Size())
			if _, err := p.ReadAt(content, 0); err != nil || string(content) != c.want || p.Origin == "" {
				t.Errorf("got %q from %q (%v), want %q", content, p.Origin, err, c.want)
			}
		})
	}
}
