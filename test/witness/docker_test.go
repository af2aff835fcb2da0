package witness_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"inlay/test/daemon"
	"inlay/test/need"
)

// docker is Debian's client: the newer ones build only with a plugin.
const docker = "/usr/bin/docker"

// engine is a Docker daemon of the test's own.
type engine struct {
	env []string
}

func newEngine(t *testing.T) *engine {
	t.Helper()
	need.Tool(t, docker, "docker.io")
	return &engine{[]string{"DOCKER_HOST=" + daemon.Start(t), "DOCKER_CONFIG=" + t.TempDir()}}
}

func (e *engine) run(t *testing.T, args ...string) string {
	t.Helper()
	return command(t, e.env, docker, args...)
}

// build makes the image tag from a Dockerfile in folder.
func (e *engine) build(t *testing.T, folder, tag, dockerfile string) {
	t.Helper()
	write(t, filepath.Join(folder, "Dockerfile"), dockerfile, 0o644)
	e.run(t, "build", "--quiet", "--tag", tag, folder)
}

// lastLayer unpacks the last layer of an image with GNU tar: the truth that an
// extension of it is compared with.
func (e *engine) lastLayer(t *testing.T, tag string) string {
	t.Helper()
	folder := t.TempDir()
	saved := filepath.Join(folder, "saved.tar")
	e.run(t, "save", "--output", saved, tag)
	unpacked, layer := filepath.Join(folder, "image"), filepath.Join(folder, "layer")
	for _, dir := range []string{unpacked, layer} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	command(t, nil, "tar", "-xf", saved, "-C", unpacked)
	layers := manifestLayers(t, filepath.Join(unpacked, "manifest.json"))
	command(t, nil, "tar", "-xf", filepath.Join(unpacked, layers[len(layers)-1]), "-C", layer,
		"--xattrs", "--xattrs-include=*", "--same-owner", "--numeric-owner", "--preserve-permissions")
	return layer
}

