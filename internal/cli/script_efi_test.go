package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
	"github.com/rogpeppe/go-internal/testscript"

	"inlay/internal/cpio"
	"inlay/internal/pe"
	"inlay/test/sample"
)

// cmdMakeEFI is "mkefi FILE stub|loader [ARCH]" or "mkefi FILE kernel RELEASE
// [ARCH]": it makes an EFI program without code that passes for systemd's stub,
// systemd-boot or a kernel, for x86-64 unless another word of systemd's is given.
// The folders above FILE are made.
func cmdMakeEFI(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: mkefi FILE stub|loader [ARCH], or mkefi FILE kernel RELEASE [ARCH]")
	}
	arch := func(at int) string {
		if len(args) > at {
			return args[at]
		}
		return "x86-64"
	}
	var program []byte
	switch {
	case args[1] == "stub":
		program = sample.Stub(arch(2))
	case args[1] == "loader":
		program = sample.BootLoader(arch(2))
	case args[1] == "kernel" && len(args) > 2:
		program = sample.Kernel(arch(3), args[2])
	default:
		ts.Fatalf("no such program: %q", args[1:])
	}
	file := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o755))
	ts.Check(os.WriteFile(file, program, 0o644))
}

// cmdUKICat is "ukicat IMAGE SECTION": it prints a section of an EFI program,
// without NUL bytes, as the standard output of the script.
func cmdUKICat(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ukicat IMAGE SECTION")
	}
	content := sectionOf(ts, args[0], args[1])
	_, err := ts.Stdout().Write(bytes.ReplaceAll(content, []byte{0}, nil))
	ts.Check(err)
}

// cmdInitrdList is "initrdls IMAGE [NAME]": it lists the archive that inlay packed
// into the initrd of an image, a line of mode, owner, links, size, name and target
// for each, or prints the content of one file. What stands before the archive is
// somebody else's.
func cmdInitrdList(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: initrdls IMAGE [NAME]")
	}
	content := sectionOf(ts, args[0], ".initrd")
	at := bytes.Index(content, []byte{0x28, 0xb5, 0x2f, 0xfd})
	if at < 0 {
		ts.Fatalf("the initrd has no part that is compressed by zstd")
	}
	unpacked, err := unpack(content[at:])
	ts.Check(err)
	archive := cpio.NewReader(bytes.NewReader(unpacked))
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		ts.Check(err)
		content, err := io.ReadAll(archive)
		ts.Check(err)
		switch {
		case len(args) == 2 && h.Name == args[1]:
			_, err = ts.Stdout().Write(content)
		case len(args) == 1 && h.Mode&cpio.TypeMask == cpio.Symlink:
			_, err = fmt.Fprintf(ts.Stdout(), "%06o %d:%d %d %d %s -> %s\n", h.Mode, h.UID, h.GID, h.Links, h.Size, h.Name, content)
		case len(args) == 1:
			_, err = fmt.Fprintf(ts.Stdout(), "%06o %d:%d %d %d %s\n", h.Mode, h.UID, h.GID, h.Links, h.Size, h.Name)
		}
		ts.Check(err)
	}
}

// unpack uncompresses what may be padded with up to three zeros.
func unpack(b []byte) ([]byte, error) {
	r, err := zstd.NewReader(nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for {
		unpacked, err := r.DecodeAll(b, nil)
		if err == nil || len(b)%4 == 1 || b[len(b)-1] != 0 {
			return unpacked, err
		}
		b = b[:len(b)-1]
	}
}

func sectionOf(ts *testscript.TestScript, file, name string) []byte {
	f, err := os.Open(ts.MkAbs(file))
	ts.Check(err)
	defer f.Close()
	info, err := f.Stat()
	ts.Check(err)
	program, err := pe.Parse(f, info.Size())
	ts.Check(err)
	found := program.Named(name)
	if len(found) == 0 {
		ts.Fatalf("%q has no section %q", file, name)
	}
	content, err := io.ReadAll(program.Data(found[0]))
	ts.Check(err)
	return content
}
