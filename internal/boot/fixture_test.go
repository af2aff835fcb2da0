package boot_test

import (
	"crypto/x509"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"inlay/internal/boot"
	"inlay/internal/bootstate"
	"inlay/internal/efi"
)

// trust is whom the node trusts, changed.
func (n *node) trust(change func(*boot.Trust)) trustFunc {
	return func(ctx contextT, state *bootstate.Report) (*boot.Trust, error) {
		t, err := n.trusts(ctx, state)
		if err == nil {
			change(t)
		}
		return t, err
	}
}

func (n *node) names(folder string) []string {
	n.t.Helper()
	var names []string
	entries, _ := os.ReadDir(filepath.Join(n.dir, folder))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// firmware writes variables of the firmware, with Secure Boot on.
func (n *node) firmware(db *x509.Certificate, loader map[string]string) {
	n.t.Helper()
	variable := func(name string, data []byte) {
		vendor := efi.GlobalVariable()
		switch {
		case strings.HasPrefix(name, "db"):
			vendor = efi.ImageSecurity()
		case strings.HasPrefix(name, "Stub"), strings.HasPrefix(name, "Loader"):
			vendor = efi.Loader()
		}
		n.write("sys/firmware/efi/efivars/"+efi.FileName(name, vendor), string(efi.Variable{Attributes: 6, Data: data}.Marshal()))
	}
	list := efi.List{Type: efi.X509(), Entries: []efi.Entry{{Data: db.Raw}}}
	variable("SecureBoot", []byte{1})
	variable("SetupMode", []byte{0})
	variable("db", list.Marshal())
	variable("dbx", nil)
	for _, name := range slices.Sorted(maps.Keys(loader)) {
		var text []byte
		for _, r := range loader[name] {
			text = append(text, byte(r), 0)
		}
		variable(name, append(text, 0, 0))
	}
}

// revoke has dbx name a certificate.
func (n *node) revoke(c *x509.Certificate) { n.variable("dbx", c) }

// variable has a variable of the firmware hold a certificate.
func (n *node) variable(name string, c *x509.Certificate) {
	n.t.Helper()
	vendor := efi.GlobalVariable()
	if name == "dbx" {
		vendor = efi.ImageSecurity()
	}
	list := efi.List{Type: efi.X509(), Entries: []efi.Entry{{Data: c.Raw}}}
	n.write("sys/firmware/efi/efivars/"+efi.FileName(name, vendor), string(efi.Variable{Attributes: 6, Data: list.Marshal()}.Marshal()))
}

func readJSON(t *testing.T, file string, v any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// tree is all that lies below the node.
func (n *node) tree() map[string]string {
	n.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(n.dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := info.Mode().String() + info.ModTime().String()
		if d.Type() == fs.ModeSymlink {
			target, err := os.Readlink(at)
			if err != nil {
				return err
			}
			text += target
		}
		all[at] = text
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
	return all
}
