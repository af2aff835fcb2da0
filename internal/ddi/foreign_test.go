package ddi_test

import (
	"bytes"
	"testing"

	"inlay/internal/ddi"
	"inlay/internal/gpt"
	"inlay/internal/verity"
)

// foreign makes images as others do: with other sector sizes, slack in the
// partitions, other labels, or simply wrong ones.
type foreign struct {
	sector     int
	designator string
	slack      int64 // bytes behind the content of the data and hash partitions
	signature  []byte
	room       int64 // of the signature partition; 0 for none
	super      func(*verity.Superblock)
	table      func(*gpt.Table)
}

const foreignBlocks = 200

func (o foreign) build(t testing.TB) (*memory, ddi.RootHash) {
	t.Helper()
	if o.sector == 0 {
		o.sector = 512
	}
	if o.designator == "" {
		o.designator = gpt.Root
	}
	data := content(foreignBlocks)
	tree := verity.NewTree(verity.Params{Salt: []byte("salt")})
	tree.HashBlocks(0, data)
	root, err := tree.Finish(foreignBlocks)
	if err != nil {
		t.Fatal(err)
	}
	var hash bytes.Buffer
	if _, err := tree.WriteTo(&hash); err != nil {
		t.Fatal(err)
	}
	if o.super != nil {
		super, err := verity.ParseSuperblock(hash.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		o.super(&super)
		copy(hash.Bytes(), super.Marshal())
	}
	f := newMemory(2 << 20)
	tab := &gpt.Table{DiskGUID: gpt.GUID{9}, SectorSize: o.sector, Size: 1 << 20}
	off := int64(32 << 10)
	for role, b := range [][]byte{data, hash.Bytes(), o.signature} {
		size := int64(len(b)) + o.slack
		guid := gpt.GUID{0x51}
		switch gpt.Role(role) {
		case gpt.Data:
			guid = gpt.GUID(root[:16])
		case gpt.Verity:
			guid = gpt.GUID(root[16:])
		case gpt.Signature:
			size = o.room
		}
		if size == 0 {
			continue
		}
		d := gpt.Discoverable{Designator: o.designator, Role: gpt.Role(role), Architecture: "arm64"}
		kind, _ := gpt.TypeOf(d)
		tab.Partitions = append(tab.Partitions, gpt.Partition{
			Number: role + 1, Type: kind, GUID: guid, First: uint64(off / int64(o.sector)), Last: uint64((off+size)/int64(o.sector) - 1), Label: "by others",
		})
		if _, err := f.WriteAt(b, off); err != nil {
			t.Fatal(err)
		}
		off += size
	}
	if o.table != nil {
		o.table(tab)
	}
	if err := tab.Write(f); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(1 << 20); err != nil {
		t.Fatal(err)
	}
	return f, root
}

// text returns a signature's text for the root hash of every foreign image.
func foreignText(t testing.TB, size int) []byte {
	t.Helper()
	_, root := foreign{}.build(t)
	text, err := signature(size)(root).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
