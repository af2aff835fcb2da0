package media

import (
	"fmt"
	"io"
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

// loaderOptions say what goes into the loader's entries.
type loaderOptions struct {
	// version of the system, for the menu; "" leaves it out.
	version string
	// base are the words that all command lines begin with. With cmdline, what an
	// entry has beyond them is noted, for people and for Kairos's tools: the loader
	// ignores it.
	base    string
	cmdline bool
}

// entryFiles returns the loader's entries for e (UAPI.1): one, and one for each
// profile of its image.
func entryFiles(e Entry, o loaderOptions) []ESPFile {
	text := func(number int, title, cmdline string) string {
		// "efi" is known to every systemd-boot and to Kairos's tools, which give
		// the copies of the image other names; "uki" and "profile" only to the
		// newest. A word of @ and a number is how the stub is told the profile.
		lines := []string{"title " + oneLine(title), fmt.Sprintf("sort-key %s-%d", e.Name, number), "efi /EFI/kairos/" + e.Name + ".efi"}
		if number > 0 {
			lines = append(lines, fmt.Sprintf("options @%d", number))
		}
		if o.version != "" {
			lines = append(lines, "version "+oneLine(o.version))
		}
		if o.cmdline {
			words := strings.TrimSpace(strings.TrimPrefix(cmdline, o.base))
			if words == installWord {
				words = ""
			}
			lines = append(lines, strings.TrimSpace("cmdline "+words))
		}
		return strings.Join(lines, "\n") + "\n"
	}
	files := []ESPFile{TextFile("loader/entries/"+e.Name+".conf", text(0, e.Title, e.Cmdline))}
	for i, p := range e.Profiles {
		files = append(files, TextFile(fmt.Sprintf("loader/entries/%s-profile%d.conf", e.Name, i+1), text(i+1, e.Title+" ("+p.Title+")", p.Cmdline)))
	}
	return files
}

// oneLine makes one line of a text: a title must not become a second key.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// maxLoader bounds the size of a boot loader, in bytes: systemd-boot has some
// hundred thousand.
const maxLoader = 64 << 20

// LoaderSource says where systemd-boot comes from: File if that is not "", else
// the source, else the build machine, whose root folder Host is, unless only the
// source will do.
type LoaderSource struct {
	File       string
	Host       string
	SourceOnly bool
}

// loader finds systemd-boot for an architecture in systemd's words.
func (s *System) loader(architecture string, from LoaderSource) (*Program, error) {
	name := "systemd-boot" + stubWord(architecture) + ".efi"
	if from.SourceOnly {
		for _, name := range []string{name, "linux" + stubWord(architecture) + ".efi.stub"} {
			in := path.Join(stubFolder, name)
			if _, ok := s.Find(in); !ok {
				return nil, hint.Wrap(fmt.Errorf("the source has no %q", "/"+in), "install systemd-boot-efi in the source, or leave --sdboot-in-source out")
			}
		}
	}
	p, err := s.Program("--boot-loader", from.File, name, from.Host)
	if err != nil {
		return nil, err
	}
	if err := checkLoader(p, architecture); err != nil {
		p.Close()
		return nil, fmt.Errorf("reading the boot loader, %s: %w", p.Origin, err)
	}
	return p, nil
}

// checkLoader sees that it is an EFI program for the architecture.
func checkLoader(p *Program, architecture string) error {
	if p.Size() > maxLoader {
		return fmt.Errorf("%d bytes are more than the %d that it may have", p.Size(), maxLoader)
	}
	program, err := pe.Parse(p, p.Size())
	if err != nil {
		return hint.Default(err, "name an EFI program, such as systemd-bootx64.efi")
	}
	if got := program.Architecture(); got != architecture {
		return hint.Wrap(fmt.Errorf("it is for %s, the kernel for %s", got, architecture), "name the boot loader for "+architecture)
	}
	return nil
}

// writeLoader puts the boot loader into w, signed by the pair if there is one,
// and returns its size. A signature of whoever built it goes: the keys of the
// medium say what starts.
func writeLoader(p *Program, w io.WriterAt, by *keys.Pair) (int64, error) {
	if by == nil {
		return io.Copy(io.NewOffsetWriter(w, 0), p.SectionReader)
	}
	size, err := secureboot.SignProgram(p, p.Size(), *by, w, secureboot.SignOptions{Replace: true})
	if err != nil {
		return 0, fmt.Errorf("the boot loader: %w", err)
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
