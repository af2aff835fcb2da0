package media

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/pe"
	"inlay/internal/tree"
	"inlay/internal/uki"
	"inlay/internal/version"
)

// Kernel is a kernel in a root file system.
type Kernel struct {
	Path    string // links resolved
	Version string // as uname tells it
	// Architecture in systemd's words.
	Architecture string
	Size         int64
	// Others are the kernels that were not chosen: their versions or paths.
	Others []string
}

// candidate is a file that may be a kernel.
type candidate struct {
	path    string
	version string // after its name; "" if that has none
}

func (c candidate) String() string {
	if c.version != "" {
		return c.version
	}
	return "/" + c.path
}

const kernelHint = "install a kernel in the source: Debian's linux-image-amd64 puts one into /boot"

// Kernel finds the kernel that choice names (a version, or a path), or the newest
// one. Architecture, in systemd's words, is what it must be for, if not "".
func (s *System) Kernel(choice, architecture string) (*Kernel, error) {
	all := s.kernels()
	if len(all) == 0 {
		return nil, hint.Wrap(errors.New("the source has no kernel: nothing is called /usr/lib/modules/VERSION/vmlinuz, /boot/vmlinuz… or /boot/Image…"), kernelHint)
	}
	chosen := all[0]
	if choice != "" {
		at := slices.IndexFunc(all, func(c candidate) bool { return s.isNamed(c, choice) })
		if at < 0 {
			return nil, hint.Wrap(fmt.Errorf("the source has no kernel %q", choice), "choose one of "+names(all))
		}
		chosen = all[at]
	}
	k, err := s.readKernel(chosen)
	if err != nil {
		return nil, fmt.Errorf("reading the kernel %q: %w", "/"+chosen.path, err)
	}
	if architecture != "" && k.Architecture != architecture {
		return nil, hint.Wrap(fmt.Errorf("the kernel %q is for %s, not for %s", "/"+k.Path, k.Architecture, architecture),
			"pass --arch "+goName(k.Architecture)+", or name a source for "+architecture)
	}
	for _, c := range all {
		if c != chosen {
			k.Others = append(k.Others, c.String())
		}
	}
	return k, nil
}

func names(all []candidate) string {
	var list []string
	for _, c := range all {
		list = append(list, c.String())
	}
	return strings.Join(list, ", ")
}

// isNamed says whether a user who writes choice means c.
func (s *System) isNamed(c candidate, choice string) bool {
	if choice == c.version {
		return true
	}
	at, ok := s.Find(strings.TrimPrefix(choice, "/"))
	return ok && at == c.path
}

// kernels lists what may be kernels, the newest first and each version once.
func (s *System) kernels() []candidate {
	var all []candidate
	add := func(c candidate) {
		known := func(other candidate) bool {
			return other.path == c.path || c.version != "" && other.version == c.version
		}
		if !slices.ContainsFunc(all, known) {
			all = append(all, c)
		}
	}
	for _, folder := range []string{"usr/lib/modules", "lib/modules"} {
		for name := range s.list(folder) {
			if at, ok := s.Find(path.Join(folder, name, "vmlinuz")); ok {
				add(candidate{at, name})
			}
		}
	}
	for _, prefix := range []string{"vmlinuz", "Image", "vmlinux"} {
		for name := range s.list("boot") {
			rest, ok := strings.CutPrefix(name, prefix)
			if !ok || rest != "" && rest[0] != '-' || strings.HasSuffix(name, ".old") || strings.Contains(name, "rescue") {
				continue
			}
			if at, ok := s.Find("boot/" + name); ok {
				// The name that a link leads to tells more than its own.
				_, v, _ := strings.Cut(path.Base(at), "-")
				add(candidate{at, v})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return version.Compare(b.version, a.version) })
	return all
}

// list walks the names in a folder, links followed; none if there is no folder.
func (s *System) list(folder string) func(func(string, *tree.Inode) bool) {
	return func(yield func(string, *tree.Inode) bool) {
		_, ino, err := s.resolve(folder)
		if err != nil {
			return
		}
		for name, child := range ino.Children() {
			if !yield(name, child) {
				return
			}
		}
	}
}

func (s *System) readKernel(c candidate) (*Kernel, error) {
	f, err := s.Open(c.path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	program, err := pe.Parse(f, f.Size())
	if err != nil {
		return nil, hint.Default(err, "a UKI takes a kernel that firmware can start: one with CONFIG_EFI_STUB, and on arm64 and riscv64 an uncompressed Image or an EFI zboot image")
	}
	k := &Kernel{Path: c.path, Version: c.version, Architecture: program.Architecture(), Size: f.Size()}
	if release, err := uki.Release(f.SectionReader); err == nil && release != "" {
		k.Version = release
	}
	return k, nil
}

// Initrd finds the initrd that the source has for a kernel.
func (s *System) Initrd(k *Kernel) (string, error) {
	var exact []string
	for _, v := range []string{k.Version, versionOf(k.Path)} {
		if v != "" {
			exact = append(exact,
				"usr/lib/modules/"+v+"/initrd", "usr/lib/modules/"+v+"/initramfs.img", "boot/initrd.img-"+v,
				"boot/initrd-"+v, "boot/initrd-"+v+".img", "boot/initramfs-"+v+".img", "boot/initramfs-"+v)
		}
	}
	if at, ok := s.Find(exact...); ok {
		return at, nil
	}
	general := []string{"boot/initrd.img", "boot/initrd", "boot/initramfs-linux.img", "boot/initramfs.img", "boot/initramfs"}
	at, ok := s.Find(general...)
	if !ok {
		return "", hint.Wrap(fmt.Errorf("the source has no initrd for the kernel %s: neither in /boot nor in /usr/lib/modules", k.Version),
			"pass --rootfs-as-initrd to pack the whole root file system, as trusted boot does, or have dracut or initramfs-tools make one in the source")
	}
	// A link may have stayed behind with another kernel's initrd.
	if other := versionOf(at); other != "" && other != k.Version && s.hasModules(other) {
		return "", hint.Wrap(fmt.Errorf("the initrd %q is for the kernel %s, not for %s", "/"+at, other, k.Version),
			"pass --kernel "+other+", or make an initrd for the other kernel in the source")
	}
	return at, nil
}

// versionOf returns what stands behind the first dash of a file's name, less its
// suffix.
func versionOf(file string) string {
	_, v, _ := strings.Cut(path.Base(file), "-")
	return strings.TrimSuffix(v, ".img")
}

// hasModules says whether modules of a kernel of this version are there.
func (s *System) hasModules(v string) bool {
	for _, folder := range []string{"usr/lib/modules/", "lib/modules/"} {
		if _, ino, err := s.resolve(folder + v); err == nil && ino.Kind() == tree.Directory {
			return true
		}
	}
	return false
}

// stubWord is what systemd calls an architecture in the names of its EFI programs.
func stubWord(architecture string) string {
	return map[string]string{"x86-64": "x64", "x86": "ia32", "arm64": "aa64", "riscv64": "riscv64", "arm": "arm", "loongarch64": "loongarch64"}[architecture]
}

// goName is what people pass to --arch for systemd's word.
func goName(word string) string {
	for _, a := range extension.Architectures() {
		if a.Word == word {
			return a.Go
		}
	}
	return word
}
