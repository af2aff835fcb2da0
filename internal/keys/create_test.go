package keys_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/keys"
	"inlay/test/need"
)

// now is a moment with a fraction of a second, which a certificate cannot hold.
func now() time.Time { return time.Date(2026, 11, 21, 10, 0, 0, 5e8, time.FixedZone("", 3600)) }

func TestCreate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "keys")
	files, err := keys.Create(keys.CreateOptions{
		Name: "acme", Dir: dir, Clock: now, Rand: bytes.NewReader(bytes.Repeat([]byte{0x41}, 16)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{filepath.Join(dir, "db.key"), filepath.Join(dir, "db.pem")}, files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	checkModes(t, dir, map[string]fs.FileMode{".": 0o700, "db.key": 0o600})

	pair, err := keys.Load(files[0], files[1])
	if err != nil {
		t.Fatal(err)
	}
	if pair.Warning != "" {
		t.Errorf("warning %q", pair.Warning)
	}
	cert := pair.Certificate
	type facts struct {
		Subject, Issuer, Serial string
		Start, End              time.Time
		CA, Basic               bool
		Usage                   x509.KeyUsage
	}
	got := facts{
		cert.Subject.String(), cert.Issuer.String(), cert.SerialNumber.Text(16), cert.NotBefore, cert.NotAfter,
		cert.IsCA, cert.BasicConstraintsValid, cert.KeyUsage,
	}
	want := facts{
		"CN=acme-db", "CN=acme-db", "c1" + strings.Repeat("41", 15),
		time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC), time.Date(2036, 11, 18, 9, 0, 0, 0, time.UTC),
		false, true, x509.KeyUsageDigitalSignature,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("certificate (-want +got):\n%s", diff)
	}
	if key, ok := cert.PublicKey.(*rsa.PublicKey); !ok || key.N.BitLen() != 2048 {
		t.Errorf("key %T, want RSA of 2048 bits", cert.PublicKey)
	}
}

func TestCreateAlgorithms(t *testing.T) {
	t.Parallel()
	want := map[keys.Algorithm]string{
		keys.RSA2048: "RSA 2048", keys.RSA3072: "RSA 3072", keys.RSA4096: "RSA 4096", keys.P256: "P-256", keys.P384: "P-384",
	}
	for _, algorithm := range keys.Algorithms() {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			files, err := keys.Create(keys.CreateOptions{Name: "n", Dir: t.TempDir(), Algorithm: algorithm, Days: 1})
			if err != nil {
				t.Fatal(err)
			}
			pair, err := keys.Load(files[0], files[1])
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			switch key := pair.Signer.Public().(type) {
			case *rsa.PublicKey:
				got = fmt.Sprintf("RSA %d", key.N.BitLen())
			case *ecdsa.PublicKey:
				got = key.Curve.Params().Name
			}
			if got != want[algorithm] {
				t.Errorf("made %q, want %q", got, want[algorithm])
			}
			if life := pair.Certificate.NotAfter.Sub(pair.Certificate.NotBefore); life != 24*time.Hour {
				t.Errorf("valid for %v, want a day", life)
			}
			if bits := pair.Certificate.SerialNumber.BitLen(); bits != 128 {
				t.Errorf("serial number of %d bits", bits)
			}
		})
	}
}

func TestCreateNeverOverwrites(t *testing.T) {
	t.Parallel()
	for _, there := range []string{"db.key", "db.pem"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, there), []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := keys.Create(keys.CreateOptions{Name: "n", Dir: dir, Algorithm: keys.P256})
		checkError(t, err, fmt.Sprintf("creating keys in %q: file %q", dir, there), "--force")
		if !errors.Is(err, fs.ErrExist) {
			t.Errorf("error %v is not fs.ErrExist", err)
		}
		if diff := cmp.Diff(map[string]string{there: "precious"}, contents(t, dir)); diff != "" {
			t.Errorf("folder (-want +got):\n%s", diff)
		}
	}
}

func TestCreateForce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	options := keys.CreateOptions{Name: "n", Dir: dir, Algorithm: keys.P256}
	files, err := keys.Create(options)
	if err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)
	if err := os.Chmod(files[0], 0o644); err != nil {
		t.Fatal(err)
	}
	options.Force = true
	if _, err := keys.Create(options); err != nil {
		t.Fatal(err)
	}
	after := contents(t, dir)
	if len(after) != 2 || after["db.key"] == before["db.key"] || after["db.pem"] == before["db.pem"] {
		t.Errorf("%d files, or old ones", len(after))
	}
	checkModes(t, dir, map[string]fs.FileMode{"db.key": 0o600})
	if _, err := keys.Load(files[0], files[1]); err != nil {
		t.Error(err)
	}
}

