package media_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/media"
	"inlay/internal/secureboot"
	"inlay/test/sample"
)

// bootable is a small system for an architecture, with a boot loader.
func bootable(architecture, word string) map[string]string {
	const boot = "usr/lib/systemd/boot/efi/"
	return map[string]string{
		"boot/vmlinuz-6.1": string(sample.Kernel(architecture, "6.1")), "boot/initrd.img-6.1": "initrd", "etc/os-release": "ID=toy\nVERSION_ID=7\n",
		boot + "linux" + word + ".efi.stub":   string(sample.Stub(architecture)),
		boot + "systemd-boot" + word + ".efi": string(sample.BootLoader(architecture)),
	}
}

// mediumOptions are those of a plain medium.
func mediumOptions(t testing.TB, kind media.OutputType, out string) media.MediumOptions {
	t.Helper()
	return media.MediumOptions{
		Type: kind, Enroll: "off", Tools: media.Tools{Path: os.Getenv("PATH")},
		UKI:    media.UKIOptions{Output: out, Host: "/nowhere", Entries: entries(t, media.EntryOptions{})},
		Loader: media.LoaderSource{Host: "/nowhere"},
	}
}

// below lists all that lies below a folder.
func below(t testing.TB, folder string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(folder, path)
		names = append(names, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names[1:]
}

func TestMediumOfEachArchitecture(t *testing.T) {
	t.Parallel()
	for architecture, c := range map[string]struct{ word, name string }{
		"x86-64":  {"x64", "BOOTX64.EFI"},
		"arm64":   {"aa64", "BOOTAA64.EFI"},
		"riscv64": {"riscv64", "BOOTRISCV64.EFI"},
	} {
		t.Run(architecture, func(t *testing.T) {
			t.Parallel()
			out := t.TempDir()
			s := open(t, rootFolder(t, bootable(architecture, c.word)), media.SystemOptions{})
			r, err := media.MakeMedium(t.Context(), s, mediumOptions(t, media.OutputFiles, out))
			if err != nil {
				t.Fatal(err)
			}
			want := []string{
				"EFI", "EFI/BOOT", "EFI/BOOT/" + c.name, "EFI/kairos", "EFI/kairos/norole.efi", "EFI/tools",
				"loader", "loader/entries", "loader/entries/norole.conf", "loader/loader.conf",
			}
			if diff := cmp.Diff(want, below(t, out)); diff != "" {
				t.Errorf("the folder holds (-want +got)\n%s", diff)
			}
			if len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "no keys are enrolled") {
				t.Errorf("the warnings are %q", r.Warnings)
			}
		})
	}
}

// TestMediumInterrupted ends the work at each of its steps: nothing may stay.
func TestMediumInterrupted(t *testing.T) {
	t.Parallel()
	tools(t)
	s := open(t, rootFolder(t, bootable("x86-64", "x64")), media.SystemOptions{})
	for kind, steps := range map[media.OutputType][]media.Step{
		media.OutputISO:       {media.StepInitrd, media.StepBuild, media.StepESP, media.StepISO},
		media.OutputContainer: {media.StepInitrd, media.StepBuild, media.StepTar},
		media.OutputFiles:     {media.StepInitrd, media.StepBuild},
	} {
		for _, step := range steps {
			t.Run(string(kind)+", "+string(step), func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				out, reached := t.TempDir(), false
				o := mediumOptions(t, kind, out)
				o.Step = func(now media.Step) {
					if now == step {
						reached = true
						cancel()
					}
				}
				o.UKI.Step = o.Step
				_, err := media.MakeMedium(ctx, s, o)
				if !reached || !errors.Is(err, context.Canceled) {
					t.Errorf("step reached: %v; the error is %v", reached, err)
				}
				if left := below(t, out); len(left) > 0 {
					t.Errorf("it leaves %q", left)
				}
			})
		}
	}
}

// TestMediumInPlace shows that folders which were there stay when it fails, and
// that those which were not are gone.
func TestMediumInPlace(t *testing.T) {
	t.Parallel()
	root := rootFolder(t, bootable("x86-64", "x64"))
	if err := os.Remove(filepath.Join(root, "boot/initrd.img-6.1")); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	write(t, filepath.Join(out, "EFI/BOOT/other"), "mine", 0o644)
	_, err := media.MakeMedium(t.Context(), open(t, root, media.SystemOptions{}), mediumOptions(t, media.OutputFiles, out))
	if err == nil || !strings.Contains(err.Error(), "no initrd") {
		t.Errorf("the error is %v", err)
	}
	if left := below(t, out); !slices.Equal(left, []string{"EFI", "EFI/BOOT", "EFI/BOOT/other"}) {
		t.Errorf("it leaves %q", left)
	}
}

