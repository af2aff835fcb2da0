package witness_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inlay/test/debian"
	"inlay/test/need"
	"inlay/test/sfdisk"
)

// judge has every outside tool look at a signed image and returns the tree
// that the kernel shows of it.
func judge(t *testing.T, built image) map[string]string {
	t.Helper()
	parts := sfdisk.Partitions(t, built.Path)
	folder := t.TempDir()
	fileSystem := cut(t, built.Path, parts[0], folder)
	hashTree := cut(t, built.Path, parts[1], folder)
	signature := cut(t, built.Path, parts[2], folder)

	if said := command(t, nil, need.Tool(t, "sgdisk", "gdisk"), "-v", built.Path); !strings.Contains(said, "No problems found") {
		t.Errorf("sgdisk: %s", said)
	}
	fileSystemKind := checkFileSystem(t, fileSystem, folder)
	command(t, nil, need.Tool(t, "veritysetup", "cryptsetup-bin"), "verify", fileSystem, hashTree, built.RootHash)
	opensslVerifies(t, built, signature, folder)
	dissect(t, built, fileSystemKind)
	return kernelTree(t, fileSystem, fileSystemKind)
}

// checkFileSystem has the file system's own tools look at it, an older and a
// newer one, and returns its kind.
func checkFileSystem(t *testing.T, fileSystem, folder string) string {
	t.Helper()
	magic := make([]byte, 4)
	f, err := os.Open(fileSystem)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.ReadAt(magic, 0); err != nil {
		t.Fatal(err)
	}
	if string(magic) == "hsqs" {
		command(t, nil, need.Tool(t, "unsquashfs", "squashfs-tools"), "-stat", fileSystem)
		return "squashfs"
	}
	// It ends with 0 over a checksum that is wrong, but says so.
	said := command(t, nil, need.Tool(t, "fsck.erofs", "erofs-utils"), fileSystem) +
		debian.Tools(t).Run(t, map[string]string{folder: "/w"}, "fsck.erofs", "/w/"+filepath.Base(fileSystem))
	if strings.Contains(said, "<E>") {
		t.Errorf("fsck.erofs: %s", said)
	}
	return "erofs"
}

// cut copies a partition into a file of its own, for tools that know no
// partitions.
func cut(t *testing.T, image string, p sfdisk.Partition, folder string) string {
	t.Helper()
	path := filepath.Join(folder, p.Name)
	sfdisk.Cut(t, image, p, path)
	return path
}

func opensslVerifies(t *testing.T, built image, partition, folder string) {
	t.Helper()
	text, err := os.ReadFile(partition)
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		RootHash  string `json:"rootHash"`
		Signature string `json:"signature"`
	}
	if err := json.Unmarshal([]byte(strings.TrimRight(string(text), "\x00")), &s); err != nil {
		t.Fatal(err)
	}
	if s.RootHash != built.RootHash {
		t.Errorf("the signature is for %s, the image has %s", s.RootHash, built.RootHash)
	}
	der, err := base64.StdEncoding.DecodeString(s.Signature)
	if err != nil {
		t.Fatal(err)
	}
	pkcs7, content := filepath.Join(folder, "p7s"), filepath.Join(folder, "text")
	for file, data := range map[string][]byte{pkcs7: der, content: []byte(built.RootHash)} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command(t, nil, need.Tool(t, "openssl", "openssl"), "smime", "-verify", "-binary", "-inform", "der", "-in", pkcs7,
		"-content", content, "-certfile", built.key.certificate, "-nointern", "-noverify", "-out", "/dev/null")
}

// dissect asks systemd-dissect 257: the three partitions of the documents, the
// kinds of use, and its policy check.
func dissect(t *testing.T, built image, fileSystem string) {
	t.Helper()
	tools := debian.Tools(t)
	binds := map[string]string{filepath.Dir(built.Path): "/w"}
	path := "/w/" + filepath.Base(built.Path)
	text := tools.Run(t, binds, "systemd-dissect", "--json=short", path)
	var said struct {
		Architecture string `json:"architecture"`
		Sysext       bool   `json:"useSystemExtension"`
		Portable     bool   `json:"usePortableSystemExtension"`
		Confext      bool   `json:"useConfigurationExtension"`
		Mounts       []struct {
			ReadWrite  string `json:"rw"`
			Designator string `json:"designator"`
			Label      string `json:"partition_label"`
			FileSystem string `json:"fstype"`
		} `json:"mounts"`
	}
	if err := json.Unmarshal([]byte(text), &said); err != nil {
		t.Fatalf("systemd-dissect: %v\n%s", err, text)
	}
	if want := strings.HasSuffix(path, ".sysext.raw"); said.Sysext != want || said.Portable != want || said.Confext == want {
		t.Errorf("systemd-dissect ticks sysext %v, sysext for portable %v, confext %v", said.Sysext, said.Portable, said.Confext)
	}
	var shown []string
	for _, m := range said.Mounts {
		shown = append(shown, strings.Join([]string{m.ReadWrite, m.Designator, m.Label, m.FileSystem}, " "))
	}
	want := fmt.Sprintf("[ro root root-%[1]s %[2]s ro root-verity root-%[1]s-verity DM_verity_hash ro root-verity-sig root-%[1]s-verity-sig verity_hash_signature]", "x86-64", fileSystem)
	if got := fmt.Sprint(shown); got != want {
		t.Errorf("systemd-dissect shows\n%s, want\n%s", got, want)
	}
	tools.Run(t, binds, "systemd-dissect", "--validate", "--image-policy=root=signed", path)
}

// kernelTree mounts the file system and returns what the kernel shows.
func kernelTree(t *testing.T, fileSystem, kind string) map[string]string {
	t.Helper()
	need.Root(t)
	need.FileSystem(t, kind)
	at := t.TempDir()
	command(t, nil, "mount", "-t", kind, "-o", "ro,loop", fileSystem, at)
	defer command(t, nil, "umount", at)
	return snapshot(t, at)
}
