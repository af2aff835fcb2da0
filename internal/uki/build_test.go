package uki_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/hint"
	"inlay/internal/pcr"
	"inlay/internal/pe"
	"inlay/internal/secureboot"
	"inlay/internal/uki"
)

func digest(t testing.TB, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func read(t testing.TB, image *uki.Image, profile int, name string) string {
	t.Helper()
	content, ok := image.Section(profile, name)
	if !ok {
		return "(none)"
	}
	b, err := io.ReadAll(content)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestBuild(t *testing.T) {
	t.Parallel()
	p, o := toyParts()
	p.Initrd = append(p.Initrd, section([]byte("another")), section([]byte("four")))
	o.PCRKey, o.Signer = newKey(t), newPair(t)
	b, result := build(t, p, o)
	again, _ := build(t, p, o)
	if !bytes.Equal(b, again) {
		t.Error("a second build has other bytes")
	}
	image := open(t, b)
	for name, want := range map[string]string{
		".osrel":   "ID=toy\nNAME=\"Toy System\"\n",
		".cmdline": "console=ttyS0 quiet",
		".uname":   "6.12.0-toy",
		".splash":  "BM picture",
		".linux":   string(toyKernel(machineX64, "6.12.0-toy")),
		".initrd":  "initrd\x00\x00another\x00four",
		".sbat": sbatFirst + "systemd-stub,1,The systemd Developers,systemd,257\n" +
			"uki,1,UKI,uki,1,https://uapi-group.org/specifications/specs/unified_kernel_image/\n\x00",
		".ucode": "(none)",
	} {
		if got := read(t, image, 0, name); got != want {
			t.Errorf("section %s is %q, want %q", name, got, want)
		}
	}
	var order []string
	for _, s := range result.Sections {
		order = append(order, s.Name)
	}
	want := []string{".osrel", ".cmdline", ".uname", ".splash", ".pcrpkey", ".linux", ".initrd", ".sbat", ".pcrsig"}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]uki.Profile{{Cmdline: p.Cmdline}}, image.Profiles); diff != "" {
		t.Errorf("profiles (-want +got):\n%s", diff)
	}
	if result.Architecture != "x86-64" || result.Uname != "6.12.0-toy" || len(result.Warnings) > 0 {
		t.Errorf("the result is %+v", result)
	}
	measured, err := image.Measure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(result.Profiles, measured); diff != "" {
		t.Errorf("the image measures otherwise (-result +image):\n%s", diff)
	}
	if err := image.CheckPolicies(t.Context(), o.PCRKey.Public()); err != nil {
		t.Error(err)
	}
	key, err := image.PolicyKey()
	if err != nil || !equalKeys(key, o.PCRKey.Public()) {
		t.Errorf("the image brings the key %v (%v)", key, err)
	}
	release, err := image.OSRelease()
	if err != nil || release.Get("NAME") != "Toy System" {
		t.Errorf("the image's os-release: %v, %v", release, err)
	}
	if _, err := secureboot.VerifyProgram(bytes.NewReader(b), int64(len(b)), o.Signer.Certificate); err != nil {
		t.Error(err)
	}
}

func equalKeys(a, b crypto.PublicKey) bool {
	key, ok := a.(*rsa.PublicKey)
	return ok && key.Equal(b)
}

