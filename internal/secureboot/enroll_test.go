package secureboot_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"inlay/internal/efi"
	"inlay/internal/secureboot"
)

// firmware is a folder like an efivarfs, with variables by name.
func firmware(t *testing.T, variables map[string][]byte) (*os.Root, string) {
	t.Helper()
	dir := t.TempDir()
	for name, data := range variables {
		write(t, efi.Variable{Attributes: efi.KeyAttributes, Data: data}.Marshal(), dir, variableFile(name))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root, dir
}

func variableFile(name string) string {
	vendor, ok := efi.VendorOf(name)
	if !ok {
		vendor = efi.GlobalVariable()
	}
	return efi.FileName(name, vendor)
}

func openSet(t *testing.T, dir string) *secureboot.Set {
	t.Helper()
	set, err := secureboot.OpenSet(dir)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestEnroll(t *testing.T) {
	t.Parallel()
	dir := copySet(t, 0)
	root, folder := firmware(t, map[string][]byte{"SetupMode": {1}, "db": bytes.Repeat([]byte{7}, 100<<10)})
	unlock := lock(t, filepath.Join(folder, variableFile("db")))
	for _, dry := range []bool{true, false} {
		written, err := secureboot.Enroll(t.Context(), root, openSet(t, dir), secureboot.EnrollOptions{DryRun: dry})
		if err != nil {
			t.Fatal(err)
		}
		want := []secureboot.Written{
			{Variable: "db", File: "db-d719b2cb-3d3a-4596-a3bc-dad00e67656f", Certificates: 1},
			{Variable: "KEK", File: "KEK-8be4df61-93ca-11d2-aa0d-00e098032b8c", Certificates: 1},
			{Variable: "PK", File: "PK-8be4df61-93ca-11d2-aa0d-00e098032b8c", Certificates: 1},
		}
		if diff := cmp.Diff(want, written); diff != "" {
			t.Errorf("written (-want +got):\n%s", diff)
		}
		if _, err := os.Stat(filepath.Join(folder, variableFile("PK"))); dry != errors.Is(err, fs.ErrNotExist) {
			t.Errorf("dry run %v: PK: %v", dry, err)
		}
	}
	unlock()
	for _, name := range []string{"PK", "KEK", "db"} {
		want := append([]byte{0x27, 0, 0, 0}, readFile(t, dir, name+".auth")...)
		if !bytes.Equal(readFile(t, folder, variableFile(name)), want) {
			t.Errorf("%s is not the attributes and the update", name)
		}
	}
}

// lock makes a file immutable, as variables in efivarfs are, where that is
// possible, and returns what ends it; the flag must be there still.
func lock(t *testing.T, name string) (unlock func()) {
	t.Helper()
	flag := func(on bool) error {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
		if err != nil {
			return err
		}
		flags &^= unix.STATX_ATTR_IMMUTABLE
		if on {
			flags |= unix.STATX_ATTR_IMMUTABLE
		}
		return unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags)
	}
	if err := flag(true); err != nil {
		t.Logf("no file can be made immutable here: %v", err)
		return func() {}
	}
	t.Cleanup(func() { _ = flag(false) })
	return func() {
		if err := os.WriteFile(name, nil, 0o600); !errors.Is(err, unix.EPERM) {
			t.Errorf("the variable is left without its immutable flag: %v", err)
		}
	}
}

func TestEnrollRefuses(t *testing.T) {
	t.Parallel()
	good, other, broken, partial := copySet(t, 0), copySet(t, 1), copySet(t, 0), copySet(t, 0)
	// A db that the KEK of another set has signed.
	u, err := secureboot.NewUpdate("db", listOf(t, certificateIn(t, good, "db")), openSet(t, other).KEK, secureboot.UpdateOptions{Time: when()})
	if err != nil {
		t.Fatal(err)
	}
	write(t, u.Marshal(), broken, "db.auth")
	if err := os.Remove(filepath.Join(partial, "PK.auth")); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		set        string
		variables  map[string][]byte
		want, hint string
	}{
		"user mode":    {good, map[string][]byte{"SetupMode": {0}}, "not in setup mode", "platform key away"},
		"no firmware":  {good, nil, "does not say whether", "efivarfs"},
		"broken flag":  {good, map[string][]byte{"SetupMode": {2}}, "SetupMode", ""},
		"broken chain": {broken, map[string][]byte{"SetupMode": {1}}, "db.auth counts in setup mode only", "make the updates again"},
		"no PK":        {partial, map[string][]byte{"SetupMode": {1}}, `"PK.auth" is not in`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, folder := firmware(t, test.variables)
			written, err := secureboot.Enroll(t.Context(), root, openSet(t, test.set), secureboot.EnrollOptions{})
			checkError(t, err, test.want, test.hint)
			if errors.Is(err, secureboot.ErrSetupMode) != (name == "user mode") {
				t.Errorf("error %v", err)
			}
			names, err := os.ReadDir(folder)
			if err != nil || len(names) != len(test.variables) || len(written) != 0 {
				t.Errorf("%v was written: %v, %v", written, names, err)
			}
		})
	}
}

