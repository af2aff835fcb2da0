//go:build bench

package bench_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// signGoal is P12, in milliseconds.
const signGoal = 15

// TestSign measures what it takes to put a signature into an image that is
// there, in memory and on disk, with two sizes of keys. Peers build it anew.
func TestSign(t *testing.T) {
	programs, data := newTools(t), largeAndSmall(t)
	strong := filepath.Join(string(programs), "rsa4096")
	if text, err := exec.CommandContext(t.Context(), programs.inlay(), "keys", "create", "strong", "--only-extension-key", "rsa4096", "--output", strong).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	for _, at := range []place{memory(t), disk(t, data)} {
		s := short{
			title: "Signing in place " + at.title + " (" + at.kind + ")", agent: startShort(t, programs, at.folder), folder: at.folder,
			about: "The signature of an image of payload A is replaced, synced to the disk.",
		}
		image := filepath.Join(at.folder, extensionName+".sysext.raw")
		text, err := exec.CommandContext(t.Context(), programs.inlay(), "build", extensionName, "file:"+data.tar(), "-q", "-o", at.folder, "--defer-signature").CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		rootHash := filepath.Join(at.folder, "text")
		if text, err = exec.CommandContext(t.Context(), programs.inlay(), "sign", image, "--print-text").Output(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(rootHash, text, 0o644); err != nil {
			t.Fatal(err)
		}
		sign := func(key, certificate string) [][]string {
			return [][]string{{programs.inlay(), "sign", image, "--private-key", key, "--certificate", certificate}}
		}
		s.rows = []shortRow{
			{name: "inlay sign, RSA-4096", argv: sign(strong+"/ext.key", strong+"/ext.pem"), goal: signGoal},
			{name: "inlay sign, RSA-2048", argv: sign(programs.keys()+"/db.key", programs.keys()+"/db.pem"), goal: signGoal},
			{name: "openssl smime -sign, RSA-4096, the signature alone", argv: [][]string{{
				"openssl", "smime", "-sign", "-binary", "-noattr", "-in", rootHash, "-signer", strong + "/ext.pem", "-inkey", strong + "/ext.key",
				"-outform", "der", "-out", filepath.Join(at.folder, "p7s"),
			}}},
			{name: "inlay version, as what a process costs", argv: [][]string{{programs.inlay(), "version"}}},
		}
		s.run(t)
	}
}
