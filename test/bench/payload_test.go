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
	name   string // A, B or C
	folder string
	about  string // what it holds, for people
}

func (p payload) tar() string  { return filepath.Join(p.folder, "layer.tar") }
func (p payload) gzip() string { return filepath.Join(p.folder, "layer.tar.gz") }
func (p payload) zstd() string { return filepath.Join(p.folder, "layer.tar.zst") }
func (p payload) tree() string { return filepath.Join(p.folder, "tree") }

const (
	extensionName = "payload" // of what contenders build
	releaseText   = "ID=_any\nARCHITECTURE=x86-64\n"

	smallFiles = 4000     // in payload A besides programs
	smallBytes = 29 << 20 // of them together, at most
	smallLimit = 96 << 10 // of one of them

	payloadRevision = 5 // of how payloads are made
)

// file is one file of a payload: where it comes from and where it goes.
type file struct {
	From string
	To   string
	Mode int64
	Size int64
}

// payloads are the inputs of the comparison, by the letters that
// docs/performance.md gives them. Each is made when it is asked for, from what a
// machine that makes inlay has anyway: Debian's Docker, and Go with its sources.
func payloads() []struct {
	name string
	make func(t *testing.T) payload
} {
	return []struct {
		name string
		make func(t *testing.T) payload
	}{{"A", largeAndSmall}, {"B", manySmall}, {"C", oneLarge}}
}

// largeAndSmall is payload A: four large programs and some thousand small
// files, about 200 MB.
func largeAndSmall(t *testing.T) payload {
	t.Helper()
	var files []file
	for _, name := range []string{"containerd", "docker", "dockerd", "runc"} {
		files = append(files, packagedProgram(t, name))
	}
	small, err := sources(t, smallFiles, smallBytes, smallLimit)
	if err != nil {
		t.Fatal(err)
	}
	return newPayload(t, "A", "4 large programs among them", append(files, small...))
}

// manySmall is payload B: the sources of Go and the go command.
func manySmall(t *testing.T) payload {
	t.Helper()
	files, err := sources(t, 1<<20, 1<<40, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	found := filepath.Join(goRoot(t), "bin/go")
	info, err := os.Stat(found)
	if err != nil {
		t.Fatal(err)
	}
	return newPayload(t, "B", "the sources of Go", append(files, file{From: found, To: "usr/lib/go/bin/go", Mode: 0o755, Size: info.Size()}))
}

// oneLarge is payload C: one large program.
func oneLarge(t *testing.T) payload {
	t.Helper()
	return newPayload(t, "C", "one of them a large program", []file{packagedProgram(t, "dockerd")})
}

// packagedProgram is a program of Debian's Docker.
func packagedProgram(t *testing.T, name string) file {
	t.Helper()
	found := need.Tool(t, name, "docker.io")
	info, err := os.Stat(found)
	if err != nil {
		t.Fatal(err)
	}
	return file{From: found, To: "usr/bin/" + name, Mode: 0o755, Size: info.Size()}
}

func newPayload(t *testing.T, name, about string, files []file) payload {
	t.Helper()
	base := newBase(t)
	folder := debian.Cached(t, "bench-"+strings.ToLower(name), []any{payloadRevision, filepath.Base(base.folder), files}, func(folder string) error {
		p := payload{folder: folder}
		return errors.Join(p.writeTar(files), p.compress(), p.unpack(t), p.writeImages(base))
	})
	var total int64
	for _, f := range files {
		total += f.Size
	}
	return payload{name, folder, fmt.Sprintf("%d files, %.1f MB, %s", len(files)+1, float64(total)/1e6, about)}
}

func goRoot(t *testing.T) string {
	t.Helper()
	output, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(output))
}

// sources lists files of Go's library in the order of their names: so many, so
// many bytes, none larger than limit.
func sources(t *testing.T, most int, bytes, limit int64) ([]file, error) {
	t.Helper()
	return below(filepath.Join(goRoot(t), "src"), "usr/lib/go/src", most, bytes, limit)
}

func below(root, to string, most int, bytes, limit int64) ([]file, error) {
	var files []file
	var total int64
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > limit {
			return err
		}
		if len(files) == most || total+info.Size() > bytes {
			return filepath.SkipAll
		}
		rest, err := filepath.Rel(root, name)
		total += info.Size()
		files = append(files, file{From: name, To: path.Join(to, rest), Mode: 0o644, Size: info.Size()})
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
	add := func(f file, when time.Time, r io.Reader) error {
		err := folder(path.Dir(f.To))
		if err == nil {
			err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.To, Mode: f.Mode, Size: f.Size, ModTime: when})
		}
		if err == nil {
			_, err = io.Copy(w, r)
		}
		return err
	}
	name := "usr/lib/extension-release.d/extension-release." + extensionName
	// inlay writes this file anew, as old as that, even where it changes nothing.
	if err := add(file{To: name, Mode: 0o644, Size: int64(len(releaseText))}, time.Unix(0, 0), strings.NewReader(releaseText)); err != nil {
		return err
	}
	for _, f := range files {
		in, err := os.Open(f.From)
		if err != nil {
			return err
		}
		err = add(f, when, in)
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
		"--extract", "--delay-directory-restore", "--file="+p.tar(), "--directory="+p.tree()).CombinedOutput()
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
	there := payload{p.name, filepath.Join(pl.folder, "payload"), p.about}
	// -a keeps times and modes, which the image holds.
	text, err := exec.CommandContext(t.Context(), "cp", "-a", p.folder, there.folder).CombinedOutput()
	if err != nil {
		t.Fatalf("copying the payload: %v\n%s", err, text)
	}
	return there
}
