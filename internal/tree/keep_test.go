package tree_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/tree"
)

// underUsr is what a builder of a sysext keeps.
func underUsr(name string) bool { return strings.HasPrefix(name, "usr/") }

func TestMergeKeep(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		layers  []lines
		stored  lines // in order
		want    lines
		twice   lines
		skipped int
	}{
		{name: "only what is kept is stored", layers: []lines{{"file etc/a x", "file usr/a y", "sym usr/s -> /etc/a"}}, stored: lines{"usr/a"}, want: lines{"dir etc 755", "absent etc/a", "dir usr 755", "file usr/a y", "sym usr/s -> /etc/a"}},
		{
			name: "the highest layer first, and nothing that it hides", layers: []lines{
				{"file usr/a 1", "file usr/b 1", "file usr/d/c 1", "file usr/e/f/g 1", "file usr/h 1", "file usr/i/j 1"},
				{"file usr/a 2", "hide usr/b", "opaque usr/d", "sym usr/e -> a", "dir usr/h/", "dir usr/i/"},
			},
			stored: lines{"usr/a", "usr/i/j"},
			want:   lines{"dir usr 755", "file usr/a 2", "dir usr/d 755", "sym usr/e -> a", "dir usr/h 755", "dir usr/i 755", "file usr/i/j 1"},
		},
		{name: "nothing that an opaque root hides", layers: []lines{{"file usr/a 1"}, {"file usr/b 2", "file .wh..wh..opq"}}, stored: lines{"usr/b"}, want: lines{"dir usr 755", "file usr/b 2"}},
		{name: "a kept name of a file that is not", layers: []lines{{"file opt/a x", "link usr/c -> opt/a", "link usr/b -> opt/a"}}, stored: lines{"usr/b"}, want: lines{"dir opt 755", "file opt/a x (3 names)", "dir usr 755", "file usr/b x (3 names)", "file usr/c x (3 names)"}, twice: lines{"layer-0"}},
		{name: "kept by where a lower link leads", layers: []lines{{"dir usr/lib/", "sym lib -> usr/lib"}, {"file lib/a x", "file usr/b y"}}, stored: lines{"usr/b", "usr/lib/a"}, want: lines{"sym lib -> usr/lib", "dir usr 755", "file usr/b y", "dir usr/lib 755", "file usr/lib/a x"}, twice: lines{"layer-1"}},
		{name: "not kept by where a lower link leads", layers: []lines{{"sym usr/l -> ../etc"}, {"file usr/l/a x"}}, stored: lines{"usr/l/a"}, want: lines{"dir etc 755", "file etc/a x", "dir usr 755", "sym usr/l -> ../etc"}},
		{name: "a hard link to nowhere that is not kept", layers: []lines{{"link etc/a -> gone", "file usr/b y"}}, stored: lines{"usr/b"}, want: lines{"dir usr 755", "file usr/b y"}, skipped: 1},
		{name: "a hard link to nowhere that a link leads away", layers: []lines{{"sym usr/l -> ../etc"}, {"link usr/l/a -> gone", "dir etc/"}}, want: lines{"dir etc 755", "dir usr 755", "sym usr/l -> ../etc"}, skipped: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tr, s, report, err := merge(t, tree.Options{Keep: underUsr}, c.layers...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.stored, s.names); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.want, show(t, tr, s)); diff != "" {
				t.Errorf("tree (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.twice, report.Twice); diff != "" {
				t.Errorf("layers read twice (-want +got):\n%s", diff)
			}
			if report.Skipped != c.skipped {
				t.Errorf("%d links skipped, want %d", report.Skipped, c.skipped)
			}
		})
	}
}

func TestMergeKeptLinkToNowhere(t *testing.T) {
	t.Parallel()
	_, _, _, err := merge(t, tree.Options{Keep: underUsr}, lines{"dir usr/lib/", "sym lib -> usr/lib"}, lines{"link lib/a -> gone"})
	if err == nil || !strings.Contains(err.Error(), `"lib/a" is a hard link to "gone"`) {
		t.Errorf("got %v", err)
	}
}

func TestMergeReadsOnce(t *testing.T) {
	t.Parallel()
	low := tarLayer("low", pack(t, "file a 1", "file b 1"))
	high := tarLayer("high", pack(t, "hide b", "link c -> a", "file d 2"))
	_, report, err := tree.Merge(t.Context(), []tree.Layer{low, high}, tree.Options{}, &store{})
	if err != nil {
		t.Fatal(err)
	}
	if low.reads != 1 || high.reads != 1 {
		t.Errorf("read %d and %d times", low.reads, high.reads)
	}
	if diff := cmp.Diff(tree.Report{Entries: 5, Whiteouts: 1}, report); diff != "" {
		t.Error(diff)
	}
}

