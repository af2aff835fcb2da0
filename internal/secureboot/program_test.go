package secureboot_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"inlay/internal/cms"
	"inlay/internal/hint"
	"inlay/internal/keys"
	"inlay/internal/pe"
	"inlay/internal/secureboot"
)

// programVector is one of the programs of package pe.
func programVector(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../pe/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// inMemory is a file that grows as it is written.
type inMemory struct{ b []byte }

func (m *inMemory) WriteAt(p []byte, at int64) (int, error) {
	if need := int(at) + len(p); need > len(m.b) {
		m.b = append(m.b, make([]byte, need-len(m.b))...)
	}
	return copy(m.b[at:], p), nil
}

func (m *inMemory) ReadAt(p []byte, at int64) (int, error) { return bytes.NewReader(m.b).ReadAt(p, at) }

func signProgram(t testing.TB, b []byte, by keys.Pair, o secureboot.SignOptions) []byte {
	t.Helper()
	m := &inMemory{}
	size, err := secureboot.SignProgram(bytes.NewReader(b), int64(len(b)), by, m, o)
	if err != nil {
		t.Fatal(err)
	}
	if size != int64(len(m.b)) {
		t.Fatalf("%d bytes written, %d returned", len(m.b), size)
	}
	return m.b
}

func verifyProgram(b []byte, by ...*x509.Certificate) (*secureboot.ProgramSignature, error) {
	return secureboot.VerifyProgram(bytes.NewReader(b), int64(len(b)), by...)
}

// testCertificate is one of those that signed the vectors.
func testCertificate(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../cms/testdata", name+".pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestSignProgram(t *testing.T) {
	t.Parallel()
	db, other := makePair(t, "db"), makePair(t, "other")
	for _, name := range []string{"tiny.efi", "tiny32.efi", "trailing.efi"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := programVector(t, name)
			if _, err := verifyProgram(b, db.Certificate); !errors.Is(err, secureboot.ErrUnsigned) {
				t.Errorf("unsigned: %v", err)
			}
			once := signProgram(t, b, db, secureboot.SignOptions{})
			if again := signProgram(t, b, db, secureboot.SignOptions{}); !bytes.Equal(once, again) {
				t.Error("signed again, other bytes")
			}
			if again := signProgram(t, once, db, secureboot.SignOptions{}); !bytes.Equal(once, again) {
				t.Error("signed twice by the same, other bytes")
			}
			s, err := verifyProgram(once, other.Certificate, db.Certificate)
			if err != nil {
				t.Fatal(err)
			}
			if s.Index != 0 || s.Signer != db.Certificate || s.By != db.Certificate || s.Hash != crypto.SHA256 {
				t.Errorf("%+v", s)
			}
			if _, err := verifyProgram(once, other.Certificate); !errors.Is(err, cms.ErrOtherSigner) {
				t.Errorf("with another certificate: %v", err)
			}
			if _, err := verifyProgram(once); !errors.Is(err, cms.ErrOtherSigner) {
				t.Errorf("with none: %v", err)
			}

			twice := signProgram(t, once, other, secureboot.SignOptions{})
			for i, cert := range []*x509.Certificate{db.Certificate, other.Certificate} {
				if s, err := verifyProgram(twice, cert); err != nil || s.Index != i {
					t.Errorf("signature %d: %+v, %v", i, s, err)
				}
			}
			replaced := signProgram(t, twice, other, secureboot.SignOptions{Replace: true})
			if want := signProgram(t, b, other, secureboot.SignOptions{}); !bytes.Equal(replaced, want) {
				t.Error("replaced, other bytes than signed alone")
			}
		})
	}
}

// In place is the same, and a shorter program is the caller's to cut.
func TestSignProgramInPlace(t *testing.T) {
	t.Parallel()
	db := makePair(t, "db")
	for _, name := range []string{"trailing.efi", "tiny-twice.efi"} {
		b := programVector(t, name)
		for _, o := range []secureboot.SignOptions{{}, {Replace: true}} {
			m := &inMemory{bytes.Clone(b)}
			size, err := secureboot.SignProgramInPlace(m, int64(len(b)), db, o)
			if err != nil {
				t.Fatal(err)
			}
			if want := signProgram(t, b, db, o); !bytes.Equal(m.b[:size], want) {
				t.Errorf("%s %+v: other bytes than in a copy", name, o)
			}
		}
	}
}

