package uki_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/pe"
	"inlay/internal/uki"
	"inlay/test/debian"
)

// Where Debian has the stub for images, and the one that ukify puts profiles into.
const (
	stubPath  = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub"
	addonPath = "/usr/lib/systemd/boot/efi/addonx64.efi.stub"
)

// bench is a folder that ukify sees as /w, with the real kernel and stub.
type bench struct {
	folder string
	binds  map[string]string
	kernel *debian.Kernel
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{folder: t.TempDir(), kernel: debian.NewKernel(t)}
	b.binds = map[string]string{b.folder: "/w", b.kernel.Compressed(): "/vmlinuz"}
	return b
}

func (b *bench) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.folder, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(b.folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// parts are those of a real image; what ukify is to read of them is written.
func (b *bench) parts(t *testing.T) (uki.Parts, uki.Options, []string) {
	t.Helper()
	p, o := toyParts()
	p.Linux = file(t, b.kernel.Compressed())
	p.Initrd = []*io.SectionReader{section(bytes.Repeat([]byte("first"), 9001)), section([]byte("second"))}
	o.Stub = file(t, debian.Tools(t).Folder()+stubPath)
	b.write(t, "initrd-1", bytes.Repeat([]byte("first"), 9001))
	b.write(t, "initrd-2", []byte("second"))
	b.write(t, "osrel", p.OSRelease)
	b.write(t, "splash", p.Splash)
	return p, o, []string{
		"ukify", "build", "--linux=/vmlinuz", "--initrd=/w/initrd-1", "--initrd=/w/initrd-2", "--cmdline=" + p.Cmdline,
		"--os-release=@/w/osrel", "--splash=/w/splash", "--stub=" + stubPath,
	}
}

func file(t *testing.T, path string) *io.SectionReader {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return io.NewSectionReader(f, 0, info.Size())
}

// withoutChecksum clears the field that ukify leaves empty.
func withoutChecksum(t *testing.T, b []byte) []byte {
	t.Helper()
	b = bytes.Clone(b)
	at := int(b[60]) + int(b[61])<<8 + 24 + 64
	clear(b[at : at+4])
	return b
}

func TestSameBytesAsUkify(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parts, options, command := b.parts(t)
	tools := debian.Tools(t)
	tools.Run(t, b.binds, append(command, "--output=/w/theirs.efi")...)
	ours, result := build(t, parts, options)
	if result.Uname != b.kernel.Version {
		t.Errorf("the kernel's release is %q, want %q", result.Uname, b.kernel.Version)
	}
	if !bytes.Equal(withoutChecksum(t, ours), b.read(t, "theirs.efi")) {
		t.Error("ukify makes another image")
	}
}

func TestSameProfilesAsUkify(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parts, options, command := b.parts(t)
	parts.Profile = uki.Profile{Title: "Start"}
	parts.Profiles = []uki.Profile{{ID: "rescue", Title: "Get up", Cmdline: "rescue"}, {ID: "install", Cmdline: "install-mode"}}
	b.write(t, "profile-0", []byte("ID=main\nTITLE=\"Start\"\n"))
	b.write(t, "profile-1", []byte("ID=rescue\nTITLE=\"Get up\"\n"))
	b.write(t, "profile-2", []byte("ID=install\n"))
	tools := debian.Tools(t)
	for i, p := range parts.Profiles {
		tools.Run(t, b.binds, "ukify", "build", "--stub="+addonPath, fmt.Sprintf("--profile=@/w/profile-%d", i+1),
			"--cmdline="+p.Cmdline, fmt.Sprintf("--output=/w/%d.efi", i+1))
	}
	tools.Run(t, b.binds, append(command, "--profile=@/w/profile-0", "--join-profile=/w/1.efi", "--join-profile=/w/2.efi", "--output=/w/theirs.efi")...)
	ours, _ := build(t, parts, options)
	if !bytes.Equal(withoutChecksum(t, ours), b.read(t, "theirs.efi")) {
		t.Error("ukify makes another image")
	}
}

// TestSamePoliciesAsUkify compares signed policies, also of profiles, and lets
// each side's be checked against the other's image.
func TestSamePoliciesAsUkify(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parts, options, command := b.parts(t)
	parts.Profiles = []uki.Profile{{ID: "rescue", Cmdline: "rescue"}}
	key := newKey(t)
	options.PCRKey = key
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	b.write(t, "pcr.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	b.write(t, "pcr.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	b.write(t, "profile-0", []byte("ID=main\n"))
	b.write(t, "profile-1", []byte("ID=rescue\n"))
	tools := debian.Tools(t)
	tools.Run(t, b.binds, "ukify", "build", "--stub="+addonPath, "--profile=@/w/profile-1", "--cmdline=rescue", "--output=/w/1.efi")
	tools.Run(t, b.binds, append(command, "--profile=@/w/profile-0", "--join-profile=/w/1.efi",
		"--pcr-private-key=/w/pcr.key", "--pcr-public-key=/w/pcr.pem", "--output=/w/theirs.efi")...)
	ours, _ := build(t, parts, options)
	images := map[string]*uki.Image{"ours": open(t, ours), "theirs": open(t, b.read(t, "theirs.efi"))}
	var policies []any
	for name, image := range images {
		if err := image.CheckPolicies(t.Context(), key.Public()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i := range image.Profiles {
			text, err := image.Text(i, ".pcrsig")
			if err != nil {
				t.Fatal(err)
			}
			var value any
			if err := json.Unmarshal(text, &value); err != nil {
				t.Fatal(err)
			}
			policies = append(policies, value)
		}
	}
	if diff := cmp.Diff(policies[:2], policies[2:]); diff != "" {
		t.Errorf("the signed policies differ:\n%s", diff)
	}
	if cmp.Equal(policies[0], policies[1]) {
		t.Error("both profiles have the same policies")
	}
	if diff := cmp.Diff(images["ours"].Profiles, images["theirs"].Profiles); diff != "" {
		t.Errorf("the profiles differ:\n%s", diff)
	}
}

// TestUkifyInspects has ukify read our image, and compares what it finds.
func TestUkifyInspects(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parts, options, _ := b.parts(t)
	options.PCRKey, options.Signer = newKey(t), newPair(t)
	ours, result := build(t, parts, options)
	b.write(t, "ours.efi", ours)
	said := debian.Tools(t).Run(t, b.binds, "ukify", "inspect", "/w/ours.efi", "--json=short")
	type described struct {
		Size   int64  `json:"size"`
		SHA256 string `json:"sha256"`
	}
	var theirs map[string]described
	if err := json.Unmarshal([]byte(said), &theirs); err != nil {
		t.Fatal(err)
	}
	want := map[string]described{}
	image := open(t, ours)
	for _, s := range result.Sections {
		content, _ := image.Section(0, s.Name)
		want[s.Name] = described{s.Size, digest(t, content)}
	}
	if diff := cmp.Diff(want, theirs); diff != "" {
		t.Errorf("ukify reads otherwise (-ours +theirs):\n%s", diff)
	}
	if got := image.Sections(); len(got) != len(want) {
		t.Errorf("the image has the sections %v", got)
	}
}

// TestWitnessesOfTheSignature has other programs verify a signed image.
func TestWitnessesOfTheSignature(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	parts, options, _ := b.parts(t)
	options.Signer, options.PCRKey = newPair(t), newKey(t)
	ours, _ := build(t, parts, options)
	b.write(t, "ours.efi", ours)
	b.write(t, "db.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: options.Signer.Certificate.Raw}))
	tools := debian.Tools(t)
	tools.Run(t, b.binds, "sbverify", "--cert", "/w/db.pem", "/w/ours.efi")
	tools.Run(t, b.binds, "osslsigncode", "verify", "-CAfile", "/w/db.pem", "-in", "/w/ours.efi")
	parsed, err := pe.Parse(bytes.NewReader(ours), int64(len(ours)))
	if err != nil {
		t.Fatal(err)
	}
	if sum, err := parsed.Sum(); err != nil || sum != parsed.Checksum {
		t.Errorf("the checksum is %#x, want %#x (%v)", parsed.Checksum, sum, err)
	}
}
