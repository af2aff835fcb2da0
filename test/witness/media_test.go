package witness_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/test/debian"
	"inlay/test/need"
	"inlay/test/registry"
	"inlay/test/sfdisk"
)

// coreSystem makes the files of a small Kairos: Debian's kernel, and something
// to start. It brings no boot loader.
func coreSystem(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	kernel, err := os.ReadFile(debian.NewKernel(t).Compressed())
	if err != nil {
		t.Fatal(err)
	}
	busybox, err := os.ReadFile(need.Tool(t, "/bin/busybox", "busybox-static"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "boot/vmlinuz"), string(kernel), 0o644)
	write(t, filepath.Join(root, "usr/bin/immucore"), string(busybox), 0o755)
	write(t, filepath.Join(root, "etc/os-release"), "ID=kairos\nVERSION_ID=v3.4.2\n", 0o644)
	write(t, filepath.Join(root, "etc/kairos-release"), strings.Join([]string{
		`KAIROS_FLAVOR="ubuntu"`, `KAIROS_FLAVOR_RELEASE="24.04"`, `KAIROS_VARIANT="core"`,
		`KAIROS_ARCH="amd64"`, `KAIROS_MODEL="generic"`, `KAIROS_VERSION="v3.4.2"`,
	}, "\n")+"\n", 0o644)
	return root
}

// espOf copies the EFI system partition of an ISO into a folder, file by file.
func espOf(t *testing.T, iso string) string {
	t.Helper()
	parts := sfdisk.Table(t, iso)
	if len(parts) < 2 {
		t.Fatalf("the ISO has %d partitions", len(parts))
	}
	folder := t.TempDir()
	image, files := filepath.Join(folder, "esp"), filepath.Join(folder, "files")
	sfdisk.Cut(t, iso, parts[1], image)
	command(t, nil, need.Tool(t, "fsck.vfat", "dosfstools"), "-n", image)
	if err := os.Mkdir(files, 0o755); err != nil {
		t.Fatal(err)
	}
	command(t, []string{"MTOOLSRC=/dev/null"}, need.Tool(t, "mcopy", "mtools"), "-s", "-i", image, "::", files)
	return files
}

// wantBootable has sbsign's verifier judge loader and kernel image by a db
// certificate.
func wantBootable(t *testing.T, files, keys string) {
	t.Helper()
	for _, name := range []string{"EFI/BOOT/BOOTX64.EFI", "EFI/kairos/norole.efi"} {
		said := debian.Tools(t).Run(t, map[string]string{files: "/files", keys: "/keys"}, "sbverify", "--cert", "/keys/db.pem", "/files/"+name)
		if !strings.Contains(said, "Signature verification OK") {
			t.Errorf("sbverify says of %s: %s", name, said)
		}
	}
	said, err := exec.CommandContext(t.Context(), "cmp", filepath.Join(keys, "db.auth"), filepath.Join(files, "loader/keys/auto/db.auth")).CombinedOutput()
	if err != nil {
		t.Errorf("the keys to enrol are others: %s", said)
	}
}

