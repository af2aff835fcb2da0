package discover_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/discover"
	"inlay/internal/extension"
	"inlay/internal/verify"
	"inlay/test/need"
)

// candidate searches a scene for its only candidate.
func candidate(t *testing.T, path string) *discover.Candidate {
	t.Helper()
	if err := os.Chmod(path, 0o755); err != nil { // whatever the umask
		t.Fatal(err)
	}
	found := findIn(t, path, discover.Options{User: os.Getuid()})
	if len(found.Candidates) != 1 {
		t.Fatalf("%v", account(found))
	}
	return &found.Candidates[0]
}

func TestOpen(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		scene
		content    string // of the image; or a name in the folder
		folder     bool
		statements []string
	}{
		"an image":           {scene{"etc/extensions/foo.raw"}, "etc/extensions/foo.raw", false, nil},
		"a link":             {scene{"etc/extensions/foo.raw -> /data/x.img", "data/x.img"}, "data/x.img", false, nil},
		"a link of a folder": {scene{"etc/extensions -> ../data", "data/foo.raw"}, "data/foo.raw", false, nil},
		"a version":          {scene{"etc/extensions/foo.raw.v/foo_1.raw", "etc/extensions/foo.raw.v/foo_2+3.raw"}, "etc/extensions/foo.raw.v/foo_2+3.raw", false, nil},
		"a folder":           {scene{"etc/extensions/foo/usr/x"}, "usr/x", true, nil},
		"a link to a folder": {scene{"etc/extensions/foo -> /data/x", "data/x/usr/x"}, "usr/x", true, nil},
		"what lies beside it": {
			scene{"etc/extensions/foo.raw", "etc/extensions/foo.roothash", "etc/extensions/foo.usrhash -> /data/y", "data/y", "etc/extensions/foo.verity -> /none"},
			"etc/extensions/foo.raw", false,
			[]string{"foo.roothash: etc/extensions/foo.roothash", "foo.usrhash: data/y"},
		},
		"what lies beside a link and its target": {
			scene{"etc/extensions/foo.raw -> /data/x.raw", "data/x.raw", "etc/extensions/foo.roothash", "data/x.roothash"},
			"data/x.raw", false,
			[]string{"foo.roothash: etc/extensions/foo.roothash", "x.roothash: data/x.roothash"},
		},
		"what lies beside a version": {
			scene{"etc/extensions/foo.raw.v -> /data/v", "data/v/foo_1.raw", "data/v/foo_1.roothash", "etc/extensions/foo.roothash"},
			"data/v/foo_1.raw", false,
			[]string{"foo_1.roothash: data/v/foo_1.roothash"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := t.TempDir()
			test.write(t, path)
			root := openRoot(t, path)
			c := candidate(t, path)
			o, err := c.Open(root)
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			if o.Exposed() != nil {
				t.Errorf("exposed: %v", o.Exposed())
			}
			if o.Subject.Name != "foo" || o.Subject.Kind.Name != "sysext" || !strings.HasSuffix(o.Subject.Path, c.Place) {
				t.Errorf("the subject is the %s %q at %q", o.Subject.Kind.Name, o.Subject.Name, o.Subject.Path)
			}
			if test.folder {
				if _, err := o.Folder.Stat(test.content); err != nil || o.File != nil || o.Subject.Folder != o.Folder || o.Subject.Image != nil {
					t.Errorf("error %v", err)
				}
				return
			}
			b, err := io.ReadAll(io.NewSectionReader(o.Subject.Image, 0, o.Subject.Size))
			if err != nil || string(b) != test.content || o.Subject.Image != io.ReaderAt(o.File) || o.Folder != nil {
				t.Errorf("%q, error %v", b, err)
			}
			var statements []string
			for _, s := range o.Subject.Statements {
				statements = append(statements, s.Origin+": "+s.Text)
			}
			if diff := cmp.Diff(test.statements, statements); diff != "" || o.Subject.Fault != nil {
				t.Errorf("beside it: %v\n%s", o.Subject.Fault, diff)
			}
		})
	}
}

