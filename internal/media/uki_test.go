package media_test

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/media"
	"inlay/internal/uki"
	"inlay/test/debian"
	"inlay/test/sample"
)

// entries are the default ones of a plain system.
func entries(t testing.TB, o media.EntryOptions) []media.Entry {
	t.Helper()
	list, err := media.Entries(o)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// plain is a small system with an initrd of its own.
func plain() map[string]string {
	return map[string]string{
		"boot/vmlinuz-6.1": string(sample.Kernel("x86-64", "6.1")), "boot/initrd.img-6.1": "initrd", "etc/os-release": "ID=toy\nNAME=Toy\n",
		"usr/lib/systemd/boot/efi/linuxx64.efi.stub": string(sample.Stub("x86-64")), "sbin/init": program,
	}
}

// A real kernel and a real stub make an image that ukify reads, with the words
// and the initrd that were meant.
func TestUKIOfDebian(t *testing.T) {
	t.Parallel()
	tools, kernel := debian.Tools(t), debian.NewKernel(t)
	files := plain()
	delete(files, "boot/vmlinuz-6.1")
	delete(files, "usr/lib/systemd/boot/efi/linuxx64.efi.stub")
	dir := rootFolder(t, files)
	image, err := os.ReadFile(kernel.Compressed())
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "boot/vmlinuz-"+kernel.Version), string(image), 0o644)
	out := t.TempDir()
	result, err := media.UKI(t.Context(), open(t, dir, media.SystemOptions{}), media.UKIOptions{
		Output: out, Host: tools.Folder(), RootfsAsInitrd: true, Entries: entries(t, media.EntryOptions{Cmdline: "quiet splash"}), Digest: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if result.Kernel.Version != kernel.Version || result.Architecture != "x86-64" || !strings.Contains(result.Stub, "this machine's") {
		t.Errorf("result %+v", result)
	}
	said := tools.Run(t, map[string]string{out: "/mnt"}, "ukify", "inspect", "/mnt/norole.efi", "--all")
	for _, want := range []string{"quiet splash", kernel.Version, "ID=toy", fmt.Sprintf("%x", sha256.Sum256(image))} {
		if !strings.Contains(said, want) {
			t.Errorf("ukify does not show %q:\n%s", want, said)
		}
	}
	content, err := os.ReadFile(filepath.Join(out, "norole.efi"))
	if err != nil {
		t.Fatal(err)
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(content)); sum != result.Images[0].SHA256 || int64(len(content)) != result.Images[0].Size {
		t.Errorf("the image has %d bytes and %s, not %+v", len(content), sum, result.Images[0])
	}
	opened, err := uki.Open(bytes.NewReader(content), int64(len(content)))
	if err != nil || opened == nil {
		t.Fatalf("it cannot be opened: %v", err)
	}
}

// Of several images none appears if one cannot be made.
func TestUKILeavesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(o *media.UKIOptions)
		want  string
	}{
		"second entry":    {func(o *media.UKIOptions) { o.Entries = append(o.Entries, media.Entry{Name: "bad", Cmdline: ""}) }, "command line is empty"},
		"name of folder":  {func(o *media.UKIOptions) { o.Entries[0].Name = "folder" }, "is a directory"},
		"no such output":  {func(o *media.UKIOptions) { o.Output = filepath.Join(o.Output, "none") }, "no such file"},
		"certificate":     {func(o *media.UKIOptions) { o.Kernel = "9" }, "no kernel"},
		"splash":          {func(o *media.UKIOptions) { o.Splash = "/dev/null" }, "not a regular file"},
		"pcr key's kind":  {func(o *media.UKIOptions) { o.PCRKey = sample.ECDSA(t, elliptic.P256()) }, "cannot sign for a TPM"},
		"other machines":  {func(o *media.UKIOptions) { o.Architecture = "riscv64" }, "not for riscv64"},
		"stub from afar":  {func(o *media.UKIOptions) { o.Stub = os.Args[0] }, "reading the stub"},
		"context is over": {nil, "context canceled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := t.TempDir()
			if err := os.Mkdir(filepath.Join(out, "folder.efi"), 0o755); err != nil {
				t.Fatal(err)
			}
			o := media.UKIOptions{Output: out, Host: t.TempDir(), Entries: entries(t, media.EntryOptions{}), RootfsAsInitrd: true}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if c.spoil == nil {
				cancel()
			} else {
				c.spoil(&o)
			}
			_, err := media.UKI(ctx, open(t, rootFolder(t, plain()), media.SystemOptions{}), o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			left, err := os.ReadDir(out)
			if err != nil || len(left) != 1 {
				t.Errorf("left: %v %v", left, err)
			}
		})
	}
}

// MakeUKIs names nothing until it is asked to.
func TestImagesHaveNoNames(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	images, err := media.MakeUKIs(t.Context(), open(t, rootFolder(t, plain()), media.SystemOptions{}), media.UKIOptions{
		Output: out, Entries: entries(t, media.EntryOptions{Roles: []string{"active", "passive"}}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer images.Discard()
	if left, err := os.ReadDir(out); err != nil || len(left) > 0 {
		t.Errorf("there is %v (%v)", left, err)
	}
	for _, im := range images.Files {
		if _, err := uki.Open(im.File, im.Size); err != nil {
			t.Errorf("%s: %v", im.Entry.Name, err)
		}
	}
	if err := images.Commit(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"active.efi", "passive.efi"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := io.Copy(io.Discard, io.NewSectionReader(images.Files[0].File, 0, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a file that has its name is still open: %v", err)
	}
}

func TestSizeWarning(t *testing.T) {
	t.Parallel()
	const mib = 1 << 20
	folders := []media.Folder{{Path: "/usr/share/doc", Size: 200 * mib}}
	for name, c := range map[string]struct {
		got  string
		want []string
	}{
		"above": {media.SizeWarning("a.efi", 1100*mib, 1024*mib, folders), []string{"a.efi has 1100 MiB, more than 1024 MiB", "from about 800 MiB to 1.3 GiB", "/usr/share/doc (200 MiB)"}},
		"far":   {media.SizeWarning("a.efi", 1500*mib, 1024*mib, nil), []string{"a.efi has 1500 MiB", "no firmware is known"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, want := range c.want {
				if !strings.Contains(c.got, want) {
					t.Errorf("%q does not say %q", c.got, want)
				}
			}
			if strings.Contains(c.got, "inlay media plan") != strings.Contains(c.got, "MiB)") {
				t.Errorf("%q", c.got)
			}
		})
	}
}
