package cpio_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/cpio"
)

// file is an entry with its content.
type file struct {
	Header  cpio.Header
	Content string
}

// sample has one of everything; its folder's mode is as cpio -itv shows it.
func sample() []file {
	const when = 1700000000
	return []file{
		{cpio.Header{Name: ".", Mode: cpio.Folder | 0o755, MTime: when, Inode: 1, Links: 2}, ""},
		{cpio.Header{Name: "dev", Mode: cpio.Folder | 0o1777, MTime: when, Inode: 2, Links: 2}, ""},
		{cpio.Header{Name: "dev/null", Mode: cpio.Char | 0o666, MTime: when, Inode: 3, Links: 1, Major: 1, Minor: 3}, ""},
		{cpio.Header{Name: "dev/disk", Mode: cpio.Block | 0o660, GID: 6, MTime: when, Inode: 4, Links: 1, Major: 259, Minor: 70000}, ""},
		{cpio.Header{Name: "dev/fifo", Mode: cpio.Fifo | 0o622, MTime: when, Inode: 5, Links: 1}, ""},
		{cpio.Header{Name: "init", Mode: cpio.Symlink | 0o777, MTime: when, Inode: 6, Links: 1, Size: 4}, "a/b1"},
		{cpio.Header{Name: "su", Mode: cpio.Regular | 0o4755, UID: 1000, GID: 70000, MTime: when, Inode: 7, Links: 2}, ""},
		{cpio.Header{Name: "su2", Mode: cpio.Regular | 0o4755, UID: 1000, GID: 70000, MTime: when, Inode: 7, Links: 2, Size: 7}, "content"},
		{cpio.Header{Name: "empty \n\xff", Mode: cpio.Regular, MTime: when, Inode: 8, Links: 1}, ""},
	}
}