// TestMediumStubOfAnotherArchitecture is told before the initrd is packed, which
// takes minutes.
func TestMediumStubOfAnotherArchitecture(t *testing.T) {
	t.Parallel()
	root := bootable("x86-64", "x64")
	root["usr/lib/systemd/boot/efi/linuxx64.efi.stub"] = string(sample.Stub("arm64"))
	s, out := open(t, rootFolder(t, root), media.SystemOptions{}), t.TempDir()
	o := mediumOptions(t, media.OutputFiles, out)
	o.UKI.Step = func(media.Step) { t.Error("work was begun") }
	if _, err := media.MakeMedium(t.Context(), s, o); err == nil || !strings.Contains(err.Error(), "the stub is for arm64, and the kernel for x86-64") {
		t.Errorf("the error is %v", err)
	}
	if left := below(t, out); len(left) > 0 {
		t.Errorf("it leaves %q", left)
	}
}

// TestMediumLinkToNowhere refuses an extension that would not be on the medium.
func TestMediumLinkToNowhere(t *testing.T) {
	t.Parallel()
	tools(t)
	overlay := t.TempDir()
	if err := os.Symlink(named(t, "extension"), filepath.Join(overlay, "k3s.sysext.raw")); err != nil {
		t.Fatal(err)
	}
	o := mediumOptions(t, media.OutputISO, t.TempDir())
	o.Overlay = overlay
	_, err := media.MakeMedium(t.Context(), open(t, rootFolder(t, bootable("x86-64", "x64")), media.SystemOptions{}), o)
	if err == nil || !strings.Contains(err.Error(), `"k3s.sysext.raw" in the overlay is a link that leads nowhere`) {
		t.Errorf("the error is %v", err)
	}
}

// TestMediumToolsMissing is told before any work.
func TestMediumToolsMissing(t *testing.T) {
	t.Parallel()
	s := open(t, rootFolder(t, bootable("x86-64", "x64")), media.SystemOptions{})
	o := mediumOptions(t, media.OutputISO, t.TempDir())
	o.Tools.Path = "/nowhere"
	o.Step = func(media.Step) { t.Error("work was begun") }
	o.UKI.Step = o.Step
	if _, err := media.MakeMedium(t.Context(), s, o); err == nil || !strings.Contains(err.Error(), "not installed") {
		t.Errorf("the error is %v", err)
	}
}

// TestMediumReplacesSignature shows that a boot loader has the signature of the
// medium's key alone: what others have signed starts on machines of others.
func TestMediumReplacesSignature(t *testing.T) {
	t.Parallel()
	others, ours := sample.Pair(t, sample.Certificate{Name: "others", Key: sample.RSA(t, 2048)}), sample.Pair(t, sample.Certificate{Name: "ours", Key: sample.RSA(t, 2048)})
	root := rootFolder(t, bootable("x86-64", "x64"))
	signed := unnamed(t)
	program := sample.BootLoader("x86-64")
	size, err := secureboot.SignProgram(bytes.NewReader(program), int64(len(program)), *others, signed, secureboot.SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "usr/lib/systemd/boot/efi/systemd-bootx64.efi"), string(digestOf(t, signed, size)), 0o644)
	out := t.TempDir()
	o := mediumOptions(t, media.OutputFiles, out)
	o.UKI.Signer = ours
	if _, err := media.MakeMedium(t.Context(), open(t, root, media.SystemOptions{}), o); err != nil {
		t.Fatal(err)
	}
	loader, err := os.ReadFile(filepath.Join(out, "EFI/BOOT/BOOTX64.EFI"))
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.NewReader(loader)
	if _, err := secureboot.VerifyProgram(at, at.Size(), ours.Certificate); err != nil {
		t.Errorf("ours: %v", err)
	}
	if _, err := secureboot.VerifyProgram(at, at.Size(), others.Certificate); err == nil {
		t.Error("the signature of others is still there")
	}
}
