package bootstate_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/bootstate"
)

// TestState has a case for each rule, and for each pair of witnesses that can
// contradict each other.
func TestState(t *testing.T) {
	t.Parallel()
	const grub = "BOOT_IMAGE=(loop0)/boot/vmlinuz console=tty1 root=LABEL=COS_ACTIVE cos-img/filename=/cOS/active.img panic=5\n"
	kairos := cmdline(uki)
	for _, test := range []struct {
		name     string
		root     files
		state    bootstate.State
		profile  string
		decided  string
		conflict string // part of the only one; "" is none
	}{
		{"nothing", files{}, "unknown", "", "", ""},
		{"a foreign command line", cmdline("root=/dev/sda1 ro quiet\n"), "unknown", "", "", ""},

		// GRUB.
		{"active", cmdline(grub), "active", "active", "COS_ACTIVE on the kernel's command line", ""},
		{"passive", cmdline("root=LABEL=COS_PASSIVE"), "passive", "passive", "COS_PASSIVE on the kernel's command line", ""},
		{"recovery by its label", cmdline("root=LABEL=COS_RECOVERY"), "recovery", "recovery", "COS_RECOVERY on the kernel's command line", ""},
		{"recovery by the old label", cmdline("root=LABEL=COS_SYSTEM"), "recovery", "recovery", "COS_SYSTEM on the kernel's command line", ""},
		{"recovery by its word", cmdline("recovery-mode"), "recovery", "recovery", "recovery-mode on the kernel's command line", ""},
		{"recovery by two words", cmdline("root=LABEL=COS_RECOVERY recovery-mode"), "recovery", "recovery", "COS_RECOVERY on the kernel's command line", ""},
		{"reset", cmdline("root=LABEL=COS_SYSTEM recovery-mode kairos.reset"), "autoreset", "recovery", "kairos.reset on the kernel's command line", ""},
		{"live by its label", cmdline("root=live:LABEL=COS_LIVE"), "livecd", "", "live:LABEL on the kernel's command line", ""},
		{"live by the medium's label", cmdline("root=live:CDLABEL=COS_LIVE"), "livecd", "", "live:CDLABEL on the kernel's command line", ""},
		{"live from the network", cmdline("root=live:http://192.0.2.1/x netboot"), "livecd", "", "netboot on the kernel's command line", ""},
		{"in memory", cmdline("kairos.ram root=live:LABEL=COS_LIVE"), "active", "active", "kairos.ram on the kernel's command line", ""},
		{
			"two states on one line", cmdline("root=LABEL=COS_PASSIVE x=COS_ACTIVE"), "active", "active",
			"COS_ACTIVE on the kernel's command line", "COS_PASSIVE is there, too, which says passive",
		},
		{
			"reset of the active system", cmdline("root=LABEL=COS_ACTIVE kairos.reset"), "autoreset", "recovery",
			"kairos.reset on the kernel's command line", "COS_ACTIVE is there, too",
		},
		// GRUB's own loader variables say nothing of the state.
		{"GRUB with variables", cmdline(grub).and(entry("passive.conf"), opened()), "active", "active", "COS_ACTIVE on the kernel's command line", ""},

		// UKI.
		{"UKI active", kairos.and(entry("active.conf")), "active", "active", "boot loader entry active.conf", ""},
		{"UKI passive", kairos.and(entry("passive.conf")), "passive", "passive", "boot loader entry passive.conf", ""},
		{"UKI recovery", kairos.and(entry("recovery.conf")), "recovery", "recovery", "boot loader entry recovery.conf", ""},
		{"UKI reset", kairos.and(entry("statereset.conf")), "autoreset", "recovery", "boot loader entry statereset.conf", ""},
		{"UKI with tries left", kairos.and(entry("active+3.conf")), "active", "active", "boot loader entry active+3.conf", ""},
		{"UKI with tries done", kairos.and(entry("passive+2-1")), "passive", "passive", "boot loader entry passive+2-1", ""},
		{"UKI with another command line", kairos.and(entry("active_debug.conf")), "active", "active", "boot loader entry active_debug.conf", ""},
		{"UKI from a stick", kairos.and(entry("norole.conf")), "installer", "", "boot loader entry norole.conf", ""},
		{"UKI from a stick, with words", kairos.and(entry("norole_install-mode_debug.conf"), run("live_mode")), "livecd", "", "/run/cos/live_mode", ""},
		{"UKI from a stick, by its command line", cmdline(uki + " install-mode").and(entry("single_entry_debug.conf")), "installer", "", "install-mode on the kernel's command line", ""},
		{"UKI that was installed, by its command line", cmdline(uki + " install-mode").and(entry("active.conf")), "active", "active", "boot loader entry active.conf", ""},
		{"UKI of a foreign entry", kairos.and(entry("windows.conf")), "unknown", "", "", ""},
		{"UKI without an entry", kairos.and(loader("LoaderDevicePartUUID", "x")), "unknown", "", "", ""},
		{"UKI from a medium", kairos.and(loader("LoaderEntrySelected", "active.conf")), "livecd", "", "the missing variable LoaderDevicePartUUID", ""},
		{"UKI in memory", cmdline(uki + " kairos.ram").and(loader("StubInfo", "x")), "active", "active", "kairos.ram on the kernel's command line", ""},
		{"UKI without efivarfs", kairos.and(files{efivars: ""}), "unknown", "", "", ""},
		{"UKI without UEFI", kairos, "unknown", "", "", ""},
		{"UKI by a spoilt entry", kairos.and(entry("active"), variable("LoaderEntrySelected-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", []byte("a"))), "unknown", "", "", ""},
		{
			"UKI by a spoilt partition", kairos.and(entry("active"), variable("LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", []byte("a"))),
			"active", "active", "boot loader entry active", "",
		},
		{
			"UKI against its command line", cmdline(uki + " COS_PASSIVE").and(entry("active.conf")), "active", "active",
			"boot loader entry active.conf", "COS_PASSIVE on the kernel's command line says passive",
		},
		// Not Kairos': only its stub tells of it.
		{"foreign UKI", cmdline("COS_PASSIVE").and(loader("StubInfo", "systemd-stub 257"), entry("passive.conf")), "passive", "passive", "COS_PASSIVE on the kernel's command line", ""},
		{"foreign UKI by its entry", loader("StubInfo", "systemd-stub 257").and(entry("recovery.conf")), "recovery", "recovery", "boot loader entry recovery.conf", ""},
		{
			"foreign UKI against its entry", cmdline("COS_PASSIVE").and(loader("StubInfo", "x"), entry("active.conf")), "passive", "passive",
			"COS_PASSIVE on the kernel's command line", "boot loader entry active.conf says active",
		},

		// What the boot has left.
		{"left active", run("active_mode"), "active", "active", "/run/cos/active_mode", ""},
		{"left passive", run("passive_mode"), "passive", "passive", "/run/cos/passive_mode", ""},
		{"left recovery", run("recovery_mode"), "recovery", "recovery", "/run/cos/recovery_mode", ""},
		{"left autoreset", run("autoreset_mode"), "autoreset", "recovery", "/run/cos/autoreset_mode", ""},
		{"left live", run("live_mode"), "livecd", "", "/run/cos/live_mode", ""},
		{"left live by a UKI", run("live_mode", "uki_install_mode"), "livecd", "", "/run/cos/live_mode", ""},
		{"left install", run("uki_install_mode"), "installer", "", "/run/cos/uki_install_mode", ""},
		{"left only how", run("uki_boot_mode"), "unknown", "", "", ""},
		{"left how, and an entry", run("uki_boot_mode").and(entry("passive.conf")), "passive", "passive", "boot loader entry passive.conf", ""},
		{"left something else", run("unknown", "layout"), "unknown", "", "", ""},
		{"left folders", files{"run/cos/active_mode/": ""}, "unknown", "", "", ""},
		{"all agree", kairos.and(run("active_mode", "uki_boot_mode"), entry("active+3.conf")), "active", "active", "/run/cos/active_mode", ""},
		{
			"left against the entry", kairos.and(run("passive_mode"), entry("active.conf")), "passive", "passive",
			"/run/cos/passive_mode", "boot loader entry active.conf says active",
		},
		{
			"left against memory", cmdline("kairos.ram").and(run("recovery_mode")), "recovery", "recovery",
			"/run/cos/recovery_mode", "kairos.ram on the kernel's command line says active",
		},
		{
			"left from the disk, against the loader", kairos.and(run("active_mode", "uki_boot_mode"), opened()), "active", "active",
			"/run/cos/active_mode", "the missing variable LoaderDevicePartUUID says livecd",
		},
		{
			"left against install", run("active_mode", "uki_install_mode"), "active", "active",
			"/run/cos/active_mode", "uki_install_mode says installer",
		},
		{
			"left two", cmdline("COS_ACTIVE").and(run("passive_mode", "recovery_mode")), "active", "active",
			"COS_ACTIVE on the kernel's command line", "passive_mode and recovery_mode: none of them counts",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := detect(t, test.root)
			type result struct {
				State            bootstate.State
				Profile, Decided string
			}
			want, got := result{test.state, test.profile, test.decided}, result{r.State, r.Profile, r.Decided}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s%+v", diff, r)
			}
			conflicts := strings.Join(r.Conflicts, "\n")
			if (test.conflict == "") != (len(r.Conflicts) == 0) || len(r.Conflicts) > 1 || !strings.Contains(conflicts, test.conflict) {
				t.Errorf("the conflicts are %q, want one with %q", r.Conflicts, test.conflict)
			}
		})
	}
}

