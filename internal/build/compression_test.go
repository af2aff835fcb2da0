package build_test

import (
	"os"
	"strings"
	"testing"

	"inlay/internal/build"
	"inlay/internal/erofs"
	"inlay/internal/hint"
)

func TestParseCompression(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		c    build.Compression
		back string
	}{
		"none":     {build.Compression{Method: build.Uncompressed}, "none"},
		"lz4":      {build.Compression{Method: build.LZ4}, "lz4"},
		"lz4hc":    {build.Compression{Method: build.LZ4HC, Level: 9}, "lz4hc"},
		"lz4hc:9":  {build.Compression{Method: build.LZ4HC, Level: 9}, "lz4hc"},
		"lz4hc:12": {build.Compression{Method: build.LZ4HC, Level: 12}, "lz4hc:12"},
		"zstd":     {build.Compression{Method: build.Zstd, Level: 3}, "zstd"},
		"zstd:19":  {build.Compression{Method: build.Zstd, Level: 19}, "zstd:19"},
	} {
		c, err := build.ParseCompression(text)
		if err != nil || c != want.c || c.String() != want.back {
			t.Errorf("%q is %+v, %q (%v), want %+v", text, c, c, err, want)
		}
	}
	for _, text := range []string{"", "gzip", "LZ4", "lz4:1", "none:0", "lz4hc:", "lz4hc:0", "lz4hc:13", "zstd:0", "zstd:23", "zstd:3 ", "zstd:3:4"} {
		if c, err := build.ParseCompression(text); err == nil || len(hint.Of(err)) == 0 {
			t.Errorf("%q is %+v (%v), want an error with a hint", text, c, err)
		}
	}
	if zero := (build.Compression{}); zero.String() != "none" || zero.Encoder() != "" || build.Codec(zero) != nil {
		t.Errorf("the zero value is %q by %q", zero, zero.Encoder())
	}
}

func TestParseKernel(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]erofs.Version{"5.4": {Major: 5, Minor: 4}, "6.10": {Major: 6, Minor: 10}, "7.0": {Major: 7}} {
		if v, err := build.ParseKernel(text); err != nil || v != want {
			t.Errorf("%q is %v (%v)", text, v, err)
		}
	}
	for _, text := range []string{"", "6", "6.", ".1", "5.3", "4.19", "-6.1", "6.-1", "6.1.2", "v6.1", "6.1 "} {
		if v, err := build.ParseKernel(text); err == nil || len(hint.Of(err)) == 0 {
			t.Errorf("%q is %v (%v), want an error with a hint", text, v, err)
		}
	}
}

// TestEncoderVersion holds what images say of their encoder to the module that
// makes the bytes.
func TestEncoderVersion(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "github.com/klauspost/compress ")
	version, _, _ := strings.Cut(rest, "\n")
	for level := 1; level <= 22; level++ {
		c := build.Compression{Method: build.Zstd, Level: level}
		if got := c.Encoder(); !found || !strings.HasSuffix(got, " "+version) {
			t.Errorf("the encoder is %q, go.mod has %q", got, version)
		}
	}
}
