package pe_test

import (
	"bytes"
	"crypto/sha256"
	"io"
	"strings"
	"testing"

	"inlay/internal/pe"
)

// FuzzParse checks that what is accepted can be hashed, signed and extended, and
// that each of these leaves a program that is accepted, too.
func FuzzParse(f *testing.F) {
	for _, b := range vectors(f) {
		f.Add(b)
	}
	tiny := func() program { return vector(f, "tiny.efi") }
	f.Add([]byte(symbols(tiny(), 4)))
	f.Add([]byte(tiny().table(append([]byte{27, 0, 0, 0, 0, 2, 2, 0}, append(sequence(19), 0, 0, 0, 0, 0)...))))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := pe.Parse(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for _, s := range file.Sections {
			if n, err := io.Copy(io.Discard, file.Data(s)); err != nil || n != s.Size() {
				t.Fatalf("section %q has %d bytes, not %d: %v", s.Name, n, s.Size(), err)
			}
		}
		var signatures [][]byte
		for _, c := range file.Certificates {
			if der, err := file.Signature(c); err == nil {
				signatures = append(signatures, der)
			}
		}
		hash := sha256.New()
		hashed := file.Digest(hash) == nil
		fuzzCertify(t, b, file, append(signatures, sequence(100)), hashed, hash.Sum(nil))
		fuzzExtend(t, file, hashed)
	})
}

func fuzzCertify(t *testing.T, b []byte, file *pe.File, signatures [][]byte, hashed bool, sum []byte) {
	t.Helper()
	signed := &memory{bytes.Clone(b)}
	size, err := pe.Certify(signed, file, signatures)
	if err != nil {
		return
	}
	again, err := pe.Parse(bytes.NewReader(signed.b[:size]), size)
	if err != nil || len(again.Certificates) != len(signatures) {
		t.Fatalf("signed, it has %d signatures, not %d: %v", len(again.Certificates), len(signatures), err)
	}
	if sum, err := again.Sum(); err != nil || sum != again.Checksum {
		t.Fatalf("checksum %#x, want %#x (%v)", again.Checksum, sum, err)
	}
	if hash := sha256.New(); (again.Digest(hash) == nil) != hashed || hashed && !bytes.Equal(hash.Sum(nil), sum) {
		t.Fatal("signed, it has another digest")
	}
}

func fuzzExtend(t *testing.T, file *pe.File, hashed bool) {
	t.Helper()
	extended := &memory{}
	size, err := pe.Extend(extended, file, []pe.NewSection{
		{Name: ".linux", Data: strings.NewReader("linux"), Size: 5},
		{Name: ".sbat", Data: strings.NewReader("sbat"), Size: 4},
	}, pe.ExtendOptions{})
	if err != nil {
		return
	}
	again, err := pe.Parse(bytes.NewReader(extended.b), size)
	if err != nil || int64(len(extended.b)) != size {
		t.Fatalf("extended, it has %d bytes: %v", len(extended.b), err)
	}
	if err := again.Digest(sha256.New()); err != nil && hashed {
		t.Fatal(err)
	}
	found := again.Named(".linux")
	content, err := io.ReadAll(again.Data(found[0]))
	if err != nil || string(content) != "linux" {
		t.Fatalf("section .linux holds %q (%v)", content, err)
	}
}
