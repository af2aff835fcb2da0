package witness_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/test/sample"
)

// crashing builds the program that kills itself before the change to the disk
// that INLAY_CRASH_AT numbers.
var crashing = sync.OnceValues(func() (string, error) {
	path := inlay + "-crash"
	c := exec.Command("go", "build", "-tags", "crash", "-o", path, "inlay/cmd/inlay")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	text, err := c.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, text)
	}
	return path, nil
})

// call is one call of the program on a store.
type call struct {
	root  string
	enter []string // what enters the namespace that it merges in
	at    int      // before which change to the disk it dies; 0: none
}

// run returns what it printed, and its exit status: -1 if it was killed.
func (c call) run(t *testing.T, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	program, err := crashing()
	if err != nil {
		t.Fatal(err)
	}
	argv := slices.Concat(c.enter, []string{program, "sysext"}, args, []string{"--root", c.root})
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "INLAY_CRASH_AT="+strconv.Itoa(c.at))
	var out, wrong bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &wrong
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	} else if ok {
		status = exit.ExitCode()
	}
	return out.String(), wrong.String(), status
}

// must runs it and fails the test if it fails.
func (c call) must(t *testing.T, args ...string) string {
	t.Helper()
	stdout, stderr, status := c.run(t, args...)
	if status != 0 {
		t.Fatalf("%v: status %d\n%s%s", args, status, stdout, stderr)
	}
	return stdout
}

// entry is one extension as a list shows it.
type entry struct {
	Name, FileName, Digest, Why string
	Profiles                    []string
	Linked                      bool
}

func (c call) entries(t *testing.T) []entry {
	t.Helper()
	var list struct{ Extensions []entry }
	text := c.must(t, "list", "--json")
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		t.Fatalf("reading the list: %v\n%s", err, text)
	}
	return list.Extensions
}

// listed is what a list shows of each image that a command can change: what
// it is called, the digest that it was let in with, and where it is used.
func (c call) listed(t *testing.T) []string {
	t.Helper()
	all := []string{}
	for _, e := range c.entries(t) {
		all = append(all, fmt.Sprintf("%s %s %v linked %t %s", e.FileName, e.Digest, e.Profiles, e.Linked, e.Why))
	}
	return all
}

