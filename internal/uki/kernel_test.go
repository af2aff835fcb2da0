package uki_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"inlay/internal/uki"
)

// zboot makes the self-extracting image that arm64 kernels come in.
func zboot(t testing.TB, kind string, pack func(io.Writer) (io.WriteCloser, error), text string) []byte {
	t.Helper()
	var packed bytes.Buffer
	w, err := pack(&packed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 0x400)
	copy(b, "MZ\x00\x00zimg")
	binary.LittleEndian.PutUint32(b[8:], uint32(len(b)))
	binary.LittleEndian.PutUint32(b[12:], uint32(packed.Len()))
	copy(b[0x18:], kind)
	return slices.Concat(b, packed.Bytes())
}

func gzipped(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }

func zstandard(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }

func TestRelease(t *testing.T) {
	t.Parallel()
	const banner = "Linux version 6.12.9-arm64 (builder@host) (gcc) #1 SMP"
	noise := strings.Repeat("Linux version %s (%s) \x00Linux version text (x)", 5000)
	noPointer := toyKernel(machineX64, "6.12.0")
	binary.LittleEndian.PutUint16(noPointer[0x20e:], 0)
	outside := toyKernel(machineX64, "6.12.0")
	binary.LittleEndian.PutUint16(outside[0x20e:], 0xffff)
	for name, c := range map[string]struct {
		kernel []byte
		want   string
	}{
		"x86":              {toyKernel(machineX64, "6.12.107+deb13-cloud-amd64"), "6.12.107+deb13-cloud-amd64"},
		"x86, no pointer":  {noPointer, ""},
		"x86, outside":     {outside, ""},
		"x86, path":        {toyKernel(machineX64, "../6.12"), ""},
		"x86, long":        {toyKernel(machineX64, strings.Repeat("6", 65)), ""},
		"arm64":            {[]byte("MZ" + noise + banner), "6.12.9-arm64"},
		"none":             {[]byte("MZ" + noise), ""},
		"short":            {[]byte("MZ"), ""},
		"zboot, gzip":      {zboot(t, "gzip", gzipped, noise+banner), "6.12.9-arm64"},
		"zboot, zstd":      {zboot(t, "zstd22", zstandard, noise+banner), "6.12.9-arm64"},
		"zboot, strange":   {zboot(t, "lzo", gzipped, banner), ""},
		"zboot, broken":    {zboot(t, "zstd", gzipped, banner), ""},
		"zboot, broken gz": {zboot(t, "gzip", zstandard, banner), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := uki.Release(section(c.kernel))
			if got != c.want || err != nil {
				t.Errorf("got %q (%v), want %q", got, err, c.want)
			}
		})
	}
	// Wherever chunks end, the text is found.
	for at := 256<<10 - 90; at < 256<<10+10; at++ {
		text := "MZ" + strings.Repeat("x", at) + banner + strings.Repeat("x", 100)
		if got, err := uki.Release(section([]byte(text))); got != "6.12.9-arm64" || err != nil {
			t.Fatalf("at byte %d: got %q (%v)", at, got, err)
		}
	}
}

// TestNoRelease: an image can do without it, and says so.
func TestNoRelease(t *testing.T) {
	t.Parallel()
	p, o := toyParts()
	p.Linux = section(toy(machineX64, toySection{name: ".text", content: "kernel"}))
	b, result := build(t, p, o)
	if got := read(t, open(t, b), 0, ".uname"); got != "(none)" || len(result.Warnings) != 1 {
		t.Errorf(".uname is %q, warnings %q", got, result.Warnings)
	}
	p.Uname = "6.1"
	b, result = build(t, p, o)
	if got := read(t, open(t, b), 0, ".uname"); got != "6.1" || len(result.Warnings) != 0 {
		t.Errorf(".uname is %q, warnings %q", got, result.Warnings)
	}
}