func write(t testing.TB, files []file) []byte {
	t.Helper()
	var b bytes.Buffer
	w := cpio.NewWriter(&b)
	for _, f := range files {
		if err := w.Header(f.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.Content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func read(archive io.Reader) ([]file, error) {
	r := cpio.NewReader(archive)
	var files []file
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		files = append(files, file{*h, string(content)})
	}
}

func TestReadsBackWhatItWrites(t *testing.T) {
	t.Parallel()
	archive := write(t, sample())
	if len(archive)%512 != 0 {
		t.Errorf("%d bytes are no whole blocks", len(archive))
	}
	got, err := read(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Parts that end with Flush make the same archive when they are put together.
func TestPartsJoin(t *testing.T) {
	t.Parallel()
	var joined bytes.Buffer
	for _, f := range sample() {
		w := cpio.NewWriter(&joined)
		if err := w.Header(f.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.Content); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	whole := write(t, sample())
	if !bytes.HasPrefix(whole, joined.Bytes()) {
		t.Error("the parts are not the beginning of the whole")
	}
}

func TestTimesAreBounded(t *testing.T) {
	t.Parallel()
	for given, want := range map[int64]int64{-1: 0, 0: 0, 1 << 32: 1<<32 - 1} {
		files, err := read(bytes.NewReader(write(t, []file{{cpio.Header{Name: "f", Mode: cpio.Regular, Inode: 1, MTime: given}, ""}})))
		if err != nil || files[0].Header.MTime != want {
			t.Errorf("%d became %+v (%v), want %d", given, files, err, want)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 4096)
	for name, c := range map[string]struct {
		header cpio.Header
		want   string
	}{
		"no name":          {cpio.Header{Mode: cpio.Regular, Inode: 1}, "0 bytes"},
		"long name":        {cpio.Header{Name: long, Mode: cpio.Regular, Inode: 1}, "4096 bytes"},
		"NUL":              {cpio.Header{Name: "a\x00b", Mode: cpio.Regular, Inode: 1}, "NUL"},
		"the end's name":   {cpio.Header{Name: "TRAILER!!!", Mode: cpio.Regular, Inode: 1}, "ends a cpio archive"},
		"no inode":         {cpio.Header{Name: "f", Mode: cpio.Regular}, "inode"},
		"mode":             {cpio.Header{Name: "f", Mode: 1 << 20, Inode: 1}, "mode"},
		"four gigabytes":   {cpio.Header{Name: "f", Mode: cpio.Regular, Inode: 1, Size: 1 << 32}, "4 GiB"},
		"negative":         {cpio.Header{Name: "f", Mode: cpio.Regular, Inode: 1, Size: -1}, "-1 bytes"},
		"folder's content": {cpio.Header{Name: "f", Mode: cpio.Folder, Inode: 1, Size: 1}, "only a regular file"},
		"no target":        {cpio.Header{Name: "f", Mode: cpio.Symlink, Inode: 1}, "target of 0"},
		"long target":      {cpio.Header{Name: "f", Mode: cpio.Symlink, Inode: 1, Size: 4096}, "target of 4096"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := cpio.NewWriter(io.Discard).Header(c.header)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestWriterKeepsCount(t *testing.T) {
	t.Parallel()
	w := cpio.NewWriter(io.Discard)
	if err := w.Header(cpio.Header{Name: "f", Mode: cpio.Regular, Inode: 1, Size: 3}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("four")); err == nil {
		t.Error("too much content is taken")
	}
	for what, end := range map[string]func() error{
		"next":  func() error { return w.Header(cpio.Header{Name: "g", Mode: cpio.Regular, Inode: 2}) },
		"flush": w.Flush,
		"close": w.Close,
	} {
		if err := end(); err == nil || !strings.Contains(err.Error(), "misses 3 bytes") {
			t.Errorf("%s with too little content: %v", what, err)
		}
	}
}

// broken fails after some bytes.
type broken struct{ left int }

func (b *broken) Write(p []byte) (int, error) {
	n := min(len(p), b.left)
	b.left -= n
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

func TestWriterRemembersFailures(t *testing.T) {
	t.Parallel()
	whole := len(write(t, sample()))
	for left := 0; left < whole; left += 7 {
		w := cpio.NewWriter(&broken{left})
		for _, f := range sample() {
			// What the one call says, the last says too.
			_ = w.Header(f.Header)
			_, _ = io.WriteString(w, f.Content)
		}
		if err := w.Close(); err == nil {
			t.Fatalf("%d of %d bytes written, and no error", left, whole)
		}
	}
}

func TestReaderRefuses(t *testing.T) {
	t.Parallel()
	good := write(t, sample())
	spoil := func(at int, with string) []byte {
		b := bytes.Clone(good)
		copy(b[at:], with)
		return b
	}
	for name, archive := range map[string][]byte{
		"empty":         nil,
		"magic":         spoil(0, "070702"),
		"number":        spoil(6, "0000000g"),
		"long name":     spoil(6+8*11, "00001001"),
		"no name":       spoil(6+8*11, "00000001"),
		"name's end":    spoil(111, "x"),
		"inode":         spoil(6, "00000000"),
		"padding":       spoil(226, "x"), // behind "dev"
		"cut":           good[:len(good)-600],
		"cut at header": good[:200],
		"tail":          append(bytes.Clone(good), 'x'),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if files, err := read(bytes.NewReader(archive)); err == nil {
				t.Errorf("read %d files without an error", len(files))
			}
		})
	}
}

func FuzzReader(f *testing.F) {
	f.Add(write(f, sample()))
	f.Add(write(f, nil))
	f.Add([]byte("070701"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		files, err := read(bytes.NewReader(archive))
		if err != nil {
			return
		}
		again, err := read(bytes.NewReader(write(t, files)))
		if err != nil {
			t.Fatalf("what was read cannot be read back: %v", err)
		}
		if diff := cmp.Diff(files, again); diff != "" {
			t.Fatalf("-first +second:\n%s", diff)
		}
	})
}
