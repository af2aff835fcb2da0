package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"inlay/internal/fetch"
)

// TestFile promises that a local file is a regular one, by whatever links, and
// taken as its name is written.
func TestFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"x.raw", "a b%20#c.raw", ".hidden.raw"} {
		if err := os.WriteFile(at(name), []byte("image"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		os.Mkdir(at("folder.raw"), 0o700), syscall.Mkfifo(at("pipe.raw"), 0o600),
		os.Symlink("x.raw", at("link.raw")), os.Symlink("pipe.raw", at("topipe.raw")), os.Symlink("gone", at("dangling.raw")),
		os.WriteFile(at("empty.raw"), nil, 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		path, given, want, err, advice string
		missing                        bool
	}{
		"file":           {path: at("x.raw"), want: "x.raw"},
		"odd characters": {path: at("a b%20#c.raw"), want: "a b%20#c.raw"},
		"digest":         {path: at("a b%20#c.raw") + "#sha256=" + digest("image").Hex(), want: "a b%20#c.raw"},
		"link":           {path: at("link.raw"), want: "link.raw"},
		"given":          {path: at("x.raw"), given: "y.raw", want: "y.raw"},
		"hidden, given":  {path: at(".hidden.raw"), given: "y.raw", want: "y.raw"},
		"hidden":         {path: at(".hidden.raw"), err: "begins with a dot", advice: "--name"},
		"slash":          {path: dir + "/", err: "ends with a slash"},
		"slash, given":   {path: dir + "/", given: "y.raw", err: "is a folder", advice: "inlay build"},
		"folder":         {path: at("folder.raw"), err: "is a folder", advice: "inlay build"},
		"pipe":           {path: at("pipe.raw"), err: "is not a regular file", advice: "the image's file"},
		"link to a pipe": {path: at("topipe.raw"), err: "is not a regular file", advice: "the image's file"},
		"device":         {path: "/dev/null", err: "is not a regular file", advice: "the image's file"},
		"missing":        {path: at("no.raw"), err: "no such file", advice: "as it is written", missing: true},
		"dangling":       {path: at("dangling.raw"), err: "no such file", advice: "as it is written", missing: true},
		"wrong digest":   {path: at("x.raw") + "#sha256=" + digest("y").Hex(), err: "has the digest", advice: "don't use"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, err := download(t, fetch.Request{URI: "file:" + tt.path, Name: tt.given})
			if tt.err != "" {
				wantError(t, err, tt.err, tt.advice)
				if errors.Is(err, fetch.ErrNotFound) != tt.missing {
					t.Errorf("%v is ErrNotFound: %v", err, !tt.missing)
				}
				return
			}
			if err != nil || g.FileName != tt.want || g.body != "image" {
				t.Errorf("%q, %q, %v", g.FileName, g.body, err)
			}
		})
	}
	if g, err := download(t, fetch.Request{URI: "file:" + at("empty.raw")}); err != nil || g.body != "" || g.Download.Size != 0 {
		t.Errorf("empty: %v, %v", g, err)
	}
}

// TestPipeUntouched promises that a pipe is not opened to see that it is one: its
// writer would take that for its reader.
func TestPipeUntouched(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe.raw")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	writing := make(chan error, 1)
	go func() {
		f, err := os.OpenFile(pipe, os.O_WRONLY, 0)
		if err == nil {
			err = f.Close()
		}
		writing <- err
	}()
	time.Sleep(20 * time.Millisecond) // so that the writer waits, most of the time
	_, err := fetch.Open(t.Context(), fetch.Request{URI: "file:" + pipe})
	wantError(t, err, "is not a regular file", "the image's file")
	select {
	case err := <-writing:
		t.Errorf("the writer has found a reader (%v)", err)
	case <-time.After(50 * time.Millisecond):
		f, err := os.OpenFile(pipe, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(<-writing, f.Close()); err != nil {
			t.Error(err)
		}
	}
}

// memory is a destination that is no file.
type memory struct {
	b     []byte
	after func() // called when the first bytes have been written
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	m.b = append(m.b[:off], p...)
	if m.after != nil {
		m.after()
		m.after = nil
	}
	return len(p), nil
}

func (m *memory) Truncate(size int64) error {
	m.b = m.b[:size]
	return nil
}

// TestFileChanges promises that a file that changes while it is copied is refused,
// and that another in its place is not noticed.
func TestFileChanges(t *testing.T) {
	t.Parallel()
	const size = 5 << 20
	for name, tt := range map[string]struct {
		change func(path string) error
		err    string
	}{
		"replaced": {func(path string) error {
			if err := os.WriteFile(path+".new", []byte("new"), 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		}, ""},
		"removed": {os.Remove, ""},
		"shorter": {func(path string) error { return os.Truncate(path, size-1) }, "changed while it was read"},
		"empty":   {func(path string) error { return os.Truncate(path, 0) }, "changed while it was read"},
		"longer": {func(path string) error {
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			return errors.Join(os.Truncate(path, size+1), os.Chtimes(path, info.ModTime(), info.ModTime()))
		}, "changed while it was read"},
		"rewritten": {func(path string) error { return os.Chtimes(path, time.Now(), time.Now().Add(time.Second)) }, "changed while it was read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := bytes.Repeat([]byte("image"), size/5)
			path := write(t, "x.raw", string(body))
			d, err := fetch.Open(t.Context(), fetch.Request{URI: "file:" + path})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			m := &memory{after: func() {
				if err := tt.change(path); err != nil {
					t.Error(err)
				}
			}}
			_, err = d.Copy(t.Context(), m)
			if tt.err != "" {
				wantError(t, err, tt.err, "nobody writes")
			} else if err != nil || !bytes.Equal(m.b, body) {
				t.Errorf("got %d bytes, %v", len(m.b), err)
			}
		})
	}
}

// TestFileLarge promises that a copy is right over several pieces, tells its
// progress, and stops when it is cancelled.
func TestFileLarge(t *testing.T) {
	t.Parallel()
	const size = 70 << 20
	path := filepath.Join(t.TempDir(), "x.raw")
	if err := os.WriteFile(path, bytes.Repeat([]byte("0123456789abcdef"), size/16), 0o600); err != nil {
		t.Fatal(err)
	}
	var done []int64
	g, err := download(t, fetch.Request{URI: "file:" + path, Progress: func(d, total int64) {
		if total != size {
			t.Errorf("total %d", total)
		}
		done = append(done, d)
	}})
	if err != nil || len(g.body) != size || len(done) != 3 || done[2] != size {
		t.Fatalf("%d bytes, progress %d, %v", len(g.body), done, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stop")
	d, err := fetch.Open(ctx, fetch.Request{URI: "file:" + path, Progress: func(int64, int64) { cancel(stop) }})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	f, err := os.Create(filepath.Join(t.TempDir(), "y"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := d.Copy(ctx, f); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

// full is a destination on a disk that is full.
type full struct{ memory }

func (f *full) WriteAt([]byte, int64) (int, error) { return 0, syscall.ENOSPC }

// TestFull promises that the destination's own error comes out, from each scheme.
func TestFull(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{serve(t, content("image")) + "/x.raw", "file:" + write(t, "x.raw", "image")} {
		d, err := fetch.Open(t.Context(), fetch.Request{URI: uri})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Copy(t.Context(), &full{}); err != error(syscall.ENOSPC) { //nolint:errorlint // nothing wraps it
			t.Errorf("%s: got %v", uri, err)
		}
		d.Close()
	}
}
