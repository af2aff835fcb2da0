//go:build machines

package machines_test

import (
	"testing"

	"inlay/test/machine"
)

// TestSysextMergesSignedImages holds images to systemd's policy "signed" on a
// machine without Secure Boot, where certificates come from /etc/verity.d.
func TestSysextMergesSignedImages(t *testing.T) {
	t.Parallel()
	trusted, foreign := inlayKeyPair(t, "trusted"), newKeyPair(t, "foreign", "rsa2048")
	p := newPayload(t)
	p.add("trusted.pem", trusted.certificate)
	want := map[string]outcome{}
	attempt := func(name string, build builder, signer keyPair, outcome outcome) {
		p.add(name+".raw", buildImage(t, name, build, signer))
		p.run("attempt", name, name+".raw")
		want[name] = outcome
	}

	p.run("trust")
	for _, tool := range tools() {
		attempt(tool.name+"-no-certificate", tool.build, trusted, outcome{})
	}
	p.run("trust trusted.pem")
	for _, tool := range tools() {
		attempt(tool.name+"-certificate", tool.build, trusted, outcome{merged: true})
		attempt(tool.name+"-foreign-key", tool.build, foreign, outcome{})
	}
	attempt("unsigned", withInlay, keyPair{}, outcome{})
	attempt("signed-later", withInlayLater, trusted, outcome{merged: true})
	attempt("signed-again", withRepartThenInlay, trusted, outcome{merged: true})

	// What the Secure Boot test relies on: this takes /etc/verity.d away, and
	// nothing but the kernel's own keys is left.
	p.run("export SYSTEMD_ALLOW_USERSPACE_VERITY=0")
	for _, tool := range tools() {
		attempt(tool.name+"-kernel-only", tool.build, trusted, outcome{})
	}
	results := machine.Run(t, machine.Machine{
		Root:  machine.RootImage(t),
		Disks: []machine.Disk{p.disk()},
	})
	check(t, results, want)
}
