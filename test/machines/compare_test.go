//go:build machines

package machines_test

import (
	"bytes"
	_ "embed" // compare.sh
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/test/debian"
	"inlay/test/machine"
	"inlay/test/sfdisk"
)

//go:embed compare.sh
var compareScript string

// withinScript runs a command with another root folder, in namespaces of its own:
// what it writes is gone afterwards.
const withinScript = `
within() { # FOLDER COMMAND...
  unshare --mount --pid --fork --propagation private sh -euc '
top=/mnt/top
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work $top
mount -t overlay -o "lowerdir=$1,upperdir=/mnt/upper,workdir=/mnt/work" overlay $top
mkdir -p $top/payload $top/.old
mount -t proc proc $top/proc
for folder in sys dev payload; do mount --rbind /$folder $top/$folder; done
mount -t tmpfs tmpfs $top/run
mount -t tmpfs tmpfs $top/tmp
mkdir $top/run/lock
cd $top
pivot_root . .old
cd /
umount -l /.old
mount --make-rshared /
shift
exec "$@"' within "$@"
}
for block in /sys/block/vd*; do
  [ "$(cat "$block/serial")" != newest ] || { mkdir -p /run/newest; mount -o ro "/dev/${block##*/}" /run/newest; }
done
within / sh /payload/compare.sh older systemd-sysext
within /run/newest sh /payload/compare.sh newest systemd-sysext
within /run/newest sh -c 'cp /payload/inlay /run/systemd-sysext && chmod +x /run/systemd-sysext && exec sh /payload/compare.sh inlay /run/systemd-sysext'
`

// seen is what a case comes to: what is merged, through how many dm-verity devices,
// how files of it can be read, and how the command ended.
type seen struct{ merged, verity, content, exit string }

// readable stands for the sum of the files as they were built.
const readable = "~"

// verityCase is a case of compare.sh.
type verityCase struct {
	newest seen
	// older and ours are what systemd 257 and inlay come to, if that is something
	// else on purpose.
	older, ours *seen
}

// verityCases are all of them. 262 is the model.
func verityCases() map[string]verityCase {
	one, none := seen{"hello,", "1", readable, "0"}, seen{"", "0", "none", "1"}
	// What is refused stops nothing else: 1 is systemd's exit status, and 3 ours.
	refused := &seen{"", "0", "none", "3"}
	// Up to 257 a root hash is only known by a signature.
	plain := &seen{"hello,", "0", readable, "0"}
	again := &seen{"hello,", "1", readable, "0-0"}
	return map[string]verityCase{
		"signed": {newest: one}, "signed-default": {newest: one}, "repart": {newest: one}, "squashfs": {newest: one},
		"two": {newest: seen{"hello,world,", "2", readable, "0"}},
		// Up to 257 only what extensions bring anything for is merged.
		"writable": {newest: one, older: &one},

		"nobody-known": {newest: none, ours: refused}, "foreign": {newest: none, ours: refused}, "unsigned": {newest: none, ours: refused},
		"bare": {newest: none, ours: refused}, "changed-tree": {newest: none, ours: refused}, "changed-signature": {newest: none, ours: refused},
		"foreign-beside": {newest: none, ours: &seen{"world,", "1", readable, "0"}},

		// systemd's default takes anything; up to 258 a signature that is there had
		// to be right. Ours is "signed" where a key is trusted.
		"foreign-default":  {newest: one, older: &none, ours: refused},
		"unsigned-default": {newest: one, older: plain, ours: refused},
		"foreign-verity":   {newest: one, older: plain},
		"unsigned-verity":  {newest: one, older: plain},
		"nobody-default":   {newest: one, older: plain},

		"changed-data": {newest: seen{"hello,", "1", "unreadable", "0"}},

		// A refresh that changes nothing is skipped since 260.
		"refresh-same":  {newest: seen{"hello,", "1", readable, "0-1"}, older: again},
		"refresh-copy":  {newest: seen{"hello,", "1", readable, "0-1"}, older: again},
		"refresh-other": {newest: *again},
	}
}

