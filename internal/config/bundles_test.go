package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/config"
	"inlay/internal/hint"
)

// documented is the node configuration of the Kairos documents.
const documented = `#node-config

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
  - rootfs_path: /usr/local/lib/extensions/kubo
    targets:
    - container://registry.example.org/kubo
`

func TestParseBundles(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	one := func(origin string, targets ...string) config.Bundle {
		return config.Bundle{Targets: targets, Origin: origin}
	}
	tests := map[string]struct {
		text string
		want config.Bundles
	}{
		"the documents' own": {documented, config.Bundles{Install: []config.Bundle{{
			RootFS: "/usr/local/lib/extensions/kubo", Targets: []string{"container://registry.example.org/kubo"}, Origin: "f:18",
		}}}},
		"nothing of ours": {"#cloud-config\nstages: {}\ninstall:\n  device: auto\n", config.Bundles{}},
		"all keys": {`#cloud-config
bundles:
- repository: docker://quay.io/kairos/packages
  rootfs_path: /srv/a/
  db_path: /usr/local/.kairos/db
  local_file: true
  targets: ["container:///srv/a.tar", run:///srv/b.tar]
fail_on_bundles_errors: true
`, config.Bundles{FirstBoot: []config.Bundle{{
			Repository: "docker://quay.io/kairos/packages", RootFS: "/srv/a", DB: "/usr/local/.kairos/db", LocalFile: true,
			Targets: []string{"container:///srv/a.tar", "run:///srv/b.tar"}, Origin: "f:3",
		}}, FailOnErrors: &yes}},
		"both lists, deeper and flat": {`#cloud-config
"bundles":   # first boot
    - targets:
        - a
    # a remark
    - targets: [b,
c]
install:
 fail_on_bundles_errors: false
 bundles: [{targets: [d]}]
`, config.Bundles{
			FirstBoot: []config.Bundle{one("f:3", "a"), one("f:6", "b", "c")}, Install: []config.Bundle{one("f:10", "d")}, FailOnErrors: &no,
		}},
		"what others write around it": {"#cloud-config\n" + othersCloud + "bundles:\n- targets:\n  - a\n\nmore: {{ .Name }}\n", config.Bundles{
			FirstBoot: []config.Bundle{one("f:38", "a")},
		}},
		"words in a text": {"#cloud-config\nwrite_files:\n- content: |\n    bundles:\n    - targets: [a]\n    install:\n      bundles: 0\n", config.Bundles{}},
		"an empty list":   {"#cloud-config\nbundles: []\ninstall:\n  bundles:\n", config.Bundles{}},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := config.ParseBundles("f", []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			got.Sources = nil
			if diff := cmp.Diff(&c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseBundlesRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, at, wrong, advice string }{
		"an unknown key":      {"bundles:\n- target: [a]\n", "f:3:3:", `"target"`, `"targets"`},
		"no targets":          {"bundles:\n- rootfs_path: /a\n", "f:3:", "no targets", "targets:"},
		"a number":            {"bundles:\n- targets: [1]\n", "f:3:13:", "a text is wanted", "quotes"},
		"no list":             {"bundles:\n  targets: [a]\n", "f:3:", "a list is wanted", "dash"},
		"a relative path":     {"bundles:\n- targets: [a]\n  rootfs_path: var/x\n", "f:4:16:", "not absolute", ""},
		"dots":                {"bundles:\n- targets: [a]\n  rootfs_path: /var/../../x\n", "f:4:16:", "two dots", ""},
		"a truth in quotes":   {"bundles:\n- targets: [a]\n  local_file: \"yes\"\n", "f:4:15:", "true or false", "without quotes"},
		"the same key twice":  {"bundles:\n- targets: [a]\nbundles:\n- targets: [b]\n", "f:4:1:", "given twice", ""},
		"an alias":            {"x: &x [a]\nbundles:\n- targets: *x\n", "f:4:", "aliases", "write the value out"},
		"braces around":       {"{bundles: [{targets: [a]}]}\n", "f:2:1:", "cannot be told", "install:"},
		"braces":              {"install: {bundles: [{targets: [a]}]}\n", "f:2:1:", "cannot be told", "install:"},
		"swallowed by quotes": {"motd: \"x\ninstall:\n  bundles:\n  - targets: [a]\n", "f:4:", "cannot be told", "line 2"},
		"after what is odd":   {"x: ]\nbundles:\n- targets: [a]\n", "f:3:1:", "cannot be told", "line 2"},
		"no YAML":             {"bundles:\n- targets: [a\n", "f:3:", "not YAML", ""},
		"two documents":       {"a: 1\n---\nbundles:\n- targets: [a]\n", "f:4:1:", "second document", "---"},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := config.ParseBundles("f", []byte("#cloud-config\n"+c.text))
			if err == nil {
				t.Fatalf("taken: %+v", b)
			}
			if _, ok := errors.AsType[*config.Error](err); !ok || !strings.HasPrefix(err.Error(), c.at) || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%v, want %s … %s", err, c.at, c.wrong)
			}
			if hints := strings.Join(hint.Of(err), " "); !strings.Contains(hints, c.advice) {
				t.Errorf("hints %q, want %q", hints, c.advice)
			}
		})
	}
}

