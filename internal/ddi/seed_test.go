package ddi_test

import (
	"encoding/hex"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/ddi"
	"inlay/internal/gpt"
)

// TestSeed has what systemd-repart 262 derives from the seed
// 0123456789abcdef0123456789abcdef for x86-64.
func TestSeed(t *testing.T) {
	t.Parallel()
	kind := func(role gpt.Role) gpt.GUID {
		g, _ := gpt.TypeOf(gpt.Discoverable{Designator: gpt.Root, Role: role, Architecture: "x86-64"})
		return g
	}
	s := seed()
	got := map[string]string{
		"verity":      s.VerityUUID().String(),
		"salt":        hex.EncodeToString(s.Salt()),
		"root":        s.Partition(kind(gpt.Data), 0).String(),
		"signature":   s.Partition(kind(gpt.Signature), 0).String(),
		"file system": s.FileSystemUUID(kind(gpt.Data)).String(),
	}
	want := map[string]string{
		"verity":      "898929e6-7747-423e-8593-3659ba461e7c",
		"salt":        "c65b6ab68edf421fcc0cb48ba60f7f14f5186b4d003d21ab3b334b91de16759c",
		"root":        "9e90c9c3-c7e8-44f2-bf19-9ae2689de795",
		"signature":   "ca977224-9a98-40c9-bef7-eae884d35446",
		"file system": "e23fa935-5911-428c-b168-a4b761ee82bd",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if a, b := s.Partition(kind(gpt.Data), 1), s.Partition(kind(gpt.Data), 2); a == b || a == s.Partition(kind(gpt.Data), 0) {
		t.Errorf("partitions 1 and 2 are %s and %s", a, b)
	}
	if a, b := s.DiskGUIDOf(ddi.RootHash{1}), s.DiskGUIDOf(ddi.RootHash{2}); a == b {
		t.Errorf("disks of two root hashes are %s and %s", a, b)
	}
}
