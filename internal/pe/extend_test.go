package pe_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/hint"
	"inlay/internal/pe"
)

func section(name, content string) pe.NewSection {
	return pe.NewSection{Name: name, Data: strings.NewReader(content), Size: int64(len(content))}
}

func contents(t testing.TB, f *pe.File) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for _, s := range f.Sections {
		b, err := io.ReadAll(f.Data(s))
		if err != nil {
			t.Fatal(err)
		}
		all[s.Name] = append(all[s.Name], string(b))
	}
	return all
}

func extend(t testing.TB, stub []byte, add []pe.NewSection, o pe.ExtendOptions) []byte {
	t.Helper()
	m := &memory{}
	size, err := pe.Extend(m, parse(t, stub), add, o)
	if err != nil {
		t.Fatal(err)
	}
	if size != int64(len(m.b)) {
		t.Fatalf("%d bytes written, %d returned", len(m.b), size)
	}
	return m.b
}

func TestExtend(t *testing.T) {
	t.Parallel()
	const data = pe.InitializedData | pe.Readable
	for _, name := range []string{"tiny.efi", "tiny32.efi", "tiny-sbsign.efi"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stub := vector(t, name)
			linux := section(".linux", strings.Repeat("kernel", 1000))
			linux.Characteristics = pe.Code | pe.Readable
			b := extend(t, stub, []pe.NewSection{
				section(".osrel", "ID=tiny\n"), section(".sbat", "sbat,2\n"), section(".cmdline", "one"),
				linux, section(".cmdline", "two"), section(".initrd8", strings.Repeat("i", 512)),
			}, pe.ExtendOptions{})
			before, f := parse(t, stub), parse(t, b)

			want := contents(t, before)
			want[".osrel"] = []string{"ID=tiny\n"}
			want[".sbat"] = []string{"sbat,2\n"}
			want[".cmdline"] = []string{"one", "two"}
			want[".linux"] = []string{strings.Repeat("kernel", 1000)}
			want[".initrd8"] = []string{strings.Repeat("i", 512)}
			if diff := cmp.Diff(want, contents(t, f)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			old := bytes.Clone(b[0x600:0x800])
			if want := append([]byte("sbat,2\n"), make([]byte, 512-7)...); !bytes.Equal(old, want) {
				t.Errorf("the place of the old .sbat holds %q", old)
			}
			added := []pe.Section{
				{".osrel", 8, 0x5000, 0x200, 0xc00, data},
				{".cmdline", 3, 0x6000, 0x200, 0xe00, data},
				{".linux", 6000, 0x7000, 0x1800, 0x1000, pe.Code | pe.Readable},
				{".cmdline", 3, 0x9000, 0x200, 0x2800, data},
				{".initrd8", 0x200, 0xa000, 0x200, 0x2a00, data},
			}
			if diff := cmp.Diff(added, f.Sections[len(before.Sections):]); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if f.SizeOfImage != 0xb000 || f.SizeOfHeaders != 0x400 || f.DLLCharacteristics != before.DLLCharacteristics || f.Certificates != nil {
				t.Errorf("the headers say %+v", f)
			}
			if sum, err := f.Sum(); err != nil || sum != f.Checksum {
				t.Errorf("checksum %#x, want %#x (%v)", f.Checksum, sum, err)
			}
			digest(t, f) // there is one
		})
	}
}

// What the stub has, but for what must change, is there unchanged.
func TestExtendKeepsTheStub(t *testing.T) {
	t.Parallel()
	stub := program(vector(t, "tiny.efi"))
	stub.set32(stub.directory(5, 0), 0x4000) // base relocations
	stub.set32(stub.directory(5, 4), 12)
	b := program(extend(t, stub, []pe.NewSection{section(".a", "a")}, pe.ExtendOptions{ClearNX: true}))
	var changed []string
	for i := range stub {
		if stub[i] != b[i] {
			changed = append(changed, fmt.Sprintf("%#x", i-stub.header()))
		}
	}
	// Number of sections, initialized data, size in memory, checksum, NX, and the
	// new entry: its name, size, address, raw size, offset and bits.
	want := []string{
		"0x6", "0x20", "0x51", "0x58", "0x59", "0x5f",
		"0x1a8", "0x1a9", "0x1b0", "0x1b5", "0x1b9", "0x1bd", "0x1cc", "0x1cf",
	}
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if !bytes.Equal(b[len(stub):], append([]byte("a"), make([]byte, 511)...)) {
		t.Errorf("what follows is %q", b[len(stub):])
	}
}

