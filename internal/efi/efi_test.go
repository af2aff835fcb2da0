package efi_test

import (
	"testing"

	"inlay/internal/efi"
	"inlay/internal/guid"
)

func TestFileName(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"PK-8be4df61-93ca-11d2-aa0d-00e098032b8c":  efi.FileName("PK", efi.GlobalVariable()),
		"dbx-d719b2cb-3d3a-4596-a3bc-dad00e67656f": efi.FileName("dbx", efi.ImageSecurity()),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestVendorOf(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]guid.GUID{
		"PK": efi.GlobalVariable(), "KEK": efi.GlobalVariable(),
		"db": efi.ImageSecurity(), "dbx": efi.ImageSecurity(), "dbt": efi.ImageSecurity(), "dbr": efi.ImageSecurity(),
	} {
		if got, ok := efi.VendorOf(name); !ok || got != want {
			t.Errorf("%s: got %s, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "pk", "DB", "SecureBoot", "MokList"} {
		if got, ok := efi.VendorOf(name); ok || got != (guid.GUID{}) {
			t.Errorf("%s: got %s, %v", name, got, ok)
		}
	}
}

func TestTypeName(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind       guid.GUID
		text, want string
	}{
		{efi.X509(), "a5c059a1-94e4-4aa7-87b5-ab155c2bf072", "x509"},
		{efi.SHA256(), "c1c41626-504c-4092-aca9-41f936934328", "sha256"},
		{efi.SHA384(), "ff3e5307-9fd0-48c9-85f1-8ad56c701e01", "sha384"},
		{efi.SHA512(), "093e0fae-a6c4-4f50-9f1b-d41e2b89c19a", "sha512"},
		{efi.X509SHA256(), "3bd2a492-96c0-4079-b420-fcf98ef103ed", "x509_sha256"},
		{efi.X509SHA384(), "7076876e-80c2-4ee6-aad2-28b349a6865b", "x509_sha384"},
		{efi.X509SHA512(), "446dbf63-2502-4cda-bcfa-2465d2b0fe9d", "x509_sha512"},
		{unknown, "abcd0000-0000-0000-0000-0000000000ef", "abcd0000-0000-0000-0000-0000000000ef"},
	} {
		if test.kind.String() != test.text || efi.TypeName(test.kind) != test.want {
			t.Errorf("%s is %q, want %s %q", test.kind, efi.TypeName(test.kind), test.text, test.want)
		}
	}
}
