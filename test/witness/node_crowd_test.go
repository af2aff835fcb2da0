package witness_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/test/sample"
)

const storeFolder = "var/lib/kairos/extensions"

// TestCrowd starts 200 commands on one store at once, each about an extension of
// its own: every one of them ends well, and nothing of what any did is lost.
func TestCrowd(t *testing.T) {
	t.Parallel()
	const many = 50
	image := sample.Make(t, sample.Image{Name: "app", FileSystem: "squashfs"})
	root := throwAway(t)
	var commands [][]string
	var want []string
	// What is there already is as other tools leave it: files, and absolute links.
	for i := range many {
		for _, c := range []struct {
			name, profile string // the profile that it is enabled for before
			args          []string
			profiles      string // those afterwards; "" is an image that is gone
		}{
			{"enabled", "", []string{"enable", "--active", "--common"}, "[active common]"},
			{"disabled", "passive", []string{"disable", "--passive"}, "[]"},
			{"removed", "active", []string{"remove"}, ""},
			{"fetched", "", []string{"download", "file:" + image, "--quiet", "--name"}, "[]"},
		} {
			name := fmt.Sprintf("app_%s.%d", c.name, i)
			file := name + ".sysext.raw"
			if c.name != "fetched" {
				command(t, nil, "cp", "--sparse=always", image, filepath.Join(stored(t, root), file))
			}
			if c.profile != "" {
				link := filepath.Join(stored(t, root, c.profile), file)
				if err := os.Symlink("/"+storeFolder+"/"+file, link); err != nil {
					t.Fatal(err)
				}
			}
			if c.profiles != "" {
				want = append(want, name+" "+c.profiles)
			}
			commands = append(commands, append(c.args, name, "--root", root, "--wait", "2m"))
		}
	}
	var crowd sync.WaitGroup
	for _, args := range commands {
		crowd.Go(func() {
			out, err := exec.CommandContext(t.Context(), inlay, append([]string{"sysext"}, args...)...).CombinedOutput()
			if err != nil {
				t.Errorf("%v: %v\n%s", args, err, out)
			}
		})
	}
	crowd.Wait()

	n := call{root: root}
	var got []string
	for _, e := range n.entries(t) {
		got = append(got, fmt.Sprintf("%s %v", e.Name, e.Profiles))
		if strings.HasPrefix(e.Name, "app_fetched") && e.Digest == "" {
			t.Errorf("%s has lost its digest", e.Name)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	wantClean(t, root)
}

// stored makes and returns a folder of the store.
func stored(t *testing.T, root string, below ...string) string {
	t.Helper()
	folder := filepath.Join(append([]string{root, storeFolder}, below...)...)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	return folder
}

// wantClean fails the test if the store keeps what no image needs, or if a link
// leads nowhere.
func wantClean(t *testing.T, root string) {
	t.Helper()
	for _, left := range []string{"aside/*", "staging/*", "journal"} {
		names, err := filepath.Glob(filepath.Join(root, storeFolder, ".inlay", left))
		if err != nil || len(names) > 0 {
			t.Errorf("the store keeps %v, %v", names, err)
		}
	}
	records, err := os.ReadDir(filepath.Join(root, storeFolder, ".inlay/records"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if _, err := os.Stat(filepath.Join(root, storeFolder, strings.TrimSuffix(r.Name(), ".json"))); err != nil {
			t.Errorf("a record without an image: %v", err)
		}
	}
}
