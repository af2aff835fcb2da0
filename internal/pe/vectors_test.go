package pe_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"inlay/internal/pe"
)

// vectors returns the programs of testdata by name.
func vectors(t testing.TB) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/*.efi")
	if err != nil || len(names) == 0 {
		t.Fatal("no vectors", err)
	}
	all := make(map[string][]byte)
	for _, name := range names {
		all[filepath.Base(name)] = readFile(t, name)
	}
	return all
}

func vector(t testing.TB, name string) []byte {
	t.Helper()
	return readFile(t, filepath.Join("testdata", name))
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func parse(t testing.TB, b []byte) *pe.File {
	t.Helper()
	f, err := pe.Parse(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// digest is the SHA-256 image digest in hexadecimal.
func digest(t testing.TB, f *pe.File) string {
	t.Helper()
	h := sha256.New()
	if err := f.Digest(h); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// program is the bytes of a program, whose fields a test spoils by their places
// in the format. The places are reckoned here anew, apart from the code tested.
type program []byte

func (p program) u32(at int) uint32       { return binary.LittleEndian.Uint32(p[at:]) }
func (p program) set16(at int, v uint16)  { binary.LittleEndian.PutUint16(p[at:], v) }
func (p program) set32(at int, v uint32)  { binary.LittleEndian.PutUint32(p[at:], v) }
func (p program) header() int             { return int(p.u32(60)) }
func (p program) optional() int           { return p.header() + 24 }
func (p program) plus() bool              { return p[p.optional()+1] == 2 }
func (p program) section(i, at int) int   { return p.optional() + p.optionalSize() + 40*i + at }
func (p program) optionalSize() int       { return int(binary.LittleEndian.Uint16(p[p.header()+20:])) }
func (p program) directory(i, at int) int { return p.directories() + 8*i + at }

func (p program) directories() int {
	if p.plus() {
		return p.optional() + 112
	}
	return p.optional() + 96
}

// table puts a certificate table behind the program.
func (p program) table(table []byte) program {
	p.set32(p.directory(4, 0), uint32(len(p)))
	p.set32(p.directory(4, 4), uint32(len(table)))
	return append(p, table...)
}

// memory is a file that grows as it is written.
type memory struct{ b []byte }

func (m *memory) WriteAt(p []byte, at int64) (int, error) {
	if need := int(at) + len(p); need > len(m.b) {
		m.b = append(m.b, make([]byte, need-len(m.b))...)
	}
	return copy(m.b[at:], p), nil
}

func (m *memory) ReadAt(p []byte, at int64) (int, error) {
	return bytes.NewReader(m.b).ReadAt(p, at)
}
