package content_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"inlay/internal/content"
)

func fakeFile(text string) *content.Fake {
	return &content.Fake{File: content.File{Mode: content.TypeRegular | 0o644, Size: int64(len(text))}, Text: strings.NewReader(text)}
}

func fakeLink(target string) *content.Fake {
	return &content.Fake{File: content.File{Mode: content.TypeLink | 0o777, Target: target}}
}

// fakeFolder holds names and files in turn.
func fakeFolder(in ...any) *content.Fake {
	f := &content.Fake{File: content.File{Mode: content.TypeFolder | 0o755}}
	for i := 0; i < len(in); i += 2 {
		name, isName := in[i].(string)
		file, isFile := in[i+1].(*content.Fake)
		if !isName || !isFile {
			panic("names and files in turn")
		}
		f.Names, f.Files = append(f.Names, name), append(f.Files, file)
	}
	return f
}

// nested is a folder in a folder, depth times, each of the name.
func nested(depth int, name string) *content.Fake {
	f := fakeFolder()
	for range depth {
		f = fakeFolder(name, f)
	}
	return f
}

// TestHostileTrees walks trees that no honest tool makes.
func TestHostileTrees(t *testing.T) {
	t.Parallel()
	circle := fakeFolder()
	circle.Names, circle.Files = []string{"again"}, []*content.Fake{circle}
	shared := fakeFolder("file", fakeFile("x"))
	with := func(change func(*content.Fake)) *content.Fake {
		f := fakeFile("text")
		change(f)
		return fakeFolder("file", f)
	}
	for name, c := range map[string]struct {
		root *content.Fake
		want string
	}{
		"a folder in itself":    {circle, "twice"},
		"a folder at two paths": {fakeFolder("a", shared, "b", shared), "twice"},
		"two files of a name":   {fakeFolder("a", fakeFile("1"), "b", fakeFile("2"), "a", fakeFile("3")), `"a" is there twice`},
		"no name":               {fakeFolder("", fakeFile("")), "cannot be the name"},
		"dot":                   {fakeFolder(".", fakeFile("")), "cannot be the name"},
		"two dots":              {fakeFolder("..", fakeFile("")), "cannot be the name"},
		"a slash":               {fakeFolder("a/b", fakeFile("")), "cannot be the name"},
		"a NUL":                 {fakeFolder("a\x00", fakeFile("")), "cannot be the name"},
		"a long name":           {fakeFolder(strings.Repeat("n", 256), fakeFile("")), "cannot be the name"},
		"deep":                  {nested(513, "d"), "512 folders deep"},
		"a long path":           {nested(40, strings.Repeat("n", 200)), "longer than 4096 bytes"},
		"no such type":          {with(func(f *content.Fake) { f.Mode = 0o644 }), "no such type"},
		"a negative size":       {with(func(f *content.Fake) { f.Size = -1 }), "out of bounds"},
		"an impossible size":    {with(func(f *content.Fake) { f.Size = 1 << 60 }), "out of bounds"},
		"a link to nothing":     {fakeFolder("link", fakeLink("")), "target of the link"},
		"a link with a NUL":     {fakeFolder("link", fakeLink("a\x00b")), "target of the link"},
		"a link without end":    {fakeFolder("link", fakeLink(strings.Repeat("a", 4096))), "target of the link"},
		"an attribute twice": {with(func(f *content.Fake) {
			f.Xattrs = []content.Xattr{{Name: "user.a"}, {Name: "user.b"}, {Name: "user.a"}}
		}), "twice"},
		"a nameless attribute": {with(func(f *content.Fake) { f.Xattrs = []content.Xattr{{}} }), "attribute is empty"},
		"a large attribute": {with(func(f *content.Fake) {
			f.Xattrs = []content.Xattr{{Name: "user.a", Value: make([]byte, 65537)}}
		}), "more bytes"},
		"a reader that panics": {with(func(f *content.Fake) { f.Panics = true }), "damaged: out of range"},
		"a reader that fails":  {with(func(f *content.Fake) { f.Failing = errors.New("no more") }), `reading "/file": no more`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := content.NewFake(c.root).Walk(t.Context(), func(*content.File) error { return nil })
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// TestManyFiles walks folders in folders that hold too much in all. What is listed
// waits in memory, so that no more of it may be than can be walked.
func TestManyFiles(t *testing.T) {
	t.Parallel()
	const each = 1_500_000
	names, files := make([]string, each), make([]*content.Fake, each)
	for i := range each {
		names[i], files[i] = fmt.Sprintf("%07d", i), fakeFile("")
		if i > 0 {
			files[i] = files[1]
		}
	}
	root := fakeFolder()
	for range 3 {
		inside := slices.Clone(files)
		inside[0] = root
		root = fakeFolder()
		root.Names, root.Files = names, inside
	}
	count := 0
	err := content.NewFake(root).Walk(t.Context(), func(*content.File) error { count++; return nil })
	if err == nil || !strings.Contains(err.Error(), "more than 4000000 files") || count > 10 {
		t.Errorf("after %d files: %v", count, err)
	}
}

// TestOrder walks names that bytes order in another way than paths.
func TestOrder(t *testing.T) {
	t.Parallel()
	tree := content.NewFake(fakeFolder("a-b", fakeFile(""), "b", fakeFile(""), "a", fakeFolder("z", fakeFile(""), "\xff", fakeFile(""))))
	var got []string
	err := tree.Walk(t.Context(), func(f *content.File) error {
		got = append(got, f.Path)
		return nil
	})
	if want := ". a a/z a/\xff a-b b"; err != nil || strings.Join(got, " ") != want {
		t.Errorf("got %q, %v", got, err)
	}
}

// panicking is a reader that panics.
type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("nil map") }

// TestHostileContent reads files that hold another number of bytes than they say.
func TestHostileContent(t *testing.T) {
	t.Parallel()
	short, long, broken := fakeFile("four"), fakeFile("four"), fakeFile("four")
	short.Text, long.Text, broken.Text = strings.NewReader("4"), strings.NewReader("four and more"), panicking{}
	tree := content.NewFake(fakeFolder("short", short, "long", long, "broken", broken))
	if _, err := tree.ReadFile("short", 100); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short: %v", err)
	}
	if text, err := tree.ReadFile("long", 100); err != nil || string(text) != "four" {
		t.Errorf("long: %q, %v", text, err)
	}
	if _, err := tree.ReadFile("broken", 100); err == nil || !strings.Contains(err.Error(), "damaged: nil map") {
		t.Errorf("broken: %v", err)
	}
}

// TestManyLinks counts the links on one path.
func TestManyLinks(t *testing.T) {
	t.Parallel()
	var in []any
	for i := range 41 {
		in = append(in, strings.Repeat("l", i+1), fakeLink(strings.Repeat("l", i+2)))
	}
	in = append(in, strings.Repeat("l", 42), fakeFile("found"))
	tree := content.NewFake(fakeFolder(in...))
	if text, err := tree.ReadFile("ll", 100); err != nil || string(text) != "found" {
		t.Errorf("40 links: %q, %v", text, err)
	}
	if _, err := tree.ReadFile("l", 100); err == nil || !strings.Contains(err.Error(), "too many levels") {
		t.Errorf("41 links: %v", err)
	}
	// The path may also grow without end.
	if _, err := content.NewFake(fakeFolder("a", fakeFolder("b", fakeLink("b/b")))).ReadFile("a/b", 1); err == nil {
		t.Error("a link to below itself leads somewhere")
	}
	if _, _, err := content.NewFake(nested(600, "d")).Resolve(strings.Repeat("d/", 600)); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("600 folders deep: %v", err)
	}
}
