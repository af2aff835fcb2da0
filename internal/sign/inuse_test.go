package sign_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/sign"
	"inlay/test/need"
)

// TestInUse promises that whatever the kernel says of a file is found, whichever
// name it has, and nothing of another.
func TestInUse(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	image, link, other := filepath.Join(folder, "image.raw"), filepath.Join(folder, "same.raw"), filepath.Join(folder, "an other.raw")
	write(t, image, "image")
	write(t, other, "image")
	if err := os.Link(image, link); err != nil {
		t.Fatal(err)
	}
	mount := func(kind, source string) string {
		return "36 35 98:0 / /mnt/a\\040b rw,noatime shared:1 - " + kind + " " + strings.ReplaceAll(source, " ", `\040`) + " ro\n"
	}
	tests := map[string]struct{ backing, mounts, by string }{
		"nothing":              {"", "", ""},
		"its name":             {image, "", "loop7"},
		"another of its names": {link, "", "loop7"},
		"another file":         {other, "", ""},
		"a file that is gone":  {image + " (deleted)", "", ""},
		"mounted":              {"", mount("erofs", link), "the mount on /mnt/a b"},
		"another mounted":      {"", mount("erofs", other), ""},
		"as a name only":       {"", mount("tmpfs", image), ""},
		"a line that is none":  {"", "- erofs\n\n36 - erofs " + image + "\n", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			system := t.TempDir()
			loop := filepath.Join(system, "block/loop7/loop")
			if err := os.MkdirAll(loop, 0o755); err != nil {
				t.Fatal(err)
			}
			if tt.backing != "" {
				write(t, filepath.Join(loop, "backing_file"), tt.backing+"\n")
			}
			write(t, filepath.Join(system, "mountinfo"), tt.mounts)
			f, err := os.Open(image)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			err = sign.InUse(f, filepath.Join(system, "block"), filepath.Join(system, "dev"), filepath.Join(system, "mountinfo"))
			used, found := errors.AsType[*sign.InUseError](err)
			switch {
			case tt.by == "" && err != nil:
				t.Errorf("it is said to be in use: %v", err)
			case tt.by != "" && (!found || !strings.HasSuffix(used.By, tt.by)):
				t.Errorf("got %v, want use by %q", err, tt.by)
			}
		})
	}
}

// TestLoopDevice promises that the kernel is asked which file a device has, for
// its path may lead nowhere.
func TestLoopDevice(t *testing.T) {
	t.Parallel()
	need.Root(t)
	losetup := need.Tool(t, "losetup", "mount")
	image := filepath.Join(t.TempDir(), "image.raw")
	write(t, image, strings.Repeat("x", 1<<20))
	out, err := exec.CommandContext(t.Context(), losetup, "--find", "--show", "--read-only", image).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	device := strings.TrimSpace(string(out))
	defer func() {
		if out, err := exec.Command(losetup, "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}()
	moved := image + ".moved"
	if err := os.Rename(image, moved); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		f, err := os.Open(moved)
		if err != nil {
			t.Fatal(err)
		}
		err = sign.InUse(f, "/sys/block", "/dev", "/proc/self/mountinfo")
		f.Close()
		if used, found := errors.AsType[*sign.InUseError](err); !found || used.By != device {
			t.Errorf("got %v, want use by %q", err, device)
		}
		// Even where another file has the name by which the device was made.
		write(t, image, "another")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
