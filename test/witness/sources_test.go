package witness_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/test/need"
	"inlay/test/registry"
)

// TestEverySourceGivesTheSameImage carries one image by other people's tools
// through every kind of source: what comes out is the same, byte for byte.
func TestEverySourceGivesTheSameImage(t *testing.T) {
	t.Parallel()
	need.Root(t)
	skopeo := need.Tool(t, "skopeo", "skopeo")
	umoci := need.Tool(t, "umoci", "umoci")
	e := newEngine(t)
	host := registry.Start(t)
	folder := t.TempDir()
	write(t, filepath.Join(folder, "first"), "first layer\n", 0o644)
	tree := filepath.Join(folder, "tree")
	everything(t, tree)
	command(t, nil, "tar", "-cf", filepath.Join(folder, "tree.tar"), "--xattrs", "--xattrs-include=*", "--numeric-owner", "--sort=name",
		"--exclude=null", "--exclude=disk", "-C", tree, "usr")
	e.build(t, folder, "carried:1", "FROM scratch\nCOPY first /usr/share/first\nADD tree.tar /\n")

	k := newKey(t)
	want := build(t, e.env, k, "carried", "docker:carried:1")
	wantTree(t, snapshot(t, e.lastLayer(t, "carried:1")), judge(t, want), "usr/lib/extension-release.d/extension-release.carried")

	saved, archive, layout := filepath.Join(folder, "saved.tar"), filepath.Join(folder, "oci.tar"), filepath.Join(folder, "layout")
	e.run(t, "save", "--output", saved, "carried:1")
	e.run(t, "tag", "carried:1", host+"/carried:1")
	e.run(t, "push", "--quiet", host+"/carried:1")
	daemonHost := strings.TrimPrefix(e.env[0], "DOCKER_HOST=")
	command(t, nil, skopeo, "copy", "--quiet", "--insecure-policy", "--src-daemon-host", daemonHost, "docker-daemon:carried:1", "oci-archive:"+archive)
	command(t, nil, skopeo, "copy", "--quiet", "--insecure-policy", "docker-archive:"+saved, "oci:"+layout+":1")
	compressed := saved + ".zst"
	command(t, nil, need.Tool(t, "zstd", "zstd"), "-q", saved, "-o", compressed)
	// umoci gives the layout another image: its own bundle, packed again.
	for name, source := range map[string][]string{
		"docker-archive":      {"file:" + saved},
		"docker-archive.zst":  {"file:" + compressed},
		"oci-archive":         {"file:" + archive},
		"layout":              {"layout:" + layout + ":1"},
		"registry":            {"oci:" + host + "/carried:1", "--insecure-registry"},
		"registry, with //":   {"oci://" + host + "/carried:1", "--insecure-registry"},
		"daemon, by its name": {"carried:1"},
	} {
		got := build(t, e.env, k, "carried", source[0], source[1:]...)
		if got.SHA256 != want.SHA256 {
			t.Errorf("%s: other bytes than from the daemon", name)
		}
	}

	bundle := filepath.Join(folder, "bundle")
	command(t, nil, umoci, "unpack", "--image", layout+":1", bundle)
	write(t, filepath.Join(bundle, "rootfs/usr/share/added"), "by umoci\n", 0o644)
	if err := os.Remove(filepath.Join(bundle, "rootfs/usr/share/first")); err != nil {
		t.Fatal(err)
	}
	command(t, nil, umoci, "repack", "--image", layout+":2", bundle)
	last := judge(t, build(t, nil, k, "umoci", "layout:"+layout+":2"))
	if _, there := last["usr/share/added"]; !there || len(last) > 8 {
		t.Errorf("umoci's last layer adds one file, the image shows %d names", len(last))
	}
	all := judge(t, build(t, nil, k, "umoci", "layout:"+layout+":2", "--layers", "all"))
	again := filepath.Join(folder, "again")
	command(t, nil, umoci, "unpack", "--image", layout+":2", again)
	wantTree(t, snapshot(t, filepath.Join(again, "rootfs")), all, "usr/lib/extension-release.d/extension-release.umoci")
}