func TestSteps(t *testing.T) {
	t.Parallel()
	got := detect(t, cmdline("secret=hunter2 "+uki).and(run("active_mode"), entry("active+3.conf"), loader("StubInfo", "systemd-stub 257"), secured()))
	want := &bootstate.Report{
		State: bootstate.Active, Profile: "active", TrustedBoot: true, UKI: true, SecureBoot: true, Decided: "/run/cos/active_mode",
		Steps: []bootstate.Step{
			{Source: "/proc/cmdline", Found: "rd.immucore.uki", Conclusion: "a unified kernel image was booted"},
			{Source: "/run/cos", Found: "active_mode", Conclusion: "active"},
			{Source: "StubInfo", Found: "systemd-stub 257", Conclusion: "a unified kernel image was booted"},
			{Source: "LoaderDevicePartUUID", Found: "6cbed9c5-b1b6-4b5a-9b57-2c9e0d3f9f2a", Conclusion: "started from a disk's partition"},
			{Source: "LoaderEntrySelected", Found: "active+3.conf", Conclusion: "active"},
			{Source: "SecureBoot", Found: "1", Conclusion: "on"},
			{Source: "SetupMode", Found: "0", Conclusion: "off"},
			{Source: "trusted boot", Conclusion: "yes: a unified kernel image under Secure Boot"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestEntryState(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bootstate.State{
		"active": "active", "ACTIVE.CONF": "active", "active+0-3.conf": "active", "passive.efi": "passive",
		"recovery+1": "recovery", "statereset.conf": "autoreset", "norole.conf": "installer",
		"": "unknown", "inactive.conf": "unknown", "reset.conf": "unknown", " active": "unknown", "autoreset": "unknown",
	} {
		if got := bootstate.EntryState(name); got != want {
			t.Errorf("%q is %s, want %s", name, got, want)
		}
	}
}
