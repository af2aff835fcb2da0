package tree_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/hint"
	"inlay/internal/tree"
)

// epoch is the mtime of what the helpers below make.
var epoch = time.Unix(1700000000, 0)

// layer is a tar in memory that counts how often it is read.
type layer struct {
	tree.Layer
	reads int
}

func tarLayer(name string, data []byte) *layer {
	l := &layer{}
	l.Layer = opened{name, func(context.Context) (io.ReadCloser, error) {
		l.reads++
		return io.NopCloser(bytes.NewReader(data)), nil
	}}
	return l
}

// pack makes a tar of lines such as
//
//	dir usr/ 0755        file usr/x content...    link usr/y -> usr/x
//	sym a -> b           fifo p                   hide usr/x    opaque usr
//
// A number after the name is the mode.
func pack(t testing.TB, said ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, line := range said {
		kind, rest, _ := strings.Cut(line, " ")
		name, rest, _ := strings.Cut(rest, " ")
		h := &tar.Header{Name: name, Mode: 0o644, ModTime: epoch, Format: tar.FormatPAX}
		content := ""
		switch kind {
		case "dir":
			h.Typeflag, h.Mode = tar.TypeDir, 0o755
			if rest != "" {
				number(t, rest, "%o", &h.Mode)
			}
		case "file":
			h.Typeflag, content = tar.TypeReg, rest
			h.Size = int64(len(content))
		case "link", "sym":
			h.Typeflag = map[string]byte{"link": tar.TypeLink, "sym": tar.TypeSymlink}[kind]
			h.Linkname = strings.TrimPrefix(rest, "-> ")
		case "fifo":
			h.Typeflag = tar.TypeFifo
		case "char":
			h.Typeflag = tar.TypeChar
			number(t, rest, "%d:%d", &h.Devmajor, &h.Devminor)
		case "hide":
			above, base := name[:strings.LastIndexByte(name, '/')+1], name[strings.LastIndexByte(name, '/')+1:]
			h.Typeflag, h.Name = tar.TypeReg, above+".wh."+base
		case "opaque":
			h.Typeflag, h.Name = tar.TypeReg, name+"/.wh..wh..opq"
		default:
			t.Fatalf("no such kind: %q", line)
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(line, err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(line, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func number(t testing.TB, s, format string, to ...any) {
	t.Helper()
	if _, err := fmt.Sscanf(s, format, to...); err != nil {
		t.Fatal(s, err)
	}
}

// store is a Sink that remembers contents.
type store struct {
	contents []string
	names    []string
}

func (s *store) Store(name string, ino *tree.Inode, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if int64(len(b)) != ino.Size {
		return fmt.Errorf("%q has %d bytes, not %d", name, len(b), ino.Size)
	}
	ino.Ref = uint64(len(s.contents))
	s.contents, s.names = append(s.contents, string(b)), append(s.names, name)
	return nil
}

func digest(b []byte) string {
	return fmt.Sprintf("%d %x", len(b), sha256.Sum256(b))
}

// digests is a Sink that keeps what facts needs.
type digests struct{ list []string }

func (d *digests) Store(_ string, ino *tree.Inode, r io.Reader) error {
	b, err := io.ReadAll(r)
	ino.Ref = uint64(len(d.list))
	d.list = append(d.list, digest(b))
	return err
}

// show writes a tree down, one line for each name but the root; hard links say
// how many names there are.
func show(t testing.TB, tr *tree.Tree, s *store) []string {
	t.Helper()
	var list []string
	for name, ino := range tr.All() {
		var line string
		switch ino.Kind() {
		case tree.Directory:
			line = fmt.Sprintf("dir %s %o", name, ino.Mode&0o7777)
		case tree.Regular:
			if !ino.Stored {
				line = fmt.Sprintf("absent %s", name)
			} else {
				line = fmt.Sprintf("file %s %s", name, s.contents[ino.Ref])
			}
		case tree.Symlink:
			line = fmt.Sprintf("sym %s -> %s", name, ino.Target)
		default:
			line = fmt.Sprintf("%s %s %d:%d", ino.Kind(), name, ino.Major, ino.Minor)
		}
		if ino.Links != 1 {
			line += fmt.Sprintf(" (%d names)", ino.Links)
		}
		if name != "" {
			list = append(list, line)
		}
	}
	return list
}

func merge(t testing.TB, o tree.Options, layers ...[]string) (*tree.Tree, *store, tree.Report, error) {
	t.Helper()
	var list []tree.Layer
	for i, said := range layers {
		list = append(list, tarLayer(fmt.Sprintf("layer-%d", i), pack(t, said...)))
	}
	s := &store{}
	tr, report, err := tree.Merge(t.Context(), list, o, s)
	return tr, s, report, err
}

type lines = []string

// chain returns n links, each to the next, the last to the folder "end".
func chain(n int) lines {
	list := lines{"dir end/"}
	for i := range n {
		list = append(list, fmt.Sprintf("sym l%d -> l%d", i, i+1))
	}
	list[n] = fmt.Sprintf("sym l%d -> end", n-1)
	return list
}

func TestMergeLongChain(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]bool{40: true, 41: false} {
		tr, _, _, err := merge(t, tree.Options{}, chain(n), lines{"fifo l0/f"})
		if (err == nil) != want || err == nil && tr.Lookup("end/f") == nil {
			t.Errorf("%d links: %v", n, err)
		}
	}
}

// A path that links lead on and on must end somewhere, however short the names
// in the layers are.
func TestMergeLongPath(t *testing.T) {
	t.Parallel()
	low := lines{"sym l -> " + strings.Repeat("0123456789/", 370)}
	if _, _, _, err := merge(t, tree.Options{}, low, lines{"fifo l/f"}); err != nil {
		t.Errorf("4070 bytes: %v", err)
	}
	_, _, _, err := merge(t, tree.Options{}, low, lines{"fifo l/and/then/some/more/f"}, lines{"fifo l/and/then/some/more/and/much/more/f"})
	if err == nil || !strings.Contains(err.Error(), "more than 4096 bytes") {
		t.Errorf("more: %v", err)
	}
}

func TestMergeXattrs(t *testing.T) {
	t.Parallel()
	file := func(name, first string) *tar.Header {
		return &tar.Header{Name: name, Typeflag: tar.TypeReg, PAXRecords: map[string]string{"SCHILY.xattr.user." + first: "1", "SCHILY.xattr.user.z": "1"}}
	}
	l := tarLayer("one", headers(t, file("1", "a"), file("2", "b"), file("3", "a")))
	tr, _, err := tree.Merge(t.Context(), []tree.Layer{l}, tree.Options{}, &store{})
	if err != nil {
		t.Fatal(err)
	}
	for name, first := range map[string]string{"1": "user.a", "2": "user.b", "3": "user.a"} {
		want := []tree.Xattr{{Name: first, Value: []byte("1")}, {Name: "user.z", Value: []byte("1")}}
		if diff := cmp.Diff(want, tr.Lookup(name).Xattrs); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if &tr.Lookup("1").Xattrs[0] != &tr.Lookup("3").Xattrs[0] {
		t.Error("equal attributes take room twice")
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		layers []lines
		want   lines
		twice  lines // layers that had to be read twice
		drop   int   // whiteouts that hid nothing
	}{
		{name: "folders without entries", layers: []lines{{"file a/b/c x"}}, want: lines{"dir a 755", "dir a/b 755", "file a/b/c x"}},
		{name: "folder after its content takes its attributes", layers: []lines{{"file a/b x", "dir a/ 0700"}}, want: lines{"dir a 700", "file a/b x"}},
		{name: "names are sorted bytewise", layers: []lines{{"file b", "file a.b", "file a/b", "file a-b", "file B"}}, want: lines{"file B ", "dir a 755", "file a/b ", "file a-b ", "file a.b ", "file b "}},
		{name: "the last of two wins", layers: []lines{{"file a one", "file b b", "file a two"}}, want: lines{"file a two", "file b b"}},
		{name: "the last of two wins, a link keeps the first", layers: []lines{{"file a one", "link b -> a", "file a two"}}, want: lines{"file a two", "file b one"}, twice: lines{"layer-0"}},
		{name: "hard links share an inode", layers: []lines{{"file a x", "link b -> a", "link d/c -> ./b"}}, want: lines{"file a x (3 names)", "file b x (3 names)", "dir d 755", "file d/c x (3 names)"}},
		{name: "hard link before its file", layers: []lines{{"link b -> c", "link c -> a", "file a x"}}, want: lines{"file a x (3 names)", "file b x (3 names)", "file c x (3 names)"}},
		{name: "hard link to itself", layers: []lines{{"file a x", "link a -> a"}}, want: lines{"file a x"}},
		{name: "hard link to a symbolic link", layers: []lines{{"sym a -> nowhere", "link b -> a"}}, want: lines{"sym a -> nowhere (2 names)", "sym b -> nowhere (2 names)"}},
		{name: "hard link to a lower layer", layers: []lines{{"file a x"}, {"link b -> a"}}, want: lines{"file a x (2 names)", "file b x (2 names)"}},
		{name: "hard link to a lower layer's file that goes", layers: []lines{{"file a x"}, {"link b -> a"}, {"hide a"}}, want: lines{"file b x"}, twice: lines{"layer-0"}},
		{name: "hard link to what the layer then replaces", layers: []lines{{"file a x"}, {"link b -> a", "file a new"}}, want: lines{"file a new", "file b x"}, twice: lines{"layer-0"}},
		{name: "upper file wins", layers: []lines{{"file a/b old"}, {"file a/b new"}}, want: lines{"dir a 755", "file a/b new"}},
		{name: "folder over folder keeps what is in it", layers: []lines{{"dir a/ 0700", "file a/b x"}, {"dir a/ 0711", "file a/c y"}}, want: lines{"dir a 711", "file a/b x", "file a/c y"}},
		{name: "folder that only a lower layer names keeps its mode", layers: []lines{{"dir a/ 0700"}, {"file a/c y"}}, want: lines{"dir a 700", "file a/c y"}},
		{name: "file over folder", layers: []lines{{"file a/b x", "file a/c/d y"}, {"file a now"}}, want: lines{"file a now"}},
		{name: "folder over file", layers: []lines{{"file a x"}, {"dir a/ 0750", "file a/b y"}}, want: lines{"dir a 750", "file a/b y"}},
		{name: "unnamed folder over file", layers: []lines{{"file a x"}, {"file a/b y"}}, want: lines{"dir a 755", "file a/b y"}},
		{name: "file over folder over file", layers: []lines{{"file a 1"}, {"file a/b 2"}, {"file a 3"}}, want: lines{"file a 3"}},
		{name: "folder over file of its own layer", layers: []lines{{"file a x", "dir a/", "file a/b y"}}, want: lines{"dir a 755", "file a/b y"}},
		{name: "file over folder of its own layer", layers: []lines{{"file a/b y", "file a x"}}, want: lines{"file a x"}},
		{name: "link over file, file over link", layers: []lines{{"file a x", "sym b -> a"}, {"sym a -> b", "file b y"}}, want: lines{"sym a -> b", "file b y"}},
		{name: "whiteout of a file", layers: []lines{{"file a x", "file b y"}, {"hide a"}}, want: lines{"file b y"}},
		{name: "whiteout of a folder", layers: []lines{{"file d/a x", "file d/e/f x", "file b y"}, {"hide d"}}, want: lines{"file b y"}},
		{name: "whiteout of a link spares its target", layers: []lines{{"file d/a x", "sym l -> d"}, {"hide l"}}, want: lines{"dir d 755", "file d/a x"}},
		{name: "whiteout spares its own layer, before or after", layers: []lines{{"file a x", "file b y"}, {"hide a", "file a new", "file b new", "hide b"}}, want: lines{"file a new", "file b new"}},
		{name: "whiteout and a new folder", layers: []lines{{"dir d/ 0700", "file d/a x"}, {"file d/b y", "hide d"}}, want: lines{"dir d 755", "file d/b y"}},
		{name: "whiteout of nothing", layers: []lines{{"file a x"}, {"hide b", "hide c/d", "opaque e"}}, want: lines{"file a x"}, drop: 3},
		{name: "whiteouts in the only layer", layers: []lines{{"hide a", "file usr/.wh.gone", "opaque usr", "file usr/b y"}}, want: lines{"dir usr 755", "file usr/b y"}, drop: 3},
		{name: "whiteout below a file", layers: []lines{{"file a x"}, {"hide a/b"}}, want: lines{"file a x"}, drop: 1},
		{name: "whiteouts of what a file replaces", layers: []lines{{"file d/x 1", "file d/e/y 1"}, {"hide d/x", "opaque d/e", "file d now"}}, want: lines{"file d now"}},
		{name: "whiteout, then the file again above", layers: []lines{{"file a 1"}, {"hide a"}, {"file a 3"}}, want: lines{"file a 3"}},
		{name: "opaque folder", layers: []lines{{"dir d/ 0711", "file d/a x", "file d/e/f x"}, {"file d/b y", "opaque d"}}, want: lines{"dir d 711", "file d/b y"}},
		{name: "opaque folder with one name of a file", layers: []lines{{"file d/a x", "link b -> d/a"}, {"opaque d"}}, want: lines{"file b x", "dir d 755"}, twice: lines{"layer-0"}},
		{name: "opaque root", layers: []lines{{"file a x", "file d/e/f x"}, {"file b y", "file .wh..wh..opq"}}, want: lines{"file b y"}},
		{name: "aufs metadata", layers: []lines{{"dir .wh..wh.plnk/", "file .wh..wh.plnk/12.34 x", "file .wh..wh.aufs", "file d/.wh..wh.orph/x y", "file a x"}}, want: lines{"file a x"}},
		{name: "below a lower layer's link", layers: []lines{{"file usr/lib/a x", "sym lib -> usr/lib"}, {"file lib/b y"}}, want: lines{"sym lib -> usr/lib", "dir usr 755", "dir usr/lib 755", "file usr/lib/a x", "file usr/lib/b y"}, twice: lines{"layer-1"}},
		{name: "below an absolute link", layers: []lines{{"dir usr/lib/", "sym lib -> /usr/lib"}, {"fifo lib/b"}}, want: lines{"sym lib -> /usr/lib", "dir usr 755", "dir usr/lib 755", "fifo usr/lib/b 0:0"}},
		{name: "below a link that points above the root", layers: []lines{{"dir usr/", "sym d/lib -> ../../../../usr"}, {"fifo d/lib/b"}}, want: lines{"dir d 755", "sym d/lib -> ../../../../usr", "dir usr 755", "fifo usr/b 0:0"}},
		{name: "below an absolute link in a folder", layers: []lines{{"dir usr/", "sym d/e/l -> /usr"}, {"fifo d/e/l/b"}}, want: lines{"dir d 755", "dir d/e 755", "sym d/e/l -> /usr", "dir usr 755", "fifo usr/b 0:0"}},
		{name: "below a link to the root", layers: []lines{{"sym all -> /"}, {"fifo all/all/b"}}, want: lines{"sym all -> /", "fifo b 0:0"}},
		{name: "below links to links", layers: []lines{{"dir c/", "sym b -> c", "sym a -> ./b/."}, {"fifo a/f"}}, want: lines{"sym a -> ./b/.", "sym b -> c", "dir c 755", "fifo c/f 0:0"}},
		{name: "below a link to nothing", layers: []lines{{"sym lib -> usr/lib"}, {"fifo lib/b"}}, want: lines{"sym lib -> usr/lib", "dir usr 755", "dir usr/lib 755", "fifo usr/lib/b 0:0"}},
		{name: "whiteout below a lower layer's link", layers: []lines{{"file usr/lib/a x", "sym lib -> usr/lib"}, {"hide lib/a"}}, want: lines{"sym lib -> usr/lib", "dir usr 755", "dir usr/lib 755"}},
		{name: "opaque marker below a lower layer's link", layers: []lines{{"file usr/lib/a x", "sym lib -> usr/lib"}, {"opaque lib"}}, want: lines{"sym lib -> usr/lib", "dir usr 755", "dir usr/lib 755"}},
		{name: "hard link through a lower layer's link", layers: []lines{{"file usr/lib/a x", "sym lib -> usr/lib"}, {"link lib/b -> lib/a"}}, want: lines{"sym lib -> usr/lib", "dir usr 755", "dir usr/lib 755", "file usr/lib/a x (2 names)", "file usr/lib/b x (2 names)"}},
		{name: "folder replaces a lower layer's link", layers: []lines{{"file usr/lib/a x", "sym lib -> usr/lib"}, {"dir lib/", "file lib/b y"}}, want: lines{"dir lib 755", "file lib/b y", "dir usr 755", "dir usr/lib 755", "file usr/lib/a x"}},
		{name: "folder replaces a lower layer's link, content first", layers: []lines{{"file usr/lib/a x", "sym lib -> usr/lib"}, {"file lib/b y", "dir lib/ 0700"}}, want: lines{"dir lib 700", "file lib/b y", "dir usr 755", "dir usr/lib 755", "file usr/lib/a x"}},
		{name: "opaque folder replaces a lower layer's link", layers: []lines{{"file usr/lib/a x", "sym lib -> usr/lib"}, {"opaque lib", "dir lib/", "hide lib/a"}}, want: lines{"dir lib 755", "dir usr 755", "dir usr/lib 755", "file usr/lib/a x"}, drop: 2},
		{name: "two names of one file in two layers", layers: []lines{{"dir usr/lib/", "sym lib -> usr/lib"}, {"file lib/a old"}, {"file usr/lib/a new"}}, want: lines{"sym lib -> usr/lib", "dir usr 755", "dir usr/lib 755", "file usr/lib/a new"}},
		{name: "a mask that errs is mended", layers: []lines{{"file usr/x keep", "sym lib -> usr"}, {"hide lib", "file a y"}, {"sym lib -> a2", "file lib2 z"}}, want: lines{"file a y", "sym lib -> a2", "file lib2 z", "dir usr 755", "file usr/x keep"}},
		{name: "a mask that hides too much is mended", layers: []lines{{"file real/x keep", "sym d -> real"}, {"file d/x low"}, {"sym real2 -> real", "hide d"}, {"file d/x top"}}, want: lines{"dir d 755", "file d/x top", "dir real 755", "file real/x low", "sym real2 -> real"}, twice: lines{"layer-1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tr, s, report, err := merge(t, tree.Options{}, c.layers...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, show(t, tr, s)); diff != "" {
				t.Errorf("tree (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.twice, report.Twice); diff != "" {
				t.Errorf("layers read twice (-want +got):\n%s", diff)
			}
			if report.Dropped != c.drop {
				t.Errorf("%d whiteouts dropped, want %d", report.Dropped, c.drop)
			}
		})
	}
}

func TestMergeRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		layers []lines
		want   string // in the error
		advice string // in a hint
	}{
		{"below a link of its own layer", []lines{{"dir b/", "sym a -> b", "file a/x y"}}, `lies in "a", but the layer makes "a" a symbolic link`, "again"},
		{"below a link of its own layer, link last", []lines{{"file a/x y", "sym a -> b"}}, `has entries in "a" and makes it a symbolic link`, "again"},
		{"below a link of its own layer, deep", []lines{{"sym a/b/c -> /", "file a/b/c/d/x y"}}, `"a/b/c"`, "again"},
		{"below a lower link that its own layer makes anew later", []lines{{"sym a -> b"}, {"file a/x y", "sym a -> c"}}, `makes "a" a symbolic link`, "again"},
		{"below a link that a lower link leads to", []lines{{"sym a -> b"}, {"sym b -> c", "file a/x y"}}, `makes "b" a symbolic link`, "again"},
		{"below a hard link to a lower link", []lines{{"sym a -> b"}, {"link c -> a", "file c/x y"}}, `makes "c" a symbolic link`, "again"},
		{"below a file of its own layer", []lines{{"file a x", "file a/x y"}}, `makes "a" a regular file`, "again"},
		{"whiteout below a link of its own layer", []lines{{"file b/x y"}, {"sym a -> b", "hide a/x"}}, `makes "a" a symbolic link`, "again"},
		{"opaque marker below a link of its own layer", []lines{{"file b/x y"}, {"sym a -> b", "opaque a"}}, `makes "a" a symbolic link`, "again"},
		{"hard link through a link of its own layer", []lines{{"file b/x y", "sym a -> b", "link c -> a/x"}}, `makes "a" a symbolic link`, "again"},
		{"links in a circle", []lines{{"sym a -> b", "sym b -> a"}, {"file a/x y"}}, "more than 40 symbolic links", ""},
		{"hard link to a layer not chosen", []lines{{"link usr/b -> usr/a"}}, `"usr/b" is a hard link to "usr/a", which the chosen layers don't have`, "--layers all"},
		{"hard link to what its layer hides", []lines{{"file a x"}, {"hide a", "link b -> a"}}, `"b" is a hard link to "a"`, "--layers all"},
		{"hard links in a circle", []lines{{"link a -> b", "link b -> a"}}, `"a" is a hard link to "b"`, ""},
		{"hard link to a folder", []lines{{"dir a/", "link b -> a"}}, `"b" is a hard link to the folder "a"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, _, _, err := merge(t, tree.Options{}, c.layers...)
			if err == nil {
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "layer-") {
				t.Errorf("error %q does not say %q and which layer", err, c.want)
			}
			if !strings.Contains(strings.Join(hint.Of(err), "; "), c.advice) {
				t.Errorf("hints %q do not say %q", hint.Of(err), c.advice)
			}
		})
	}
}
