package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestTour runs what the README asks a newcomer to type, line by line, each in
// a shell of its own, in a fresh folder.
func TestTour(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	commands := tourCommands(readme)
	if len(commands) < 4 {
		t.Fatalf("the README's tour has %d commands: is it still marked ```sh tour?", len(commands))
	}
	work := t.TempDir()
	for _, command := range commands {
		c := exec.CommandContext(t.Context(), "sh", "-e", "-c", command)
		c.Dir = work
		c.Env = append(os.Environ(), "HOME="+work, "DOCKER_HOST=unix://"+filepath.Join(work, "none"))
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%s\n%s%v", command, out, err)
		}
		t.Logf("$ %s\n%s", command, out)
	}
	if _, err := os.Stat(filepath.Join(work, "hello.sysext.raw")); err != nil {
		t.Errorf("the tour ends without its image: %v", err)
	}
}
