package efi_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/efi"
	"inlay/internal/guid"
)

// storeVariable is a variable as virt-fw-vars writes it to JSON.
type storeVariable struct {
	Name, GUID, Data string
	Attr             uint32
}

// readStore returns the variables of a store by their names in efivarfs, as
// that shows them.
func readStore(t testing.TB, text []byte) map[string]efi.Variable {
	t.Helper()
	var store struct{ Variables []storeVariable }
	if err := json.Unmarshal(text, &store); err != nil {
		t.Fatal(err)
	}
	variables := map[string]efi.Variable{}
	for _, v := range store.Variables {
		data, err := hex.DecodeString(v.Data)
		if err != nil {
			t.Fatal(err)
		}
		file := efi.Variable{Attributes: v.Attr, Data: data}.Marshal()
		variable, err := efi.ParseVariable(file)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		if !bytes.Equal(variable.Marshal(), file) {
			t.Errorf("%s: written again, the variable differs", v.Name)
		}
		variables[efi.FileName(v.Name, parseGUID(t, v.GUID))] = variable
	}
	return variables
}

// storeLists returns the lists of a variable of a store, which must be there
// and written like one that holds keys.
func storeLists(t testing.TB, store map[string]efi.Variable, name string, vendor guid.GUID) []efi.List {
	t.Helper()
	v, found := store[efi.FileName(name, vendor)]
	if !found {
		t.Fatalf("the store has no %q", efi.FileName(name, vendor))
	}
	if want := uint32(efi.NonVolatile | efi.BootServiceAccess | efi.RuntimeAccess | efi.TimeBasedAuthWrites); v.Attributes != want {
		t.Errorf("%s: attributes %#x, want %#x", name, v.Attributes, want)
	}
	return parseLists(t, v.Data)
}

