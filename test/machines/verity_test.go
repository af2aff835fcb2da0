//go:build machines

package machines_test

import (
	"testing"

	"inlay/test/machine"
)

// TestSysextMergesSignedImages holds images to systemd's policy "signed" on a
// machine without Secure Boot, where certificates come from /etc/verity.d.
func TestSysextMergesSignedImages(t *testing.T) {
	trusted, foreign := newKeyPair(t, "trusted", "rsa2048"), newKeyPair(t, "foreign", "rsa2048")
	p := newPayload(t)
	p.add("trusted.pem", trusted.certificate)
	p.add("foreign.pem", foreign.certificate)
	want := map[string]outcome{}
	for tool, build := range builders() {
		p.add(tool+".raw", buildImage(t, build, trusted))
		p.add(tool+"-foreign.raw", buildImage(t, build, foreign))

		p.run("trust")
		p.run("attempt", tool+"-no-certificate", tool+".raw")
		want[tool+"-no-certificate"] = outcome{}
		p.run("trust trusted.pem")
		p.run("attempt", tool+"-certificate", tool+".raw")
		want[tool+"-certificate"] = outcome{merged: true}
		p.run("attempt", tool+"-foreign-key", tool+"-foreign.raw")
		want[tool+"-foreign-key"] = outcome{}
		// What the Secure Boot test relies on: this takes /etc/verity.d away,
		// and nothing but the kernel's own keys is left.
		p.run("SYSTEMD_ALLOW_USERSPACE_VERITY=0 attempt", tool+"-kernel-only", tool+".raw")
		want[tool+"-kernel-only"] = outcome{}
	}
	results := machine.Run(t, machine.Machine{
		Root:  machine.RootImage(t),
		Disks: []machine.Disk{p.disk()},
	})
	check(t, results, want)
}
