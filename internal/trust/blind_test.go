package trust_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/efi"
	"inlay/internal/trust"
)

// gone is a firmware without any variable.
func gone() map[string]string {
	vars := make(map[string]string)
	for _, name := range []string{"SecureBoot", "SetupMode", "PK", "KEK", "db", "dbx"} {
		vars[name] = "absent"
	}
	return vars
}

// What dbx would revoke is trusted by nobody while dbx cannot be read, wherever
// its certificate comes from; a machine that has no dbx loses nothing.
func TestBlind(t *testing.T) {
	t.Parallel()
	a, b := signer(t, "a"), signer(t, "b")
	const efivars = "sys/firmware/efi/efivars"
	both := []string{"a test", "b /etc/verity.d/b.crt"}
	revoked := []string{"b /etc/verity.d/b.crt"}
	tests := map[string]struct {
		vars    map[string]string
		change  func(t *testing.T, dir string) // the root
		efivars string
		// With Firmware, and without it.
		anchors, without   []string
		problem, complaint string
	}{
		"revoked":                  {map[string]string{"dbx": x509List(a.cert)}, nil, "", revoked, revoked, "the firmware's dbx revokes it", "the firmware's dbx revokes it"},
		"revoked, Secure Boot off": {map[string]string{"SecureBoot": "\x00", "dbx": x509List(a.cert)}, nil, "", revoked, revoked, "the firmware's dbx revokes it", "the firmware's dbx revokes it"},
		"nothing revoked":          {nil, nil, "", both, both, "", ""},
		"malformed":                {map[string]string{"dbx": "rubbish" + x509List(a.cert)}, nil, "", nil, both, "cannot be told: ", "not heeded"},
		"half malformed":           {map[string]string{"dbx": x509List(a.cert) + esl(efi.X509(), []byte("rubbish"))}, nil, "", nil, revoked, "cannot be told: list 2, entry 1: no certificate", "not heeded: list 2, entry 1"},
		"unreadable": {nil, func(t *testing.T, dir string) {
			t.Helper()
			file := filepath.Join(dir, efivars, variable("dbx"))
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(file, 0o755); err != nil { // root can read everything else
				t.Fatal(err)
			}
		}, "", nil, both, "cannot be told: a folder, not a file", "not heeded: a folder, not a file"},
		"dangling": {map[string]string{"dbx": "absent"}, func(t *testing.T, dir string) {
			t.Helper()
			if err := os.Symlink("nowhere", filepath.Join(dir, efivars, variable("dbx"))); err != nil {
				t.Fatal(err)
			}
		}, "", nil, both, "a link to what is not there", "a link to what is not there"},
		"no dbx":                  {map[string]string{"dbx": "absent"}, nil, "", both, both, "firmware dbx: not there: nothing is revoked", ""},
		"no dbx, Secure Boot off": {map[string]string{"dbx": "absent", "SecureBoot": "\x00"}, nil, "", both, both, "firmware dbx: not there: nothing is revoked", ""},
		"no dbx, no SecureBoot":   {map[string]string{"dbx": "absent", "SecureBoot": "absent"}, nil, "", nil, both, "cannot be told: it is not there, and reading variable SecureBoot: not there", ""},
		"no dbx, SecureBoot odd":  {map[string]string{"dbx": "absent", "SecureBoot": "\x02"}, nil, "", nil, both, "cannot be told: it is not there, and reading variable SecureBoot", ""},
		"no UEFI":                 {gone(), nil, "", both, both, "no variables at /sys/firmware/efi/efivars: no UEFI here", ""},
		"not mounted": {gone(), func(t *testing.T, dir string) {
			t.Helper()
			if err := os.MkdirAll(filepath.Join(dir, efivars), 0o755); err != nil {
				t.Fatal(err)
			}
		}, "", nil, both, "mount efivarfs", ""},
		"not mounted, no place to": {gone(), func(t *testing.T, dir string) {
			t.Helper()
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, efivars)), 0o755); err != nil {
				t.Fatal(err)
			}
		}, "", nil, both, "mount efivarfs", ""},
		"not a folder": {gone(), func(t *testing.T, dir string) {
			t.Helper()
			write(t, openRoot(t, dir), efivars, "")
		}, "", nil, both, "reading /sys/firmware/efi/efivars: not a directory", "reading /sys/firmware/efi/efivars: not a directory"},
		"a link to nowhere": {gone(), func(t *testing.T, dir string) {
			t.Helper()
			if err := os.MkdirAll(filepath.Join(dir, "sys/firmware"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("nowhere", filepath.Join(dir, "sys/firmware/efi")); err != nil {
				t.Fatal(err)
			}
		}, "", nil, both, "no variables at /sys/firmware/efi/efivars", ""},
		"elsewhere, none":  {gone(), nil, "vars", nil, both, "no variables at /vars", ""},
		"elsewhere, there": {map[string]string{"dbx": x509List(a.cert)}, nil, "/" + efivars, revoked, revoked, "the firmware's dbx revokes it", "the firmware's dbx revokes it"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := firmware(t, test.vars)
			write(t, root, "etc/verity.d/b.crt", string(toPEM(b.cert)))
			if test.change != nil {
				test.change(t, root.Name())
			}
			o := trust.Options{Root: root, EFIVars: test.efivars, Given: given(a.cert), Folders: trust.DefaultFolders()}
			for _, asked := range []bool{true, false} {
				want, problem := test.without, test.complaint
				if o.Firmware = asked; asked {
					want, problem = test.anchors, test.problem
				}
				set := load(t, o)
				if diff := cmp.Diff(append([]string{}, want...), names(set)); diff != "" {
					t.Errorf("firmware asked for: %v: %s", asked, diff)
				}
				got := strings.Join(lines(set), "\n")
				if !strings.Contains(got, problem) || problem == "" && got != "" {
					t.Errorf("firmware asked for: %v: problems %q, want %q", asked, got, problem)
				}
				if want != nil {
					continue
				}
				if strings.Count(got, "nobody is trusted") != 1 || !strings.Contains(got, "the firmware's keys") {
					t.Errorf("problems %q do not say once that nobody is trusted, and what to do", got)
				}
				j := set.Judge(message(t, content, b, b.cert), []byte(content), trust.JudgeOptions{})
				checkJudgement(t, j, trust.Unknown, "no key is trusted here, since what the firmware's dbx revokes cannot be told")
				if !strings.Contains(j.Advice, "dbx") {
					t.Errorf("advice %q", j.Advice)
				}
			}
		})
	}
}

