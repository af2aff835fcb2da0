package witness_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"inlay/test/need"
	"inlay/test/sfdisk"
)

// TestDocumentsCommandLine runs the documents' line to the letter: our own
// container image in place of auroraboot's, the daemon's socket bound into it.
func TestDocumentsCommandLine(t *testing.T) {
	t.Parallel()
	need.Root(t)
	e := newEngine(t)
	root := strings.TrimSpace(command(t, nil, "go", "list", "-m", "-f", "{{.Dir}}"))
	command(t, nil, "make", "-C", root, "image-context")
	e.run(t, "build", "--quiet", "--tag", "quay.io/kairos/auroraboot:v0.3.0", filepath.Join(root, "dist/image"))

	folder := t.TempDir()
	write(t, filepath.Join(folder, "grype"), "#!/bin/sh\necho grype\n", 0o755)
	e.build(t, folder, "sysext", "FROM scratch\nCOPY grype /usr/local/bin/grype\n")
	k := newKey(t)
	socket := strings.TrimPrefix(strings.TrimPrefix(e.env[0], "DOCKER_HOST="), "unix://")
	run := exec.CommandContext(t.Context(), docker, "run",
		"-v", folder+":/build/", "-v", filepath.Dir(k.private)+":/keys", "-v", socket+":/var/run/docker.sock",
		"--rm", "quay.io/kairos/auroraboot:v0.3.0",
		"sysext", "--private-key=/keys/db.key", "--certificate=/keys/db.pem", "--output", "/build", "grype", "sysext")
	run.Env = append(os.Environ(), e.env...)
	var log bytes.Buffer
	run.Stdout, run.Stderr = &log, &log
	if err := run.Run(); err != nil {
		t.Fatalf("docker run: %v\n%s", err, log.String())
	}
	// The documents' lines, the times aside.
	shown := regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ `).ReplaceAllString(log.String(), "")
	want := []string{
		"INF 🚀 Start sysext creation", "INF 💿 Getting image info", "INF 📤 Extracting archives from image layer",
		"INF 📦 Packing sysext into raw image", "INF 🎉 Done sysext creation output=/build/grype.sysext.raw",
	}
	if got := shown; !strings.HasPrefix(got, "INF Starting auroraboot version") || !strings.HasSuffix(got, strings.Join(want, "\n")+"\n") {
		t.Errorf("the log is\n%s\nwant a first line with the version, then\n%s", got, strings.Join(want, "\n"))
	}
	built := image{Path: filepath.Join(folder, "grype.sysext.raw"), RootHash: rootHash(t, filepath.Join(folder, "grype.sysext.raw")), key: k}
	wantTree(t, snapshot(t, e.lastLayer(t, "sysext")), judge(t, built), "usr/lib/extension-release.d/extension-release.grype")
}

// rootHash is what the partitions' UUIDs state.
func rootHash(t *testing.T, path string) string {
	t.Helper()
	return sfdisk.RootHash(sfdisk.Partitions(t, path))
}
