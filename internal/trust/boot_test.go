package trust_test

import (
	"crypto/x509"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/trust"
)

// TestBoot plants a key in each place that a disk could hold, and in each that it
// could not.
func TestBoot(t *testing.T) {
	t.Parallel()
	ids := map[string]identity{}
	id := func(name string) identity {
		if _, ok := ids[name]; !ok {
			ids[name] = signer(t, name)
		}
		return ids[name]
	}
	vendor := signer(t, "vendor", func(c *x509.Certificate) { c.Subject.Organization = []string{"Microsoft Corporation"} })
	revoked := id("revoked")
	system := firmware(t, map[string]string{"db": x509List(id("db").cert), "dbx": x509List(revoked.cert)})
	target := openRoot(t, t.TempDir())
	for _, root := range []*os.Root{system, target} {
		where := "system"
		if root == target {
			where = "target"
		}
		for _, folder := range []string{"etc/verity.d", "run/verity.d", "usr/lib/verity.d", "usr/local/lib/verity.d", "srv/keys"} {
			write(t, root, folder+"/key.crt", string(toPEM(id(where+" "+folder).cert)))
		}
	}
	write(t, system, "run/verity.d/DB1.crt", string(toPEM(vendor.cert)))
	write(t, system, "run/verity.d/old.crt", string(toPEM(revoked.cert)))
	write(t, system, "usr/lib/verity.d/out.crt", "")
	if err := system.Remove("usr/lib/verity.d/out.crt"); err != nil {
		t.Fatal(err)
	}
	if err := system.Symlink("/etc/verity.d/key.crt", "usr/lib/verity.d/out.crt"); err != nil {
		t.Fatal(err)
	}
	if err := system.Symlink("/dev/null", "usr/lib/verity.d/masked.crt"); err != nil {
		t.Fatal(err)
	}
	configured := trust.Options{
		Root: target, Folders: append(trust.DefaultFolders(), "srv/keys"), Files: []string{"srv/keys/key.crt"},
		Given: []trust.Given{{Origin: "configuration", PEM: toPEM(id("inline").cert)}}, VendorCAs: true, Chains: true, Firmware: true,
		DenyFolders: trust.DefaultDenyFolders(),
	}
	memory := func(folders ...string) func(*os.Root, string) bool {
		return func(root *os.Root, name string) bool { return root == system && slices.Contains(folders, name) }
	}
	pinned := trust.Anchor{Certificate: id("db").cert}.Fingerprint()
	carried := trust.Anchor{Certificate: id("system usr/lib/verity.d").cert}.Fingerprint()
	given := []trust.Given{{Origin: "command line", PEM: toPEM(id("command line").cert)}}
	for _, test := range []struct {
		name string
		boot trust.Boot
		pins []string
		want []string
	}{
		{"all on disks", trust.Boot{InMemory: memory()}, nil, []string{"db firmware db"}},
		{
			"a UKI with its root in memory",
			trust.Boot{InMemory: memory("run/verity.d", "usr/lib/verity.d", "etc/verity.d"), Given: given},
			nil,
			[]string{"command line command line", "system run/verity.d /run/verity.d/key.crt", "system usr/lib/verity.d /usr/lib/verity.d/key.crt", "system etc/verity.d /usr/lib/verity.d/out.crt", "db firmware db"},
		},
		{
			"a link that leads to a disk",
			trust.Boot{InMemory: memory("usr/lib/verity.d")},
			nil,
			[]string{"system usr/lib/verity.d /usr/lib/verity.d/key.crt", "db firmware db"},
		},
		{
			"an initrd",
			trust.Boot{Initrd: true, InMemory: memory("usr/lib/verity.d", "etc/verity.d")},
			nil,
			[]string{"system etc/verity.d /etc/verity.d/key.crt, /usr/lib/verity.d/out.crt", "system usr/lib/verity.d /usr/lib/verity.d/key.crt", "db firmware db"},
		},
		{"a pin takes away", trust.Boot{InMemory: memory("usr/lib/verity.d")}, []string{hex.EncodeToString(pinned[:])}, []string{"db firmware db"}},
		{
			"a pin of the disk adds nobody to the image's",
			trust.Boot{InMemory: memory("usr/lib/verity.d"), Image: trust.Options{Fingerprints: []string{hex.EncodeToString(carried[:])}}},
			[]string{hex.EncodeToString(pinned[:])},
			nil,
		},
		{
			"a pin of the image",
			trust.Boot{InMemory: memory("usr/lib/verity.d"), Image: trust.Options{Fingerprints: []string{hex.EncodeToString(carried[:])}}},
			nil,
			[]string{"system usr/lib/verity.d /usr/lib/verity.d/key.crt"},
		},
		{
			"the image's configuration",
			trust.Boot{
				InMemory: memory("srv/keys", "usr/lib"),
				Image:    trust.Options{Folders: []string{"/srv/keys"}, Given: []trust.Given{{Origin: "image", PEM: toPEM(id("image").cert)}}},
			},
			nil,
			[]string{"image image", "system srv/keys /srv/keys/key.crt", "db firmware db"},
		},
		{
			"the image asks for vendors",
			trust.Boot{InMemory: memory("run/verity.d"), Image: trust.Options{VendorCAs: true}},
			nil,
			[]string{"vendor /run/verity.d/DB1.crt", "system run/verity.d /run/verity.d/key.crt", "db firmware db"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.boot.System = system
			c := configured
			c.Fingerprints = test.pins
			o, problems := test.boot.Options(c)
			set, err := trust.Load(o)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, a := range set.Anchors {
				got = append(got, a.Certificate.Subject.CommonName+" "+a.Origin)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("anchors (-want +got):\n%s\n%v", diff, set.Problems)
			}
			if !slices.ContainsFunc(problems, func(p trust.Problem) bool { return strings.Contains(p.Text, "adds nobody to trust") }) {
				t.Errorf("nobody is told that the configuration doesn't count: %v", problems)
			}
		})
	}
	// Without variables to read, nobody counts.
	blind := openRoot(t, t.TempDir())
	if err := blind.MkdirAll("sys/firmware/efi/efivars", 0o755); err != nil {
		t.Fatal(err)
	}
	o, _ := trust.Boot{System: blind, Given: given}.Options(configured)
	if set, err := trust.Load(o); err != nil || len(set.Anchors) > 0 || !set.Named {
		t.Errorf("without the firmware's variables: %v, %v", set.Anchors, err)
	}
}

// TestInMemory asks the kernel.
func TestInMemory(t *testing.T) {
	t.Parallel()
	proc := openRoot(t, "/")
	if trust.InMemory(proc, "proc") || trust.InMemory(proc, "nowhere") {
		t.Error("what is no memory passes for it")
	}
	if _, err := os.Stat("/dev/shm"); err == nil && !trust.InMemory(proc, "dev/shm") {
		t.Log("/dev/shm is no tmpfs here")
	}
}

// TestInMemoryOfAnything waits for nobody.
func TestInMemoryOfAnything(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	root := openRoot(t, dir)
	done := make(chan bool, 1)
	go func() { done <- trust.InMemory(root, "fifo") }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("it waits for the other end of a FIFO")
	}
}