// baseImage is a small distribution: a shell, tar, gzip and an os-release.
func (e *engine) baseImage(t *testing.T) {
	t.Helper()
	folder := t.TempDir()
	root := filepath.Join(folder, "root")
	content, err := os.ReadFile(need.Tool(t, "/bin/busybox", "busybox-static"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "bin/busybox"), string(content), 0o755)
	write(t, filepath.Join(root, "etc/os-release"), "ID=base\n", 0o644)
	write(t, filepath.Join(root, "usr/local/bin/of-the-base"), "base", 0o755)
	for _, name := range []string{"sh", "tar", "gzip", "mkdir", "mv", "chmod", "ln", "find", "rmdir", "printf", "cat", "echo"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	layer := filepath.Join(folder, "base.tar")
	command(t, nil, "tar", "-cf", layer, "-C", root, ".")
	e.run(t, "import", layer, "base:1")
}

// TestDocumentsExamples builds what the documents show, from a real daemon.
func TestDocumentsExamples(t *testing.T) {
	t.Parallel()
	need.Root(t)
	e := newEngine(t)
	e.baseImage(t)
	k := newKey(t)
	t.Run("grype: one binary FROM scratch", func(t *testing.T) {
		folder := t.TempDir()
		payload, err := os.ReadFile(need.Tool(t, "runc", "runc"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(folder, "grype"), string(payload), 0o755)
		e.build(t, folder, "anchore/grype:latest", "FROM scratch\nCOPY grype /grype\n")
		e.build(t, folder, "grype-sysext", "FROM anchore/grype:latest AS grype\nFROM scratch\nCOPY --from=grype /grype /usr/local/bin/grype\n")
		built := build(t, e.env, k, "grype", "docker:grype-sysext")
		wantTree(t, snapshot(t, e.lastLayer(t, "grype-sysext")), judge(t, built), "usr/lib/extension-release.d/extension-release.grype")
		if built.Counts.Files != 2 || len(built.Warnings) > 0 {
			t.Errorf("%d files and warnings %q, want the binary and the release file", built.Counts.Files, built.Warnings)
		}
	})
	t.Run("sbctl: the last RUN on a base", func(t *testing.T) {
		folder := t.TempDir()
		write(t, filepath.Join(folder, "content/sbctl/sbctl"), "#!/bin/sh\necho sbctl\n", 0o755)
		command(t, nil, "tar", "-czf", filepath.Join(folder, "sbctl.tar.gz"), "-C", filepath.Join(folder, "content"), "sbctl")
		e.build(t, folder, "sbctl-sysext", strings.Join([]string{
			"FROM base:1",
			"COPY sbctl.tar.gz /sbctl.tar.gz",
			"RUN echo curl > /usr/local/bin/curl",
			"RUN cat /sbctl.tar.gz | tar xvzf - --strip-components=1 -C /usr/local/bin/",
		}, "\n"))
		built := build(t, e.env, k, "sbctl", "docker:sbctl-sysext")
		shown := judge(t, built)
		wantTree(t, snapshot(t, e.lastLayer(t, "sbctl-sysext")), shown, "usr/lib/extension-release.d/extension-release.sbctl")
		if _, there := shown["usr/local/bin/sbctl"]; !there {
			t.Error("the binary is not in the image")
		}
		if _, there := shown["usr/local/bin/curl"]; there {
			t.Error("a file of an earlier layer is in the image")
		}
		if len(built.Warnings) > 0 || !slices.ContainsFunc(built.Notes, func(n string) bool { return strings.Contains(n, "base") }) {
			t.Errorf("an image with a base wants one note, got notes %q and warnings %q", built.Notes, built.Warnings)
		}
	})
	t.Run("k3s: links, units and its own release file", func(t *testing.T) { k3s(t, e, k) })
}

// k3s is document 004's image. Its RUN is a script file, as the classic
// builder has no here-documents; what it does is the same.
func k3s(t *testing.T, e *engine, k key) {
	folder := t.TempDir()
	write(t, filepath.Join(folder, "k3s"), "#!/bin/sh\necho k3s \"$@\"\n", 0o755)
	unit := "[Unit]\nDescription=Lightweight Kubernetes\n[Install]\nWantedBy=multi-user.target\n[Service]\nType=notify\nExecStart=/usr/local/bin/k3s "
	write(t, filepath.Join(folder, "k3s.service"), unit+"server\n", 0o644)
	write(t, filepath.Join(folder, "k3s-agent.service"), unit+"agent\n", 0o644)
	write(t, filepath.Join(folder, "prepare.sh"), strings.Join([]string{
		"set -e",
		"mkdir -p usr/local/bin usr/local/sbin usr/local/lib/systemd/system usr/lib/extension-release.d",
		"mv /in/k3s usr/local/bin/k3s && chmod +x usr/local/bin/k3s",
		"for n in kubectl ctr crictl; do ln -s ./k3s usr/local/bin/$n; done",
		"mv /in/k3s.service /in/k3s-agent.service usr/local/lib/systemd/system/",
		`name=k3s-v1.31.2+k3s1`,
		`printf "ID=_any\nARCHITECTURE=x86-64\n" > usr/lib/extension-release.d/extension-release."${name}"`,
		`printf "EXTENSION_RELOAD_MANAGER=1\n" >> usr/lib/extension-release.d/extension-release."${name}"`,
		"rmdir usr/local/sbin",
	}, "\n"), 0o755)
	e.build(t, folder, "k3s-sysext", strings.Join([]string{
		"FROM base:1 AS builder",
		"COPY k3s k3s.service k3s-agent.service prepare.sh /in/",
		"WORKDIR /k3s",
		"RUN sh /in/prepare.sh",
		"FROM scratch",
		"COPY --from=builder /k3s /",
	}, "\n"))
	built := build(t, e.env, k, "k3s", "docker:k3s-sysext", "--enable-unit", "k3s.service")
	shown := judge(t, built)
	truth := snapshot(t, e.lastLayer(t, "k3s-sysext"))
	const brought = "usr/lib/extension-release.d/extension-release.k3s-v1.31.2+k3s1"
	if _, there := truth[brought]; !there {
		t.Fatal("the example brings no release file of its own")
	}
	delete(truth, brought)
	wantTree(t, truth, shown, "usr/lib/extension-release.d/extension-release.k3s",
		"usr/lib/systemd/system/multi-user.target.d/10-inlay-k3s.sysext.conf")
	if want := []string{"ID=_any", "ARCHITECTURE=x86-64", "EXTENSION_RELOAD_MANAGER=1"}; !slices.Equal(built.Release, want) {
		t.Errorf("release %q, want %q", built.Release, want)
	}
	if !slices.ContainsFunc(built.Notes, func(n string) bool { return strings.Contains(n, "k3s-v1.31.2+k3s1") }) {
		t.Errorf("no note says what became of the release file: %q", built.Notes)
	}
}

// TestGitPackage packs Debian's git as its makers install it, with hard links
// (Debian itself ships symlinks in their place) and many files.
func TestGitPackage(t *testing.T) {
	t.Parallel()
	need.Root(t)
	e := newEngine(t)
	folder := t.TempDir()
	tree := filepath.Join(folder, "tree")
	for _, name := range []string{"usr/bin", "usr/lib/git-core", "usr/share/git-core"} {
		if err := os.MkdirAll(filepath.Join(tree, name), 0o755); err != nil {
			t.Fatal(err)
		}
		command(t, nil, "cp", "-a", "/"+name+"/.", filepath.Join(tree, name)+"/")
		if name == "usr/bin" {
			keepOnlyGit(t, filepath.Join(tree, name))
		}
	}
	links := hardLinkBuiltins(t, filepath.Join(tree, "usr/lib/git-core"), filepath.Join(tree, "usr/bin/git"))
	if links < 50 {
		t.Fatalf("only %d links: this is not git", links)
	}
	command(t, nil, "tar", "-cf", filepath.Join(folder, "git.tar"), "-C", tree, "usr")
	e.build(t, folder, "git-sysext", "FROM scratch\nADD git.tar /\n")
	built := build(t, e.env, newKey(t), "git", "docker:git-sysext")
	wantTree(t, snapshot(t, e.lastLayer(t, "git-sysext")), judge(t, built), "usr/lib/extension-release.d/extension-release.git")
}

// keepOnlyGit removes from a copy of /usr/bin all but git's own programs.
func keepOnlyGit(t *testing.T, folder string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), "git") {
			if err := os.RemoveAll(filepath.Join(folder, entry.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// hardLinkBuiltins turns the links to git into further names of it.
func hardLinkBuiltins(t *testing.T, folder, git string) (links int) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		path := filepath.Join(folder, entry.Name())
		target, err := os.Readlink(path)
		if err != nil || filepath.Base(target) != "git" {
			continue
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(git, path); err != nil {
			t.Fatal(err)
		}
		links++
	}
	return links
}
