package uki

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"inlay/internal/hint"
	"inlay/internal/osrelease"
	"inlay/internal/pcr"
	"inlay/internal/pe"
)

// part is a section to be added.
type part struct {
	name  string
	size  int64
	open  func() io.Reader // from its start
	flags uint32
}

func textPart(name string, b []byte) part {
	return part{name: name, size: int64(len(b)), open: func() io.Reader { return bytes.NewReader(b) }}
}

// filePart is of readers in a row, padded if there are several.
func filePart(name string, files ...*io.SectionReader) part {
	p := part{name: name}
	for _, f := range files {
		p.size += f.Size() + padding(f, len(files))
	}
	p.open = func() io.Reader {
		var row []io.Reader
		for _, f := range files {
			row = append(row, io.NewSectionReader(f, 0, f.Size()), bytes.NewReader(make([]byte, padding(f, len(files)))))
		}
		return io.MultiReader(row...)
	}
	return p
}

// initrdAlign is what the kernel skips zeros to before the next archive.
const initrdAlign = 4

func padding(f *io.SectionReader, count int) int64 {
	if count < 2 {
		return 0
	}
	return (initrdAlign - f.Size()%initrdAlign) % initrdAlign
}

// hash reads a part for the banks.
func (p part) hash(ctx context.Context, banks []pcr.Bank) (pcr.Section, error) {
	s, err := pcr.Hash(p.name, cancellable(ctx, p.open()), banks...)
	if err == nil && s.Size != p.size {
		err = fmt.Errorf("hashing section %q: it ends after %d of %d bytes", p.name, s.Size, p.size)
	}
	return s, err
}

func (p part) section(ctx context.Context) pe.NewSection {
	return pe.NewSection{Name: p.name, Size: p.size, Data: cancellable(ctx, p.open()), Characteristics: p.flags}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// cancellable ends reading when ctx does: images are large.
func cancellable(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	})
}

// check looks at the parts that are no programs.
func (p *Parts) check() error {
	if err := checkCmdline(p.Cmdline); err != nil {
		return err
	}
	release, err := osrelease.Parse(p.OSRelease)
	switch {
	case err != nil:
		return fmt.Errorf("reading os-release: %w", err)
	case len(release.Fields()) == 0:
		return hint.Wrap(errors.New("os-release is empty: a boot menu would not show the image"), "give the system's etc/os-release")
	case p.Profile.Cmdline != "":
		return errors.New("the first profile's command line is that of the image")
	case p.Splash != nil && (len(p.Splash) < 2 || string(p.Splash[:2]) != "BM"):
		return hint.Wrap(errors.New("the splash is not a bitmap"), "give a BMP file")
	}
	for i, file := range p.Initrd {
		if file.Size() == 0 {
			return fmt.Errorf("initrd %d is empty", i+1)
		}
	}
	return nil
}

// checkCmdline refuses what would not reach the kernel as it is written: the stub
// makes blanks of control characters.
func checkCmdline(words string) error {
	switch {
	case strings.TrimSpace(words) == "":
		return hint.Wrap(errors.New("the command line is empty: the stub would take words from outside, under Secure Boot too"),
			"give the kernel's command line")
	case !utf8.ValidString(words) || strings.ContainsFunc(words, unicode.IsControl):
		return fmt.Errorf("the command line %q has control characters or is no UTF-8", words)
	case len(words) > maxText:
		return fmt.Errorf("a command line of %d bytes", len(words))
	}
	return nil
}

// format returns the content of .profile.
func (p Profile) format() ([]byte, error) {
	if p.ID == "" || len(p.ID) > 64 || strings.ContainsFunc(p.ID, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.'
	}) {
		return nil, hint.Wrap(fmt.Errorf("the profile's id %q is not one", p.ID), "use letters, digits, dots and dashes")
	}
	if !utf8.ValidString(p.Title) || strings.ContainsFunc(p.Title, unicode.IsControl) {
		return nil, fmt.Errorf("the profile's title %q has control characters or is no UTF-8", p.Title)
	}
	text := "ID=" + p.ID + "\n"
	if p.Title != "" {
		// The boot loader takes off a pair of quotes at the ends and knows no
		// escapes, which others know: what they would differ in is replaced.
		text += `TITLE="` + strings.NewReplacer(`"`, "'", `\`, "/").Replace(p.Title) + "\"\n"
	}
	return []byte(text), nil
}

// parseProfile reads the content of .profile.
func parseProfile(b []byte) (Profile, error) {
	release, err := osrelease.Parse(bytes.TrimRight(b, "\x00"))
	if err != nil {
		return Profile{}, err
	}
	return Profile{ID: release.Get("ID"), Title: release.Get("TITLE")}, nil
}
