package uki_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"inlay/internal/keys"
	"inlay/internal/uki"
)

// The machines of the toys.
const (
	machineX64 = 0x8664
	machineARM = 0xaa64
)

// toySection is one of a toy program; zeros are bytes that it has in memory only.
type toySection struct {
	name, content string
	zeros         uint32
}

// toy makes an EFI program without any code: headers up to byte 2048, which have
// room for some 40 sections, and sections.
func toy(machine uint16, sections ...toySection) []byte {
	const headers, unit, page = 2048, 512, 4096
	le := binary.LittleEndian
	b := make([]byte, headers)
	copy(b, "MZ")
	le.PutUint32(b[60:], 64)
	copy(b[64:], "PE\x00\x00")
	le.PutUint16(b[68:], machine)
	le.PutUint16(b[70:], uint16(len(sections)))
	le.PutUint16(b[84:], 240)
	optional := b[88:]
	le.PutUint16(optional, 0x20b)
	le.PutUint32(optional[32:], page)
	le.PutUint32(optional[36:], unit)
	le.PutUint32(optional[60:], headers)
	le.PutUint16(optional[68:], 10)
	le.PutUint16(optional[70:], 0x100)
	le.PutUint32(optional[108:], 16)
	address := uint32(page)
	for i, s := range sections {
		content := []byte(s.content)
		raw := make([]byte, (len(content)+unit-1)/unit*unit)
		copy(raw, content)
		header := b[88+240+40*i:]
		copy(header[:8], s.name)
		le.PutUint32(header[8:], uint32(len(content))+s.zeros)
		le.PutUint32(header[12:], address)
		le.PutUint32(header[16:], uint32(len(raw)))
		le.PutUint32(header[20:], uint32(len(b)))
		le.PutUint32(header[36:], 0x40000040)
		address += (max(uint32(len(content))+s.zeros, 1) + page - 1) / page * page
		b = slices.Concat(b, raw)
	}
	le.PutUint32(b[88+56:], address)
	return b
}

const stubMagic = "#### LoaderInfo: systemd-stub 257.13-1 ####"

const sbatFirst = "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"

// toyStub is a stub of systemd's; its .sbat has room for 1 KiB.
func toyStub(machine uint16) []byte {
	return toy(
		machine, toySection{name: ".text", content: "code"},
		toySection{name: ".sbat", content: sbatFirst + "systemd-stub,1,The systemd Developers,systemd,257\n" + strings.Repeat("\x00", 600)},
		toySection{name: ".sdmagic", content: stubMagic},
	)
}

// toyKernel has a release where x86 kernels have theirs: behind the headers, in
// what a real one has for its setup code.
func toyKernel(machine uint16, release string) []byte {
	b := toy(machine, toySection{name: ".text", content: release + " (builder@host) #1 SMP\x00 and more"})
	copy(b[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(b[0x20e:], 2048-0x200)
	return b
}

func section(b []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(b), 0, int64(len(b)))
}

// toyParts are those of a small image, and the options without keys.
func toyParts() (uki.Parts, uki.Options) {
	return uki.Parts{
		Linux:     section(toyKernel(machineX64, "6.12.0-toy")),
		Initrd:    []*io.SectionReader{section([]byte("initrd"))},
		Cmdline:   "console=ttyS0 quiet",
		OSRelease: []byte("ID=toy\nNAME=\"Toy System\"\n"),
		Splash:    []byte("BM picture"),
	}, uki.Options{Stub: section(toyStub(machineX64))}
}

// build returns the bytes of an image.
func build(t testing.TB, p uki.Parts, o uki.Options) ([]byte, *uki.Result) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.efi")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	result, err := uki.Build(t.Context(), file, p, o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(b)) != result.Size {
		t.Errorf("the file has %d bytes, and the result says %d", len(b), result.Size)
	}
	return b, result
}

func open(t testing.TB, b []byte) *uki.Image {
	t.Helper()
	image, err := uki.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func newKey(t testing.TB) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newPair returns a key with a certificate by itself.
func newPair(t testing.TB) *keys.Pair {
	t.Helper()
	var signer crypto.Signer = newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "inlay test db"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &keys.Pair{Certificate: certificate, Signer: signer}
}
