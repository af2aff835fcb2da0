//go:build bench

package bench_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"inlay/test/debian"
)

const (
	largePayload = "2 GiB"
	largeFiles   = 4
	largeFile    = 512 << 20
)

// newLarge returns a payload of four large files in the forms of a layer. They
// repeat one program, at distances that no window of a compressor spans.
func newLarge(t *testing.T) payload {
	t.Helper()
	f := packagedProgram(t, "dockerd")
	const revision = 1
	folder := debian.Cached(t, "bench-large", []any{revision, payloadRevision, f, largeFiles, largeFile}, func(folder string) error {
		p := payload{folder: folder}
		text, err := os.ReadFile(f.From)
		if err != nil {
			return err
		}
		return errors.Join(p.writeLargeTar(text),
			p.encode(p.gzip(), func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, gzip.BestSpeed) }),
			p.encode(p.zstd(), func(w io.Writer) (io.WriteCloser, error) {
				return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(8<<20))
			}),
			p.unpack(t))
	})
	return payload{folder: folder}
}

func (p payload) writeLargeTar(text []byte) error {
	out, err := os.Create(p.tar())
	if err != nil {
		return err
	}
	defer out.Close()
	w := tar.NewWriter(out)
	for _, name := range []string{"usr/", "usr/lib/"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}); err != nil {
			return err
		}
	}
	for i := range largeFiles {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprint("usr/lib/large", i), Mode: 0o755, Size: largeFile}); err != nil {
			return err
		}
		for left := largeFile; left > 0; {
			n, err := w.Write(text[:min(left, len(text))])
			if err != nil {
				return err
			}
			left -= n
		}
	}
	return errors.Join(w.Close(), out.Close())
}

// largeWays are those of inlay's whose memory the goal is about.
func largeWays() []string {
	return []string{inlayPlain, inlayGzip, inlayZstd, inlayFolder, inlayLZ4, inlayToZstd}
}

// measureLarge builds the image of 2 GiB twice in each way. Only memory is
// looked at, so the layer is read from the disk.
func measureLarge(t *testing.T, programs tools) results {
	t.Helper()
	p := memory(t)
	defer p.remove(t)
	b := newBench(t, p, newLarge(t), programs)
	var err error
	if b.truth, err = readTree(b.data.tree()); err != nil {
		t.Fatal(err)
	}
	// inlay adds the release file that this payload lacks.
	b.added = "usr/lib/extension-release.d"
	var all []contender
	for _, c := range contenders(t, b) {
		if slices.Contains(largeWays(), c.name) {
			c.slow = true // both runs count
			all = append(all, c)
		}
	}
	if len(all) == 0 {
		t.Skip("no contender takes part")
	}
	found := b.measure(t, all, slowRounds-1)
	sameBytes(t, found)
	return found
}

func writeLarge(text *strings.Builder, found results) {
	if len(found.contenders) == 0 {
		return
	}
	text.WriteString("\n### An image of 2 GiB (tmpfs)\n\nFour files of 512 MiB, read from the disk. The larger of two runs.\n\n| | peak MiB | image MB |\n|---|---|---|\n")
	for _, c := range found.contenders {
		runs := found.runs[c.name]
		fmt.Fprintf(text, "| %s | %.0f | %.1f |\n", c.name, slices.Max(column(runs, peakMiB)), slices.Max(column(runs, imageMB)))
	}
}
