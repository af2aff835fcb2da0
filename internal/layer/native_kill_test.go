package layer_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/layer"
)

// victimVariable names the host that TestNativeVictim works on until it is killed.
const victimVariable = "INLAY_LAYER_VICTIM"

// TestNativeVictim merges, refreshes and unmerges for as long as it lives.
func TestNativeVictim(t *testing.T) {
	dir := os.Getenv(victimVariable)
	if dir == "" {
		t.Skip("it is for TestNativeKilled")
	}
	h := &host{t: t, dir: dir}
	h.victim()
	for n := 0; ; n++ {
		var err error
		switch n % 4 {
		case 3:
			_, err = h.engine().Unmerge(t.Context(), h.kind, layer.RunOptions{})
		default:
			_, err = h.do("refresh", layer.RunOptions{Always: true})
		}
		if err != nil {
			fmt.Println("victim:", err)
			os.Exit(3)
		}
	}
}

// victim makes h ask for what leaves the most behind.
func (h *host) victim() {
	*h = *newKind(h)
	h.more = func(r *layer.Request) {
		r.Mutable, r.Hierarchies = layer.Mutable, []string{"/usr", "/srv/made"}
	}
}

// TestNativeKilled kills merges at any instant. What is there afterwards is what was
// merged before or after, whole; the next command works, and clears away the rest.
func TestNativeKilled(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHost(t, unix.MS_SHARED)
	h.victim()
	h.write("usr/local/", "")
	h.check(unix.Mount("local", h.path("usr/local"), "tmpfs", 0, ""))
	h.write("usr/local/file", "local")
	h.naked("image", "erofs", map[string]string{"usr/bin/image": "image", "srv/made/image": "image"})
	h.extension("folder", map[string]string{"usr/bin/folder": "folder"})
	before, files := h.mounts(), h.everything()
	for n := range 40 {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNativeVictim$")
		cmd.Env = append(os.Environ(), victimVariable+"="+h.dir)
		out := &tail{}
		cmd.Stdout, cmd.Stderr = out, out
		h.check(cmd.Start())
		time.Sleep(30*time.Millisecond + time.Duration(rand.IntN(100_000))*time.Microsecond)
		h.check(cmd.Process.Kill())
		if cmd.Wait(); cmd.ProcessState.ExitCode() != -1 {
			t.Fatalf("round %d: the victim has ended by itself: %s", n, out.text)
		}
		if h.read("usr/bin/tool") != "host's tool" || h.read("usr/local/file") != "local" {
			t.Fatalf("round %d: the host's files are gone", n)
		}
		if a, b := h.read("usr/bin/image"), h.read("usr/bin/folder"); (a == "image") != (b == "folder") {
			t.Fatalf("round %d: half a merge: %q, %q", n, a, b)
		}
		verb := []string{"merge", "refresh", "unmerge"}[n%3]
		switch verb {
		case "unmerge":
			h.unmerge()
		default:
			_, err := h.do(verb, layer.RunOptions{})
			if already := (*layer.MergedError)(nil); verb == "merge" && asMerged(err, &already) {
				// The victim had come to the end of a merge.
				_, err = h.do("refresh", layer.RunOptions{})
			}
			h.check(err)
			if h.read("usr/bin/image") != "image" || h.read("srv/made/image") != "image" || len(h.mounts()) != len(before)+5 {
				t.Fatalf("round %d: after the %s: %+v", n, verb, h.mounts())
			}
			h.unmerge()
		}
		if diff := cmp.Diff(before, h.mounts()); diff != "" {
			t.Fatalf("round %d: mounts after the unmerge (-want +got):\n%s", n, diff)
		}
		h.noLoops()
		// These stay, and are empty: no work folder is left in them.
		for _, name := range []string{"usr", "srv.made", ""} {
			h.remove("var/lib/extensions.mutable/" + name)
		}
		h.remove("run/inlay/layer.lock")
		h.remove("run/inlay")
		if diff := cmp.Diff(files, h.everything()); diff != "" {
			t.Fatalf("round %d: files after the unmerge (-want +got):\n%s", n, diff)
		}
	}
}

// everything returns the paths of all files of the host.
func (h *host) everything() []string {
	h.t.Helper()
	var all []string
	h.check(filepath.WalkDir(h.dir, func(path string, _ os.DirEntry, err error) error {
		all = append(all, path)
		return err
	}))
	return all
}

// TestNativeTwice: what a refresh leaves that was killed with the new merge beneath
// the old one is taken away, by an unmerge and by a refresh.
func TestNativeTwice(t *testing.T) {
	if !alone(t) {
		return
	}
	for _, verb := range []string{"unmerge", "refresh"} {
		t.Run(verb, func(t *testing.T) {
			h := newHost(t, unix.MS_SHARED)
			before := h.mounts()
			h.extension("one", map[string]string{"usr/bin/one": "one"})
			h.merge()
			once := len(h.mounts())
			// A clone of the merge, on top of it, is what the old one would be.
			h.check(unix.Mount(h.path("usr"), h.path("usr"), "", unix.MS_BIND, ""))
			h.pend()
			if verb == "refresh" {
				h.refresh()
				if len(h.mounts()) != once || h.read("usr/bin/one") != "one" {
					t.Errorf("after the refresh: %+v", h.mounts())
				}
			}
			h.unmerge()
			if diff := cmp.Diff(before, h.mounts()); diff != "" {
				t.Errorf("after the unmerge (-want +got):\n%s", diff)
			}
		})
	}
}

// remove removes a file or an empty folder, if it is there.
func (h *host) remove(name string) {
	h.t.Helper()
	if err := os.Remove(h.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		h.t.Fatal(err)
	}
}
