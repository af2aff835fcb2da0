//go:build machines

package machines_test

import (
	_ "embed" // device.sh
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

	for _, image := range []string{"good", "repart"} {
		t.Run(image, func(t *testing.T) { checkImage(t, results, image) })
	}
	made, gone := made(false, false), map[string]string{"verity": "0", "loops": "0"}
	readable := map[string]string{"content": "readable"}
	for name, want := range map[string]map[string]string{
		"have":         {"have": "yes"},
		"none":         {"is": "none", "error": "~file_does_not_exist", "hints": "0"},
		"none-removed": {"removed": "yes"},

		// The kernel has no key of the signer's, and the caller may not mind.
		"unsigned": made, "unsigned-left": gone,
		"required":      {"error": "~no_key_that_the_kernel_trusts", "hints": "1"},
		"required-left": gone,
		// What the kernel says of a number that is wrong depends on the number.
		"spoilt": with(made, "unverified", "~signature"), "spoilt-left": gone,
		"spoilt-required": {"error": "~signature", "hints": "1"},
		"killed":          {"killed": "yes"}, "killed-left": gone,
		"crowd": {"made": "1", "shared": "11"}, "crowd-left": gone,

		// A byte changes while the image is mounted.
		"corrupt": made, "corrupt-before": readable, "corrupt-after": {"content": "unreadable"},
		"corrupt-status":        with(status(), "corrupted", "true", "backing", "/run/bad.raw"),
		"corrupt-checked":       {"veritysetup": "corrupted", "root": "~"},
		"corrupt-taken":         {"is": "taken", "error": "~corrupt_block", "hints": "1"},
		"corrupt-aside":         with(made, "name", "~-verity-2"),
		"corrupt-aside-content": {"content": "readable", "verity": "2"}, "corrupt-left": gone,

		"taken-other":        {"is": "taken", "error": "~no_dm-verity_device", "hints": "1"},
		"taken-other-status": {"error": "~no_dm-verity_device", "hints": "0"},
		"listed-mount":       made, "listed": {"count": "1", "names": "~-verity"},
		"kept":          with(made, "name", "aside"),
		"taken-lax":     {"is": "taken", "error": "~ignore_corruption", "hints": "1"},
		"taken-removed": {"removed": "yes"}, "taken-left": gone,
		"abandoned": made, "abandoned-content": readable, "abandoned-left": gone,

		"nodes":       {"have": "yes", "content": "readable"},
		"nodes-mount": with(made, "path", "private", "unverified", "~no_key"), "nodes-left": gone,

		"udev": made, "udev-link": {"link": "../dm-0"}, "udev-left": gone, "udev-unlinked": {"link": ""},
		// We share what systemd has made, and judge it by its root hash. It does not
		// share ours: it takes none without the signature, though it would have made
		// it so itself.
		"systemd":         {"content": "readable", "verity": "1", "name": "~-verity"},
		"systemd-status":  with(status(), "backing", "/var/lib/extensions/hello.sysext.raw"),
		"systemd-shared":  with(made, "shared", "true"),
		"systemd-without": readable,
		"systemd-after":   with(status(), "backing", "/var/lib/extensions/hello.sysext.raw"),
		"systemd-left":    gone,
		"first":           with(made, "unverified", "~no_key"),
		"first-systemd":   {"content": "readable", "verity": "2"},
		"first-without":   readable, "first-left": gone,

		"strict-offered": {"error": "~require_signatures):_no_key_that_the_kernel_trusts", "hints": "1"},
		"strict-none":    {"error": "~require_signatures)", "hints": "1"}, "strict-left": gone,
	} {
		t.Run(name, func(t *testing.T) { checkAnswers(t, results.Case(t, name), want) })
	}
}

