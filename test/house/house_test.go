// Package house_test checks the walls of the house: which package may import
// which, what the program links, how big it and its files grow. It reads the
// import graph through `go list`, so it sees what a file-by-file linter cannot.
// ARCHITECTURE.md draws the same walls for people.
package house_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"testing"
)

// module is the path under which our own packages are imported.
const module = "inlay"

// listed is what we ask `go list` about a package.
type listed struct {
	ImportPath   string
	Dir          string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// root returns the top folder of the checkout.
func root(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// run returns the standard output of the program args[0] started in dir.
func run(t testing.TB, dir string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("running %q: %v\n%s", args, err, stderr.Bytes())
	}
	return out
}

// packages returns every package of the module, the third tier of tests included.
func packages(t testing.TB) []listed {
	t.Helper()
	out := run(t, root(t), "go", "list", "-tags", "machines,bench",
		"-json=ImportPath,Dir,GoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports", "./...")
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}
