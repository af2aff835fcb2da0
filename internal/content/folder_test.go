package content_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/content"
	"inlay/test/need"
)

// folder opens a folder as a tree.
func folder(t testing.TB, path string) *content.Tree {
	t.Helper()
	root, err := os.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return content.Folder(root)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestFolderStaysInside follows links that would lead out of the folder.
func TestFolderStaysInside(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	write(t, filepath.Join(outside, "secret"), "outside")
	inside := filepath.Join(outside, "inside")
	write(t, filepath.Join(inside, "secret"), "inside")
	for name, target := range map[string]string{
		"above": "../secret", "far": "../../../../../../secret", "absolute": "/secret", "named": filepath.Join(outside, "secret"), "up": "..",
	} {
		if err := os.Symlink(target, filepath.Join(inside, name)); err != nil {
			t.Fatal(err)
		}
	}
	tree := folder(t, inside)
	for _, name := range []string{"above", "far", "absolute", "up/secret", "../secret", "/../secret"} {
		if text, err := tree.ReadFile(name, 100); err != nil || string(text) != "inside" {
			t.Errorf("%q holds %q (%v)", name, text, err)
		}
	}
	if _, err := tree.ReadFile("named", 100); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an absolute path of this machine: %v", err)
	}
}

// TestFolderChanges exchanges files between looking and reading.
func TestFolderChanges(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	write(t, filepath.Join(path, "file"), "four")
	write(t, filepath.Join(path, "folder/in"), "x")
	tree := folder(t, path)
	r, _, err := tree.Open("file")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	write(t, filepath.Join(path, "file"), "4")
	if _, err := io.ReadAll(r); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a file that shrank: %v", err)
	}
	err = tree.Walk(t.Context(), func(f *content.File) error {
		if f.Path != "folder" {
			return nil
		}
		if err := os.Rename(filepath.Join(path, "folder"), filepath.Join(path, "z")); err != nil {
			return err
		}
		return os.Mkdir(filepath.Join(path, "folder"), 0o755)
	})
	if err == nil || !strings.Contains(err.Error(), "exchanged") {
		t.Errorf("a folder that was exchanged: %v", err)
	}
}

// TestSameTreeAsPacked packs a folder with real tools, and reads it and what they
// made.
func TestSameTreeAsPacked(t *testing.T) {
	t.Parallel()
	need.Root(t)
	need.Tool(t, "setfattr", "attr")
	path := filepath.Join(t.TempDir(), "tree")
	script := `
		mkdir -p usr/bin usr/share/many etc
		i=0; while [ $i -lt 700 ]; do echo $i >usr/share/many/a-file-with-a-rather-long-name-$i; i=$((i + 1)); done
		head -c 3000000 /dev/urandom >usr/share/random
		head -c 4096 /dev/urandom >usr/share/block
		truncate -s 5M usr/share/hole; printf end >>usr/share/hole
		echo tool >usr/bin/tool; chmod 6755 usr/bin/tool; ln usr/bin/tool usr/bin/same
		ln -s ../bin/tool usr/share/link; ln -s "$(printf '%0300d' 0)" usr/share/long
		mknod usr/share/null c 1 3; mknod usr/share/disk b 4000 1000000; mkfifo usr/share/pipe
		chown 70000:80000 usr/share/block
		for f in usr/bin/tool usr/share/block usr/share etc; do
			setfattr -n user.origin -v here $f
			setfattr -n trusted.large -v "$(printf '%0600d' 7)" $f
		done
		find . -exec touch -h -d '2023-11-14 22:13:20 UTC' {} +`
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("sh", "-euc", script)
	command.Dir = path
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("making the tree: %v\n%s", err, out)
	}
	want := listing(t, folder(t, path))
	contents := contentOf(t, folder(t, path))
	for kind, argv := range map[string][]string{
		"erofs":    {need.Tool(t, "mkfs.erofs", "erofs-utils"), "IMAGE", path},
		"squashfs": {need.Tool(t, "mksquashfs", "squashfs-tools"), path, "IMAGE", "-quiet", "-no-progress"},
		"ext4":     {need.Tool(t, "mke2fs", "e2fsprogs"), "-q", "-t", "ext4", "-d", path, "IMAGE", "32M"},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "image")
			for i, word := range argv {
				if word == "IMAGE" {
					argv[i] = file
				}
			}
			if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			info, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			tree, err := content.Open(f, info.Size())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(listing(t, tree), "\n")); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(contents, contentOf(t, tree)); diff != "" {
				t.Errorf("content (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAccessLists reads a POSIX ACL, whose attribute has nothing after its
// prefix, in its own form on a disk and in EROFS.
func TestAccessLists(t *testing.T) {
	t.Parallel()
	need.Root(t)
	work := t.TempDir()
	path := filepath.Join(work, "tree/file")
	write(t, path, "x")
	// Version 2; read for the owner, user 5, group, mask and others.
	const list = "0x0200000001000400ffffffff020004000500000004000400ffffffff10000400ffffffff20000400ffffffff"
	if out, err := exec.Command(need.Tool(t, "setfattr", "attr"), "-n", "system.posix_acl_access", "-v", list, path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	image := filepath.Join(work, "erofs")
	if out, err := exec.Command(need.Tool(t, "mkfs.erofs", "erofs-utils"), image, filepath.Dir(path)).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := folder(t, filepath.Dir(path)).Xattr("file", "system.posix_acl_access")
	if err != nil || len(want) != 44 {
		t.Fatalf("on disk: %x, %v", want, err)
	}
	got, found, err := open(t, b).Xattr("file", "system.posix_acl_access")
	if err != nil || !found || !cmp.Equal(want, got) {
		t.Errorf("in EROFS: %x, %v, %v", got, found, err)
	}
}
