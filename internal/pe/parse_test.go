package pe_test

import (
	"bytes"
	stdpe "debug/pe"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"inlay/internal/pe"
)

func TestParse(t *testing.T) {
	t.Parallel()
	const data = pe.InitializedData | pe.Readable
	tests := map[string]struct {
		want         *pe.File
		architecture string
	}{
		"tiny.efi": {architecture: "x86-64", want: &pe.File{
			Machine: 0x8664, Subsystem: pe.SubsystemApplication, DLLCharacteristics: 0x160,
			SectionAlignment: 0x1000, FileAlignment: 0x200, SizeOfImage: 0x5000, SizeOfHeaders: 0x400, Checksum: 0xdba8, Size: 3072,
			Sections: []pe.Section{
				{".text", 0x28, 0x1000, 0x200, 0x400, pe.Code | pe.Executable | pe.Readable},
				{".sbat", 0x4c, 0x2000, 0x200, 0x600, data},
				{".sdmagic", 0x1c, 0x3000, 0x200, 0x800, data},
				{".idata", 0x18, 0x4000, 0x200, 0xa00, data | pe.Writable},
			},
		}},
		"tiny32.efi": {architecture: "x86", want: &pe.File{
			Machine: 0x14c, Subsystem: pe.SubsystemApplication, DLLCharacteristics: 0x140,
			SectionAlignment: 0x1000, FileAlignment: 0x200, SizeOfImage: 0x5000, SizeOfHeaders: 0x400, Checksum: 0x873e, Size: 3072,
			Sections: []pe.Section{
				{".text", 0x11, 0x1000, 0x200, 0x400, pe.Code | pe.Executable | pe.Readable},
				{".sbat", 0x4c, 0x2000, 0x200, 0x600, data},
				{".sdmagic", 0x1c, 0x3000, 0x200, 0x800, data},
				{".idata", 0x14, 0x4000, 0x200, 0xa00, data | pe.Writable},
			},
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := parse(t, vector(t, name))
			// The linker's alignment bits are of no use to anybody.
			for i := range f.Sections {
				f.Sections[i].Characteristics &^= 0x00f00000
			}
			if diff := cmp.Diff(test.want, f, cmpopts.IgnoreUnexported(pe.File{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if got := f.Architecture(); got != test.architecture {
				t.Errorf("architecture %q, want %q", got, test.architecture)
			}
		})
	}
}

// The standard library's reader sees the same sections.
func TestStandardLibraryAgrees(t *testing.T) {
	t.Parallel()
	for name, b := range vectors(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := parse(t, b)
			other, err := stdpe.NewFile(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			var want []pe.Section
			for i, s := range other.Sections {
				want = append(want, pe.Section{s.Name, s.VirtualSize, s.VirtualAddress, s.Size, s.Offset, s.Characteristics})
				got, err := io.ReadAll(f.Data(f.Sections[i]))
				raw, err2 := s.Data()
				if err = errors.Join(err, err2); err != nil || !bytes.Equal(got, raw[:s.VirtualSize]) {
					t.Errorf("section %s: %q (%v), want %q", s.Name, got, err, raw)
				}
			}
			if diff := cmp.Diff(want, f.Sections); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	p := program(vector(t, "tiny.efi"))
	f := parse(t, p)
	if got := f.Duplicates(); got != nil {
		t.Errorf("twice: %q", got)
	}
	copy(p[p.section(3, 0):], ".sbat\x00")
	f = parse(t, p)
	if diff := cmp.Diff([]string{".sbat"}, f.Duplicates()); diff != "" {
		t.Errorf("twice: (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]pe.Section{f.Sections[1], f.Sections[3]}, f.Named(".sbat")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got := f.Named(".linux"); got != nil {
		t.Errorf("found %v", got)
	}
}

// Content ends with the section's size in memory or with its bytes in the file,
// whichever is first: systemd-stub reads it so, too.
func TestData(t *testing.T) {
	t.Parallel()
	p := program(vector(t, "tiny.efi"))
	p.set32(p.section(0, 8), 0x1000) // the rest is zeroed memory
	p.set32(p.section(1, 8), 0)
	p.set32(p.section(2, 8), 4)
	p.set32(p.section(3, 8), 0xfff)
	f := parse(t, p)
	var sizes []int
	for _, s := range f.Sections {
		b, err := io.ReadAll(f.Data(s))
		if err != nil {
			t.Error(err)
		}
		sizes = append(sizes, len(b))
	}
	if diff := cmp.Diff([]int{0x200, 0, 4, 0x200}, sizes); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	entry := func(length uint32, more ...byte) []byte {
		b := program(make([]byte, 8))
		b.set32(0, length)
		b.set32(4, 0x00020200)
		return append(b, more...)
	}
	eight := make([]byte, 8)
	tests := map[string]struct {
		spoil func(p program) program
		want  string // empty: it must be accepted
	}{
		"nothing":          {func(p program) program { return p }, ""},
		"no bytes":         {func(program) program { return nil }, "not an EFI program"},
		"one header only":  {func(p program) program { return p[:64] }, "not an EFI program"},
		"an ELF program":   {func(p program) program { copy(p, "\x7fELF"); return p }, "not an EFI program"},
		"a DOS program":    {func(p program) program { p.set32(p.header(), 0); return p }, "no PE header"},
		"header in header": {func(p program) program { p.set32(60, 32); return p }, "no PE header at byte 32"},
		"header at end": {func(p program) program {
			p.set32(60, uint32(len(p)-23))
			return p
		}, "no PE header"},
		"header beyond":   {func(p program) program { p.set32(60, 0xfffffff0); return p }, "no PE header"},
		"for Windows":     {func(p program) program { p.set16(p.optional()+68, 3); return p }, "subsystem 3, not for firmware"},
		"as ROM":          {func(p program) program { p.set16(p.optional()+68, 13); return p }, ""},
		"subsystem 14":    {func(p program) program { p.set16(p.optional()+68, 14); return p }, "subsystem 14"},
		"kind of header":  {func(p program) program { p.set16(p.optional(), 0x107); return p }, "of kind 0x107"},
		"as PE32":         {func(p program) program { p.set16(p.optional(), 0x10b); return p }, "data directories"},
		"short header":    {func(p program) program { p.set16(p.header()+20, 95); return p }, "optional header of 95 bytes"},
		"short PE32+":     {func(p program) program { p.set16(p.header()+20, 111); return p }, "optional header of 111 bytes"},
		"long header":     {func(p program) program { p.set16(p.header()+20, 248); return p }, "optional header of 248 bytes with 16"},
		"huge header":     {func(p program) program { p.set16(p.header()+20, 0xffff); return p }, "section table ends at byte"},
		"directories":     {func(p program) program { p.set32(p.directories()-4, 0x20000010); return p }, "536870928 data directories"},
		"no sections":     {func(p program) program { p.set16(p.header()+6, 0); return p }, "0 sections"},
		"many sections":   {func(p program) program { p.set16(p.header()+6, 97); return p }, "97 sections"},
		"more sections":   {func(p program) program { p.set16(p.header()+6, 96); return p }, "section table ends at byte"},
		"headers too big": {func(p program) program { p.set32(p.optional()+60, 0xc01); return p }, "headers of 3073 bytes in a file of 3072"},
		"headers of 4 GiB": {func(p program) program {
			p.set32(p.optional()+60, 0xffffffff)
			return p
		}, "headers of 4294967295 bytes"},
		"headers too small":    {func(p program) program { p.set32(p.optional()+60, 0x200); return p }, "behind the headers' end at 512"},
		"headers over section": {func(p program) program { p.set32(p.optional()+60, 0x401); return p }, `section ".text" begins at byte 1024, but the headers end at 1025`},
		"alignment 0":          {func(p program) program { p.set32(p.optional()+32, 0); return p }, "not powers of two"},
		"alignment 3":          {func(p program) program { p.set32(p.optional()+36, 3); return p }, "not powers of two"},
		"alignments swapped":   {func(p program) program { p.set32(p.optional()+36, 0x2000); return p }, "less than the 8192"},
		"file aligned": {func(p program) program {
			p.set32(p.optional()+32, 1<<31)
			p.set32(p.optional()+36, 1<<17)
			return p
		}, "131072 bytes in the file"},
		"aligned to 2 GiB":     {func(p program) program { p.set32(p.optional()+32, 1<<31); return p }, ""},
		"image too small":      {func(p program) program { p.set32(p.optional()+56, 0x4017); return p }, `section ".idata" ends at 0x4018 in memory`},
		"name after NUL":       {func(p program) program { copy(p[p.section(0, 0):], "a\x00b\x00"); return p }, "goes on behind a NUL"},
		"section beyond":       {func(p program) program { p.set32(p.section(3, 16), 0x201); return p }, `".idata" ends at byte 3073, but the file has 3072`},
		"section at 4 GiB":     {func(p program) program { p.set32(p.section(3, 20), 0xffffffff); return p }, "cut short"},
		"sections overlap":     {func(p program) program { p.set32(p.section(1, 20), 0x5ff); return p }, `".sbat" begins at byte 1535`},
		"section in headers":   {func(p program) program { p.set32(p.section(0, 20), 0); return p }, "but the headers end at 1024"},
		"the same bytes twice": {func(p program) program { p.set32(p.section(1, 20), 0x400); return p }, "begins at byte 1024"},
		"no bytes anywhere": {func(p program) program {
			p.set32(p.section(3, 16), 0)
			p.set32(p.section(3, 20), 0xffffffff)
			return p
		}, ""},
		"overlap in memory":    {func(p program) program { p.set32(p.section(1, 12), 0x1027); return p }, `".sbat" is loaded at 0x1027`},
		"beside in memory":     {func(p program) program { p.set32(p.section(1, 12), 0x1028); return p }, ""},
		"memory over headers":  {func(p program) program { p.set32(p.section(0, 12), 0x3ff); return p }, "but the headers end at 0x400"},
		"memory overflows":     {func(p program) program { p.set32(p.section(2, 8), 0xfffff000); return p }, "behind the program's end"},
		"address overflows":    {func(p program) program { p.set32(p.section(3, 12), 0xfffffff8); return p }, "behind the program's end"},
		"memory of size 0":     {func(p program) program { p.set32(p.section(0, 8), 0); p.set32(p.section(1, 12), 0x11ff); return p }, "is loaded at 0x11ff"},
		"table without size":   {func(p program) program { p.set32(p.directory(4, 0), 3072); return p }, "certificate table of 0 bytes"},
		"table without place":  {func(p program) program { p.set32(p.directory(4, 4), 16); return p }, "16 bytes at byte 0"},
		"table among sections": {func(p program) program { p.set32(p.directory(4, 0), 0xbf8); p.set32(p.directory(4, 4), 8); return p }, "among the sections"},
		"table in headers":     {func(p program) program { p.set32(p.directory(4, 0), 8); p.set32(p.directory(4, 4), 8); return p }, "among the sections"},
		"table beyond":         {func(p program) program { p = p.table(entry(16, eight...)); return p[:len(p)-1] }, "cut short"},
		"table of 4 GiB":       {func(p program) program { p = p.table(eight); p.set32(p.directory(4, 4), 0xffffffff); return p }, "cut short"},
		"table off":            {func(p program) program { return append(p, 0).table(entry(16, eight...)) }, "not a multiple of 8"},
		"bytes behind table":   {func(p program) program { return append(p.table(entry(16, eight...)), 0) }, "1 bytes follow the certificate table"},
		"table of 1 MiB more":  {func(p program) program { return p.table(entry(1<<20+8, make([]byte, 1<<20)...)) }, "at most 1048576"},
		"table of half":        {func(p program) program { return p.table([]byte{16, 0, 0, 0}) }, "4 bytes are left"},
		"entry":                {func(p program) program { return p.table(entry(16, eight...)) }, ""},
		"entry of 9":           {func(p program) program { return p.table(entry(9, eight...)) }, ""},
		"entry of 0":           {func(p program) program { return p.table(entry(0)) }, "it is empty"},
		"entry of 7":           {func(p program) program { return p.table(entry(7)) }, "it is empty"},
		"entry of 8":           {func(p program) program { return p.table(entry(8)) }, "it is empty"},
		"entry too long":       {func(p program) program { return p.table(entry(17, eight...)) }, "only 16 are left"},
		"entry without padding": {func(p program) program {
			return p.table(entry(15, eight[:7]...))
		}, "padded to 16"},
		"entry of 4 GiB": {func(p program) program { return p.table(entry(0xffffffff, eight...)) }, "only 16 are left"},
		"padding":        {func(p program) program { return p.table(entry(15, append(eight[:7:7], 1)...)) }, "other than zero in its padding"},
		"32 entries":     {func(p program) program { return p.table(bytes.Repeat(entry(16, eight...), 32)) }, ""},
		"33 entries":     {func(p program) program { return p.table(bytes.Repeat(entry(16, eight...), 33)) }, "more than 32"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := test.spoil(vector(t, "tiny.efi"))
			_, err := pe.Parse(bytes.NewReader(b), int64(len(b)))
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

// Any program that is cut short is refused, wherever that is.
func TestParseCutShort(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"tiny.efi", "tiny32.efi", "tiny-twice.efi"} {
		b := vector(t, name)
		for n := range b {
			if _, err := pe.Parse(bytes.NewReader(b[:n]), int64(n)); err == nil {
				t.Fatalf("%s: accepted the first %d of %d bytes", name, n, len(b))
			}
			// A file that is shorter than it was when its size was asked for.
			if _, err := pe.Parse(bytes.NewReader(b[:n]), int64(len(b))); err == nil && n < 0x400 {
				t.Fatalf("%s: accepted headers in %d bytes", name, n)
			}
		}
	}
}

func TestNotProgram(t *testing.T) {
	t.Parallel()
	windows := program(vector(t, "tiny.efi"))
	windows.set16(windows.optional()+68, 3)
	broken := program(vector(t, "tiny.efi"))
	broken.set16(broken.header()+6, 0)
	for name, test := range map[string]struct {
		b    []byte
		want bool
	}{
		"text":    {bytes.Repeat([]byte("text "), 100), true},
		"windows": {windows, true},
		"broken":  {broken, false},
	} {
		_, err := pe.Parse(bytes.NewReader(test.b), int64(len(test.b)))
		if got := errors.Is(err, pe.ErrNotProgram); got != test.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
