package config_test

import (
	"bytes"
	"errors"
	"testing"
	"unicode/utf8"

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