func TestStore(t *testing.T) {
	t.Parallel()
	pk, kek, db := vector(t, "PK.der"), vector(t, "KEK.der"), vector(t, "db.der")
	hash := bytes.Repeat([]byte{0}, 32)
	hash[31] = 7
	store := readStore(t, vector(t, "store.json"))
	for _, test := range []struct {
		name   string
		vendor guid.GUID
		want   []efi.List
	}{
		{"PK", efi.GlobalVariable(), []efi.List{list(t, efi.X509(), pk)}},
		{"KEK", efi.GlobalVariable(), []efi.List{list(t, efi.X509(), kek), list(t, efi.X509(), pk)}},
		{"db", efi.ImageSecurity(), []efi.List{list(t, efi.X509(), db), list(t, efi.SHA256(), hash)}},
		{"dbx", efi.ImageSecurity(), parseLists(t, vector(t, "x509_sha256.esl"))},
	} {
		if diff := cmp.Diff(test.want, storeLists(t, store, test.name, test.vendor)); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
	const enable = "SecureBootEnable-f0a30bc7-af08-4556-99c4-001009c93a44"
	if on, err := store[enable].Flag(); err != nil || !on {
		t.Errorf("SecureBootEnable: %v, %v", on, err)
	}
}

// certificatesOf returns the certificates of a variable, as "owner hexadecimal".
func certificatesOf(t *testing.T, store map[string]efi.Variable, name string, vendor guid.GUID) []string {
	t.Helper()
	var found []string
	for _, l := range storeLists(t, store, name, vendor) {
		for _, e := range l.Entries {
			if l.Type == efi.X509() {
				found = append(found, e.Owner.String()+" "+hex.EncodeToString(e.Data))
			}
		}
	}
	return slices.Sorted(slices.Values(found))
}

// TestFirmwareStores reads the stores that come with OVMF, which firmware itself
// has filled, and compares with the certificates that virt-fw-vars finds there.
func TestFirmwareStores(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, kind := range []string{"ms", "snakeoil"} {
		b.run(`mkdir ` + kind + `; cd ` + kind + `
			virt-fw-vars --input /usr/share/OVMF/OVMF_VARS_4M.` + kind + `.fd --output-json store.json --extract-certs`)
		store := readStore(t, b.read(kind+"/store.json"))
		want := map[string][]string{}
		files, err := filepath.Glob(filepath.Join(b.work, kind, "*.pem"))
		if err != nil || len(files) < 3 {
			t.Fatal(files, err)
		}
		for _, file := range files {
			name, rest, _ := strings.Cut(filepath.Base(file), "-")
			block, _ := pem.Decode(readFile(t, file))
			if len(rest) < 36 || block == nil {
				t.Fatalf("%q is no certificate", file)
			}
			want[name] = append(want[name], rest[:36]+" "+hex.EncodeToString(block.Bytes))
			slices.Sort(want[name])
		}
		got := map[string][]string{
			"PK":  certificatesOf(t, store, "PK", efi.GlobalVariable()),
			"KEK": certificatesOf(t, store, "KEK", efi.GlobalVariable()),
			"db":  certificatesOf(t, store, "db", efi.ImageSecurity()),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
		// Both come with a dbx that revokes the empty program.
		empty, err := hex.DecodeString("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
		if err != nil {
			t.Fatal(err)
		}
		dbx := storeLists(t, store, "dbx", efi.ImageSecurity())
		if len(dbx) != 1 || dbx[0].Type != efi.SHA256() || len(dbx[0].Entries) != 1 || !bytes.Equal(dbx[0].Entries[0].Data, empty) {
			t.Errorf("%s: dbx is %v", kind, dbx)
		}
	}
}

// TestEnrolledStore reads a store that virt-fw-vars fills: with certificates and
// a hash, and with a dbx from an update that this package has written.
func TestEnrolledStore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	pk, kek, db := b.der["PK"], b.der["KEK"], b.der["db"]
	b.run(`sbsiglist --owner $owner --type x509 --output new.esl db.der
		sbvarsign --key KEK.key --cert KEK.pem --output signed.auth dbx new.esl`)
	signed, err := efi.ParseUpdate(b.read("signed.auth"))
	if err != nil {
		t.Fatal(err)
	}
	revocations := []efi.List{
		list(t, efi.X509SHA256(), make([]byte, 48), bytes.Repeat([]byte{1}, 48)),
		list(t, efi.X509SHA512(), make([]byte, 80)),
		list(t, efi.SHA256(), bytes.Repeat([]byte{2}, 32), bytes.Repeat([]byte{3}, 32)),
		list(t, efi.X509(), db),
	}
	// virt-fw-vars doesn't look at the signature, which is over something else.
	b.write("dbx.auth", efi.Update{Time: stamp, PKCS7: signed.PKCS7, Data: marshal(revocations)}.Marshal())
	b.run(`virt-fw-vars --input /usr/share/OVMF/OVMF_VARS_4M.fd --output vars.fd --secure-boot \
		--set-pk $owner PK.pem --add-kek $owner KEK.pem --add-kek $owner PK.pem \
		--add-db $owner db.pem --add-db-hash $owner ` + strings.Repeat("7a", 32) + ` --set-dbx dbx.auth
		virt-fw-vars --input vars.fd --output-json store.json`)
	text := b.read("store.json")
	store := readStore(t, text)
	for _, test := range []struct {
		name   string
		vendor guid.GUID
		want   []efi.List
	}{
		{"PK", efi.GlobalVariable(), []efi.List{list(t, efi.X509(), pk)}},
		{"KEK", efi.GlobalVariable(), []efi.List{list(t, efi.X509(), kek), list(t, efi.X509(), pk)}},
		{"db", efi.ImageSecurity(), []efi.List{list(t, efi.X509(), db), list(t, efi.SHA256(), bytes.Repeat([]byte{0x7a}, 32))}},
		{"dbx", efi.ImageSecurity(), revocations},
	} {
		if diff := cmp.Diff(test.want, storeLists(t, store, test.name, test.vendor)); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
	if want := `"time": "e407010f0c2238000000000000000000"`; !strings.Contains(string(text), want) {
		t.Error("virt-fw-vars did not read the time of our update")
	}
}

// TestToolsReadOurs has efitools take our lists apart, and sbkeysync read a
// folder of our variables and write the keys that it finds missing there.
func TestToolsReadOurs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	pk, kek, db := b.der["PK"], b.der["KEK"], b.der["db"]
	hash := bytes.Repeat([]byte{0x7a}, 32)
	lists := []efi.List{list(t, efi.X509(), pk, kek, db), list(t, efi.SHA256(), hash, hash)}
	b.write("ours.esl", marshal(lists))
	b.run("sig-list-to-certs ours.esl out")
	for file, want := range map[string][]byte{"out-0.der": pk, "out-1.der": kek, "out-2.der": db, "out-3.hash": hash, "out-4.hash": hash} {
		if got := b.read(file); !bytes.Equal(got, want) {
			t.Errorf("sig-list-to-certs read %x, want %x", got, want)
		}
	}

	for _, folder := range []string{"vars", "keys", "keys/db", "keys/KEK"} {
		if err := os.Mkdir(filepath.Join(b.work, folder), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string][]efi.List{
		efi.FileName("PK", efi.GlobalVariable()):  {list(t, efi.X509(), pk)},
		efi.FileName("KEK", efi.GlobalVariable()): {list(t, efi.X509(), pk)},
		efi.FileName("db", efi.ImageSecurity()):   lists,
		efi.FileName("dbx", efi.ImageSecurity()):  {list(t, efi.SHA256(), hash)},
	} {
		b.write("vars/"+name, efi.Variable{Attributes: 0x27, Data: marshal(value)}.Marshal())
	}
	got := b.run(`sbsiglist --owner $owner --type x509 --output kek.esl KEK.der
		sbvarsign --key PK.key --cert PK.pem --output keys/KEK/kek.auth KEK kek.esl
		sbkeysync --efivars-path /w/vars --no-default-keystores --keystore /w/keys --verbose`)
	text := strings.Join(strings.Fields(got), " ")
	digits := hex.EncodeToString(hash)
	// It prints the last first.
	want := "firmware keys: PK: /CN=inlay test PK KEK: /CN=inlay test PK " +
		"db: " + digits + " " + digits + " /CN=inlay test db /CN=inlay test KEK /CN=inlay test PK dbx: " + digits + " filesystem keys:"
	if !strings.Contains(text, want) {
		t.Errorf("sbkeysync read\n%s\nwant %s", got, want)
	}
	v, err := efi.ParseVariable(b.read("vars/" + efi.FileName("KEK", efi.GlobalVariable())))
	if err != nil || v.Attributes != 0x67 {
		t.Fatalf("sbkeysync wrote a variable of attributes %#x, %v", v.Attributes, err)
	}
	u, err := efi.ParseUpdate(v.Data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]efi.List{list(t, efi.X509(), kek)}, parseLists(t, u.Data)); diff != "" {
		t.Errorf("sbkeysync wrote: %s", diff)
	}
}
