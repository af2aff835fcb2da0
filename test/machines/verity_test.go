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
	trusted, foreign := newKeyPair(t, "trusted", "rsa2048"), newKeyPair(t, "foreign", "rsa2048")
	p := newPayload(t)
	p.add("trusted.pem", trusted.certificate)
	p.add("foreign.pem", foreign.certificate)
	want := map[string]outcome{}
	for _, tool := range tools() {
		p.add(tool.name+".raw", buildImage(t, tool.build, trusted))
		p.add(tool.name+"-foreign.raw", buildImage(t, tool.build, foreign))

		p.run("trust")
		p.run("attempt", tool.name+"-no-certificate", tool.name+".raw")
		want[tool.name+"-no-certificate"] = outcome{}
		p.run("trust trusted.pem")
		p.run("attempt", tool.name+"-certificate", tool.name+".raw")
		want[tool.name+"-certificate"] = outcome{merged: true}
		p.run("attempt", tool.name+"-foreign-key", tool.name+"-foreign.raw")
		want[tool.name+"-foreign-key"] = outcome{}
		// What the Secure Boot test relies on: this takes /etc/verity.d away,
		// and nothing but the kernel's own keys is left.
		p.run("SYSTEMD_ALLOW_USERSPACE_VERITY=0 attempt", tool.name+"-kernel-only", tool.name+".raw")
		want[tool.name+"-kernel-only"] = outcome{}
	}
	results := machine.Run(t, machine.Machine{
		Root:  machine.RootImage(t),
		Disks: []machine.Disk{p.disk()},
	})
	check(t, results, want)
}