func TestMergeTransform(t *testing.T) {
	t.Parallel()
	var seen []string
	o := tree.Options{Transform: func(e *tree.Entry) error {
		seen = append(seen, e.Name)
		e.UID, e.Sec, e.Xattrs = 7, 1, append(e.Xattrs, tree.Xattr{Name: "user.x", Value: []byte(e.Name)})
		return nil
	}}
	tr, _, _, err := merge(t, o, lines{"file a x", "link b -> a", "sym c -> a"}, lines{"hide c", "dir d/"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"d", "a", "c"}, seen); diff != "" {
		t.Errorf("transformed (-want +got):\n%s", diff)
	}
	for _, name := range []string{"a", "d"} {
		ino := tr.Lookup(name)
		if ino.UID != 7 || ino.Sec != 1 || len(ino.Xattrs) != 1 || string(ino.Xattrs[0].Value) != name {
			t.Errorf("%q is %+v", name, ino)
		}
	}
	refusal := errors.New("not this one")
	o.Transform = func(*tree.Entry) error { return refusal }
	if _, _, _, err := merge(t, o, lines{"file a x"}); !errors.Is(err, refusal) {
		t.Errorf("got %v", err)
	}
}

// broken is a Sink that fails.
type broken struct{ err error }

func (b broken) Store(string, *tree.Inode, io.Reader) error { return b.err }

func TestMergeSinkFails(t *testing.T) {
	t.Parallel()
	full := errors.New("no space left")
	_, _, err := tree.Merge(t.Context(), []tree.Layer{tarLayer("one", pack(t, "file usr/a x"))}, tree.Options{}, broken{full})
	if !errors.Is(err, full) || !strings.Contains(err.Error(), `"usr/a"`) || !strings.Contains(err.Error(), `"one"`) {
		t.Errorf("got %v", err)
	}
}

func TestMergeLayerChanges(t *testing.T) {
	t.Parallel()
	link := "link usr/b -> opt/a"
	full, empty := pack(t, "file opt/a x", link), pack(t, "file opt/a", link)
	for name, c := range map[string]struct{ first, second []byte }{
		"another name": {full, pack(t, "file opt/z x", link)},
		"another size": {full, pack(t, "file opt/a xy", link)},
		"another kind": {empty, pack(t, "dir opt/a/", link)},
		"longer":       {full, pack(t, "file opt/a x", link, "dir c/")},
		"shorter":      {full, pack(t)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := [][]byte{c.first, c.second}
			l := opened{"fickle", func(context.Context) (io.ReadCloser, error) {
				r := bytes.NewReader(data[0])
				data = data[1:]
				return io.NopCloser(r), nil
			}}
			_, _, err := tree.Merge(t.Context(), []tree.Layer{l}, tree.Options{Keep: underUsr}, &digests{})
			if err == nil || !strings.Contains(err.Error(), `reading layer "fickle" again`) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// endless is a layer of very many entries.
type endless struct {
	n  int
	of func(i int, e *tree.Entry)
}

func (endless) Name() string { return "endless" }

func (l endless) Walk(_ context.Context, fn func(*tree.Entry, io.Reader) error) error {
	for i := range l.n {
		e := tree.Entry{Name: fmt.Sprintf("usr/share/some-package/folder-%04d/some-file-%06d", i/50, i), Kind: tree.Regular, Mode: 0o644, Size: 1}
		if l.of != nil {
			l.of(i, &e)
		}
		if err := fn(&e, strings.NewReader("x")); err != nil {
			return err
		}
	}
	return nil
}

func TestMergeBoundsMemory(t *testing.T) {
	t.Parallel()
	// The list is shared, so that the test needs no gigabyte; it counts each time.
	large := []tree.Xattr{{Name: "user.x", Value: make([]byte, 64<<10)}}
	l := endless{1 << 20, func(_ int, e *tree.Entry) { e.Xattrs = large }}
	_, _, err := tree.Merge(t.Context(), []tree.Layer{l}, tree.Options{Keep: underUsr}, broken{})
	if err == nil || !strings.Contains(err.Error(), "more files than inlay has memory for") {
		t.Errorf("got %v", err)
	}
}
