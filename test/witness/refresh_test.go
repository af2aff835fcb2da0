package witness_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/extension"
	"inlay/test/debian"
	"inlay/test/need"
	"inlay/test/sample"
)

// refreshWords are what the scripts below are made of; /w holds the program that
// refreshes, and extensions in folders.
const refreshWords = `
sysext() { /w/refresher / sysext "$1" || echo "status $?"; }
confext() { /w/refresher / confext "$1" || echo "status $?"; }
link() { mkdir -p /run/extensions && ln -s "/w/$1" "/run/extensions/${2-$1}"; }
unlink() { rm "/run/extensions/$1"; }
`

// refresher builds the program and the extensions, and returns their folder.
func refresher(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	command(t, []string{"CGO_ENABLED=0"}, "go", "build", "-o", filepath.Join(folder, "refresher"), "inlay/test/refresher")
	for name, k := range map[string]extension.Kind{"one": extension.Sysext(), "two": extension.Sysext(), "settings": extension.Confext()} {
		write(t, filepath.Join(folder, name, k.ReleaseFile(name)), "ID=_any\n", 0o644)
		write(t, filepath.Join(folder, name, k.Hierarchies[0], "share/witness", name), name+"\n", 0o644)
	}
	write(t, filepath.Join(folder, "broken.raw"), "no image\n", 0o644)
	return folder
}

