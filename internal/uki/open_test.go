package uki_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/hint"
	"inlay/internal/pcr"
	"inlay/internal/pe"
	"inlay/internal/uki"
)

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	linux := toySection{name: ".linux", content: "kernel"}
	for name, c := range map[string]struct {
		image []byte
		want  string
	}{
		"nothing":            {nil, "not an EFI program"},
		"stub":               {toyStub(machineX64), "no kernel"},
		"kernel":             {toyKernel(machineX64, "6.12"), "no kernel"},
		"empty kernel":       {toy(machineX64, toySection{name: ".linux"}), "no kernel"},
		"kernel of zeros":    {toy(machineX64, toySection{name: ".linux", zeros: 4096}), "no kernel"},
		"two kernels":        {toy(machineX64, linux, linux), `".linux" is there twice`},
		"two command lines":  {toy(machineX64, linux, toySection{name: ".cmdline", content: "a"}, toySection{name: ".cmdline", content: "b"}), `".cmdline" is there twice`},
		"two policies":       {toy(machineX64, linux, toySection{name: ".pcrsig", content: "{}"}, toySection{name: ".pcrsig", content: "{}"}), `".pcrsig" is there twice`},
		"two in a profile":   {toy(machineX64, linux, toySection{name: ".profile", content: "ID=a"}, toySection{name: ".uname", content: "a"}, toySection{name: ".uname", content: "b"}), `".uname" is there twice`},
		"kernel in profile":  {toy(machineX64, toySection{name: ".profile", content: "ID=a"}, linux, toySection{name: ".profile", content: "ID=b"}), "no kernel"},
		"much memory":        {toy(machineX64, linux, toySection{name: ".initrd", content: "x", zeros: 1 << 29}), "in memory"},
		"long command line":  {toy(machineX64, linux, toySection{name: ".cmdline", content: strings.Repeat("x", 1<<20+1)}), "at most 1048576"},
		"profile with a NUL": {toy(machineX64, linux, toySection{name: ".profile", content: "ID=a\x00b"}), "NUL"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := uki.Open(bytes.NewReader(c.image), int64(len(c.image)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if c.want == "no kernel" && len(hint.Of(err)) == 0 {
				t.Error("no advice")
			}
			if len(c.image) == 0 && !errors.Is(err, pe.ErrNotProgram) {
				t.Errorf("error %v, want %v", err, pe.ErrNotProgram)
			}
		})
	}
}

// TestMeasureZeros: the stub measures what a section takes in memory, zeros
// behind its content too, and not the padding in the file.
func TestMeasureZeros(t *testing.T) {
	t.Parallel()
	image := open(t, toy(machineX64, toySection{name: ".linux", content: "kernel", zeros: 5000}, toySection{name: ".cmdline", content: "words"}))
	got, err := image.Measure(t.Context(), pcr.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	var sections []pcr.Section
	for name, content := range map[string]string{".linux": "kernel" + strings.Repeat("\x00", 5000), ".cmdline": "words"} {
		s, err := pcr.Hash(name, strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		sections = append(sections, s)
	}
	want, err := pcr.SHA256.Measure(sections)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uki.Measured{{Profile: uki.Profile{Cmdline: "words"}, PCR: map[pcr.Bank][]byte{pcr.SHA256: want}}}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestNoPolicies(t *testing.T) {
	t.Parallel()
	p, o := toyParts()
	b, _ := build(t, p, o)
	image := open(t, b)
	if err := image.CheckPolicies(t.Context(), newKey(t).Public()); err == nil || !strings.Contains(err.Error(), "no signed policies") {
		t.Errorf("error %v", err)
	}
	if key, err := image.PolicyKey(); key != nil || err != nil {
		t.Errorf("a key: %v, %v", key, err)
	}
	for name, c := range map[string]struct{ signatures, key, want string }{
		"no JSON":  {"x", "", "reading signatures"},
		"no banks": {"{}", "", "no signed policies"},
		"no key":   {`{"sha256":[{"pcrs":[11],"pkfp":"00","pol":"00","sig":""}]}`, "not a key", "no SHA-256 digest"},
	} {
		image := open(t, toy(machineX64, toySection{name: ".linux", content: "x"},
			toySection{name: ".pcrsig", content: c.signatures}, toySection{name: ".pcrpkey", content: c.key}))
		if err := image.CheckPolicies(t.Context(), newKey(t).Public()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", name, err, c.want)
		}
		if _, err := image.PolicyKey(); err == nil && c.key != "" {
			t.Errorf("%s: %q is a key", name, c.key)
		}
	}
}

// TestChangedImage: policies are for one image only.
func TestChangedImage(t *testing.T) {
	t.Parallel()
	p, o := toyParts()
	o.PCRKey, o.Banks = newKey(t), []pcr.Bank{pcr.SHA256}
	b, _ := build(t, p, o)
	at := bytes.Index(b, []byte("quiet"))
	b[at] = 'Q'
	if err := open(t, b).CheckPolicies(t.Context(), o.PCRKey.Public()); err == nil || !strings.Contains(err.Error(), "not for this image") {
		t.Errorf("error %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	p, o := toyParts()
	p.Profiles = []uki.Profile{{ID: "a", Title: "A", Cmdline: "a"}}
	image, _ := build(f, p, o)
	f.Add(image)
	f.Add(toy(machineX64, toySection{name: ".linux", content: "x"}, toySection{name: ".pcrpkey", content: "-----BEGIN PUBLIC KEY-----\n"},
		toySection{name: ".pcrsig", content: `{"sha256":[{"pcrs":[11],"pkfp":"00","pol":"00","sig":""}]}`}))
	f.Add(toyStub(machineX64))
	f.Add(toy(machineARM, toySection{name: ".linux", content: "x", zeros: 9}))
	f.Add(toy(machineX64, toySection{name: ".linux", content: "x"}, toySection{name: ".profile"}, toySection{name: ".pcrpkey", content: "x"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		image, err := uki.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if len(image.Profiles) == 0 || len(image.Sections()) == 0 {
			t.Fatal("nothing in it")
		}
		if image.Program.SizeOfImage > 1<<20 {
			return // hashing zeros finds nothing new
		}
		measured, err := image.Measure(t.Context(), pcr.SHA256)
		if err == nil && (len(measured) != len(image.Profiles) || len(measured[0].PCR[pcr.SHA256]) != 32) {
			t.Fatalf("measured %v", measured)
		}
		_, _ = image.OSRelease()
		if key, err := image.PolicyKey(); err == nil && key != nil {
			_ = image.CheckPolicies(t.Context(), key)
		}
	})
}
