package layer_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/extension"
	"inlay/internal/osrelease"
	"inlay/test/debian"
	"inlay/test/need"
	"inlay/test/sample"
)

// scene makes a folder with the program that runs the engines, and with extensions
// by the name of their file; those with text are images with that content.
func scene(t *testing.T, folders []string, images map[string]string) string {
	t.Helper()
	at := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(at, "refresher"), "inlay/test/refresher")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range folders {
		put(t, at, name+"/"+extension.Sysext().ReleaseFile(name), "ID=_any\n")
		put(t, at, name+"/usr/share/witness/"+name, name+"\n")
	}
	for name, text := range images {
		put(t, at, name, text)
	}
	return at
}

// put writes a file below a folder.
func put(t *testing.T, folder, name, text string) {
	t.Helper()
	at := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// inTrixie runs a script in a root with systemd 257, which isn't PID 1 there.
func inTrixie(t *testing.T, folder, script string) string {
	t.Helper()
	return debian.Tools(t).Run(t, map[string]string{folder: "/w"}, "sh", "-eu", "-c", script)
}

// TestOneAmongTwenty has systemd 257 merge nineteen extensions beside a corrupt
// image, of which it would fail by itself.
func TestOneAmongTwenty(t *testing.T) {
	t.Parallel()
	need.Root(t)
	var names []string
	for n := range 19 {
		names = append(names, fmt.Sprintf("e%02d", n))
	}
	for _, c := range []struct{ name, text, reason string }{
		{"corrupt", "no image\n", "neither a partition table nor a file system: this is no extension image"},
		{"empty", "", "neither a partition table nor a file system: this is no extension image"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			folder := scene(t, names, map[string]string{"bad.raw": c.text})
			got := inTrixie(t, folder, `
				mkdir -p /run/extensions
				for e in /w/e?? /w/bad.raw; do ln -s "$e" /run/extensions/; done
				if systemd-sysext refresh 2>/dev/null; then echo it merges without us; fi
				/w/refresher / sysext systemd
				cat /usr/share/witness/e18
				cat /run/extensions/bad.raw | head -c 3; findmnt -n -o TARGET -R /run/extensions || echo uncovered
				ls /run/inlay`)
			var want strings.Builder
			for _, n := range names {
				fmt.Fprintf(&want, "merge /run/extensions/%s\n", n)
			}
			fmt.Fprintf(&want, "refused /run/extensions/bad.raw %s\nwarning: after the merge, nobody can write to /usr any more\n/usr %s\ne18\n%.3suncovered\nlayer-sysext.json\nlayer.lock\n", c.reason, strings.Join(names, " "), c.text)
			if diff := cmp.Diff(want.String(), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSystemdSees shows what systemd 257 merges once it is hidden what isn't to be.
func TestSystemdSees(t *testing.T) {
	t.Parallel()
	need.Root(t)
	folder := scene(t, []string{"one", "two"}, map[string]string{
		"bad.raw":                  "no image\n",
		"three/usr/local/bin/tool": "three\n",
		"three/" + extension.Sysext().ReleaseFile("three"): "ID=_any\n",
		"bare/usr/share/x":                                 "an extension without a release file\n",
		"whole/usr/lib/os-release":                         "ID=other\n",
		"whole/" + extension.Sysext().ReleaseFile("whole"): "ID=_any\n",
	})
	image := sample.Make(t, sample.Image{Name: "hello", Release: []osrelease.Field{{Key: "ID", Value: "_any"}}})
	if err := os.Rename(image, filepath.Join(folder, "hello.raw")); err != nil {
		t.Fatal(err)
	}
	const noImage = "neither a partition table nor a file system: this is no extension image"
	const begin = `
		mkdir -p /run/extensions /var/lib/extensions
		merge() { /w/refresher / sysext systemd | grep -v ^warning:.after; }
		merged() { systemd-sysext status --json=short | sed -e 's/,"since":[^}]*//g'; }
	`
	for _, c := range []struct{ name, script, want string }{
		{
			"another of the name doesn't take its place", `
			ln -s /w/one /w/bad.raw /run/extensions/; cp -r /w/two /var/lib/extensions/bad; merge`,
			"merge /run/extensions/one\nrefused /run/extensions/bad.raw " + noImage + "\n" +
				"shadowed /var/lib/extensions/bad \"/run/extensions/bad.raw\" has the name \"bad\" too, and its folder comes first\n/usr one\n",
		},
		{
			"a folder with an os-release", `ln -s /w/one /w/whole /run/extensions/; systemd-sysext merge >/dev/null 2>&1 || echo fails; merge`,
			"fails\nmerge /run/extensions/one\n" +
				"ignored /run/extensions/whole it has /usr/lib/os-release, by which the host would take itself for another system\n/usr one\n",
		},
		{
			// Whatever it leads to stays to be seen.
			"a link to a folder of the host", `ln -s /var /run/extensions/all; ln -s /w/one /run/extensions/; merge; ls -d /var/lib`,
			"merge /run/extensions/one\nignored /run/extensions/all no release file for this name: /usr/lib/extension-release.d has no \"extension-release.all\"\n/usr one\n/var/lib\n",
		},
		{
			"folders under a policy of signatures", `
			cp -r /w/one /var/lib/extensions/; ln -s /w/two /run/extensions/; POLICY=signed merge; merged; ls -A /var/lib/extensions/one`,
			"refused /var/lib/extensions/one a folder can carry no signature, and the policy wants a signature by a trusted key\n" +
				"refused /run/extensions/two a folder can carry no signature, and the policy wants a signature by a trusted key\n" +
				"[{\"hierarchy\":\"/opt\",\"extensions\":\"none\"},{\"hierarchy\":\"/usr\",\"extensions\":\"none\"}]\nusr\n",
		},
		{
			"an image", `ln -s /w/one /w/hello.raw /run/extensions/; merge; hello`,
			"merge /run/extensions/hello.raw\nmerge /run/extensions/one\n" +
				"warning: systemd has merged the extension \"hello\" without its hash tree: later changes to the image are not noticed\n/usr hello one\nhello\n",
		},
		{
			"old folders", `
			mkdir -p /usr/local/lib/extensions /usr/lib/extensions; cp /w/hello.raw /usr/lib/extensions/; cp -r /w/one /usr/local/lib/extensions/
			cp -r /w/two /var/lib/extensions; CONFIG_SEARCH=1 merge; readlink /run/extensions/*; merge; CONFIG_SEARCH=1 merge >/dev/null
			systemd-sysext unmerge >/dev/null; rm /usr/lib/extensions/hello.raw; CONFIG_SEARCH=1 merge; ls /run/extensions`,
			`merge /usr/lib/extensions/hello.raw
merge /var/lib/extensions/two
refused /usr/local/lib/extensions/one a folder inside of "/usr", or around it, over which systemd cannot lay it
warning: systemd has merged the extension "hello" without its hash tree: later changes to the image are not noticed
/usr hello two
/usr/lib/extensions/hello.raw
merge /var/lib/extensions/two
/usr two
merge /var/lib/extensions/two
refused /usr/local/lib/extensions/one a folder inside of "/usr", or around it, over which systemd cannot lay it
/usr two
`,
		},
		{
			"a mount namespace that nothing leaves", `mount --make-rprivate /; ln -s /w/one /run/extensions/; merge; merged`,
			"merge /run/extensions/one\nerror: systemd merged, but \"/usr\" shows nothing of it: mounts there are private, and it relies on shared ones\n" +
				"hint: make them shared, as systemd does at boot: mount --make-rshared /; or choose the native engine\n" +
				"[{\"hierarchy\":\"/opt\",\"extensions\":\"none\"},{\"hierarchy\":\"/usr\",\"extensions\":\"none\"}]\n",
		},
		{
			"what a killed command has covered", `
			ln -s /w/one /run/extensions/; mkdir -p /run/inlay; echo '["run/extensions/one","run/extensions/two"]' >/run/inlay/covered-sysext.json
			mkdir /run/extensions/two; cp -r /w/two/. /run/extensions/two; mount -t tmpfs inlay-cover /run/extensions/two; touch /run/x; mount --bind /dev/null /run/x
			merge; ls /run/inlay; umount /run/x`,
			"merge /run/extensions/one\nmerge /run/extensions/two\n/usr one two\nlayer-sysext.json\nlayer.lock\n",
		},
		{
			"a versioned folder", `
			mkdir /var/lib/extensions/hello.raw.v; cp /w/bad.raw /var/lib/extensions/hello.raw.v/hello_2.raw; cp /w/hello.raw /var/lib/extensions/hello.raw.v/hello_1.raw
			cp -r /w/two /run/extensions/two; merge; ls /var/lib/extensions/hello.raw.v`,
			"merge /run/extensions/two\nrefused /var/lib/extensions/hello.raw.v/hello_2.raw " + noImage + "\n/usr two\nhello_1.raw\nhello_2.raw\n",
		},
		{
			"another of the name in a versioned folder", `
			mkdir /var/lib/extensions/hello.raw.v; cp /w/hello.raw /var/lib/extensions/hello.raw.v/hello_1.raw; cp /w/hello.raw /var/lib/extensions/hello.raw.v/hello_2.raw
			ln -s /w/bad.raw /run/extensions/hello.raw; ln -s /w/one /run/extensions/; merge`,
			"merge /run/extensions/one\nrefused /run/extensions/hello.raw " + noImage + "\n" +
				"shadowed /var/lib/extensions/hello.raw.v/hello_2.raw \"/run/extensions/hello.raw\" has the name \"hello\" too, and its folder comes first\n/usr one\n",
		},
		{
			// By its first bytes it is XFS, which nobody here reads: systemd finds out.
			"what only systemd finds out", `
			printf 'XFSB\0\0\020\0' >/run/fake.raw; truncate -s 1M /run/fake.raw; mkdir -p /run/extensions; mv /run/fake.raw /run/extensions/
			ln -s /w/one /w/two /run/extensions/; merge | sed -e 's/systemd-sysext says: .*/…/'`,
			"merge /run/extensions/one\nmerge /run/extensions/two\nrefused /run/extensions/fake.raw systemd fails of it: …\n" +
				"warning: the extension \"fake\" is left out: systemd fails of it\n/usr one two\n",
		},
		{
			"merged already", `ln -s /w/one /run/extensions/; merge; /w/refresher / sysext systemd-merge | tail -n 2`,
			"merge /run/extensions/one\n/usr one\nerror: hierarchy \"/usr\" is already merged\nhint: to merge anew: inlay sysext refresh\n",
		},
		{
			"what can be written to", `
			mount --bind /usr /usr; mount -t tmpfs data /usr/local; mkdir /usr/local/bin /usr/local/lib; touch /usr/local/bin/x /usr/local/lib/x; mount -o remount,bind,ro /usr
			ln -s /w/three /run/extensions/; CONFIG_HIERARCHIES='kairos' /w/refresher / sysext systemd`,
			"merge /run/extensions/three\nwarning: after the merge, nobody can write to /usr/local/bin any more\n/usr/lib three\n/usr/local/bin three\n",
		},
		{
			"what can be written to still", `
			mount -t tmpfs data /usr/local; mount -t tmpfs data /srv; mkdir -p /usr/local/bin /usr/local/lib /var/lib/extensions.mutable /srv/data; touch /usr/local/bin/x
			ln -s /srv/data /var/lib/extensions.mutable/usr.local.bin
			ln -s /w/three /run/extensions/; CONFIG_MUTABLE=auto CONFIG_HIERARCHIES='/usr/local/bin' /w/refresher / sysext systemd; touch /usr/local/bin/y && ls /srv/data`,
			"merge /run/extensions/three\n/usr/local/bin three\ny\n",
		},
		{
			"nothing at all", `merge || true; merged`,
			"[{\"hierarchy\":\"/opt\",\"extensions\":\"none\"},{\"hierarchy\":\"/usr\",\"extensions\":\"none\"}]\n",
		},
		{
			"a mode that is configured", `
			ln -s /w/one /run/extensions/; CONFIG_MUTABLE=ephemeral merge; echo x >/usr/y; cat /usr/y`,
			"merge /run/extensions/one\n/usr one\nx\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := inTrixie(t, folder, begin+c.script)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestSystemdManages merges where systemd 257 is PID 1: by its service, and in its
// mount namespace.
func TestSystemdManages(t *testing.T) {
	t.Parallel()
	need.Root(t)
	system := debian.System(t)
	folder := scene(t, []string{"one", "two"}, map[string]string{"bad.raw": "no image\n"})
	const drop = `
		mkdir -p /etc/systemd/system/systemd-sysext.service.d
		printf '[Service]\nEnvironment=SYSTEMD_SYSEXT_HIERARCHIES=/usr/share:/usr/lib\n' >/etc/systemd/system/systemd-sysext.service.d/kairos.conf
	`
	const bad = "refused /run/extensions/bad.raw neither a partition table nor a file system: this is no extension image\n"
	for _, c := range []struct{ name, prepare, script, want string }{
		{"one bad", "", `merge; merge; systemctl is-active systemd-sysext.service`, "merge /run/extensions/one\n" + bad + "/usr one\nmerge /run/extensions/one\n" + bad + "/usr one\nactive\n"},
		{"hierarchies of the service", drop, `merge`, "merge /run/extensions/one\n" + bad + "/usr/lib one\n/usr/share one\n"},
		{
			// What is merged there shows everywhere else.
			"from a mount namespace that receives nothing", "",
			`unshare --mount --propagation private sh -c '/w/refresher / sysext systemd | grep -v warning:'; cat /usr/share/witness/one; findmnt -n /run/extensions/bad.raw || echo uncovered`,
			"merge /run/extensions/one\n" + bad + "/usr one\none\nuncovered\n",
		},
		{"nothing more", "", `merge >/dev/null; rm /run/extensions/one; merge; systemd-sysext status --json=short`, bad + `[{"hierarchy":"/opt","extensions":"none","since":null},{"hierarchy":"/usr","extensions":"none","since":null}]` + "\n"},
		{"a policy of signatures", "", `POLICY=signed merge; ls /usr/share/witness 2>/dev/null || echo nothing`, bad + "refused /run/extensions/one a folder can carry no signature, and the policy wants a signature by a trusted key\nnothing\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := system.Boot(t, map[string]string{folder: "/w"}, c.prepare, `
				mkdir -p /run/extensions; ln -s /w/one /w/bad.raw /run/extensions/
				merge() { /w/refresher / sysext systemd | grep -v ^warning:.after; }
			`+c.script)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