func TestLoadBundles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name, text string, mode os.FileMode) {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	const text = "#cloud-config\nbundles:\n- targets: [NAME]\n"
	put("oem/1.yaml", strings.ReplaceAll(text, "NAME", "one")+"fail_on_bundles_errors: true\n", 0o644)
	put("oem/2.yml", strings.ReplaceAll(text, "NAME", "two")+"fail_on_bundles_errors: false\n", 0o644)
	put("oem/3.yaml", "install:\n  bundles: 7\n", 0o644) // of another kind
	put("oem/4.txt", text, 0o644)
	put("oem/5.yaml", "#cloud-config\nbundle: {{ .X }}\n", 0o666) // says nothing of ours
	put("other.yaml", strings.ReplaceAll(text, "NAME", "other"), 0o644)
	put("open.yaml", text, 0o666)
	put("plain.yaml", "bundles: []\n", 0o644)
	if err := os.Symlink("nowhere", filepath.Join(dir, "oem/6.yaml")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()

	b, err := config.LoadBundles(root, []string{"/oem", "other.yaml"}, os.Geteuid())
	if err != nil {
		t.Fatal(err)
	}
	var targets []string
	for _, bundle := range b.FirstBoot {
		targets = append(targets, bundle.Origin+" "+bundle.Targets[0])
	}
	if diff := cmp.Diff([]string{"/oem/1.yaml:3 one", "/oem/2.yml:3 two", "/other.yaml:3 other"}, targets); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/oem/1.yaml", "/oem/2.yml", "/other.yaml"}, b.Sources); diff != "" {
		t.Error(diff)
	}
	if b.FailOnErrors == nil || !*b.FailOnErrors {
		t.Error("a later file takes back that errors count")
	}

	for name, wrong := range map[string]string{
		"open.yaml": "have any program run", "plain.yaml": "no cloud-config", "nothing.yaml": "no such file", "oem/6.yaml": "link",
	} {
		if _, err := config.LoadBundles(root, []string{name}, os.Geteuid()); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v, want %s", name, err, wrong)
		}
	}
}

// FuzzParseBundles holds errors to their place, and what is taken to its bounds.
func FuzzParseBundles(f *testing.F) {
	for _, seed := range []string{
		documented, "#cloud-config\n" + oddCloud + "bundles:\n- targets: [a]\n", "#cloud-config\nbundles: [{targets: [\"a\n\"]}]\ninstall:\n bundles:\n",
		"#cloud-config\nbundles:\n-\ttargets:\n", "#cloud-config\n? bundles\n: - targets: *x\n", "#cloud-config\nfail_on_bundles_errors: |\n true\n- x\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := config.ParseBundles("f", text)
		if err != nil {
			e, ok := errors.AsType[*config.Error](err)
			if !ok || e.Line < 1 || e.Column < 1 || e.Line > 1+strings.Count(string(text), "\n") {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, bundle := range append(b.Install, b.FirstBoot...) {
			if len(bundle.Targets) == 0 || bundle.Origin == "" || bundle.RootFS != "" && !filepath.IsAbs(bundle.RootFS) || strings.Contains(bundle.RootFS, "..") && strings.Contains(bundle.RootFS+"/", "/../") {
				t.Fatalf("taken: %+v", bundle)
			}
		}
	})
}