// What dbx names beyond doubt is revoked, and not merely unknown, where the rest
// of it cannot be told.
func TestBlindAndRevoked(t *testing.T) {
	t.Parallel()
	a, b := signer(t, "a"), signer(t, "b")
	root := firmware(t, map[string]string{"dbx": x509List(a.cert) + esl(efi.X509(), []byte("rubbish"))})
	for _, asked := range []bool{true, false} {
		set := load(t, trust.Options{Root: root, Firmware: asked, Given: given(a.cert, b.cert)})
		checkJudgement(t, set.Judge(message(t, content, a), []byte(content), trust.JudgeOptions{}), trust.Revoked, "dbx revokes it")
	}
}

// One who is struck for want of dbx cannot come back by a chain or a pin, and
// pins are not blamed for it.
func TestBlindChainsAndPins(t *testing.T) {
	t.Parallel()
	ca := authority(t, "ca", identity{})
	end := leaf(t, ca)
	a := trust.Anchor{Certificate: ca.cert}
	digest := a.Fingerprint()
	set := load(t, trust.Options{
		Root: firmware(t, map[string]string{"dbx": "rubbish"}), Firmware: true, Chains: true, Given: given(ca.cert),
		Fingerprints: []string{hexText(digest)},
	})
	checkLines(t, set, "nobody is trusted")
	checkJudgement(t, set.Judge(message(t, content, end, end.cert), []byte(content), trust.JudgeOptions{}), trust.Unknown, "cannot be told")
}

// Issuers that only the firmware knows lead to what dbx revokes, also where its
// keys are not trusted.
func TestRevokedByWayOfFirmware(t *testing.T) {
	t.Parallel()
	top := authority(t, "top", identity{})
	middle := authority(t, "middle", top)
	end := leaf(t, middle)
	root := firmware(t, map[string]string{"dbx": x509List(top.cert), "db": x509List(middle.cert)})
	set := load(t, trust.Options{Root: root, Given: given(end.cert)})
	checkJudgement(t, set.Judge(message(t, content, end), []byte(content), trust.JudgeOptions{}), trust.Revoked, "dbx revokes CN=top")
}

func openRoot(t *testing.T, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}
