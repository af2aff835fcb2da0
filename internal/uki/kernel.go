package uki

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"inlay/internal/hint"
	"inlay/internal/pe"
)

// openKernel reads the headers of a kernel, which firmware must be able to start.
func openKernel(linux *io.SectionReader) (*pe.File, error) {
	if linux == nil {
		return nil, errors.New("there is no kernel")
	}
	kernel, err := pe.Parse(linux, linux.Size())
	if err != nil {
		err = fmt.Errorf("reading the kernel: %w", err)
		if errors.Is(err, pe.ErrNotProgram) {
			err = hint.Wrap(err, "give a kernel that firmware can start, built with CONFIG_EFI_STUB and not compressed as a whole (vmlinuz, Image)")
		}
		return nil, err
	}
	return kernel, nil
}

const (
	// maxRelease bounds the kernel's release; uname gives it 64 bytes.
	maxRelease = 64
	// maxKernel bounds how much of an uncompressed kernel is searched, in bytes.
	maxKernel = 512 << 20
	// maxWindow bounds what decompressing may keep in memory.
	maxWindow = 128 << 20
)

// Release finds the release of a kernel, as uname tells it: in the header of an
// x86 boot image, else where the kernel's text names its version, also inside of
// a self-extracting EFI image (zboot) packed with gzip or zstd. It returns "" if
// it is not found.
func Release(linux *io.SectionReader) (string, error) {
	release, err := release(linux)
	if err != nil {
		return "", fmt.Errorf("looking for the kernel's release: %w", err)
	}
	return release, nil
}

func release(linux *io.SectionReader) (string, error) {
	header := make([]byte, 0x210)
	switch _, err := linux.ReadAt(header, 0); {
	case errors.Is(err, io.EOF):
		return "", nil
	case err != nil:
		return "", err
	}
	le := binary.LittleEndian
	switch {
	case string(header[0x202:0x206]) == "HdrS": // the boot protocol's header
		// A pointer, less the size of the boot sector; none is 0.
		if at := le.Uint16(header[0x20e:]); at != 0 {
			return releaseAt(linux, int64(at)+0x200)
		}
		return "", nil
	case string(header[:2]) == "MZ" && string(header[4:8]) == "zimg":
		packed := io.NewSectionReader(linux, int64(le.Uint32(header[8:])), int64(le.Uint32(header[12:])))
		return releasePacked(packed, string(header[0x18:0x1c]))
	}
	return search(io.NewSectionReader(linux, 0, linux.Size()))
}

// releaseAt reads the version text of an x86 boot image: release, then builder
// and date.
func releaseAt(linux io.ReaderAt, at int64) (string, error) {
	text := make([]byte, maxRelease+2)
	n, err := linux.ReadAt(text, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	text, _, _ = bytes.Cut(text[:n], []byte{0})
	return takeRelease(text), nil
}

// takeRelease returns the release that text begins with, up to " (".
func takeRelease(text []byte) string {
	release, _, found := strings.Cut(string(text), " (")
	if !found || checkRelease(release) != nil {
		return ""
	}
	return release
}

// checkRelease refuses what no kernel calls itself, and no folder of modules.
func checkRelease(release string) error {
	valid := func(c rune) bool {
		return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.ContainsRune("._+-~", c)
	}
	if release == "" || len(release) > maxRelease || strings.ContainsFunc(release, func(c rune) bool { return !valid(c) }) {
		return fmt.Errorf("%q is no kernel's release", release)
	}
	return nil
}

// releasePacked searches a packed kernel. Errors of a packing are not reported:
// that the release was not found is as good.
func releasePacked(packed io.Reader, kind string) (string, error) {
	switch kind {
	case "gzip":
		unpacked, err := gzip.NewReader(packed)
		if err != nil {
			return "", nil
		}
		found, _ := search(unpacked)
		return found, nil
	case "zstd":
		unpacked, err := zstd.NewReader(packed, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return "", nil
		}
		defer unpacked.Close()
		found, _ := search(unpacked)
		return found, nil
	}
	return "", nil
}

// search looks for the text by which kernels say their version.
func search(r io.Reader) (string, error) {
	const mark = "Linux version "
	const keep = len(mark) + maxRelease + 2 // what must not be torn apart
	r = io.LimitReader(r, maxKernel)
	buffer := make([]byte, 0, 256<<10)
	for {
		n, err := io.ReadFull(r, buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		for rest := buffer; ; {
			at := bytes.Index(rest, []byte(mark))
			if at < 0 {
				break
			}
			rest = rest[at+len(mark):]
			// Other texts begin so, with something else than a number.
			if release := takeRelease(rest[:min(len(rest), maxRelease+2)]); release != "" && release[0] >= '0' && release[0] <= '9' {
				return release, nil
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		buffer = buffer[:copy(buffer, buffer[len(buffer)-keep:])]
	}
}
