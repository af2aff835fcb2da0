package extension_test

import (
	"strings"
	"testing"

	"inlay/internal/extension"
)

func TestNameOf(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ file, sysext, confext, folder string }{
		"own suffix":            {"foo.sysext.raw", "foo", "foo.sysext", "foo.sysext.raw"},
		"the other kind's":      {"foo.confext.raw", "foo.confext", "foo", "foo.confext.raw"},
		"raw alone":             {"foo.raw", "foo", "foo", "foo.raw"},
		"a version stays":       {"foo_1.0.raw", "foo_1.0", "foo_1.0", "foo_1.0.raw"},
		"suffix without raw":    {"foo.sysext", "foo", "foo.sysext", "foo"},
		"raw twice":             {"foo.raw.raw", "foo.raw", "foo.raw", "foo.raw.raw"},
		"suffix twice":          {"foo.sysext.sysext.raw", "foo.sysext", "foo.sysext.sysext", "foo.sysext.sysext.raw"},
		"raw before the suffix": {"foo.raw.sysext", "foo.raw", "foo.raw.sysext", "foo.raw"},
		"upper case":            {"foo.SYSEXT.RAW", "foo.SYSEXT.RAW", "foo.SYSEXT.RAW", "foo.SYSEXT.RAW"},
		"only a suffix":         {".sysext.raw", "", ".sysext", ".sysext.raw"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := [3]string{
				extension.NameOf(extension.Sysext(), c.file),
				extension.NameOf(extension.Confext(), c.file),
				extension.NameOfFolder(extension.Sysext(), c.file),
			}
			if want := [3]string{c.sysext, c.confext, c.folder}; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestBaseName(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ name, base, version string }{
		"version":          {"foo_1.0", "foo", "1.0"},
		"count":            {"foo+3-1", "foo", "3-1"},
		"both":             {"foo_1.0+3", "foo", "1.0+3"},
		"both, other way":  {"foo+3_1.0", "foo", "3_1.0"},
		"a dash is none":   {"foo-1.0", "foo-1.0", ""},
		"none":             {"foo", "foo", ""},
		"nothing before":   {"_1.0", "", "1.0"},
		"nothing after":    {"foo_", "foo", ""},
		"file":             {"foo_1.0.raw", "foo", "1.0"},
		"file of a kind":   {"foo_1.0.sysext.raw", "foo", "1.0"},
		"file of another":  {"foo.confext.raw", "foo", ""},
		"suffix alone":     {"foo.sysext", "foo.sysext", ""},
		"suffix and later": {"foo.raw_1", "foo.raw", "1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base, version := extension.BaseName(c.name), extension.VersionOf(c.name)
			if base != c.base || version != c.version {
				t.Errorf("%q is %q and %q, want %q and %q", c.name, base, version, c.base, c.version)
			}
		})
	}
}

func TestKindOfFile(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"foo.sysext.raw": "sysext", "foo.confext.raw": "confext", "foo.raw": "", "foo.sysext": "", "": "", "sysext.raw": "",
	} {
		k, ok := extension.KindOfFile(file)
		if k.Name != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", file, k.Name, ok, want)
		}
	}
}

func TestValidName(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ name, reason string }{
		"plain":                 {"foo_1.0+3", ""},
		"hidden":                {".foo", ""},
		"leading dash":          {"-foo", ""},
		"blank":                 {"a b", ""},
		"not ASCII":             {"größe", ""},
		"control beyond ASCII":  {"a\u0085", ""},
		"private use":           {"a\ue000", ""},
		"longest":               {strings.Repeat("n", 255), ""},
		"too long":              {strings.Repeat("n", 256), "255"},
		"empty":                 {"", "no name"},
		"dot":                   {".", "folder"},
		"dots":                  {"..", "folder"},
		"slash":                 {"a/b", "slash"},
		"temporary":             {".#foo", "complete"},
		"not UTF-8":             {"a\xff", "UTF-8"},
		"noncharacter":          {"a\ufdd0", "UTF-8"},
		"noncharacter of plane": {"a\U0001fffe", "UTF-8"},
		"control":               {"a\x1f", "control"},
		"delete":                {"a\x7f", "control"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantRefusal(t, extension.ValidName(c.name), c.reason, "name")
		})
	}
}

func TestArchitectureWord(t *testing.T) {
	t.Parallel()
	for goName, want := range map[string]string{
		"amd64": "x86-64", "386": "x86", "arm64": "arm64", "arm": "arm", "riscv64": "riscv64", "loong64": "loongarch64",
		"ppc64le": "ppc64-le", "ppc64": "ppc64", "s390x": "s390x", "mips64le": "mips64-le", "mipsle": "mips-le", "mips": "mips",
		"wasm": "", "": "",
	} {
		if got := extension.ArchitectureWord(goName); got != want {
			t.Errorf("%q: got %q, want %q", goName, got, want)
		}
	}
	for _, a := range extension.Architectures() {
		if got := extension.ArchitectureWord(a.Go); got != a.Word {
			t.Errorf("%q: got %q, want %q", a.Go, got, a.Word)
		}
	}
	if extension.HostArchitecture() == "" {
		t.Error("this machine has no architecture")
	}
}