// TestBuildAnew shows that what an output held before does not matter.
func TestBuildAnew(t *testing.T) {
	t.Parallel()
	p, o := toyParts()
	want, _ := build(t, p, o)
	path := filepath.Join(t.TempDir(), "image.efi")
	if err := os.WriteFile(path, bytes.Repeat([]byte{0xff}, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := uki.Build(t.Context(), file, p, o); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("other bytes (%v)", err)
	}
}

func TestBuildProfiles(t *testing.T) {
	t.Parallel()
	p, o := toyParts()
	p.Profile = uki.Profile{Title: `The "first" \ $one`}
	p.Profiles = []uki.Profile{{ID: "rescue", Title: "Rescue", Cmdline: "rescue"}, {ID: "install", Cmdline: "install"}}
	o.PCRKey, o.Banks = newKey(t), []pcr.Bank{pcr.SHA256, pcr.SHA384}
	b, result := build(t, p, o)
	image := open(t, b)
	want := []uki.Profile{
		{ID: "main", Title: `The 'first' / $one`, Cmdline: "console=ttyS0 quiet"},
		{ID: "rescue", Title: "Rescue", Cmdline: "rescue"},
		{ID: "install", Cmdline: "install"},
	}
	if diff := cmp.Diff(want, image.Profiles); diff != "" {
		t.Errorf("profiles (-want +got):\n%s", diff)
	}
	seen := map[string]bool{}
	for i := range want {
		if read(t, image, i, ".initrd") != "initrd" {
			t.Errorf("profile %d has another initrd", i)
		}
		seen[read(t, image, i, ".pcrsig")] = true
		seen[string(result.Profiles[i].PCR[pcr.SHA256])] = true
		if len(result.Profiles[i].PCR) != 2 {
			t.Errorf("profile %d is measured in %d banks", i, len(result.Profiles[i].PCR))
		}
	}
	if len(seen) != 2*len(want) {
		t.Error("profiles share policies or measurements")
	}
	if err := image.CheckPolicies(t.Context(), o.PCRKey.Public()); err != nil {
		t.Error(err)
	}
	if err := image.CheckPolicies(t.Context(), newKey(t).Public()); err == nil {
		t.Error("a stranger's key has signed the policies")
	}
	if err := image.CheckPolicies(t.Context(), o.PCRKey.Public(), "sysinit"); err == nil {
		t.Error("the policies are for a phase that none was signed for")
	}
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	elliptic, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(p *uki.Parts, o *uki.Options)
		want   string
		advice bool
	}{
		"no kernel":      {func(p *uki.Parts, _ *uki.Options) { p.Linux = nil }, "there is no kernel", false},
		"kernel is text": {func(p *uki.Parts, _ *uki.Options) { p.Linux = section(bytes.Repeat([]byte("text"), 100)) }, "reading the kernel", true},
		"compressed kernel": {func(p *uki.Parts, _ *uki.Options) {
			p.Linux = section(append([]byte("\x1f\x8b"), make([]byte, 500)...))
		}, "not an EFI program", true},
		"no stub":            {func(_ *uki.Parts, o *uki.Options) { o.Stub = nil }, "there is no stub", true},
		"stub is the kernel": {func(p *uki.Parts, o *uki.Options) { o.Stub = p.Linux }, "the stub is not systemd's", true},
		"boot loader as stub": {func(_ *uki.Parts, o *uki.Options) {
			o.Stub = section(toy(machineX64, toySection{name: ".sdmagic", content: "#### LoaderInfo: systemd-boot 257 ####"}))
		}, `it says "systemd-boot 257"`, true},
		"image as stub": {func(_ *uki.Parts, o *uki.Options) {
			o.Stub = section(toy(machineX64, toySection{name: ".sdmagic", content: stubMagic}, toySection{name: ".linux", content: "x"}))
		}, "it is an image", true},
		"other architecture": {func(_ *uki.Parts, o *uki.Options) { o.Stub = section(toyStub(machineARM)) }, "the stub is for arm64, and the kernel for x86-64", true},
		"old stub, profiles": {func(p *uki.Parts, o *uki.Options) {
			o.Stub = section(toy(machineX64, toySection{name: ".sdmagic", content: "#### LoaderInfo: systemd-stub 255.4 ####"}))
			p.Profiles = []uki.Profile{{ID: "x", Cmdline: "x"}}
		}, "systemd 255, which knows no profiles", true},
		"no room": {func(p *uki.Parts, _ *uki.Options) {
			for range 20 {
				p.Profiles = append(p.Profiles, uki.Profile{ID: strings.Repeat("x", len(p.Profiles)+1), Cmdline: "x"})
			}
		}, "have room for 43 sections", true},
		"SBAT too long":       {func(p *uki.Parts, _ *uki.Options) { p.SBAT = []byte("sbat,1,\n" + strings.Repeat("x", 2000)) }, ".sbat", false},
		"SBAT is none":        {func(p *uki.Parts, _ *uki.Options) { p.SBAT = []byte("uki,1,") }, "SBAT", true},
		"empty command line":  {func(p *uki.Parts, _ *uki.Options) { p.Cmdline = " \t" }, "the command line is empty", true},
		"command lines":       {func(p *uki.Parts, _ *uki.Options) { p.Cmdline = "a\nb" }, "control characters", false},
		"no os-release":       {func(p *uki.Parts, _ *uki.Options) { p.OSRelease = nil }, "os-release is empty", true},
		"bad os-release":      {func(p *uki.Parts, _ *uki.Options) { p.OSRelease = []byte("ID=\x00") }, "reading os-release", false},
		"bad release":         {func(p *uki.Parts, _ *uki.Options) { p.Uname = "6.12/../.." }, "no kernel's release", false},
		"splash is a PNG":     {func(p *uki.Parts, _ *uki.Options) { p.Splash = []byte("\x89PNG") }, "not a bitmap", true},
		"empty initrd":        {func(p *uki.Parts, _ *uki.Options) { p.Initrd = append(p.Initrd, section(nil)) }, "initrd 2 is empty", false},
		"bad id":              {func(p *uki.Parts, _ *uki.Options) { p.Profiles = []uki.Profile{{ID: "a b", Cmdline: "x"}} }, "is not one", true},
		"title of two lines":  {func(p *uki.Parts, _ *uki.Options) { p.Profiles = []uki.Profile{{ID: "a", Title: "a\nb", Cmdline: "x"}} }, "control characters", false},
		"ids twice":           {func(p *uki.Parts, _ *uki.Options) { p.Profiles = []uki.Profile{{ID: "main", Cmdline: "x"}} }, "two profiles", false},
		"profile, no cmdline": {func(p *uki.Parts, _ *uki.Options) { p.Profiles = []uki.Profile{{ID: "a"}} }, `profile "a": the command line is empty`, true},
		"two command lines":   {func(p *uki.Parts, _ *uki.Options) { p.Profile.Cmdline = "x" }, "that of the image", false},
		"elliptic PCR key":    {func(_ *uki.Parts, o *uki.Options) { o.PCRKey = elliptic }, "cannot sign for a TPM's PCR", true},
		"strange bank":        {func(_ *uki.Parts, o *uki.Options) { o.Banks = []pcr.Bank{"md5"} }, `bank "md5" is not known`, false},
		"strange phase":       {func(_ *uki.Parts, o *uki.Options) { o.PCRKey, o.Phases = newKey(t), []string{"Enter Initrd"} }, "phase path", true},
		"kernel that shrank": {func(p *uki.Parts, _ *uki.Options) {
			p.Initrd = []*io.SectionReader{io.NewSectionReader(strings.NewReader("x"), 0, 9)}
		}, "1 of 9 bytes", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, o := toyParts()
			c.change(&p, &o)
			file, err := os.Create(filepath.Join(t.TempDir(), "image.efi"))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			_, err = uki.Build(t.Context(), file, p, o)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			if got := len(hint.Of(err)) > 0; c.advice && !got {
				t.Errorf("error %v has no advice", err)
			}
		})
	}
}