// onDisk is every file and link below the root, but for what the store keeps to
// itself when nothing is going on, and whoever merges, and that none of it is rubbish.
func (c call) onDisk(t *testing.T) []string {
	t.Helper()
	own := filepath.Join("var/lib/kairos/extensions/.inlay")
	all := []string{}
	err := filepath.WalkDir(c.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(c.root, path)
		if err != nil || slices.Contains([]string{own + "/lock", own + "/spare"}, name) || strings.HasPrefix(name, "run/inlay/") {
			return err
		}
		if target, err := os.Readlink(path); err == nil {
			all = append(all, name+" -> "+target)
		} else if strings.HasPrefix(name, own+"/records/") {
			all = append(all, name) // its digest is in the list
		} else {
			all = append(all, name+" "+contentSum(t, path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// images are two images under the same name, "app", for any file name app_*.
func images(t *testing.T) (first, second string) {
	t.Helper()
	var all []string
	for _, text := range []string{"first\n", "second\n"} {
		all = append(all, sample.Make(t, sample.Image{Name: "app", Files: map[string]string{"usr/share/witness/app": text}}))
	}
	return all[0], all[1]
}

// linked is what lies in the run folder, and so what is merged if nothing was
// forgotten.
func (c call) linked(t *testing.T) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(c.root, "run/extensions"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, e := range entries {
		all.WriteString(strings.TrimSuffix(e.Name(), ".sysext.raw") + "\n")
	}
	return all.String()
}

// merged are the names of what is merged, a line each: none where nothing is.
func (c call) merged(t *testing.T) string {
	t.Helper()
	argv := slices.Concat(c.enter, []string{"find", filepath.Join(c.root, "usr/.systemd-sysext"), "-name", "extensions", "-exec", "cat", "{}", "+"})
	text, err := exec.CommandContext(t.Context(), argv[0], argv[1:]...).Output()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed { // there is no such folder
		t.Fatal(err)
	}
	return string(text)
}

// TestKilledCommand kills the real program before each of its changes to the
// disk. A list shows the old state then or the new, and clears up; the same command
// again makes it the new one, and leaves nothing else. What was merged follows at the latest
// with the next command that changes the store, whichever that is.
func TestKilledCommand(t *testing.T) {
	t.Parallel()
	first, second := images(t)
	both := [][]string{
		{"download", "file:" + first, "--name", "app_1"},
		{"download", "file:" + first, "--name", "app_2"},
		{"enable", "--active", "--now", "app_1", "app_2"},
	}
	for _, c := range []struct {
		name string
		args []string
		back [][]string // the way back to the old state; nil: to a machine without a store
	}{
		{"first download", []string{"download", "file:" + first, "--name", "app_1"}, nil},
		{"download", []string{"download", "file:" + first, "--name", "app_3"}, [][]string{{"remove", "app_3"}}},
		{"replace", []string{"download", "file:" + second, "--name", "app_1"}, both[:1]},
		{"enable", []string{"enable", "--passive", "--common", "--now", "app_1", "app_2"}, [][]string{{"disable", "--passive", "--common", "app_1", "app_2"}}},
		{"disable", []string{"disable", "--active", "--now", "app_1", "app_2"}, both[2:]},
		{"remove", []string{"remove", "--now", "app_1", "app_2"}, both},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n := call{root: throwAway(t), enter: apart(t)}
			if c.back != nil {
				n.must(t, "download", "file:"+first, "--name", "app_0")
				for _, args := range both {
					n.must(t, args...)
				}
			}
			oldList, oldDisk := n.listed(t), n.onDisk(t)
			n.must(t, c.args...)
			newList, newDisk := n.listed(t), n.onDisk(t)
			for at := 1; ; at++ {
				if c.back == nil {
					n.root = throwAway(t)
				}
				for _, args := range c.back {
					n.must(t, args...)
				}
				if diff := cmp.Diff(oldDisk, n.onDisk(t)); diff != "" {
					t.Fatalf("there is no way back (-want +got)\n%s", diff)
				}
				dying := n
				dying.at = at
				stdout, stderr, status := dying.run(t, c.args...)
				if status != 0 && status != -1 {
					t.Fatalf("change %d: status %d\n%s%s", at, status, stdout, stderr)
				}
				wantNew := status == 0
				got := n.listed(t)
				if !slices.Equal(got, newList) && (wantNew || !slices.Equal(got, oldList)) {
					t.Errorf("killed before change %d: a list shows neither the old state nor the new (-old +got)\n%s", at, cmp.Diff(oldList, got))
				}
				// What one list has shown as done is done.
				wantNew = slices.Equal(got, newList)
				// That the running system has to follow waits for a change.
				clean := slices.DeleteFunc(n.onDisk(t), func(line string) bool { return strings.HasPrefix(line, storeFolder+"/.inlay/stale ") })
				if !slices.Equal(clean, newDisk) && (wantNew || !slices.Equal(clean, oldDisk)) {
					t.Errorf("killed before change %d: after the list neither the old state nor the new (-old +got)\n%s", at, cmp.Diff(oldDisk, clean))
				}
				// Settling takes an extension that no command here is about.
				if c.back != nil {
					n.settle(t)
				}
				if c.back != nil {
					if diff := cmp.Diff(n.linked(t), n.merged(t)); diff != "" {
						t.Errorf("killed before change %d: after the next command, something else is merged (-linked +merged)\n%s", at, diff)
					}
				}
				if got := n.onDisk(t); c.back != nil && !slices.Equal(got, newDisk) && (wantNew || !slices.Equal(got, oldDisk)) {
					t.Errorf("killed before change %d: after the next command neither the old state nor the new (-old +got)\n%s", at, cmp.Diff(oldDisk, got))
				}
				stdout, stderr, again := n.run(t, c.args...)
				if again != 0 && (!wantNew || c.name != "remove" || again != 4) {
					t.Errorf("killed before change %d: the same again: status %d\n%s%s", at, again, stdout, stderr)
				}
				if diff := cmp.Diff(newList, n.listed(t)); diff != "" {
					t.Errorf("killed before change %d: after the same again, the list (-want +got)\n%s", at, diff)
				}
				if diff := cmp.Diff(newDisk, n.onDisk(t)); diff != "" {
					t.Errorf("killed before change %d: after the same again (-want +got)\n%s", at, diff)
				}
				if status == 0 {
					t.Logf("%d changes to the disk", at-1)
					break
				}
				if t.Failed() {
					break
				}
			}
		})
	}
}

// settle runs a command that changes nothing but takes the lock.
func (c call) settle(t *testing.T) {
	t.Helper()
	c.must(t, "disable", "--recovery", "app_0")
}
