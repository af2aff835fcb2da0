package media

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"inlay/internal/hint"
	"inlay/internal/keys"
	"inlay/internal/pe"
	"inlay/internal/secureboot"
)

// EnrollWords are what secure-boot-enroll in loader.conf(5) takes.
func EnrollWords() []string { return []string{"off", "manual", "if-safe", "force"} }

// loaderConf is the loader's configuration.
func loaderConf(enroll string) string {
	return "timeout 5\nconsole-mode max\neditor no\nsecure-boot-enroll " + enroll + "\n"
}

// LoaderOptions say what goes into the loader's entries.
type LoaderOptions struct {
	// Version of the system, for the menu; "" leaves it out.
	Version string
	// Base are the words that all command lines begin with. With Cmdline, what an
	// entry has beyond them is noted, for people and for Kairos's tools: the loader
	// ignores it.
	Base    string
	Cmdline bool
}

// entryFiles returns the loader's entries for e (UAPI.1): one, and one for each
// profile of its image.
func entryFiles(e Entry, o LoaderOptions) []ESPFile {
	text := func(number int, title, cmdline string) string {
		// "efi" is known to every systemd-boot and to Kairos's tools, which give
		// the copies of the image other names; "uki" and "profile" only to the
		// newest. A word of @ and a number is how the stub is told the profile.
		lines := []string{"title " + oneLine(title), fmt.Sprintf("sort-key %s-%d", e.Name, number), "efi /EFI/kairos/" + e.Name + ".efi"}
		if number > 0 {
			lines = append(lines, fmt.Sprintf("options @%d", number))
		}
		if o.Version != "" {
			lines = append(lines, "version "+oneLine(o.Version))
		}
		if o.Cmdline {
			words := strings.TrimSpace(strings.TrimPrefix(cmdline, o.Base))
			if words == installWord {
				words = ""
			}
			lines = append(lines, strings.TrimSpace("cmdline "+words))
		}
		return strings.Join(lines, "\n") + "\n"
	}
	files := []ESPFile{TextFile("loader/entries/"+e.Name+".conf", text(0, e.Title, e.Cmdline))}
	for i, p := range e.Profiles {
		files = append(files, TextFile(fmt.Sprintf("loader/entries/%s-profile%d.conf", e.Name, i+1), text(i+1, p.Title, p.Cmdline)))
	}
	return files
}

// oneLine makes one line of a text: a title must not become a second key.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// Loader is a boot loader that was found.
type Loader struct {
	Origin string // for people
	data   io.ReaderAt
	size   int64
	closer io.Closer
}

// Close closes the file that holds it.
func (l *Loader) Close() error { return l.closer.Close() }

// maxLoader bounds the size of a boot loader, in bytes: systemd-boot has some
// hundred thousand.
const maxLoader = 64 << 20

// bootFolders are where systemd-boot lies, in a system and on the build machine;
// the second is Kairos's.
func bootFolders() []string { return []string{"usr/lib/systemd/boot/efi", "usr/kairos"} }

// FindLoader finds systemd-boot for an architecture in systemd's words: in file
// if that is not "", else in the source, else on the build machine unless only
// the source will do.
func (s *System) FindLoader(architecture, file string, sourceOnly bool) (*Loader, error) {
	l, err := s.findLoader("systemd-boot"+stubWord(architecture)+".efi", file, sourceOnly)
	if err != nil {
		return nil, err
	}
	if err := l.check(architecture); err != nil {
		return nil, errors.Join(fmt.Errorf("reading the boot loader %q: %w", l.Origin, err), l.Close())
	}
	return l, nil
}

func (s *System) findLoader(name, file string, sourceOnly bool) (*Loader, error) {
	if file != "" {
		return openLoader(file)
	}
	var inside []string
	for _, folder := range bootFolders() {
		inside = append(inside, path.Join(folder, name), path.Join(folder, name+".signed"))
	}
	if at, ok := s.Find(inside...); ok {
		f, err := s.Open(at)
		if err != nil {
			return nil, err
		}
		return &Loader{Origin: "/" + at + " of the source", data: f, size: f.Size(), closer: f}, nil
	}
	advice := "install systemd-boot-efi in the source, or name a file with --boot-loader"
	if sourceOnly {
		return nil, hint.Wrap(fmt.Errorf("the source has no boot loader %q", "/"+inside[0]), "install systemd-boot-efi there, or leave --sdboot-in-source out")
	}
	for _, at := range inside {
		l, err := openLoader("/" + at)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return l, err
		}
	}
	return nil, hint.Wrap(fmt.Errorf("there is no boot loader %q, neither in the source nor on this machine", "/"+inside[0]), advice)
}

func openLoader(file string) (*Loader, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = hint.Wrap(fmt.Errorf("%q is no regular file", file), "name an EFI program, such as systemd-bootx64.efi")
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Loader{Origin: file, data: f, size: info.Size(), closer: f}, nil
}

// check sees that it is an EFI program for the architecture.
func (l *Loader) check(architecture string) error {
	if l.size > maxLoader {
		return fmt.Errorf("%d bytes are more than the %d that it may have", l.size, maxLoader)
	}
	program, err := pe.Parse(l.data, l.size)
	if err != nil {
		return hint.Default(err, "name an EFI program, such as systemd-bootx64.efi")
	}
	if got := program.Architecture(); got != architecture {
		return hint.Wrap(fmt.Errorf("it is for %s, the kernel for %s", got, architecture), "name the boot loader for "+architecture)
	}
	return nil
}

// write puts the boot loader into w, signed by the pair if there is one, and
// returns its size. A signature of whoever built it goes: this medium's keys
// say what starts.
func (l *Loader) write(w io.WriterAt, by *keys.Pair) (int64, error) {
	if by == nil {
		return io.Copy(io.NewOffsetWriter(w, 0), io.NewSectionReader(l.data, 0, l.size))
	}
	size, err := secureboot.SignProgram(l.data, l.size, *by, w, secureboot.SignOptions{Replace: true})
	if err != nil {
		return 0, fmt.Errorf("signing the boot loader: %w", err)
	}
	return size, nil
}

// bootFile is where firmware looks for what to start from a medium (UEFI 2.10,
// 3.5.1.1).
func bootFile(architecture string) string {
	return "EFI/BOOT/BOOT" + strings.ToUpper(stubWord(architecture)) + ".EFI"
}

// keyFiles are the updates to enrol, where systemd-boot looks for them.
func keyFiles(set *secureboot.Set) ([]ESPFile, error) {
	var files []ESPFile
	for _, name := range []string{"PK", "KEK", "db", "dbx"} {
		if name == "dbx" && !set.HasAuth(name) {
			continue
		}
		data, err := set.Auth(name)
		if err != nil {
			return nil, err
		}
		files = append(files, TextFile("loader/keys/auto/"+name+".auth", string(data)))
	}
	return files, nil
}

// CheckEnroll takes the words of secure-boot-enroll.
func CheckEnroll(word string) error {
	if slices.Contains(EnrollWords(), word) {
		return nil
	}
	return hint.Wrap(fmt.Errorf("secure-boot-enroll cannot be %q", word), "choose "+strings.Join(EnrollWords(), ", "))
}