// TestRefreshUnderManager refreshes where systemd 257 is PID 1: by its service,
// drop-ins and all.
func TestRefreshUnderManager(t *testing.T) {
	t.Parallel()
	need.Root(t)
	system := debian.System(t)
	binds := map[string]string{refresher(t): "/w"}
	// What the service's tool gets, as a drop-in of an operator shows it.
	const spy = `
		mkdir -p /etc/systemd/system/systemd-sysext.service.d
		cat >/etc/systemd/system/systemd-sysext.service.d/kairos.conf <<'UNIT'
[Service]
Environment=SYSTEMD_SYSEXT_HIERARCHIES=/usr/share:/usr/lib
ExecReload=
ExecReload=sh -c 'echo "$$SYSTEMD_DISSECT_VERITY_SIGNATURE." >>/run/spy; exec systemd-sysext refresh'
UNIT
`
	for _, c := range []struct{ name, prepare, script, want string }{
		{
			"merge and unmerge", "",
			`sysext merged; link one; sysext refresh; sysext merged; cat /usr/share/witness/one
			link two; sysext refresh; sysext merged
			unlink one; sysext refresh; sysext merged
			unlink two; sysext refresh; sysext merged; systemctl is-active systemd-sysext.service`,
			"/usr one\none\n/usr one two\n/usr two\nactive\n",
		},
		{
			"both kinds", "",
			`link one; mkdir -p /run/confexts; ln -s /w/settings /run/confexts/settings
			sysext refresh; confext refresh; sysext merged; confext merged; cat /etc/share/witness/settings`,
			"/usr one\n/etc settings\nsettings\n",
		},
		{
			// It says why, in the tool's words, and what was merged stays.
			"a broken image", "",
			`link one; sysext refresh; link broken.raw; sysext refresh; sysext merged
			unlink broken.raw; link two; sysext refresh; sysext merged`,
			`error: refreshing what is merged of kind sysext: systemd-sysext says: Failed to read metadata for image broken: No such file or directory (exit status 1)
hint: see all that it said: journalctl -u systemd-sysext.service
hint: disable the extension that is named, or see what is wrong with it: inlay verify
status 1
/usr one
/usr one two
`,
		},
		{
			// Nothing was merged before, so the service has to be started.
			"a broken image first", "",
			`link broken.raw; sysext refresh | sed -n 1p; sysext merged; unlink broken.raw; link one; sysext refresh; sysext merged`,
			`error: refreshing what is merged of kind sysext: systemd-sysext says: Failed to read metadata for image broken: No such file or directory (exit status 1)
/usr one
`,
		},
		{
			// systemd allows five starts in ten seconds.
			"often", "",
			`link one; for time in 1 2 3 4 5 6 7 8; do systemctl stop systemd-sysext; sysext refresh; sysext refresh; done; sysext merged`,
			"/usr one\n",
		},
		{
			// It cannot be reloaded, so it is stopped and started.
			"the service of 252", `
			sed -e /ExecReload/d -e 's/sysext refresh/sysext merge/' /usr/lib/systemd/system/systemd-sysext.service >/etc/systemd/system/systemd-sysext.service`,
			`link one; for time in 1 2 3 4 5 6 7 8; do sysext refresh; done; sysext merged
			# The journal may or may not have the line before the error by then.
			link broken.raw; sysext refresh | sed -n -e "s/Unmerged '.usr'[.]; //" -e 1p; sysext merged; unlink broken.raw
			link two; sysext refresh; sysext merged
			unlink one; unlink two; sysext refresh; sysext merged`,
			`/usr one
error: refreshing what is merged of kind sysext: systemd-sysext says: Failed to read metadata for image broken: No such file or directory (exit status 1)
/usr one two
`,
		},
		{
			"merged by hand", "",
			`link one; SYSTEMD_LOG_LEVEL=warning systemd-sysext merge; unlink one; sysext merged; sysext refresh; sysext merged`,
			"/usr one\n",
		},
		{
			"drop-ins", spy,
			`link one; sysext refresh; sysext merged
			sysext refresh; cat /run/spy; rm /run/spy
			sysext refresh-aside; sysext refresh-aside; cat /run/spy; rm /run/spy
			systemctl reload systemd-sysext.service; cat /run/spy; rm /run/spy
			link broken.raw; sysext refresh | sed -n 1p; cat /run/spy; rm /run/spy; unlink broken.raw
			systemctl reload systemd-sysext.service; cat /run/spy; rm /run/spy
			sysext refresh; cat /run/spy; sysext merged; ls /run/systemd/system/systemd-sysext.service.d`,
			`/usr/lib one
/usr/share one
.
0.
0.
0.
error: refreshing what is merged of kind sysext: systemd-sysext says: Failed to read metadata for image broken: No such file or directory (exit status 1)
.
0.
.
/usr/lib one
/usr/share one
`,
		},
		{
			"a drop-in that nobody has loaded yet", "",
			`link one; sysext refresh; mkdir -p /run/systemd/system/systemd-sysext.service.d
			printf '[Service]\nExecReload=\nExecReload=systemd-sysext unmerge\n' >/run/systemd/system/systemd-sysext.service.d/new.conf
			sysext refresh; sysext merged`,
			"",
		},
		{
			"masked", "systemctl mask systemd-sysext.service",
			"link one; sysext refresh",
			"error: refreshing what is merged of kind sysext: systemd-sysext.service is masked\n" +
				"hint: if extensions are wanted: systemctl unmask systemd-sysext.service\nstatus 1\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := system.Boot(t, binds, c.prepare, refreshWords+c.script)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestRefreshByTool refreshes where systemd 257 is only installed: folders and a
// disk image that nobody has signed. Below another root, too.
func TestRefreshByTool(t *testing.T) {
	t.Parallel()
	need.Root(t)
	need.FileSystem(t, "erofs")
	system := debian.System(t)
	folder := refresher(t)
	image := sample.Make(t, sample.Image{Name: "tool", Files: map[string]string{"usr/share/witness/tool": "tool\n"}})
	if err := os.Rename(image, filepath.Join(folder, "tool.sysext.raw")); err != nil {
		t.Fatal(err)
	}
	const script = refreshWords + `
		exec 2>&1
		link one; link tool.sysext.raw
		sysext refresh; sysext merged; cat /usr/share/witness/tool
		link broken.raw; sysext refresh; sysext merged
		rm /run/extensions/*; sysext refresh; sysext merged

		link one; link tool.sysext.raw; export SYSTEMD_SYSEXT_HIERARCHIES=/usr/share
		sysext refresh; sysext merged
		rm /run/extensions/*; sysext refresh; sysext merged; unset SYSTEMD_SYSEXT_HIERARCHIES

		mkdir -p /other/usr/lib /other/run/extensions /other/etc
		cp /usr/lib/os-release /other/usr/lib
		cp -r /w/two /other/run/extensions/two
		/w/refresher /other sysext refresh; /w/refresher /other sysext merged; cat /other/usr/share/witness/two; sysext merged
		rm -r /other/run/extensions/two; /w/refresher /other sysext refresh; /w/refresher /other sysext merged

		mv /usr/bin/systemd-sysext /usr/bin/gone
		sysext refresh`
	const want = `/usr one tool
tool
error: refreshing what is merged of kind sysext: systemd-sysext says: Failed to read metadata for image broken: Package not installed (exit status 1)
hint: disable the extension that is named, or see what is wrong with it: inlay verify
status 1
/usr one tool
/usr/share one tool
/usr two
two
error: refreshing what is merged of kind sysext: nothing here merges extensions: systemd-sysext is not installed
hint: install systemd (248 or newer for sysext, 254 for confext)
status 1
`
	got := system.Run(t, map[string]string{folder: "/w"}, "sh", "-euc", script)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