// A link in the way is not followed, with Force neither.
func TestCreateFollowsNoLinks(t *testing.T) {
	t.Parallel()
	dir, victim := t.TempDir(), filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, "db.pem")); err != nil {
		t.Fatal(err)
	}
	_, err := keys.Create(keys.CreateOptions{Name: "n", Dir: dir, Algorithm: keys.P256})
	checkError(t, err, `file "db.pem"`, "--force")
	if _, err := keys.Create(keys.CreateOptions{Name: "n", Dir: dir, Algorithm: keys.P256, Force: true}); err != nil {
		t.Error(err)
	}
	data, err := os.ReadFile(victim)
	if err != nil || string(data) != "precious" {
		t.Errorf("the link's target holds %q, %v", data, err)
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	occupied := write(t, "a file")
	tests := map[string]struct {
		options    keys.CreateOptions
		want, hint string
	}{
		"no name":          {keys.CreateOptions{}, `name ""`, "letters"},
		"control":          {keys.CreateOptions{Name: "a\nb"}, `name "a\nb"`, "letters"},
		"spaces around":    {keys.CreateOptions{Name: " a"}, `name " a"`, "letters"},
		"not UTF-8":        {keys.CreateOptions{Name: "\xff"}, "cannot stand", "letters"},
		"long name":        {keys.CreateOptions{Name: strings.Repeat("ü", 61)}, "longer than 60", ""},
		"algorithm":        {keys.CreateOptions{Name: "n", Algorithm: "ed25519"}, `algorithm "ed25519"`, "rsa2048, rsa3072, rsa4096, p256, p384"},
		"negative days":    {keys.CreateOptions{Name: "n", Days: -1}, "-1 days", ""},
		"too many days":    {keys.CreateOptions{Name: "n", Days: 36501}, "36501 days", ""},
		"no randomness":    {keys.CreateOptions{Name: "n", Algorithm: keys.P256, Rand: strings.NewReader("short")}, "serial number", ""},
		"folder is a file": {keys.CreateOptions{Name: "n", Algorithm: keys.P256, Dir: occupied}, "not a folder", "name a folder"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.options.Dir == "" {
				test.options.Dir = filepath.Join(base, strings.ReplaceAll(name, " ", "-"))
			}
			_, err := keys.Create(test.options)
			checkError(t, err, test.want, test.hint)
			if info, err := os.Stat(test.options.Dir); err == nil && info.IsDir() {
				t.Error("a folder is left behind")
			}
		})
	}
	_, err := keys.Create(keys.CreateOptions{Name: "n"})
	checkError(t, err, "no folder is named", "")
}

// While the files are staged nothing may stand under their names, and the last
// step must not replace a file that came in between.
func TestCreateLosesRaceCleanly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	options := keys.CreateOptions{Name: "n", Dir: dir, Algorithm: keys.P256}
	// The serial number is drawn after the first look and before the last step.
	options.Rand = reader(func(p []byte) (int, error) {
		if got := contents(t, dir); len(got) > 0 {
			t.Errorf("too early: %v", got)
		}
		if err := os.WriteFile(filepath.Join(dir, "db.pem"), []byte("other run"), 0o600); err != nil {
			return 0, err
		}
		return len(p), nil
	})
	_, err := keys.Create(options)
	checkError(t, err, `file "db.pem"`, "--force")
	if diff := cmp.Diff(map[string]string{"db.pem": "other run"}, contents(t, dir)); diff != "" {
		t.Errorf("folder (-want +got):\n%s", diff)
	}
}

type reader func([]byte) (int, error)

func (r reader) Read(p []byte) (int, error) { return r(p) }

var _ io.Reader = reader(nil)

func TestOpenSSLReadsCreated(t *testing.T) {
	t.Parallel()
	openssl := need.Tool(t, "openssl", "openssl")
	for _, algorithm := range []keys.Algorithm{keys.RSA2048, keys.P256, keys.P384} {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			files, err := keys.Create(keys.CreateOptions{Name: "acme", Dir: t.TempDir(), Algorithm: algorithm})
			if err != nil {
				t.Fatal(err)
			}
			run := func(args ...string) string {
				t.Helper()
				output, err := exec.CommandContext(t.Context(), openssl, args...).CombinedOutput()
				if err != nil {
					t.Fatalf("openssl %q: %v\n%s", args, err, output)
				}
				return string(output)
			}
			run("pkey", "-in", files[0], "-check", "-noout")
			fromKey := run("pkey", "-in", files[0], "-pubout")
			fromCert := run("x509", "-in", files[1], "-pubkey", "-noout")
			if diff := cmp.Diff(fromKey, fromCert); diff != "" {
				t.Errorf("public keys differ:\n%s", diff)
			}
			text := run("x509", "-in", files[1], "-noout", "-text")
			for _, want := range []string{"CN=acme-db", "CA:FALSE", "DigitalSignature"} {
				if !strings.Contains(strings.ReplaceAll(text, " ", ""), want) { // versions space differently
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			run("verify", "-CAfile", files[1], "-partial_chain", "-check_ss_sig", files[1])
		})
	}
}

func checkModes(t *testing.T, dir string, want map[string]fs.FileMode) {
	t.Helper()
	for name, mode := range want {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != mode {
			t.Errorf("%q has mode %v, want %v", name, info.Mode().Perm(), mode)
		}
	}
}

// contents returns what the files of a folder hold.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[entry.Name()] = string(data)
	}
	return all
}
