package ddi_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inlay/internal/ddi"
	"inlay/internal/gpt"
	"inlay/internal/guid"
	"inlay/internal/verity"
)

func TestOpenForeign(t *testing.T) {
	t.Parallel()
	text := foreignText(t, 1000)
	for sector := gpt.MinSectorSize; sector <= gpt.MaxSectorSize; sector *= 2 {
		for _, designator := range []string{gpt.Root, gpt.Usr} {
			t.Run(fmt.Sprint(sector, designator), func(t *testing.T) {
				t.Parallel()
				f, root := foreign{sector: sector, designator: designator, slack: 20 << 10, signature: text, room: 8192}.build(t)
				im := open(t, f)
				if im.Table.SectorSize != sector || im.Designator != designator || im.Architecture != "arm64" {
					t.Errorf("sectors of %d, %s, %s", im.Table.SectorSize, im.Designator, im.Architecture)
				}
				if got, err := im.RootHash(); err != nil || got != root {
					t.Errorf("root hash %x, want %x: %v", got, root, err)
				}
				sig, err := im.Signature()
				if err != nil || sig.RootHash != root {
					t.Errorf("signature %v: %v", sig, err)
				}
				super, err := im.Superblock()
				if err != nil || super.DataBlocks != foreignBlocks {
					t.Errorf("%d data blocks: %v", super.DataBlocks, err)
				}
				if got := readAll(t, im.FileSystem()); !bytes.Equal(got[:foreignBlocks*4096], content(foreignBlocks)) {
					t.Error("the data partition holds something else")
				}
			})
		}
	}
}

// set returns a change of the partition with the number n.
func set(n int, change func(p *gpt.Partition)) func(*gpt.Table) {
	return func(tab *gpt.Table) {
		for i := range tab.Partitions {
			if tab.Partitions[i].Number == n {
				change(&tab.Partitions[i])
			}
		}
	}
}

func typed(t testing.TB, designator string, role gpt.Role, arch string) func(*gpt.Partition) {
	t.Helper()
	kind, known := gpt.TypeOf(gpt.Discoverable{Designator: designator, Role: role, Architecture: arch})
	if !known {
		t.Fatalf("no type for %s %s", designator, arch)
	}
	return func(p *gpt.Partition) { p.Type = kind }
}

