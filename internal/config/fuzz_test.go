package config_test

import (
	"bytes"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/config"
)

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", fullText(), "trust:\n  firmware: true\npolicy: '*'\n", "#cloud-config\ninstall:\n  policy: signed\n", "#cloud-config\n" + oddCloud,
		"#node-config\r\ninstall:\r\n  trust:\r\n    certificates:\r\n    - /x\r\n", "&0: *0\n*0:\n*0:", "0::", "{{},<<}", "a:\n.\n-\n", "- - ? &a !b |\n",
		"trust: {certificates: [\"-----\"]}", "policy: >-\n any\n", "trust:\n\tx: y", "---\n---\n", "#cloud-config\n? install\n: {trust: *x}\n<<: &x\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := config.Parse("f", text)
		if err != nil {
			e, ok := errors.AsType[*config.Error](err)
			if !ok || c != nil {
				t.Fatalf("%v, with %v", err, c)
			}
			if e.Line < 1 || e.Column < 1 || e.Line > 1+bytes.Count(text, []byte("\n")) {
				t.Fatalf("at %d:%d of %d lines", e.Line, e.Column, 1+bytes.Count(text, []byte("\n")))
			}
			if len(err.Error()) > 64<<10 || bytes.Contains([]byte(err.Error()), []byte("\n")) {
				t.Fatalf("not a line: %q", err)
			}
			return
		}
		for _, certificate := range c.Trust.Certificates {
			if (certificate.File == "") == (certificate.PEM == nil) || certificate.Origin == "" {
				t.Fatalf("neither a file nor a text: %+v", certificate)
			}
		}
		if len(c.Sources) == 0 && (c.Policy != nil || len(c.Trust.Folders) > 0) {
			t.Fatalf("comes from nowhere: %+v", c)
		}
		if !config.IsCloudConfig(text) && !utf8.Valid(text) {
			t.Fatal("text that is none was taken")
		}
	})
}

// FuzzCloudConfig holds what is found in a cloud-config, of which only a part is
// parsed, against a parser of YAML that reads all of it, where it takes that.
func FuzzCloudConfig(f *testing.F) {
	const ours = "install:\n  policy: any\n"
	for _, seed := range []string{
		ours, oddCloud + ours, "motd: \"\n" + ours + "\"\n", "motd: '\n" + ours + "'\n", "motd: [\n" + ours + "]\n", "--- |\n" + ours, "|\n" + ours,
		"motd: |\n  x\n" + ours, "motd: !!str >-2\n   x\n \n" + ours, "- \"a\\\"\n" + ours + "\"\n", "# \r\"\n" + ours + "\"\n",
		"install:\n  device: \"\n  policy: any\n  \"\n", "install:\n  device: |\n  policy: any\n  trust: {firmware: true}\n", "install:\n  trust: [\n  policy: any\n]\n",
		"install:\n  trust:\n    firmware: true\n  policy: \"si\n    gned\"\n", "x: {a: 'b', \"c\": [d, don't]}\n" + ours, "? |\n x\n: y\n" + ours,
		"x: a\n  \"b\ny: \"\n" + ours + "\"\n", "x:\n  - a: 'b'\n    c: |1\n     d\n- e: >\n" + ours, "x: *a # b\n" + ours,
		// Where goccy/go-yaml takes what is no YAML.
		"install:\n  trust: \n  0", "x: !0\n" + ours, "install:\n  *\n  policy: any", "-\n" + ours, "- # x\n" + ours, "install:\n  trust:\n  -",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		text = append([]byte("#cloud-config\n"), text...)
		got, err := config.Parse("f", text)
		if err != nil || len(got.Sources) == 0 {
			return
		}
		want, err := config.FullParse(text)
		if want == nil {
			t.Skip(err)
		}
		if err != nil {
			t.Errorf("taken, and is wrong: %v", err)
		}
		if diff := cmp.Diff(want, got, samePolicy()); diff != "" {
			t.Errorf("not what is there (-want +got):\n%s", diff)
		}
	})
}
