package witness_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/test/debian"
	"inlay/test/need"
)

// rootType is the partition type of a root file system for x86-64 (UAPI.2).
const rootType = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"

// TestInspectAgreesWithDissect shows images of each file system, with and
// without partitions, to systemd-dissect 257 and to inlay: what the one says the
// other says too, in the same words.
func TestInspectAgreesWithDissect(t *testing.T) {
	t.Parallel()
	need.Root(t)
	folder := t.TempDir()
	tree := filepath.Join(folder, "tree")
	everything(t, tree)
	system(t, tree)
	in := func(name string) string { return filepath.Join(folder, name) }
	// Version 1.5, of Debian 12, cannot pack the longest names.
	debian.Tools(t).Run(t, map[string]string{folder: "/w"}, "mkfs.erofs", "--quiet", "/w/erofs.raw", "/w/tree")
	command(t, nil, need.Tool(t, "mksquashfs", "squashfs-tools"), tree, in("squashfs.raw"), "-quiet", "-no-progress")
	command(t, nil, need.Tool(t, "mke2fs", "e2fsprogs"), "-q", "-t", "ext4", "-d", tree, in("ext4.raw"), "16M")
	partitioned(t, in("erofs.raw"), in("plain.raw"), "")
	partitioned(t, in("ext4.raw"), in("grows.raw"), "GUID:59")
	partitioned(t, in("ext4.raw"), in("fixed.raw"), "GUID:60")
	k := newKey(t)
	images := []string{"erofs.raw", "squashfs.raw", "ext4.raw", "plain.raw", "grows.raw", "fixed.raw"}
	rootHashes := map[string]string{}
	for _, c := range []struct {
		name, fileSystem string
		signed           bool
	}{{"erofs", "erofs", true}, {"packed", "squashfs", true}, {"bare", "erofs", false}, {"grows", "squashfs", false}} {
		file := c.name + ".sysext.raw"
		args := []string{"build", c.name, "dir:" + tree, "--output", folder, "--filesystem", c.fileSystem, "--arch", "amd64", "--json"}
		if c.signed {
			args = append(args, "--private-key", k.private, "--certificate", k.certificate)
		}
		var built image
		if err := json.Unmarshal([]byte(command(t, nil, inlay, args...)), &built); err != nil {
			t.Fatal(err)
		}
		images = append(images, file)
		if !c.signed {
			rootHashes[file] = built.RootHash
		}
	}
	for _, name := range images {
		t.Run(name, func(t *testing.T) {
			dissect := func(flags ...string) string {
				argv := slices.Concat([]string{"systemd-dissect"}, flags, []string{"/w/" + name})
				return debian.Tools(t).Run(t, map[string]string{folder: "/w"}, argv...)
			}
			plain := func(flag string) string {
				// To mount through dm-verity takes the kernel's module, and shows no other files.
				return debian.Tools(t).Run(t, map[string]string{folder: "/w"},
					"env", "SYSTEMD_DISSECT_VERITY_EMBEDDED=0", "systemd-dissect", flag, "/w/"+name)
			}
			var hash []string
			if rootHashes[name] != "" {
				// Without it, systemd-dissect knows of no verity.
				hash = []string{"--root-hash=" + rootHashes[name]}
			}
			sameKeys(t, dissect(append(hash, "--json=short")...), command(t, nil, inlay, "inspect", in(name), "--json"))
			if diff := cmp.Diff(lines(plain("--mtree")), lines(command(t, nil, inlay, "inspect", in(name), "--mtree"))); diff != "" {
				t.Errorf("manifests (-systemd-dissect +inlay):\n%s", diff)
			}
			if diff := cmp.Diff(lines(plain("--list")), listed(t, in(name))); diff != "" {
				t.Errorf("names (-systemd-dissect +inlay):\n%s", diff)
			}
			const file = "/usr/bin/tool"
			if ours := command(t, nil, inlay, "inspect", in(name), "--copy-from", file); ours != "#!/bin/sh\necho tool\n" {
				t.Errorf("%s holds %q", file, ours)
			}
		})
	}
}

