package pe_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"inlay/internal/cms"
	"inlay/internal/pe"
	"inlay/test/debian"
)

// programs are Debian's EFI programs: built by GNU binutils and by systemd's own
// converter, with data behind the last section, of odd sizes, and the kernel,
// which Debian has signed.
func programs(t *testing.T) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	root := debian.Tools(t).Folder()
	for _, pattern := range []string{"usr/lib/efitools/*/*.efi", "usr/lib/systemd/boot/efi/*.efi", "usr/lib/systemd/boot/efi/*.stub"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("no %s (%v)", pattern, err)
		}
		for _, name := range names {
			all[filepath.Base(name)] = readFile(t, name)
		}
	}
	all["vmlinuz"] = readFile(t, debian.NewKernel(t).Compressed())
	return all
}

// efitools reckons the same digests, of signed programs too; and Debian signed
// what we reckon.
func TestDigestsOfDebian(t *testing.T) {
	t.Parallel()
	all := programs(t)
	folder := t.TempDir()
	var script strings.Builder
	for name, b := range all {
		if err := os.WriteFile(filepath.Join(folder, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
		script.WriteString("echo " + name + "\nhash-to-efi-sig-list " + name + " /tmp/list\n")
	}
	said := debian.Tools(t).Run(t, map[string]string{folder: "/w"}, "sh", "-euc", "cd /w\n"+script.String())
	theirs := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^(\S+)\nHASH IS ([0-9a-f]{64})$`).FindAllStringSubmatch(said, -1) {
		theirs[m[1]] = m[2]
	}
	odd := 0
	for name, b := range all {
		f := parse(t, b)
		got := digest(t, f)
		if got != theirs[name] {
			t.Errorf("%s: %s, efitools say %q", name, got, theirs[name])
		}
		if len(b)%8 != 0 {
			odd++
		}
		for _, der := range signatures(t, f) {
			s, err := cms.ParseImage(der)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if signed := hex.EncodeToString(s.ImageDigest); signed != got {
				t.Errorf("%s: %s, Debian signed %s", name, got, signed)
			}
		}
		if sum, err := f.Sum(); err != nil || f.Checksum != 0 && sum != f.Checksum {
			t.Errorf("%s: checksum %#x, in the header %#x (%v)", name, sum, f.Checksum, err)
		}
		if f.Architecture() != "x86-64" || len(f.Duplicates()) > 0 {
			t.Errorf("%s: for %q, %q twice", name, f.Architecture(), f.Duplicates())
		}
	}
	if len(parse(t, all["vmlinuz"]).Certificates) == 0 || odd == 0 {
		t.Error("nothing here is signed, or nothing of an odd size: the test shows less than it says")
	}
}

// ukify writes the same image, but for the checksum, which it leaves out.
func TestExtendAsUkifyDoes(t *testing.T) {
	t.Parallel()
	tools, kernel := debian.Tools(t), debian.NewKernel(t)
	const efi = "/usr/lib/systemd/boot/efi/"
	for name, stub := range map[string]string{"stub": "linuxx64.efi.stub", "addon": "addonx64.efi.stub"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			// Sizes around the alignment in the file and in memory.
			files := map[string][]byte{
				".one": []byte("1"), ".8letter": []byte("eight"), ".whole": bytes.Repeat([]byte("s"), 512),
				".test": bytes.Repeat([]byte("t"), 4096), ".more": bytes.Repeat([]byte("m"), 4097),
			}
			argv := []string{"ukify", "build", "--stub=" + efi + stub, "--output=/w/out.efi", "--uname=6.12"}
			if name == "stub" {
				argv = append(argv, "--linux=/vmlinuz")
			}
			for name, content := range files {
				if err := os.WriteFile(filepath.Join(folder, name[1:]), content, 0o600); err != nil {
					t.Fatal(err)
				}
				argv = append(argv, "--section="+name+":@/w/"+name[1:])
			}
			tools.Run(t, map[string]string{folder: "/w", kernel.Compressed(): "/vmlinuz"}, argv...)
			theirs := readFile(t, filepath.Join(folder, "out.efi"))

			// The sections' order and their content are ukify's to choose here.
			f, bare := parse(t, theirs), parse(t, readFile(t, filepath.Join(tools.Folder(), efi, stub)))
			var add []pe.NewSection
			for i, s := range f.Sections {
				if i >= len(bare.Sections) || s.Name == ".sbat" {
					add = append(add, pe.NewSection{Name: s.Name, Data: f.Data(s), Size: s.Size(), Characteristics: s.Characteristics})
				}
			}
			if len(add) < 6 {
				t.Fatalf("ukify added only %d sections", len(add))
			}
			o := pe.ExtendOptions{ClearNX: f.DLLCharacteristics&pe.NXCompatible == 0}
			ours := &memory{}
			if _, err := pe.Extend(ours, bare, add, o); err != nil {
				t.Fatal(err)
			}
			program(theirs).set32(program(theirs).optional()+64, parse(t, ours.b).Checksum)
			if !bytes.Equal(ours.b, theirs) {
				at := 0
				for at < min(len(theirs), len(ours.b)) && theirs[at] == ours.b[at] {
					at++
				}
				t.Errorf("%d bytes, ukify wrote %d; they differ at %#x", len(ours.b), len(theirs), at)
			}
		})
	}
}
