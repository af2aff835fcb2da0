package pe_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/pe"
)

// sequence is DER of n bytes, 4 to 131: what a table holds is not looked into.
func sequence(n int) []byte {
	b := bytes.Repeat([]byte{0x41}, n)
	copy(b, []byte{0x30, byte(n - 2)})
	if n > 129 {
		copy(b, []byte{0x30, 0x81, byte(n - 3)})
	}
	return b
}

func signatures(t testing.TB, f *pe.File) [][]byte {
	t.Helper()
	var all [][]byte
	for _, c := range f.Certificates {
		der, err := f.Signature(c)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, der)
	}
	return all
}

func TestCertify(t *testing.T) {
	t.Parallel()
	for name, b := range vectors(t) {
		for many, want := range map[string][][]byte{
			"none": nil, "one": {sequence(100)}, "padded": {sequence(97), sequence(98), sequence(103)}, "old": signatures(t, parse(t, b)),
		} {
			t.Run(name+" "+many, func(t *testing.T) {
				t.Parallel()
				f := parse(t, b)
				// What is there already is the program, and rubbish behind it.
				m := &memory{append(bytes.Clone(b[:f.End()]), bytes.Repeat([]byte{0xee}, 7000)...)}
				size, err := pe.Certify(m, f, want)
				if err != nil {
					t.Fatal(err)
				}
				got := parse(t, m.b[:size])
				if diff := cmp.Diff(want, signatures(t, got)); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
				if digest(t, got) != digest(t, f) {
					t.Error("another digest")
				}
				if sum, err := got.Sum(); err != nil || sum != got.Checksum {
					t.Errorf("checksum %#x, want %#x (%v)", got.Checksum, sum, err)
				}
				if diff := cmp.Diff(f.Sections, got.Sections); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		}
	}
}

// Off and on again are the same bytes, and so is what osslsigncode wrote.
func TestCertifyAgain(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"tiny-osslsigncode.efi", "trailing-osslsigncode.efi"} {
		b := vector(t, name)
		m := &memory{bytes.Clone(b)}
		f := parse(t, b)
		size, err := pe.Certify(m, f, nil)
		if err != nil || size != f.End() {
			t.Fatalf("%s: %d bytes (%v)", name, size, err)
		}
		m.b = m.b[:size]
		if size, err = pe.Certify(m, parse(t, m.b), signatures(t, f)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, m.b[:size]) {
			t.Errorf("%s: other bytes", name)
		}
	}
}

func TestCertifyRefuses(t *testing.T) {
	t.Parallel()
	few := program(vector(t, "tiny.efi"))
	// Four directories are one too few: the section table moves down, and the
	// sections' names with it.
	table := bytes.Clone(few[few.section(0, 0):few.section(4, 0)])
	few.set32(few.directories()-4, 4)
	few.set16(few.header()+20, 112+4*8)
	copy(few[few.section(0, 0):], table)
	for name, test := range map[string]struct {
		b          []byte
		signatures [][]byte
		want       string
	}{
		"no directory": {few, [][]byte{sequence(100)}, "no place for a certificate table"},
		"empty":        {vector(t, "tiny.efi"), [][]byte{{}}, "a signature of 0 bytes"},
		"33":           {vector(t, "tiny.efi"), make([][]byte, 33), "33 signatures (at most 32)"},
		"too long":     {vector(t, "tiny.efi"), [][]byte{make([]byte, 1<<20+1)}, "of 1048577 bytes"},
		"too much":     {vector(t, "tiny.efi"), [][]byte{make([]byte, 1<<19), make([]byte, 1<<19)}, "more than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &memory{}
			if _, err := pe.Certify(m, parse(t, test.b), test.signatures); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
			if len(m.b) > 0 {
				t.Error("something was written")
			}
		})
	}
	if _, err := pe.Certify(fullDisk{}, parse(t, vector(t, "tiny.efi")), [][]byte{sequence(9)}); !errors.Is(err, errFull) {
		t.Errorf("error %v", err)
	}
}

var errFull = errors.New("no space left")

type fullDisk struct{}

func (fullDisk) WriteAt([]byte, int64) (int, error) { return 0, errFull }

func TestSignatureRefuses(t *testing.T) {
	t.Parallel()
	entry := func(kind uint32, content ...byte) []byte {
		b := program(make([]byte, 8))
		b.set32(0, uint32(8+len(content)))
		b.set32(4, kind)
		b = append(b, content...)
		return append(b, make([]byte, -len(b)&7)...)
	}
	const pkcs7 = 0x00020200
	for name, test := range map[string]struct {
		entry []byte
		want  string
	}{
		"good":           {entry(pkcs7, sequence(20)...), ""},
		"padding":        {entry(pkcs7, append(sequence(20), 0, 0, 0, 0, 0, 0, 0)...), ""},
		"more padding":   {entry(pkcs7, append(sequence(20), 0, 0, 0, 0, 0, 0, 0, 0)...), "8 bytes follow it"},
		"bytes":          {entry(pkcs7, append(sequence(20), 0, 1)...), "2 bytes follow it"},
		"no DER":         {entry(pkcs7, 0, 0, 0), "no message in DER"},
		"cut short":      {entry(pkcs7, sequence(20)[:19]...), "truncated"},
		"other type":     {entry(0x0ef10200, sequence(20)...), "type 0xef1"},
		"other revision": {entry(0x00020100, sequence(20)...), "revision 0x100"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := parse(t, program(vector(t, "tiny.efi")).table(test.entry))
			_, err := f.Signature(f.Certificates[0])
			switch {
			case test.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}
