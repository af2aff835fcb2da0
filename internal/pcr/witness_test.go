package pcr_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/pcr"
	"inlay/test/debian"
)

// measureTool is systemd 257's, the witness.
const measureTool = "/usr/lib/systemd/systemd-measure"

// contents are parts of an image, in no order that means anything.
func contents() map[string]string {
	return map[string]string{
		".pcrpkey": "a key\n", ".linux": strings.Repeat("not a kernel ", 200_000), ".osrel": "ID=test\n",
		".cmdline": "console=ttyS0", ".initrd": "initrd", ".splash": "BM", ".uname": "6.12.0",
		".sbat": "sbat,1\n\x00", ".dtb": "tree", ".ucode": "code", ".hwids": "hardware", ".profile": "ID=main\n",
	}
}

func hash(t testing.TB, contents map[string]string) []pcr.Section {
	t.Helper()
	var sections []pcr.Section
	for name, content := range contents {
		s, err := pcr.Hash(name, strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		sections = append(sections, s)
	}
	return sections
}

// newKey returns a key and its PEM form.
func newKey(t testing.TB) (*rsa.PrivateKey, []byte) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// arguments writes contents for the tool to read.
func arguments(t testing.TB, folder string, contents map[string]string) []string {
	t.Helper()
	var arguments []string
	for name, content := range contents {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		option := name[1:]
		if option == "hwids" {
			option = "dtbauto" // 257.13 takes the one for the other
		}
		arguments = append(arguments, fmt.Sprintf("--%s=/w/%s", option, name))
	}
	return arguments
}

func TestWitnessCalculate(t *testing.T) {
	t.Parallel()
	for name, contents := range map[string]map[string]string{
		"all":     contents(),
		"few":     {".linux": "kernel", ".cmdline": "quiet"},
		"empty":   {".linux": "kernel", ".cmdline": "", ".uname": "6"},
		"phases":  {".linux": "kernel", ".osrel": "ID=x"},
		"profile": {".linux": "kernel", ".profile": "ID=x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			command := append([]string{measureTool, "calculate", "--phase=:", "--phase=enter-initrd:leave-initrd"}, arguments(t, folder, contents)...)
			said := debian.Tools(t).Run(t, map[string]string{folder: "/w"}, command...)
			var want strings.Builder
			for _, path := range []string{":", "enter-initrd:leave-initrd"} {
				for _, b := range pcr.Banks() {
					value, err := b.Measure(hash(t, contents))
					if err != nil {
						t.Fatal(err)
					}
					fmt.Fprintf(&want, "11:%s=%s\n", b, hex.EncodeToString(b.Enter(value, path)))
				}
			}
			if diff := cmp.Diff(want.String(), said); diff != "" {
				t.Errorf("systemd-measure says otherwise (-ours +theirs):\n%s", diff)
			}
		})
	}
}

func TestWitnessSign(t *testing.T) {
	t.Parallel()
	key, text := newKey(t)
	for name, test := range map[string]struct {
		options   pcr.SignOptions
		arguments []string
	}{
		"default":    {},
		"one bank":   {pcr.SignOptions{Banks: []pcr.Bank{pcr.SHA256}}, []string{"--bank=sha256"}},
		"two banks":  {pcr.SignOptions{Banks: []pcr.Bank{pcr.SHA512, pcr.SHA1, pcr.SHA1}}, []string{"--bank=SHA512", "--bank=SHA1"}},
		"two phases": {pcr.SignOptions{Phases: []string{"sysinit", ":", "enter-initrd"}}, []string{"--phase=sysinit", "--phase=:", "--phase=enter-initrd"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, "key"), text, 0o600); err != nil {
				t.Fatal(err)
			}
			command := append([]string{measureTool, "sign", "--private-key=/w/key"}, arguments(t, folder, contents())...)
			want := debian.Tools(t).Run(t, map[string]string{folder: "/w"}, append(command, test.arguments...)...)
			got, err := pcr.Sign(key, hash(t, contents()), test.options)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, string(got)); diff != "" {
				t.Errorf("(-theirs +ours)\n%s", diff)
			}
		})
	}
}

func TestWitnessPublicKey(t *testing.T) {
	t.Parallel()
	key, text := newKey(t)
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "key"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	want := debian.Tools(t).Run(t, map[string]string{folder: "/w"}, "openssl", "pkey", "-in", "/w/key", "-pubout")
	got, err := pcr.PublicPEM(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, []byte(want)) {
		t.Errorf("got %s, want %s", got, want)
	}
}
