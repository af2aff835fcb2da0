package witness_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	// The program is built, not imported. This has go test know what it is made
	// of, and run these tests again when any of that has changed.
	_ "inlay/internal/cli"
)

// inlay is the path of the program under test, built once as it ships.
var inlay string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "inlay-witness-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	inlay = filepath.Join(folder, "inlay")
	build := exec.Command("go", "build", "-trimpath", "-o", inlay, "inlay/cmd/inlay")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the program: %v\n%s", err, text)
		return 1
	}
	return m.Run()
}

// key is a signing key that the program made.
type key struct{ private, certificate string }

func newKey(t *testing.T) key {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "keys")
	command(t, nil, inlay, "keys", "create", "witness", "--output", folder)
	return key{filepath.Join(folder, "db.key"), filepath.Join(folder, "db.pem")}
}

// newExtensionKey is one that firmware knows nothing of, and so of any algorithm.
func newExtensionKey(t *testing.T, algorithm string) key {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "keys")
	command(t, nil, inlay, "keys", "create", "witness", "--output", folder, "--only-extension-key", algorithm)
	return key{filepath.Join(folder, "ext.key"), filepath.Join(folder, "ext.pem")}
}

// image is a built image and what the program said of it.
type image struct {
	Path     string   `json:"path"`
	RootHash string   `json:"rootHash"`
	SHA256   string   `json:"sha256"`
	Notes    []string `json:"notes"`
	Warnings []string `json:"warnings"`
	Release  []string `json:"release"`
	Source   struct {
		Origin string `json:"origin"`
	} `json:"source"`
	Counts struct {
		Files int `json:"files"`
	} `json:"counts"`
	key key
}

// build runs "inlay build NAME SOURCE" with a key and more flags.
func build(t *testing.T, env []string, k key, name, source string, flags ...string) image {
	t.Helper()
	args := append([]string{
		"build", name, source, "--json", "--output", t.TempDir(),
		"--private-key", k.private, "--certificate", k.certificate,
	}, flags...)
	text := command(t, env, inlay, args...)
	built := image{key: k}
	if err := json.Unmarshal([]byte(text), &built); err != nil {
		t.Fatalf("reading the result: %v\n%s", err, text)
	}
	return built
}

// command runs a program that must succeed and returns its standard output.
func command(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String()
}
