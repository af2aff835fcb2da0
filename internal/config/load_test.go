package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/config"
	"inlay/internal/hint"
	"inlay/internal/trust"
)

// place makes a root folder with these files: a path to its text.
func place(t *testing.T, files map[string]string) (folder string, root *os.Root) {
	t.Helper()
	folder = t.TempDir()
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return folder, root
}

func TestLoadNothing(t *testing.T) {
	t.Parallel()
	_, root := place(t, nil)
	got, err := config.Load(root, config.Options{User: os.Geteuid(), Default: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&config.Config{}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestLoadOrder has each place say something of each kind.
func TestLoadOrder(t *testing.T) {
	t.Parallel()
	_, root := place(t, map[string]string{
		"oem/90.yaml":                    "#cloud-config\ninstall:\n  policy: any\n  trust:\n    firmware: true\n    chains: true\n    folders: [/oem90]\n",
		"oem/95.yml":                     "#node-config\ninstall:\n  trust:\n    vendor_cas: true\n    folders: [/oem95]\n",
		"oem/50.yaml":                    "policy: not even looked at\n",
		"oem/60.yaml":                    "#cloud-config\nstages: {}\n",
		"oem/70.txt":                     "#cloud-config\ninstall:\n  policy: ~\n",
		"etc/inlay/config.yaml":          "policy: signed\ntrust:\n  firmware: false\n  folders: [/etc]\n",
		"etc/inlay/config.d/10.yaml":     "trust:\n  folders: [/d10]\n  chains: false\n",
		"etc/inlay/config.d/20.yml":      "trust:\n  folders: [/d20]\n",
		"etc/inlay/config.d/.hide.yaml":  "rubbish",
		"etc/inlay/config.d/old.yaml~":   "rubbish",
		"etc/inlay/config.d/README":      "rubbish",
		"srv/one.conf":                   "policy: verity\ntrust:\n  folders: [/one]\n",
		"srv/two.yaml":                   "#cloud-config\ninstall:\n  trust:\n    folders: [/two]\n",
		"usr/lib/inlay/config.yaml":      "policy: any\ntrust:\n  folders: [/usr]\n",
		"etc/inlay/config.d/deep/x.yaml": "rubbish",
	})
	yes, no := true, false
	byDefault := &config.Config{
		Trust: config.Trust{
			Folders:  []string{"/usr", "/oem90", "/oem95", "/etc", "/d10", "/d20"},
			Firmware: &no, VendorCAs: &yes, Chains: &no,
		},
		Policy:  policy("signed"),
		Sources: []string{"/usr/lib/inlay/config.yaml", "/oem/90.yaml", "/oem/95.yml", "/etc/inlay/config.yaml", "/etc/inlay/config.d/10.yaml", "/etc/inlay/config.d/20.yml"},
	}
	got, err := config.Load(root, config.Options{User: os.Geteuid(), Default: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(byDefault, got, samePolicy()); diff != "" {
		t.Errorf("by default (-want +got):\n%s", diff)
	}

	got, err = config.Load(root, config.Options{User: os.Geteuid(), Files: []string{"/srv/one.conf", "srv/two.yaml"}})
	if err != nil {
		t.Fatal(err)
	}
	alone := &config.Config{
		Trust: config.Trust{Folders: []string{"/one", "/two"}}, Policy: policy("verity"),
		Sources: []string{"/srv/one.conf", "/srv/two.yaml"},
	}
	if diff := cmp.Diff(alone, got, samePolicy()); diff != "" {
		t.Errorf("files alone (-want +got):\n%s", diff)
	}

	got, err = config.Load(root, config.Options{User: os.Geteuid(), Default: true, Files: []string{"srv/one.conf"}})
	if err != nil {
		t.Fatal(err)
	}
	if got.Policy.String() != "verity" || got.Sources[len(got.Sources)-1] != "/srv/one.conf" {
		t.Errorf("a file that is named doesn't win: %v of %q", got.Policy, got.Sources)
	}
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	const main, dropIn, oem = "etc/inlay/config.yaml", "etc/inlay/config.d/10.yaml", "oem/90.yaml"
	ours := "#cloud-config\ninstall:\n  policy: any\n"
	do := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	cases := map[string]struct {
		files      map[string]string
		named      string
		spoil      func(t *testing.T, folder string)
		want, hint string
	}{
		"broken":              {map[string]string{main: "policy: any\nx: y\n"}, "", nil, `/etc/inlay/config.yaml:2:1: no key is called "x"`, "use one of"},
		"broken drop-in":      {map[string]string{main: "policy: any\n", dropIn: "policy: x\n"}, "", nil, "/etc/inlay/config.d/10.yaml:1:9: ", ""},
		"broken cloud-config": {map[string]string{oem: "#cloud-config\ninstall:\n  policy: x\n"}, "", nil, "/oem/90.yaml:3:11: ", ""},
		"named and missing":   {nil, "/srv/x.yaml", nil, `"/srv/x.yaml": `, ""},
		"named and a folder":  {map[string]string{"srv/x/y": ""}, "/srv/x", nil, "a folder, not a file", ""},
		"named and outside":   {nil, "/../x.yaml", nil, `"/x.yaml": `, ""},
		"a device":            {nil, "dev/null", func(t *testing.T, folder string) { t.Helper(); do(t, os.Symlink("/dev", folder+"/dev")) }, "escapes", "links are followed"},
		"anybody may write":   {map[string]string{main: "policy: any\n"}, "", func(t *testing.T, folder string) { t.Helper(); do(t, os.Chmod(filepath.Join(folder, main), 0o666)) }, "anybody may write to it", "/001/etc/inlay/config.yaml, after"},
		"anybody, and broken": {map[string]string{main: "rubbish\n"}, "", func(t *testing.T, folder string) { t.Helper(); do(t, os.Chmod(filepath.Join(folder, main), 0o646)) }, "anybody may write to it", ""},
		"anybody, the folder": {map[string]string{dropIn: "policy: any\n"}, "", func(t *testing.T, folder string) {
			t.Helper()
			do(t, os.Chmod(filepath.Join(folder, "etc/inlay/config.d"), 0o777|os.ModeSticky))
		}, `anybody may write to the folder "/etc/inlay/config.d"`, "/001/etc/inlay/config.d, after"},
		"anybody, in /oem":     {map[string]string{oem: ours}, "", func(t *testing.T, folder string) { t.Helper(); do(t, os.Chmod(filepath.Join(folder, oem), 0o666)) }, "anybody may write to it", ""},
		"a FIFO":               {map[string]string{dropIn: ""}, "", func(t *testing.T, folder string) { t.Helper(); do(t, unix.Mkfifo(filepath.Join(folder, main), 0o600)) }, "not a regular file", ""},
		"a drop-in folder":     {map[string]string{dropIn + "/x": ""}, "", nil, "a folder, not a file", ""},
		"a file as the folder": {map[string]string{"etc/inlay/config.d": ""}, "", nil, "not a directory", ""},
		"a link out": {map[string]string{dropIn: ""}, "", func(t *testing.T, folder string) {
			t.Helper()
			do(t, os.WriteFile(folder+"/../outside.yaml", []byte("policy: any\n"), 0o600))
			do(t, os.Symlink("../../../outside.yaml", filepath.Join(folder, main)))
		}, "leads out of the root folder", "inside of the root folder"},
		"a link to nowhere": {map[string]string{dropIn: ""}, "", func(t *testing.T, folder string) { t.Helper(); do(t, os.Symlink("gone", filepath.Join(folder, main))) }, "a link to what is not there", ""},
		"a folder that is gone": {map[string]string{main: ""}, "", func(t *testing.T, folder string) {
			t.Helper()
			do(t, os.Symlink("gone", filepath.Join(folder, "etc/inlay/config.d")))
		}, "a link to what is not there", ""},
		"a folder above that is gone": {nil, "", func(t *testing.T, folder string) {
			t.Helper()
			do(t, os.Symlink("/oem/inlay", filepath.Join(folder, "etc")))
		}, "no such file", "mend"},
		"a link to /oem outside": {nil, "", func(t *testing.T, folder string) { t.Helper(); do(t, os.Symlink("..", folder+"/oem")) }, "leads out of the root folder", "inside of the root folder"},
		"endless":                {map[string]string{main: strings.Repeat("# x\n", 2<<20)}, "", nil, "8388608 bytes: too large", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder, root := place(t, c.files)
			if c.spoil != nil {
				c.spoil(t, folder)
			}
			o := config.Options{User: os.Geteuid(), Default: true}
			if c.named != "" {
				o = config.Options{User: os.Geteuid(), Files: []string{c.named}}
			}
			got, err := config.Load(root, o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %+v, %v; want an error with %q", got, err, c.want)
			}
			if got != nil {
				t.Errorf("a configuration comes with the error: %+v", got)
			}
			if advice := strings.ToLower(strings.Join(hint.Of(err), " ")); !strings.Contains(advice, c.hint) {
				t.Errorf("the hint is %q, want %q in it", advice, c.hint)
			}
		})
	}
}

// TestLoadLeavesOthersAlone has files in /oem that are none of our business.
func TestLoadLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	folder, root := place(t, map[string]string{
		"oem/a.yaml": "#cloud-config\n" + oddCloud, "oem/b.yaml": "\x00\xff", "oem/c.yaml/d": "", "oem/e.yaml": "#cloud-config\nx: y\n",
		"oem/link/target": "#cloud-config\ninstall:\n  policy: verity\n",
	})
	if err := unix.Mkfifo(folder+"/oem/f.yaml", 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(folder+"/oem/e.yaml", 0o666); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"/oem/y.yaml": "/dev/null", "/oem/z.yaml": "/oem/link/target"} {
		if err := os.Symlink(target, folder+name); err != nil {
			t.Fatal(err)
		}
	}
	got, err := config.Load(root, config.Options{User: os.Geteuid(), Default: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&config.Config{Policy: policy("verity"), Sources: []string{"/oem/z.yaml"}}, got, samePolicy()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTrustOptions(t *testing.T) {
	t.Parallel()
	_, root := place(t, map[string]string{
		"etc/inlay/config.yaml":  fullText(),
		"srv/deny/2026.deny":     "inlay deny list 1\n",
		"srv/deny/2026.deny.p7s": "signature",
	})
	c, err := config.Load(root, config.Options{User: os.Geteuid(), Default: true})
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.TrustOptions(root)
	if err != nil {
		t.Fatal(err)
	}
	if got.Root != root {
		t.Error("it isn't about this root")
	}
	got.Root = nil
	want := trust.Options{
		Given:        []trust.Given{{Origin: "configuration /etc/inlay/config.yaml:5", PEM: []byte(pemText)}},
		Files:        []string{"/etc/keys/acme.pem"},
		Folders:      append(trust.DefaultFolders(), "/srv/trust"),
		Firmware:     true,
		Chains:       true,
		Fingerprints: c.Trust.Fingerprints,
		DenyLists:    []trust.DenyFile{{Origin: "/srv/deny/2026.deny", Text: []byte("inlay deny list 1\n"), Signature: []byte("signature")}},
		DenyFolders:  trust.DefaultDenyFolders(),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	no, err := config.Parse("no", []byte("trust: {firmware: false, chains: false, vendor_cas: false}"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err = no.TrustOptions(nil); err != nil || got.Firmware || got.Chains || got.VendorCAs {
		t.Errorf("of false: %+v, %v", got, err)
	}

	var zero config.Config
	got, err = zero.TrustOptions(nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(trust.Options{Folders: trust.DefaultFolders(), DenyFolders: trust.DefaultDenyFolders()}, got); diff != "" {
		t.Errorf("of nothing (-want +got):\n%s", diff)
	}

	for _, gone := range []string{"srv/deny/2026.deny.p7s", "srv/deny/2026.deny"} {
		if err := root.Remove(gone); err != nil {
			t.Fatal(err)
		}
		if _, err := c.TrustOptions(root); err == nil || !strings.Contains(err.Error(), `"/`+gone+`"`) {
			t.Errorf("without %s: %v", gone, err)
		}
	}
}
