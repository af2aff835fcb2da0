package config_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/config"
	"inlay/internal/extension"
	"inlay/internal/hint"
)

func TestParseLayering(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for name, c := range map[string]struct {
		text string
		want config.Layering
	}{
		"nothing": {"policy: any\n", config.Layering{}},
		"all": {
			"engine: native\nsearch: false\nhierarchies:\n- /usr/bin\n- kairos\nmutable: ephemeral-import\nmatching: extended\nunsafe_content: true\n",
			config.Layering{Engine: "native", Search: &no, Hierarchies: []string{"/usr/bin", "kairos"}, Mutable: "ephemeral-import", Matching: "extended", UnsafeContent: &yes},
		},
		"a word for hierarchies": {"hierarchies: kairos\n", config.Layering{Hierarchies: []string{"kairos"}}},
		// To YAML 1.2 these two are texts.
		"no":  {"mutable: no\n", config.Layering{Mutable: "no"}},
		"yes": {"mutable: \"yes\"\n", config.Layering{Mutable: "yes"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Parse("f", []byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got.Layering); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestParseLayeringRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want, advice string }{
		"engine":                  {"engine: docker\n", `f:1:9: "docker" is none of the words that are taken here`, "write one of auto, systemd, native"},
		"mode":                    {"mutable: sometimes\n", `f:1:10: "sometimes" is none of the words`, "ephemeral-import"},
		"a truth value":           {"mutable: true\n", "f:1:10: a text is wanted, and this is true or false", "quotes"},
		"matching":                {"matching: exactly\n", `"exactly" is none of the words`, "exact, extended"},
		"search":                  {"search: yes\n", "true or false is wanted", "without quotes"},
		"unsafe":                  {"unsafe_content: 1\n", "true or false is wanted, and this is a number", "without quotes"},
		"relative":                {"hierarchies: [usr]\n", `the path "usr" is not absolute`, "absolute path"},
		"the root":                {"hierarchies:\n- /usr\n- /\n", `f:3:3: "/" is no hierarchy`, "absolute path"},
		"a slash at the end":      {"hierarchies: [/usr/]\n", `"/usr/" is no hierarchy`, "absolute path"},
		"twice":                   {"hierarchies: [/usr, /usr]\n", `"/usr" is named twice`, "once"},
		"none":                    {"hierarchies: []\n", "no hierarchy is named", "remove the line"},
		"another word":            {"hierarchies: flatcar\n", "a list is wanted", "dash"},
		"in a cloud-config's own": {"#cloud-config\ninstall:\n  policy: any\n  trust: {}\nengine: native\n", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Parse("f", []byte(c.text))
			if c.want == "" {
				if err != nil || got.Layering.Engine != "" {
					t.Errorf("%+v, %v: it isn't ours there", got, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if !strings.Contains(strings.Join(hint.Of(err), "\n"), c.advice) {
				t.Errorf("the advice is %q, want %q", hint.Of(err), c.advice)
			}
		})
	}
}

// TestLayeringOrder has each file say something.
func TestLayeringOrder(t *testing.T) {
	t.Parallel()
	_, root := place(t, map[string]string{
		"oem/90.yaml":                "#cloud-config\ninstall:\n  engine: systemd\n  policy: any\n",
		"etc/inlay/config.yaml":      "engine: native\nsearch: false\nhierarchies: [/usr/bin, /opt]\nmutable: auto\nmatching: extended\n",
		"etc/inlay/config.d/10.yaml": "hierarchies: kairos\nsearch: true\nmutable: no\nunsafe_content: true\n",
	})
	yes := true
	got, err := config.Load(root, config.Options{User: os.Geteuid(), Default: true})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Layering{Engine: "native", Search: &yes, Hierarchies: []string{"kairos"}, Mutable: "no", Matching: "extended", UnsafeContent: &yes}
	if diff := cmp.Diff(want, got.Layering); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestHierarchiesOfKinds(t *testing.T) {
	t.Parallel()
	l := config.Layering{Hierarchies: []string{"/usr/bin", "/etc", "/opt", "/etc/ssl", "/etcetera", "kairos"}}
	for _, c := range []struct {
		k    extension.Kind
		want []string
	}{
		{extension.Sysext(), []string{"/usr/bin", "/opt", "/etcetera", "kairos"}},
		{extension.Confext(), []string{"/etc", "/etc/ssl", "kairos"}},
	} {
		if diff := cmp.Diff(c.want, l.For(c.k.Mergeable)); diff != "" {
			t.Errorf("of %s (-want +got)\n%s", c.k.Name, diff)
		}
	}
}
