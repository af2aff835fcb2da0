//go:build machines

package machines_test

import (
	"bytes"
	_ "embed" // boot.sh
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/boot"
	"inlay/internal/extension"
	"inlay/test/debian"
	"inlay/test/machine"
)

//go:embed boot.sh
var bootScript string

// bootNode is a node whose boots are watched. What lies in root is laid over a
// machine's system before that boots.
type bootNode struct {
	*payload
	root string
	a    *answers
}

// newBootNode is a node that has inlay, and its boot step where install puts it.
func newBootNode(t *testing.T, install ...string) *bootNode {
	t.Helper()
	p := newPayload(t)
	n := &bootNode{payload: p, root: filepath.Join(p.folder, "root"), a: newAnswers(t)}
	installInlay(t, n.root, install...)
	p.script.WriteString(verifyScript)
	p.script.WriteString(bootScript)
	return n
}

// installInlay lays inlay into the root of a system of Debian, and its boot step.
func installInlay(t *testing.T, root string, install ...string) {
	t.Helper()
	program := filepath.Join(root, "usr/bin/inlay")
	writeFile(t, program, readFile(t, inlay(t)))
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(root, "usr/lib/os-release"), readFile(t, filepath.Join(debian.System(t).Folder(), "usr/lib/os-release")))
	if len(install) > 0 {
		runInlay(t, append([]string{"boot", "install", "--root", root}, install...)...)
	}
}

// bySystemd has systemd boot, and the script run once multi-user.target is there.
func (n *bootNode) bySystemd() { n.by("/usr/lib/systemd/systemd") }

// by has an init of the machine's system boot, which runs the script as a service.
func (n *bootNode) by(init string) { writeFile(n.t, filepath.Join(n.folder, "init"), init+"\n") }

// file lays a file into the node's root.
func (n *bootNode) file(name, text string) {
	n.t.Helper()
	writeFile(n.t, filepath.Join(n.root, name), text)
}

// store puts an image of a kind into the node's store under a name, good or bad,
// and enables it for profiles.
func (n *bootNode) store(k extension.Kind, image, name string, profiles ...string) {
	n.t.Helper()
	content, err := os.ReadFile(image)
	if err != nil {
		n.t.Fatal(err)
	}
	n.file(path.Join(k.Store, k.FileName(name)), string(content))
	for _, profile := range profiles {
		link := filepath.Join(n.root, k.Store, profile, k.FileName(name))
		if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
			n.t.Fatal(err)
		}
		if err := os.Symlink(path.Join("/", k.Store, k.FileName(name)), link); err != nil {
			n.t.Fatal(err)
		}
	}
}

// add puts a sysext that is made so into the store, enabled for profiles.
func (n *bootNode) add(e bootExtension, profiles ...string) {
	n.t.Helper()
	n.store(extension.Sysext(), e.make(n.t), e.name, profiles...)
}

// run boots the node and reads what its script has kept.
func (n *bootNode) run(m machine.Machine) *machine.Results {
	n.t.Helper()
	n.payload.run("answer")
	m.Root = machine.RootImage(n.t)
	m.Disks = append([]machine.Disk{n.disk(), n.a.disk}, m.Disks...)
	results := machine.Run(n.t, m)
	n.a.read()
	return results
}

// bootExtension is how an extension is made. Each has files of its own.
type bootExtension struct {
	name   string
	signer keyPair // none leaves it unsigned
	files  map[string]string
	// confext makes one of the other kind.
	confext bool
	flags   []string // of inlay build
	// spoil changes the image that was made.
	spoil func(t *testing.T, image string)
}

// make builds the image.
func (e bootExtension) make(t *testing.T) string {
	t.Helper()
	tree, out := t.TempDir(), t.TempDir()
	folder, kind := "usr/share/inlay-test/"+e.name, extension.Sysext()
	if e.confext {
		folder, kind = "etc/inlay-test/"+e.name, extension.Confext()
	}
	files := map[string]string{
		folder + "/name": e.name + "\n",
		// Enough data for a hash tree of more than one block.
		folder + "/blob": strings.Repeat("data of the extension "+e.name+"\n", 20_000),
	}
	maps.Copy(files, e.files)
	for name, text := range files {
		writeFile(t, filepath.Join(tree, name), text)
	}
	arguments := slices.Concat([]string{"build", e.name, "dir:" + tree, "--kind", kind.Name, "--output", out}, e.flags)
	if !slices.Contains(e.flags, "squashfs") && !slices.Contains(e.flags, "--compression") {
		// Tests look for the data in the image.
		arguments = append(arguments, "--compression", "none")
	}
	if e.signer != (keyPair{}) {
		arguments = append(arguments, "--private-key", e.signer.key, "--certificate", e.signer.certificate)
	}
	runInlay(t, arguments...)
	made, err := filepath.Glob(filepath.Join(out, "*.raw"))
	if err != nil || len(made) != 1 {
		t.Fatalf("building %s made %q (%v)", e.name, made, err)
	}
	if e.spoil != nil {
		e.spoil(t, made[0])
	}
	return made[0]
}

