package witness_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/test/debian"
	"inlay/test/need"
	"inlay/test/registry"
)

// kuboImages builds the documents' extension from their Dockerfile, for one version
// of a system and for any, and pushes both. Nothing is fetched from elsewhere, and
// what stands for the program says its name.
func kuboImages(t *testing.T, e *engine, host string) {
	t.Helper()
	e.baseImage(t)
	folder := t.TempDir()
	write(t, filepath.Join(folder, "content/kubo/ipfs"), "#!/bin/sh\necho kubo\n", 0o755)
	command(t, nil, "tar", "-czf", filepath.Join(folder, "kubo.tar.gz"), "-C", filepath.Join(folder, "content"), "kubo")
	dockerfile := func(release ...string) string {
		return strings.Join([]string{
			"FROM base:1 as build", "ARG VERSION", "ENV VERSION=$VERSION",
			"COPY kubo.tar.gz kubo.tar.gz",
			"RUN gzip -cd kubo.tar.gz | tar xvf -",
			"RUN mkdir -p /usr/bin",
			"RUN mv kubo/ipfs /usr/bin/ipfs",
			"RUN mkdir -p /usr/lib/extension-release.d/",
			strings.Join(release, "\n"),
			"FROM scratch",
			"COPY --from=build /usr/bin/ipfs /usr/bin/ipfs",
			"COPY --from=build /usr/lib/extension-release.d /usr/lib/extension-release.d",
		}, "\n")
	}
	const file = " /usr/lib/extension-release.d/extension-release.kubo"
	write(t, filepath.Join(folder, "Dockerfile"), dockerfile("RUN echo ID=kairos >"+file, "RUN echo VERSION_ID=$VERSION >>"+file), 0o644)
	e.run(t, "build", "--quiet", "--build-arg", "VERSION=v1.0.0", "--tag", host+"/kubo:version", folder)
	e.build(t, folder, host+"/kubo:any", dockerfile("RUN echo ID=_any >"+file))
	program := t.TempDir()
	write(t, filepath.Join(program, "run.sh"), "#!/bin/sh\nmkdir -p \"$BUNDLE_TARGET/etc\" && cp \"$CONTAINERDIR/payload\" \"$BUNDLE_TARGET/etc/ran\"\n", 0o644)
	write(t, filepath.Join(program, "payload"), "payload\n", 0o644)
	e.build(t, program, host+"/program:1", "FROM scratch\nCOPY run.sh payload /\n")
	for _, image := range []string{"kubo:version", "kubo:any", "program:1"} {
		e.run(t, "push", "--quiet", host+"/"+image)
	}
}

