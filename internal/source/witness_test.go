package source_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"inlay/internal/source"
	"inlay/test/daemon"
	"inlay/test/need"
	"inlay/test/registry"
)

// run runs an outside program with its own idea of home.
func run(t testing.TB, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(append(os.Environ(), "HOME="+t.TempDir()), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// checkLayers walks all layers and compares them with the tars they come from.
func checkLayers(t *testing.T, ref string, o source.Options, tars [2][]byte) *source.Image {
	t.Helper()
	o.Architecture = "amd64"
	im := mustOpen(t, ref, o)
	if len(im.Layers) != len(tars) {
		t.Fatalf("%s: %d layers", ref, len(im.Layers))
	}
	if _, err := im.Select(source.Selection{}); err != nil {
		t.Fatal(err)
	}
	for i := len(tars) - 1; i >= 0; i-- {
		got, err := lines(t.Context(), im.Layers[i])
		if err != nil {
			t.Fatalf("%s: %v", ref, err)
		}
		if diff := cmp.Diff(wantLines(t, tars[i]), got); diff != "" {
			t.Errorf("%s, layer %d (-want +got):\n%s", ref, i+1, diff)
		}
	}
	if base, err := im.Base(t.Context()); err != nil || !base {
		t.Errorf("%s: base %v, %v", ref, base, err)
	}
	return im
}

// TestSkopeo promises that what skopeo copies, and a registry serves, is read.
func TestSkopeo(t *testing.T) {
	t.Parallel()
	skopeo := need.Tool(t, "skopeo", "skopeo")
	tars := twoLayers(t)
	for packing, image := range map[string]v1.Image{
		"gzip": testImage(t, "amd64", types.OCILayer, gzipBytes, tars[0], tars[1]),
		"zstd": testImage(t, "amd64", types.OCILayerZStd, zstdBytes, tars[0], tars[1]),
	} {
		t.Run(packing, func(t *testing.T) {
			t.Parallel()
			from := "oci:" + layoutDir(t, image)
			dir := t.TempDir()
			path := func(name string) string { return filepath.Join(dir, name) }
			host := registry.Start(t)
			for to, ref := range map[string]string{
				"docker-archive:" + path("d.tar") + ":example.test/x:1": "file:" + path("d.tar"),
				"oci-archive:" + path("o.tar") + ":1":                   "file:" + path("o.tar"),
				"oci:" + path("layout") + ":v1":                         "layout:" + path("layout") + ":v1",
				"docker://" + host + "/team/x:1":                        "oci:" + host + "/team/x:1",
			} {
				if packing == "zstd" && strings.HasPrefix(to, "docker-archive:") {
					continue // skopeo 1.9 does not write that
				}
				run(t, nil, skopeo, "copy", "--quiet", "--insecure-policy", "--dest-tls-verify=false", from, to)
				checkLayers(t, ref, source.Options{}, tars)
			}
		})
	}
}

// TestDocker promises that a real daemon's image is read, the last layer alone
// and all of them, and that a bare reference finds it.
func TestDocker(t *testing.T) {
	t.Parallel()
	need.Root(t)
	docker := need.Tool(t, "docker", "docker.io")
	tars := twoLayers(t)
	host := daemon.Start(t)
	image := testImage(t, "amd64", types.OCILayer, gzipBytes, tars[0], tars[1])
	ref, _ := inDockerArchive(t, image)
	run(t, []string{"DOCKER_HOST=" + host}, docker, "load", "--input", strings.TrimPrefix(ref, "file:"))
	im := checkLayers(t, "docker:example.test/image:1", source.Options{DockerHost: host}, tars)
	if want := source.Digest(must(image.ConfigName())(t).String()); im.Digest != want {
		t.Errorf("digest %s, want %s", im.Digest, want)
	}
	im = checkLayers(t, "example.test/image:1", source.Options{DockerHost: host}, tars)
	if im.Origin != "daemon at "+host {
		t.Errorf("origin %q", im.Origin)
	}
	checkLayers(t, "docker://"+string(im.Digest), source.Options{DockerHost: host}, tars)
	_, err := open(t, "docker:example.test/image:2", source.Options{DockerHost: host})
	wantError(t, err, "does not have the image", "oci:REF")

	saved := filepath.Join(t.TempDir(), "saved.tar")
	run(t, []string{"DOCKER_HOST=" + host}, docker, "save", "--output", saved, "example.test/image:1")
	checkLayers(t, "file:"+saved, source.Options{}, tars)
}
