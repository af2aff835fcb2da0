package bootstate_test

import (
	"testing"

	"inlay/internal/efi"
)

// TestTrustedBoot shows that only the firmware's own word makes a UKI's boot an
// untrusted one.
func TestTrustedBoot(t *testing.T) {
	t.Parallel()
	const stub = "systemd-stub 257"
	for _, test := range []struct {
		name                     string
		root                     files
		trusted, uki, secureBoot bool
	}{
		{"nothing", files{}, false, false, false},
		{"Secure Boot, no UKI", cmdline("COS_ACTIVE").and(secured()), false, false, true},
		{"UKI by its word", cmdline(uki).and(secured()), true, true, true},
		{"UKI by its stub", loader("StubInfo", stub).and(secured()), true, true, true},
		{"UKI by a spoilt stub", variable(efi.FileName("StubInfo", efi.Loader()), []byte("x")).and(secured()), true, true, true},
		{"UKI by what the boot has left", run("uki_boot_mode").and(secured()), true, true, true},
		{"UKI of a medium", run("uki_install_mode").and(secured()), true, true, true},
		{"Secure Boot off", cmdline(uki).and(opened()), false, true, false},
		{"setup mode", cmdline(uki).and(flag("SecureBoot", 1), flag("SetupMode", 1)), false, true, false},
		{"no Secure Boot at all", cmdline(uki).and(flag("SetupMode", 0)), false, true, false},
		{"no setup mode", cmdline(uki).and(flag("SecureBoot", 1)), true, true, false},
		{"odd setup mode", cmdline(uki).and(flag("SecureBoot", 1), flag("SetupMode", 2)), true, true, false},
		{"odd Secure Boot", cmdline(uki).and(flag("SecureBoot", 1, 1), flag("SetupMode", 0)), true, true, false},
		{"odd Secure Boot in setup mode", cmdline(uki).and(flag("SecureBoot"), flag("SetupMode", 1)), false, true, false},
		{"no efivarfs", cmdline(uki).and(files{efivars: ""}), true, true, false},
		{"no firmware", cmdline(uki), true, true, false},
		{"a file for efivarfs", cmdline(uki).and(files{"sys/firmware/efi/efivars": "x"}), true, true, false},
		{"a folder for Secure Boot", cmdline(uki).and(files{efivars + efi.FileName("SecureBoot", efi.GlobalVariable()) + "/": ""}, flag("SetupMode", 0)), true, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := detect(t, test.root)
			if r.TrustedBoot != test.trusted || r.UKI != test.uki || r.SecureBoot != test.secureBoot {
				t.Errorf("trusted %v, UKI %v, secure boot %v; want %v, %v, %v\n%+v",
					r.TrustedBoot, r.UKI, r.SecureBoot, test.trusted, test.uki, test.secureBoot, r.Steps)
			}
		})
	}
}
