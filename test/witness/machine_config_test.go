package witness_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"inlay/internal/efi"
	"inlay/test/sample"
)

// TestConfiguredTrust: what the files below /etc/inlay and a cloud-config say is
// what verify does.
func TestConfiguredTrust(t *testing.T) {
	t.Parallel()
	ca := sample.Pair(t, sample.Certificate{Name: "ca", CA: true})
	signer := sample.Pair(t, sample.Certificate{Name: "signer", Issuer: ca, Serial: 9})
	other := sample.Pair(t, sample.Certificate{Name: "other"})
	image, bare := sample.Make(t, sample.Image{Signer: signer}), sample.Make(t, sample.Image{})
	mine, theirs := string(sample.PEM(signer.Certificate)), string(sample.PEM(other.Certificate))
	inline := func(indent, text string) string {
		return "|\n" + indent + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+indent) + "\n"
	}
	machine := secured()
	machine.db, machine.dbx = certificates(signer), []efi.List{}
	variables := machine.write(t)
	const here = "etc/inlay/config.yaml"
	for name, c := range map[string]struct {
		files map[string]string
		image string
		flags []string
		check string // that refuses; "" if it is good
		words string
	}{
		"a file":         {map[string]string{here: "trust:\n  certificates: [/opt/a.pem]\n", "opt/a.pem": mine}, image, nil, "", ""},
		"a missing file": {map[string]string{here: "trust:\n  certificates: [/opt/a.pem]\n"}, image, nil, "signature", "no key is trusted"},
		"inline":         {map[string]string{here: "trust:\n  certificates:\n  - " + inline("    ", mine)}, image, nil, "", ""},
		"a drop-in":      {map[string]string{"etc/inlay/config.d/50-acme.yaml": "trust:\n  certificates:\n  - " + inline("    ", mine)}, image, nil, "", ""},
		"a folder":       {map[string]string{here: "trust:\n  folders: [/opt]\n", "opt/a.crt": mine}, image, nil, "", ""},
		"at installation": {
			map[string]string{"oem/90_custom.yaml": "#cloud-config\nhostname: {{ .x }}\ninstall:\n  trust:\n    certificates:\n    - " + inline("      ", mine)},
			image, nil, "", "",
		},
		"chains":                    {map[string]string{here: "trust:\n  chains: true\n  certificates: [/a.pem]\n", "a.pem": string(sample.PEM(ca.Certificate))}, image, nil, "", ""},
		"no chains":                 {map[string]string{here: "trust:\n  certificates: [/a.pem]\n", "a.pem": string(sample.PEM(ca.Certificate))}, image, nil, "signature", "not the one trusted key"},
		"a pin":                     {map[string]string{here: "trust:\n  fingerprints: [\"" + print256(other) + "\"]\n", "etc/verity.d/a.crt": mine + theirs}, image, nil, "signature", "not among the pinned"},
		"firmware":                  {map[string]string{here: "trust:\n  firmware: true\n"}, image, []string{"--efivars", "/vars"}, "", ""},
		"no firmware":               {map[string]string{here: "trust:\n  firmware: false\n"}, image, []string{"--efivars", "/vars"}, "error", "pass --firmware too"},
		"a deny list, not there":    {map[string]string{here: "trust:\n  deny_lists: [/opt/a.deny]\n", "etc/verity.d/a.crt": mine}, image, nil, "error", "/opt/a.deny"},
		"a policy":                  {map[string]string{here: "policy: verity\n"}, bare, nil, "", ""},
		"a policy of systemd":       {map[string]string{here: "policy: root=verity+absent:usr=absent\n"}, bare, nil, "", ""},
		"no policy":                 {map[string]string{here: "trust:\n  firmware: false\n"}, bare, nil, "signature", "not signed"},
		"a flag before the policy":  {map[string]string{here: "policy: any\n"}, bare, []string{"--policy", "signed"}, "signature", "not signed"},
		"a later policy wins":       {map[string]string{here: "policy: any\n", "etc/inlay/config.d/1.yaml": "policy: signed\n"}, bare, nil, "signature", "not signed"},
		"another file":              {map[string]string{here: "policy: any\n", "opt/c.yaml": "policy: signed\n"}, bare, []string{"--config", "/opt/c.yaml"}, "signature", "not signed"},
		"another file, not there":   {nil, bare, []string{"--config", "/opt/c.yaml"}, "error", "/opt/c.yaml"},
		"an unknown key":            {map[string]string{here: "trust:\n  certificate:\n  - /a.pem\n"}, image, nil, "error", "/etc/inlay/config.yaml:2:3: "},
		"no YAML":                   {map[string]string{here: "policy: signed\ntrust: [\n"}, image, nil, "error", "/etc/inlay/config.yaml:"},
		"an unknown policy":         {map[string]string{here: "\n\npolicy: mostly\n"}, image, nil, "error", "/etc/inlay/config.yaml:3:"},
		"broken in a drop-in":       {map[string]string{here: "policy: any\n", "etc/inlay/config.d/2.yaml": "policy: any\ntrust: yes\n"}, bare, nil, "error", "/etc/inlay/config.d/2.yaml:2:"},
		"broken, in a cloud-config": {map[string]string{"oem/x.yaml": "#cloud-config\ninstall:\n  trust:\n    firmwares: true\n"}, image, nil, "error", "/oem/x.yaml:4:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := rootWith(t, c.files)
			command(t, nil, "cp", "-r", variables, filepath.Join(root, "vars"))
			v := verify(t, append(c.flags, "--root", root, c.image)...)
			switch c.check {
			case "":
				if v.code != codeGood {
					t.Errorf("want it good, have %s", v)
				}
			case "error":
				if v.code == codeGood || v.code == codeRefused || len(v.Images) > 0 || !strings.Contains(v.stderr, c.words) || !strings.Contains(v.stderr, `"hints"`) {
					t.Errorf("want an error with %q and a hint, have %s", c.words, v)
				}
			default:
				v.wantRefused(t, c.check, c.words)
			}
			if c.check == "error" {
				return
			}
			// Who names a key asks about that key alone.
			named := verify(t, append(c.flags, "--root", root, "--certificate", writePair(t, other).certificate, image)...)
			if trusted := fmt.Sprint(named.Trusted); strings.Contains(trusted, "CN=signer") && !strings.Contains(strings.Join(c.flags, " "), "--config") {
				t.Errorf("with --certificate, trusted are %s", trusted)
			}
		})
	}
}
