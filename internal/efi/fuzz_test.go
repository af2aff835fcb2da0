package efi_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"inlay/internal/efi"
)

// addVectors adds the files of testdata as seeds.
func addVectors(f *testing.F) {
	f.Helper()
	for _, pattern := range []string{"*.esl", "*.auth"} {
		names, err := filepath.Glob(filepath.Join("testdata", pattern))
		if err != nil || len(names) == 0 {
			f.Fatal("no vectors", err)
		}
		for _, name := range names {
			f.Add(readFile(f, name))
		}
	}
}

func FuzzParseLists(f *testing.F) {
	addVectors(f)
	f.Add(rawList(unknown, 28+3+17, 3, 17, make([]byte, 20)...))
	f.Add(rawList(efi.X509(), 28+36, 0, 18, make([]byte, 36)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		lists, err := efi.ParseLists(b)
		if err != nil {
			return
		}
		if again := marshal(lists); !bytes.Equal(again, b) {
			t.Fatalf("written again: %x", again)
		}
		for _, l := range lists {
			if len(l.Entries) == 0 {
				t.Fatal("a list without entries")
			}
			for _, e := range l.Entries {
				hash, sum, _, err := efi.Revocation(l, e)
				if err == nil && (hash == 0 || len(sum) != hash.Size()) {
					t.Fatalf("revokes %v %x", hash, sum)
				}
			}
		}
	})
}

func FuzzParseVariable(f *testing.F) {
	addVectors(f)
	f.Add([]byte("\x06\x00\x00\x00\x01"))
	f.Add(efi.Variable{Attributes: 0x27, Data: vector(f, "two.esl")}.Marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := efi.ParseVariable(b)
		if err == nil && !bytes.Equal(v.Marshal(), b) {
			t.Fatalf("written again: %x", v.Marshal())
		}
	})
}

func FuzzParseUpdate(f *testing.F) {
	addVectors(f)
	f.Add(efi.Update{PKCS7: []byte("x")}.Marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		u, err := efi.ParseUpdate(b)
		if err != nil {
			return
		}
		if !bytes.Equal(u.Marshal(), b) {
			t.Fatalf("written again: %x", u.Marshal())
		}
		if when, err := u.Time.Time(); err == nil && efi.NewStamp(when) != u.Time {
			t.Fatalf("%v becomes %v", u.Time, efi.NewStamp(when))
		}
	})
}