func TestBuildCancelled(t *testing.T) {
	t.Parallel()
	p, o := toyParts()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	file, err := os.Create(filepath.Join(t.TempDir(), "image.efi"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := uki.Build(ctx, file, p, o); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestClearsNX: an image must not promise that its data is not run if the kernel
// inside does not.
func TestClearsNX(t *testing.T) {
	t.Parallel()
	for _, kernel := range []uint16{0, pe.NXCompatible} {
		p, o := toyParts()
		b := toyKernel(machineX64, "6.12.0")
		b[88+71] = byte(kernel >> 8)
		p.Linux = section(b)
		built, _ := build(t, p, o)
		if got := open(t, built).Program.DLLCharacteristics & pe.NXCompatible; got != kernel {
			t.Errorf("a kernel with %#x makes an image with %#x", kernel, got)
		}
	}
}

// discard is an output that keeps nothing.
type discard struct{}

func (discard) ReadAt([]byte, int64) (int, error)      { return 0, errors.New("nothing is kept") }
func (discard) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (discard) Truncate(int64) error                   { return nil }

// empty has zeros all over.
type empty struct{}

func (empty) ReadAt(p []byte, _ int64) (int, error) {
	clear(p)
	return len(p), nil
}

// TestBuildStreams is not parallel: it counts what is allocated meanwhile.
func TestBuildStreams(t *testing.T) {
	p, o := toyParts()
	const size = 300 << 20
	p.Initrd = []*io.SectionReader{io.NewSectionReader(empty{}, 0, size)}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	result, err := uki.Build(t.Context(), discard{}, p, o)
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if result.Size < size {
		t.Errorf("the image has %d bytes", result.Size)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 32<<20 {
		t.Errorf("an image of %d MiB took %d MiB of memory", size>>20, used>>20)
	}
}
