package bundle_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/bundle"
	"inlay/test/need"
)

// TestUnpackKilled kills a process that unpacks over what is there, at any time. The
// folder is the old one or the new one, whole, and the next command leaves nothing
// else.
func TestUnpackKilled(t *testing.T) {
	t.Parallel()
	image := func(text string) string {
		var entries []entry
		for i := range 300 {
			entries = append(entries, entry{name: fmt.Sprintf("usr/%d/%d", i%17, i), text: strings.Repeat(text, 100+i)})
		}
		return imageOf(t, entries)
	}
	refs := []string{image("old "), image("new ")}
	var whole [][]string
	for _, ref := range refs {
		dir := filepath.Join(t.TempDir(), "x")
		mustUnpack(t, dir, ref, bundle.Options{NoSameOwner: true})
		whole = append(whole, contentOf(t, dir))
	}
	work := t.TempDir()
	dir := filepath.Join(work, "x")
	start := time.Now()
	if out, err := player(t, refs[0], dir, "mine").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	took := time.Since(start)
	killed, rubbish := 0, 0
	for i := range 24 {
		c := player(t, refs[(i+1)%2], dir, "mine replace")
		check(t, c.Start())
		time.Sleep(rand.N(took * 5 / 4))
		check(t, c.Process.Kill())
		if err := c.Wait(); err != nil {
			killed++
		}
		if got := contentOf(t, dir); !slices.ContainsFunc(whole, func(w []string) bool { return slices.Equal(w, got) }) {
			t.Fatalf("after a kill it is neither the old nor the new one: %d files", len(got))
		}
		if len(names(t, work)) > 1 {
			rubbish++
		}
	}
	t.Logf("of 24 processes, %d were killed and %d left something", killed, rubbish)
	if killed < 6 || rubbish == 0 {
		t.Errorf("this test kills too rarely")
	}
	mustUnpack(t, dir, refs[0], bundle.Options{NoSameOwner: true, Replace: true})
	if list := names(t, work); !slices.Equal(list, []string{"x"}) {
		t.Errorf("left behind: %q", list)
	}
}

// contentOf is a listing without times of folders that no layer names.
func contentOf(t testing.TB, dir string) []string {
	t.Helper()
	return slices.DeleteFunc(listing(t, dir), func(line string) bool { return strings.HasPrefix(line, "folder ") })
}

// TestPutBack finds what a process left that was killed between the two renames of
// an exchange by hand.
func TestPutBack(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	dir := filepath.Join(work, "x")
	one := imageOf(t, []entry{{name: "usr/one", text: "1"}})
	mustUnpack(t, dir, one, bundle.Options{NoSameOwner: true})
	before := contentOf(t, dir)
	check(t, os.Mkdir(work+"/.#x.inlay", 0o700))
	check(t, os.Rename(dir, work+"/.#x.inlay/old"))
	if _, err := unpack(t.Context(), dir, damage(t, imageOf(t, []entry{{name: "usr/two", text: strings.Repeat("2", 999)}})), bundle.Options{NoSameOwner: true}); err == nil {
		t.Error("a damaged image was taken")
	}
	if diff := cmp.Diff(before, contentOf(t, dir)); diff != "" {
		t.Error(diff)
	}
	if list := names(t, work); !slices.Equal(list, []string{"x"}) {
		t.Errorf("left behind: %q", list)
	}
}

// TestUnpackByOthers unpacks as somebody who is not root.
func TestUnpackByOthers(t *testing.T) {
	t.Parallel()
	need.Root(t)
	//nolint:usetesting // others must be able to go there
	work, err := os.MkdirTemp("", "inlay-others-")
	check(t, err)
	t.Cleanup(func() { os.RemoveAll(work) })
	check(t, os.Chmod(work, 0o777))
	program := filepath.Join(work, "play")
	copyFile(t, os.Args[0], program)
	layout := filepath.Join(work, "image")
	check(t, os.CopyFS(layout, os.DirFS(strings.TrimPrefix(imageOf(t, everything()...), "layout:"))))
	nobody := func(dir, options string) (string, error) {
		c := player(t, "layout:"+layout, filepath.Join(work, dir), options)
		c.Path, c.Dir = program, work
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := c.CombinedOutput()
		if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
			t.Fatal(err)
		}
		return string(out), err
	}
	before := names(t, work)
	if out, err := nobody("a/x", ""); err == nil || !strings.Contains(out, "setting the owner of") {
		t.Errorf("with owners: %v, %s", err, out)
	}
	if list := names(t, work); !slices.Equal(list, before) {
		t.Errorf("left behind: %q", list)
	}
	for range 2 { // and again, over it, with folders that nobody may write to
		if out, err := nobody("x", "mine replace"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		lines := strings.Join(listing(t, work+"/x"), "\n")
		for _, want := range []string{`regular file "usr/bin/other" 755 65534:65534 `, `folder "usr/closed" 500 65534:65534 `, `fifo "usr/pipe"`, `user.origin="here"`} {
			if !strings.Contains(lines, want) {
				t.Errorf("there is no %s in\n%s", want, lines)
			}
		}
		for _, bad := range []string{"device", "security.", " 0:0 "} {
			if strings.Contains(lines, bad) {
				t.Errorf("there is %s in\n%s", bad, lines)
			}
		}
	}
	if list := names(t, work); !slices.Equal(list, []string{"image", "play", "x"}) {
		t.Errorf("left behind: %q", list)
	}
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	check(t, err)
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	check(t, err)
	_, err = io.Copy(out, in)
	check(t, errors.Join(err, out.Close()))
}
