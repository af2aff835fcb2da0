//go:build machines

package machines_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/test/machine"
)

// TestKernelAcceptsOurSignature boots under Secure Boot, with the signers'
// certificates in db alone and systemd's own check switched off: the kernel's
// platform keyring decides, and so whether our PKCS#7 is right.
func TestKernelAcceptsOurSignature(t *testing.T) {
	t.Parallel()
	platform := map[string]keyPair{}
	for _, name := range []string{"PK", "KEK", "db"} {
		platform[name] = newKeyPair(t, name, "rsa2048")
	}
	trust := machine.Trust{
		PK: platform["PK"].certificate, KEK: platform["KEK"].certificate,
		DB: []string{platform["db"].certificate},
	}

	p := newPayload(t)
	p.run("export SYSTEMD_ALLOW_USERSPACE_VERITY=0")
	p.run(`modprobe efivarfs && mount -t efivarfs efivarfs /sys/firmware/efi/efivars`)
	p.run(`mount -t securityfs securityfs /sys/kernel/security`)
	p.run(`variable() { od -An -tu1 -j4 -N1 /sys/firmware/efi/efivars/$1-* | tr -d " "; }`)
	p.run("trust")
	p.run(`result state "secureboot=$(variable SecureBoot) setupmode=$(variable SetupMode)` +
		` lockdown=$(sed 's/.*\[\(.*\)\].*/\1/' /sys/kernel/security/lockdown) certificates=$(ls /etc/verity.d | wc -l)"`)

	want := map[string]outcome{}
	for _, algorithm := range algorithms() {
		signer := newKeyPair(t, algorithm, algorithm)
		trust.DB = append(trust.DB, signer.certificate)
		for _, tool := range tools() {
			name := tool.name + "-" + algorithm
			p.add(name+".raw", buildImage(t, name, tool.build, signer))
			p.run("attempt", name, name+".raw")
			want[name] = outcome{merged: true, byKernel: true}
		}
	}
	foreign := newKeyPair(t, "foreign", "rsa2048")
	p.add("foreign.pem", foreign.certificate)
	p.run("trust foreign.pem") // would do if systemd itself checked
	for _, tool := range tools() {
		name := tool.name + "-foreign-key"
		p.add(name+".raw", buildImage(t, name, tool.build, foreign))
		p.run("attempt", name, name+".raw")
		want[name] = outcome{}
	}

	uki := machine.UKI{Key: platform["db"].key, Certificate: platform["db"].certificate}
	results := machine.Run(t, machine.Machine{
		Root:  machine.RootImage(t),
		Disks: []machine.Disk{p.disk()},
		Firmware: &machine.Firmware{
			Variables: trust.Variables(t),
			ESP:       machine.BootDisk(t, uki.Build(t)),
		},
	})
	state := map[string]string{"secureboot": "1", "setupmode": "0", "lockdown": "integrity", "certificates": "0"}
	if diff := cmp.Diff(state, results.Case(t, "state")); diff != "" {
		t.Errorf("the machine is not what this test is about (-want +got):\n%s", diff)
	}
	check(t, results, want)
}

// TestFirmwareRefusesAForeignKernel shows that Secure Boot is really on.
func TestFirmwareRefusesAForeignKernel(t *testing.T) {
	t.Parallel()
	platform, foreign := newKeyPair(t, "platform", "rsa2048"), newKeyPair(t, "foreign", "rsa2048")
	trust := machine.Trust{
		PK: platform.certificate, KEK: platform.certificate, DB: []string{platform.certificate},
	}
	uki := machine.UKI{Key: foreign.key, Certificate: foreign.certificate}
	running := machine.Start(t, machine.Machine{
		Root: machine.RootImage(t),
		Firmware: &machine.Firmware{
			Variables: trust.Variables(t),
			ESP:       machine.BootDisk(t, uki.Build(t)),
		},
	})
	running.Wait(t, func(line string) bool { return containsAll(line, "failed to load", "Access Denied") })
	running.Stop()
}
