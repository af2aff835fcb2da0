package witness_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/test/debian"
	"inlay/test/need"
	"inlay/test/registry"
)

// layoutOf makes an OCI layout with an artifact that is the image, marked as
// Kairos' tools mark it.
func layoutOf(t *testing.T, image string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "layout")
	blob := func(media, text string) map[string]any {
		sum := fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
		write(t, filepath.Join(folder, "blobs/sha256", sum), text, 0o644)
		return map[string]any{"mediaType": media, "digest": "sha256:" + sum, "size": len(text)}
	}
	marshal := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	layer := blob("application/vnd.kairos.sysext.raw", contentOf(t, image))
	layer["annotations"] = map[string]string{"org.opencontainers.image.title": filepath.Base(image)}
	const media = "application/vnd.oci.image.manifest.v1+json"
	manifest := blob(media, marshal(map[string]any{
		"schemaVersion": 2, "mediaType": media, "artifactType": "application/vnd.kairos.sysext.raw",
		"config": blob("application/vnd.oci.empty.v1+json", "{}"), "layers": []any{layer},
	}))
	manifest["annotations"] = map[string]string{"org.opencontainers.image.ref.name": "1"}
	write(t, filepath.Join(folder, "index.json"), marshal(map[string]any{"schemaVersion": 2, "manifests": []any{manifest}}), 0o644)
	write(t, filepath.Join(folder, "oci-layout"), `{"imageLayoutVersion":"1.0.0"}`, 0o644)
	return folder
}

// TestWorkflowFromRegistry takes the example's image from Debian's registry: as
// an artifact that skopeo has pushed, and out of a container image, FROM scratch,
// that Docker has built and pushed. It is merged by systemd 257's tool, in a mount
// namespace without a manager.
func TestWorkflowFromRegistry(t *testing.T) {
	t.Parallel()
	need.Root(t)
	need.FileSystem(t, "erofs")
	skopeo := need.Tool(t, "skopeo", "skopeo")
	folder := k3sImage(t)
	image := filepath.Join(folder, "extensions/k3sv1.32.1.raw")
	host := registry.Start(t)
	command(t, nil, skopeo, "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false",
		"oci:"+layoutOf(t, image)+":1", "docker://"+host+"/artifact:1")
	e := newEngine(t)
	e.build(t, filepath.Dir(image), host+"/image:1", "FROM scratch\nCOPY k3sv1.32.1.raw /\n")
	e.run(t, "push", "--quiet", host+"/image:1")
	e.build(t, filepath.Dir(image), host+"/neither:1", "FROM scratch\nCOPY Dockerfile /\n")
	e.run(t, "push", "--quiet", host+"/neither:1")

	script := `
		mkdir -p /run/cos; echo 1 >/run/cos/active_mode
		ln -s /w/inlay /usr/bin/kairos-agent
		show() { cat /usr/share/witness/k3s 2>/dev/null || echo absent; }
		for reference in oci:` + host + `/artifact:1 oci://` + host + `/image:1 "oci:` + host + `/image@$1"; do
			kairos-agent sysext download --insecure-registry "$reference" >/dev/null 2>&1
			cmp /var/lib/kairos/extensions/k3sv1.32.1.sysext.raw /w/extensions/k3sv1.32.1.raw
			kairos-agent sysext enable --active --now k3s >/dev/null; show
			kairos-agent sysext remove --now k3s >/dev/null; show
		done
		kairos-agent sysext download --insecure-registry oci:` + host + `/neither:1 2>&1 | grep -o 'inlay build\|inlay unpack'
		ls /var/lib/kairos/extensions /run/extensions`
	command(t, nil, "cp", inlay, filepath.Join(folder, "inlay"))
	var pushed struct{ Digest string }
	if err := json.Unmarshal([]byte(command(t, nil, skopeo, "inspect", "--tls-verify=false", "--no-tags", "docker://"+host+"/image:1")), &pushed); err != nil {
		t.Fatal(err)
	}
	got := debian.System(t).Run(t, map[string]string{folder: "/w"}, "sh", "-euc", script, "script", pushed.Digest)
	const want = "k3s\nabsent\nk3s\nabsent\nk3s\nabsent\ninlay build\ninlay unpack\n/run/extensions:\n\n/var/lib/kairos/extensions:\nactive\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