// extra adds a partition behind the others.
func extra(change func(p *gpt.Partition)) func(*gpt.Table) {
	return func(tab *gpt.Table) {
		p := gpt.Partition{GUID: gpt.GUID{0xee}, First: 1900, Last: 1907}
		change(&p)
		tab.Partitions = append(tab.Partitions, p)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	text := foreignText(t, 1000)
	for name, test := range map[string]struct {
		table func(*gpt.Table)
		want  string
	}{
		"two roots":           {extra(typed(t, gpt.Root, gpt.Data, "arm64")), "partitions 1 (root-arm64) and 4 (root-arm64) are both data"},
		"two architectures":   {extra(typed(t, gpt.Root, gpt.Data, "x86-64")), "both data partitions"},
		"root and usr":        {extra(typed(t, gpt.Usr, gpt.Data, "arm64")), "both data partitions"},
		"two hash trees":      {extra(typed(t, gpt.Root, gpt.Verity, "arm64")), "both verity partitions"},
		"two signatures":      {extra(typed(t, gpt.Root, gpt.Signature, "arm64")), "both signature partitions"},
		"tree of usr":         {set(2, typed(t, gpt.Usr, gpt.Verity, "arm64")), "a usr-arm64-verity partition does not belong to a root-arm64"},
		"tree of x86-64":      {set(2, typed(t, gpt.Root, gpt.Verity, "x86-64")), "does not belong"},
		"signature of x86-64": {set(3, typed(t, gpt.Root, gpt.Signature, "x86-64")), "does not belong"},
		"no data":             {set(1, func(p *gpt.Partition) { p.Type = gpt.GUID{1} }), "no root or usr partition"},
		"no tree":             {set(2, func(p *gpt.Partition) { p.Type = gpt.GUID{1} }), "a signature partition, but no verity"},
		"hidden data":         {set(1, func(p *gpt.Partition) { p.Attributes = gpt.NoAuto }), "no root or usr partition"},
		"data for later":      {set(1, func(p *gpt.Partition) { p.Label = "_empty" }), "no root or usr partition"},
		"hidden tree":         {set(2, func(p *gpt.Partition) { p.Attributes = gpt.NoAuto }), "but no verity"},
		"nothing":             {func(tab *gpt.Table) { tab.Partitions = nil }, "no root or usr partition"},
		"nothing of our field": {func(tab *gpt.Table) {
			tab.Partitions = tab.Partitions[:0]
			extra(func(p *gpt.Partition) { p.Type = gpt.GUID{1} })(tab)
		}, "no root or usr partition"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, _ := foreign{signature: text, room: 8192, table: test.table}.build(t)
			if _, err := ddi.Open(f, f.end); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
	if _, err := ddi.Open(newMemory(1<<20), 1<<20); !errors.Is(err, gpt.ErrNoTable) {
		t.Errorf("an empty file: %v", err)
	}
}

func TestOpenLess(t *testing.T) {
	t.Parallel()
	generic, err := guid.Parse("0fc63daf-8483-4772-8e79-3d69d8477de4")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*gpt.Table){
		"only data":    func(tab *gpt.Table) { tab.Partitions = tab.Partitions[:1] },
		"generic type": func(tab *gpt.Table) { tab.Partitions = tab.Partitions[:1]; tab.Partitions[0].Type = generic },
	} {
		f, _ := foreign{table: change}.build(t)
		im := open(t, f)
		if im.Designator != gpt.Root || im.Data.Number != 1 {
			t.Errorf("%s: %s in partition %d", name, im.Designator, im.Data.Number)
		}
		if _, err := im.RootHash(); !errors.Is(err, ddi.ErrNoVerity) {
			t.Errorf("%s: root hash: %v", name, err)
		}
		if _, err := im.Superblock(); !errors.Is(err, ddi.ErrNoVerity) {
			t.Errorf("%s: superblock: %v", name, err)
		}
		if _, err := im.Signature(); !errors.Is(err, ddi.ErrUnsigned) {
			t.Errorf("%s: signature: %v", name, err)
		}
	}
	// Partitions of no interest are passed over.
	f, root := foreign{table: extra(func(p *gpt.Partition) { p.Type = gpt.GUID{7} })}.build(t)
	if got, err := open(t, f).RootHash(); err != nil || got != root {
		t.Errorf("root hash %x: %v", got, err)
	}
}

// TestImageFaults has images that open, and say what is wrong when asked.
func TestImageFaults(t *testing.T) {
	t.Parallel()
	rootHash := func(im *ddi.Image) error { _, err := im.RootHash(); return err }
	sig := func(im *ddi.Image) error { _, err := im.Signature(); return err }
	for name, test := range map[string]struct {
		image foreign
		ask   func(*ddi.Image) error
		want  string
	}{
		"GUIDs swapped":      {foreign{table: func(tab *gpt.Table) { p := tab.Partitions; p[0].GUID, p[1].GUID = p[1].GUID, p[0].GUID }}, rootHash, "but the hash tree has"},
		"GUID of another":    {foreign{table: set(1, func(p *gpt.Partition) { p.GUID[3]++ })}, rootHash, "but the hash tree has"},
		"salt":               {foreign{super: func(s *verity.Superblock) { s.Salt = []byte("pepper") }}, rootHash, "but the hash tree has"},
		"too many blocks":    {foreign{super: func(s *verity.Superblock) { s.DataBlocks++ }}, rootHash, "covers 201 blocks, the data partition has 200"},
		"tree too large":     {foreign{slack: 0, table: set(2, func(p *gpt.Partition) { p.Last -= 8 })}, rootHash, "hash tree takes 16384 bytes, its partition has 12288"},
		"no superblock":      {foreign{table: func(tab *gpt.Table) { tab.Partitions[1].First++ }}, rootHash, "no superblock"},
		"signature cut":      {foreign{signature: []byte("{"), room: 512}, sig, "EOF"},
		"signature rubbish":  {foreign{signature: []byte("\x00\x00x"), room: 512}, sig, "after the text's end"},
		"signature deferred": {foreign{room: 512}, sig, "deferred"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, _ := test.image.build(t)
			if err := test.ask(open(t, f)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestImageHugeSignature(t *testing.T) {
	t.Parallel()
	f := newMemory(12 << 20)
	small, _ := foreign{room: 512}.build(t)
	tab := open(t, small).Table
	copy(f.b, small.bytes())
	tab.Size = f.end
	tab.Partitions[2].Last = tab.Partitions[2].First + 4<<20/512
	if err := tab.Write(f); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, f).Signature(); err == nil || !strings.Contains(err.Error(), "at most 4194304") {
		t.Errorf("error %v", err)
	}
}

func TestStatements(t *testing.T) {
	t.Parallel()
	f, root := foreign{table: set(1, func(p *gpt.Partition) { p.GUID = gpt.GUID{1} })}.build(t)
	im := open(t, f)
	tree, err := im.TreeRoot()
	if err != nil || tree != root {
		t.Errorf("tree has %x: %v", tree, err)
	}
	stated, err := im.StatedRoot()
	want := ddi.RootHash(append(append([]byte{1}, make([]byte, 15)...), root[16:]...))
	if diff := cmp.Diff(want, stated); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

// FuzzOpen edits an image; gpt's own fuzz target attacks the table with sound
// checksums.
func FuzzOpen(f *testing.F) {
	small := func(signed bool) []byte {
		m, _ := build(f, 3, options(f), map[bool]signer{false: noSignature, true: signature(200)}[signed], false)
		return m.bytes()
	}
	images := [][]byte{small(false), small(true)}
	f.Add(byte(0), uint32(0), []byte(nil))
	f.Add(byte(1), uint32(600), []byte{1})                  // the primary table
	f.Add(byte(1), uint32(1<<20+3*4096), []byte("nothing")) // the superblock
	f.Add(byte(1), uint32(1<<20+3*4096+72), []byte{2})      // its number of blocks
	f.Add(byte(1), uint32(1<<20+4*4096), []byte{1})         // the tree
	f.Add(byte(1), uint32(1<<20+5*4096), []byte(" [] "))    // the signature
	f.Add(byte(0), uint32(1<<20), []byte{9})                // the data
	f.Fuzz(func(t *testing.T, which byte, off uint32, edit []byte) {
		b := bytes.Clone(images[which%2])
		copy(b[int(off)%len(b):], edit)
		im, err := ddi.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		if super, err := im.Superblock(); err == nil && int64(super.DataBlocks)*4096 > im.FileSystem().Size() {
			t.Fatalf("%d blocks in %d bytes", super.DataBlocks, im.FileSystem().Size())
		}
		stated, _ := im.StatedRoot()
		if root, err := im.RootHash(); err == nil && root != stated {
			t.Fatalf("root hash %x, stated %x", root, stated)
		}
		if sig, err := im.Signature(); (err == nil) != (sig != nil) {
			t.Fatalf("signature %v and error %v", sig, err)
		}
	})
}