// system adds what systems, initrds and extensions are known by.
func system(t *testing.T, tree string) {
	t.Helper()
	for name, text := range map[string]string{
		"etc/hostname": "witness\n", "etc/machine-id": "0123456789abcdef0123456789abcdef\n", "etc/machine-info": "CHASSIS=vm\n",
		"etc/os-release": "ID=debian\nPORTABLE_PREFIXES=\"one two\"\n", "etc/initrd-release": "ID=initrd\n", "sbin/init": "x",
		"usr/lib/extension-release.d/extension-release.erofs":  "ID=_any\n",
		"usr/lib/extension-release.d/extension-release.grows":  "ID=_any\nSYSEXT_SCOPE=\"initrd portable\"\n",
		"usr/lib/extension-release.d/extension-release.fixed":  "ID=_any\nSYSEXT_SCOPE=\n",
		"usr/lib/extension-release.d/extension-release.packed": "ID=_any\n",
		"usr/lib/extension-release.d/extension-release.bare":   "ID=_any\n",
		"etc/extension-release.d/extension-release.squashfs":   "ID=_any\n",
		"etc/extension-release.d/extension-release.ext4":       "ID=_any\nCONFEXT_SCOPE=initrd\n",
		"usr/share/odd/with space#;*?[]\\\tand\x01\x7fé":       "x",
	} {
		write(t, filepath.Join(tree, name), text, 0o644)
	}
	if err := os.Symlink("to #;*\n", filepath.Join(tree, "usr/share/odd/link")); err != nil {
		t.Fatal(err)
	}
}

// partitioned puts a file system into the root partition of a new disk image.
func partitioned(t *testing.T, fileSystem, image, attributes string) {
	t.Helper()
	info, err := os.Stat(fileSystem)
	if err != nil {
		t.Fatal(err)
	}
	const offset = 1 << 20
	size := (info.Size() + 4095) / 4096 * 4096
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size + 2*offset); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), need.Tool(t, "sfdisk", "fdisk"), "-q", image)
	c.Stdin = strings.NewReader("label: gpt\nstart=2048, size=" + strconv.FormatInt(size/512, 10) + ", type=" + rootType + ", attrs=\"" + attributes + "\", name=\"a label\"\n")
	if text, err := c.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v\n%s", err, text)
	}
	content, err := os.ReadFile(fileSystem)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(content, offset); err != nil {
		t.Fatal(err)
	}
}

// sameKeys holds the JSON of systemd-dissect against ours, which may say more.
// There is no device that a partition of ours would be on.
func sameKeys(t *testing.T, theirs, ours string) {
	t.Helper()
	var want, got map[string]any
	for text, v := range map[string]*map[string]any{theirs: &want, ours: &got} {
		if err := json.Unmarshal([]byte(text), v); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
	wantMounts, gotMounts := mounts(t, want), mounts(t, got)
	delete(want, "mounts")
	if len(want) < 12 || len(wantMounts) == 0 {
		t.Fatalf("systemd-dissect says too little: %s", theirs)
	}
	for key := range got {
		if _, theirs := want[key]; !theirs {
			delete(got, key)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("keys (-systemd-dissect +inlay):\n%s", diff)
	}
	if diff := cmp.Diff(wantMounts, gotMounts); diff != "" {
		t.Errorf("mounts (-systemd-dissect +inlay):\n%s", diff)
	}
}

// mounts returns the partitions without what only one of the two says.
func mounts(t *testing.T, report map[string]any) []any {
	t.Helper()
	list, ok := report["mounts"].([]any)
	if !ok {
		t.Fatalf("no mounts in %v", report)
	}
	for _, m := range list {
		if m, ok := m.(map[string]any); ok {
			delete(m, "node")
			delete(m, "offset")
			delete(m, "size")
		}
	}
	return list
}

// listed are the names that inlay lists, as systemd-dissect prints them.
func listed(t *testing.T, image string) []string {
	t.Helper()
	var report struct {
		Files []struct{ Path, Mode string } `json:"files"`
	}
	if err := json.Unmarshal([]byte(command(t, nil, inlay, "inspect", image, "--list", "--json")), &report); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range report.Files {
		b.WriteString(strings.TrimPrefix(f.Path, "/"))
		if f.Mode[0] == 'd' {
			b.WriteByte('/')
		}
		b.WriteByte('\n')
	}
	return lines(b.String())
}

func lines(text string) []string { return strings.Split(strings.TrimSuffix(text, "\n"), "\n") }
