package witness_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// snapshot describes every file below folder in one line each: all that an
// image has to keep. Names that share a file say which is the first of them.
func snapshot(t *testing.T, folder string) map[string]string {
	t.Helper()
	lines := map[string]string{}
	first := map[uint64]string{}
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(strings.TrimPrefix(path, folder), "/")
		if name == "" {
			return nil
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return fmt.Errorf("%q: no stat", path)
		}
		line := fmt.Sprintf("%v %d:%d %s", info.Mode(), stat.Uid, stat.Gid, info.ModTime().UTC().Format("2006-01-02T15:04:05.999999999"))
		if !info.IsDir() {
			line += fmt.Sprintf(" links=%d", stat.Nlink)
			if earlier, again := first[stat.Ino]; again {
				line += " same=" + earlier
			}
			first[stat.Ino] = name
		}
		switch {
		case info.Mode().IsRegular():
			line += fmt.Sprintf(" %d %s", info.Size(), contentSum(t, path))
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + target
		case info.Mode()&fs.ModeDevice != 0:
			line += fmt.Sprintf(" %d:%d", unix.Major(stat.Rdev), unix.Minor(stat.Rdev))
		}
		lines[name] = line + xattrs(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func contentSum(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

func xattrs(t *testing.T, path string) string {
	t.Helper()
	// Nearly none has any.
	if n, err := unix.Llistxattr(path, nil); err == nil && n == 0 {
		return ""
	}
	names := make([]byte, 64<<10)
	n, err := unix.Llistxattr(path, names)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(path, name, value)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf(" %s=%x", name, value[:n]))
	}
	slices.Sort(all)
	return strings.Join(all, "")
}

// wantTree compares what an image shows, without the release file that the
// build adds, with the folder that holds the truth.
func wantTree(t *testing.T, truth, shown map[string]string, added ...string) {
	t.Helper()
	shown = maps.Clone(shown)
	for _, name := range added {
		if _, there := shown[name]; !there {
			t.Errorf("%q is not in the image", name)
		}
		// Folders above it that the source lacks were made with it.
		for ; name != "."; name = filepath.Dir(name) {
			if _, there := truth[name]; !there {
				delete(shown, name)
			}
		}
	}
	if diff := cmp.Diff(truth, shown); diff != "" {
		if len(diff) > 4000 {
			diff = diff[:4000] + "…"
		}
		t.Errorf("the image differs from the truth (-want +got):\n%s", diff)
	}
}