// TestOpenExchanged changes what was found before it is opened.
func TestOpenExchanged(t *testing.T) {
	t.Parallel()
	s := scene{"etc/extensions/foo.raw -> /data/deep/x", "data/deep/x", "data/other", "away/x", "away/y"}
	folder := scene{"etc/extensions/foo -> /data/deep/x", "data/deep/x/usr/", "away/x/usr/", "data/other", "away/y"}
	tests := map[string]struct {
		change  []string // commands: mv, rm, ln, cp, fifo
		same    bool
		missing bool
	}{
		"nothing":                        {nil, true, false},
		"another in its place":           {[]string{"mv away/x data/deep/x2", "rm data/deep/x", "mv data/deep/x2 data/deep/x"}, false, false},
		"none in its place":              {[]string{"rm data/deep/x"}, false, true},
		"a link in its place":            {[]string{"rm data/deep/x", "ln ../../away/x data/deep/x"}, false, false},
		"the same, where a link leads":   {[]string{"mv data/deep/x away/z", "ln ../../away/z data/deep/x"}, true, false},
		"a link out of the root":         {[]string{"rm data/deep/x", "ln /etc/hostname data/deep/x"}, false, false},
		"a link in place of its folder":  {[]string{"mv data/deep data/was", "ln ../away data/deep"}, false, false},
		"a FIFO in its place":            {[]string{"rm data/deep/x", "fifo data/deep/x"}, false, false},
		"the link led elsewhere by then": {[]string{"rm etc/extensions/foo.raw", "ln /data/other etc/extensions/foo.raw"}, true, false},
	}
	for name, test := range tests {
		for kind, s := range map[string]scene{"image": s, "folder": folder} {
			if kind == "folder" && strings.HasPrefix(name, "the link led") {
				continue
			}
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				path := t.TempDir()
				s.write(t, path)
				root := openRoot(t, path)
				c := candidate(t, path)
				for _, command := range test.change {
					if err := run(root, command); err != nil {
						t.Fatalf("%s: %v", command, err)
					}
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					o, err := c.Open(root)
					if err == nil {
						defer o.Close()
					}
					switch {
					case test.same && err != nil, !test.same && err == nil, test.missing && !errors.Is(err, fs.ErrNotExist):
						t.Errorf("error %v", err)
					case test.same && (test.change != nil) != errors.Is(o.Exposed(), discover.ErrExchanged):
						t.Errorf("exposed: %v", o.Exposed())
					}
				}()
				select {
				case <-done:
				case <-time.After(10 * time.Second):
					t.Fatal("opening waits")
				}
			})
		}
	}
}

func run(root *os.Root, command string) error {
	words := strings.Fields(command)
	switch words[0] {
	case "mv":
		return root.Rename(words[1], words[2])
	case "rm":
		return root.RemoveAll(words[1])
	case "ln":
		return root.Symlink(words[1], words[2])
	default:
		return unix.Mkfifo(filepath.Join(root.Name(), words[1]), 0o644)
	}
}

// TestVerifyFound: the name and the kind by which an extension was found decide
// on its release file, not those of the file that it leads to.
func TestVerifyFound(t *testing.T) {
	t.Parallel()
	for release, want := range map[string]verify.Result{"foo": verify.Good, "foo_1.0": verify.Refused, "bar": verify.Refused} {
		path := t.TempDir()
		scene{"etc/extensions/foo.v/foo_1.0/usr/lib/extension-release.d/extension-release." + release}.write(t, path)
		text := []byte("ID=_any\n")
		if err := os.WriteFile(filepath.Join(path, "etc/extensions/foo.v/foo_1.0/usr/lib/extension-release.d/extension-release."+release), text, 0o644); err != nil {
			t.Fatal(err)
		}
		root := openRoot(t, path)
		o, err := candidate(t, path).Open(root)
		if err != nil {
			t.Fatal(err)
		}
		v, err := verify.Run(t.Context(), o.Subject, verify.Options{Policy: anything(t)})
		if err != nil || v.Result != want {
			t.Errorf("%s: %s, %v, error %v", release, v.Result, v.Err, err)
		}
		if want == verify.Good && (v.Name != "foo" || v.Kind != "sysext") {
			t.Errorf("%s: the %s %q", release, v.Kind, v.Name)
		}
		o.Close()
	}
}