// What other tools have signed is good.
func TestVerifyProgramOfOthers(t *testing.T) {
	t.Parallel()
	rsa, rsa4096 := testCertificate(t, "rsa"), testCertificate(t, "rsa4096")
	names, err := filepath.Glob("../pe/testdata/*-*.efi")
	if err != nil || len(names) < 8 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		b := programVector(t, filepath.Base(name))
		if s, err := verifyProgram(b, rsa); err != nil || s.Index != 0 {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		s, err := verifyProgram(b, rsa4096)
		if twice := strings.Contains(name, "-twice"); twice && (err != nil || s.Index != 1) || !twice && !errors.Is(err, cms.ErrOtherSigner) {
			t.Errorf("%s, by the second: %+v, %v", name, s, err)
		}
		// Signed by them and then by us, or the other way round.
		db := makePair(t, "db")
		if _, err := verifyProgram(signProgram(t, b, db, secureboot.SignOptions{}), rsa); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// No bit of a signed program can change and the program stay good, but for what
// no loader reads: the checksum, and padding that is not counted in.
func TestVerifyProgramCoversAll(t *testing.T) {
	t.Parallel()
	db := makePair(t, "db")
	b := signProgram(t, programVector(t, "trailing.efi"), db, secureboot.SignOptions{})
	f, err := pe.Parse(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	good := make(map[string]int)
	for i := range b {
		b[i] ^= 1
		if _, err := verifyProgram(b, db.Certificate); err == nil {
			switch {
			case int64(i) < int64(f.SizeOfHeaders):
				good["header"]++
			case int64(i) < f.End():
				good["program"]++
			default:
				good["signature"]++
			}
		}
		b[i] ^= 1
	}
	// Within the signature: the certificate that it brings is not looked at when
	// the signer is trusted itself, and what SpcPeImageData says is not either,
	// but it is signed.
	if good["header"] != 4 || good["program"] != 0 || good["signature"] > len(db.Certificate.Raw) {
		t.Errorf("good all the same after a change: %v", good)
	}
}

func TestVerifyProgramChanged(t *testing.T) {
	t.Parallel()
	db := makePair(t, "db")
	b := signProgram(t, programVector(t, "tiny.efi"), db, secureboot.SignOptions{})
	b[0x401] ^= 1
	if _, err := verifyProgram(b, db.Certificate); !errors.Is(err, secureboot.ErrProgramChanged) {
		t.Errorf("error %v", err)
	}
	// A second signature, made after the change, is good.
	other := makePair(t, "other")
	b = signProgram(t, b, other, secureboot.SignOptions{})
	if s, err := verifyProgram(b, db.Certificate, other.Certificate); err != nil || s.Index != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := verifyProgram(b, db.Certificate); !errors.Is(err, secureboot.ErrProgramChanged) {
		t.Errorf("error %v", err)
	}
}

func TestSignProgramRefuses(t *testing.T) {
	t.Parallel()
	db := makePair(t, "db")
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tiny := programVector(t, "tiny.efi")
	odd := bytes.Clone(programVector(t, "tiny-sbsign.efi"))
	odd[3072+6] = 1 // the table's only entry: of type 1
	for name, test := range map[string]struct {
		b    []byte
		by   keys.Pair
		want string
		hint bool
	}{
		"text":        {bytes.Repeat([]byte("text"), 100), db, "not an EFI program", false},
		"cut short":   {tiny[:3000], db, "cut short", false},
		"ECDSA":       {tiny, certify(t, "ec", ec), "RSA", true},
		"other key":   {tiny, keys.Pair{Certificate: db.Certificate, Signer: makePair(t, "x").Signer}, "does not match", false},
		"strange one": {odd, db, "type 0x1", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := secureboot.SignProgram(bytes.NewReader(test.b), int64(len(test.b)), test.by, &inMemory{}, secureboot.SignOptions{})
			if err == nil || !strings.Contains(err.Error(), test.want) || test.hint && len(hint.Of(err)) == 0 {
				t.Errorf("error %v (%q), want one with %q", err, hint.Of(err), test.want)
			}
		})
	}
	if b := signProgram(t, odd, db, secureboot.SignOptions{Replace: true}); !bytes.Equal(b, signProgram(t, tiny, db, secureboot.SignOptions{})) {
		t.Error("replaced, other bytes than signed alone")
	}
	if _, err := verifyProgram(odd, db.Certificate); err == nil {
		t.Error("a signature of another type is accepted")
	}
}

// A file that cannot be read is not signed up to where it could be.
func TestSignProgramReadError(t *testing.T) {
	t.Parallel()
	// Larger than what is read at a time, so that the headers are whole.
	b := append(programVector(t, "tiny.efi"), make([]byte, 3<<20)...)
	_, err := secureboot.SignProgram(badDisk{b[:2<<20]}, int64(len(b)), makePair(t, "db"), &inMemory{}, secureboot.SignOptions{})
	if !errors.Is(err, errSector) {
		t.Errorf("error %v", err)
	}
}

var errSector = errors.New("bad sector")

// badDisk cannot be read behind b.
type badDisk struct{ b []byte }

func (d badDisk) ReadAt(p []byte, at int64) (int, error) {
	n, err := bytes.NewReader(d.b).ReadAt(p, at)
	if errors.Is(err, io.EOF) {
		err = errSector
	}
	return n, err
}

func TestProgramDigest(t *testing.T) {
	t.Parallel()
	digests := make(map[string][]string)
	for _, name := range []string{"tiny", "tiny-twice", "trailing", "trailing-systemd"} {
		b := programVector(t, name+".efi")
		d, err := secureboot.ProgramDigest(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		word, _, _ := strings.Cut(name, "-")
		digests[word] = append(digests[word], hex.EncodeToString(d[:]))
	}
	for _, word := range slices.Sorted(maps.Keys(digests)) {
		want := string(programVector(t, word+".sha256"))
		if got := fmt.Sprint(digests[word]); got != fmt.Sprint([]string{want, want}) {
			t.Errorf("%s: %s, want %s twice", word, got, want)
		}
	}
}