// TestDocumentsMediaLine goes document 004's road to the letter, each line in a
// container of our image for media: keys, an extension, an ISO that carries it.
// Two things differ: the network, as this daemon has none of its own, and that
// --privileged is left out. Ours needs nothing of that, and where tests run in a
// container themselves it cannot be had.
func TestDocumentsMediaLine(t *testing.T) {
	t.Parallel()
	need.Root(t)
	need.Tool(t, "mmdebstrap", "mmdebstrap")
	e := newEngine(t)
	dist := t.TempDir()
	root := strings.TrimSpace(command(t, nil, "go", "list", "-m", "-f", "{{.Dir}}"))
	command(t, nil, "make", "-C", root, "media-image-context", "DIST="+dist, "MIRROR="+debian.Mirror(t))
	e.run(t, "build", "--quiet", "--tag", "quay.io/kairos/auroraboot", filepath.Join(dist, "media-image"))

	host := registry.Start(t)
	core := host + "/core:24.04-core-uki"
	e.build(t, coreSystem(t), core, "FROM scratch\nCOPY . /\n")
	e.run(t, "push", "--quiet", core)

	folder := t.TempDir()
	write(t, filepath.Join(folder, "image/k3s"), "#!/bin/sh\necho k3s\n", 0o755)
	write(t, filepath.Join(folder, "image/extension-release.k3s-v1.31.2+k3s1"), "ID=_any\nARCHITECTURE=x86-64\nEXTENSION_RELOAD_MANAGER=1\n", 0o644)
	e.build(t, filepath.Join(folder, "image"), "k3s-sysext", "FROM scratch\n"+
		"COPY k3s /usr/local/bin/k3s\nCOPY extension-release.k3s-v1.31.2+k3s1 /usr/lib/extension-release.d/\n")
	e.build(t, filepath.Join(folder, "image"), "k3s-sysext", "FROM k3s-sysext AS all\nFROM scratch\nCOPY --from=all / /\n")

	socket := strings.TrimPrefix(strings.TrimPrefix(e.env[0], "DOCKER_HOST="), "unix://")
	keys, extensions, result := filepath.Join(folder, "keys"), filepath.Join(folder, "system-extensions"), filepath.Join(folder, "build")
	documents := func(args ...string) string {
		run := exec.CommandContext(t.Context(), docker, append([]string{"run", "--rm"}, args...)...)
		run.Env = append(os.Environ(), e.env...)
		var log bytes.Buffer
		run.Stdout, run.Stderr = &log, &log
		if err := run.Run(); err != nil {
			t.Fatalf("docker run %q: %v\n%s", args, err, log.String())
		}
		return log.String()
	}
	documents("-v", keys+":/keys", "quay.io/kairos/auroraboot:latest",
		"genkey", "--output", "/keys")
	documents("-v", keys+":/keys", "-v", extensions+":/build/", "-v", socket+":/var/run/docker.sock", "quay.io/kairos/auroraboot:latest",
		"sysext", "--private-key=/keys/db.key", "--certificate=/keys/db.pem", "--output=/build", "k3s", "k3s-sysext")
	said := documents("--network", "host", "-v", result+":/result", "-v", keys+":/keys", "-v", extensions+":/system-extensions",
		"quay.io/kairos/auroraboot", "build-uki", "--output-dir", "/result", "--overlay-iso", "/system-extensions", "-k", "/keys",
		"--output-type", "iso", "oci:"+core)
	for _, want := range []string{"INF Extension k3s.sysext.raw: signed by CN=kairos-db", "INF Done building iso at: /result"} {
		if !strings.Contains(said, want) {
			t.Errorf("it does not say %q:\n%s", want, said)
		}
	}

	iso := filepath.Join(result, "kairos-ubuntu-24.04-core-amd64-generic-v3.4.2-uki.iso")
	files := espOf(t, iso)
	wantBootable(t, files, keys)
	back := filepath.Join(folder, "back")
	command(t, nil, need.Tool(t, "xorriso", "xorriso"), "-osirrox", "on", "-indev", iso, "-extract", "/k3s.sysext.raw", back)
	command(t, nil, "cmp", back, filepath.Join(extensions, "k3s.sysext.raw"))
	if left, err := os.ReadDir(result); err != nil || len(left) != 1 {
		t.Errorf("the result folder holds %v (%v), want the ISO alone", left, err)
	}
}

// TestMediaContainer loads what --output-type container makes into Docker, and
// shows it to skopeo.
func TestMediaContainer(t *testing.T) {
	t.Parallel()
	need.Root(t)
	e := newEngine(t)
	folder := t.TempDir()
	keys := filepath.Join(folder, "keys")
	command(t, nil, inlay, "keys", "create", "witness", "--output", keys)
	boot := filepath.Join(debian.Tools(t).Folder(), "usr/lib/systemd/boot/efi")
	system := coreSystem(t)
	args := []string{
		"dir:" + system, "--rootfs-as-initrd", "--keys", keys, "--stub", filepath.Join(boot, "linuxx64.efi.stub"),
		"--boot-loader", filepath.Join(boot, "systemd-bootx64.efi"), "--name", "Upgrade",
	}
	command(t, nil, inlay, append([]string{"media", "iso", "--output-type", "container", "--output", folder}, args...)...)
	plain := filepath.Join(folder, "plain")
	if err := os.Mkdir(plain, 0o755); err != nil {
		t.Fatal(err)
	}
	command(t, nil, inlay, append([]string{"media", "iso", "--output-type", "uki", "--output", plain}, args...)...)
	wantBootable(t, plain, keys)

	archive := filepath.Join(folder, "Upgrade.tar")
	e.run(t, "load", "--quiet", "--input", archive)
	loaded := e.lastLayer(t, "upgrade:latest")
	command(t, nil, "diff", "--recursive", plain, loaded)

	var shown struct {
		RepoTags         []string
		Architecture, Os string
		Layers           []string
	}
	text := command(t, nil, need.Tool(t, "skopeo", "skopeo"), "inspect", "docker-archive:"+archive)
	if err := json.Unmarshal([]byte(text), &shown); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{"amd64", "linux", 1}, []any{shown.Architecture, shown.Os, len(shown.Layers)}); diff != "" {
		t.Errorf("skopeo sees (-want +got)\n%s", diff)
	}
}