// TestOpenBlock finds and opens a real loop device.
func TestOpenBlock(t *testing.T) {
	t.Parallel()
	need.Root(t)
	losetup := need.Tool(t, "losetup", "mount")
	path := t.TempDir()
	scene{"etc/extensions/", "data/"}.write(t, path)
	image := filepath.Join(path, "data/image")
	if err := os.WriteFile(image, []byte(strings.Repeat("x", 4096)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), losetup, "--find", "--show", "--read-only", image).Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.CommandContext(context.Background(), losetup, "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	info, err := os.Stat(device)
	if err != nil {
		t.Fatal(err)
	}
	var s unix.Stat_t
	if err := errors.Join(unix.Stat(device, &s), unix.Mknod(filepath.Join(path, "data/node"), unix.S_IFBLK|0o600, int(s.Rdev))); err != nil {
		t.Fatal(info, err)
	}
	scene{"etc/extensions/foo.raw -> /data/node"}.write(t, path)
	c := candidate(t, path)
	if c.Type != discover.Block || c.Name != "foo.raw" {
		t.Errorf("%s %q", c.Type, c.Name)
	}
	o, err := c.Open(openRoot(t, path))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	b := make([]byte, 2)
	if _, err := o.Subject.Image.ReadAt(b, 4094); err != nil || string(b) != "xx" || o.Subject.Size != 4096 || !o.Subject.Device || o.Exposed() != nil {
		t.Errorf("%q of %d bytes, exposed: %v, error %v", b, o.Subject.Size, o.Exposed(), err)
	}
}

// TestExposed: who else could change what was found.
func TestExposed(t *testing.T) {
	t.Parallel()
	need.Root(t)
	s := scene{"etc/extensions/foo.raw -> /data/deep/x", "data/deep/x"}
	version := scene{"etc/extensions/foo.raw.v/foo_1.raw"}
	plain := scene{"var/lib/extensions -> /data/ext", "data/ext/foo.raw"}
	tests := map[string]struct {
		scene
		at   string
		mode os.FileMode
		user int
		gid  int
		want string
	}{
		"nobody":                           {s, "data/deep/x", 0o644, 0, 0, ""},
		"anybody, the file":                {s, "data/deep/x", 0o666, 0, 0, "anybody may write to it"},
		"a group, the file":                {s, "data/deep/x", 0o664, 0, 6, "group 6 may write to it"},
		"root's group, the file":           {s, "data/deep/x", 0o664, 0, 0, ""},
		"the owner":                        {s, "data/deep/x", 0o400, 1000, 0, "it belongs to user 1000"},
		"the folder of the file":           {s, "data/deep", 0o777, 0, 0, `anybody may write to the folder "/data/deep"`},
		"the sticky folder of the file":    {s, "data/deep", 0o777 | os.ModeSticky, 0, 0, ""},
		"the owner of a sticky folder":     {s, "data/deep", 0o777 | os.ModeSticky, 1000, 0, `the folder "/data/deep" belongs to user 1000`},
		"a folder above":                   {s, "data", 0o775, 0, 6, `group 6 may write to the folder "/data"`},
		"the search folder":                {s, "etc/extensions", 0o777, 0, 0, `anybody may write to the folder "/etc/extensions"`},
		"a folder above the search folder": {s, "etc", 0o755, 1000, 0, `the folder "/etc" belongs to user 1000`},
		"the root folder":                  {s, ".", 0o777, 0, 0, `anybody may write to the folder "/"`},
		"the versioned folder":             {version, "etc/extensions/foo.raw.v", 0o777, 0, 0, `anybody may write to the folder "/etc/extensions/foo.raw.v"`},
		"the folder of the folder's link":  {plain, "var/lib", 0o777, 0, 0, `anybody may write to the folder "/var/lib"`},
		"where the folder's link leads":    {plain, "data/ext", 0o777, 0, 0, `anybody may write to the folder "/data/ext"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := t.TempDir()
			test.write(t, path)
			c := candidate(t, path)
			at := filepath.Join(path, test.at)
			if err := errors.Join(os.Lchown(at, test.user, test.gid), os.Chmod(at, test.mode)); err != nil {
				t.Fatal(err)
			}
			o, err := c.Open(openRoot(t, path))
			if err != nil {
				t.Fatal(err)
			}
			defer o.Close()
			if (o.Exposed() == nil) != (test.want == "") || o.Exposed() != nil && o.Exposed().Error() != test.want {
				t.Errorf("exposed: %v", o.Exposed())
			}
		})
	}
}

// TestExposedTwice: a link of somebody else's in a sticky folder, a user who is
// allowed, and an access list.
func TestExposedTwice(t *testing.T) {
	t.Parallel()
	need.Root(t)
	path := t.TempDir()
	scene{"tmp/foo -> /data/x", "etc/extensions/foo.raw -> /tmp/foo", "data/x"}.write(t, path)
	if err := errors.Join(os.Chmod(path, 0o755), os.Chmod(filepath.Join(path, "tmp"), 0o777|os.ModeSticky)); err != nil {
		t.Fatal(err)
	}
	exposed := func(user int) string {
		o, err := first(findIn(t, path, discover.Options{User: user})).Open(openRoot(t, path))
		if err != nil {
			t.Fatal(err)
		}
		defer o.Close()
		if o.Exposed() == nil {
			return ""
		}
		return o.Exposed().Error()
	}
	if got := exposed(0); got != "" {
		t.Error(got)
	}
	if err := os.Lchown(filepath.Join(path, "tmp/foo"), 1000, 1000); err != nil {
		t.Fatal(err)
	}
	if got := exposed(0); got != `anybody may write to the folder "/tmp"` {
		t.Error(got)
	}
	if got := exposed(1000); got != "" {
		t.Error(got)
	}
	// As setfacl -m u:1000:rw writes it: tag, permissions and number of each.
	list := binary.LittleEndian.AppendUint32(nil, 2)
	for _, e := range [][3]uint32{{1, 6, ^uint32(0)}, {2, 6, 1000}, {4, 4, ^uint32(0)}, {0x10, 6, ^uint32(0)}, {0x20, 4, ^uint32(0)}} {
		list = binary.LittleEndian.AppendUint32(list, e[0]|e[1]<<16)
		list = binary.LittleEndian.AppendUint32(list, e[2])
	}
	if err := unix.Setxattr(filepath.Join(path, "data/x"), "system.posix_acl_access", list, 0); err != nil {
		t.Fatal(err)
	}
	if got := exposed(1000); got != "an access list may let others write to it" {
		t.Error(got)
	}
}

func first(f *discover.Found) *discover.Candidate { return &f.Candidates[0] }

// kinds that are found are those that were looked for.
func TestOpenConfext(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	scene{"run/confexts/foo.confext/etc/x"}.write(t, path)
	found := findIn(t, path, discover.Options{Kind: extension.Confext()})
	o, err := first(found).Open(openRoot(t, path))
	if err != nil {
		t.Fatal(err)
	}
	defer o.Close()
	if o.Subject.Kind.Name != "confext" || o.Subject.Name != "foo" {
		t.Errorf("the %s %q", o.Subject.Kind.Name, o.Subject.Name)
	}
}
