//go:build machines

package machines_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"inlay/test/debian"
)

// The extension that all images hold.
const (
	extensionName = "hello"
	// contentPath is a file of the extension that no Debian system has.
	contentPath = "usr/share/inlay-test/content"
	contentText = "content of the extension"
)

// builder makes an extension image out of a folder, at the path given. The zero
// key pair asks for one without a signature.
type builder func(t *testing.T, tree, image string, signer keyPair)

// buildImage builds the test's extension with the key pair and returns the image.
// The case's name goes into it, so that no two have the same root hash: systemd
// names devices after that, and would use one that is still there.
func buildImage(t *testing.T, name string, build builder, signer keyPair) string {
	t.Helper()
	tree := t.TempDir()
	writeFile(t, filepath.Join(tree, contentPath), contentText+"\n")
	// Enough data for a hash tree of more than one block.
	blob := bytes.Repeat([]byte("data of the extension for "+name+"\n"), 20_000)
	writeFile(t, filepath.Join(tree, "usr/share/inlay-test/blob"), string(blob))
	image := filepath.Join(t.TempDir(), extensionName+".sysext.raw")
	build(t, tree, image, signer)
	return image
}

// withInlay builds with the program that this project is about. Files lie in the image
// as they are, so that tests find their bytes.
func withInlay(t *testing.T, tree, image string, signer keyPair) {
	t.Helper()
	arguments := []string{"build", extensionName, "dir:" + tree, "--compression", "none", "--output", filepath.Dir(image)}
	if signer != (keyPair{}) {
		arguments = append(arguments, "--private-key", signer.key, "--certificate", signer.certificate)
	}
	runInlay(t, arguments...)
}

// withInlayLater builds an unsigned image and signs it afterwards, which adds
// the partition for the signature.
func withInlayLater(t *testing.T, tree, image string, signer keyPair) {
	t.Helper()
	withInlay(t, tree, image, keyPair{})
	runInlay(t, "sign", image, "--private-key", signer.key, "--certificate", signer.certificate)
}

// withRepart builds with systemd's own tool: the control that shows that a
// machine which refuses our image would take a good one.
func withRepart(t *testing.T, tree, image string, signer keyPair) {
	t.Helper()
	release := filepath.Join(tree, "usr/lib/extension-release.d/extension-release."+extensionName)
	writeFile(t, release, "ID=_any\n")
	binds := map[string]string{
		tree: "/tree", filepath.Dir(image): "/out", signer.key: "/db.key", signer.certificate: "/db.pem",
	}
	debian.Tools(t).Run(t, binds, "systemd-repart", "--make-ddi=sysext", "--private-key=/db.key",
		"--certificate=/db.pem", "--copy-source=/tree", "/out/"+filepath.Base(image))
}

// withRepartThenInlay replaces the signature that systemd-repart made with a
// stranger's key.
func withRepartThenInlay(t *testing.T, tree, image string, signer keyPair) {
	t.Helper()
	withRepart(t, tree, image, newKeyPair(t, "stranger", "rsa2048"))
	runInlay(t, "sign", image, "--private-key", signer.key, "--certificate", signer.certificate)
}

// inlayBinary is built once for all tests; see TestMain.
var inlayBinary = struct {
	once   sync.Once
	folder string
	err    error
	output []byte
}{}

// inlay returns the path of the program under test, built from this module.
func inlay(t *testing.T) string {
	t.Helper()
	b := &inlayBinary
	path := filepath.Join(b.folder, "inlay")
	b.once.Do(func() {
		command := exec.CommandContext(t.Context(), "go", "build", "-o", path, "inlay/cmd/inlay")
		command.Env = append(os.Environ(), "CGO_ENABLED=0")
		b.output, b.err = command.CombinedOutput()
	})
	if b.err != nil {
		t.Fatalf("building inlay: %v\n%s", b.err, b.output)
	}
	return path
}

// runInlay runs the program under test, which must succeed.
func runInlay(t *testing.T, arguments ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), inlay(t), arguments...)
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("inlay %q: %v\n%s", arguments, err, output)
	}
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		folder, err := os.MkdirTemp("", "inlay-machines-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(folder)
		inlayBinary.folder = folder
		return m.Run()
	}())
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// contentWord is contentText as the guest reports it: values have no spaces.
func contentWord() string { return strings.ReplaceAll(contentText, " ", "-") }

// tool is one that makes images.
type tool struct {
	name  string
	build builder
}

// tools are those whose images every machine is given.
func tools() []tool {
	return []tool{{"inlay", withInlay}, {"repart", withRepart}}
}