// What was written before a failure is said; PK, which ends setup mode, comes last.
func TestEnrollStops(t *testing.T) {
	t.Parallel()
	dir := copySet(t, 0)
	root, folder := firmware(t, map[string][]byte{"SetupMode": {1}})
	if err := os.Mkdir(filepath.Join(folder, variableFile("KEK")), 0o700); err != nil {
		t.Fatal(err)
	}
	written, err := secureboot.Enroll(t.Context(), root, openSet(t, dir), secureboot.EnrollOptions{})
	checkError(t, err, "writing KEK", "dmesg")
	if len(written) != 1 || written[0].Variable != "db" {
		t.Errorf("written %v", written)
	}
	if _, err := os.Stat(filepath.Join(folder, variableFile("PK"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("PK: %v", err)
	}
}

func TestAppendRevocations(t *testing.T) {
	t.Parallel()
	dir := copySet(t, 0)
	set := openSet(t, dir)
	update := func(o secureboot.UpdateOptions) []byte {
		u, err := secureboot.NewUpdate("dbx", listOf(t, set.DB.Certificate), set.KEK, o)
		if err != nil {
			t.Fatal(err)
		}
		return u.Marshal()
	}
	good := update(secureboot.UpdateOptions{Append: true})
	enrolled := map[string][]byte{"SetupMode": {0}, "KEK": readFile(t, dir, "KEK.esl"), "PK": readFile(t, dir, "PK.esl")}
	anybody := map[string][]byte{"SetupMode": {1}}
	attributes := efi.Variable{Attributes: 0x67, Data: good}.Marshal()
	bent := bytes.Clone(good)
	bent[len(bent)-1] ^= 1
	strange := map[string][]byte{"SetupMode": {0}, "KEK": readFile(t, dir, "db.esl"), "PK": readFile(t, dir, "PK.esl")}
	authority := makePair(t, "vendor's authority")
	leaf := issue(t, "vendor", authority, func(c *x509.Certificate) { c.IsCA = false })
	byLeaf, err := secureboot.NewUpdate("dbx", listOf(t, set.DB.Certificate), leaf, secureboot.UpdateOptions{Append: true})
	if err != nil {
		t.Fatal(err)
	}
	vendor := map[string][]byte{"SetupMode": {0}, "KEK": marshalAll(listOf(t, authority.Certificate)), "PK": readFile(t, dir, "PK.esl")}
	for name, test := range map[string]struct {
		variables map[string][]byte
		auth      []byte
		want      string
		advice    string
	}{
		"enrolled":        {enrolled, good, "", ""},
		"setup mode":      {anybody, good, "", ""},
		"another KEK":     {strange, good, "verifying an update of dbx", "have it signed"},
		"replaces":        {enrolled, update(secureboot.UpdateOptions{Time: when()}), "it replaces dbx", "sign-efi-sig-list -a"},
		"no update":       {enrolled, []byte("dbx"), "reading an update", "dbx.auth"},
		"no such machine": {nil, good, "reading the firmware's KEK", ""},
		"attributes":      {enrolled, attributes, "begins with attributes", "--include-attrs"},
		// In setup mode the firmware itself would take all of these. The db would be
		// revoked by its own update.
		"the db, in setup mode":   {anybody, readFile(t, dir, "db.auth"), "it is an update of db", "dbx.auth"},
		"the db":                  {enrolled, readFile(t, dir, "db.auth"), "it is an update of db", "dbx.auth"},
		"issued by KEK":           {vendor, byLeaf.Marshal(), "", ""},
		"issued by another":       {enrolled, byLeaf.Marshal(), "verifying an update of dbx", "have it signed"},
		"replaces, in setup mode": {anybody, update(secureboot.UpdateOptions{Time: when()}), "it replaces dbx", "sign-efi-sig-list -a"},
		"damaged, in setup mode":  {anybody, bent, "verifying an update of dbx", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root, folder := firmware(t, test.variables)
			written, err := secureboot.AppendRevocations(t.Context(), root, test.auth, secureboot.EnrollOptions{})
			if test.want != "" {
				checkError(t, err, test.want, test.advice)
				if _, err := os.Stat(filepath.Join(folder, variableFile("dbx"))); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("dbx: %v", err)
				}
				return
			}
			if err != nil || len(written) != 1 || written[0].Certificates != 1 {
				t.Fatalf("%v, %v", written, err)
			}
			if want := append([]byte{0x67, 0, 0, 0}, test.auth...); !bytes.Equal(readFile(t, folder, variableFile("dbx")), want) {
				t.Error("dbx is not the attributes and the update")
			}
		})
	}
}
