package witness_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/test/debian"
	"inlay/test/need"
	"inlay/test/sfdisk"
)

// serviceUnit is a unit as upstreams ship it: for the start at boot it relies on
// "systemctl enable", which nobody calls here.
const serviceUnit = `[Unit]
Description=A service that an extension brings
[Service]
ExecStart=%s
[Install]
WantedBy=multi-user.target
`

// serviceWords are what the containers' scripts are made of. Binds bring the
// extensions in two forms: "enabled", built with --enable-unit, and "plain".
// Nothing here reloads the manager or starts a service: that is the extensions'.
const serviceWords = `
place() { # FORM: both extensions lie where the next merge finds them
  mkdir -p /var/lib/extensions /var/lib/confexts
  ln -sfn "/$1/sysext" /var/lib/extensions/hello
  ln -sfn "/$1/confext" /var/lib/confexts/hello
}
remove() { rm /var/lib/extensions/hello /var/lib/confexts/hello; }
refresh() { # silent unless it fails
  SYSTEMD_LOG_LEVEL=warning systemd-sysext refresh
  SYSTEMD_LOG_LEVEL=warning systemd-confext refresh
}
states() { # when both services run, or after a second
  for try in 1 2 3 4 5 6 7 8 9 10; do
    ! systemctl --quiet is-active hello.service || ! systemctl --quiet is-active greet.service || break
    sleep 0.1
  done
  for service in hello greet; do
    echo "$service" "$(systemctl show --property=LoadState,UnitFileState,ActiveState --value "$service.service" | xargs)"
  done
}
warnings() { # of the manager, and of a second look at all that it has loaded
  journalctl --quiet --output=cat --priority=warning _PID=1 | grep -e inlay -e hello -e greet -e multi-user || :
  systemd-analyze verify --man=no multi-user.target
}
`

// TestEnabledService has systemd 257 as PID 1 start services that a sysext and
// a confext bring: when they are there before the boot, and when they are merged
// into the running system. The same extensions built without --enable-unit show
// that nothing else starts them.
//
// A container has no device-mapper, which signed images need, so what it merges
// is not the images but the tree that the kernel shows of each. That systemd merges
// the images themselves is the virtual machines' to show.
func TestEnabledService(t *testing.T) {
	t.Parallel()
	need.Root(t)
	need.FileSystem(t, "erofs")
	system := debian.System(t)
	sysext, confext := filepath.Join(t.TempDir(), "sysext"), filepath.Join(t.TempDir(), "confext")
	write(t, filepath.Join(sysext, "usr/bin/hello"), "#!/bin/sh\nexec sleep infinity\n", 0o755)
	write(t, filepath.Join(sysext, "usr/lib/systemd/system/hello.service"), fmt.Sprintf(serviceUnit, "/usr/bin/hello"), 0o644)
	write(t, filepath.Join(confext, "etc/systemd/system/greet.service"), fmt.Sprintf(serviceUnit, "/bin/sleep infinity"), 0o644)
	k := newExtensionKey(t, "p256")
	// Both have one name, as an extension and its configuration well may.
	binds := map[string]string{
		unpack(t, build(t, nil, k, "hello", "dir:"+sysext)):                                                         "/plain/sysext",
		unpack(t, build(t, nil, k, "hello", "dir:"+sysext, "--enable-unit", "hello.service")):                       "/enabled/sysext",
		unpack(t, build(t, nil, k, "hello", "dir:"+confext, "--kind", "confext")):                                   "/plain/confext",
		unpack(t, build(t, nil, k, "hello", "dir:"+confext, "--kind", "confext", "--enable-unit", "greet.service")): "/enabled/confext",
	}

	const (
		mergeAtBoot = serviceWords + "systemctl enable systemd-sysext.service systemd-confext.service\n"
		running     = "hello loaded active disabled\ngreet loaded active disabled\n"
		stopped     = "hello loaded inactive disabled\ngreet loaded inactive disabled\n"
	)
	for _, c := range []struct{ name, prepare, script, want string }{
		{"at boot", mergeAtBoot + "place enabled", "states; warnings", running},
		{"at boot, not enabled", mergeAtBoot + "place plain", "states", stopped},
		{
			"later", "",
			"place plain; refresh; states; remove; refresh; place enabled; refresh; states; warnings",
			stopped + running,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := system.Boot(t, binds, c.prepare, serviceWords+c.script)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("the services are not as they should be (-want +got):\n%s", diff)
			}
		})
	}
}

// unpack returns a folder with what the kernel shows of an image's file system.
func unpack(t *testing.T, built image) string {
	t.Helper()
	folder := t.TempDir()
	fileSystem := cut(t, built.Path, sfdisk.Partitions(t, built.Path)[0], folder)
	at, out := filepath.Join(folder, "mount"), filepath.Join(folder, "out")
	for _, made := range []string{at, out} {
		if err := os.Mkdir(made, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	command(t, nil, "mount", "-t", "erofs", "-o", "ro,loop", fileSystem, at)
	defer command(t, nil, "umount", at)
	command(t, nil, "cp", "-a", at+"/.", out)
	return out
}