// TestVerityAsSystemd gives images with a hash tree to systemd 257, to the newest
// systemd and to inlay, and compares what becomes of them.
func TestVerityAsSystemd(t *testing.T) {
	t.Parallel()
	p := newPayload(t)
	signer, foreign := newKeyPair(t, "signer", "p256"), newKeyPair(t, "foreign", "p256")
	p.add("signer.pem", signer.certificate)
	p.add("inlay", inlay(t))
	for name, image := range map[string]string{
		"good-hello": buildImage(t, "compare-good", withInlay, signer), "repart-hello": buildImage(t, "compare-repart", withRepart, signer),
		"foreign-hello":  buildImage(t, "compare-foreign", withInlay, foreign),
		"unsigned-hello": buildImage(t, "compare-unsigned", withInlay, keyPair{}),
		"squashfs-hello": buildImage(t, "compare-squashfs", withSquashfs, signer),
		"second-world":   buildImage(t, "compare-second", withWorld, signer),
		"bare-hello":     bareImage(t, buildImage(t, "compare-bare", withInlay, keyPair{})),
		"data-hello":     changed(t, buildImage(t, "compare-data", withInlay, signer), func(_ []byte, parts []sfdisk.Partition) int64 { return parts[0].Start + 300<<10 }),
		"tree-hello":     changed(t, buildImage(t, "compare-tree", withInlay, signer), func(_ []byte, parts []sfdisk.Partition) int64 { return parts[1].Start + 4096 }),
		"signature-hello": changed(t, buildImage(t, "compare-signature", withInlay, signer), func(content []byte, parts []sfdisk.Partition) int64 {
			start := parts[2].Start
			return start + int64(bytes.Index(content[start:], []byte(`"}`))) - 20
		}),
	} {
		p.add(name+".raw", image)
	}
	writeFile(t, filepath.Join(p.folder, "compare.sh"), compareScript)
	p.script.WriteString(withinScript)
	results := machine.Run(t, machine.Machine{
		Root:     machine.RootImage(t),
		Disks:    []machine.Disk{p.disk(), {Path: machine.Ext4(t, debian.Newest(t).Folder()), Serial: "newest"}},
		Deadline: 15 * time.Minute,
	})
	for name, c := range verityCases() {
		t.Run(name, func(t *testing.T) {
			newest := results.Case(t, "newest-"+name)
			c.newest.check(t, "the newest systemd", newest)
			for who, other := range map[string]*seen{"inlay": c.ours, "older": c.older} {
				got := results.Case(t, who+"-"+name)
				if other != nil {
					other.check(t, who, got)
					continue
				}
				want := maps.Clone(newest)
				if who == "older" {
					want = age(want)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-newest +%s):\n%s", who, who, diff)
				}
			}
		})
	}
	for _, who := range []string{"older", "newest", "inlay"} {
		for name := range verityCases() {
			if strings.HasPrefix(name, "refresh-") {
				name = "refresh"
			}
			left := map[string]string{"exit": "0", "verity": "0", "merged": "0"}
			if diff := cmp.Diff(left, results.Case(t, who+"-"+name+"-left")); diff != "" {
				t.Errorf("%s: left of %s (-want +got):\n%s", who, name, diff)
			}
		}
	}
}

// check compares what was reported with s.
func (s seen) check(t *testing.T, who string, got map[string]string) {
	t.Helper()
	want := with(got, "merged", s.merged, "verity", s.verity, "content", s.content, "exit", s.exit)
	if s.content == readable && got["content"] != "none" && got["content"] != "unreadable" {
		want["content"] = got["content"]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", who, diff)
	}
}

// age makes of what the newest systemd shows what 257 shows of the same.
func age(newest map[string]string) map[string]string {
	newest["status"] = strings.ReplaceAll(newest["status"], `"extensions":[]`, `"extensions":"none"`) // until 261
	newest["hashes"] = ""                                                                             // since 260
	return newest
}

// withSquashfs is withInlay for another file system.
func withSquashfs(t *testing.T, tree, image string, signer keyPair) {
	t.Helper()
	runInlay(t, "build", extensionName, "dir:"+tree, "--filesystem", "squashfs", "--output", filepath.Dir(image),
		"--private-key", signer.key, "--certificate", signer.certificate)
}

// withWorld is withInlay for an extension of another name, compressed as usual.
func withWorld(t *testing.T, tree, image string, signer keyPair) {
	t.Helper()
	folder := t.TempDir()
	runInlay(t, "build", "world", "dir:"+tree, "--output", folder, "--private-key", signer.key, "--certificate", signer.certificate)
	if err := os.Rename(filepath.Join(folder, "world.sysext.raw"), image); err != nil {
		t.Fatal(err)
	}
}

// bareImage returns the file system of an image alone.
func bareImage(t *testing.T, image string) string {
	t.Helper()
	bare := filepath.Join(t.TempDir(), "bare.raw")
	sfdisk.Cut(t, image, sfdisk.Table(t, image)[0], bare)
	return bare
}

// changed changes a byte of an image.
func changed(t *testing.T, image string, where func(content []byte, parts []sfdisk.Partition) int64) string {
	t.Helper()
	content, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	content[where(content, sfdisk.Partitions(t, image))] ^= 1
	if err := os.WriteFile(image, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return image
}
