package debian

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"inlay/test/need"
)

// mirror returns the address of the Debian archive that apt uses on this
// machine. apt knows which source is Debian's only after its first update,
// which container images leave to whoever comes next.
func mirror(ctx context.Context) (string, error) {
	uri, err := configuredMirror(ctx)
	if err != nil || uri != "" {
		return uri, err
	}
	if err := run(ctx, "apt-get", "-q", "update"); err != nil {
		return "", err
	}
	uri, err = configuredMirror(ctx)
	if err == nil && uri == "" {
		err = errors.New("asking apt for its Debian mirror: none is configured")
	}
	return uri, err
}

// configuredMirror returns "" if apt does not know of a Debian archive. Security
// and backports archives carry another label or suite and are passed over: they
// don't hold whole releases.
func configuredMirror(ctx context.Context) (string, error) {
	command := exec.CommandContext(ctx, "apt-get", "indextargets",
		"--format", "$(REPO_URI) $(CODENAME)",
		"Created-By: Packages", "Origin: Debian", "Label: Debian", "Component: main")
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("asking apt for its Debian mirror: %w", err)
	}
	for line := range strings.Lines(string(output)) {
		uri, codename, _ := strings.Cut(strings.TrimSpace(line), " ")
		if uri != "" && !strings.Contains(codename, "-") {
			return uri, nil
		}
	}
	return "", nil
}

// Mirror returns the address of the Debian archive that apt uses on this machine.
func Mirror(t testing.TB) string {
	t.Helper()
	need.Tool(t, "apt-get", "apt")
	uri, err := mirror(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return uri
}