// Headers that are not padded to the first section grow up to it.
func TestExtendRoundsHeaders(t *testing.T) {
	t.Parallel()
	stub := program(vector(t, "tiny.efi"))
	stub.set32(stub.optional()+60, uint32(stub.section(4, 0)))
	f := parse(t, extend(t, stub, []pe.NewSection{section(".a", "a")}, pe.ExtendOptions{}))
	if f.SizeOfHeaders != 0x400 || len(f.Sections) != 5 {
		t.Errorf("headers of %#x bytes, sections %v", f.SizeOfHeaders, f.Sections)
	}
}

// symbols puts a COFF symbol table with one entry behind the program.
func symbols(p program, strings uint32, tail ...byte) program {
	p.set32(p.header()+12, uint32(len(p)))
	p.set32(p.header()+16, 1)
	table := program(make([]byte, 22))
	table.set32(18, strings)
	return append(append(p, table...), tail...)
}

func TestExtendDropsSymbols(t *testing.T) {
	t.Parallel()
	bare := program(vector(t, "tiny.efi"))
	add := func() []pe.NewSection { return []pe.NewSection{section(".a", "a")} }
	want := extend(t, bare, add(), pe.ExtendOptions{})
	got := extend(t, symbols(bytes.Clone(bare), 8, 97, 98, 99, 0), add(), pe.ExtendOptions{})
	if !bytes.Equal(got, want) {
		t.Error("a stub with symbols gives other bytes")
	}
	// Signed, it has padding between its symbols and the certificate table.
	signed := &memory{symbols(bytes.Clone(bare), 7, 97, 98, 99)}
	if _, err := pe.Certify(signed, parse(t, signed.b), [][]byte{sequence(100)}); err != nil {
		t.Fatal(err)
	}
	if got := extend(t, signed.b, add(), pe.ExtendOptions{}); !bytes.Equal(got, want) {
		t.Error("a signed stub with symbols gives other bytes")
	}
}

