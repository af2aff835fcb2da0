package extension_test

import (
	"strings"
	"testing"

	"inlay/internal/extension"
	"inlay/internal/hint"
	"inlay/internal/osrelease"
)

func TestCheckName(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		name   string
		reason string // "" accepts
		advice string
	}{
		"plain":             {"k3s", "", ""},
		"version":           {"k3s-v1.29.2+k3s1", "", ""},
		"underscore":        {"foo_1.0", "", ""},
		"not ASCII":         {"größe", "", ""},
		"longest":           {strings.Repeat("n", 237), "", ""},
		"empty":             {"", "empty", "k3s"},
		"slash":             {"a/b", "slash", "--output"},
		"leading dot":       {".foo", "starts with a dot", "letter"},
		"leading dash":      {"-foo", "starts with a dash", "letter"},
		"control character": {"a\tb", "control", "letters"},
		"not UTF-8":         {"a\xff", "UTF-8", "letters"},
		"raw":               {"foo.raw", "suffix", `call it "foo"`},
		"sysext raw":        {"foo.sysext.raw", "suffix", `call it "foo"`},
		"sysext":            {"foo.sysext", "suffix", `call it "foo"`},
		"confext in sysext": {"foo.confext.raw", "suffix", `call it "foo"`},
		"too long":          {strings.Repeat("n", 238), "too long", "237"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantRefusal(t, extension.CheckName(extension.Sysext(), c.name), c.reason, c.advice)
		})
	}
}

// wantRefusal wants an error that gives the reason and a hint that gives the
// advice, or no error if there is no reason.
func wantRefusal(t *testing.T, err error, reason, advice string) {
	t.Helper()
	if reason == "" {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	if err == nil || !strings.Contains(err.Error(), reason) {
		t.Fatalf("got %v, want an error with %q", err, reason)
	}
	if hints := strings.Join(hint.Of(err), " "); !strings.Contains(hints, advice) {
		t.Errorf("hint %q lacks %q", hints, advice)
	}
}

func TestCheckRelease(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ text, reason, advice string }{
		"the default":            {"ID=_any\nARCHITECTURE=x86-64\n", "", ""},
		"a distribution":         {"ID=kairos\nVERSION_ID=v1.0.0\n", "", ""},
		"any architecture":       {"ID=_any\nARCHITECTURE=_any\n", "", ""},
		"a scope":                {"ID=_any\nSYSEXT_SCOPE=\"initrd system\"\n", "", ""},
		"another kind's scope":   {"ID=_any\nCONFEXT_SCOPE=\n", "", ""},
		"no ID":                  {"VERSION_ID=1\n", "has no ID", "ID=_any"},
		"empty ID":               {"ID=\n", "has no ID", "ID=_any"},
		"Go's architecture":      {"ID=_any\nARCHITECTURE=amd64\n", `"amd64"`, "ARCHITECTURE=x86-64"},
		"UAPI's any":             {"ID=_any\nARCHITECTURE=any\n", `"any"`, "_any"},
		"another architecture":   {"ID=_any\nARCHITECTURE=arm64\n", "for arm64", "--arch"},
		"empty scope":            {"ID=_any\nSYSEXT_SCOPE=\n", "SYSEXT_SCOPE", "leave SYSEXT_SCOPE out"},
		"a scope that is no one": {"ID=_any\nSYSEXT_SCOPE=host\n", "SYSEXT_SCOPE", "portable"},
	}
	amd64, err := extension.ArchitectureNamed("amd64")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := osrelease.Parse([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			wantRefusal(t, extension.CheckRelease(extension.Sysext(), amd64, r), c.reason, c.advice)
		})
	}
}

func TestArchitectureNamed(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"amd64": "x86-64", "x86-64": "x86-64", "x86_64": "x86-64", "arm64": "arm64", "aarch64": "arm64", "riscv64": "riscv64", "ppc64": "",
	} {
		a, err := extension.ArchitectureNamed(name)
		if a.Word != want || (err != nil) != (want == "") {
			t.Errorf("%s: got %q, %v, want %q", name, a.Word, err, want)
		}
	}
}

func TestWithin(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{"usr": true, "usr/bin": true, "usrlocal": false, "us": false, "etc/usr": false, "opt/x": true} {
		if got := extension.Within(path, []string{"usr", "opt"}); got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
}
