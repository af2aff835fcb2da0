package layering_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"inlay/test/debian"
	"inlay/test/layering/scene"
	"inlay/test/need"
	"inlay/test/sample"
)

// side is somebody who merges.
type side struct {
	name string
	root *debian.Root
	// programs is the folder, inside of the root, with the programs that merge.
	programs string
	// version is that of systemd, whose rules it follows.
	version int
}

// sides returns systemd 257, the newest one, and inlay.
func sides(t *testing.T) (older, newest, inlay side) {
	t.Helper()
	older = side{name: "systemd-257", root: debian.Tools(t), programs: "/usr/bin", version: 257}
	newest = side{name: "systemd-newest", root: debian.Newest(t), programs: "/usr/bin"}
	inlay = side{name: "inlay", root: newest.root, programs: "/w/programs", version: model}
	text := newest.root.Run(t, nil, "systemd-sysext", "--version")
	found := regexp.MustCompile(`^systemd (\d+)`).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no version in %q", text)
	}
	newest.version, _ = strconv.Atoi(found[1])
	return older, newest, inlay
}

// play has a side play cases, in a folder that stage made.
func (s side) play(t *testing.T, folder string, cases []spec) map[string]scene.Answer {
	t.Helper()
	var input, output, log bytes.Buffer
	encoder := json.NewEncoder(&input)
	for _, c := range cases {
		if err := encoder.Encode(c.play()); err != nil {
			t.Error(err)
			return nil
		}
	}
	command := s.root.Command(t.Context(), t, map[string]string{folder: "/w"}, "/w/observer", s.programs)
	command.Stdin, command.Stdout, command.Stderr = &input, &output, &log
	command.Env = append(command.Env, "TZ=UTC")
	if err := command.Run(); err != nil {
		t.Errorf("%s: %v\n%s", s.name, err, log.String())
		return nil
	}
	answers := map[string]scene.Answer{}
	for decoder := json.NewDecoder(&output); ; {
		var a scene.Answer
		if err := decoder.Decode(&a); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Errorf("%s: %v", s.name, err)
			break
		}
		if a.Error != "" {
			t.Errorf("%s: %s: %s", s.name, a.Name, a.Error)
		}
		answers[a.Name] = a
	}
	return answers
}

// stage makes the folder that all sides see: the observer, inlay under systemd's
// names, and images.
func stage(t *testing.T) string {
	t.Helper()
	need.Root(t)
	folder := t.TempDir()
	programs := map[string]string{"observer": "inlay/test/layering/observer", "programs/inlay": "inlay/cmd/inlay"}
	if *alone {
		delete(programs, "programs/inlay")
	}
	for name, from := range programs {
		build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(folder, name), from)
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for _, name := range []string{"systemd-sysext", "systemd-confext"} {
		if err := os.MkdirAll(filepath.Join(folder, "programs"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("inlay", filepath.Join(folder, "programs", name)); err != nil {
			t.Fatal(err)
		}
	}
	images(t, filepath.Join(folder, "images"))
	return folder
}

// images makes those that cases name: the first word of a name is the name that
// the release file in it has, the second one is what it is.
func images(t *testing.T, folder string) {
	t.Helper()
	tree := func(lines ...string) string {
		at := t.TempDir()
		for _, line := range lines {
			if err := scene.Do(at, line); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
		}
		return at
	}
	run := func(program, pkg string, args ...string) {
		out, err := exec.CommandContext(t.Context(), need.Tool(t, program, pkg), args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %q: %v\n%s", program, args, err, out)
		}
	}
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	const extensionRelease = "usr/lib/extension-release.d/extension-release."
	anyTree := tree(extensionRelease+"any = "+anyHost, "usr/share/any = any", "usr/bin/any = any", "mode usr/bin/any 0755", "opt/any = any")
	trees := map[string]string{
		"any":      anyTree,
		"stranger": tree(extensionRelease+`stranger = ID=stranger\n`, "usr/share/stranger = stranger"),
		"system":   tree(extensionRelease+"system = "+anyHost, `usr/lib/os-release = ID=evil\n`, "usr/share/system = system"),
		"settings": tree("etc/extension-release.d/extension-release.settings = "+anyHost, "etc/settings = settings"),
	}
	for name, at := range trees {
		run("mksquashfs", "squashfs-tools", at, filepath.Join(folder, name+".squashfs"), "-quiet", "-no-progress", "-all-root", "-mkfs-time", "0")
	}
	run("mkfs.erofs", "erofs-utils", "--quiet", "--all-root", filepath.Join(folder, "any.erofs"), anyTree)
	for name, args := range map[string][]string{"any.ext4": {"-d", anyTree}, "empty.ext4": nil, "ext4.empty": nil} {
		at := filepath.Join(folder, name)
		run("mke2fs", "e2fsprogs", append(append([]string{"-q", "-t", "ext4", "-E", "root_owner=0:0"}, args...), at, "2M")...)
	}
	for name, args := range map[string][]string{"any.btrfs": {"--rootdir", anyTree}, "btrfs.empty": nil} {
		at := filepath.Join(folder, name)
		if err := errors.Join(os.WriteFile(at, nil, 0o600), os.Truncate(at, 128<<20)); err != nil {
			t.Fatal(err)
		}
		run("mkfs.btrfs", "btrfs-progs", append(append([]string{"-q"}, args...), at)...)
	}
	whole, err := os.ReadFile(filepath.Join(folder, "any.squashfs"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"half.squashfs": whole[:128],
		"acme.crt":      sample.PEM(sample.Pair(t, sample.Certificate{}).Certificate),
		"swap.raw":      swap(),
		"any.gpt":       partitioned(t, "4f68bce3-e8cd-4db1-96e7-fbcaf984b709", whole),
		"arm64.gpt":     partitioned(t, "b921b045-1df0-41c3-af44-4c6f280d3fae", whole),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// swap is an empty swap space, of pages of 4 KiB.
func swap() []byte {
	const page = 4096
	b := make([]byte, 64*page)
	b[1024], b[1028] = 1, 63 // the version, the last page
	copy(b[page-10:], "SWAPSPACE2")
	return b
}

// partitioned is an image with a partition table and a partition for a tree.
func partitioned(t *testing.T, kind string, content []byte) []byte {
	t.Helper()
	const start, sector = 2048, 512
	at := filepath.Join(t.TempDir(), "gpt")
	sectors := (len(content) + sector - 1) / sector
	if err := errors.Join(os.WriteFile(at, nil, 0o600), os.Truncate(at, int64(start+sectors+2048)*sector)); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), need.Tool(t, "sfdisk", "fdisk"), "-q", at)
	command.Stdin = strings.NewReader("label: gpt\nstart=2048, size=" + strconv.Itoa(sectors) + ", type=" + kind + "\n")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	b, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	copy(b[start*sector:], content)
	return b
}