func TestExtendRefuses(t *testing.T) {
	t.Parallel()
	tiny := func(spoil func(p program) program) program { return spoil(vector(t, "tiny.efi")) }
	whole := func(p program) program { return p }
	one := []pe.NewSection{section(".a", "a")}
	many := func(n int) (all []pe.NewSection) {
		for i := range n {
			all = append(all, section(fmt.Sprintf(".s%d", i), "x"))
		}
		return all
	}
	short := section(".short", "123")
	short.Size = 4
	long := section(".long", "123")
	long.Size = 2
	huge := pe.NewSection{Name: ".huge", Data: strings.NewReader(""), Size: 1<<32 - 0x4000}
	tests := map[string]struct {
		stub program
		add  []pe.NewSection
		want string // empty: it must be accepted
	}{
		"nothing":          {tiny(whole), nil, ""},
		"no name":          {tiny(whole), []pe.NewSection{section("", "x")}, "a name has 1 to 8 bytes"},
		"nine letters":     {tiny(whole), []pe.NewSection{section(".ninelett", "x")}, "a name has 1 to 8 bytes"},
		"NUL":              {tiny(whole), []pe.NewSection{section("a\x00", "x")}, "a name has 1 to 8 bytes"},
		"empty":            {tiny(whole), []pe.NewSection{section(".a", "")}, `".a" is empty`},
		"content short":    {tiny(whole), []pe.NewSection{short}, "ends after 3 of 4 bytes"},
		"content long":     {tiny(whole), []pe.NewSection{long}, "more than 2 bytes"},
		"over 4 GiB":       {tiny(whole), []pe.NewSection{{Name: ".a", Data: strings.NewReader(""), Size: 1 << 33}}, "more than the format can hold (4 GiB)"},
		"over 8 EiB":       {tiny(whole), []pe.NewSection{{Name: ".a", Size: math.MaxInt64}}, "more than the format can hold (4 GiB)"},
		"4 GiB in all":     {tiny(whole), []pe.NewSection{huge}, "more than the format can hold (4 GiB)"},
		"3 GiB twice":      {tiny(whole), []pe.NewSection{{Name: ".a", Size: 3 << 30}, {Name: ".b", Size: 3 << 30}}, `with section ".b" the program ends at`},
		"sbat too long":    {tiny(whole), []pe.NewSection{section(".sbat", strings.Repeat("s", 513))}, "which has room for 512"},
		"sbat fits":        {tiny(whole), []pe.NewSection{section(".sbat", strings.Repeat("s", 512))}, ""},
		"sbat twice":       {tiny(whole), []pe.NewSection{section(".sbat", "1"), section(".sbat", "2")}, "there are two to take its place"},
		"room for eleven":  {tiny(whole), many(11), ""},
		"no room":          {tiny(whole), many(12), `section ".s11": the headers of the stub have room for 15 sections, of which it takes 4 itself`},
		"place taken":      {tiny(func(p program) program { p[p.section(4, 39)] = 1; return p }), one, "taken by other bytes"},
		"trailing":         {vector(t, "trailing.efi"), one, "13 bytes follow the last section"},
		"symbols and more": {tiny(func(p program) program { return symbols(p, 4, 1) }), one, "follow the last section"},
		"symbols too long": {tiny(func(p program) program { return symbols(p, 5) }), one, "follow the last section"},
		"symbols elsewhere": {tiny(func(p program) program {
			p = symbols(p, 4)
			p.set32(p.header()+12, 0x400)
			return p
		}), one, "follow the last section"},
		"4 G symbols": {tiny(func(p program) program {
			p = symbols(p, 4)
			p.set32(p.header()+16, 0xffffffff)
			return p
		}), one, "follow the last section"},
		"hole": {tiny(func(p program) program { p.set32(p.section(1, 16), 0); return p }), one, `section ".sdmagic" of the stub has bytes 2048 to 2560`},
		"hole after headers": {tiny(func(p program) program {
			p.set32(p.section(0, 16), 0)
			return p
		}), one, "no section begins there"},
		"unaligned": {tiny(func(p program) program { p.set32(p.section(3, 16), 0x1f0); return p[:len(p)-16] }), one, "no multiple of 512"},
		"no content": {tiny(func(p program) program {
			for i := range 4 {
				p.set32(p.section(i, 16), 0)
			}
			return p
		}), one, "follow the last section"},
		"memory full": {tiny(func(p program) program {
			p.set32(p.section(3, 8), 0xfffff000-0x4000)
			p.set32(p.optional()+56, 0xfffff000)
			return p
		}), one, "takes more memory than the format can say"},
		"memory of the headers": {tiny(func(p program) program {
			p.set32(p.optional()+60, uint32(p.section(4, 0)))
			p.set32(p.section(0, 12), uint32(p.section(4, 0)))
			return p
		}), one, "but the headers end at 0x400"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := pe.Extend(&memory{}, parse(t, test.stub), test.add, pe.ExtendOptions{})
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want one with %q", err, test.want)
			case strings.Contains(test.want, "stub") && len(hint.Of(err)) == 0:
				t.Error("no hint about the stub")
			}
		})
	}
	if _, err := pe.Extend(fullDisk{}, parse(t, vector(t, "tiny.efi")), []pe.NewSection{section(".a", "a")}, pe.ExtendOptions{}); !errors.Is(err, errFull) {
		t.Errorf("error %v", err)
	}
}
