//go:build machines

package machines_test

import (
	_ "embed" // powercut.sh
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/test/machine"
)

//go:embed powercut.sh
var powerCutScript string

// powerCuts is how often the machine of TestPowerCut is killed.
const powerCuts = 20

// TestPowerCut kills a machine at random moments while it downloads an extension,
// enables it, or replaces one by another. The boot after that is good each time: all
// that was enabled is there and whole, and what was being changed is either as it was
// or as it should become.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	signer := newKeyPair(t, "signer", "p256")
	n := newScriptNode(t, signer)
	extensions := map[string]bootExtension{"steady": {name: "steady"}}
	for i := range 3 {
		name := fmt.Sprintf("one%d", i)
		extensions[name] = bootExtension{name: name}
	}
	for version, folder := range map[string]string{"1": "first", "2": "second"} {
		extensions[folder+"/app"] = bootExtension{name: "app", files: map[string]string{"usr/share/inlay-test/app/version": version + "\n"}}
	}
	for at, e := range extensions {
		e.signer = signer
		writeFile(t, filepath.Join(n.folder, at+".sysext.raw"), readFile(t, e.make(t)))
	}
	n.payload.run(badBootScript)
	n.payload.run(powerCutScript)
	n.payload.run("powered")
	state := stateDisk(t)
	state.Keep = true
	m := machine.Machine{Root: machine.RootImage(t), Arguments: []string{"COS_ACTIVE", "ro"}, Disks: []machine.Disk{n.disk(), state}}

	seed := uint64(time.Now().UnixNano())
	t.Logf("the moments are those of seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	phases := []string{"download", "enable", "replace"}
	took := map[string]time.Duration{}
	node := cutNode{on: map[string]bool{"app": true, "steady": true}, versions: []string{"1"}}
	in := map[string]int{} // how often what was going on when the power went
	for cut := range powerCuts + 1 {
		running := machine.Start(t, m)
		running.Wait(t, machine.Mark("checked"))
		node.check(t, running.Results())
		if cut == 0 {
			// Once to the end, to see how long all this takes on this host.
			for _, phase := range phases {
				running.Wait(t, machine.Mark("doing "+phase))
				start := time.Now()
				running.Wait(t, machine.Mark("done "+phase))
				took[phase] = time.Since(start)
			}
			t.Logf("what it takes: %v", took)
		} else {
			phase := phases[cut%len(phases)]
			running.Wait(t, machine.Mark("doing "+phase))
			time.Sleep(time.Duration(random.Int64N(int64(took[phase]))))
		}
		running.Stop()
		in[node.follow(t, running.Results())]++
		if t.Failed() {
			t.Fatalf("after %d power cuts", cut)
		}
	}
	running := machine.Start(t, m)
	running.Wait(t, machine.Mark("checked"))
	node.check(t, running.Results())
	running.Stop()
	t.Logf("cut off while doing: %v", in)
	for _, phase := range phases {
		if in[phase] == 0 {
			t.Errorf("the power never went during %s", phase)
		}
	}
}

// cutNode is what is to be found on the node after its power went.
type cutNode struct {
	on map[string]bool
	// open is the extension that may be enabled or not, "" if there is none.
	open string
	// versions are those that the app may have.
	versions []string
}

// check compares it with what a boot has found, which from then on is what is known.
func (n *cutNode) check(t *testing.T, results *machine.Results) {
	t.Helper()
	found := results.Case(t, "check")
	if n.open != "" {
		n.on[n.open] = strings.Contains(found["linked"], n.open+".sysext.raw")
	}
	var linked, seen strings.Builder
	for _, name := range slices.Sorted(maps.Keys(n.on)) {
		if n.on[name] {
			linked.WriteString(name + ".sysext.raw,")
			seen.WriteString(name + ",")
		}
	}
	want := map[string]string{
		"boot": "0", "good": "0", "linked": linked.String(), "seen": seen.String(), "app": found["app"],
		"not": "0", "problems": "0", "disk": "0", "list": "0",
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("the boot (-want +got):\n%s", diff)
	}
	if !slices.Contains(n.versions, found["app"]) {
		t.Errorf("the app is of version %q, and not of %q", found["app"], n.versions)
	}
	n.open, n.versions = "", []string{found["app"]}
}

// follow takes in what a boot has done before its power went, and returns what it was
// doing then.
func (n *cutNode) follow(t *testing.T, results *machine.Results) (doing string) {
	t.Helper()
	plan := results.Case(t, "plan")
	one, next := plan["one"], map[string]string{"first": "1", "second": "2"}[plan["next"]]
	doing = "nothing"
	for _, op := range []string{"remove", "download", "enable", "replace"} {
		state := results.Case(t, op)["state"]
		switch state {
		case "failed":
			t.Errorf("%s failed", op)
		case "doing":
			doing = op
		}
		switch {
		case state == "none", op == "download":
		case op == "replace":
			if n.versions = append(n.versions, next); state == "done" {
				n.versions = []string{next}
			}
		case state == "doing":
			n.open = one
		default:
			n.on[one] = op == "enable"
		}
	}
	return doing
}
