package efi_test

import (
	"bytes"
	"strings"
	"testing"

	"inlay/internal/efi"
	"inlay/internal/hint"
)

func TestParseVariable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		b    string
		want efi.Variable
		err  string
	}{
		"SecureBoot":    {"\x06\x00\x00\x00\x01", efi.Variable{Attributes: efi.BootServiceAccess | efi.RuntimeAccess, Data: []byte{1}}, ""},
		"no data":       {"\x27\x00\x00\x00", efi.Variable{Attributes: 0x27, Data: []byte{}}, ""},
		"all bits":      {"\xff\x00\x00\x00x", efi.Variable{Attributes: 0xff, Data: []byte("x")}, ""},
		"largest":       {"\x27\x00\x00\x00" + strings.Repeat("x", efi.MaxSize-4), efi.Variable{Attributes: 0x27, Data: []byte(strings.Repeat("x", efi.MaxSize-4))}, ""},
		"too large":     {"\x27\x00\x00\x00" + strings.Repeat("x", efi.MaxSize-3), efi.Variable{}, "1048577 bytes are too many"},
		"empty":         {"", efi.Variable{}, "0 bytes, want 4"},
		"cut":           {"\x27\x00\x00", efi.Variable{}, "3 bytes, want 4"},
		"undefined bit": {"\x00\x01\x00\x00x", efi.Variable{}, "0x00000100 are not defined"},
		"highest bit":   {"\x27\x00\x00\x80x", efi.Variable{}, "0x80000027 are not defined"},
		"a list":        {string(vector(t, "db.esl")), efi.Variable{}, "are not defined"},
		"an update":     {string(vector(t, "efitools.auth")), efi.Variable{}, "are not defined"},
		"a certificate": {string(vector(t, "db.der")), efi.Variable{}, "are not defined"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := efi.ParseVariable([]byte(test.b))
			if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
				t.Fatalf("error %v, want %q", err, test.err)
			}
			if got.Attributes != test.want.Attributes || !bytes.Equal(got.Data, test.want.Data) {
				t.Errorf("attributes %#x and %d bytes, want %#x and %d", got.Attributes, len(got.Data), test.want.Attributes, len(test.want.Data))
			}
			if err == nil && string(got.Marshal()) != test.b {
				t.Error("written again, it differs")
			}
			if strings.HasSuffix(test.err, "are not defined") && len(hint.Of(err)) == 0 {
				t.Error("no hint")
			}
		})
	}
}

func TestFlag(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		data     string
		want, ok bool
	}{
		"on":        {"\x01", true, true},
		"off":       {"\x00", false, true},
		"two":       {"\x02", false, false},
		"empty":     {"", false, false},
		"two bytes": {"\x01\x00", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := efi.Variable{Data: []byte(test.data)}.Flag()
			if got != test.want || (err == nil) != test.ok {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