// checkImage checks what a machine whose kernel doesn't know the signer reports
// of one image.
func checkImage(t *testing.T, results *machine.Results, image string) {
	t.Helper()
	name := results.Case(t, image+"-dmsetup")["name"]
	for what, want := range map[string]map[string]string{
		"offered": with(made(false, false), "name", name, "unverified", "~no_key_that_the_kernel_trusts"),
		"content": {"content": "readable", "verity": "1"},
		"status":  with(status(), "name", name, "backing", "/run/"+image+".raw"),
		"checked": {"veritysetup": "verified", "root": strings.TrimSuffix(name, "-verity")},
		"dmsetup": {"name": name, "uuid": "~CRYPT-VERITY-", "state": "ACTIVE_(READ-ONLY)_(DEFERRED_REMOVE)"},
		"shared":  with(made(false, true), "name", name),
		"two":     {"content": "readable", "loops": "2", "verity": "1"},
		"one":     {"content": "readable"},
		"left":    {"verity": "0", "loops": "0"},
	} {
		t.Run(what, func(t *testing.T) { checkAnswers(t, results.Case(t, image+"-"+what), want) })
	}
}

// TestDevicesByTheKernel has the kernel check signatures: under Secure Boot, with
// one signer's certificate in db.
func TestDevicesByTheKernel(t *testing.T) {
	t.Parallel()
	platform, signer := newKeyPair(t, "platform", "rsa2048"), newKeyPair(t, "signer", "p256")
	trust := machine.Trust{
		PK: platform.certificate, KEK: platform.certificate, DB: []string{platform.certificate, signer.certificate},
	}
	p := newPayload(t)
	p.addMapper()
	p.add("good.raw", buildImage(t, "kernel-good", withInlay, signer))
	p.add("foreign.raw", buildImage(t, "kernel-foreign", withInlay, newKeyPair(t, "foreign", "p256")))
	p.run("export SYSTEMD_ALLOW_USERSPACE_VERITY=0")
	p.script.WriteString(deviceScript)
	p.run("kernel_keys")
	uki := machine.UKI{Key: platform.key, Certificate: platform.certificate}
	results := machine.Run(t, machine.Machine{
		Root: machine.RootImage(t), Disks: []machine.Disk{p.disk()},
		Firmware: &machine.Firmware{Variables: trust.Variables(t), ESP: machine.BootDisk(t, uki.Build(t))},
	})

	gone := map[string]string{"verity": "0", "loops": "0"}
	for name, want := range map[string]map[string]string{
		"required":        made(true, false),
		"required-status": with(status(), "kernel", "true", "backing", "/run/good.raw"),
		"required-table":  {"content": "readable", "table": "2_root_hash_sig_key_desc"},
		"shared":          made(true, true),
		// Now both share what the other has made.
		"systemd": {"content": "readable", "verity": "1"}, "systemd-left": gone,
		"systemd-shared": made(true, true), "shared-left": gone,

		"foreign":          with(made(false, false), "unverified", "~no_key_that_the_kernel_trusts"),
		"foreign-shared":   {"is": "taken", "error": "~the_kernel_has_not_checked_its_signature", "hints": "1"},
		"foreign-required": {"error": "~no_key_that_the_kernel_trusts", "hints": "1"},
		"spoilt":           with(made(false, false), "unverified", "~signature"), "spoilt-left": gone,

		"strict":         made(true, false),
		"strict-foreign": {"error": "~require_signatures):_no_key_that_the_kernel_trusts", "hints": "1"},
		"strict-none":    {"error": "~require_signatures)", "hints": "1"}, "strict-left": gone,
	} {
		t.Run(name, func(t *testing.T) { checkAnswers(t, results.Case(t, name), want) })
	}
}

// made is what the mapper answers when it has mounted an image.
func made(byKernel, shared bool) map[string]string {
	return map[string]string{
		"kernel": strconv.FormatBool(byKernel), "shared": strconv.FormatBool(shared), "path": "device", "name": "~-verity",
		"unverified": "<nil>",
	}
}

// status is what the mapper says of a device in order; what is behind it is the
// case's own.
func status() map[string]string {
	return map[string]string{
		"name": "~-verity", "uuid": "~CRYPT-VERITY-", "root": "~", "corrupted": "false", "kernel": "false",
		"deferred": "true", "readonly": "true",
	}
}

// with returns a copy of values with some changed: key, value, key, value.
func with(values map[string]string, changes ...string) map[string]string {
	values = maps.Clone(values)
	for i := 0; i < len(changes); i += 2 {
		values[changes[i]] = changes[i+1]
	}
	return values
}

// checkAnswers compares what was answered with what was wanted. A wanted value
// that begins with ~ is a part of it.
func checkAnswers(t *testing.T, got, want map[string]string) {
	t.Helper()
	want = maps.Clone(want)
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
