//go:build machines

package machines_test

import (
	_ "embed" // guest.sh
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/test/machine"
)

//go:embed guest.sh
var guestScript string

// payload collects the files and the script of one machine.
type payload struct {
	t      *testing.T
	folder string
	script strings.Builder
}

func newPayload(t *testing.T) *payload {
	t.Helper()
	p := &payload{t: t, folder: t.TempDir()}
	p.script.WriteString(guestScript)
	return p
}

// add copies a file of the host into the payload.
func (p *payload) add(name, path string) {
	p.t.Helper()
	source, err := os.Open(path)
	if err != nil {
		p.t.Fatal(err)
	}
	defer source.Close()
	target, err := os.Create(filepath.Join(p.folder, name))
	if err != nil {
		p.t.Fatal(err)
	}
	defer target.Close()
	if _, err := io.Copy(target, source); err != nil {
		p.t.Fatal(err)
	}
}

// run adds one line to the guest's script.
func (p *payload) run(words ...string) {
	p.script.WriteString(strings.Join(words, " ") + "\n")
}

// disk returns the payload as a disk. The script always ends well: what matters
// is what its cases report.
func (p *payload) disk() machine.Disk {
	p.t.Helper()
	p.run(":")
	writeFile(p.t, filepath.Join(p.folder, "run.sh"), p.script.String())
	return machine.Payload(p.t, p.folder)
}

// outcome is what one case must report.
type outcome struct {
	merged bool
	// byKernel says that the kernel has checked the signature, by a key of its
	// own; otherwise systemd has, by a certificate in /etc/verity.d.
	byKernel bool
}

func (o outcome) values() map[string]string {
	values := map[string]string{"status": "1", "content": "none", "verity": "0", "kernel": "0"}
	if o.merged {
		values = map[string]string{"status": "0", "content": contentWord(), "verity": "1", "kernel": "0"}
	}
	if o.byKernel {
		values["kernel"] = "1"
	}
	return values
}

// check compares the guest's reports with what is expected, a subtest for each.
func check(t *testing.T, results *machine.Results, want map[string]outcome) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(want[name].values(), results.Case(t, name)); diff != "" {
				t.Errorf("the machine reports (-want +got):\n%s", diff)
			}
		})
	}
}

func containsAll(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
