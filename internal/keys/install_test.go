package keys_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/keys"
)

// pair is a secret file and one that belongs to it.
func pairOf(content string) []keys.File {
	return []keys.File{{Name: "db.key", Secret: true, Data: []byte(content)}, {Name: "db.pem", Data: []byte(content)}}
}

func TestInstallNeverOverwrites(t *testing.T) {
	t.Parallel()
	for _, there := range []string{"db.key", "db.pem"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, there), []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := keys.Install(dir, false, pairOf("new"))
		checkError(t, err, fmt.Sprintf("file %q", there), "--force")
		if !errors.Is(err, fs.ErrExist) {
			t.Errorf("error %v is not fs.ErrExist", err)
		}
		checkError(t, keys.CheckAbsent(dir, []string{"other", there}, false), fmt.Sprintf("file %q", there), "--force")
		if err := keys.CheckAbsent(dir, []string{there}, true); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(map[string]string{there: "precious"}, contents(t, dir)); diff != "" {
			t.Errorf("folder (-want +got):\n%s", diff)
		}
	}
}

func TestInstallForce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, content := range []string{"first", "second"} {
		if _, err := keys.Install(dir, true, pairOf(content)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]string{"db.key": content, "db.pem": content}, contents(t, dir)); diff != "" {
			t.Errorf("folder (-want +got):\n%s", diff)
		}
		checkModes(t, dir, map[string]fs.FileMode{"db.key": 0o600, "db.pem": 0o644})
		if err := os.Chmod(filepath.Join(dir, "db.key"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A link in the way is not followed, with force neither.
func TestInstallFollowsNoLinks(t *testing.T) {
	t.Parallel()
	dir, victim := t.TempDir(), write(t, "precious")
	if err := os.Symlink(victim, filepath.Join(dir, "db.pem")); err != nil {
		t.Fatal(err)
	}
	_, err := keys.Install(dir, false, pairOf("new"))
	checkError(t, err, `file "db.pem"`, "--force")
	if _, err := keys.Install(dir, true, pairOf("new")); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(map[string]string{"db.key": "new", "db.pem": "new"}, contents(t, dir)); diff != "" {
		t.Errorf("folder (-want +got):\n%s", diff)
	}
	data, err := os.ReadFile(victim)
	if err != nil || string(data) != "precious" {
		t.Errorf("the link's target holds %q, %v", data, err)
	}
}

// Whenever a run is killed, no certificate stands beside another run's key: that is
// so at every moment that anybody can see.
func TestInstallNeverMixes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var done atomic.Bool
	var writer sync.WaitGroup
	writer.Go(func() {
		defer done.Store(true)
		for i := range 100 {
			if _, err := keys.Install(dir, true, pairOf(strconv.Itoa(i))); err != nil {
				t.Error(err)
			}
		}
	})
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return ""
		}
		return string(data)
	}
	seen := 0
	for keyed := false; !done.Load(); {
		before := read("db.pem")
		key := read("db.key")
		if keyed && key == "" {
			t.Error("for a moment there was no key")
		}
		keyed = keyed || key != ""
		if before == "" || before != read("db.pem") {
			continue // it is being replaced
		}
		seen++
		if key != before {
			t.Errorf("certificate %s stands beside key %s", before, key)
		}
	}
	writer.Wait()
	if seen == 0 {
		t.Error("nothing was seen")
	}
}

func TestInstallRefusesFolders(t *testing.T) {
	t.Parallel()
	occupied := write(t, "a file")
	_, err := keys.Install(occupied, false, pairOf("new"))
	checkError(t, err, "not a folder", "name a folder")

	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "db.pem"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err = keys.Install(dir, true, pairOf("new"))
	checkError(t, err, `"db.pem" is a folder`, "remove it")
	if _, err := os.Stat(filepath.Join(dir, "db.key")); err == nil {
		t.Error("half of the files are there")
	}
}

// What cannot be replaced is found out before anything is. A mount point is such
// a file, but only an immutable one can be made here.
func TestInstallPutsBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := keys.Install(dir, true, pairOf("old")); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(dir, "db.pem"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err != nil {
		t.Skipf("reading the flags of a file: %v", err)
	}
	if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags|unix.STATX_ATTR_IMMUTABLE); err != nil {
		t.Skipf("making a file immutable: %v", err)
	}
	defer func() {
		if err := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags); err != nil {
			t.Error(err)
		}
	}()
	_, err = keys.Install(dir, true, pairOf("new"))
	checkError(t, err, `keeping the old "db.pem"`, "")
	if diff := cmp.Diff(map[string]string{"db.key": "old", "db.pem": "old"}, contents(t, dir)); diff != "" {
		t.Errorf("folder (-want +got):\n%s", diff)
	}
}

func checkModes(t *testing.T, dir string, want map[string]fs.FileMode) {
	t.Helper()
	for name, mode := range want {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != mode {
			t.Errorf("%q has mode %v, want %v", name, info.Mode().Perm(), mode)
		}
	}
}

// contents returns what the files of a folder hold.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[entry.Name()] = string(data)
	}
	return all
}
