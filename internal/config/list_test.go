package config_test

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"inlay/internal/config"
	"inlay/internal/hint"
)

const fullList = `# everything
defaults:
  arch: [amd64, arm64]
  output: out/{arch}
  release: [ID=a, VERSION_ID=1]
  service_reload: true
extensions:
  - name: one
    source: dir:one
  - name: two
    source: oci:host/two:1
    kind: confext
    arch: riscv64
    layers: 2
    include_paths: [/opt, /srv]
    release: []
    service_reload: false
    enable_units: a.service
    allow_overlay_markers: true
    owner: keep
    selinux_contexts: contexts
    filesystem: erofs
    compression: zstd:3
    min_kernel: 6.10
    seed: s
    output: here
    private_key: k
    certificate: c
    signer: exec:s
    defer_signature: true
`

func TestParseList(t *testing.T) {
	t.Parallel()
	got, err := config.ParseList("f", []byte(fullList))
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Extension{
		{
			Name: "one", Source: "dir:one", Architectures: []string{"amd64", "arm64"}, Output: "out/{arch}",
			Release: []string{"ID=a", "VERSION_ID=1"}, ServiceReload: true,
		},
		{
			Name: "two", Source: "oci:host/two:1", Kind: "confext", Architectures: []string{"riscv64"}, Layers: "2",
			IncludePaths: []string{"/opt", "/srv"}, EnableUnits: []string{"a.service"}, AllowOverlayMarkers: true, Owner: "keep",
			Contexts: "contexts", FileSystem: "erofs", Compression: "zstd:3", MinKernel: "6.10", Seed: "s", Output: "here",
			PrivateKey: "k", Certificate: "c", Signer: "exec:s", DeferSignature: true,
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(config.Extension{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if text := got[1].At(errors.New("wrong")).Error(); !strings.HasPrefix(text, "f:10:") {
		t.Errorf("the second entry is said to be at %q", text)
	}
}

// TestListErrors promises that nothing odd passes, and where it is said to be.
func TestListErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                    "f:1:1: the list names no extension",
		"# nothing\n":                         "the list names no extension",
		"extensions:\n":                       "the list names no extension",
		"extensions: {}\n":                    "f:1:13: a list is wanted",
		"- name: x\n":                         "f:1:1: the list wants keys with values",
		"extension:\n- name: x\n":             "f:1:1: no key of the list is called \"extension\"",
		"extensions:\n- one\n":                "f:2:3: an extension wants keys",
		"extensions:\n- name: x\n":            "this extension has no source",
		"extensions:\n- source: dir:x\n":      "this extension has no name",
		"extensions:\n- name: x\n  name: y\n": "f:3:3: the key \"name\" is given twice",
		"extensions:\n- {name: x, source: y, defer_signature: 1}\n": "true or false is wanted",
		"extensions:\n- {name: x, source: y, arch: {a: b}}\n":       "a text is wanted",
		"extensions:\n- {name: x, source: y, arch: [[a]]}\n":        "a text is wanted",
		"extensions:\n- &a {name: x, source: y}\n- *a\n":            "aliases, anchors and tags",
		"defaults: {name: x}\n":                                     "no key of defaults is called \"name\"",
		"defaults:\n\toutput: x\n":                                  "f:2:1: a tab indents this line",
		"extensions:\n---\nextensions:\n":                           "a second document begins here",
		"extensions:\n- {name: , source: y}\n":                      "there is no value",
	} {
		got, err := config.ParseList("f", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || got != nil {
			t.Errorf("%q: got %v and %v, want %q", text, got, err, want)
		}
	}
}

// TestListIsDocumented promises that docs/building.md has the keys that are taken.
func TestListIsDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/building.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Several at once\n")
	if !found {
		t.Fatal("building.md has no section about lists")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var documented []string
	for row := range strings.Lines(section) {
		cell, _, isRow := strings.Cut(strings.TrimPrefix(row, "| "), " |")
		if !isRow || !strings.HasPrefix(row, "| `") {
			continue
		}
		for _, key := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cell, -1) {
			documented = append(documented, key[1])
		}
	}
	_, err = config.ParseList("f", []byte("extensions: [{no such key: 1}]"))
	_, keys, _ := strings.Cut(strings.Join(hint.Of(err), " "), "use one of ")
	taken := append([]string{"defaults", "extensions"}, strings.Split(keys, ", ")...)
	slices.Sort(taken)
	slices.Sort(documented)
	if diff := cmp.Diff(taken, documented); diff != "" {
		t.Errorf("-taken +documented:\n%s", diff)
	}
}

func FuzzParseList(f *testing.F) {
	for _, seed := range []string{"", fullList, "extensions:\n- {name: x, source: y, arch: [[a]]}\n", "defaults:\nextensions: [{}]", "extensions: &a\n- *a\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := config.ParseList("f", text)
		if err != nil {
			if _, ok := errors.AsType[*config.Error](err); !ok || list != nil {
				t.Fatalf("%v, with %v", err, list)
			}
			return
		}
		if len(list) == 0 {
			t.Fatal("an empty list is none")
		}
		for _, e := range list {
			if e.Name == "" || e.Source == "" || e.At(errors.New("x")).Error() == "" {
				t.Fatalf("an entry without what it needs: %+v", e)
			}
		}
	})
}