// TestKuboUnpacked takes the documents' live layer the whole way: from a Dockerfile
// through a registry into a folder, by each of the commands that the documents know,
// and into /usr and out again: by systemd 257's tool, and by our own engine.
func TestKuboUnpacked(t *testing.T) {
	t.Parallel()
	need.Root(t)
	e, host := newEngine(t), registry.Start(t)
	kuboImages(t, e, host)
	folder := t.TempDir()
	command(t, nil, "cp", inlay, filepath.Join(folder, "inlay"))
	write(t, filepath.Join(folder, "node.yaml"), `#cloud-config

# Set username and password
stages:
   initramfs:
     - name: "Set user and password"
       users:
        kairos:
          passwd: "kairos"
       hostname: kairos-{{ trunc 4 .Random }}
# Install configuration block
install:
  auto: true
  reboot: true
  device: auto
  # Bundles to install
  bundles:
  - rootfs_path: /var/lib/extensions/kubo
    targets:
    - container://`+host+`/kubo:version
  - rootfs_path: /srv
    targets:
    - run://`+host+`/program:1
`, 0o644)
	script := `
		printf 'ID=kairos\nVERSION_ID=v1.0.0\n' >/etc/os-release
		for name in inlay luet kairos-agent; do ln -s /w/inlay /usr/bin/$name; done
		ours() { # NAME: the same by the engine that needs no systemd
			inlay sysext merge --engine native >/dev/null 2>&1
			setpriv --reuid=65534 --clear-groups inlay sysext unmerge --dry-run
			echo "$1 by itself: $(ipfs 2>/dev/null || echo absent)"
			inlay sysext unmerge --engine native >/dev/null
			ipfs 2>/dev/null || true
		}
		try() { # IMAGE COMMAND...
			name=$1; shift
			"$@" >/tmp/out 2>&1 || cat /tmp/out
			grep -q "which this machine merges" /tmp/out && merges=yes || merges=no
			systemd-sysext merge --no-reload >/dev/null 2>&1
			echo "$name merges=$merges: $(ipfs 2>/dev/null || echo absent)"
			systemd-sysext unmerge --no-reload >/dev/null 2>&1
			ipfs 2>/dev/null || true
			ours "$name"
		}
		try luet-any luet util unpack --insecure-registry "$0/kubo:any" /var/lib/extensions/kubo
		try luet-version luet util unpack --insecure-registry "$0/kubo:version" /var/lib/extensions/kubo
		printf 'ID=kairos\nVERSION_ID=v2\n' >/etc/os-release
		try luet-other luet util unpack --insecure-registry "$0/kubo:version" /var/lib/extensions/kubo
		printf 'ID=kairos\nVERSION_ID=v1.0.0\n' >/etc/os-release
		rm -r /var/lib/extensions
		try bundle inlay bundle apply --insecure-registry --config /w/node.yaml
		cat /srv/etc/ran
		inlay bundle apply --insecure-registry --config /w/node.yaml 2>/dev/null | grep -c already
		rm -r /var/lib/extensions
		try install-bundle kairos-agent install-bundle --insecure-registry --root-path /var/lib/extensions/kubo "container://$0/kubo:any"
		find /var/lib/extensions /var/lib/inlay -name '*inlay*' 2>/dev/null || true
		rm -r /var/lib/extensions
		# Where the documents first had it, which systemd no longer looks at: on a disk
		# of its own, as there.
		mount -t tmpfs tmpfs /usr/local
		sed 's,/var/lib/extensions,/usr/local/lib/extensions,' /w/node.yaml >/tmp/node.yaml
		try old-folder inlay bundle apply --insecure-registry --config /tmp/node.yaml --install
		awk '$4 == "/" && $(NF-2) == "overlay" && $(NF-1) == "sysext"' /proc/self/mountinfo`
	got := debian.System(t).Run(t, map[string]string{folder: "/w"}, "sh", "-uc", script, host)
	const want = `luet-any merges=yes: kubo
/usr: would be unmerged
luet-any by itself: kubo
luet-version merges=yes: kubo
/usr: would be unmerged
luet-version by itself: kubo
luet-other merges=no: absent
luet-other by itself: absent
bundle merges=yes: kubo
/usr: would be unmerged
bundle by itself: kubo
payload
1
install-bundle merges=yes: kubo
/usr: would be unmerged
install-bundle by itself: kubo
old-folder merges=yes: absent
/usr: would be unmerged
old-folder by itself: kubo
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestUnpackAsOthers unpacks an image with all that images have: as umoci does, and
// the same from a daemon, a registry, a layout and archives.
func TestUnpackAsOthers(t *testing.T) {
	t.Parallel()
	need.Root(t)
	umoci, skopeo := need.Tool(t, "umoci", "umoci"), need.Tool(t, "skopeo", "skopeo")
	e, host := newEngine(t), registry.Start(t)
	e.baseImage(t)
	image := host + "/all:1"
	e.build(t, t.TempDir(), image, strings.Join([]string{
		"FROM base:1",
		`RUN ["/bin/busybox", "rm", "-r", "/usr/local"]`,
		`RUN ["/bin/busybox", "sh", "-c", "/bin/busybox mkdir -p /usr/local/new /opt/a; echo x > /opt/a/f; /bin/busybox ln /opt/a/f /opt/a/g; /bin/busybox ln -s ../../etc/shadow /opt/a/link; /bin/busybox mkfifo /opt/a/fifo; /bin/busybox mknod /opt/a/null c 1 3"]`,
		`RUN ["/bin/busybox", "sh", "-c", "/bin/busybox chown 12:34 /opt/a/f; /bin/busybox chmod 6755 /opt/a/f; /bin/busybox rm /opt/a/g; /bin/busybox chmod 1777 /opt/a; /bin/busybox touch -d @1234567890 /opt"]`,
	}, "\n"))
	e.run(t, "push", "--quiet", image)
	folder := t.TempDir()
	at := func(name string) string { return filepath.Join(folder, name) }
	command(t, nil, skopeo, "copy", "--quiet", "--insecure-policy", "--src-tls-verify=false", "docker://"+image, "oci:"+at("layout")+":1")
	command(t, nil, skopeo, "copy", "--quiet", "--insecure-policy", "--src-tls-verify=false", "docker://"+image, "oci-archive:"+at("oci.tar")+":1")
	e.run(t, "save", "--output", at("docker.tar"), image)
	command(t, nil, umoci, "unpack", "--image", at("layout")+":1", at("umoci"))
	truth := snapshot(t, at("umoci/rootfs"))
	if len(truth) < 15 {
		t.Fatalf("the image holds %d names", len(truth))
	}
	for name, source := range map[string]string{
		"registry": "oci:" + image, "daemon": "docker:" + image, "layout": "layout:" + at("layout"), "archive": "file:" + at("oci.tar"), "saved": "file:" + at("docker.tar"),
		"folder": "dir:" + at("umoci/rootfs"),
	} {
		command(t, e.env, inlay, "unpack", "--quiet", "--insecure-registry", source, at("got-"+name))
		if diff := cmp.Diff(truth, snapshot(t, at("got-"+name))); diff != "" {
			t.Errorf("%s (-umoci +inlay):\n%s", name, diff)
		}
	}
	if list, err := filepath.Glob(at(".#*")); err != nil || len(list) > 0 {
		t.Errorf("left behind: %q, %v", list, err)
	}
	if _, err := os.Lstat(at("got-registry/opt/a/g")); err == nil {
		t.Error("what a layer deletes is there")
	}
}
