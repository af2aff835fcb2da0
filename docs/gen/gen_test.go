package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// commands is a small tree with what the generator must mind: a flag, a child,
// a hidden child.
func commands(flags ...string) *cobra.Command {
	root := &cobra.Command{Use: "inlay", Short: "Do all of it"}
	child := &cobra.Command{Use: "build NAME", Short: "Build one", Long: "NAME is one of\n  this:X  a thing\n  that:Y  another\n\nThe end.", Run: func(*cobra.Command, []string) {}}
	for _, name := range flags {
		child.Flags().String(name, runtime.GOARCH, "what it says")
	}
	root.AddCommand(child, &cobra.Command{Use: "secret", Hidden: true, Run: func(*cobra.Command, []string) {}})
	return root
}

func TestGenerate(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1")
	first, err := generate(commands("arch"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"man/inlay.1", "man/inlay-build.1", "cli/inlay.md", "cli/inlay-build.md",
		"completions/inlay.bash", "completions/_inlay", "completions/inlay.fish",
	} {
		if len(first[name]) == 0 {
			t.Errorf("no %s", name)
		}
	}
	if _, ok := first["man/inlay-secret.1"]; ok {
		t.Error("a hidden command has a man page")
	}
	if page := string(first["man/inlay-build.1"]); !strings.Contains(page, `.TH "INLAY-BUILD" "1" "" "Inlay"`) {
		t.Errorf("the man page's title has changed:\n%s", page)
	}
	if page := string(first["cli/inlay.md"]); !strings.Contains(page, "(inlay-build.md)") {
		t.Errorf("the reference does not link to a child:\n%s", page)
	}
	page := string(first["cli/inlay-build.md"])
	if !strings.Contains(page, "NAME is one of\n\n```\n  this:X  a thing\n  that:Y  another\n```\n\nThe end.") {
		t.Errorf("a list in a help text has lost its shape:\n%s", page)
	}
	if strings.Contains(page, runtime.GOARCH) {
		t.Errorf("the reference names this machine:\n%s", page)
	}

	t.Setenv("SOURCE_DATE_EPOCH", "1000000000")
	second, err := generate(commands("arch"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("another day gives other bytes:\n%s", diff)
	}
}

func TestStale(t *testing.T) {
	t.Parallel()
	files, err := generate(commands("arch"))
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"missing":   func(t *testing.T, dir string) { t.Helper(); check(t, os.Remove(filepath.Join(dir, "man", "inlay.1"))) },
		"left over": func(t *testing.T, dir string) { t.Helper(); touch(t, filepath.Join(dir, "cli", "inlay-gone.md")) },
		"edited":    func(t *testing.T, dir string) { t.Helper(); touch(t, filepath.Join(dir, "completions", "_inlay")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			check(t, write(dir, files))
			check(t, compare(dir, files))
			spoil(t, dir)
			if err := compare(dir, files); err == nil {
				t.Error("went unseen")
			}
			check(t, write(dir, files))
			check(t, compare(dir, files))
		})
	}
	t.Run("a new flag", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		check(t, write(dir, files))
		newer, err := generate(commands("arch", "seed"))
		check(t, err)
		if err := compare(dir, newer); err == nil {
			t.Error("went unseen")
		}
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func touch(t *testing.T, file string) {
	t.Helper()
	check(t, os.WriteFile(file, []byte("something else\n"), 0o600))
}
