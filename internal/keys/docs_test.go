package keys_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/cms"
	"inlay/internal/keys"
	"inlay/test/need"
)

// The example program of docs/signing.md works as it is printed there.
func TestDocumentedSigner(t *testing.T) {
	need.Tool(t, "python3", "python3")
	need.Tool(t, "openssl", "openssl")
	page, err := os.ReadFile("../../docs/signing.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "```python\n")
	script, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("the page has no example")
	}
	for _, algorithm := range []keys.Algorithm{keys.RSA2048, keys.P384} {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Chdir(t.TempDir()) // the example names keys/db.key
			files := create(t, "keys", keys.Options{Name: "n", Algorithm: algorithm})
			program, err := filepath.Abs("kms-sign")
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
				t.Fatal(err)
			}
			pair, err := keys.Exec(t.Context(), program, files[1])
			if err != nil {
				t.Fatal(err)
			}
			if _, err := cms.Sign([]byte("content"), pair.Certificate, pair.Signer); err != nil {
				t.Error(err)
			}
		})
	}
}
