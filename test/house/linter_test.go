package house_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

// linterVariable holds the path of golangci-lint; `make lint` sets it.
const linterVariable = "INLAY_LINTER"

// TestLinterBites builds a module in which each case of walls is one file, lets
// the linter loose on it with our rules, and compares: depguard must see the
// walls that the floors have, and no other.
func TestLinterBites(t *testing.T) {
	t.Parallel()
	linter := os.Getenv(linterVariable)
	if linter == "" {
		t.Skipf("%s is not set: `make lint` runs this test", linterVariable)
	}
	dir := t.TempDir()
	files := writeWalls(t, dir)

	cmd := exec.CommandContext(t.Context(), linter, "run", "--enable-only", "depguard",
		"--issues-exit-code", "0", "--show-stats=false", "--output.json.path", "stdout", "./...")
	cmd.Dir = dir
	// The module's outside imports are not to be had, and need not be.
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off",
		"GOLANGCI_LINT_CACHE="+filepath.Join(t.TempDir(), "cache"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("running the linter: %v\n%s%s", err, out, stderr.Bytes())
	}
	var report struct {
		Issues []struct {
			FromLinter, Text string
			Pos              struct{ Filename string }
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("reading the linter's report: %v\n%s", err, out)
	}
	found := map[string]string{}
	for _, issue := range report.Issues {
		if issue.FromLinter != "depguard" {
			t.Errorf("%s: %s", issue.Pos.Filename, issue.Text)
			continue
		}
		found[filepath.ToSlash(issue.Pos.Filename)] = issue.Text
	}
	for name, file := range files {
		if _, ok := found[file]; ok != walls()[name].stands {
			t.Errorf("%s (%s): the linter said %q, want a wall: %v", name, file, found[file], walls()[name].stands)
		}
	}
}

// writeWalls writes the module and returns the file of each case by its name.
func writeWalls(t *testing.T, dir string) map[string]string {
	t.Helper()
	rules, err := os.ReadFile(filepath.Join(root(t), ".golangci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(".golangci.yml", string(rules))
	write("go.mod", "module "+module+"\n\ngo 1.26.0\n\nrequire github.com/spf13/pflag v1.0.0\n\nreplace github.com/spf13/pflag => ./pflag\n")
	write("pflag/go.mod", "module github.com/spf13/pflag\n")
	write("pflag/pflag.go", "package pflag\n")

	files := map[string]string{}
	for name, w := range walls() {
		for _, p := range []string{w.importer, w.imported} {
			if folder, ours := strings.CutPrefix(p, module+"/"); ours {
				write(folder+"/doc.go", "package "+path.Base(p)+"\n")
			}
		}
		// A folder of its own below the package: no two cases make a circle.
		folder := fmt.Sprintf("%s/wall%d", strings.TrimPrefix(w.importer, module+"/"), len(files))
		file := folder + "/wall.go"
		if w.test {
			file = folder + "/wall_test.go"
		}
		write(file, fmt.Sprintf("package wall\n\nimport _ %q\n", w.imported))
		files[name] = file
	}
	return files
}
