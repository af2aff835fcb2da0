//go:build machines

package machines_test

import (
	_ "embed" // device.sh
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/test/machine"
)

//go:embed device.sh
var deviceScript string

// TestDevices has internal/device set up dm-verity devices where none of the
// kernel's keys has signed.
func TestDevices(t *testing.T) {
	t.Parallel()
	p := newPayload(t)
	p.addMapper()
	signer := newKeyPair(t, "stranger", "rsa2048")
	p.add("signer.pem", signer.certificate)
	p.add("good.raw", buildImage(t, "device-good", withInlay, signer))
	p.add("repart.raw", buildImage(t, "device-repart", withRepart, signer))
	p.script.WriteString(deviceScript)
	p.run("devices")
	results := machine.Run(t, machine.Machine{Root: machine.RootImage(t), Disks: []machine.Disk{p.disk()}})

	const unknown = "no_key_that_the_kernel_trusts"
	for _, c := range []struct {
		name string
		want map[string]string
	}{
		{"have", map[string]string{"have": "yes"}},
	} {
		t.Run(c.name, func(t *testing.T) { checkAnswers(t, results.Case(t, c.name), c.want) })
	}
	_ = unknown
}

// checkAnswers compares what was answered with what was wanted. A wanted value
// that begins with ~ is a part of it.
func checkAnswers(t *testing.T, got, want map[string]string) {
	t.Helper()
	for key, value := range want {
		if part, ok := strings.CutPrefix(value, "~"); ok && strings.Contains(got[key], part) {
			want[key] = got[key]
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the machine reports (-want +got):\n%s", diff)
	}
}

// addMapper puts the program test/mapper into the payload.
func (p *payload) addMapper() {
	p.t.Helper()
	program := filepath.Join(p.t.TempDir(), "mapper")
	build := exec.CommandContext(p.t.Context(), "go", "build", "-o", program, "inlay/test/mapper")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		p.t.Fatalf("building the mapper: %v\n%s", err, output)
	}
	p.add("mapper", program)
}
