//go:build bench

package bench_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"inlay/test/debian"
	"inlay/test/need"
)

// payload is one input in the forms in which contenders take it, all in one folder.
type payload struct {
	folder string
	about  string // what it holds, for people
}

func (p payload) tar() string  { return filepath.Join(p.folder, "layer.tar") }
func (p payload) gzip() string { return filepath.Join(p.folder, "layer.tar.gz") }
func (p payload) zstd() string { return filepath.Join(p.folder, "layer.tar.zst") }
func (p payload) tree() string { return filepath.Join(p.folder, "tree") }

const (
	extensionName = "payload" // of what contenders build

	smallFiles = 4000     // in the payload besides programs
	smallBytes = 29 << 20 // of them together, at most
	smallLimit = 96 << 10 // of one of them
)

// file is one file of a payload: where it comes from and where it goes.
type file struct {
	From string
	To   string
	Mode int64
	Size int64
}

// largeAndSmall is payload A: four large programs and some thousand small
// files, about 200 MB, from what a machine that makes inlay has anyway: Debian's
// Docker and the sources of Go.
func largeAndSmall(t *testing.T) payload {
	t.Helper()
	var files []file
	for _, program := range []string{"containerd", "docker", "dockerd", "runc"} {
		found := need.Tool(t, program, "docker.io")
		info, err := os.Stat(found)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file{From: found, To: "usr/bin/" + program, Mode: 0o755, Size: info.Size()})
	}
	small, err := sources(t)
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, small...)
	const revision = 1 // of how the payload is made
	folder := debian.Cached(t, "bench-a", []any{revision, files}, func(folder string) error {
		p := payload{folder: folder}
		return errors.Join(p.writeTar(files), p.compress(), p.unpack(t))
	})
	var total int64
	for _, f := range files {
		total += f.Size
	}
	return payload{folder, fmt.Sprintf("%d files, %.1f MB, 4 of them large programs", len(files)+1, float64(total)/1e6)}
}

// sources lists the first small files of Go's library, in the order of their names.
func sources(t *testing.T) ([]file, error) {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	root := filepath.Join(strings.TrimSpace(string(output)), "src")
	var files []file
	var total int64
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > smallLimit {
			return err
		}
		if len(files) == smallFiles || total+info.Size() > smallBytes {
			return filepath.SkipAll
		}
		below, err := filepath.Rel(root, name)
		total += info.Size()
		files = append(files, file{From: name, To: "usr/lib/go/src/" + below, Mode: 0o644, Size: info.Size()})
		return err
	})
	return files, err
}

// writeTar makes the layer as Docker writes one: folders first, whole seconds,
// no PAX records where ustar will do.
func (p payload) writeTar(files []file) error {
	out, err := os.Create(p.tar())
	if err != nil {
		return err
	}
	defer out.Close()
	w := tar.NewWriter(out)
	made := map[string]bool{".": true}
	when := time.Unix(1_700_000_000, 0)
	var folder func(name string) error
	folder = func(name string) error {
		if made[name] {
			return nil
		}
		made[name] = true
		if err := folder(path.Dir(name)); err != nil {
			return err
		}
		return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: when})
	}
	add := func(f file, r io.Reader) error {
		err := folder(path.Dir(f.To))
		if err == nil {
			err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.To, Mode: f.Mode, Size: f.Size, ModTime: when})
		}
		if err == nil {
			_, err = io.Copy(w, r)
		}
		return err
	}
	const release = "ID=_any\nARCHITECTURE=x86-64\n"
	name := "usr/lib/extension-release.d/extension-release." + extensionName
	if err := add(file{To: name, Mode: 0o644, Size: int64(len(release))}, strings.NewReader(release)); err != nil {
		return err
	}
	for _, f := range files {
		in, err := os.Open(f.From)
		if err != nil {
			return err
		}
		err = add(f, in)
		in.Close()
		if err != nil {
			return fmt.Errorf("packing %q: %w", f.From, err)
		}
	}
	return errors.Join(w.Close(), out.Close())
}

func (p payload) compress() error {
	return errors.Join(
		p.encode(p.gzip(), func(w io.Writer) (io.WriteCloser, error) {
			return gzip.NewWriterLevel(w, 6)
		}),
		p.encode(p.zstd(), func(w io.Writer) (io.WriteCloser, error) {
			return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(3)), zstd.WithEncoderConcurrency(1))
		}))
}

func (p payload) encode(name string, encoder func(io.Writer) (io.WriteCloser, error)) error {
	in, err := os.Open(p.tar())
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	defer out.Close()
	w, err := encoder(out)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, in)
	return errors.Join(err, w.Close(), out.Close())
}

func (p payload) unpack(t *testing.T) error {
	t.Helper()
	if err := os.Mkdir(p.tree(), 0o755); err != nil {
		return err
	}
	text, err := exec.CommandContext(t.Context(), need.Tool(t, "tar", "tar"),
		"--extract", "--file="+p.tar(), "--directory="+p.tree()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("unpacking the layer: %w\n%s", err, text)
	}
	return nil
}

// in returns the payload on the file system of pl: there itself, or a copy.
func (p payload) in(t *testing.T, pl place) payload {
	t.Helper()
	if filepath.Dir(pl.folder) == filepath.Dir(p.folder) {
		return p
	}
	there := payload{filepath.Join(pl.folder, "payload"), p.about}
	// -a keeps times and modes, which the image holds.
	text, err := exec.CommandContext(t.Context(), "cp", "-a", p.folder, there.folder).CombinedOutput()
	if err != nil {
		t.Fatalf("copying the payload: %v\n%s", err, text)
	}
	return there
}
