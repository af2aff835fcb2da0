package config_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"inlay/internal/config"
)

const page = "../../docs/configuration.md"

// examples returns the YAML of the page.
func examples(t *testing.T) (text string, blocks []string) {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text = string(b)
	for rest := text; ; {
		_, after, found := strings.Cut(rest, "\n```yaml\n")
		if !found {
			return text, blocks
		}
		block, after, found := strings.Cut(after, "\n```\n")
		if !found {
			t.Fatal("an example doesn't end")
		}
		blocks = append(blocks, block)
		rest = "\n" + after
	}
}

func TestDocumentedExamples(t *testing.T) {
	t.Parallel()
	_, blocks := examples(t)
	clouds := 0
	for i, block := range blocks {
		c, err := config.Parse("example", []byte(block))
		if err != nil {
			t.Errorf("%v\n%s", err, block)
			continue
		}
		if len(c.Sources) == 0 {
			t.Errorf("nothing is ours in\n%s", block)
		}
		if config.IsCloudConfig([]byte(block)) {
			clouds++
			if c.Policy == nil || len(c.Trust.Certificates) == 0 {
				t.Errorf("not all of the cloud-config was read: %+v", c)
			}
		}
		if i > 0 {
			continue
		}
		// The first one shows all there is.
		for _, part := range []any{*c, c.Trust, c.Layering} {
			v := reflect.ValueOf(part)
			for j := range v.NumField() {
				if v.Field(j).IsZero() {
					t.Errorf("the first example doesn't set %s.%s", v.Type(), v.Type().Field(j).Name)
				}
			}
		}
	}
	if len(blocks) < 5 || clouds != 1 {
		t.Errorf("%d examples, %d of them cloud-configs", len(blocks), clouds)
	}
}

// TestDocumentedKeys holds the table of keys against the keys there are.
func TestDocumentedKeys(t *testing.T) {
	t.Parallel()
	text, _ := examples(t)
	_, table, _ := strings.Cut(text, "\n## Keys\n")
	table, _, _ = strings.Cut(table, "\n## ")
	documented := map[string]bool{}
	for line := range strings.Lines(table) {
		if _, rest, found := strings.Cut(line, "| `"); found && strings.HasPrefix(line, "| `") {
			key, _, _ := strings.Cut(rest, "`")
			documented[key] = true
		}
	}
	for _, key := range config.Keys() {
		if key == "trust" {
			continue // its own keys are there
		}
		if !documented[key] {
			t.Errorf("the page doesn't document %q", key)
		}
		delete(documented, key)
	}
	for key := range documented {
		t.Errorf("the page documents %q, which is no key", key)
	}
}

// TestDocumentedError holds the page's example of an error against a real one.
func TestDocumentedError(t *testing.T) {
	t.Parallel()
	text, _ := examples(t)
	_, err := config.Parse("/etc/inlay/config.yaml", []byte("policy: signed\ntrust:\n  certificate:\n    - /etc/inlay/acme.pem\n"))
	if err == nil || !strings.Contains(text, "\n    inlay: "+err.Error()+"\n") {
		t.Errorf("the page doesn't show this error: %v", err)
	}
}