// decode reads a JSON answer.
func decode[T any](t *testing.T, a *answers, name string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(a.file(t, name), &v); err != nil {
		t.Fatalf("%s: %v\n%s%s", name, err, a.files[name], a.files[name+".err"])
	}
	return v
}

// fate is what became of an extension at a boot.
type fate struct {
	result boot.Result
	from   string
	// reason is a part of it.
	reason string
}

// report reads the report of a case and compares what became of each extension, by the
// name of its kind and its own, or by its path if it is of no store. A step may only
// have gone wrong if expected has a part of what it says.
func (n *bootNode) report(t *testing.T, name string, want map[string]fate, expected ...string) *boot.Report {
	t.Helper()
	r := decode[boot.Report](t, n.a, name+"-report")
	got := map[string]fate{}
	for _, x := range r.Extensions {
		key := x.Kind + " " + x.Name
		if path.IsAbs(x.From) {
			key = x.Path
		}
		if _, twice := got[key]; twice {
			t.Errorf("%s: %s is there twice", name, key)
		}
		f := fate{x.Result, x.From, x.Reason}
		if part := want[key].reason; part != "" && strings.Contains(f.reason, part) {
			f.reason = part
		}
		got[key] = f
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(fate{})); diff != "" {
		t.Errorf("%s: what became of the extensions (-want +got):\n%s", name, diff)
	}
	for _, s := range r.Steps {
		if s.Bad && !slices.ContainsFunc(expected, func(part string) bool { return strings.Contains(s.Text, part) }) {
			t.Errorf("%s: step %s: %s", name, s.Step, s.Text)
		}
	}
	return &r
}

// merged checks that systemd and inlay agree on what is merged of a kind, lowest
// first.
func (n *bootNode) merged(t *testing.T, name string, k extension.Kind, want ...string) {
	t.Helper()
	type hierarchy struct {
		Hierarchy  string
		Extensions any
	}
	var bySystemd []string
	for _, h := range decode[[]hierarchy](t, n.a, name+"-systemd-"+k.Name) {
		list, _ := h.Extensions.([]any) // "none" of older ones
		for _, x := range list {
			bySystemd = append(bySystemd, fmt.Sprint(x))
		}
	}
	slices.Sort(bySystemd)
	status := decode[struct {
		Extensions []struct {
			Name, Protection string
			Merged           bool
		}
		Found []struct {
			Name, Mapping string
			Merged        bool
		}
		Others []string
	}](t, n.a, name+"-"+k.Name)
	for _, x := range status.Found {
		if x.Merged && x.Mapping == "" {
			t.Errorf("%s %s is merged, and status knows no dm-verity device of it", k.Name, x.Name)
		}
	}
	var byInlay []string
	for _, x := range status.Extensions {
		if !x.Merged {
			continue
		}
		byInlay = append(byInlay, x.Name)
		if x.Protection != "signed" {
			t.Errorf("%s %s is merged, and its protection %q", k.Name, x.Name, x.Protection)
		}
	}
	slices.Sort(byInlay)
	want = slices.Sorted(slices.Values(want))
	if diff := cmp.Diff(want, bySystemd); diff != "" {
		t.Errorf("merged as systemd-%s says (-want +got):\n%s%s", k.Name, diff, n.a.files[name+"-systemd-"+k.Name])
	}
	if diff := cmp.Diff(want, byInlay); diff != "" {
		t.Errorf("merged as inlay %s says (-want +got):\n%s%s", k.Name, diff, n.a.files[name+"-"+k.Name])
	}
	if len(status.Others) > 0 {
		t.Errorf("merged, too: %q", status.Others)
	}
}

// verity counts the dm-verity devices of a case.
func (n *bootNode) verity(t *testing.T, name string) int {
	t.Helper()
	return bytes.Count(n.a.file(t, name+"-verity"), []byte(" verity "))
}
